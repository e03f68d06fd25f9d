// SPDX-License-Identifier: BSD-2-Clause
//! What a source is to those who watch it.
//!
//! A source in this process *publishes*: after each change it says which events hold now and which of them are news ([`Sources`]). Its watchers are
//! told there and then, under the core lock, so nobody has to ask it anything later.
//!
//! A source in another process is *looked at* ([`Remote`]): its state lies in shared memory, and a signal says that looking is worth
//! while (see [`subscription`](crate::subscription)).

use crate::events::Events;
use crate::subscription::Subscriptions;

/// Names a source of this process; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

impl SourceId {
    /// Names none.
    pub const NONE: SourceId = SourceId(u64::MAX);

    /// The number at which the core keeps it: that of no other source while it is open.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Where the sources of a process are registered: the event core. What names no source is ignored.
pub trait Sources {
    /// Registers a source of which these events hold.
    fn open(&mut self, level: Events) -> SourceId;

    /// After a change: `level` holds now, and `news` is what happened. Those who watch for any of `news` are told, each time (trap 1: every
    /// write is news, whether the last one was read or not). Empty news change the level alone.
    fn publish(&mut self, source: SourceId, level: Events, news: Events);

    /// Whether somebody looked for these events since the source last had them, and did not find them.
    fn missed(&self, source: SourceId, events: Events) -> bool;

    /// The source is gone: nobody watches it any longer.
    fn close(&mut self, source: SourceId);
}

/// How often each direction has had something new, modulo 2³²: what edge-triggered watches of shared sources compare. A signal
/// says only "look"; a coalesced flag could not tell a second write from the first (trap 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Writes by the peer, end of file, errors, connections to accept.
    pub input: u32,
    /// Space that became free, connection established, errors.
    pub output: u32,
}

impl Edges {
    /// Counts what `news` tells of.
    pub fn count(&mut self, news: Events) {
        let (input, output) = news.directions();
        self.input = self.input.wrapping_add(u32::from(input));
        self.output = self.output.wrapping_add(u32::from(output));
    }

    /// Whether a direction that `interest` asks about has moved since `seen`. Hang-ups and errors, which nobody has to ask for, move both.
    pub fn moved(self, seen: Edges, interest: Events) -> bool {
        let asked = interest.difference(Events::ALWAYS);
        let (input, output) = (self.input != seen.input, self.output != seen.output);
        (input && asked.intersects(Events::INPUT))
            || (output && asked.intersects(Events::OUTPUT))
            || (input && output)
    }
}

/// A shared source at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What holds.
    pub events: Events,
    /// What has happened.
    pub edges: Edges,
}

/// A source whose state has to be looked at, since others than this process change it.
pub trait Remote: Send {
    /// Level and edges now. Edges are read before the level: a late edge costs a look, a missed one an event.
    fn readiness(&self) -> Readiness;

    /// Takes a cell for a watch slot, at a source that has watchers in several processes and so hands out its cells itself: its number, and the word
    /// to put there in place of the slot; none inside: all are taken. `None`: the watchers are all in one process, which chooses.
    fn claim(&self, _slot: u32) -> Option<Option<(usize, u32)>> {
        None
    }

    /// Gives back what [`Remote::claim`] gave.
    fn release(&self, _cell: usize) {}

    /// When its watchers were signalled last, as a number that is greater for what came later, at whatever source that has one. It may be wrong or old, and decides over the
    /// order alone in which sources are looked at. `None`: nobody counts.
    fn told(&self) -> Option<u64> {
        None
    }

    /// Its subscription cells. `None`: it signals nobody, and its owner publishes news.
    fn subscriptions(&self) -> Option<&Subscriptions>;
}
