// SPDX-License-Identifier: BSD-2-Clause
//! Subscriptions of watchers in the same process: the protocol of [`subscription`](crate::subscription) with an inbox in the place of a signal.

use crate::events::Events;
use crate::source::{Slots, Watcher};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// Watch keys that local sources left for one watcher. A key is in it at most once for each subscription: telling disarms.
///
/// Threads that block for the watcher enter themselves before and leave after, both with the core lock held. Each key that is put wakes one more of
/// them; [`Inbox::wake_one`] is for whoever takes some keys and leaves others.
#[derive(Default)]
pub struct Inbox {
    keys: RefCell<Vec<u64>>,
    told: Cell<bool>,
    waiters: RefCell<VecDeque<usize>>,
    slots: Option<Rc<dyn Slots>>,
}

impl Inbox {
    /// Leaves a key.
    pub fn put(&self, key: u64) {
        self.keys.borrow_mut().push(key);
        self.told.set(true);
        self.wake_one();
    }

    /// With `slots` to kick the threads that wait.
    pub fn new(slots: Rc<dyn Slots>) -> Self {
        Inbox {
            slots: Some(slots),
            ..Self::default()
        }
    }

    /// The thread is about to block.
    pub fn enter(&self, thread: usize) {
        self.waiters.borrow_mut().push_back(thread);
    }

    /// The thread came back, kicked or not.
    pub fn leave(&self, thread: usize) {
        self.waiters.borrow_mut().retain(|&waiter| waiter != thread);
    }

    /// Wakes the thread that has waited longest, if any waits. It waits no more, so the next one to be woken is another.
    pub fn wake_one(&self) {
        let waiter = self.waiters.borrow_mut().pop_front();
        if let (Some(thread), Some(slots)) = (waiter, &self.slots) {
            slots.kick(thread);
        }
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

struct Subscriber {
    inbox: Rc<Inbox>,
    key: u64,
    interest: Events,
    armed: bool,
}

/// The watchers of one local source.
#[derive(Default)]
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

impl core::fmt::Debug for LocalSubscriptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "LocalSubscriptions({})", self.cells.borrow().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kicks(RefCell<Vec<usize>>);

    impl Slots for Kicks {
        fn attach(&self, _key: u64) -> Option<u32> {
            None
        }
        fn detach(&self, _slot: u32, _key: u64) {}
        fn kick(&self, thread: usize) {
            self.0.borrow_mut().push(thread);
        }
    }

    #[test]
    fn each_key_wakes_one_more_waiter_the_longest_first() {
        let kicks = Rc::new(Kicks::default());
        let inbox = Inbox::new(kicks.clone());
        for thread in [4, 7, 2] {
            inbox.enter(thread);
        }
        inbox.put(1);
        inbox.put(2);
        assert_eq!(*kicks.0.borrow(), [4, 7]);
        inbox.leave(2);
        inbox.put(3);
        inbox.wake_one();
        assert_eq!(*kicks.0.borrow(), [4, 7]);
    }
}
