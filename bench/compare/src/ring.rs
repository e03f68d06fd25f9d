// SPDX-License-Identifier: BSD-2-Clause
//! Ring of events in memory that two processes share: one adds, one takes out.
//!
//! The taker believes nothing: it keeps its own head, and a tail that is too far ahead of it, or a value that is out of
//! range, counts as an overflow: then all sources are looked at.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::layout::{Channel, Shape};

/// A ring as either side sees it.
pub struct Ring {
    channel: &'static Channel,
    slots: &'static [AtomicU64],
}

impl Ring {
    /// The ring of the channel at `address`.
    ///
    /// # Safety
    /// A channel of this shape must be mapped there, for ever.
    pub unsafe fn new(address: usize, shape: Shape) -> Ring {
        // SAFETY: by contract; both consist of atomics, so others may write them.
        unsafe {
            Ring {
                channel: &*(address as *const Channel),
                slots: core::slice::from_raw_parts(
                    (address + shape.ring_at) as *const AtomicU64,
                    shape.ring_slots,
                ),
            }
        }
    }

    /// Adds a value. True: the taker sleeps and must be signalled.
    #[inline(always)]
    pub fn push(&self, value: u64) -> bool {
        let tail = self.channel.tail.load(Ordering::Relaxed);
        let used = tail.wrapping_sub(self.channel.head.load(Ordering::Acquire));
        if used < self.slots.len() as u64 {
            self.slots[tail as usize & (self.slots.len() - 1)].store(value, Ordering::Relaxed);
            self.channel
                .tail
                .store(tail.wrapping_add(1), Ordering::Release);
        } else {
            self.channel.overflow.store(1, Ordering::Release);
        }
        // The entry before the look at `wanted`; the taker does the opposite.
        fence(Ordering::SeqCst);
        self.channel.wanted.load(Ordering::Relaxed) != 0
            && self.channel.wanted.swap(0, Ordering::Relaxed) != 0
    }

    /// Takes out everything, then says that the taker sleeps. `head` is the taker's own. False: there was an overflow.
    #[inline(always)]
    pub fn drain(&self, head: &AtomicU64, mut take: impl FnMut(u64)) -> bool {
        let mut whole = true;
        let mut next = head.load(Ordering::Relaxed);
        loop {
            let tail = self.channel.tail.load(Ordering::Acquire);
            if tail == next {
                break;
            }
            if tail.wrapping_sub(next) > self.slots.len() as u64
                || self.channel.overflow.load(Ordering::Relaxed) != 0
            {
                self.channel.overflow.store(0, Ordering::Relaxed);
                whole = false;
            }
            while next != tail && whole {
                take(self.slots[next as usize & (self.slots.len() - 1)].load(Ordering::Relaxed));
                next = next.wrapping_add(1);
            }
            next = tail;
            head.store(next, Ordering::Relaxed);
            self.channel.head.store(next, Ordering::Release);
            self.channel.wanted.store(1, Ordering::Relaxed);
            // `wanted` before the look at the tail.
            fence(Ordering::SeqCst);
        }
        whole
    }

    /// At the start: the taker sleeps.
    pub fn want(&self) {
        self.channel.wanted.store(1, Ordering::SeqCst);
    }
}
