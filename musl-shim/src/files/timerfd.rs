// SPDX-License-Identifier: BSD-2-Clause
//! A timerfd as a file. The event core's time is CLOCK_MONOTONIC; nobody can set CLOCK_REALTIME here, so the two differ by a constant.

use alloc::rc::Rc;

use vfs_hooks::source::{Readiness, Source};
use vfs_hooks::timerfd::{Setting, TimerFd};

use super::File;
use crate::clock::{monotonic, realtime};
use crate::errno::Errno;
use crate::timers;

/// What timerfd_create(2) makes.
pub struct TimerFile {
    timer: Rc<TimerFd>,
    id: u64,
    /// Of CLOCK_REALTIME.
    real: bool,
}

impl TimerFile {
    /// A disarmed one.
    pub fn new(real: bool) -> TimerFile {
        let timer = Rc::new(TimerFd::new());
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
        let old = self.timer.set(now, first, interval);
        timers::update(self.id, &self.timer);
        old
    }

    /// timerfd_gettime(2).
    pub fn get(&self) -> Setting {
        let setting = self.timer.get(monotonic());
        timers::update(self.id, &self.timer);
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
        let count = self.timer.read(monotonic());
        timers::update(self.id, &self.timer);
        *room = count.map_err(|_| Errno::EAGAIN)?.to_ne_bytes();
        Ok(room.len())
    }

    fn timer(&self) -> Option<&TimerFile> {
        Some(self)
    }

    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(self.timer.clone())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(self.timer.readiness())
    }
}
