// SPDX-License-Identifier: BSD-2-Clause
//! Places at sources of other processes: where there is no room for one, when a source moves into shared memory or out of it, and after fork.

use super::{Epoll, Probe, ProbeRemote, Setting, Woken, World, everywhere};
use crate::backend::{Block, BufferSize, Woke};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, Operation};
use crate::instance::InstanceId;
use crate::model::Refusal;
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::{SUBSCRIPTIONS, Subscriptions};

const IN: u32 = Events::IN.bits();
const REMOTE: [Setting; 2] = [Setting::Queue, Setting::Badge];

fn remotely(check: impl Fn(&mut World)) {
    for setting in REMOTE {
        check(&mut World::new(setting));
    }
}

#[test]
fn the_ninth_watch_of_a_shared_source_is_refused_and_leaves_nothing() {
    remotely(|world| {
        let probe = world.probe();
        let epolls: Vec<Epoll> = (0..=SUBSCRIPTIONS).map(|_| world.epoll()).collect();
        let (last, others) = epolls.split_last().unwrap();
        for epoll in others {
            world.add(*epoll, &probe, 3, IN).unwrap();
        }
        assert_eq!(world.add(*last, &probe, 3, IN), Err(Errno::NOSPC));
        assert_eq!(world.core.watch_count(last.id), 0);
        let delete = Operation::Delete;
        let missing = world.control(*last, delete, 3, probe.source);
        assert_eq!(missing, Err(Errno::NOENT));
        // One goes, one comes.
        world.control(others[3], delete, 3, probe.source).unwrap();
        assert_eq!(world.add(*last, &probe, 3, IN), Ok(()));
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(*last, 8), [(3, Events::IN)]);
        assert_eq!(world.take(others[3], 8), []);
    });
}

/// As many watches as a small buffer serves, all told; while the process reads what it collected, all but one are told once more.
fn reported_of_a_full_queue(divisor: u64) -> usize {
    let world = &mut World::new(Setting::Queue);
    let epoll = world.epoll();
    let watches = BufferSize::Small.slots() / 2;
    let probes: Vec<Probe> = (0..watches).map(|_| world.probe()).collect();
    for (fd, probe) in probes.iter().enumerate() {
        world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
    }
    world.model.shrink_buffers(divisor);
    probes.iter().for_each(|p| world.raise(p, Events::IN));
    world.model.signal_late(1..watches as u32);
    world.take(epoll, 1000).len()
}

#[test]
fn trap_17_a_batch_that_is_being_read_is_not_overwritten() {
    assert_eq!(reported_of_a_full_queue(1), 252);
}

#[test]
fn trap_17_mutant_ring_of_n_loses_one() {
    assert_eq!(reported_of_a_full_queue(2), 251);
}

#[test]
fn when_the_process_has_no_more_watch_slots_adding_is_enospc() {
    remotely(|world| {
        let epoll = world.epoll();
        let mut probes = Vec::new();
        let refused = loop {
            let probe = world.probe();
            let fd = probes.len() as i32;
            if let Err(errno) = world.add(epoll, &probe, fd, IN) {
                break errno;
            }
            probes.push(probe);
        };
        // As many as the model kernel has watch slots.
        assert_eq!((refused, probes.len()), (Errno::NOSPC, 1 << 14));
        world.core.close(probes[7].source);
        let probe = world.probe();
        world.add(epoll, &probe, 7, IN).unwrap();
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(7, Events::IN)]);
    });
}

#[test]
fn what_the_kernel_refuses_is_enospc_and_can_be_tried_again() {
    for refusal in [
        Refusal::Create,
        Refusal::Attach,
        Refusal::AttachFull,
        Refusal::Enlarge,
    ] {
        let world = &mut World::new(Setting::Queue);
        let (epoll, probe) = (world.epoll(), world.probe());
        world.model.refuse(Some(refusal));
        for _ in 0..300 {
            assert_eq!(world.add(epoll, &probe, 3, IN), Err(Errno::NOSPC));
        }
        assert_eq!(world.model.attached(), 0);
        world.model.refuse(None);
        assert_eq!(world.add(epoll, &probe, 3, IN), Ok(()), "{refusal:?}");
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world.core.close(epoll.source);
        assert_eq!(world.model.attached(), 0, "slots are given back");
    }
}

