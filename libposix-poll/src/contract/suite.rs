// SPDX-License-Identifier: BSD-2-Clause
//! Waiting, waking and room, in every setting.

use super::{Machine, Probe, Woken, World};
use crate::deadline::Deadline;
use crate::frontend::epoll::{EDGE, ONE_SHOT};
use crate::instance::InstanceId;
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::Sources;

const IN: u32 = Events::IN.bits();

fn level_is_reported_until_it_falls<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    assert_eq!(world.take(epoll, 8), []);
    world.raise(&probe, Events::IN);
    for _ in 0..3 {
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
    world.lower(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), []);
}

fn what_holds_when_added_is_reported<M: Machine>(world: &mut World<M>) {
    for mode in [0, EDGE, ONE_SHOT] {
        let (epoll, probe) = (world.epoll(), world.probe());
        world.raise(&probe, Events::IN);
        world.add(epoll, &probe, 3, IN | mode).unwrap();
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
}

fn one_shot_says_nothing_until_modified<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), []);
    world.modify(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
}

fn a_signal_ends_a_wait<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    for _ in 0..3 {
        assert_eq!(world.take(epoll, 8), []);
        let other = probe.clone();
        world.then(move |world| world.raise(&other, Events::IN));
        assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world.lower(&probe, Events::IN);
    }
}

fn a_signal_between_look_and_wait_ends_the_wait<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    assert_eq!(world.take(epoll, 8), []);
    world.raise(&probe, Events::IN);
    assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
}

fn a_kick_and_a_deadline_interrupt<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    assert_eq!(world.take(epoll, 8), []);
    assert_eq!(world.wait(epoll.id, Deadline::at(5)), Woken::Interrupted);
    world.then(World::kick);
    assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Interrupted);
}

fn thousands_of_sources_are_all_reported<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    let probes: Vec<Probe<M>> = (0..3000).map(|_| world.probe()).collect();
    for (fd, probe) in probes.iter().enumerate() {
        if fd == 250 {
            // Entries are outstanding while the buffer grows.
            probes[..9].iter().for_each(|p| world.raise(p, Events::IN));
        }
        world.add(epoll, probe, fd as i32, IN).unwrap();
    }
    probes.iter().for_each(|p| world.raise(p, Events::IN));
    let mut all = world.take(epoll, 4000);
    all.sort_unstable_by_key(|r| r.0);
    let expected: Vec<_> = (0..3000).map(|fd| (fd, Events::IN)).collect();
    assert_eq!(all, expected);
}

fn churn_does_not_fill_the_queue<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    for round in 0..1000 {
        let probe = world.probe();
        world.add(epoll, &probe, round, IN).unwrap();
        world.raise(&probe, Events::IN);
        world.core.close(probe.source);
        assert_eq!(world.core.watch_count(epoll.id), 0);
    }
    assert_eq!(world.take(epoll, 8), []);
}

fn nothing_pending_costs_no_kernel_entry_on_the_queue<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    let before = world.calls();
    for _ in 0..10 {
        assert_eq!(world.take(epoll, 8), []);
    }
    assert_eq!(world.calls(), before);
    world.raise(&probe, Events::IN);
    world.take(epoll, 8);
    assert_eq!(world.calls(), before + 1, "one collection");
    world.take(epoll, 8);
    assert_eq!(world.calls(), before + 1, "ready list");
}

fn several_pollers_share_the_notification_of_a_process<M: Machine>(world: &mut World<M>) {
    let (one, two) = (world.epoll(), world.epoll());
    let (a, b) = (world.probe(), world.probe());
    world.add(one, &a, 3, IN).unwrap();
    world.add(two, &b, 4, IN).unwrap();
    world.add(two, &a, 5, IN | EDGE).unwrap();
    world.raise(&a, Events::IN);
    world.raise(&b, Events::IN);
    assert_eq!(world.take(one, 8), [(3, Events::IN)]);
    let mut both = world.take(two, 8);
    both.sort_unstable_by_key(|r| r.0);
    assert_eq!(both, [(4, Events::IN), (5, Events::IN)]);
}

