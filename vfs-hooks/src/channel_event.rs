// SPDX-License-Identifier: BSD-2-Clause
//! An eventfd in a channel: its counter in the header's `value`, its readiness that of [`eventfd`](crate::eventfd).
#![forbid(unsafe_code)]

use crate::channel::Header;
use crate::eventfd::{EventFdError, MAX};
use crate::events::Events;
use crate::source::{Edges, Readiness};
use crate::sync::Ordering;

/// Its only side.
const SIDE: usize = 0;

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRefused {
    /// As in this process alone.
    Error(EventFdError),
    /// Another process is at work on it: give way and try again.
    Busy,
}

/// An eventfd as one of its holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelEvent<'a>(&'a Header);

impl<'a> ChannelEvent<'a> {
    /// The eventfd of a channel.
    pub fn new(header: &'a Header) -> Self {
        ChannelEvent(header)
    }

    /// Sets the counter of a channel that nobody else holds yet.
    pub fn start(&self, count: u64) {
        self.0.value.store(count, Ordering::Release);
    }

    /// Takes the counter's value for process `own`, or 1 of it in semaphore mode.
    pub fn read(
        &self,
        own: u32,
        semaphore: bool,
        signal: impl FnMut(usize),
    ) -> Result<u64, EventRefused> {
        let lock = self.0.try_lock(own).ok_or(EventRefused::Busy)?;
        let count = self.0.value.load(Ordering::Relaxed);
        if count == 0 {
            return Err(EventRefused::Error(EventFdError::Again));
        }
        let taken = if semaphore { 1 } else { count };
        self.0.value.store(count - taken, Ordering::Relaxed);
        drop(lock);
        self.0.publish(SIDE, Events::OUT, signal);
        Ok(taken)
    }

    /// Adds to the counter for process `own`.
    pub fn write(
        &self,
        own: u32,
        value: u64,
        signal: impl FnMut(usize),
    ) -> Result<(), EventRefused> {
        if value == u64::MAX {
            return Err(EventRefused::Error(EventFdError::Invalid));
        }
        let lock = self.0.try_lock(own).ok_or(EventRefused::Busy)?;
        let count = self.0.value.load(Ordering::Relaxed);
        // The others may have put anything there.
        if value > MAX.saturating_sub(count) {
            return Err(EventRefused::Error(EventFdError::Again));
        }
        self.0.value.store(count + value, Ordering::Relaxed);
        drop(lock);
        self.0.publish(SIDE, Events::IN, signal);
        Ok(())
    }

    /// Level and edges.
    pub fn readiness(&self) -> Readiness {
        let counters = &self.0.sides[SIDE];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let count = self.0.value.load(Ordering::Acquire);
        let mut events = Events::empty();
        events.set(Events::IN, count > 0);
        events.set(Events::OUT, count < MAX);
        Readiness { events, edges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const AGAIN: EventRefused = EventRefused::Error(EventFdError::Again);

    #[test]
    fn counts_and_tells_across_processes() {
        let header = Header::default();
        let event = ChannelEvent::new(&header);
        event.start(3);
        header.sides[0].subscriptions.put(2, 2, Events::IN);
        let mut watches = Vec::new();
        assert_eq!(event.write(1, 4, |watch| watches.push(watch)), Ok(()));
        assert_eq!(watches, [2]);
        assert_eq!(event.readiness().events, Events::IN | Events::OUT);
        assert_eq!(event.read(2, true, |_| ()), Ok(1));
        assert_eq!(event.read(2, false, |_| ()), Ok(6));
        assert_eq!(event.read(1, false, |_| ()), Err(AGAIN));
        let edges = event.readiness().edges;
        assert_eq!((edges.input, edges.output), (1, 2));
    }

    #[test]
    fn overflow_would_block_and_scribbled_counts_do_no_harm() {
        let header = Header::default();
        let event = ChannelEvent::new(&header);
        let invalid = EventRefused::Error(EventFdError::Invalid);
        assert_eq!(event.write(1, u64::MAX, |_| ()), Err(invalid));
        assert_eq!(event.write(1, MAX, |_| ()), Ok(()));
        assert_eq!(event.write(1, 1, |_| ()), Err(AGAIN));
        event.start(u64::MAX);
        assert_eq!(event.write(1, 1, |_| ()), Err(AGAIN));
        assert_eq!(event.read(1, false, |_| ()), Ok(u64::MAX));
    }

    #[test]
    fn one_at_a_time() {
        let header = Header::default();
        let event = ChannelEvent::new(&header);
        let held = header.try_lock(9);
        assert!(held.is_some());
        assert_eq!(event.write(1, 1, |_| ()), Err(EventRefused::Busy));
        assert_eq!(event.read(1, false, |_| ()), Err(EventRefused::Busy));
    }
}
