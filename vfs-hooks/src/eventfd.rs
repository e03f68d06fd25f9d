// SPDX-License-Identifier: BSD-2-Clause
//! eventfd(2): a counter as a source.
//!
//! It holds 0 to 2⁶⁴−2. Reading takes all of it, or 1 in semaphore mode (EFD_SEMAPHORE); writing adds. Reading and writing exactly 8 bytes
//! is the caller's part (trap 13).
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::notifier::{Again, Local, Notifier};
use core::cell::Cell;

/// The largest value that the counter can hold (eventfd(2), write).
pub const MAX: u64 = u64::MAX - 1;

/// Why a write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFdError {
    /// 2⁶⁴−1 cannot be added (EINVAL).
    Invalid,
    /// The counter would exceed [`MAX`] (EAGAIN, or wait for OUT and write again).
    Again,
}

/// See the module.
#[derive(Debug)]
pub struct EventFd {
    count: Cell<u64>,
    semaphore: bool,
    notifier: Notifier,
}

impl EventFd {
    /// One that counts from `initial`.
    pub fn new(initial: u32, semaphore: bool) -> Self {
        EventFd {
            count: Cell::new(initial.into()),
            semaphore,
            notifier: Notifier::default(),
        }
    }

    /// Takes the counter's value, or 1 of it in semaphore mode.
    pub fn read(&self) -> Result<u64, Again> {
        let count = self.count.get();
        if count == 0 {
            return Err(Again);
        }
        let taken = if self.semaphore { 1 } else { count };
        self.count.set(count - taken);
        self.notifier.output(Events::OUT);
        Ok(taken)
    }

    /// Adds to the counter. Adding 0 changes nothing, but is an edge, as on Linux.
    pub fn write(&self, value: u64) -> Result<(), EventFdError> {
        if value == u64::MAX {
            return Err(EventFdError::Invalid);
        }
        let count = self.count.get();
        if value > MAX - count {
            return Err(EventFdError::Again);
        }
        self.count.set(count + value);
        self.notifier.input(Events::IN);
        Ok(())
    }
}

impl Local for EventFd {
    fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// IN: above 0. OUT: at least 1 can be added. (ERR needs an overflow, which writes cannot cause.)
    fn level(&self) -> Events {
        let count = self.count.get();
        let mut events = Events::empty();
        events.set(Events::IN, count > 0);
        events.set(Events::OUT, count < MAX);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::probe::Probe;

    #[test]
    fn reading_takes_the_whole_count() {
        let fd = EventFd::new(3, false);
        fd.write(4).unwrap();
        assert_eq!(fd.level(), Events::IN | Events::OUT);
        assert_eq!(fd.read(), Ok(7));
        assert_eq!(fd.read(), Err(Again));
        assert_eq!(fd.level(), Events::OUT);
    }

    #[test]
    fn a_semaphore_is_read_one_by_one() {
        let fd = EventFd::new(2, true);
        assert_eq!(fd.read(), Ok(1));
        assert_eq!(fd.level(), Events::IN | Events::OUT);
        assert_eq!(fd.read(), Ok(1));
        assert_eq!(fd.read(), Err(Again));
    }

    #[test]
    fn overflow_would_block_and_all_ones_are_invalid() {
        let fd = EventFd::new(0, false);
        assert_eq!(fd.write(u64::MAX), Err(EventFdError::Invalid));
        fd.write(MAX).unwrap();
        assert_eq!(fd.level(), Events::IN);
        assert_eq!(fd.write(1), Err(EventFdError::Again));
        assert_eq!(fd.write(0), Ok(()));
        assert_eq!(fd.read(), Ok(MAX));
        assert_eq!(fd.level(), Events::OUT);
    }

    #[test]
    fn one_below_the_top_is_still_writable() {
        let fd = EventFd::new(0, false);
        fd.write(MAX - 1).unwrap();
        assert_eq!(fd.level(), Events::IN | Events::OUT);
        assert_eq!(fd.write(2), Err(EventFdError::Again));
        assert_eq!(fd.write(1), Ok(()));
    }

    #[test]
    fn each_write_is_an_edge_drained_or_not() {
        let fd = EventFd::new(0, false);
        let probe = Probe::new(&fd, Events::IN);
        fd.write(1).unwrap();
        assert_eq!(probe.news(), (true, 1, 0));
        fd.write(1).unwrap();
        assert_eq!(probe.news(), (true, 1, 0));
        assert_eq!(fd.write(MAX), Err(EventFdError::Again));
        assert_eq!(probe.news(), (false, 0, 0));
    }

    #[test]
    fn a_read_tells_writers() {
        let fd = EventFd::new(1, false);
        let probe = Probe::new(&fd, Events::OUT);
        fd.read().unwrap();
        assert_eq!(probe.news(), (true, 0, 1));
        assert_eq!(fd.read(), Err(Again));
        assert_eq!(probe.news(), (false, 0, 0));
    }
}
