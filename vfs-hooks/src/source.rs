// SPDX-License-Identifier: BSD-2-Clause
//! What a source is to its watchers: a level, edge counters, and a place to subscribe.

use crate::events::Events;
use crate::local::Inbox;
use alloc::rc::Rc;

/// How often each direction has had something new, modulo 2³². Edge-triggered watches compare
/// them: a coalesced flag could not tell a second write from the first (trap 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Writes by the peer, end of file, errors, connections to accept.
    pub input: u32,
    /// Space that became free, connection established, errors.
    pub output: u32,
}

impl Edges {
    /// Whether a direction that `interest` asks about has moved since `seen`. Hang-ups and errors, which nobody has to ask for, move both.
    pub fn moved(self, seen: Edges, interest: Events) -> bool {
        let asked = interest.difference(Events::ALWAYS);
        let (input, output) = (self.input != seen.input, self.output != seen.output);
        (input && asked.intersects(Events::INPUT))
            || (output && asked.intersects(Events::OUTPUT))
            || (input && output)
    }
}

/// A source at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What holds.
    pub events: Events,
    /// What has happened.
    pub edges: Edges,
}

/// Where watch slots for shared sources come from: a watcher's backend.
pub trait Slots {
    /// Reserves a watch slot whose signals name `key` to the backend. `None`: no more are to be had.
    fn attach(&self, key: u64) -> Option<u32>;
    /// Gives it back.
    fn detach(&self, slot: u32, key: u64);
    /// Ends the wait of a thread that is in one, or its next.
    fn kick(&self, thread: usize);
}

/// How a source reaches a watcher: in the same process by an inbox, from another one by a signal to a watch slot.
#[derive(Clone)]
pub struct Watcher {
    /// For sources in this process.
    pub inbox: Rc<Inbox>,
    /// For sources in other processes.
    pub slots: Rc<dyn Slots>,
    /// The watch key: put into the inbox, or named by the slot.
    pub key: u64,
}

/// Anything that can be ready.
pub trait Source {
    /// Level and edges now.
    fn readiness(&self) -> Readiness;

    /// Takes a watcher, armed; returns the number of its subscription. `None`: no room.
    fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize>;

    /// Arms the subscription, with this interest. The caller looks at [`Source::readiness`] afterwards.
    fn arm(&self, subscription: usize, interest: Events);

    /// Ends the subscription.
    fn unsubscribe(&self, subscription: usize);
}
