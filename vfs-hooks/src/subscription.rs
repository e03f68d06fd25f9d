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
//! armed = 1?              (Acquire)        read state, edges        (Acquire)
//!   armed swap 0          (AcqRel)           F1 < F2: sees W, since F1 is after it and F2 before this read
//!   slot                  (Acquire)          F2 < F1: the source sees A, and signals
//!   signal the slot                        slot and interest before A: whoever clears `armed` has acquired them
//! ```
//!
//! # Exclusive cells
//!
//! EPOLLEXCLUSIVE: of the exclusive watchers one that sleeps is told; if none sleeps, all are. So their `armed` has a third value, and each step
//! between the three is one exchange:
//!
//! ```text
//! source, after the others are told        watcher
//! an exclusive cell: armed 2 → 0?          about to sleep: armed 1 → 2?
//!   signal it, and stop                      it was 0: told; the signal ends the sleep
//! none was: each that is armed := 0,       woke up: armed 2 → 1?
//!   and signalled                            it was 0: told for this; look now, whatever woke it
//! ```
//!
//! An event passes an armed cell by only if it has turned another's 2 into 0. That watcher sleeps, or has not yet made its 2 a 1: then its exchange
//! fails, and acquires what the source published before. So somebody looks after every event, and without waiting for something else.

use crate::events::Events;
use crate::sync::{AtomicU32, Ordering, fence};

/// Subscriptions that one shared source has room for.
pub const SUBSCRIPTIONS: usize = 8;

/// Values of [`Subscription::armed`].
mod armed {
    /// Told, and not armed since.
    pub const NOT: u32 = 0;
    /// Signal at the next event.
    pub const ARMED: u32 = 1;
    /// So, and exclusive, and somebody sleeps there.
    pub const ASLEEP: u32 = 2;
}

/// One watcher of a shared source. Zeroed memory is a free cell.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Subscription {
    /// Watch slot + 1; 0: free. Written by the watcher.
    slot: AtomicU32,
    /// [`Events`] bits the watcher asked for, `ALWAYS` included. Written by the watcher.
    interest: AtomicU32,
    /// [`armed`]. Set by the watcher, cleared by the source.
    armed: AtomicU32,
    /// 1: exclusive. Written by the watcher, before `slot`.
    exclusive: AtomicU32,
}

impl Subscription {
    #[inline(always)]
    fn is_interested(&self, events: Events) -> bool {
        // Acquire: a cell that was armed anew is told by what it is now.
        self.armed.load(Ordering::Acquire) != armed::NOT
            && self.interest.load(Ordering::Relaxed) & events.bits() != 0
    }

    /// Signals it if it is still armed.
    fn tell(&self, signal: &mut impl FnMut(u32)) {
        if self.armed.swap(armed::NOT, Ordering::AcqRel) != armed::NOT {
            self.signal(signal);
        }
    }

    fn signal(&self, signal: &mut impl FnMut(u32)) {
        if let slot @ 1.. = self.slot.load(Ordering::Acquire) {
            signal(slot - 1);
        }
    }

    /// From one value to another, if it is that. Acquires what whoever made it something else has published.
    fn turn(&self, from: u32, to: u32) -> bool {
        self.armed
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
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
        self.fill(index, slot, interest, false);
    }

    /// [`Subscriptions::put`] for an exclusive watcher.
    pub fn put_exclusive(&self, index: usize, slot: u32, interest: Events) {
        self.fill(index, slot, interest, true);
    }

    fn fill(&self, index: usize, slot: u32, interest: Events, exclusive: bool) {
        if let Some(cell) = self.cells.get(index) {
            cell.interest.store(interest.bits(), Ordering::Relaxed);
            cell.exclusive.store(exclusive.into(), Ordering::Relaxed);
            cell.slot.store(slot + 1, Ordering::Release);
            self.arm(index);
        }
    }

    /// Gives the cell back. A signal that is under way may still arrive.
    pub fn unsubscribe(&self, index: usize) {
        if let Some(cell) = self.cells.get(index) {
            cell.armed.store(armed::NOT, Ordering::Relaxed);
            cell.interest.store(0, Ordering::Relaxed);
            cell.exclusive.store(0, Ordering::Relaxed);
            cell.slot.store(0, Ordering::Release);
        }
    }

    /// Changes what is asked for, and arms.
    #[inline]
    pub fn set_interest(&self, index: usize, interest: Events) {
        if let Some(cell) = self.cells.get(index) {
            cell.interest.store(interest.bits(), Ordering::Relaxed);
            self.arm(index);
        }
    }

