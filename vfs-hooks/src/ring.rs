// SPDX-License-Identifier: BSD-2-Clause
//! A byte ring in shared memory, one producer and one consumer, which need not trust each other.
//!
//! Positions run freely and wrap at 2³². The producer owns `tail`, the consumer `head`; each treats the other's as a claim: a
//! distance above the ring's size is [`Corrupt`]. Bytes are copied by raw pointer, so that no reference to memory
//! that the peer can change ever exists.

use crate::sync::{AtomicU32, Ordering};
use core::ptr::NonNull;

/// Less than this from a ring's first byte is near it: a page.
const NEAR: u32 = 4096;

/// Positions of a ring. Zeroed memory is an empty ring.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RingIndices {
    /// Bytes consumed, modulo 2³². Written by the consumer.
    pub head: AtomicU32,
    /// Bytes produced, modulo 2³². Written by the producer.
    pub tail: AtomicU32,
}

/// The other side's position makes no sense: its owner is broken or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl RingIndices {
    /// Bytes in a ring of `size`.
    #[inline]
    pub fn len(&self, size: u32) -> Result<u32, Corrupt> {
        let len = self
            .tail
            .load(Ordering::Acquire)
            .wrapping_sub(self.head.load(Ordering::Acquire));
        if len > size { Err(Corrupt) } else { Ok(len) }
    }

    /// Whether nothing is in it (also when the positions are corrupt: then nothing can be had from it).
    #[inline]
    pub fn is_empty(&self, size: u32) -> bool {
        !matches!(self.len(size), Ok(1..))
    }

    /// Room in a ring of `size`; 0 if the positions are corrupt.
    #[inline]
    pub fn space(&self, size: u32) -> u32 {
        self.len(size).map_or(0, |len| size - len)
    }

    /// Empties it; only while nobody else uses it.
    pub fn reset(&self) {
        self.head.store(0, Ordering::Relaxed);
        self.tail.store(0, Ordering::Relaxed);
    }
}

/// A ring: its positions and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    indices: &'a RingIndices,
    data: NonNull<u8>,
    size: u32,
}

impl<'a> Ring<'a> {
    /// A ring over `size` bytes at `data`.
    ///
    /// # Safety
    /// `data` must be valid for reads and writes of `size` bytes for `'a`, `size` a power of two, and all accesses to these bytes
    /// must go by raw pointer (other processes may change them at any time).
    #[inline(always)]
    pub const unsafe fn new(indices: &'a RingIndices, data: NonNull<u8>, size: u32) -> Self {
        assert!(size.is_power_of_two());
        Ring {
            indices,
            data,
            size,
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> Result<u32, Corrupt> {
        self.indices.len(self.size)
    }

    /// Whether nothing can be read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty(self.size)
    }

    /// Room for writing.
    #[inline]
    pub fn space(&self) -> u32 {
        self.indices.space(self.size)
    }

    /// Producer: appends as much of `bytes` as fits; returns how much.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Corrupt> {
        // Its own position is read once: what others make of it meanwhile is not believed.
        let tail = self.indices.tail.load(Ordering::Relaxed);
        let len = tail.wrapping_sub(self.indices.head.load(Ordering::Acquire));
        let room = self.size.checked_sub(len).ok_or(Corrupt)?;
        let n = (room as usize).min(bytes.len());
        self.put(tail, 0, room, &bytes[..n]);
        let tail = tail.wrapping_add(n as u32);
        self.indices.tail.store(tail, Ordering::Release);
        Ok(n)
    }

    /// Producer: puts as much of `bytes` as there is room for `skip` bytes behind the end, where nobody sees it before [`Ring::publish`].
    pub fn stage(&self, skip: u32, bytes: &[u8]) -> Result<(), Corrupt> {
        let room = self.size - self.len()?;
        let tail = self.indices.tail.load(Ordering::Relaxed);
        self.put(tail, skip, room, bytes);
        Ok(())
    }

    /// Producer: shows the consumer `n` bytes that were staged, at most what there is room for.
    pub fn publish(&self, n: usize) -> Result<(), Corrupt> {
        let n = ((self.size - self.len()?) as usize).min(n) as u32;
        let tail = self.indices.tail.load(Ordering::Relaxed);
        self.indices
            .tail
            .store(tail.wrapping_add(n), Ordering::Release);
        Ok(())
    }

    /// Whoever is producer and consumer at once: lets an empty ring begin at its first byte again, if it is not near there, so that little traffic touches little memory.
    /// The consumer's position goes first: meanwhile the ring looks corrupt, that is empty, to who only looks. [`Ring::repair`] ends what was begun.
    pub fn rewind(&self) {
        let tail = self.indices.tail.load(Ordering::Relaxed);
        if self.len() == Ok(0) && tail & (self.size - 1) >= NEAR {
            let start = (tail | (self.size - 1)).wrapping_add(1);
            self.indices.head.store(start, Ordering::Release);
            self.indices.tail.store(start, Ordering::Release);
        }
    }