/// A source of this process whose other end goes to another one, and comes back: as a pipe does that is handed to a child.
#[test]
fn watches_move_along_with_their_source() {
    remotely(|world| {
        let mut probe = world.probe();
        let (epoll, other) = (world.epoll(), world.epoll());
        world.core.set_remote(probe.source, None).unwrap();
        probe.remote = false;
        world.add(epoll, &probe, 3, IN).unwrap();
        world.add(other, &probe, 4, IN | EDGE).unwrap();
        assert_eq!(world.model.attached(), 0);

        let object = Box::new(ProbeRemote(probe.shared.clone()));
        world.core.set_remote(probe.source, Some(object)).unwrap();
        probe.remote = true;
        // They are told to look, and find nothing.
        assert_eq!(world.take(epoll, 8), []);
        assert_eq!(world.take(other, 8), []);
        let raised = probe.clone();
        world.then(move |world| world.raise(&raised, Events::IN));
        assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        assert_eq!(world.take(other, 8), [(4, Events::IN)]);
        world.lower(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), []);

        world.core.set_remote(probe.source, None).unwrap();
        probe.remote = false;
        assert_eq!(world.model.attached(), 0, "places are given back");
        assert_eq!(world.take(epoll, 8), []);
        assert_eq!(world.take(other, 8), []);
        let raised = probe.clone();
        world.then(move |world| world.raise(&raised, Events::IN));
        assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        assert_eq!(world.take(other, 8), [(4, Events::IN)]);
        // What is gone has no part anywhere.
        world.core.close(probe.source);
        assert_eq!(world.core.set_remote(probe.source, None), Ok(()));
        assert_eq!(world.core.level(probe.source), Events::empty());
    });
}

#[test]
fn a_source_that_moves_where_there_is_too_little_room_keeps_its_watches() {
    remotely(|world| {
        let probe = world.probe();
        world.core.set_remote(probe.source, None).unwrap();
        let epolls: Vec<Epoll> = (0..=SUBSCRIPTIONS).map(|_| world.epoll()).collect();
        for epoll in &epolls {
            world.add(*epoll, &probe, 3, IN).unwrap();
        }
        let object = Box::new(ProbeRemote(probe.shared.clone()));
        let moved = world.core.set_remote(probe.source, Some(object));
        assert_eq!(moved, Err(Errno::NOSPC));
        world.raise(&probe, Events::IN);
        for epoll in epolls {
            // The one without a place was told to look when its source moved, and so finds it.
            assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        }
    });
}

/// A source of a channel: its cells are handed out in shared memory, to several processes.
struct Claimed {
    shared: Arc<super::ProbeShared>,
    given: Arc<AtomicU32>,
}

impl Remote for Claimed {
    fn readiness(&self) -> Readiness {
        ProbeRemote(self.shared.clone()).readiness()
    }
    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        // Another process has all cells but the last one.
        let free = self.given.fetch_or(0x80, Ordering::Relaxed) & 0x80 == 0;
        Some(free.then_some((7, slot)))
    }
    fn release(&self, cell: usize) {
        self.given.fetch_and(!(1 << cell), Ordering::Relaxed);
    }
    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.shared.subscriptions)
    }
}

#[test]
fn a_source_that_hands_out_its_own_cells_gets_them_back() {
    remotely(|world| {
        let (epoll, other, probe) = (world.epoll(), world.epoll(), world.probe());
        let given = Arc::<AtomicU32>::default();
        let object = Box::new(Claimed {
            shared: probe.shared.clone(),
            given: given.clone(),
        });
        world.core.set_remote(probe.source, Some(object)).unwrap();
        world.add(epoll, &probe, 3, IN).unwrap();
        assert_eq!(given.load(Ordering::Relaxed), 0x80);
        assert_eq!(world.add(other, &probe, 3, IN), Err(Errno::NOSPC));
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world
            .control(epoll, Operation::Delete, 3, probe.source)
            .unwrap();
        assert_eq!(given.load(Ordering::Relaxed), 0);
        assert_eq!(world.add(other, &probe, 3, IN), Ok(()));
        assert_eq!(world.take(other, 8), [(3, Events::IN)]);
    });
}

/// The parent's queues, slots and cells are not the child's; its interest and ready lists are.
#[test]
fn after_fork_shared_sources_are_watched_anew() {
    everywhere(|world| {
        let (epoll, outer) = (world.epoll(), world.epoll());
        let (a, b) = (world.probe(), world.probe());
        world.add(epoll, &a, 3, IN).unwrap();
        world.add(epoll, &b, 4, IN | EDGE).unwrap();
        world.nest(outer, epoll, 5, IN).unwrap();
        assert_eq!(world.take(outer, 8), []);
        assert!(world.core.block(epoll.id, 3).is_some());
        assert!(world.core.block(epoll.id, 4).is_some());
        world.model.after_fork();
        world.core.after_fork();
        assert_eq!(world.core.next_wake(), None, "the parent's threads");
        let queue = world.setting == Setting::Queue;
        assert_eq!(world.model.attached(), if queue { 2 } else { 0 });
        assert_eq!(world.take(epoll, 8), []);
        for _ in 0..2 {
            let raised = a.clone();
            world.then(move |world| world.raise(&raised, Events::IN));
            assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
            assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
            assert_eq!(world.take(outer, 8), [(5, Events::IN)]);
            world.lower(&a, Events::IN);
            assert_eq!(world.take(epoll, 8), []);
        }
        world.raise(&b, Events::IN);
        assert_eq!(world.take(epoll, 8), [(4, Events::IN)]);
        assert_eq!(world.take(epoll, 8), []);
    });
}

