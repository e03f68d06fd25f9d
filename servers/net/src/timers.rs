// SPDX-License-Identifier: BSD-2-Clause
//! Deadlines of connections: a heap that is corrected lazily.
//!
//! A connection has at most one entry that counts, the earliest time at which somebody must look at it. A deadline that
//! moves back costs nothing: the old entry fires, the look finds nothing due and sets the new one. Only one that moves forward
//! adds an entry, and the older one is then ignored.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use smoltcp::time::Instant;

use crate::connection::ConnectionKey;

/// When a connection's entry fires; `None`: it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed(Option<Instant>);

impl Armed {
    /// Whether an entry for `at` is the one that counts.
    pub fn is(&self, at: Instant) -> bool {
        self.0 == Some(at)
    }

    /// The same, and if so it is gone.
    pub fn fires(&mut self, at: Instant) -> bool {
        let fires = self.is(at);
        if fires {
            self.0 = None;
        }
        fires
    }
}

/// The deadlines of all connections.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, ConnectionKey)>>,
}

impl Timers {
    /// Sees to it that the connection is looked at by `at`.
    pub fn set(&mut self, key: ConnectionKey, armed: &mut Armed, at: Instant) {
        if armed.0.is_none_or(|earlier| at < earlier) {
            armed.0 = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// Takes the next entry that is due at `now`. `disarm` finds the connection and lets its [`Armed`] decide with
    /// [`Armed::fires`]; an entry that it does not know (gone, or an earlier one was set) is dropped.
    pub fn pop(
        &mut self,
        now: Instant,
        mut disarm: impl FnMut(ConnectionKey, Instant) -> bool,
    ) -> Option<ConnectionKey> {
        while let Some(Reverse((at, key))) = self.heap.peek().copied()
            && at <= now
        {
            self.heap.pop();
            if disarm(key, at) {
                return Some(key);
            }
        }
        None
    }

    /// When [`Timers::pop`] has something next. It may turn out to be nothing.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Entries, those that no longer count included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops all entries for which `counts` is false: call it when there are many more entries than connections.
    pub fn prune(&mut self, mut counts: impl FnMut(ConnectionKey, Instant) -> bool) {
        self.heap.retain(|Reverse((at, key))| counts(*key, *at));
    }
}
