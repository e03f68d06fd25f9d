// SPDX-License-Identifier: BSD-2-Clause
//! One regression test for each trap of the design notes that the core can fall into, in every setting.

use super::{SETTINGS, World, take};
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, Operation, Target, WAKEUP};
use crate::frontend::poll::{PollFd, Polled, scan};
use crate::frontend::select::Sets;
use std::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();
const OUT: u32 = Events::OUT.bits();

fn everywhere(check: impl Fn(&World)) {
    for setting in SETTINGS {
        std::println!("{setting:?}");
        check(&World::new(setting));
    }
}

#[test]
fn trap_1_an_edge_is_each_write() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN | EDGE).unwrap();
        for _ in 0..3 {
            probe.source.raise(Events::IN);
            assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
            assert_eq!(take(&epoll, 8), []);
        }
    });
}

#[test]
fn trap_2_modify_looks_again_even_with_the_same_mask() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN | EDGE).unwrap();
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8).len(), 1);
        assert_eq!(take(&epoll, 8).len(), 0);
        probe.modify(&epoll, 3, IN | EDGE).unwrap();
        assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
    });
}

#[test]
fn trap_3_a_full_batch_rotates() {
    everywhere(|world| {
        let epoll = world.epoll();
        let probes: Vec<_> = (0..10).map(|_| world.probe()).collect();
        for (fd, probe) in probes.iter().enumerate() {
            probe.add(&epoll, fd as i32, IN).unwrap();
            probe.source.raise(Events::IN);
        }
        let mut seen: Vec<u64> = (0..5)
            .flat_map(|_| take(&epoll, 2))
            .map(|(fd, _)| fd)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<u64>>());
    });
}

#[test]
fn trap_5_an_event_between_two_looks_is_not_lost() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        for _ in 0..20 {
            probe.source.raise(Events::IN);
            probe.source.lower(Events::IN);
            assert_eq!(take(&epoll, 8), [], "a look that finds nothing arms again");
            probe.source.raise(Events::IN);
            assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
            probe.source.lower(Events::IN);
        }
    });
}

#[test]
fn trap_6_a_reused_number_sees_nothing_of_its_predecessor() {
    everywhere(|world| {
        let epoll = world.epoll();
        let (old, new) = (world.probe(), world.probe());
        old.add(&epoll, 3, IN).unwrap();
        old.source.raise(Events::IN);
        epoll.forget(old.file);
        new.add(&epoll, 3, IN).unwrap();
        old.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8), []);
    });
}

#[test]
fn trap_7_hup_and_err_come_unasked_rdhup_does_not() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, 0).unwrap();
        probe.source.raise(Events::IN | Events::RDHUP);
        assert_eq!(take(&epoll, 8), []);
        probe.source.raise(Events::HUP);
        assert_eq!(take(&epoll, 8), [(3, Events::HUP)]);
        probe.source.raise(Events::ERR);
        assert_eq!(take(&epoll, 8), [(3, Events::HUP | Events::ERR)]);
        probe
            .modify(&epoll, 3, Events::RDHUP.bits() | ONE_SHOT)
            .unwrap();
        let all = Events::RDHUP | Events::HUP | Events::ERR;
        assert_eq!(take(&epoll, 8), [(3, all)]);
    });
}

#[test]
fn trap_8_poll_skips_negative_numbers_and_reports_nval() {
    let mut fds = [-1, 5, 6].map(|fd| PollFd {
        fd,
        events: IN as u16,
        revents: 99,
    });
    let n = scan(&mut fds, |fd| match fd {
        5 => Polled::Closed,
        _ => Polled::AlwaysReady,
    });
    assert_eq!(n, 2);
    let revents = fds.map(|f| Events::from_bits_truncate(f.revents.into()));
    assert_eq!(revents, [Events::empty(), Events::NVAL, Events::IN]);
    assert_eq!(fds.map(|f| f.events), [IN as u16; 3]);
}

