// SPDX-License-Identifier: BSD-2-Clause
//! Where an open file is read next: what all processes that have inherited it share (open(2), Open file descriptions).

use core::cell::{Cell, RefCell};

use vfs_hooks::sync::Ordering;

use super::channel::Held;
use crate::errno::Errno;
use crate::platform::channels;

/// A position, in this process at first, in a channel once another one has the file.
#[derive(Debug, Default)]
pub struct Position {
    own: Cell<u64>,
    /// The channel, held for this position alone.
    shared: RefCell<Option<Held>>,
}

impl Position {
    /// One that another process has passed on.
    pub fn inherited(channel: u32) -> Position {
        Position {
            own: Cell::new(0),
            shared: RefCell::new(Some(Held::new(channel as usize, 0))),
        }
    }

    /// Whether another process has it as well.
    pub fn is_shared(&self) -> bool {
        let shared = self.shared.borrow();
        shared
            .as_ref()
            .is_some_and(|held| channels::header(held.channel).holders(0) > 1)
    }

    /// Where it is.
    pub fn get(&self) -> u64 {
        match &*self.shared.borrow() {
            None => self.own.get(),
            Some(held) => channels::header(held.channel).value.load(Ordering::Acquire),
        }
    }

    /// Sets it.
    pub fn set(&self, position: u64) {
        match &*self.shared.borrow() {
            None => self.own.set(position),
            Some(held) => {
                let value = &channels::header(held.channel).value;
                value.store(position, Ordering::Release);
            }
        }
    }

    /// Where it is, and moves it by what `step` says, which gets where it is: for a read, of which no two processes get the same bytes.
    pub fn advance(&self, mut step: impl FnMut(u64) -> u64) {
        match &*self.shared.borrow() {
            None => self.own.set(self.own.get() + step(self.own.get())),
            Some(held) => {
                let value = &channels::header(held.channel).value;
                let _ = value.fetch_update(Ordering::AcqRel, Ordering::Acquire, |at| {
                    Some(at.saturating_add(step(at)))
                });
            }
        }
    }

    /// The channel, once it is in one: it is this open file's alone.
    pub fn channel(&self) -> Option<usize> {
        self.shared.borrow().as_ref().map(|held| held.channel)
    }

    /// Moves it into a channel; its number.
    pub fn share(&self) -> Result<u32, Errno> {
        let mut shared = self.shared.borrow_mut();
        if let Some(held) = &*shared {
            return Ok(held.channel as u32);
        }
        let channel = channels::create(1)?;
        let value = &channels::header(channel).value;
        value.store(self.own.get(), Ordering::Release);
        *shared = Some(Held::new(channel, 0));
        Ok(channel as u32)
    }
}
