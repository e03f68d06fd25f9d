// SPDX-License-Identifier: BSD-2-Clause
//! The process's watch slots, shared by all of its instances.

use crate::backend::Kernel;
use alloc::vec::Vec;

/// Free list over the slots that the kernel has granted so far.
#[derive(Debug)]
pub(crate) struct WatchSlots {
    free: Vec<u32>,
    total: u32,
}

impl WatchSlots {
    /// None yet.
    pub const fn new() -> Self {
        WatchSlots {
            free: Vec::new(),
            total: 0,
        }
    }

    /// A slot, granted anew if none is free.
    pub fn take(&mut self, kernel: &mut impl Kernel) -> Option<u32> {
        if self.free.is_empty() {
            let total = kernel.grow_watches().ok()?;
            self.free.extend((self.total..total).rev());
            self.total = total;
        }
        self.free.pop()
    }

    /// Gives one back. A late signal to it tells its next user once too often, which is harmless.
    pub fn give(&mut self, slot: u32) {
        self.free.push(slot);
    }
}
