// SPDX-License-Identifier: BSD-2-Clause
//! Several threads: who is woken by what. Each step is one hold of the core lock, so the steps need no threads to be tested; that real threads take
//! them in any order is tested by `tests/threads.rs`.

use super::{Epoll, Setting, World, everywhere};
use crate::backend::{Block, Woke};
use crate::frontend::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, Operation};
use std::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

fn block(world: &mut World, epoll: Epoll, thread: usize) -> Block {
    let block = world.core.block(epoll.id, thread);
    let block = block.expect("nothing is ready");
    world.model.enter(thread, block);
    block
}

/// Threads that were woken by the core or the kernel, of those that block there.
fn woken(world: &mut World, blocked: &[(usize, Epoll, Block)]) -> Vec<usize> {
    let kicked: Vec<usize> = core::iter::from_fn(|| world.core.next_wake()).collect();
    let mut all = Vec::new();
    for &(thread, epoll, block) in blocked {
        let woke = world.model.woke(thread, block);
        if woke.is_some() || kicked.contains(&thread) {
            world.model.leave(thread);
            let woke = woke.unwrap_or_default();
            world.core.unblock(epoll.id, thread, block, woke);
            all.push(thread);
        }
    }
    all
}

#[test]
fn trap_04_one_event_wakes_one_and_two_wake_two() {
    everywhere(|world| {
        for events in 1..=2 {
            let epoll = world.epoll();
            let probes: Vec<_> = (0..2).map(|_| world.probe()).collect();
            for (fd, probe) in probes.iter().enumerate() {
                world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
            }
            let blocked: Vec<_> = (0..3).map(|t| (t, epoll, block(world, epoll, t))).collect();
            let mut got = 0;
            for probe in &probes[..events] {
                world.raise(probe, Events::IN);
            }
            // On badges the leader wakes first, and then the next, if there is something left.
            let mut left = blocked;
            loop {
                let now = woken(world, &left);
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
                world.model.leave(thread);
                world.core.unblock(epoll.id, thread, block, Woke::default());
            }
        }
    });
}

#[test]
fn a_full_batch_wakes_one_more() {
    everywhere(|world| {
        let epoll = world.epoll();
        let probes: Vec<_> = (0..3).map(|_| world.probe()).collect();
        let blocked = [(1, epoll, block(world, epoll, 1))];
        for (fd, probe) in probes.iter().enumerate() {
            world.raise(probe, Events::IN);
            world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
        }
        assert_eq!(woken(world, &blocked), [1]);
        // Thread 1 has not run yet; thread 2 blocks no more, since there is something.
        assert_eq!(world.core.block(epoll.id, 2), None);
        assert_eq!(world.take(epoll, 3).len(), 3);
        let blocked = [
            (1, epoll, block(world, epoll, 1)),
            (2, epoll, block(world, epoll, 2)),
        ];
        for probe in &probes {
            let fd = probes
                .iter()
                .position(|p| p.source == probe.source)
                .unwrap();
            world.modify(epoll, probe, fd as i32, IN | EDGE).unwrap();
        }
        let mut now = woken(world, &blocked);
        now.sort_unstable();
        assert_eq!(now, [1, 2], "three candidates: both waiters");
        let third = world.core.block(epoll.id, 3);
        assert_eq!(third, None);
    });
}

#[test]
fn whoever_leaves_the_ready_list_non_empty_wakes_one_more() {
    let world = &mut World::new(Setting::Local);
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    let blocked: Vec<_> = (0..2).map(|t| (t, epoll, block(world, epoll, t))).collect();
    world.raise(&probe, Events::IN);
    assert_eq!(woken(world, &blocked), [0]);
    // Level-triggered: it stays in the list, so the second one is to look as well.
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    assert_eq!(woken(world, &blocked[1..]), [1]);
}

