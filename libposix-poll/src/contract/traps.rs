// SPDX-License-Identifier: BSD-2-Clause
//! One regression test for each trap of the design notes that the core can fall into, in every setting.

use super::{Machine, World};
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, Operation, WAKEUP};
use crate::frontend::select::{EXCEPT, NotOpen, READ, WRITE, Words, interest};
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

const IN: u32 = Events::IN.bits();
const OUT: u32 = Events::OUT.bits();

fn trap_01_an_edge_is_each_write<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN | EDGE).unwrap();
    for _ in 0..3 {
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        assert_eq!(world.take(epoll, 8), []);
    }
}

fn trap_02_modify_looks_again_even_with_the_same_mask<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN | EDGE).unwrap();
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8).len(), 1);
    assert_eq!(world.take(epoll, 8).len(), 0);
    world.modify(epoll, &probe, 3, IN | EDGE).unwrap();
    assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
}

fn trap_03_a_full_batch_rotates<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    let probes: Vec<_> = (0..10).map(|_| world.probe()).collect();
    for (fd, probe) in probes.iter().enumerate() {
        world.add(epoll, probe, fd as i32, IN).unwrap();
        world.raise(probe, Events::IN);
    }
    let mut seen: Vec<u64> = (0..5)
        .flat_map(|_| world.take(epoll, 2))
        .map(|(fd, _)| fd)
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<u64>>());
}

fn trap_05_an_event_between_two_looks_is_not_lost<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    for _ in 0..20 {
        world.raise(&probe, Events::IN);
        world.lower(&probe, Events::IN);
        assert_eq!(
            world.take(epoll, 8),
            [],
            "a look that finds nothing arms again"
        );
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world.lower(&probe, Events::IN);
    }
}

fn trap_06_a_reused_number_sees_nothing_of_its_predecessor<M: Machine>(world: &mut World<M>) {
    let epoll = world.epoll();
    let (old, new) = (world.probe(), world.probe());
    world.add(epoll, &old, 3, IN).unwrap();
    world.raise(&old, Events::IN);
    world.core.close(old.source);
    world.add(epoll, &new, 3, IN).unwrap();
    world.raise(&old, Events::IN);
    assert_eq!(world.take(epoll, 8), []);
}

fn trap_07_hup_and_err_come_unasked_rdhup_does_not<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, 0).unwrap();
    world.raise(&probe, Events::IN | Events::RDHUP);
    assert_eq!(world.take(epoll, 8), []);
    world.raise(&probe, Events::HUP);
    assert_eq!(world.take(epoll, 8), [(3, Events::HUP)]);
    world.raise(&probe, Events::ERR);
    assert_eq!(world.take(epoll, 8), [(3, Events::HUP | Events::ERR)]);
    world
        .modify(epoll, &probe, 3, Events::RDHUP.bits() | ONE_SHOT)
        .unwrap();
    let all = Events::RDHUP | Events::HUP | Events::ERR;
    assert_eq!(world.take(epoll, 8), [(3, all)]);
}

fn trap_11_an_inner_instance_is_looked_at_again<M: Machine>(world: &mut World<M>) {
    let (outer, inner, probe) = (world.epoll(), world.epoll(), world.probe());
    world.add(inner, &probe, 3, IN).unwrap();
    world.nest(outer, inner, 9, IN).unwrap();
    world.raise(&probe, Events::IN);
    world.lower(&probe, Events::IN);
    assert_eq!(world.take(outer, 8), []);
}

fn trap_14_what_cannot_be_watched_is_refused<M: Machine>(world: &mut World<M>) {
    let add = Operation::Add {
        events: IN,
        data: 0,
    };
    let epoll = world.epoll();
    let file = SourceId::NONE;
    assert_eq!(world.control(epoll, add, 3, file), Err(Errno::PERM));
    let both = Events::IN | Events::OUT;
    assert_eq!(world.core.revents(file.number(), both.bits() as u16), both);
    assert_eq!(world.core.revents(file.number(), 0), Events::empty());
}

fn trap_15_exclusive_has_its_own_rules<M: Machine>(world: &mut World<M>) {
    let (epoll, probe, inner) = (world.epoll(), world.probe(), world.epoll());
    let bad = EXCLUSIVE | ONE_SHOT | IN;
    assert_eq!(world.add(epoll, &probe, 3, bad), Err(Errno::INVAL));
    assert_eq!(
        world.add(epoll, &probe, 3, EXCLUSIVE | Events::RDHUP.bits()),
        Err(Errno::INVAL)
    );
    let good = EXCLUSIVE | WAKEUP | EDGE | IN | OUT;
    assert_eq!(world.add(epoll, &probe, 3, good), Ok(()));
    assert_eq!(world.modify(epoll, &probe, 3, IN), Err(Errno::INVAL));
    let nested = world.nest(epoll, inner, 4, EXCLUSIVE | IN);
    assert_eq!(nested, Err(Errno::INVAL));
}

