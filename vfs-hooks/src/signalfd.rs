// SPDX-License-Identifier: BSD-2-Clause
//! signalfd(2): pending signals of a set as a source.
//!
//! Whether one is pending is its owner's to know: it calls [`SignalFd::raised`] when a signal becomes pending, and
//! [`SignalFd::settle`] when one is taken otherwise. Signal `n` is bit `n - 1` of a set, as in sigset_t.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::source::{SourceId, Sources};

/// See the module.
#[derive(Debug)]
pub struct SignalFd {
    set: u64,
    source: SourceId,
}

fn level(set: u64, pending: u64) -> Events {
    let mut events = Events::empty();
    events.set(Events::IN, set & pending != 0);
    events
}

impl SignalFd {
    /// One for the signals of `set`, of which `pending` may hold some.
    pub fn new(sources: &mut impl Sources, set: u64, pending: u64) -> Self {
        SignalFd {
            set,
            source: sources.open(level(set, pending)),
        }
    }

    /// Its source.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// signalfd4(2) on an existing one: another set. As on Linux those who wait look again.
    pub fn set(&mut self, sources: &mut impl Sources, set: u64, pending: u64) {
        self.set = set;
        sources.publish(self.source, level(set, pending), Events::IN);
    }

    /// Signal number `signal` has become pending. News only if it is in the set; each time, as on Linux.
    pub fn raised(&self, sources: &mut impl Sources, signal: u32, pending: u64) {
        let mut news = Events::empty();
        news.set(Events::IN, self.set >> (signal - 1) & 1 != 0);
        sources.publish(self.source, level(self.set, pending), news);
    }

    /// Fewer signals are pending.
    pub fn settle(&self, sources: &mut impl Sources, pending: u64) {
        sources.publish(self.source, level(self.set, pending), Events::empty());
    }

    /// The signal that a read takes: the lowest pending one of the set. `None`: EAGAIN. The owner makes it pending no more, and settles.
    pub fn next(&self, pending: u64) -> Option<u32> {
        match self.set & pending {
            0 => None,
            found => Some(found.trailing_zeros() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    const SIGINT: u32 = 2;
    const SIGUSR1: u32 = 10;

    fn bit(signal: u32) -> u64 {
        1 << (signal - 1)
    }

    #[test]
    fn signals_of_the_set_are_news_and_others_are_not() {
        let mut all = Recorder::default();
        let fd = SignalFd::new(&mut all, bit(SIGINT), bit(SIGUSR1));
        assert_eq!(all.level(fd.source()), Events::empty());
        fd.raised(&mut all, SIGUSR1, bit(SIGUSR1));
        assert_eq!(all.news(fd.source(), Events::IN), (false, 0, 0));
        let pending = bit(SIGINT) | bit(SIGUSR1);
        for _ in 0..2 {
            fd.raised(&mut all, SIGINT, pending);
            assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        }
        assert_eq!(all.level(fd.source()), Events::IN);
        assert_eq!(fd.next(pending), Some(SIGINT));
        fd.settle(&mut all, bit(SIGUSR1));
        assert_eq!(all.level(fd.source()), Events::empty());
        assert_eq!(fd.next(bit(SIGUSR1)), None);
    }

    #[test]
    fn another_set_is_looked_at_again() {
        let mut all = Recorder::default();
        let mut fd = SignalFd::new(&mut all, 0, bit(SIGINT));
        fd.set(&mut all, bit(SIGINT), bit(SIGINT));
        assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        assert_eq!(all.level(fd.source()), Events::IN);
    }
}
