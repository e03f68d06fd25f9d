// SPDX-License-Identifier: BSD-2-Clause
//! Places at sources of other processes: where there is no room for one, and when a source moves into shared memory or out of it.

use super::{Epoll, Machine, Probe, Refusal, Woken, World};
use crate::backend::{Block, Woke};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, Operation};
use crate::instance::InstanceId;
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};
use vfs_hooks::subscription::SUBSCRIPTIONS;

const IN: u32 = Events::IN.bits();
fn the_ninth_watch_of_a_shared_source_is_refused_and_leaves_nothing<M: Machine>(
    world: &mut World<M>,
) {
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
}

/// Each source is watched eight times, since the guest has fewer channels than watch slots.
fn when_the_process_has_no_more_watch_slots_adding_is_enospc<M: Machine>(world: &mut World<M>) {
    const EACH: i32 = SUBSCRIPTIONS as i32;
    let epoll = world.epoll();
    let mut probes = Vec::new();
    let mut count = 0;
    let refused = loop {
        if count % EACH == 0 {
            probes.push(world.probe());
        }
        let probe = &probes[(count / EACH) as usize];
        match world
            .core
            .epoll_ctl(epoll.id, adding(count), count, probe.source)
        {
            Ok(()) => count += 1,
            Err(errno) => break errno,
        }
    };
    assert_eq!((refused, count), (Errno::NOSPC, 1 << 14));
    let delete = Operation::Delete;
    world.control(epoll, delete, 7, probes[0].source).unwrap();
    let probe = world.probe();
    world.add(epoll, &probe, 7, IN).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), [(7, Events::IN)]);
}

fn adding(fd: i32) -> Operation {
    let data = fd as u64;
    Operation::Add { events: IN, data }
}

fn what_the_kernel_refuses_is_enospc_and_can_be_tried_again<M: Machine>(world: &mut World<M>) {
    for refusal in [
        Refusal::Create,
        Refusal::Attach,
        Refusal::AttachFull,
        Refusal::Enlarge,
    ] {
        let (epoll, probe) = (world.epoll(), world.probe());
        world.refuse(Some(refusal));
        for _ in 0..300 {
            assert_eq!(world.add(epoll, &probe, 3, IN), Err(Errno::NOSPC));
        }
        assert_eq!(world.attached(), 0);
        world.refuse(None);
        assert_eq!(world.add(epoll, &probe, 3, IN), Ok(()), "{refusal:?}");
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world.core.close(epoll.source);
        assert_eq!(world.attached(), 0, "slots are given back");
    }
}

/// A source of this process whose other end goes to another one, and comes back: as a pipe does that is handed to a child.
fn watches_move_along_with_their_source<M: Machine>(world: &mut World<M>) {
    let mut probe = world.own_probe();
    let (epoll, other) = (world.epoll(), world.epoll());
    world.add(epoll, &probe, 3, IN).unwrap();
    world.add(other, &probe, 4, IN | EDGE).unwrap();
    assert_eq!(world.attached(), 0);

    world.hand_over(&mut probe).unwrap();
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

    world.take_back(&mut probe);
    assert_eq!(world.attached(), 0, "places are given back");
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
}

fn a_source_that_moves_where_there_is_too_little_room_keeps_its_watches<M: Machine>(
    world: &mut World<M>,
) {
    let mut probe = world.own_probe();
    let epolls: Vec<Epoll> = (0..=SUBSCRIPTIONS).map(|_| world.epoll()).collect();
    for epoll in &epolls {
        world.add(*epoll, &probe, 3, IN).unwrap();
    }
    assert_eq!(world.hand_over(&mut probe), Err(Errno::NOSPC));
    world.raise(&probe, Events::IN);
    for epoll in epolls {
        // The one without a place was told to look when its source moved, and so finds it.
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
}

fn threads_that_a_fork_left_behind_are_woken_no_more<M: Machine>(world: &mut World<M>) {
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
}

/// An id may outlive what it named: another thread closes the instance that one is about to use.
fn what_is_closed_meanwhile_is_not_there_and_harms_nobody<M: Machine>(world: &mut World<M>) {
    let (epoll, probe, set) = (world.epoll(), world.probe(), world.core.poll_set());
    world.add(epoll, &probe, 3, IN).unwrap();
    let block = world.core.block(epoll.id, 1).unwrap();
    world.machine.enter(1, block, Deadline::NEVER);
    world.raise(&probe, Events::IN);
    let woke = world.machine.woke(1, block).unwrap_or_default();
    world.core.close(epoll.source);
    world.core.close(epoll.source);
    world.machine.leave(1);
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
    world.core.poll_armed(set);
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
}

/// From sixteen watches on a source has an index of them: the same answers.
fn a_source_with_hundreds_of_watches_finds_each<M: Machine>(world: &mut World<M>) {
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

fn holds_and_level_of_an_instance_and_of_a_shared_source<M: Machine>(world: &mut World<M>) {
    let (epoll, probe): (Epoll, Probe<M>) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    assert_eq!(world.core.holds(epoll.source.number()), Events::empty());
    world.raise(&probe, Events::IN);
    assert_eq!(world.core.level(probe.source), Events::IN);
    assert_eq!(world.core.holds(probe.source.number()), Events::IN);
    assert_eq!(world.core.level(epoll.source), Events::READABLE);
    assert_eq!(world.core.holds(epoll.source.number()), Events::READABLE);
    let always = Events::READABLE | Events::WRITABLE;
    assert_eq!(world.core.holds(SourceId::NONE.number()), always);
}

cases! {
    QUEUE: what_the_kernel_refuses_is_enospc_and_can_be_tried_again;
    REMOTE:
        the_ninth_watch_of_a_shared_source_is_refused_and_leaves_nothing,
        when_the_process_has_no_more_watch_slots_adding_is_enospc,
        watches_move_along_with_their_source,
        a_source_that_moves_where_there_is_too_little_room_keeps_its_watches;
    EVERYWHERE:
        threads_that_a_fork_left_behind_are_woken_no_more,
        what_is_closed_meanwhile_is_not_there_and_harms_nobody,
        holds_and_level_of_an_instance_and_of_a_shared_source;
    LOCAL: a_source_with_hundreds_of_watches_finds_each;
}
