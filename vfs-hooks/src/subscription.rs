// SPDX-License-Identifier: BSD-2-Clause
//! Subscriptions of watchers in other processes: fixed cells in the shared part of a source.
//!
//! A cell names a *watch slot*: the index of a send cap in the channel's CNode, whose notification is attached to the
//! watcher's queue (or carries a badge bit on an unmodified kernel). Only the watcher writes `slot` and `interest`;
//! the watcher sets `armed`, the source clears it. Everything read from a cell is the other side's word: the slot is
//! only ever used as an index into a CNode that the server mounted, and a signal through a wrong one hurts nobody but the channel.
//!
//! The orders, which `tests/loom.rs` checks, and shows to be needed:
//!
//! ```text
//! source                                   watcher
//! state, edges += 1       (Release) W      armed := 1               (Release) A
//! fence                   (SeqCst)  F1     fence                    (SeqCst)  F2
//! armed = 1?              (Relaxed)        read state, edges        (Acquire)
//!   armed swap 0          (AcqRel)           F1 < F2: sees W, since F1 is after it and F2 before this read
//!   slot                  (Acquire)          F2 < F1: the source sees A, and signals
//!   signal the slot                        slot and interest before A: whoever clears `armed` has acquired them
//! ```

use crate::events::Events;
use crate::sync::{AtomicU32, Ordering, fence};

/// Subscriptions that one shared source has room for.
pub const SUBSCRIPTIONS: usize = 8;

/// One watcher of a shared source. Zeroed memory is a free cell.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Subscription {
    /// Watch slot + 1; 0: free. Written by the watcher.
    slot: AtomicU32,
    /// [`Events`] bits the watcher asked for, `ALWAYS` included. Written by the watcher.
    interest: AtomicU32,
    /// 1: signal at the next event. Set by the watcher, cleared by the source.
    armed: AtomicU32,
    reserved: AtomicU32,
}

/// All subscriptions of one shared source.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Subscriptions {
    cells: [Subscription; SUBSCRIPTIONS],
}

impl Subscriptions {
    /// Fills a cell that is free by the watcher's own account, armed. Look at the source's level afterwards: what
    /// happened before was told to nobody.
    pub fn put(&self, index: usize, slot: u32, interest: Events) {
        if let Some(cell) = self.cells.get(index) {
            cell.interest.store(interest.bits(), Ordering::Relaxed);
            cell.slot.store(slot + 1, Ordering::Release);
            self.arm(index);
        }
    }

    /// Gives the cell back. A signal that is under way may still arrive.
    pub fn unsubscribe(&self, index: usize) {
        if let Some(cell) = self.cells.get(index) {
            cell.armed.store(0, Ordering::Relaxed);
            cell.interest.store(0, Ordering::Relaxed);
            cell.slot.store(0, Ordering::Release);
        }
    }

    /// Changes what is asked for, and arms.
    pub fn set_interest(&self, index: usize, interest: Events) {
        if let Some(cell) = self.cells.get(index) {
            cell.interest.store(interest.bits(), Ordering::Relaxed);
            self.arm(index);
        }
    }

    /// Asks for a signal at the next event. Call it *before* looking at the level.
    pub fn arm(&self, index: usize) {
        if let Some(cell) = self.cells.get(index) {
            // Release: whoever clears it must see the slot, or it would be cleared with nobody told.
            cell.armed.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
        }
    }

    /// Source's side, after state and edge counter have changed: signals each armed watcher that is interested in any of
    /// `events`, once. A cycle of nothing armed costs a fence and `SUBSCRIPTIONS` loads.
    pub fn notify(&self, events: Events, mut signal: impl FnMut(u32)) {
        fence(Ordering::SeqCst);
        for cell in &self.cells {
            if cell.armed.load(Ordering::Relaxed) != 0
                && cell.interest.load(Ordering::Relaxed) & events.bits() != 0
                && cell.armed.swap(0, Ordering::AcqRel) != 0
                && let slot @ 1.. = cell.slot.load(Ordering::Acquire)
            {
                signal(slot - 1);
            }
        }
    }

    /// Frees all cells: for a source's memory that is about to be used anew.
    pub fn reset(&self) {
        for index in 0..SUBSCRIPTIONS {
            self.unsubscribe(index);
        }
    }
}

/// Steps with a fence left out: for the models, which must catch them.
#[cfg(loom)]
pub mod mutants {
    use super::*;

    /// [`Subscriptions::notify`] without its fence.
    pub fn notify_without_fence(all: &Subscriptions, events: Events, mut signal: impl FnMut(u32)) {
        for cell in &all.cells {
            if cell.armed.load(Ordering::Relaxed) != 0
                && cell.interest.load(Ordering::Relaxed) & events.bits() != 0
                && cell.armed.swap(0, Ordering::AcqRel) != 0
                && let slot @ 1.. = cell.slot.load(Ordering::Acquire)
            {
                signal(slot - 1);
            }
        }
    }

    /// [`Subscriptions::arm`] without its fence.
    pub fn arm_without_fence(all: &Subscriptions, index: usize) {
        all.cells[index].armed.store(1, Ordering::Release);
    }
}
