// SPDX-License-Identifier: BSD-2-Clause
//! What every source in this process shares: edge counters and subscriptions, moved and told in one step.
//!
//! A source implements [`Local`]: its notifier and its level. The rest of [`Source`] follows, so no
//! source counts its own edges.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::local::LocalSubscriptions;
use crate::source::{Edges, Readiness, Source, Watcher};
use core::cell::Cell;

/// What Linux reports where a read would not block.
pub const READABLE: Events = Events::IN.union(Events::RDNORM);
/// What Linux reports where a write would not block.
pub const WRITABLE: Events = Events::OUT.union(Events::WRNORM);

/// The call would block (EAGAIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again;

/// Edge counters and subscriptions of one local source.
#[derive(Debug, Default)]
pub struct Notifier {
    edges: Cell<Edges>,
    subscriptions: LocalSubscriptions,
}

impl Notifier {
    /// After a change of the input side: counts an edge, tells those interested in `events`.
    pub fn input(&self, events: Events) {
        let mut edges = self.edges.get();
        edges.input = edges.input.wrapping_add(1);
        self.edges.set(edges);
        self.subscriptions.notify(events);
    }

    /// After a change of the output side: counts an edge, tells those interested in `events`.
    pub fn output(&self, events: Events) {
        let mut edges = self.edges.get();
        edges.output = edges.output.wrapping_add(1);
        self.edges.set(edges);
        self.subscriptions.notify(events);
    }

    /// After a change of state (hang-up, error, shutdown): an edge in both directions, told to everybody, as Linux does it.
    pub fn state(&self) {
        let edges = self.edges.get();
        self.edges.set(Edges {
            input: edges.input.wrapping_add(1),
            output: edges.output.wrapping_add(1),
        });
        self.subscriptions.notify(Events::all());
    }
}

/// A source whose watchers are all in this process.
pub trait Local {
    /// Its notifier.
    fn notifier(&self) -> &Notifier;
    /// Its level: what holds now.
    fn level(&self) -> Events;
}

impl<T: Local> Source for T {
    fn readiness(&self) -> Readiness {
        Readiness {
            events: self.level(),
            edges: self.notifier().edges.get(),
        }
    }

    fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
        self.notifier().subscriptions.subscribe(watcher, interest)
    }

    fn arm(&self, subscription: usize, interest: Events) {
        self.notifier().subscriptions.arm(subscription, interest);
    }

    fn unsubscribe(&self, subscription: usize) {
        self.notifier().subscriptions.unsubscribe(subscription);
    }
}

/// What the sources' tests look through.
#[cfg(test)]
pub(crate) mod probe {
    use super::*;
    use crate::local::Inbox;
    use crate::source::Slots;
    use alloc::rc::Rc;
    use alloc::vec::Vec;

    struct NoSlots;

    impl Slots for NoSlots {
        fn attach(&self, _key: u64) -> Option<u32> {
            None
        }
        fn detach(&self, _slot: u32, _key: u64) {}
        fn kick(&self, _thread: usize) {}
    }

    /// A watcher of one source, armed again at each look.
    pub struct Probe<'a> {
        source: &'a dyn Source,
        inbox: Rc<Inbox>,
        subscription: usize,
        interest: Events,
        seen: Cell<Edges>,
    }

    impl<'a> Probe<'a> {
        pub fn new(source: &'a dyn Source, interest: Events) -> Self {
            let inbox = Rc::<Inbox>::default();
            let watcher = Watcher {
                inbox: inbox.clone(),
                slots: Rc::new(NoSlots),
                key: 7,
            };
            Probe {
                source,
                subscription: source.subscribe(&watcher, interest).unwrap(),
                inbox,
                interest,
                seen: Cell::new(source.readiness().edges),
            }
        }

        /// (told, input edges, output edges) since the last look.
        pub fn news(&self) -> (bool, u32, u32) {
            let mut keys = Vec::new();
            self.inbox.take(&mut keys);
            assert!(keys.iter().all(|&key| key == 7));
            self.source.arm(self.subscription, self.interest);
            let now = self.source.readiness().edges;
            let then = self.seen.replace(now);
            (
                !keys.is_empty(),
                now.input.wrapping_sub(then.input),
                now.output.wrapping_sub(then.output),
            )
        }
    }

    impl Drop for Probe<'_> {
        fn drop(&mut self) {
            self.source.unsubscribe(self.subscription);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::probe::Probe;
    use super::*;

    #[derive(Default)]
    struct Bare(Notifier);

    impl Local for Bare {
        fn notifier(&self) -> &Notifier {
            &self.0
        }
        fn level(&self) -> Events {
            Events::empty()
        }
    }

    #[test]
    fn tells_only_the_interested_and_counts_for_all() {
        let source = Bare::default();
        let reader = Probe::new(&source, Events::IN);
        let writer = Probe::new(&source, Events::OUT);
        source.0.input(READABLE);
        source.0.input(READABLE);
        assert_eq!(reader.news(), (true, 2, 0));
        assert_eq!(writer.news(), (false, 2, 0));
        source.0.state();
        assert_eq!(reader.news(), (true, 1, 1));
        assert_eq!(writer.news(), (true, 1, 1));
    }

    #[test]
    fn an_ended_subscription_hears_nothing() {
        let source = Bare::default();
        let first = Probe::new(&source, Events::IN);
        drop(Probe::new(&source, Events::IN));
        source.0.input(READABLE);
        assert_eq!(first.news(), (true, 1, 0));
    }
}
