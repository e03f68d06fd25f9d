// SPDX-License-Identifier: BSD-2-Clause
//! What one shim writes the other reads, and nothing else.

use super::*;
use crate::files::device::Device;
use crate::files::epoll::EpollFile;
use crate::poller::core;
use crate::shared::locked;
use alloc::vec;
use libposix_poll::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use std::sync::OnceLock;
use vfs_hooks::Events;

fn legacy() -> Legacy {
    let limit = Rlimit {
        rlim_cur: 3,
        rlim_max: u64::MAX,
    };
    Legacy {
        directory: 7 << 32 | 5,
        umask: 0o27,
        mask: 5,
        ignored: 1 << 63,
        pending: 0,
        alarm: [0, 9],
        limits: [limit; LIMITS],
        locks: vec![(9, true), (1 << 40, false)],
    }
}

/// Made once: tests run at the same time, and the event core is one.
fn sample() -> Vec<u8> {
    static SAMPLE: OnceLock<Vec<u8>> = OnceLock::new();
    SAMPLE.get_or_init(|| locked(make_sample)).clone()
}

fn make_sample() -> Vec<u8> {
    let mut table = FdTable::new();
    let shared = OpenFile::new(Device::Zero, 2);
    table.replace(3, shared.clone(), false);
    table.replace(0, shared, false);
    table.replace(9, OpenFile::new(Device::Null, 1), false);
    let [outer, inner] = [(); 2].map(|()| OpenFile::new(EpollFile::new(), 2));
    let id = outer.file.epoll().unwrap();
    for (fd, events) in [(11, 1 | EDGE), (12, 4 | ONE_SHOT)] {
        let operation = Operation::Add { events, data: 7 };
        let added = core().epoll_ctl(id, operation, fd, inner.source());
        added.unwrap();
    }
    table.replace(10, outer, false);
    table.replace(11, inner, false);
    write(&table, &legacy()).unwrap().0
}

#[test]
fn duplicates_stay_duplicates() {
    let got = read(&sample()).unwrap();
    assert_eq!(got.legacy, legacy());
    assert_eq!(got.fds, [(0, 0), (3, 0), (9, 1), (10, 2), (11, 3)]);
    assert_eq!(got.descriptions.len(), 4);
    let events = [1 | EDGE, 4 | ONE_SHOT].map(|events| events | Events::ALWAYS.bits());
    let watches = got.watches.iter();
    assert!(watches.clone().all(|w| (w.instance, w.target) == (2, 3)));
    let watches = watches.map(|w| (w.kept.fd, w.kept.events, w.kept.data));
    assert_eq!(
        watches.collect::<Vec<_>>(),
        [(11, events[0], 7), (12, events[1], 7)]
    );
    assert_eq!(got.descriptions[0].flags, 2);
    assert_eq!(got.descriptions[1].heir, Heir::Device(0));
}

#[test]
fn every_kind_comes_back() {
    for heir in [
        Heir::Terminal(6),
        Heir::Device(3),
        Heir::Archived(
            Attributes {
                inode: 7,
                mode: 0o100644,
                links: 3,
                ..Attributes::default()
            },
            8,
        ),
        Heir::File(9, 8, 7),
        Heir::Directory(1 << 33, 2),
        Heir::Path(77),
        Heir::Pipe(4095, 1),
        Heir::Event(0, true),
        Heir::Timer(7, true),
        Heir::Fifo([5, 3], 1 << 40, u64::MAX, 6),
        Heir::Signals(3),
        Heir::Process(3, 17),
        Heir::Proc(b"self/stat".to_vec(), 12),
        Heir::Inotify(13),
        Heir::Epoll,
        Heir::Udp(9 << 2 | 1, 3),
        Heir::Unix(Passed {
            kind: 5,
            state: 1,
            channels: [4, 9],
            peer: 7,
            pass_credentials: 1,
            name: b"/a".to_vec(),
            peer_name: b"\0b".to_vec(),
        }),
        Heir::Tcp(PassedTcp {
            state: 2,
            channels: [9, 0],
            flag: 1,
            local: 80 << 32 | 0x7f00_0001,
            peer: 7,
        }),
    ] {
        let mut writer = Writer(Vec::new());
        writer.heir(&heir);
        let mut reader = Reader(&writer.0);
        assert_eq!(reader.heir(), Some(heir));
        assert!(reader.0.is_empty());
    }
}

#[test]
fn messages_that_somebody_made_up_are_refused_without_a_panic() {
    let heirs = [Heir::Pipe(3, 1), Heir::Directory(9, 2)];
    let files = heirs.map(|heir| Description { flags: 2, heir });
    let good = write_message(b"name", &files);
    let (name, read) = read_message(&good).unwrap();
    assert_eq!((&name[..], &read[..]), (&b"name"[..], &files[..]));
    for len in 0..good.len() {
        assert!(read_message(&good[..len]).is_none(), "cut at {len}");
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            let _ = read_message(&bytes);
        }
    }
}

#[test]
fn nonsense_is_refused_without_a_panic() {
    let good = sample();
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_none(), "cut at {len}");
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            let _ = read(&bytes);
        }
    }
}