    /// The same one: ends a [`Ring::rewind`] in which a process has died.
    pub fn repair(&self) {
        let head = self.indices.head.load(Ordering::Relaxed);
        let tail = self.indices.tail.load(Ordering::Relaxed);
        let ahead = head.wrapping_sub(tail);
        if (1..self.size).contains(&ahead) && head & (self.size - 1) == 0 {
            self.indices.tail.store(head, Ordering::Release);
        }
    }

    /// Consumer: writes `bytes` over what lies `skip` bytes into the ring, as far as that is there.
    pub fn amend(&self, skip: u32, bytes: &[u8]) -> Result<(), Corrupt> {
        let len = self.len()?;
        let head = self.indices.head.load(Ordering::Relaxed);
        self.put(head, skip, len, bytes);
        Ok(())
    }

    /// Copies `bytes` to `skip` bytes behind `from`, of which `room` may be written.
    #[inline]
    fn put(&self, from: u32, skip: u32, room: u32, bytes: &[u8]) {
        let room = room.min(self.size).saturating_sub(skip) as usize;
        let n = room.min(bytes.len());
        let at = (from.wrapping_add(skip) & (self.size - 1)) as usize;
        let first = n.min(self.size as usize - at);
        // SAFETY: at + first <= size and n - first <= size - first, both inside the `size` bytes that `new` was promised;
        // `bytes` is private memory, so the ranges do not overlap.
        unsafe {
            let data = self.data.as_ptr();
            bytes.as_ptr().copy_to_nonoverlapping(data.add(at), first);
            if first < n {
                let rest = bytes.as_ptr().add(first);
                rest.copy_to_nonoverlapping(data, n - first);
            }
        }
    }

    /// Where the word at a position lies; `None`: across the ring's end, which no word of a producer does that pads to words.
    fn word_at(&self, position: u32) -> Option<*mut u64> {
        let at = (position & (self.size - 1)) as usize;
        // SAFETY: at + 8 <= size, inside the bytes that `new` was promised.
        (at + 8 <= self.size as usize).then(|| unsafe { self.data.as_ptr().add(at).cast() })
    }

    /// Consumer: the two words that lie `skip` bytes into the ring; `None`: they are not there, or not in words.
    #[inline]
    pub fn peek_words(&self, skip: u32) -> Option<[u64; 2]> {
        if self.len().ok()? < skip.checked_add(16)? {
            return None;
        }
        let head = self.indices.head.load(Ordering::Relaxed).wrapping_add(skip);
        let (first, second) = (self.word_at(head)?, self.word_at(head.wrapping_add(8))?);
        // SAFETY: both lie in the ring; whoever writes there meanwhile gets some other number read.
        Some(unsafe { [first.read_unaligned(), second.read_unaligned()] })
    }

    /// Producer: as [`Ring::stage`] with two words, at the ring's end. `None`: there is no room for them in words.
    #[inline]
    pub fn stage_words(&self, words: [u64; 2]) -> Option<()> {
        if self.space() < 16 {
            return None;
        }
        let tail = self.indices.tail.load(Ordering::Relaxed);
        let (first, second) = (self.word_at(tail)?, self.word_at(tail.wrapping_add(8))?);
        // SAFETY: both lie in the ring.
        unsafe {
            first.write_unaligned(words[0]);
            second.write_unaligned(words[1]);
        }
        Some(())
    }

    /// Consumer: copies up to `bytes.len()` bytes that start `skip` bytes into the ring, without taking them; returns how many.
    pub fn peek(&self, skip: u32, bytes: &mut [u8]) -> Result<usize, Corrupt> {
        let len = self.len()?;
        let head = self.indices.head.load(Ordering::Relaxed).wrapping_add(skip);
        Ok(self.copy_out(head, len.saturating_sub(skip), bytes))
    }

