// SPDX-License-Identifier: BSD-2-Clause
//! A timerfd as a file. The event core's time is CLOCK_MONOTONIC; nobody can set CLOCK_REALTIME here, so the two differ by a constant.

use alloc::rc::Rc;
use core::cell::RefCell;

use vfs_hooks::source::SourceId;
use vfs_hooks::timerfd::{Setting, TimerFd};

use super::File;
use crate::clock::{monotonic, realtime};
use crate::errno::Errno;
use crate::poller::core;
use crate::timers;

/// What timerfd_create(2) makes.
pub struct TimerFile {
    timer: Rc<RefCell<TimerFd>>,
    id: u64,
    /// Of CLOCK_REALTIME.
    real: bool,
}

impl TimerFile {
    /// A disarmed one.
    pub fn new(real: bool) -> TimerFile {
        let timer = Rc::new(RefCell::new(TimerFd::new(&mut *core())));
        let id = timers::add(&timer);
        TimerFile { timer, id, real }
    }

    /// timerfd_settime(2). `first`: 0 disarms, else nanoseconds from now, or the clock's time.
    pub fn set(&self, first: u64, interval: u64, absolute: bool) -> Setting {
        let now = monotonic();
        let first = match (first, absolute) {
            (0, _) => 0,
            (first, false) => now.saturating_add(first),
            // In the past is now, but not 0, which means never.
            (first, true) if self.real => {
                now.saturating_add(first.saturating_sub(realtime())).max(1)
            }
            (first, true) => first,
        };
        let mut timer = self.timer.borrow_mut();
        let old = timer.set(&mut *core(), now, first, interval);
        timers::update(self.id, &timer);
        old
    }

    /// timerfd_gettime(2).
    pub fn get(&self) -> Setting {
        let mut timer = self.timer.borrow_mut();
        let setting = timer.get(&mut *core(), monotonic());
        timers::update(self.id, &timer);
        setting
    }
}

impl Drop for TimerFile {
    fn drop(&mut self) {
        timers::remove(self.id);
    }
}

impl File for TimerFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(room) = buffer.first_chunk_mut() else {
            return Err(Errno::EINVAL);
        };
        let mut timer = self.timer.borrow_mut();
        let count = timer.read(&mut *core(), monotonic());
        timers::update(self.id, &timer);
        *room = count.map_err(|_| Errno::EAGAIN)?.to_ne_bytes();
        Ok(room.len())
    }

    fn timer(&self) -> Option<&TimerFile> {
        Some(self)
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn can_write(&self) -> bool {
        false
    }

    fn source(&self) -> SourceId {
        self.timer.borrow().source()
    }
}
