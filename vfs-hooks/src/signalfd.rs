// SPDX-License-Identifier: BSD-2-Clause
//! signalfd(2): pending signals of a set as a source.
//!
//! Which signals are pending depends on who asks: those of the process and of the asking thread. So the level is not published but looked up
//! by whoever looks ([`Pending`]), and what is published are news: a signal has become pending ([`SignalFd::raised`]). Signal `n` is bit `n - 1`
//! of a set, as in sigset_t.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use crate::events::Events;
use crate::source::{Edges, Readiness, Remote, SourceId, Sources};
use crate::subscription::Subscriptions;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// See the module.
#[derive(Debug)]
pub struct SignalFd {
    set: Arc<AtomicU64>,
    source: SourceId,
}

/// The level of a [`SignalFd`], for the event core to look at.
pub struct Pending<P> {
    set: Arc<AtomicU64>,
    /// The signals that are pending for the calling thread.
    pending: P,
}

impl<P: Fn() -> u64 + Send> Remote for Pending<P> {
    fn readiness(&self) -> Readiness {
        let mut events = Events::empty();
        events.set(Events::IN, self.set.load(Relaxed) & (self.pending)() != 0);
        Readiness {
            events,
            edges: Edges::default(),
        }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        None
    }
}

impl SignalFd {
    /// One for the signals of `set`. Its source is to get [`SignalFd::level`] as its part that is looked at.
    pub fn new(sources: &mut impl Sources, set: u64) -> Self {
        SignalFd {
            set: Arc::new(AtomicU64::new(set)),
            source: sources.open(Events::empty()),
        }
    }

    /// Its source.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Its level; `pending` says what is pending for the thread that calls it.
    pub fn level<P: Fn() -> u64 + Send>(&self, pending: P) -> Pending<P> {
        Pending {
            set: self.set.clone(),
            pending,
        }
    }

    /// Its signals.
    pub fn signals(&self) -> u64 {
        self.set.load(Relaxed)
    }

    /// signalfd4(2) on an existing one: another set. As on Linux those who wait look again.
    pub fn set(&self, sources: &mut impl Sources, set: u64) {
        self.set.store(set, Relaxed);
        sources.publish(self.source, Events::empty(), Events::IN);
    }

    /// A signal has become pending. As on Linux this is news whichever it is: an edge-triggered watch is reported again if others of the set
    /// still wait.
    pub fn raised(&self, sources: &mut impl Sources) {
        sources.publish(self.source, Events::empty(), Events::IN);
    }
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    const SIGINT: u64 = 1 << 1;
    const SIGUSR1: u64 = 1 << 9;

    #[test]
    fn the_level_is_what_is_pending_for_who_asks() {
        let mut all = Recorder::default();
        let fd = SignalFd::new(&mut all, SIGINT);
        assert_eq!(fd.level(|| SIGUSR1).readiness().events, Events::empty());
        let both = fd.level(|| SIGUSR1 | SIGINT);
        assert_eq!(both.readiness().events, Events::IN);
        fd.set(&mut all, 0);
        assert_eq!(both.readiness().events, Events::empty());
        assert_eq!(fd.signals(), 0);
    }

    #[test]
    fn each_new_signal_and_another_set_are_news() {
        let mut all = Recorder::default();
        let fd = SignalFd::new(&mut all, SIGINT);
        for _ in 0..2 {
            fd.raised(&mut all);
            assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        }
        fd.set(&mut all, SIGUSR1);
        assert_eq!(all.news(fd.source(), Events::IN), (true, 1, 0));
        assert_eq!(all.level(fd.source()), Events::empty());
    }
}
