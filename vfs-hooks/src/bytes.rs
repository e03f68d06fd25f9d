// SPDX-License-Identifier: BSD-2-Clause
//! A bounded byte queue in private memory: what pipes and streams keep. It grows as it fills; one that was never written to
//! owns no memory, so idle connections are cheap.
#![forbid(unsafe_code)]

use alloc::collections::VecDeque;

/// The least that is allocated at once.
const FIRST: usize = 1024;

/// No memory to grow (ENOMEM).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// See the module.
#[derive(Debug)]
pub struct Bytes {
    data: VecDeque<u8>,
    capacity: usize,
}

impl Bytes {
    /// An empty one that will hold up to `capacity` bytes.
    pub const fn new(capacity: usize) -> Self {
        Bytes {
            data: VecDeque::new(),
            capacity,
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Room left.
    pub fn space(&self) -> usize {
        self.capacity - self.data.len()
    }

    /// Appends as much of `bytes` as fits; returns how much.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, NoMemory> {
        let n = bytes.len().min(self.space());
        let needed = self.data.len() + n;
        if needed > self.data.capacity() {
            let doubled = (self.data.capacity() * 2).max(FIRST).min(self.capacity);
            self.data
                .try_reserve_exact(needed.max(doubled) - self.data.len())
                .map_err(|_| NoMemory)?;
        }
        self.data.extend(&bytes[..n]);
        Ok(n)
    }

    /// Copies up to `out.len()` bytes from the front without taking them; returns how many.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let n = out.len().min(self.data.len());
        let (front, back) = self.data.as_slices();
        let first = n.min(front.len());
        out[..first].copy_from_slice(&front[..first]);
        out[first..n].copy_from_slice(&back[..n - first]);
        n
    }

    /// Drops the first `n` bytes, at most what is there.
    pub fn consume(&mut self, n: usize) {
        if n >= self.data.len() {
            self.data.clear();
        } else {
            self.data.drain(..n);
        }
    }

    /// Takes up to `out.len()` bytes; returns how many.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let n = self.peek(out);
        self.consume(n);
        n
    }

    /// Empties it and gives its memory back.
    pub fn free(&mut self) {
        self.data = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn keeps_order_across_the_seam() {
        let mut bytes = Bytes::new(1500);
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for size in (1..1400).step_by(97) {
            let chunk: Vec<u8> = (0..size)
                .map(|_| {
                    next_in = next_in.wrapping_add(1);
                    next_in
                })
                .collect();
            assert_eq!(bytes.write(&chunk), Ok(size));
            let mut out = [0; 1500];
            assert_eq!(bytes.peek(&mut out), size);
            assert_eq!(out[..size], chunk[..]);
            assert_eq!(bytes.read(&mut out[..size / 2]), size / 2);
            assert_eq!(bytes.read(&mut out[size / 2..]), size - size / 2);
            for &byte in &out[..size] {
                next_out = next_out.wrapping_add(1);
                assert_eq!(byte, next_out);
            }
        }
    }

    #[test]
    fn grows_as_it_fills_but_never_beyond_its_capacity() {
        let mut bytes = Bytes::new(65536);
        assert_eq!(bytes.data.capacity(), 0);
        bytes.write(b"x").unwrap();
        assert!(bytes.data.capacity() <= FIRST);
        while bytes.space() > 0 {
            bytes.write(&[0; 1000]).unwrap();
        }
        assert_eq!(bytes.len(), 65536);
        assert_eq!(bytes.data.capacity(), 65536);
        assert_eq!(bytes.write(b"y"), Ok(0));
        bytes.free();
        assert_eq!(bytes.data.capacity(), 0);
    }
}
