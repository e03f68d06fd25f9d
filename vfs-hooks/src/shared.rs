// SPDX-License-Identifier: BSD-2-Clause
//! The watcher's side of a shared source's [`Subscriptions`]: which cell holds whose watch slot. Kept in private memory, so that
//! what the other side writes into the cells cannot make this process give back a slot that is not its own.

use crate::events::Events;
use crate::source::Watcher;
use crate::subscription::{SUBSCRIPTIONS, Subscriptions};
use core::cell::RefCell;

/// One for each shared source that this process watches.
#[derive(Default)]
pub struct SharedWatchers {
    cells: RefCell<[Option<(u32, Watcher)>; SUBSCRIPTIONS]>,
}

impl SharedWatchers {
    /// See [`Source::subscribe`](crate::source::Source::subscribe): takes a watch slot of the watcher's and a cell.
    pub fn subscribe(
        &self,
        shared: &Subscriptions,
        watcher: &Watcher,
        interest: Events,
    ) -> Option<usize> {
        let mut cells = self.cells.borrow_mut();
        let index = cells.iter().position(Option::is_none)?;
        let slot = watcher.slots.attach(watcher.key)?;
        shared.put(index, slot, interest);
        cells[index] = Some((slot, watcher.clone()));
        Some(index)
    }

    /// See [`Source::arm`](crate::source::Source::arm).
    pub fn arm(&self, shared: &Subscriptions, index: usize, interest: Events) {
        shared.set_interest(index, interest);
    }

    /// See [`Source::unsubscribe`](crate::source::Source::unsubscribe).
    pub fn unsubscribe(&self, shared: &Subscriptions, index: usize) {
        let cell = self
            .cells
            .borrow_mut()
            .get_mut(index)
            .and_then(Option::take);
        if let Some((slot, watcher)) = cell {
            shared.unsubscribe(index);
            watcher.slots.detach(slot, watcher.key);
        }
    }
}
