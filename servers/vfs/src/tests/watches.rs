// SPDX-License-Identifier: BSD-2-Clause
//! What watchers are told, and who is asked to tell.

use std::string::{String, ToString};
use std::vec::Vec;

use vfs_hooks::inotify::{MOST_EVENTS, MOST_INSTANCES, MOST_WATCHES, mask};
use vfs_hooks::sync::Ordering;

use super::{Fake, server};
use crate::errno::Errno;
use crate::open::{Found, flag};
use crate::ranges::Owner;
use crate::server::Server;
use crate::tree::Inode;

const PROCESS: usize = 1;
const CREATE: u32 = flag::CREATE | 2;

fn watching(path: &[u8], flags: u32) -> (Server<Fake>, i32) {
    let mut server = server();
    server.open_watches(PROCESS, 7).unwrap();
    let watch = watch(&mut server, 7, path, flags).unwrap();
    (server, watch)
}

fn find(server: &Server<Fake>, path: &[u8]) -> Inode {
    let root = server.tree.root();
    server.find_inode((root, path), 0).unwrap()
}

fn watch(server: &mut Server<Fake>, channel: u64, path: &[u8], flags: u32) -> Result<i32, Errno> {
    let inode = find(server, path);
    server.add_watch(PROCESS, channel, inode, flags)
}

fn open(server: &mut Server<Fake>, path: &[u8], flags: u32) -> u32 {
    let root = server.tree.root();
    match server.open(PROCESS, (root, path), flags, 0o644, 1).unwrap() {
        Found::Inode(attributes) => attributes.place as u32,
        Found::Local(_) => unreachable!("nothing is local"),
    }
}

/// Events that wait: watch, mask, cookie, name.
fn events(server: &mut Server<Fake>) -> Vec<(i32, u32, u32, String)> {
    let mut events = Vec::new();
    while let Ok(bytes) = server.read_events(PROCESS, 7, 872) {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let word = |i: usize| u32::from_le_bytes(rest[i * 4..][..4].try_into().unwrap());
            let (watch, what, cookie, len) = (word(0) as i32, word(1), word(2), word(3) as usize);
            let name = String::from_utf8_lossy(&rest[16..16 + len]);
            let name = name.trim_end_matches('\0').to_string();
            events.push((watch, what, cookie, name));
            rest = &rest[16 + len..];
        }
    }
    events
}

fn masks(server: &mut Server<Fake>) -> Vec<u32> {
    events(server).into_iter().map(|event| event.1).collect()
}

#[test]
fn a_directory_tells_of_its_names() {
    let (mut server, w) = watching(b"/tmp", mask::CREATE | mask::DELETE | mask::OPEN);
    let root = server.tree.root();
    open(&mut server, b"/tmp/a", CREATE);
    server.mkdir((root, b"/tmp/d"), 0o755, 1).unwrap();
    server.unlink((root, b"/tmp/a"), 1).unwrap();
    let told = events(&mut server);
    let want = [
        (w, mask::CREATE, 0, "a".into()),
        (w, mask::OPEN, 0, "a".into()),
        (w, mask::CREATE | mask::ISDIR, 0, "d".into()),
        (w, mask::DELETE, 0, "a".into()),
    ];
    assert_eq!(told, want);
    assert_eq!(server.read_events(PROCESS, 7, 872), Err(Errno::AGAIN));
}

#[test]
fn a_move_has_a_cookie_and_what_it_replaces_ends() {
    let (mut server, _) = watching(b"/tmp", mask::MOVED_FROM | mask::MOVED_TO);
    let root = server.tree.root();
    open(&mut server, b"/tmp/a", CREATE);
    let b = open(&mut server, b"/tmp/b", CREATE);
    let own = watch(&mut server, 7, b"/tmp/b", mask::DELETE_SELF).unwrap();
    server
        .rename((root, b"/tmp/a"), (root, b"/tmp/b"), 0, 1)
        .unwrap();
    let told = events(&mut server);
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].1, &told[0].3[..]), (mask::MOVED_FROM, "a"));
    assert_eq!((told[1].1, &told[1].3[..]), (mask::MOVED_TO, "b"));
    assert!(told[0].2 != 0 && told[0].2 == told[1].2);
    // Somebody holds it yet.
    server.files.process_ended(PROCESS);
    assert!(server.files.count() > 0);
    server.sweep();
    let told = events(&mut server);
    assert_eq!(told[0], (own, mask::DELETE_SELF, 0, String::new()));
    assert_eq!(told[1], (own, mask::IGNORED, 0, String::new()));
    assert!(server.files.files[b as usize].is_none());
}

