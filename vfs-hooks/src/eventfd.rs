// SPDX-License-Identifier: BSD-2-Clause
//! eventfd(2): a counter as a source.
//!
//! It holds 0 to 2⁶⁴−2. Reading takes all of it, or 1 in semaphore mode (EFD_SEMAPHORE); writing adds. Reading and writing exactly 8 bytes
//! is the caller's part (trap 13).
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::source::{SourceId, Sources};

/// The largest value that the counter can hold (eventfd(2), write).
pub const MAX: u64 = u64::MAX - 1;

/// Why a read or write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFdError {
    /// 2⁶⁴−1 cannot be added (EINVAL).
    Invalid,
    /// The counter is 0, or would exceed [`MAX`] (EAGAIN, or wait for IN or OUT and try again).
    Again,
}

/// See the module.
#[derive(Debug)]
pub struct EventFd {
    count: u64,
    semaphore: bool,
    source: SourceId,
}

impl EventFd {
    /// One that counts from `initial`.
    pub fn new(sources: &mut impl Sources, initial: u32, semaphore: bool) -> Self {
        let count = initial.into();
        EventFd {
            count,
            semaphore,
            source: sources.open(level(count)),
        }
    }

    /// The counter.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Its source.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Takes the counter's value, or 1 of it in semaphore mode.
    #[inline]
    pub fn read(&mut self, sources: &mut impl Sources) -> Result<u64, EventFdError> {
        if self.count == 0 {
            return Err(EventFdError::Again);
        }
        let taken = if self.semaphore { 1 } else { self.count };
        self.count -= taken;
        sources.publish(self.source, level(self.count), Events::OUT);
        Ok(taken)
    }

    /// Takes all of the counter, in semaphore mode too: for one that goes on elsewhere.
    pub fn take(&mut self, sources: &mut impl Sources) -> u64 {
        let taken = core::mem::take(&mut self.count);
        sources.publish(self.source, level(0), Events::OUT);
        taken
    }

    /// Adds to the counter. Adding 0 changes nothing, but is news, as on Linux.
    #[inline]
    pub fn write(&mut self, sources: &mut impl Sources, value: u64) -> Result<(), EventFdError> {
        if value == u64::MAX {
            return Err(EventFdError::Invalid);
        }
        if value > MAX - self.count {
            return Err(EventFdError::Again);
        }
        self.count += value;
        sources.publish(self.source, level(self.count), Events::IN);
        Ok(())
    }
}

/// IN: above 0. OUT: at least 1 can be added. (ERR needs an overflow, which writes cannot cause.)
#[inline]
fn level(count: u64) -> Events {
    let mut events = Events::empty();
    events.set(Events::IN, count > 0);
    events.set(Events::OUT, count < MAX);
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    #[test]
    fn reading_takes_the_whole_count() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 3, false);
        fd.write(&mut all, 4).unwrap();
        assert_eq!(fd.count(), 7);
        assert_eq!(all.level(fd.source()), Events::IN | Events::OUT);
        assert_eq!(fd.read(&mut all), Ok(7));
        assert_eq!(fd.read(&mut all), Err(EventFdError::Again));
        assert_eq!(all.level(fd.source()), Events::OUT);
    }

    #[test]
    fn a_semaphore_is_read_one_by_one() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 2, true);
        assert_eq!(fd.read(&mut all), Ok(1));
        assert_eq!(all.level(fd.source()), Events::IN | Events::OUT);
        assert_eq!(fd.read(&mut all), Ok(1));
        assert_eq!(fd.read(&mut all), Err(EventFdError::Again));
    }

    #[test]
    fn overflow_would_block_and_all_ones_are_invalid() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 0, false);
        assert_eq!(fd.write(&mut all, u64::MAX), Err(EventFdError::Invalid));
        fd.write(&mut all, MAX).unwrap();
        assert_eq!(all.level(fd.source()), Events::IN);
        assert_eq!(fd.write(&mut all, 1), Err(EventFdError::Again));
        assert_eq!(fd.write(&mut all, 0), Ok(()));
        assert_eq!(fd.read(&mut all), Ok(MAX));
        assert_eq!(all.level(fd.source()), Events::OUT);
    }

    #[test]
    fn one_below_the_top_is_still_writable() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 0, false);
        fd.write(&mut all, MAX - 1).unwrap();
        assert_eq!(all.level(fd.source()), Events::IN | Events::OUT);
        assert_eq!(fd.write(&mut all, 2), Err(EventFdError::Again));
        assert_eq!(fd.write(&mut all, 1), Ok(()));
    }

    #[test]
    fn each_write_is_an_edge_drained_or_not() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 0, false);
        fd.write(&mut all, 1).unwrap();
        assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        fd.write(&mut all, 1).unwrap();
        assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        assert_eq!(fd.write(&mut all, MAX), Err(EventFdError::Again));
        assert_eq!(all.news(fd.source(), Events::all()), (false, 0, 0));
    }

    #[test]
    fn a_read_tells_writers() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 1, false);
        fd.read(&mut all).unwrap();
        assert_eq!(all.news(fd.source(), Events::OUT), (true, 0, 1));
        assert_eq!(fd.read(&mut all), Err(EventFdError::Again));
        assert_eq!(all.news(fd.source(), Events::all()), (false, 0, 0));
    }

    #[test]
    fn one_that_goes_on_elsewhere_takes_all_of_a_semaphore_along() {
        let mut all = Recorder::default();
        let mut fd = EventFd::new(&mut all, 3, true);
        assert_eq!(fd.take(&mut all), 3);
        assert_eq!(fd.read(&mut all), Err(EventFdError::Again));
        assert_eq!(all.level(fd.source()), Events::OUT);
    }
}
