// SPDX-License-Identifier: BSD-2-Clause
//! Random programs: every setting must answer as a naive reference does, which looks at everything each time.

use super::{Machine, Probe, World};
use crate::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use alloc::vec::Vec;
use vfs_hooks::Events;

const SOURCES: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, u32),
    Modify(usize, u32),
    Forget(usize),
    Raise(usize, u32),
    Lower(usize, u32),
    Take,
    TakeOne,
}

/// A registration as the man page describes it.
#[derive(Clone, Copy)]
struct Watch {
    events: u32,
    /// Directions in which something is new: input, output.
    fresh: [bool; 2],
    /// Something new was asked for, so the watch will be looked at.
    told: bool,
    disarmed: bool,
}

const BITS: [u32; 6] = [1, 4, 5, 1 | 0x2000, 8, 0x10];
const MODES: [u32; 4] = [0, EDGE, ONE_SHOT, EDGE | ONE_SHOT];

/// Programs for where there is no proptest, the same ones each time. In the guest each source is a channel, of which there are 4,096.
const PROGRAMS: u64 = 300;

/// Random numbers by xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn step(&mut self) -> Step {
        let source = self.below(SOURCES);
        let bits = BITS[self.below(BITS.len())];
        let interest = bits | MODES[self.below(MODES.len())];
        match self.below(8) {
            0 => Step::Add(source, interest),
            1 => Step::Modify(source, interest),
            2 => Step::Forget(source),
            3 | 4 => Step::Raise(source, bits),
            5 => Step::Lower(source, bits),
            6 => Step::Take,
            _ => Step::TakeOne,
        }
    }
}

fn random_programs_are_answered_as_by_the_reference<M: Machine>(world: &mut World<M>) {
    for seed in 1..=PROGRAMS {
        let mut random = Random(seed);
        let count = 1 + random.below(120);
        let steps: Vec<Step> = (0..count).map(|_| random.step()).collect();
        run(world, &steps);
    }
}

/// What the reference reports for a watch of a source at this level.
fn due(watch: &Watch, level: u32) -> u32 {
    let always = Events::ALWAYS.bits();
    let events = level & ((watch.events & 0xffff) | always);
    let asked = Events::from_bits_truncate(watch.events) - Events::ALWAYS;
    let [input, output] = watch.fresh;
    let news = (input && asked.intersects(Events::INPUT))
        || (output && asked.intersects(Events::OUTPUT))
        || (input && output);
    let silent = watch.disarmed || (watch.events & EDGE != 0 && !(watch.told && news));
    if silent { 0 } else { events }
}

/// Something happened.
fn mark(watch: &mut Watch, raised: u32) {
    let raised = Events::from_bits_truncate(raised);
    watch.fresh[0] |= raised.intersects(Events::INPUT);
    watch.fresh[1] |= raised.intersects(Events::OUTPUT);
    let asked = Events::from_bits_truncate(watch.events) | Events::ALWAYS;
    watch.told |= raised.intersects(asked);
}

/// A watch after ADD or MOD: whatever holds is new.
fn anew(events: u32) -> Watch {
    Watch {
        events,
        fresh: [true; 2],
        told: true,
        disarmed: false,
    }
}

fn run<M: Machine>(world: &mut World<M>, steps: &[Step]) {
    let epoll = world.epoll();
    let probes: Vec<Probe<M>> = (0..SOURCES).map(|_| world.probe()).collect();
    let mut levels = [0u32; SOURCES];
    let mut watches: [Option<Watch>; SOURCES] = [None; SOURCES];
    for (at, &step) in steps.iter().enumerate() {
        match step {
            Step::Add(s, events) => {
                let added = world.add(epoll, &probes[s], s as i32, events).is_ok();
                assert_eq!(added, watches[s].is_none(), "step {at}");
                watches[s].get_or_insert(anew(events));
            }
            Step::Modify(s, events) => {
                let modified = world.modify(epoll, &probes[s], s as i32, events).is_ok();
                assert_eq!(modified, watches[s].is_some(), "step {at}");
                if let Some(watch) = &mut watches[s] {
                    *watch = anew(events);
                }
            }
            Step::Forget(s) => {
                let source = probes[s].source;
                let deleted = world.control(epoll, Operation::Delete, s as i32, source);
                assert_eq!(deleted.is_ok(), watches[s].is_some(), "step {at}");
                watches[s] = None;
            }
            Step::Raise(s, events) => {
                world.raise(&probes[s], Events::from_bits_truncate(events));
                levels[s] |= events;
                if let Some(watch) = &mut watches[s] {
                    mark(watch, events);
                }
            }
            Step::Lower(s, events) => {
                world.lower(&probes[s], Events::from_bits_truncate(events));
                levels[s] &= !events;
            }
            Step::Take | Step::TakeOne => {
                let max = if matches!(step, Step::Take) { 64 } else { 1 };
                let got = world.take(epoll, max);
                let expected: Vec<(u64, u32)> = (0..SOURCES)
                    .filter_map(|s| Some((s, due(watches[s].as_ref()?, levels[s]))))
                    .filter(|&(_, events)| events != 0)
                    .map(|(s, events)| (s as u64, events))
                    .collect();
                assert_eq!(
                    got.len(),
                    expected.len().min(max),
                    "step {at}: {expected:?}"
                );
                for (s, events) in got {
                    assert!(
                        expected.contains(&(s, events.bits())),
                        "step {at}: {s} {events:?}"
                    );
                    let watch = watches[s as usize].as_mut().expect("a watch");
                    (watch.fresh, watch.told) = ([false; 2], false);
                    watch.disarmed |= watch.events & ONE_SHOT != 0;
                }
                if max > 1 {
                    // All have been looked at: what was new without a level to report is new no more.
                    for watch in watches.iter_mut().flatten().filter(|w| w.told) {
                        (watch.fresh, watch.told) = ([false; 2], false);
                    }
                }
            }
        }
    }
}

cases! {
    EVERYWHERE: random_programs_are_answered_as_by_the_reference;
}

#[cfg(test)]
mod shrinking {
    use super::*;
    use crate::contract::{EVERYWHERE, host};
    use proptest::prelude::*;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let source = 0..SOURCES;
        let bits = prop::sample::select(BITS.to_vec());
        let mode = prop::sample::select(MODES.to_vec());
        let interest = (bits.clone(), mode).prop_map(|(b, m)| b | m);
        prop::collection::vec(
            prop_oneof![
                (source.clone(), interest.clone()).prop_map(|(s, i)| Step::Add(s, i)),
                (source.clone(), interest).prop_map(|(s, i)| Step::Modify(s, i)),
                source.clone().prop_map(Step::Forget),
                (source.clone(), bits.clone()).prop_map(|(s, b)| Step::Raise(s, b)),
                (source.clone(), bits.clone()).prop_map(|(s, b)| Step::Raise(s, b)),
                (source, bits).prop_map(|(s, b)| Step::Lower(s, b)),
                Just(Step::Take),
                Just(Step::TakeOne),
            ],
            1..120,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_setting_answers_as_the_reference(steps in steps()) {
            host::check(EVERYWHERE, |world| run(world, &steps));
        }
    }
}
