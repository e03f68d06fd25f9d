// SPDX-License-Identifier: BSD-2-Clause
//! Where the packets of a pipe lie in its channel's ring (pipe(2), O_DIRECT): a table beside it, as long as a pipe has pages. What lies between them is bytes.
//!
//! Whoever changes it has the channel's lock. A writer enters a packet before the ring shows it, and a reader takes it from the ring before the table: so one
//! that dies in between leaves an entry for bytes that are not there, which the next one drops. The other holders may scribble here: an entry that makes no
//! sense makes the rest of the pipe bytes.
#![forbid(unsafe_code)]

use crate::pages::{PAGE, PAGES};
use crate::sync::{AtomicU32, Ordering};

/// The table. Zeroed memory is an empty one.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Packets {
    /// Index of the oldest one, modulo [`PAGES`].
    first: AtomicU32,
    count: AtomicU32,
    /// Where each starts and ends, as positions of the ring.
    bounds: [[AtomicU32; 2]; PAGES],
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// So many bytes that are no packet, or all that there are.
    Bytes(usize),
    /// A packet of so many bytes.
    Packet(usize),
}

impl Packets {
    fn get(&self, index: u32) -> [u32; 2] {
        let bounds = &self.bounds[index as usize % PAGES];
        [&bounds[0], &bounds[1]].map(|bound| bound.load(Ordering::Relaxed))
    }

    fn set(&self, first: u32, count: u32) {
        self.first.store(first % PAGES as u32, Ordering::Relaxed);
        self.count.store(count, Ordering::Release);
    }

    fn first_and_count(&self) -> (u32, u32) {
        let count = self.count.load(Ordering::Acquire).min(PAGES as u32);
        (self.first.load(Ordering::Relaxed) % PAGES as u32, count)
    }

    /// Whether there is none; also without the lock, as a guess.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether no further one can be entered; also without the lock, as a guess.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.count.load(Ordering::Acquire) >= PAGES as u32
    }

    /// What comes next in a ring of `len` bytes from position `head` on.
    pub fn next(&self, head: u32, len: u32) -> Next {
        loop {
            let (first, count) = self.first_and_count();
            if count == 0 {
                return Next::Bytes(len as usize);
            }
            let [start, end] = self.get(first);
            let (before, size) = (start.wrapping_sub(head), end.wrapping_sub(start));
            let sound = (1..=PAGE as u32).contains(&size);
            if sound && (end.wrapping_sub(head) as i32) <= 0 {
                // It was read by one that died.
                self.set(first + 1, count - 1);
            } else if !sound || before > len || size > len - before {
                self.set(first, 0);
            } else if before > 0 {
                return Next::Bytes(before as usize);
            } else {
                return Next::Packet(size as usize);
            }
        }
    }

    /// The next one, a packet, is read.
    pub fn took(&self) {
        let (first, count) = self.first_and_count();
        self.set(first + 1, count.saturating_sub(1));
    }

    /// Drops what a writer entered that died before the ring showed it; `tail` is the ring's end.
    pub fn repair(&self, tail: u32) {
        let (first, mut count) = self.first_and_count();
        while count > 0 && (self.get(first + count - 1)[1].wrapping_sub(tail) as i32) > 0 {
            count -= 1;
            self.set(first, count);
        }
    }

    /// Enters a packet of `size` bytes that the ring will show at its end, `tail`. `false`: there is no room.
    pub fn enter(&self, tail: u32, size: usize) -> bool {
        let (first, count) = self.first_and_count();
        if count as usize == PAGES {
            return false;
        }
        let bounds = &self.bounds[(first + count) as usize % PAGES];
        bounds[0].store(tail, Ordering::Relaxed);
        bounds[1].store(tail.wrapping_add(size as u32), Ordering::Relaxed);
        self.set(first, count + 1);
        true
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_packets_come_in_order_across_the_wrap() {
        let packets = Packets::default();
        let start = u32::MAX - 2;
        assert_eq!(packets.next(start, 9), Next::Bytes(9));
        assert!(packets.enter(start.wrapping_add(5), 4));
        assert_eq!(packets.next(start, 9), Next::Bytes(5));
        assert_eq!(packets.next(start.wrapping_add(5), 4), Next::Packet(4));
        packets.took();
        assert!(packets.is_empty());
    }

    #[test]
    fn it_holds_as_many_as_a_pipe_has_pages() {
        let packets = Packets::default();
        for round in 0..40u32 {
            while packets.enter(round, 1) {}
            assert!(packets.is_full());
            packets.took();
            assert!(!packets.is_full());
        }
    }

    #[test]
    fn what_the_dead_left_is_dropped() {
        let packets = Packets::default();
        packets.enter(0, 3);
        packets.enter(3, 2);
        // The reader of the first one died after it had taken its bytes.
        assert_eq!(packets.next(3, 2), Next::Packet(2));
        // A writer died before its bytes were there.
        packets.enter(5, 4);
        packets.repair(5);
        packets.enter(5, 1);
        assert_eq!(packets.next(3, 3), Next::Packet(2));
        packets.took();
        assert_eq!(packets.next(5, 1), Next::Packet(1));
    }

    #[test]
    fn nonsense_becomes_bytes() {
        for [start, end] in [[9, 9], [2, 1], [0, 5000], [90, 95], [3, u32::MAX]] {
            let packets = Packets::default();
            packets.bounds[0][0].store(start, Ordering::Relaxed);
            packets.bounds[0][1].store(end, Ordering::Relaxed);
            packets.count.store(1, Ordering::Relaxed);
            assert_eq!(packets.next(0, 10), Next::Bytes(10), "{start} {end}");
        }
        let packets = Packets::default();
        packets.first.store(u32::MAX, Ordering::Relaxed);
        packets.count.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(packets.next(7, 10), Next::Bytes(10));
    }
}
