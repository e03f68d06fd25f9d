// SPDX-License-Identifier: BSD-2-Clause
//! A hierarchy of badges at user level: a notification for each 64 sources, whose bit the producer signals; then that
//! notification's bit in one of the level above; and so on. The consumer waits for the top one and polls its way
//! down. Where the top has more than 64 below, they share its bits and all are polled.

use sel4_bindings::{CPtr, CapRights, ObjectType};

use super::Mechanism;
use super::badges::BITS;
use crate::bench::Bench;
use crate::memory::{Result, nth};
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher, bits};

/// With 2 or 3 levels.
pub struct Hierarchy<const LEVELS: usize>;

/// Notifications on level `level`, counted from the sources; the top one is alone.
fn nodes<const LEVELS: usize>(level: usize, sources: usize) -> usize {
    match level + 1 == LEVELS {
        true => 1,
        false => sources.div_ceil(BITS.pow(level as u32 + 1)),
    }
}

/// Slot of the first notification of a level, in the consumer.
fn first<const LEVELS: usize>(level: usize, sources: usize) -> usize {
    (0..level)
        .map(|below| nodes::<LEVELS>(below, sources))
        .sum()
}

impl<const LEVELS: usize> Mechanism for Hierarchy<LEVELS> {
    const NAME: &'static str = if LEVELS == 2 {
        "hierarchy-2"
    } else {
        "hierarchy-3"
    };

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let sources = bench.sources();
        let mut levels = [CPtr::NULL; LEVELS];
        for (level, notifications) in levels.iter_mut().enumerate() {
            let count = nodes::<LEVELS>(level, sources);
            *notifications = bench.arena.make_many(ObjectType::Notification, count)?;
            for node in 0..count {
                let slot = first::<LEVELS>(level, sources) + node;
                bench.to_consumer(slot, nth(*notifications, node), CapRights::READ)?;
            }
        }
        for source in 0..sources {
            let mut below = source;
            for (level, notifications) in levels.into_iter().enumerate() {
                let node = below / BITS % nodes::<LEVELS>(level, sources);
                let badge = Some(1 << (below % BITS));
                bench.to_producer(source, (level, LEVELS), nth(notifications, node), badge)?;
                below /= BITS;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        // From below, so that whoever wakes finds its way down.
        for level in 0..LEVELS {
            sys::signal::<S>(producer::slot(source * LEVELS + level));
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        let sources = watcher.sources;
        let counts: [usize; LEVELS] = core::array::from_fn(|l| nodes::<LEVELS>(l, sources));
        let firsts: [usize; LEVELS] = core::array::from_fn(|l| first::<LEVELS>(l, sources));
        let poll = |level: usize, node: usize| {
            bits(sys::poll::<S>(watcher::slot(firsts[level] + node)).badge)
        };
        let leaf = |node: usize| {
            for bit in poll(0, node) {
                watcher.deliver(node * BITS + bit);
            }
        };
        loop {
            for bit in bits(sys::wait::<S>(watcher::slot(firsts[LEVELS - 1])).badge) {
                for node in (bit..counts[LEVELS - 2]).step_by(BITS) {
                    match LEVELS {
                        2 => leaf(node),
                        _ => poll(1, node).for_each(|bit| leaf(node * BITS + bit)),
                    }
                }
            }
        }
    }
}
