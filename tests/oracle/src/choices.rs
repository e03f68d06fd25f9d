// SPDX-License-Identifier: BSD-2-Clause
//! Where a generator's choices come from: a seed, or a fuzzer's bytes.

use rand_core::{RngCore as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Choices, one after the other.
pub trait Choices {
    /// A number below `n`, which is not 0.
    fn below(&mut self, n: u32) -> u32;

    /// Whether there are no more; from then on all are 0.
    fn is_over(&self) -> bool;

    /// Whether something of one case in `n` is to happen.
    fn one_in(&mut self, n: u32) -> bool {
        // The last and not the first, so that bytes of 0 give the plain case.
        self.below(n) + 1 == n
    }

    /// One of several.
    fn pick<T: Copy>(&mut self, from: &[T]) -> T
    where
        Self: Sized,
    {
        from[self.below(from.len() as u32) as usize]
    }
}

/// From a seed: the same on every machine.
#[derive(Debug)]
pub struct Seeded(Pcg64Mcg);

impl Seeded {
    /// For program `index` of the run `seed`.
    pub fn new(seed: u64, index: u64) -> Seeded {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..].copy_from_slice(&index.to_le_bytes());
        let mut generator = Pcg64Mcg::from_seed(bytes);
        // Seeds that lie close together give alike first numbers.
        for _ in 0..4 {
            generator.next_u64();
        }
        Seeded(generator)
    }
}

impl Choices for Seeded {
    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// From bytes: one for each choice, two where there are more than 256.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, n: u32) -> u32 {
        let mut next = || match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                u32::from(byte)
            }
            None => 0,
        };
        let mut value = next();
        if n > 256 {
            value = (value << 8) | next();
        }
        value % n
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
