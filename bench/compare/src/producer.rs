// SPDX-License-Identifier: BSD-2-Clause
//! A process with sources: told which of them have an event, it changes their state and notifies.

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_bindings::CPtr;

use crate::layout::{CHANNEL, Channel, EDGES, MAX_SOURCES, SELF, SMALL_CHANNEL, Shape};
use crate::mechanism::Mechanism;
use crate::ring::Ring;
use crate::sys::{self, Sys};

/// Slot of the notification by which a producer is told to go on.
pub const GO: CPtr = CPtr(1);
/// First of the slots that a mechanism uses.
pub const FIRST_SLOT: usize = 2;

/// A producer as a mechanism's [`Mechanism::notify`] sees it.
pub struct Producer {
    /// Its ring.
    pub ring: Ring,
}

/// Slot `index` of those that a mechanism uses.
#[inline(always)]
pub fn slot(index: usize) -> CPtr {
    CPtr(FIRST_SLOT + index)
}

/// Main thread of producer `number`; `large` says which shape its channel has.
pub extern "C" fn produce<M: Mechanism, S: Sys>(number: usize, large: usize) -> ! {
    let sources = if large != 0 {
        MAX_SOURCES
    } else {
        SMALL_CHANNEL
    };
    // SAFETY: the root task mapped stack and channel before it started this process; the stack starts below SELF, and
    // the channel consists of atomics.
    let (channel, edges, ring) = unsafe {
        (SELF as *mut u64).write(number as u64 + 1);
        (
            &*(CHANNEL as *const Channel),
            core::slice::from_raw_parts((CHANNEL + EDGES) as *const AtomicU64, sources),
            Ring::new(CHANNEL, Shape::new(sources)),
        )
    };
    let producer = Producer { ring };
    loop {
        sys::wait::<S>(GO);
        let mute = channel.mute.load(Ordering::Relaxed) != 0;
        let count = channel.count.load(Ordering::Relaxed) as usize;
        for source in channel.list.iter().take(count) {
            let source = source.load(Ordering::Relaxed) as usize;
            if mute {
                bump(&channel.scratch);
            } else {
                bump(&edges[source]);
                M::notify::<S>(&producer, source);
            }
        }
    }
}

/// The event itself. The producer is the only one that writes the counter.
#[inline(always)]
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
}
