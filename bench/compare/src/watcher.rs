// SPDX-License-Identifier: BSD-2-Clause
//! A process that watches all sources: the consumer, or a broker.

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_bindings::CPtr;

use crate::layout::{CHANNELS, MEMORY, Memory, PAGE, SELF, Shape};
use crate::mechanism::Mechanism;
use crate::ring::Ring;
use crate::sys::Sys;

/// First of the slots that a mechanism uses, in consumer and broker.
pub const FIRST_SLOT: usize = 2;

/// Numbers of their address spaces, above the producers'; the root task is 0.
pub const CONSUMER: usize = 100_000;
/// The broker's.
pub const BROKER: usize = 100_001;

/// The sources as their watcher sees them.
pub struct Watcher {
    /// Its memory.
    pub memory: &'static Memory,
    /// Number of sources.
    pub sources: usize,
    /// Number of producers. Source `i` is source `i / producers` of producer `i % producers`.
    pub producers: usize,
    shape: Shape,
}

impl Watcher {
    fn new(space: usize) -> Watcher {
        // SAFETY: the root task mapped stack and memory before it started this process; the stack starts below SELF,
        // and the memory consists of atomics.
        let memory = unsafe {
            (SELF as *mut u64).write(space as u64);
            &*(MEMORY as *const Memory)
        };
        let (sources, producers) = (
            memory.sources.load(Ordering::Relaxed) as usize,
            memory.producers.load(Ordering::Relaxed) as usize,
        );
        Watcher {
            memory,
            sources,
            producers,
            shape: Shape::new(sources.div_ceil(producers)),
        }
    }

    /// Looks at a source: whether it has events that were not delivered. Then they are now.
    #[inline(always)]
    pub fn look(&self, source: usize) -> bool {
        let at = self.memory.edge_at[source].load(Ordering::Relaxed) as *const AtomicU64;
        // SAFETY: the root task wrote the addresses of mapped counters there for all sources.
        let edge = unsafe { (*at).load(Ordering::Acquire) };
        let seen = self.memory.seen[source].load(Ordering::Relaxed);
        if edge == seen {
            return false;
        }
        self.memory.seen[source].store(edge, Ordering::Relaxed);
        add(&self.memory.events, edge.wrapping_sub(seen));
        true
    }

    /// Somebody says that a source has an event.
    #[inline(always)]
    pub fn deliver(&self, source: usize) {
        if source >= self.sources || !self.look(source) {
            add(&self.memory.spurious, 1);
        }
    }

    /// Looks at all sources: somebody lost count.
    #[cold]
    pub fn look_at_all(&self) {
        (0..self.sources).for_each(|source| {
            self.look(source);
        });
    }

    /// Looks at every `step`th source from `first` on; says which have events.
    #[inline(always)]
    pub fn scan(&self, first: usize, step: usize, mut found: impl FnMut(usize)) {
        for source in (first..self.sources).step_by(step) {
            if self.look(source) {
                found(source);
            }
        }
    }

    /// The ring of a producer.
    #[inline(always)]
    pub fn ring(&self, producer: usize) -> Ring {
        // SAFETY: the root task mapped the channels of all producers, in order.
        unsafe { Ring::new(CHANNELS + producer * PAGE, self.shape) }
    }
}

/// Adds to a counter that only this thread writes.
#[inline(always)]
pub fn add(counter: &AtomicU64, more: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}

/// The numbers of the bits that are set, from the lowest on.
#[inline(always)]
pub fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

/// Slot `index` of those that a mechanism uses.
#[inline(always)]
pub fn slot(index: usize) -> CPtr {
    CPtr(FIRST_SLOT + index)
}

/// Main thread of the consumer.
pub extern "C" fn consume<M: Mechanism, S: Sys>(_: usize, _: usize) -> ! {
    M::consume::<S>(&Watcher::new(CONSUMER))
}

/// Main thread of the broker.
pub extern "C" fn broke<M: Mechanism, S: Sys>(_: usize, _: usize) -> ! {
    M::broke::<S>(&Watcher::new(BROKER))
}

/// One of the consumer's other threads, for source `source`.
pub extern "C" fn help<M: Mechanism, S: Sys>(source: usize, _: usize) -> ! {
    // SAFETY: as in `Watcher::new`; the main thread has written SELF, or will write the same.
    M::help::<S>(unsafe { &*(MEMORY as *const Memory) }, source)
}