    /// Asks for a signal at the next event. Call it *before* looking at the level.
    pub fn arm(&self, index: usize) {
        self.set_armed(index, armed::ARMED);
    }

    fn set_armed(&self, index: usize, value: u32) {
        if let Some(cell) = self.cells.get(index) {
            // Release: whoever clears it must see the slot, or it would be cleared with nobody told.
            cell.armed.store(value, Ordering::Release);
            fence(Ordering::SeqCst);
        }
    }

    /// An exclusive watcher is about to sleep. Nothing if it has been told meanwhile: the signal is on its way.
    pub fn sleeps(&self, index: usize) {
        if let Some(cell) = self.cells.get(index) {
            cell.turn(armed::ARMED, armed::ASLEEP);
        }
    }

    /// An exclusive watcher sleeps no longer. Whether it was told meanwhile, for all others: it has to look now, for the signal may come later.
    #[must_use]
    pub fn woke(&self, index: usize) -> bool {
        let cell = self.cells.get(index);
        cell.is_some_and(|cell| {
            !cell.turn(armed::ASLEEP, armed::ARMED)
                && cell.armed.load(Ordering::Acquire) == armed::NOT
        })
    }

    /// Source's side, after state and edge counter have changed: signals each armed watcher that is interested in any of
    /// `events`, once; of the exclusive ones one that sleeps, or all if none does. A cycle of nothing armed costs a fence and `SUBSCRIPTIONS` loads.
    #[inline]
    pub fn notify(&self, events: Events, mut signal: impl FnMut(u32)) {
        fence(Ordering::SeqCst);
        let mut exclusive = 0;
        for (index, cell) in self.cells.iter().enumerate() {
            if !cell.is_interested(events) {
                continue;
            }
            if cell.exclusive.load(Ordering::Relaxed) != 0 {
                exclusive |= 1 << index;
            } else {
                cell.tell(&mut signal);
            }
        }
        if exclusive != 0 {
            self.notify_exclusive(exclusive, signal);
        }
    }

    /// [`Subscriptions::notify`] of the exclusive cells whose bits are set.
    #[cold]
    fn notify_exclusive(&self, bits: u32, mut signal: impl FnMut(u32)) {
        let cells = self.cells.iter().enumerate();
        let chosen = cells.filter(|(index, _)| bits >> index & 1 != 0);
        for (_, cell) in chosen.clone() {
            if cell.turn(armed::ASLEEP, armed::NOT) {
                return cell.signal(&mut signal);
            }
        }
        chosen.for_each(|(_, cell)| cell.tell(&mut signal));
    }

    /// Frees all cells: for a source's memory that is about to be used anew.
    pub fn reset(&self) {
        for index in 0..SUBSCRIPTIONS {
            self.unsubscribe(index);
        }
    }
}

/// Steps with a fence left out, or in another order: for the models, which must catch them.
#[cfg(loom)]
pub mod mutants {
    use super::*;

    /// [`Subscriptions::notify`] without its fence.
    pub fn notify_without_fence(all: &Subscriptions, events: Events, mut signal: impl FnMut(u32)) {
        for cell in &all.cells {
            if cell.is_interested(events) {
                cell.tell(&mut signal);
            }
        }
    }

    /// [`Subscriptions::arm`] without its fence.
    pub fn arm_without_fence(all: &Subscriptions, index: usize) {
        all.cells[index]
            .armed
            .store(armed::ARMED, Ordering::Release);
    }

    /// [`Subscriptions::notify`] of exclusive cells that stops after the first, whether anybody sleeps there or not.
    pub fn notify_the_first(all: &Subscriptions, events: Events, mut signal: impl FnMut(u32)) {
        fence(Ordering::SeqCst);
        let mut cells = all.cells.iter();
        if let Some(cell) = cells.find(|cell| cell.is_interested(events)) {
            cell.tell(&mut signal);
        }
    }

    /// [`Subscriptions::woke`] that does not ask whether it was told.
    pub fn woke_blindly(all: &Subscriptions, index: usize) -> bool {
        all.arm(index);
        false
    }

    /// [`Subscriptions::notify`] in which who sleeps is found in one step, and told in another.
    pub fn notify_in_two_steps(all: &Subscriptions, events: Events, mut signal: impl FnMut(u32)) {
        fence(Ordering::SeqCst);
        let asleep = |cell: &&Subscription| {
            cell.is_interested(events) && cell.armed.load(Ordering::Acquire) == armed::ASLEEP
        };
        if let Some(cell) = all.cells.iter().find(asleep) {
            return cell.tell(&mut signal);
        }
        all.cells.iter().for_each(|cell| cell.tell(&mut signal));
    }
}
