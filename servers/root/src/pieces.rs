// SPDX-License-Identifier: BSD-2-Clause
//! Free untyped memory by size: halved until a piece fits, and joined again only when nothing does.
//!
//! Joining late costs nothing in the steady state, in which processes come and go and want the same sizes again; the memory is no
//! less whole for it, since everything that can be joined is joined before a request is refused.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Sizes in bits that this machine can have.
const SIZES: usize = 48;

/// Free pieces, named by the number of their slot.
#[derive(Debug)]
pub struct Pieces {
    free: [Vec<u32>; SIZES],
    /// By the first of two halves, which lie in slots next to each other: what they are halves of.
    wholes: BTreeMap<u32, u32>,
    available: u64,
}

/// Two halves to delete, and the whole that is free once they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// The whole, of twice the size.
    pub whole: u32,
    /// The first half; the other is the next number.
    pub first: u32,
}

impl Default for Pieces {
    fn default() -> Self {
        Pieces {
            free: [const { Vec::new() }; SIZES],
            wholes: BTreeMap::new(),
            available: 0,
        }
    }
}

impl Pieces {
    /// Bytes in all pieces.
    pub fn available(&self) -> u64 {
        self.available
    }

    /// How many pieces are halved.
    pub fn halves(&self) -> usize {
        self.wholes.len()
    }

    /// Puts a free piece of 2^`bits` bytes in.
    pub fn put(&mut self, piece: u32, bits: u32) {
        if let Some(free) = self.free.get_mut(bits as usize) {
            free.push(piece);
            self.available += 1 << bits;
        }
    }

    /// Takes a piece of 2^`bits` bytes out.
    pub fn take(&mut self, bits: u32) -> Option<u32> {
        let piece = self.free.get_mut(bits as usize)?.pop()?;
        self.available -= 1 << bits;
        Some(piece)
    }

    /// The smallest size above 2^`bits` of which there is a piece.
    pub fn larger(&self, bits: u32) -> Option<u32> {
        (bits + 1..SIZES as u32).find(|size| !self.free[*size as usize].is_empty())
    }

    /// A taken piece of 2^`bits` bytes was halved; the halves are `first` and the next number, and free.
    pub fn halved(&mut self, whole: u32, bits: u32, first: u32) {
        self.wholes.insert(first, whole);
        self.put(first + 1, bits - 1);
        self.put(first, bits - 1);
    }

    /// Takes out all pairs of halves of 2^`bits` bytes. The caller deletes them and puts the wholes in.
    pub fn join(&mut self, bits: u32) -> Vec<Join> {
        let Some(free) = self.free.get_mut(bits as usize) else {
            return Vec::new();
        };
        free.sort_unstable();
        let (mut joins, mut rest) = (Vec::new(), Vec::with_capacity(free.len()));
        let mut at = 0;
        while let Some(&first) = free.get(at) {
            let whole = self.wholes.get(&first).copied();
            match whole {
                Some(whole) if free.get(at + 1) == Some(&(first + 1)) => {
                    self.wholes.remove(&first);
                    joins.push(Join { whole, first });
                    at += 2;
                }
                _ => {
                    rest.push(first);
                    at += 1;
                }
            }
        }
        *free = rest;
        self.available -= (joins.len() as u64) << (bits + 1);
        joins
    }

    /// Sizes, from the smallest.
    pub fn sizes() -> core::ops::Range<u32> {
        0..SIZES as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A machine of 2^20 bytes in one piece, driven as the root server does.
    struct Machine {
        pieces: Pieces,
        next: u32,
        slots: Vec<u32>,
    }

    impl Machine {
        fn new() -> Machine {
            let mut pieces = Pieces::default();
            pieces.put(0, 20);
            Machine {
                pieces,
                next: 2,
                slots: Vec::new(),
            }
        }

        fn get(&mut self, bits: u32) -> Option<u32> {
            loop {
                if let Some(piece) = self.pieces.take(bits) {
                    return Some(piece);
                }
                if let Some(size) = self.pieces.larger(bits) {
                    let whole = self.pieces.take(size).unwrap();
                    let first = self.slots.pop().unwrap_or_else(|| {
                        self.next += 2;
                        self.next - 2
                    });
                    self.pieces.halved(whole, size, first);
                } else if !self.join() {
                    return None;
                }
            }
        }

        fn join(&mut self) -> bool {
            let mut any = false;
            for bits in Pieces::sizes() {
                for join in self.pieces.join(bits) {
                    any = true;
                    self.slots.push(join.first);
                    self.pieces.put(join.whole, bits + 1);
                }
            }
            any
        }
    }

    #[test]
    fn what_comes_back_is_whole_again() {
        let mut machine = Machine::new();
        let small: Vec<u32> = (0..1 << 8).map(|_| machine.get(12).unwrap()).collect();
        assert_eq!(small.iter().collect::<BTreeSet<_>>().len(), 256);
        assert_eq!((machine.get(12), machine.pieces.available()), (None, 0));
        for piece in small {
            machine.pieces.put(piece, 12);
        }
        assert_eq!(machine.pieces.available(), 1 << 20);
        assert_eq!(machine.get(20), Some(0));
        assert_eq!(machine.pieces.available(), 0);
    }

    #[test]
    fn one_piece_in_use_keeps_only_its_own_line_apart() {
        let mut machine = Machine::new();
        let held = machine.get(12).unwrap();
        assert_eq!(machine.get(20), None);
        assert!(machine.get(19).is_some());
        assert!(machine.get(19).is_none());
        machine.pieces.put(held, 12);
        assert!(machine.get(19).is_some());
    }

    #[test]
    fn any_order_of_sizes_loses_nothing() {
        let mut machine = Machine::new();
        let mut held: Vec<(u32, u32)> = Vec::new();
        let mut seed = 7u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 16) % below
        };
        for _ in 0..20_000 {
            if random(2) == 0 || held.is_empty() {
                let bits = 6 + random(12);
                if let Some(piece) = machine.get(bits) {
                    assert!(held.iter().all(|(other, _)| *other != piece));
                    held.push((piece, bits));
                }
            } else {
                let index = random(held.len() as u32) as usize;
                let (piece, bits) = held.swap_remove(index);
                machine.pieces.put(piece, bits);
            }
            let used: u64 = held.iter().map(|(_, bits)| 1u64 << bits).sum();
            assert_eq!(machine.pieces.available() + used, 1 << 20);
        }
        for (piece, bits) in held {
            machine.pieces.put(piece, bits);
        }
        assert_eq!(machine.get(20), Some(0));
    }
}
