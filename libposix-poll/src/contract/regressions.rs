// SPDX-License-Identifier: BSD-2-Clause
//! One test for each bug that was found, named after it.

use super::{Setting, World, everywhere};
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use std::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

/// Linux refuses a sixth instance whichever end the chain grows at.
#[test]
fn a_chain_that_grows_downwards_is_limited_too() {
    let world = &mut World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    for i in 0..5 {
        let expected = if i < 4 { Ok(()) } else { Err(Errno::LOOP) };
        assert_eq!(
            world.nest(chain[i], chain[i + 1], 3, IN),
            expected,
            "link {i}"
        );
    }
}

#[test]
fn a_chain_that_grows_upwards_has_five_instances_at_most() {
    let world = &mut World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    for i in 0..5 {
        let expected = if i < 4 { Ok(()) } else { Err(Errno::LOOP) };
        assert_eq!(
            world.nest(chain[i + 1], chain[i], 3, IN),
            expected,
            "link {i}"
        );
    }
}

#[test]
fn a_chain_may_grow_again_when_a_link_was_deleted() {
    let world = &mut World::new(Setting::Queue);
    let chain: Vec<_> = (0..6).map(|_| world.epoll()).collect();
    for i in 0..4 {
        world.nest(chain[i], chain[i + 1], 3, IN).unwrap();
    }
    assert_eq!(world.nest(chain[4], chain[5], 3, IN), Err(Errno::LOOP));
    world
        .control(chain[0], Operation::Delete, 3, chain[1].source)
        .unwrap();
    assert_eq!(world.nest(chain[4], chain[5], 3, IN), Ok(()));
}

/// An outer edge-triggered watch sees each event below, also of what was ready before and is not the first to be looked at.
#[test]
fn an_outer_edge_is_each_event_of_any_inner_source() {
    everywhere(|world| {
        let (inner, outer) = (world.epoll(), world.epoll());
        let (a, b) = (world.probe(), world.probe());
        world.add(inner, &a, 3, IN).unwrap();
        world.add(inner, &b, 4, IN).unwrap();
        world.nest(outer, inner, 9, IN | EDGE).unwrap();
        world.raise(&a, Events::IN);
        world.raise(&b, Events::IN);
        assert_eq!(world.take(outer, 8), [(9, Events::IN)]);
        assert_eq!(world.take(outer, 8), []);
        world.raise(&b, Events::IN);
        assert_eq!(world.take(outer, 8), [(9, Events::IN)], "the second source");
        world.raise(&a, Events::IN);
        assert_eq!(world.take(outer, 8), [(9, Events::IN)], "the first source");
    });
}

/// What is in the ready list is looked at anyway: its source need not signal.
#[test]
fn a_source_in_the_ready_list_is_not_asked_to_signal() {
    let world = &mut World::new(Setting::Queue);
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    world.raise(&probe, Events::IN);
    world.take(epoll, 8);
    let before = world.model.calls();
    for _ in 0..10 {
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
    assert_eq!(world.model.calls(), before, "collections");
}

/// A one-shot watch that has reported wakes nobody until it is modified.
#[test]
fn a_spent_one_shot_watch_costs_nothing() {
    let world = &mut World::new(Setting::Queue);
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    world.raise(&probe, Events::IN); // the one for which it was still armed
    world.take(epoll, 8);
    let before = world.model.calls();
    for _ in 0..10 {
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), []);
    }
    assert_eq!(world.model.calls(), before, "collections");
}