#[test]
fn threads_that_a_fork_left_behind_are_woken_no_more() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        world.add(epoll, &probe, 3, IN).unwrap();
        let blocked: Vec<Option<Block>> = (0..3).map(|t| world.core.block(epoll.id, t)).collect();
        assert!(blocked.iter().all(Option::is_some));
        world.core.only_thread();
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        assert_eq!(world.core.next_wake(), None);
        // On badges the one that is left may lead.
        world.lower(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), []);
        let alone = world.core.block(epoll.id, 0).unwrap();
        assert_eq!(alone, blocked[0].unwrap());
    });
}

/// An id may outlive what it named: another thread closes the instance that one is about to use.
#[test]
fn what_is_closed_meanwhile_is_not_there_and_harms_nobody() {
    everywhere(|world| {
        let (epoll, probe, set) = (world.epoll(), world.probe(), world.core.poll_set());
        world.add(epoll, &probe, 3, IN).unwrap();
        let block = world.core.block(epoll.id, 1).unwrap();
        world.model.enter(1, block);
        world.raise(&probe, Events::IN);
        let woke = world.model.woke(1, block).unwrap_or_default();
        world.core.close(epoll.source);
        world.core.close(epoll.source);
        world.model.leave(1);
        world.core.unblock(epoll.id, 1, block, woke);
        assert_eq!(world.take(epoll, 8), []);
        let add = Operation::Add {
            events: IN,
            data: 0,
        };
        let added = world.control(epoll, add, 3, probe.source);
        assert_eq!(added, Err(Errno::INVAL));
        assert_eq!(world.core.block(epoll.id, 1), Some(Block::Own));
        world.core.unblock(epoll.id, 1, Block::Own, Woke::default());
        assert_eq!(world.core.watch_count(epoll.id), 0);

        world.core.delete(set);
        world.core.delete(set);
        world.core.poll_begin(set);
        assert_eq!(world.core.poll_arm(set, probe.source, Events::IN), Ok(()));
        world.core.poll_armed(set, 1);
        assert_eq!(world.core.watch_count(set), 0);
        world.core.delete(InstanceId(u64::MAX));
        // Nor do sources that are gone matter.
        world.core.close(probe.source);
        world.core.publish(probe.source, Events::IN, Events::IN);
        assert!(!world.core.missed(probe.source, Events::IN));
        assert_eq!(world.core.level(SourceId::NONE), Events::empty());
        let live = world.core.poll_set();
        world.core.poll_begin(live);
        assert_eq!(world.core.poll_arm(live, probe.source, Events::IN), Ok(()));
        assert_eq!(world.core.watch_count(live), 0);
    });
}

/// From sixteen watches on a source has an index of them: the same answers.
#[test]
fn a_source_with_hundreds_of_watches_finds_each() {
    let world = &mut World::new(Setting::Local);
    let probe = world.probe();
    let epolls: Vec<Epoll> = (0..20).map(|_| world.epoll()).collect();
    let each = || {
        epolls
            .iter()
            .flat_map(|&epoll| (0..10).map(move |fd| (epoll, fd)))
    };
    for (epoll, fd) in each() {
        world.add(epoll, &probe, fd, IN).unwrap();
    }
    for (epoll, fd) in each() {
        assert_eq!(world.add(epoll, &probe, fd, IN), Err(Errno::EXIST));
        assert_eq!(world.modify(epoll, &probe, fd + 10, IN), Err(Errno::NOENT));
    }
    let delete = Operation::Delete;
    for (epoll, fd) in each().filter(|(_, fd)| fd % 2 == 0) {
        world.control(epoll, delete, fd, probe.source).unwrap();
        let again = world.control(epoll, delete, fd, probe.source);
        assert_eq!(again, Err(Errno::NOENT));
    }
    world.raise(&probe, Events::IN);
    for epoll in &epolls {
        let mut all: Vec<u64> = world.take(*epoll, 99).into_iter().map(|r| r.0).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 3, 5, 7, 9]);
    }
    // What holds of it is known without a watch.
    assert_eq!(world.core.level(probe.source), Events::IN);
    assert!(world.core.missed(probe.source, Events::OUT));
    assert!(!world.core.missed(probe.source, Events::IN));
}

#[test]
fn holds_and_level_of_an_instance_and_of_a_shared_source() {
    everywhere(|world| {
        let (epoll, probe): (Epoll, Probe) = (world.epoll(), world.probe());
        world.add(epoll, &probe, 3, IN).unwrap();
        assert_eq!(world.core.holds(epoll.source.number()), Events::empty());
        world.raise(&probe, Events::IN);
        assert_eq!(world.core.level(probe.source), Events::IN);
        assert_eq!(world.core.holds(probe.source.number()), Events::IN);
        assert_eq!(world.core.level(epoll.source), Events::READABLE);
        assert_eq!(world.core.holds(epoll.source.number()), Events::READABLE);
        let always = Events::READABLE | Events::WRITABLE;
        assert_eq!(world.core.holds(SourceId::NONE.number()), always);
    });
}
