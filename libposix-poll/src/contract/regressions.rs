// SPDX-License-Identifier: BSD-2-Clause
//! One test for each bug that was found, named after it.

use super::{Machine, World};
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use alloc::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

/// Linux refuses a sixth instance whichever end the chain grows at.
fn a_chain_that_grows_downwards_is_limited_too<M: Machine>(world: &mut World<M>) {
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

fn a_chain_that_grows_upwards_has_five_instances_at_most<M: Machine>(world: &mut World<M>) {
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

fn a_chain_may_grow_again_when_a_link_was_deleted<M: Machine>(world: &mut World<M>) {
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
fn an_outer_edge_is_each_event_of_any_inner_source<M: Machine>(world: &mut World<M>) {
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
}

/// What is in the ready list is looked at anyway: its source need not signal.
fn a_source_in_the_ready_list_is_not_asked_to_signal<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    world.raise(&probe, Events::IN);
    world.take(epoll, 8);
    let before = world.calls();
    for _ in 0..10 {
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    }
    assert_eq!(world.calls(), before, "collections");
}

/// A one-shot watch that has reported wakes nobody until it is modified.
fn a_spent_one_shot_watch_costs_nothing<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN | ONE_SHOT).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
    world.raise(&probe, Events::IN); // the one for which it was still armed
    world.take(epoll, 8);
    let before = world.calls();
    for _ in 0..10 {
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), []);
    }
    assert_eq!(world.calls(), before, "collections");
}

cases! {
    QUEUE: a_chain_that_grows_downwards_is_limited_too, a_chain_that_grows_upwards_has_five_instances_at_most, a_chain_may_grow_again_when_a_link_was_deleted, a_source_in_the_ready_list_is_not_asked_to_signal, a_spent_one_shot_watch_costs_nothing;
    EVERYWHERE: an_outer_edge_is_each_event_of_any_inner_source;
}