#[test]
fn modification_and_addition_wake_a_waiter() {
    everywhere(|world| {
        let (epoll, probe, other) = (world.epoll(), world.probe(), world.probe());
        world.raise(&probe, Events::IN);
        world.add(epoll, &probe, 3, Events::OUT.bits()).unwrap();
        let blocked = [(1, epoll, block(world, epoll, 1))];
        world.modify(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
        assert_eq!(woken(world, &blocked), [1]);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        let blocked = [(1, epoll, block(world, epoll, 1))];
        world.raise(&other, Events::IN);
        world.add(epoll, &other, 4, IN).unwrap();
        assert_eq!(woken(world, &blocked), [1]);
        assert_eq!(world.take(epoll, 8), [(4, Events::IN)]);
    });
}

/// Of a source of this process, and of one that several processes watch.
#[test]
fn trap_15_of_exclusive_watches_one_waiter_is_woken() {
    for setting in [Setting::Local, Setting::Queue] {
        let world = &mut World::new(setting);
        let probe = world.probe();
        let epolls: Vec<_> = (0..4).map(|_| world.epoll()).collect();
        for epoll in &epolls {
            world.add(*epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
        }
        // Nobody waits in the first: it is passed over in favour of the second.
        let blocked: Vec<_> = (1..4)
            .map(|t| (t, epolls[t], block(world, epolls[t], t)))
            .collect();
        world.raise(&probe, Events::IN);
        assert_eq!(woken(world, &blocked), [1]);
        assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
        // Those behind the one that was woken know nothing.
        assert_eq!(world.take(epolls[2], 8), []);
        assert_eq!(world.take(epolls[3], 8), []);
        world.lower(&probe, Events::IN);
        // A watch that is not exclusive is told in any case.
        let plain = world.epoll();
        world.add(plain, &probe, 3, IN).unwrap();
        world.raise(&probe, Events::IN);
        assert_eq!(woken(world, &blocked[1..]), [2]);
        assert_eq!(world.take(plain, 8), [(3, Events::IN)]);
    }
}

#[test]
fn exclusive_watches_without_any_waiter_are_all_told() {
    everywhere(|world| {
        let probe = world.probe();
        let epolls: Vec<_> = (0..3).map(|_| world.epoll()).collect();
        for epoll in &epolls {
            world.add(*epoll, &probe, 3, IN | EXCLUSIVE | EDGE).unwrap();
        }
        world.raise(&probe, Events::IN);
        for epoll in epolls {
            assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        }
    });
}

/// On badges one thread hears for all, and it is woken for the one that is to be.
#[test]
fn of_exclusive_watches_one_is_told_on_badges_too() {
    let world = &mut World::new(Setting::Badge);
    let probe = world.probe();
    let epolls: Vec<_> = (0..3).map(|_| world.epoll()).collect();
    for epoll in &epolls {
        world.add(*epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    let blocked: Vec<_> = [2, 1]
        .map(|t| (t, epolls[t], block(world, epolls[t], t)))
        .into();
    world.raise(&probe, Events::IN);
    // Thread 2 leads, hears that it is for the instance of thread 1, and finds nothing itself.
    assert_eq!(woken(world, &blocked), [2]);
    assert_eq!(world.take(epolls[2], 8), []);
    assert_eq!(woken(world, &blocked[1..]), [1]);
    assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
    assert_eq!(world.take(epolls[0], 8), []);
}

/// Who is woken for another reason takes what it was told of for all, even if the signal is still on its way.
#[test]
fn an_exclusive_event_is_not_left_with_who_wakes_up_for_another_reason() {
    let world = &mut World::new(Setting::Queue);
    let (probe, other) = (world.probe(), world.probe());
    let epolls = [world.epoll(), world.epoll()];
    for epoll in epolls {
        world.add(epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    world.add(epolls[0], &other, 4, IN).unwrap();
    let blocked: Vec<_> = (0..2)
        .map(|t| (t, epolls[t], block(world, epolls[t], t)))
        .collect();
    // The producer has chosen the first, and is about to signal it.
    let late = world.raise_late(&probe, Events::IN);
    world.raise(&other, Events::IN);
    assert_eq!(woken(world, &blocked), [0]);
    let mut got = world.take(epolls[0], 8);
    got.sort_unstable_by_key(|r| r.0);
    assert_eq!(got, [(3, Events::IN), (4, Events::IN)]);
    world.model.signal(late);
    assert_eq!(woken(world, &blocked[1..]), []);
    // The next one is for the second, which still sleeps.
    world.lower(&probe, Events::IN);
    world.raise(&probe, Events::IN);
    assert_eq!(woken(world, &blocked[1..]), [1]);
    assert_eq!(world.take(epolls[1], 8), [(3, Events::IN)]);
}

#[test]
fn an_exclusive_watch_that_goes_is_told_no_more() {
    let world = &mut World::new(Setting::Queue);
    let probe = world.probe();
    let epolls = [world.epoll(), world.epoll()];
    for epoll in epolls {
        world.add(epoll, &probe, 3, IN | EXCLUSIVE).unwrap();
    }
    let blocked: Vec<_> = (0..2)
        .map(|t| (t, epolls[t], block(world, epolls[t], t)))
        .collect();
    let delete = Operation::Delete;
    world.control(epolls[0], delete, 3, probe.source).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(woken(world, &blocked), [1]);
    // It may come back, and as another kind.
    world.add(epolls[0], &probe, 3, IN).unwrap();
    assert_eq!(woken(world, &blocked[..1]), [0]);
    assert_eq!(world.take(epolls[0], 8), [(3, Events::IN)]);
}

/// On an unmodified kernel one of the waiting threads listens for all.
#[test]
fn a_leader_hands_out_what_came_and_is_followed() {
    let world = &mut World::new(Setting::Badge);
    let (one, two) = (world.epoll(), world.epoll());
    let (a, b) = (world.probe(), world.probe());
    world.add(one, &a, 3, IN).unwrap();
    world.add(two, &b, 4, IN).unwrap();
    let blocked = [
        (1, one, block(world, one, 1)),
        (2, two, block(world, two, 2)),
    ];
    assert_eq!((blocked[0].2, blocked[1].2), (Block::Process, Block::Own));
    // It is for the second; the first hears it, and wakes the second.
    world.raise(&b, Events::IN);
    assert_eq!(woken(world, &blocked), [1]);
    assert_eq!(world.take(one, 8), []);
    assert_eq!(woken(world, &blocked[1..]), [2]);
    assert_eq!(world.take(two, 8), [(4, Events::IN)]);
    world.lower(&b, Events::IN);
    assert_eq!(world.take(two, 8), []);
    // The first leader has something to do: the other is woken to lead.
    let blocked = [
        (1, one, block(world, one, 1)),
        (2, two, block(world, two, 2)),
    ];
    world.raise(&a, Events::IN);
    assert_eq!(woken(world, &blocked), [1]);
    assert_eq!(woken(world, &blocked[1..]), [2]);
    assert_eq!(block(world, two, 2), Block::Process);
    assert_eq!(world.take(one, 8), [(3, Events::IN)]);
}