fn an_inner_instance_wakes_the_outer_one<M: Machine>(world: &mut World<M>) {
    let (outer, inner, probe) = (world.epoll(), world.epoll(), world.probe());
    world.nest(outer, inner, 9, IN).unwrap();
    world.add(inner, &probe, 3, IN).unwrap();
    for _ in 0..3 {
        assert_eq!(world.take(outer, 8), []);
        world.raise(&probe, Events::IN);
        assert_eq!(world.wait(outer.id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(outer, 8), [(9, Events::IN)]);
        assert_eq!(world.take(inner, 8), [(3, Events::IN)]);
        world.lower(&probe, Events::IN);
    }
    world.modify(inner, &probe, 3, Events::OUT.bits()).unwrap();
    world.raise(&probe, Events::OUT);
    assert_eq!(world.take(outer, 8), [(9, Events::IN)]);
    world.core.close(probe.source);
    assert_eq!(world.take(outer, 8), []);
}

fn trap_16_polling_again_attaches_nothing<M: Machine>(world: &mut World<M>) {
    let set = world.core.poll_set();
    let probes: Vec<Probe<M>> = (0..100).map(|_| world.probe()).collect();
    let ready = |world: &mut World<M>| -> Vec<usize> {
        let is_ready = |&i: &usize| {
            !world
                .core
                .revents(probes[i].source.number(), IN as u16)
                .is_empty()
        };
        (0..100).filter(is_ready).collect()
    };
    let mut calls = 0;
    for round in 0..5 {
        assert_eq!(ready(world), []);
        world.core.poll_begin(set);
        for probe in &probes {
            world.core.poll_arm(set, probe.source, Events::IN).unwrap();
        }
        world.core.poll_armed(set);
        if round == 1 {
            calls = world.calls();
        }
        let probe = probes[round * 7].clone();
        world.then(move |world| world.raise(&probe, Events::IN));
        assert_eq!(world.wait(set, Deadline::NEVER), Woken::Events);
        assert_eq!(ready(world), [round * 7]);
        world.lower(&probes[round * 7], Events::IN);
    }
    // A wait, a collection or a poll of the notification in each round, and nothing for any fd.
    assert!(world.calls() - calls <= 4 * 3);
}

fn what_a_thread_polls_no_longer_goes_when_it_is_much<M: Machine>(world: &mut World<M>) {
    let set = world.core.poll_set();
    for _ in 0..10 {
        let probes: Vec<Probe<M>> = (0..50).map(|_| world.probe()).collect();
        world.core.poll_begin(set);
        for probe in &probes {
            world.core.poll_arm(set, probe.source, Events::IN).unwrap();
        }
        world.core.poll_armed(set);
    }
    assert!(world.core.watch_count(set) <= 50 + 64);
    world.core.delete(set);
    assert_eq!(world.core.watch_count(set), 0);
}

fn a_file_polled_twice_is_watched_for_both<M: Machine>(world: &mut World<M>) {
    let (set, probe) = (world.core.poll_set(), world.probe());
    world.core.poll_begin(set);
    world.core.poll_arm(set, probe.source, Events::IN).unwrap();
    world.core.poll_arm(set, probe.source, Events::OUT).unwrap();
    world.core.poll_armed(set);
    let other = probe.clone();
    world.then(move |world| world.raise(&other, Events::IN));
    assert_eq!(world.wait(set, Deadline::NEVER), Woken::Events);
    world.core.poll_begin(set);
    world.core.poll_arm(set, probe.source, Events::OUT).unwrap();
    world.core.poll_armed(set);
    let other = probe.clone();
    world.then(move |world| world.raise(&other, Events::IN));
    assert_eq!(world.wait(set, Deadline::at(1)), Woken::Interrupted);
}

/// Arms a set for all probes; probe `i` is its number `i`.
fn watch_all<M: Machine>(world: &mut World<M>, set: InstanceId, probes: &[Probe<M>]) {
    world.core.poll_begin(set);
    for (at, probe) in (0..).zip(probes) {
        let watched = world.core.poll_watch(set, probe.source, Events::IN, at);
        assert_eq!(watched, Ok(true));
    }
    world.core.poll_armed(set);
}

/// What a look at the set alone finds, by number.
fn take_all<M: Machine>(world: &mut World<M>, set: InstanceId) -> Vec<(u32, Events)> {
    let mut found = Vec::new();
    world
        .core
        .poll_take(set, |events, at| found.push((at, events)));
    found.sort_unstable_by_key(|&(at, _)| at);
    found
}

fn a_set_that_stays_armed_says_what_holds<M: Machine>(world: &mut World<M>) {
    let set = world.core.poll_set();
    let probes: Vec<Probe<M>> = (0..10).map(|_| world.probe()).collect();
    world.raise(&probes[9], Events::IN);
    watch_all(world, set, &probes);
    // What held as it was armed, what came after, and what came and went.
    assert_eq!(take_all(world, set), [(9, Events::IN)]);
    world.raise(&probes[3], Events::IN);
    world.raise(&probes[4], Events::IN);
    world.lower(&probes[4], Events::IN);
    assert_eq!(take_all(world, set), [(3, Events::IN), (9, Events::IN)]);
    assert_eq!(take_all(world, set), [(3, Events::IN), (9, Events::IN)]);
    world.lower(&probes[3], Events::IN);
    world.lower(&probes[9], Events::IN);
    for _ in 0..3 {
        assert_eq!(take_all(world, set), []);
        let probe = probes[4].clone();
        world.then(move |world| world.raise(&probe, Events::IN));
        assert_eq!(world.wait(set, Deadline::NEVER), Woken::Events);
        assert_eq!(take_all(world, set), [(4, Events::IN)]);
        world.lower(&probes[4], Events::IN);
    }
    // Fewer: the others say nothing, whatever happens to them.
    watch_all(world, set, &probes[..2]);
    for probe in &probes {
        world.raise(probe, Events::IN);
    }
    assert_eq!(take_all(world, set), [(0, Events::IN), (1, Events::IN)]);
    // And all again, one of them twice.
    watch_all(world, set, &probes);
    assert_eq!(take_all(world, set).len(), 10);
    let again = world
        .core
        .poll_watch(set, probes[5].source, Events::OUT, 10);
    assert_eq!(again, Ok(false));
}

/// One source alone, as a blocking read has it.
fn a_set_for_one_source_is_armed_again_and_again<M: Machine>(world: &mut World<M>) {
    let (set, probe) = (world.core.poll_set(), world.probe());
    world.core.poll_begin(set);
    world.core.poll_arm(set, probe.source, Events::IN).unwrap();
    world.core.poll_armed(set);
    for _ in 0..5 {
        let level = world.core.poll_again(set, probe.source);
        assert!(!level.intersects(Events::IN));
        let other = probe.clone();
        world.then(move |world| world.raise(&other, Events::IN));
        assert_eq!(world.wait(set, Deadline::NEVER), Woken::Events);
        let level = world.core.poll_again(set, probe.source);
        assert!(level.contains(Events::IN));
        world.lower(&probe, Events::IN);
        // News that nobody waited for.
        world.raise(&probe, Events::IN);
        world.lower(&probe, Events::IN);
    }
}

/// An outer instance that nobody looks into hears of shared sources far below.
fn a_chain_of_instances_wakes_its_outermost<M: Machine>(world: &mut World<M>) {
    let chain: Vec<_> = (0..4).map(|_| world.epoll()).collect();
    let probe = world.probe();
    for i in 0..3 {
        world.nest(chain[i], chain[i + 1], 5, IN).unwrap();
    }
    world.add(chain[3], &probe, 3, IN).unwrap();
    for _ in 0..3 {
        let other = probe.clone();
        world.then(move |world| world.raise(&other, Events::IN));
        assert_eq!(world.wait(chain[0].id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(chain[0], 8), [(5, Events::IN)]);
        world.lower(&probe, Events::IN);
        assert_eq!(world.take(chain[0], 8), []);
    }
    // A link goes: what is below it says nothing any more.
    let delete = crate::frontend::epoll::Operation::Delete;
    world.control(chain[1], delete, 5, chain[2].source).unwrap();
    let other = probe.clone();
    world.then(move |world| world.raise(&other, Events::IN));
    assert_eq!(world.take(chain[0], 8), []);
    world.wait(chain[0].id, Deadline::at(1));
    assert_eq!(world.take(chain[0], 8), []);
}

fn a_queue_that_lost_its_frame_looks_at_all<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    let probes: Vec<Probe<M>> = (0..5).map(|_| world.probe()).collect();
    for (fd, probe) in probes.iter().enumerate() {
        world.add(epoll, probe, fd as i32, IN).unwrap();
    }
    world.set_overrun(true);
    world.raise(&probes[3], Events::IN);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    world.set_overrun(false);
    world.lower(&probes[3], Events::IN);
    assert_eq!(world.take(epoll, 8), []);
}

cases! {
    EVERYWHERE: level_is_reported_until_it_falls, what_holds_when_added_is_reported, one_shot_says_nothing_until_modified, a_signal_ends_a_wait, a_signal_between_look_and_wait_ends_the_wait, a_kick_and_a_deadline_interrupt, thousands_of_sources_are_all_reported, churn_does_not_fill_the_queue, several_pollers_share_the_notification_of_a_process, an_inner_instance_wakes_the_outer_one, trap_16_polling_again_attaches_nothing, what_a_thread_polls_no_longer_goes_when_it_is_much, a_file_polled_twice_is_watched_for_both, a_set_that_stays_armed_says_what_holds, a_set_for_one_source_is_armed_again_and_again, a_chain_of_instances_wakes_its_outermost;
    QUEUE: nothing_pending_costs_no_kernel_entry_on_the_queue, a_queue_that_lost_its_frame_looks_at_all;
}
