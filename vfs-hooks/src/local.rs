// SPDX-License-Identifier: BSD-2-Clause
//! Subscriptions of watchers in the same process: the protocol of [`subscription`](crate::subscription) with an inbox in the place of a signal.

use crate::events::Events;
use crate::source::Watcher;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// Watch keys that local sources left for one watcher. A key is in it at most once for each subscription: telling disarms.
#[derive(Debug, Default)]
pub struct Inbox {
    keys: RefCell<Vec<u64>>,
    told: Cell<bool>,
}

impl Inbox {
    /// Leaves a key.
    pub fn put(&self, key: u64) {
        self.keys.borrow_mut().push(key);
        self.told.set(true);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        !self.told.get()
    }

    /// Swaps the keys with `other`, which must be empty: no allocation where both have grown once.
    pub fn take(&self, other: &mut Vec<u64>) {
        self.told.set(false);
        core::mem::swap(&mut *self.keys.borrow_mut(), other);
    }
}

#[derive(Debug)]
struct Subscriber {
    inbox: Rc<Inbox>,
    key: u64,
    interest: Events,
    armed: bool,
}

/// The watchers of one local source.
#[derive(Debug, Default)]
pub struct LocalSubscriptions {
    cells: RefCell<Vec<Option<Subscriber>>>,
}

impl LocalSubscriptions {
    /// See [`Source::subscribe`](crate::source::Source::subscribe).
    pub fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
        let subscriber = Some(Subscriber {
            inbox: watcher.inbox.clone(),
            key: watcher.key,
            interest,
            armed: true,
        });
        let mut cells = self.cells.borrow_mut();
        match cells.iter().position(Option::is_none) {
            Some(free) => {
                cells[free] = subscriber;
                Some(free)
            }
            None => {
                cells.push(subscriber);
                Some(cells.len() - 1)
            }
        }
    }

    /// See [`Source::arm`](crate::source::Source::arm).
    pub fn arm(&self, index: usize, interest: Events) {
        if let Some(Some(cell)) = self.cells.borrow_mut().get_mut(index) {
            cell.interest = interest;
            cell.armed = true;
        }
    }

    /// See [`Source::unsubscribe`](crate::source::Source::unsubscribe).
    pub fn unsubscribe(&self, index: usize) {
        let mut cells = self.cells.borrow_mut();
        if let Some(cell) = cells.get_mut(index) {
            *cell = None;
        }
        while let Some(None) = cells.last() {
            cells.pop();
        }
    }

    /// Tells each armed watcher that is interested in any of `events`, once.
    pub fn notify(&self, events: Events) {
        for cell in self.cells.borrow_mut().iter_mut().flatten() {
            if cell.armed && cell.interest.intersects(events) {
                cell.armed = false;
                cell.inbox.put(cell.key);
            }
        }
    }
}