    /// Copies up to `bytes.len()` bytes of the `len` that lie at a position; returns how many.
    #[inline]
    fn copy_out(&self, from: u32, len: u32, bytes: &mut [u8]) -> usize {
        let n = (len.min(self.size) as usize).min(bytes.len());
        let at = (from & (self.size - 1)) as usize;
        let first = n.min(self.size as usize - at);
        // SAFETY: as in `write`, the other way round.
        unsafe {
            let data = self.data.as_ptr();
            data.add(at)
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), first);
            if first < n {
                data.copy_to_nonoverlapping(bytes.as_mut_ptr().add(first), n - first);
            }
        }
        n
    }

    /// Consumer: drops the first `n` bytes (at most what is there).
    pub fn consume(&self, n: usize) -> Result<(), Corrupt> {
        let n = (self.len()? as usize).min(n) as u32;
        let head = self.indices.head.load(Ordering::Relaxed);
        self.indices
            .head
            .store(head.wrapping_add(n), Ordering::Release);
        Ok(())
    }

    /// Consumer: takes up to `bytes.len()` bytes; returns how many.
    #[inline]
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Corrupt> {
        let head = self.indices.head.load(Ordering::Relaxed);
        let len = self.indices.tail.load(Ordering::Acquire).wrapping_sub(head);
        if len > self.size {
            return Err(Corrupt);
        }
        let n = self.copy_out(head, len, bytes);
        let head = head.wrapping_add(n as u32);
        self.indices.head.store(head, Ordering::Release);
        Ok(n)
    }
}

/// A ring for other modules' tests; the bytes must outlive it.
#[cfg(test)]
pub(crate) fn tests_ring(indices: &RingIndices, data: NonNull<u8>, size: u32) -> Ring<'_> {
    // SAFETY: the tests keep the vector for as long as the ring, and do not touch it otherwise.
    unsafe { Ring::new(indices, data, size) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn what_is_staged_is_seen_once_it_is_published() {
        let indices = RingIndices::default();
        let mut data = vec![0u8; 8];
        let ring = tests_ring(&indices, NonNull::new(data.as_mut_ptr()).unwrap(), 8);
        let mut out = [0; 8];
        for _ in 0..20 {
            assert_eq!(ring.stage(2, b"cdefghij"), Ok(()));
            assert_eq!(ring.stage(0, b"ab"), Ok(()));
            assert!(ring.is_empty());
            assert_eq!(ring.publish(5), Ok(()));
            assert_eq!(ring.amend(3, b"DEFGH"), Ok(()));
            assert_eq!(ring.read(&mut out), Ok(5));
            assert_eq!(&out[..5], b"abcDE");
            assert_eq!(ring.stage(9, b"x"), Ok(()));
        }
        indices.tail.store(1000, Ordering::Relaxed);
        assert_eq!(ring.stage(0, b"x"), Err(Corrupt));
        assert_eq!(ring.amend(0, b"x"), Err(Corrupt));
        assert_eq!(ring.publish(1), Err(Corrupt));
    }

    #[test]
    fn an_empty_ring_begins_again_and_half_of_that_is_repaired() {
        let indices = RingIndices::default();
        let mut data = vec![0u8; 8192];
        let data = NonNull::new(data.as_mut_ptr()).unwrap();
        let ring = tests_ring(&indices, data, 8192);
        let position = || indices.tail.load(Ordering::Relaxed);
        ring.write(&[1; 4095]).unwrap();
        ring.rewind();
        ring.consume(4095).unwrap();
        ring.rewind();
        assert_eq!(position(), 4095, "near enough, or not empty");
        ring.write(&[1]).unwrap();
        ring.consume(1).unwrap();
        ring.rewind();
        assert_eq!((position(), ring.len()), (8192, Ok(0)));
        indices.head.store(16384, Ordering::Relaxed);
        indices.tail.store(8192 + 5000, Ordering::Relaxed);
        assert!(ring.is_empty() && ring.write(&[1]).is_err());
        ring.repair();
        assert_eq!((position(), ring.len()), (16384, Ok(0)));
        ring.write(&[1; 100]).unwrap();
        ring.repair();
        assert_eq!(ring.len(), Ok(100));
    }

    #[test]
    fn wraps_and_refuses_nonsense() {
        let indices = RingIndices::default();
        let mut data = vec![0u8; 8];
        // SAFETY: the vector outlives the ring and is not touched otherwise.
        let ring = unsafe { Ring::new(&indices, NonNull::new(data.as_mut_ptr()).unwrap(), 8) };
        let mut out = [0; 8];
        for round in 0..100u8 {
            assert_eq!(ring.write(&[round; 5]), Ok(5));
            assert_eq!(ring.write(&[round + 1; 5]), Ok(3));
            assert_eq!(ring.space(), 0);
            assert_eq!(ring.read(&mut out), Ok(8));
            assert_eq!(out[..5], [round; 5]);
            assert_eq!(out[5..], [round + 1; 3]);
            assert!(ring.is_empty());
        }
        indices.tail.store(1000, Ordering::Relaxed);
        indices.head.store(0, Ordering::Relaxed);
        assert_eq!(ring.read(&mut out), Err(Corrupt));
        assert_eq!(ring.write(&[1]), Err(Corrupt));
        assert_eq!(ring.space(), 0);
    }
}
