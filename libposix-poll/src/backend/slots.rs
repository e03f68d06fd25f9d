// SPDX-License-Identifier: BSD-2-Clause
//! The process's watch slots, shared by all of its backends.

use crate::backend::Kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// Free list over the slots that the kernel has granted so far.
#[derive(Debug, Default)]
pub struct WatchSlots {
    free: RefCell<Vec<u32>>,
    total: Cell<u32>,
}

impl WatchSlots {
    /// A slot, granted anew if none is free.
    pub fn take(&self, kernel: &dyn Kernel) -> Option<u32> {
        let mut free = self.free.borrow_mut();
        if free.is_empty() {
            let had = self.total.get();
            let total = kernel.grow_watches().ok()?;
            free.extend((had..total).rev());
            self.total.set(total);
        }
        free.pop()
    }

    /// Gives one back. A late signal to it tells its next user once too often, which is harmless.
    pub fn give(&self, slot: u32) {
        self.free.borrow_mut().push(slot);
    }
}
