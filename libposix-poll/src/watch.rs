// SPDX-License-Identifier: BSD-2-Clause
//! One registration of a source with a poller.

use alloc::rc::Rc;
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Source};

slotmap::new_key_type! {
    /// Names a watch; its 64 bits are the cookie that the kernel carries. The generation in it makes a late cookie of a
    /// watch that is gone name nothing (trap 6).
    pub struct WatchKey;
}

impl WatchKey {
    /// As the kernel and inboxes carry it.
    pub fn cookie(self) -> u64 {
        slotmap::Key::data(&self).as_ffi()
    }

    /// The other way round. Any number is allowed; most name nothing.
    pub fn from_cookie(cookie: u64) -> Self {
        slotmap::KeyData::from_ffi(cookie).into()
    }
}

/// When a watch reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// At each edge (EPOLLET) rather than while the level holds.
    pub edge: bool,
    /// Once, until modified (EPOLLONESHOT).
    pub one_shot: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Events; `Events::ALWAYS` is implied.
    pub events: Events,
    /// When to report them.
    pub mode: Mode,
    /// The user's word, reported with the events.
    pub data: u64,
}

/// What is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that were asked for (or are reported unasked) and hold.
    pub events: Events,
    /// The user's word.
    pub data: u64,
}

/// A registration.
pub(crate) struct Watch {
    pub source: Rc<dyn Source>,
    pub subscription: usize,
    pub interest: Interest,
    /// Edges at the last look. One behind the source's in both directions: report whatever the level is (ADD, MOD).
    pub seen: Edges,
    /// One-shot and reported: says nothing until modified.
    pub disarmed: bool,
    /// In the ready list. Cleared before the source is looked at again (trap 5).
    pub queued: bool,
    /// Subscriptions made for those who watch this poller: (their number, subscription).
    pub forwards: Vec<(usize, usize)>,
}

impl Watch {
    /// Makes the next look report whatever holds.
    pub fn forget_edges(&mut self) {
        let edges = self.source.readiness().edges;
        self.seen = Edges {
            input: edges.input.wrapping_sub(1),
            output: edges.output.wrapping_sub(1),
        };
    }

    /// What there is to report now. `arm` first; then nothing can happen unnoticed after this look.
    pub fn look(&self) -> (Events, Edges) {
        let readiness = self.source.readiness();
        let mut events = readiness.events & self.interest.events;
        if self.disarmed
            || (self.interest.mode.edge && !readiness.edges.moved(self.seen, self.interest.events))
        {
            events = Events::empty();
        }
        (events, readiness.edges)
    }
}