#[test]
fn processes_are_asked_for_what_is_of_interest_alone() {
    let (mut server, _) = watching(b"/tmp", mask::MODIFY);
    let root = server.tree.root();
    let watched = |server: &Server<Fake>, file: u32| {
        let file = server.files.files[file as usize].as_ref().unwrap();
        file.0.watched.load(Ordering::Relaxed)
    };
    assert!(server.files.watching);
    let file = open(&mut server, b"/tmp/a", CREATE);
    let other = open(&mut server, b"/etc/a", CREATE);
    assert_eq!(watched(&server, file), mask::MODIFY);
    assert_eq!(watched(&server, other), 0);
    server
        .rename((root, b"/tmp/a"), (root, b"/etc/b"), 0, 1)
        .unwrap();
    assert_eq!(watched(&server, file), 0);
    server
        .link(find(&server, b"/etc/b"), (root, b"/tmp/c"), 1)
        .unwrap();
    assert_eq!(watched(&server, file), mask::MODIFY);
    server.remove_watch(PROCESS, 7, 1).unwrap();
    assert_eq!(watched(&server, file), 0);
    assert!(!server.files.watching);
}

#[test]
fn alike_events_are_one_and_the_instance_is_told_once() {
    let (mut server, _) = watching(b"/tmp", mask::MODIFY);
    open(&mut server, b"/tmp/a", CREATE);
    let inode = find(&server, b"/tmp/a");
    server.files.told.clear();
    for _ in 0..3 {
        server.happened(inode, mask::MODIFY);
    }
    assert_eq!(server.files.told, [(7, 32, true)]);
    assert_eq!(masks(&mut server), [mask::MODIFY]);
    assert_eq!(server.files.told.last(), Some(&(7, 0, false)));
}

#[test]
fn a_watch_for_one_event_ends_with_it() {
    let (mut server, w) = watching(b"/tmp", mask::CREATE | mask::ONESHOT);
    open(&mut server, b"/tmp/a", CREATE);
    open(&mut server, b"/tmp/b", CREATE);
    assert_eq!(masks(&mut server), [mask::CREATE, mask::IGNORED]);
    assert_eq!(server.remove_watch(PROCESS, 7, w), Err(Errno::INVAL));
}

#[test]
fn what_nobody_reads_is_lost_and_said_to_be() {
    let (mut server, _) = watching(b"/tmp", mask::ATTRIB);
    open(&mut server, b"/tmp/a", CREATE);
    open(&mut server, b"/tmp/b", CREATE);
    let both = [find(&server, b"/tmp/a"), find(&server, b"/tmp/b")];
    for i in 0..MOST_EVENTS + 10 {
        server.happened(both[i % 2], mask::ATTRIB);
    }
    let told = masks(&mut server);
    assert_eq!(told.len(), MOST_EVENTS);
    assert_eq!(told.last(), Some(&mask::Q_OVERFLOW));
    server.happened(both[0], mask::ATTRIB);
    assert_eq!(masks(&mut server), [mask::ATTRIB]);
}

#[test]
fn there_is_an_end_to_instances_and_watches_and_a_holders_end_gives_them_back() {
    let mut server = server();
    for channel in 0..MOST_INSTANCES as u64 {
        server.open_watches(PROCESS, channel).unwrap();
    }
    assert_eq!(server.open_watches(PROCESS, 999), Err(Errno::MFILE));
    let directories = [&b"/tmp"[..], b"/etc", b"/dev", b"/run"];
    for channel in 0..MOST_INSTANCES as u64 {
        for directory in directories {
            watch(&mut server, channel, directory, mask::CREATE).unwrap();
        }
    }
    const { assert!(MOST_WATCHES >= 4 * MOST_INSTANCES) };
    for channel in 0..MOST_INSTANCES as u32 {
        server.files.ended.push(Owner::Open(channel));
    }
    server.sweep_owners();
    assert!(!server.files.watching && server.watches.is_empty());
    server.open_watches(PROCESS, 999).unwrap();
    server.files.foreign = Some(999);
    assert_eq!(
        watch(&mut server, 999, b"/tmp", mask::CREATE),
        Err(Errno::BADF)
    );
}

#[test]
fn a_channel_is_one_instance_and_all_of_them_full_are_no_harm() {
    let mut server = server();
    for channel in 0..6 {
        server.open_watches(PROCESS, channel).unwrap();
        assert_eq!(server.open_watches(PROCESS, channel), Err(Errno::INVAL));
        watch(&mut server, channel, b"/tmp", mask::ATTRIB).unwrap();
    }
    open(&mut server, b"/tmp/a", CREATE);
    open(&mut server, b"/tmp/b", CREATE);
    let both = [find(&server, b"/tmp/a"), find(&server, b"/tmp/b")];
    for i in 0..MOST_EVENTS + 10 {
        server.happened(both[i % 2], mask::ATTRIB);
    }
    // Six have not room for as many; each says so once.
    for channel in 0..6 {
        let mut said = false;
        while let Ok(bytes) = server.read_events(PROCESS, channel, 872) {
            // The last event's mask, if it has no name.
            said = bytes[bytes.len() - 12..][..4] == mask::Q_OVERFLOW.to_le_bytes();
        }
        assert!(said, "instance {channel}");
    }
}

#[test]
fn a_buffer_too_small_is_refused_and_nothing_is_lost() {
    let (mut server, _) = watching(b"/tmp", mask::CREATE);
    open(&mut server, b"/tmp/abc", CREATE);
    assert_eq!(server.read_events(PROCESS, 7, 31), Err(Errno::INVAL));
    assert_eq!(server.read_events(PROCESS, 7, 32).unwrap().len(), 32);
}
