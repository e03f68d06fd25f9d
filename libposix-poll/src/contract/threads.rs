// SPDX-License-Identifier: BSD-2-Clause
//! Several threads: who is woken by what. Each step is one hold of the core lock, so the steps need no threads to be tested; that real threads take
//! them in any order is tested by `tests/threads.rs`.

use super::{Machine, Setting, World};
use crate::backend::{Block, Woke};
use crate::frontend::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, Operation};
use alloc::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

fn trap_04_one_event_wakes_one_and_two_wake_two<M: Machine>(world: &mut World<M>) {
    for events in 1..=2 {
        let epoll = world.epoll();
        let probes: Vec<_> = (0..2).map(|_| world.probe()).collect();
        for (fd, probe) in probes.iter().enumerate() {
            world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
        }
        let blocked: Vec<_> = (0..3).map(|t| (t, epoll, world.block(epoll, t))).collect();
        let mut got = 0;
        for probe in &probes[..events] {
            world.raise(probe, Events::IN);
        }
        // On badges the leader wakes first, and then the next, if there is something left.
        let mut left = blocked;
        loop {
            let now = world.woken(&left);
            if now.is_empty() {
                break;
            }
            left.retain(|(thread, ..)| !now.contains(thread));
            for _ in now {
                got += world.take(epoll, 1).len();
            }
        }
        assert_eq!(got, events);
        let sleeping = left.len();
        match world.setting {
            // The leader's place is taken by another, who looks, finds nothing and would block again.
            Setting::Badge => assert!(sleeping <= 3 - events),
            // The first to run leaves one of the two, and cannot know that somebody is on the way for it: it wakes the third.
            _ if events == 2 => assert!(sleeping <= 1),
            _ => assert_eq!(sleeping, 3 - events),
        }
        for (thread, epoll, block) in left {
            world.machine.leave(thread);
            world.core.unblock(epoll.id, thread, block, Woke::default());
        }
    }
}

fn a_full_batch_wakes_one_more<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    let probes: Vec<_> = (0..3).map(|_| world.probe()).collect();
    let blocked = [(1, epoll, world.block(epoll, 1))];
    for (fd, probe) in probes.iter().enumerate() {
        world.raise(probe, Events::IN);
        world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
    }
    assert_eq!(world.woken(&blocked), [1]);
    // Thread 1 has not run yet; thread 2 blocks no more, since there is something.
    assert_eq!(world.core.block(epoll.id, 2), None);
    assert_eq!(world.take(epoll, 3).len(), 3);
    let blocked = [
        (1, epoll, world.block(epoll, 1)),
        (2, epoll, world.block(epoll, 2)),
    ];
    for probe in &probes {
        let fd = probes
            .iter()
            .position(|p| p.source == probe.source)
            .unwrap();
        world.modify(epoll, probe, fd as i32, IN | EDGE).unwrap();
    }
    let mut now = world.woken(&blocked);
    now.sort_unstable();
    assert_eq!(now, [1, 2], "three candidates: both waiters");
    let third = world.core.block(epoll.id, 3);
    assert_eq!(third, None);
}

fn whoever_leaves_the_ready_list_non_empty_wakes_one_more<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    let blocked: Vec<_> = (0..2).map(|t| (t, epoll, world.block(epoll, t))).collect();
    world.raise(&probe, Events::IN);
    assert_eq!(world.woken(&blocked), [0]);
    // Level-triggered: it stays in the list, so the second one is to look as well.
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    assert_eq!(world.woken(&blocked[1..]), [1]);
}

