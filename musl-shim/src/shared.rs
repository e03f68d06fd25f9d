// SPDX-License-Identifier: BSD-2-Clause
//! State of the whole process, in statics.
//!
//! There is one thread so far, so the lock is a flag that catches a second borrow, which would be a bug of ours: calls nest only
//! when a signal handler runs, and none runs while anything is borrowed. A lock of threads can take its place behind the same face.

use core::cell::{Cell, UnsafeCell};
use core::ops::{Deref, DerefMut};

/// A value of the process.
#[derive(Debug)]
pub struct Shared<T> {
    borrowed: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: one thread runs in a process (clone(2) is refused), so nothing is ever accessed by two at a time.
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
