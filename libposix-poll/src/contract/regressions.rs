// SPDX-License-Identifier: BSD-2-Clause
//! One test for each bug that was found, named after it.

use super::{SETTINGS, Setting, World, take};
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use std::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

fn everywhere(check: impl Fn(&World)) {
    for setting in SETTINGS {
        std::println!("{setting:?}");
        check(&World::new(setting));
    }
}

const ADD: Operation = Operation::Add {
    events: IN,
    data: 0,
};

/// Linux refuses a sixth instance whichever end the chain grows at.
#[test]
fn a_chain_that_grows_downwards_is_limited_too() {
    let world = World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    for i in 0..5 {
        let target = world.target(3, &chain[i + 1]);
        let expected = if i < 4 { Ok(()) } else { Err(Errno::LOOP) };
        assert_eq!(chain[i].control(ADD, &target), expected, "link {i}");
    }
}

#[test]
fn a_chain_that_grows_upwards_has_five_instances_at_most() {
    let world = World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    for i in 0..5 {
        let target = world.target(3, &chain[i]);
        let expected = if i < 4 { Ok(()) } else { Err(Errno::LOOP) };
        assert_eq!(chain[i + 1].control(ADD, &target), expected, "link {i}");
    }
}

#[test]
fn a_chain_may_grow_again_when_a_link_was_deleted() {
    let world = World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    let targets: Vec<_> = chain.iter().map(|e| world.target(3, e)).collect();
    for i in 0..4 {
        chain[i].control(ADD, &targets[i + 1]).unwrap();
    }
    assert_eq!(chain[4].control(ADD, &targets[5]), Err(Errno::LOOP));
    chain[0].control(Operation::Delete, &targets[1]).unwrap();
    assert_eq!(chain[4].control(ADD, &targets[5]), Ok(()));
}

/// An outer edge-triggered watch sees each event below, also of what was ready before and is not the first to be looked at.
#[test]
fn an_outer_edge_is_each_event_of_any_inner_source() {
    everywhere(|world| {
        let (inner, outer) = (world.epoll(), world.epoll());
        let (a, b) = (world.probe(), world.probe());
        a.add(&inner, 3, IN).unwrap();
        b.add(&inner, 4, IN).unwrap();
        let add = Operation::Add {
            events: IN | EDGE,
            data: 9,
        };
        outer.control(add, &world.target(5, &inner)).unwrap();
        a.source.raise(Events::IN);
        b.source.raise(Events::IN);
        assert_eq!(take(&outer, 8), [(9, Events::IN)]);
        assert_eq!(take(&outer, 8), []);
        b.source.raise(Events::IN);
        assert_eq!(take(&outer, 8), [(9, Events::IN)], "the second source");
        a.source.raise(Events::IN);
        assert_eq!(take(&outer, 8), [(9, Events::IN)], "the first source");
    });
}

/// Adding and deleting without ever waiting must not grow the ready list.
#[test]
fn churn_does_not_grow_the_ready_list() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        for _ in 0..2000 {
            probe.add(&epoll, 3, IN).unwrap();
            probe.source.raise(Events::IN);
            epoll.forget(probe.file);
        }
        let n = epoll.candidates();
        assert!(n <= 200, "{n} candidates for no watch");
    });
}

/// What is in the ready list is looked at anyway: its source need not signal.
#[test]
fn a_source_in_the_ready_list_is_not_asked_to_signal() {
    let world = World::new(Setting::Queue);
    let (epoll, probe) = (world.epoll(), world.probe());
    probe.add(&epoll, 3, IN).unwrap();
    probe.source.raise(Events::IN);
    take(&epoll, 8);
    let before = world.model.calls.get();
    for _ in 0..10 {
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
    }
    assert_eq!(world.model.calls.get(), before, "collections");
}

/// A one-shot watch that has reported wakes nobody until it is modified.
#[test]
fn a_spent_one_shot_watch_costs_nothing() {
    let world = World::new(Setting::Queue);
    let (epoll, probe) = (world.epoll(), world.probe());
    probe.add(&epoll, 3, IN | ONE_SHOT).unwrap();
    probe.source.raise(Events::IN);
    assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
    probe.source.raise(Events::IN); // the one for which it was still armed
    take(&epoll, 8);
    let before = world.model.calls.get();
    for _ in 0..10 {
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8), []);
    }
    assert_eq!(world.model.calls.get(), before, "collections");
}