fn modification_and_addition_wake_a_waiter<M: Machine>(world: &mut World<M>) {
    let (epoll, probe, other) = (world.epoll(), world.probe(), world.probe());
    world.raise(&probe, Events::IN);
    world.add(epoll, &probe, 3, Events::OUT.bits()).unwrap();
    let blocked = [(1, epoll, world.block(epoll, 1))];
    world.modify(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
    assert_eq!(world.woken(&blocked), [1]);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    let blocked = [(1, epoll, world.block(epoll, 1))];
    world.raise(&other, Events::IN);
    world.add(epoll, &other, 4, IN).unwrap();
    assert_eq!(world.woken(&blocked), [1]);
    assert_eq!(world.take(epoll, 8), [(4, Events::IN)]);
}

/// Of a source of this process, and of one that several processes watch.
fn trap_15_of_exclusive_watches_one_waiter_is_woken<M: Machine>(world: &mut World<M>) {
    let probe = world.probe();
    let epolls: Vec<_> = (0..4).map(|_| world.epoll()).collect();
    for epoll in &epolls {
        world.add(*epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    // Nobody waits in the first: it is passed over in favour of the second.
    let blocked: Vec<_> = (1..4)
        .map(|t| (t, epolls[t], world.block(epolls[t], t)))
        .collect();
    world.raise(&probe, Events::IN);
    assert_eq!(world.woken(&blocked), [1]);
    assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
    // Those behind the one that was woken know nothing.
    assert_eq!(world.take(epolls[2], 8), []);
    assert_eq!(world.take(epolls[3], 8), []);
    world.lower(&probe, Events::IN);
    // A watch that is not exclusive is told in any case.
    let plain = world.epoll();
    world.add(plain, &probe, 3, IN).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.woken(&blocked[1..]), [2]);
    assert_eq!(world.take(plain, 8), [(3, Events::IN)]);
}

fn exclusive_watches_without_any_waiter_are_all_told<M: Machine>(world: &mut World<M>) {
    let probe = world.probe();
    let epolls: Vec<_> = (0..3).map(|_| world.epoll()).collect();
    for epoll in &epolls {
        world.add(*epoll, &probe, 3, IN | EXCLUSIVE | EDGE).unwrap();
    }
    world.raise(&probe, Events::IN);
    for epoll in epolls {
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
}

/// On badges one thread hears for all, and it is woken for the one that is to be.
fn of_exclusive_watches_one_is_told_on_badges_too<M: Machine>(world: &mut World<M>) {
    let probe = world.probe();
    let epolls: Vec<_> = (0..3).map(|_| world.epoll()).collect();
    for epoll in &epolls {
        world.add(*epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    let blocked: Vec<_> = [2, 1]
        .map(|t| (t, epolls[t], world.block(epolls[t], t)))
        .into();
    world.raise(&probe, Events::IN);
    // Thread 2 leads, hears that it is for the instance of thread 1, and finds nothing itself.
    assert_eq!(world.woken(&blocked), [2]);
    assert_eq!(world.take(epolls[2], 8), []);
    assert_eq!(world.woken(&blocked[1..]), [1]);
    assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
    assert_eq!(world.take(epolls[0], 8), []);
}

/// Who is woken for another reason takes what it was told of for all, even if the signal is still on its way.
fn an_exclusive_event_is_not_left_with_who_wakes_up_for_another_reason<M: Machine>(
    world: &mut World<M>,
) {
    let (probe, other) = (world.probe(), world.probe());
    let epolls = [world.epoll(), world.epoll()];
    for epoll in epolls {
        world.add(epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    world.add(epolls[0], &other, 4, IN).unwrap();
    let blocked: Vec<_> = (0..2)
        .map(|t| (t, epolls[t], world.block(epolls[t], t)))
        .collect();
    // The producer has chosen the first, and is about to signal it.
    let late = world.raise_late(&probe, Events::IN);
    world.raise(&other, Events::IN);
    assert_eq!(world.woken(&blocked), [0]);
    let mut got = world.take(epolls[0], 8);
    got.sort_unstable_by_key(|r| r.0);
    assert_eq!(got, [(3, Events::IN), (4, Events::IN)]);
    world.machine.signal(&probe.shared, late);
    assert_eq!(world.woken(&blocked[1..]), []);
    // The next one is for the second, which still sleeps.
    world.lower(&probe, Events::IN);
    world.raise(&probe, Events::IN);
    assert_eq!(world.woken(&blocked[1..]), [1]);
    assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
}

fn an_exclusive_watch_that_goes_is_told_no_more<M: Machine>(world: &mut World<M>) {
    let probe = world.probe();
    let epolls = [world.epoll(), world.epoll()];
    for epoll in epolls {
        world.add(epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    let blocked: Vec<_> = (0..2)
        .map(|t| (t, epolls[t], world.block(epolls[t], t)))
        .collect();
    let delete = Operation::Delete;
    world.control(epolls[0], delete, 3, probe.source).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.woken(&blocked), [1]);
    // It may come back, and as another kind.
    world.add(epolls[0], &probe, 3, IN).unwrap();
    assert_eq!(world.woken(&blocked[..1]), [0]);
    assert_eq!(world.take(epolls[0], 8), [(3, Events::IN)]);
}

/// On an unmodified kernel one of the waiting threads listens for all.
fn a_leader_hands_out_what_came_and_is_followed<M: Machine>(world: &mut World<M>) {
    let (one, two) = (world.epoll(), world.epoll());
    let (a, b) = (world.probe(), world.probe());
    world.add(one, &a, 3, IN).unwrap();
    world.add(two, &b, 4, IN).unwrap();
    let blocked = [(1, one, world.block(one, 1)), (2, two, world.block(two, 2))];
    assert_eq!((blocked[0].2, blocked[1].2), (Block::Process, Block::Own));
    // It is for the second; the first hears it, and wakes the second.
    world.raise(&b, Events::IN);
    assert_eq!(world.woken(&blocked), [1]);
    assert_eq!(world.take(one, 8), []);
    assert_eq!(world.woken(&blocked[1..]), [2]);
    assert_eq!(world.take(two, 8), [(4, Events::IN)]);
    world.lower(&b, Events::IN);
    assert_eq!(world.take(two, 8), []);
    // The first leader has something to do: the other is woken to lead.
    let blocked = [(1, one, world.block(one, 1)), (2, two, world.block(two, 2))];
    world.raise(&a, Events::IN);
    assert_eq!(world.woken(&blocked), [1]);
    assert_eq!(world.woken(&blocked[1..]), [2]);
    assert_eq!(world.block(two, 2), Block::Process);
    assert_eq!(world.take(one, 8), [(3, Events::IN)]);
}

cases! {
    EVERYWHERE: trap_04_one_event_wakes_one_and_two_wake_two, a_full_batch_wakes_one_more, modification_and_addition_wake_a_waiter, exclusive_watches_without_any_waiter_are_all_told;
    LOCAL: whoever_leaves_the_ready_list_non_empty_wakes_one_more;
    BADGE: of_exclusive_watches_one_is_told_on_badges_too, a_leader_hands_out_what_came_and_is_followed;
    QUEUE: an_exclusive_event_is_not_left_with_who_wakes_up_for_another_reason, an_exclusive_watch_that_goes_is_told_no_more;
    EACH: trap_15_of_exclusive_watches_one_waiter_is_woken;
}