fn cycles_and_long_chains_are_refused<M: Machine>(world: &mut World<M>) {
    let chain: Vec<_> = (0..8).map(|_| world.epoll()).collect();
    let itself = world.nest(chain[0], chain[0], 3, IN);
    assert_eq!(itself, Err(Errno::INVAL));
    for i in 0..4 {
        assert_eq!(
            world.nest(chain[i + 1], chain[i], 3, IN),
            Ok(()),
            "link {i}"
        );
    }
    let too_long = world.nest(chain[5], chain[4], 3, IN);
    assert_eq!(too_long, Err(Errno::LOOP));
    let cycle = world.nest(chain[0], chain[4], 3, IN);
    assert_eq!(cycle, Err(Errno::LOOP));
}

fn registrations_are_keyed_by_number_and_open_file<M: Machine>(world: &mut World<M>) {
    let (epoll, probe) = (world.epoll(), world.probe());
    world.add(epoll, &probe, 3, IN).unwrap();
    assert_eq!(world.add(epoll, &probe, 3, IN), Err(Errno::EXIST));
    assert_eq!(
        world.add(epoll, &probe, 4, IN),
        Ok(()),
        "a dup is its own key"
    );
    let other = world.probe();
    assert_eq!(world.modify(epoll, &other, 3, IN), Err(Errno::NOENT));
    world.raise(&probe, Events::IN);
    assert_eq!(world.take(epoll, 8).len(), 2);
    world.core.close(probe.source);
    assert_eq!(world.take(epoll, 8).len(), 0);
    // The source is gone: nothing can be registered for it.
    assert_eq!(world.modify(epoll, &probe, 3, IN), Err(Errno::PERM));
}

/// What is found, which is as much as it says.
fn select<M: Machine>(
    world: &mut World<M>,
    asked: Words,
    number: impl FnMut(u32) -> Option<u32>,
) -> Result<Words, NotOpen> {
    let (words, count) = world.core.select(asked, number)?;
    assert_eq!(words.map(u64::count_ones).iter().sum::<u32>(), count as u32);
    Ok(words)
}

fn select_reports_hup_as_readable_and_err_as_both<M: Machine>(world: &mut World<M>) {
    let probes: Vec<_> = (0..64).map(|_| world.probe()).collect();
    let number = |bit: u32| Some(probes[bit as usize].source.number());
    world.raise(&probes[3], Events::HUP);
    world.raise(&probes[4], Events::ERR);
    world.raise(&probes[5], Events::PRI);
    world.raise(&probes[62], Events::IN);
    world.raise(&probes[63], Events::OUT);
    let all = u64::MAX;
    let [hup, err, pri, readable, writable] = [3, 4, 5, 62, 63].map(|bit| 1 << bit);
    let expected = [hup | err | readable, err | writable, pri];
    assert_eq!(select(world, [all; 3], number), Ok(expected));
    // Each set reports what is in it.
    assert_eq!(select(world, [0, all, 0], number), Ok([0, expected[1], 0]));
    let some = [hup | writable, readable | err, hup];
    assert_eq!(select(world, some, number), Ok([hup, err, 0]));
    assert_eq!(select(world, [0; 3], |_| None), Ok([0; 3]));
    // One that is not open is an error, and only if it is in a set.
    let closed = |bit| number(bit).filter(|_| bit != 7);
    assert_eq!(select(world, [hup, 0, 0], closed), Ok([hup, 0, 0]));
    assert_eq!(select(world, [hup, 1 << 7, 0], closed), Err(NotOpen));
}

fn trap_14_select_finds_a_file_always_ready<M: Machine>(world: &mut World<M>) {
    let file = |_| Some(SourceId::NONE.number());
    assert_eq!(select(world, [2, 4, 8], file), Ok([2, 4, 0]));
}

fn select_waits_for_what_its_sets_report<M: Machine>(_: &mut World<M>) {
    assert_eq!(interest([2, 4, 8], 0), Events::empty());
    assert_eq!(interest([2, 4, 8], 1), READ);
    assert_eq!(interest([2, 4, 8], 2), WRITE);
    assert_eq!(interest([2, 4, 8], 3), EXCEPT);
    assert_eq!(interest([1 << 63; 3], 63), READ | WRITE | EXCEPT);
}

cases! {
    EVERYWHERE: trap_01_an_edge_is_each_write, trap_02_modify_looks_again_even_with_the_same_mask, trap_03_a_full_batch_rotates, trap_05_an_event_between_two_looks_is_not_lost, trap_06_a_reused_number_sees_nothing_of_its_predecessor, trap_07_hup_and_err_come_unasked_rdhup_does_not, trap_11_an_inner_instance_is_looked_at_again, trap_14_what_cannot_be_watched_is_refused, trap_15_exclusive_has_its_own_rules, cycles_and_long_chains_are_refused, registrations_are_keyed_by_number_and_open_file, select_reports_hup_as_readable_and_err_as_both, trap_14_select_finds_a_file_always_ready;
    LOCAL: select_waits_for_what_its_sets_report;
}