#[test]
fn trap_11_an_inner_instance_is_looked_at_again() {
    everywhere(|world| {
        let (outer, inner, probe) = (world.epoll(), world.epoll(), world.probe());
        probe.add(&inner, 3, IN).unwrap();
        let add = Operation::Add {
            events: IN,
            data: 9,
        };
        outer.control(add, &world.target(9, &inner)).unwrap();
        probe.source.raise(Events::IN);
        probe.source.lower(Events::IN);
        assert_eq!(take(&outer, 8), []);
    });
}

#[test]
fn trap_14_what_cannot_be_watched_is_refused() {
    let world = World::new(SETTINGS[0]);
    let file = Target {
        fd: 3,
        file: super::FileId(77),
        source: None,
        epoll: None,
    };
    let add = Operation::Add {
        events: IN,
        data: 0,
    };
    assert_eq!(world.epoll().control(add, &file), Err(Errno::PERM));
}

#[test]
fn trap_15_exclusive_has_its_own_rules() {
    let world = World::new(SETTINGS[0]);
    let (epoll, probe, inner) = (world.epoll(), world.probe(), world.epoll());
    let bad = EXCLUSIVE | ONE_SHOT | IN;
    assert_eq!(probe.add(&epoll, 3, bad), Err(Errno::INVAL));
    assert_eq!(
        probe.add(&epoll, 3, EXCLUSIVE | Events::RDHUP.bits()),
        Err(Errno::INVAL)
    );
    let good = EXCLUSIVE | WAKEUP | EDGE | IN | OUT;
    assert_eq!(probe.add(&epoll, 3, good), Ok(()));
    assert_eq!(probe.modify(&epoll, 3, IN), Err(Errno::INVAL));
    let add = Operation::Add {
        events: EXCLUSIVE | IN,
        data: 0,
    };
    let target = world.target(4, &inner);
    assert_eq!(epoll.control(add, &target), Err(Errno::INVAL));
}

#[test]
fn cycles_and_long_chains_are_refused() {
    let world = World::new(SETTINGS[0]);
    let chain: Vec<_> = (0..8).map(|_| world.epoll()).collect();
    let add = Operation::Add {
        events: IN,
        data: 0,
    };
    assert_eq!(
        chain[0].control(add, &world.target(3, &chain[0])),
        Err(Errno::INVAL)
    );
    for i in 0..4 {
        let target = world.target(3, &chain[i]);
        assert_eq!(chain[i + 1].control(add, &target), Ok(()), "link {i}");
    }
    let target = world.target(3, &chain[4]);
    assert_eq!(chain[5].control(add, &target), Err(Errno::LOOP), "too long");
    let target = world.target(3, &chain[4]);
    assert_eq!(chain[0].control(add, &target), Err(Errno::LOOP), "cycle");
}

#[test]
fn registrations_are_keyed_by_number_and_open_file() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        assert_eq!(probe.add(&epoll, 3, IN), Err(Errno::EXIST));
        assert_eq!(probe.add(&epoll, 4, IN), Ok(()), "a dup is its own key");
        assert_eq!(world.probe().modify(&epoll, 3, IN), Err(Errno::NOENT));
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8).len(), 2);
        epoll.forget(probe.file);
        assert_eq!(take(&epoll, 8).len(), 0);
        assert_eq!(probe.modify(&epoll, 3, IN), Err(Errno::NOENT));
    });
}

#[test]
fn select_reports_hup_as_readable_and_err_as_both() {
    let all = Sets {
        read: true,
        write: true,
        except: true,
    };
    assert_eq!(all.report(Events::HUP).count(), 1);
    assert!(all.report(Events::HUP).read);
    assert_eq!(all.report(Events::ERR).count(), 2);
    assert_eq!(all.report(Events::PRI).count(), 1);
    assert_eq!(Sets::default().report(Events::all()).count(), 0);
}
