// SPDX-License-Identifier: BSD-2-Clause
//! Badge bits as backend, for an unmodified kernel: all watches of a process signal its one notification, watch slot `i` with bit
//! `i % BITS`. A bit stands for all watches of its group, so each of them has to be looked at: the cost grows with N / BITS.
//!
//! A thread can wait on one notification only. So of the threads that wait in instances with such watches one, the *leader*, waits on the process's,
//! the others each on their own; the leader hands out what came, and when it goes it wakes another to take its place.

use alloc::vec::Vec;
use vfs_hooks::process::notice::WATCH_BITS;

/// Groups of watches: as many as there are watch bits.
pub const BITS: usize = WATCH_BITS as usize;

/// An instance's watches by badge bit.
#[derive(Debug)]
pub struct Groups {
    /// Bits that came and were not taken yet.
    pending: u64,
    /// Some of the sources say when they told of news: what came first is looked at first.
    pub in_order: bool,
    keys: [Vec<u64>; BITS],
}

impl Default for Groups {
    fn default() -> Self {
        Groups {
            pending: 0,
            in_order: false,
            keys: [const { Vec::new() }; BITS],
        }
    }
}

impl Groups {
    /// A watch with this slot.
    pub fn attach(&mut self, slot: u32, key: u64) {
        self.keys[slot as usize % BITS].push(key);
    }

    /// It is gone.
    pub fn detach(&mut self, slot: u32, key: u64) {
        let group = &mut self.keys[slot as usize % BITS];
        if let Some(index) = group.iter().position(|&k| k == key) {
            group.swap_remove(index);
        }
    }

    /// Bits that came. Whether any of them stands for a watch here.
    pub fn deliver(&mut self, mut bits: u64) -> bool {
        let mut found = false;
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            if self.keys.get(bit as usize).is_some_and(|k| !k.is_empty()) {
                self.pending |= 1 << bit;
                found = true;
            }
        }
        found
    }

    /// Takes it: the keys of all watches to look at.
    pub fn take(&mut self, keys: &mut Vec<u64>) {
        let mut bits = core::mem::take(&mut self.pending);
        while bits != 0 {
            keys.extend_from_slice(&self.keys[bits.trailing_zeros() as usize]);
            bits &= bits - 1;
        }
    }
}
