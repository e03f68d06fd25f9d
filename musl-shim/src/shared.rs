// SPDX-License-Identifier: BSD-2-Clause
//! State of the whole process, in statics, and the one lock over it: the core lock.
//!
//! The rule: **whatever is in a [`Shared`], or is reachable from it (open files, sources, watches), is touched only with the core lock held.**
//! [`dispatch`](crate::dispatch) takes the lock for every call; [`unlocked`] releases it around what blocks or runs the program's code (signal
//! handlers). So a handler written for one thread is right for many, as long as it keeps no [`Guard`] and no `RefCell` borrow
//! across a call that can block; counted references it may keep. What it knew before blocking may have changed after.

use core::cell::{Cell, UnsafeCell};
use core::ops::{Deref, DerefMut};

use vfs_hooks::lock::CoreLock;

use crate::platform::threads::SystemThreads;
use crate::poller::send_wakes;

static LOCK: CoreLock = CoreLock::new();

/// Runs `work` with the core lock held.
#[inline]
pub fn locked<R>(work: impl FnOnce() -> R) -> R {
    LOCK.lock(&SystemThreads);
    let result = work();
    send_wakes();
    LOCK.unlock(&SystemThreads);
    result
}

/// Runs `work` without the core lock, which the caller holds, and takes it again: for what blocks, and for the program's code.
#[inline]
pub fn unlocked<R>(work: impl FnOnce() -> R) -> R {
    debug_assert!(LOCK.is_held(), "the core lock is not held");
    send_wakes();
    LOCK.unlock(&SystemThreads);
    let result = work();
    LOCK.lock(&SystemThreads);
    result
}

/// Takes the core lock, for [`give`], or for a thread that ends with it.
#[cfg(not(any(test, feature = "host")))]
#[inline(always)]
pub fn take() {
    LOCK.lock(&SystemThreads);
}

/// Gives it back, as [`locked`] does at its end.
#[cfg(not(any(test, feature = "host")))]
#[inline(always)]
pub fn give() {
    send_wakes();
    LOCK.unlock(&SystemThreads);
}

/// Gives it up for good.
#[cfg(not(any(test, feature = "host")))]
pub fn release() {
    LOCK.unlock(&SystemThreads);
}

/// A value of the process, for whoever holds the core lock.
#[derive(Debug)]
pub struct Shared<T> {
    borrowed: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: by the module's rule the core lock is held whenever a value is borrowed, and it is given up only by `unlocked`, across which no guard
// is kept, so no two threads are ever in the value at a time; the lock's exchanges order what they do. `lock` checks that somebody holds the core
// lock, and the flag that no guard was left.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Holds `value`.
    pub const fn new(value: T) -> Self {
        Shared {
            borrowed: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Borrows the value until the guard is dropped. Panics if it is borrowed already.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        // The tests of pure parts run without the lock, each static in one test.
        debug_assert!(cfg!(test) || LOCK.is_held(), "the core lock is not held");
        assert!(!self.borrowed.replace(true), "borrowed twice");
        Guard(self)
    }
}

/// A borrowed value.
#[derive(Debug)]
pub struct Guard<'a, T>(&'a Shared<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the flag was false when this guard was made, and stays true while it lives: no other guard exists.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.borrowed.set(false);
    }
}
