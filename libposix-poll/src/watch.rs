// SPDX-License-Identifier: BSD-2-Clause
//! One registration of a source with an instance, and the lists that watches are in.

use crate::slab::{NONE, Slab};
use vfs_hooks::Events;
use vfs_hooks::source::Edges;

/// When a watch reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// At each event (EPOLLET) rather than while the level holds.
    pub edge: bool,
    /// Once, until modified (EPOLLONESHOT).
    pub one_shot: bool,
    /// Of several such watches of one source, those of instances that nobody waits in are passed over (EPOLLEXCLUSIVE).
    pub exclusive: bool,
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

/// What a watch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An entry of an interest list.
    Report,
    /// Of a thread's kept set: wakes, and is never reported.
    Wake,
    /// Of a shared source below a nested instance: a signal means that the nested instances must be looked at.
    Forward,
}

/// A watch's place at a shared source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The watch slot that the source signals.
    pub slot: u32,
    /// The subscription cell.
    pub cell: u8,
    /// Edges that the watch has been told of.
    pub seen: Edges,
}

/// A registration. Everything in it is guarded by the core lock, as the whole core is.
#[derive(Debug)]
pub(crate) struct Watch {
    pub source: u32,
    pub instance: u32,
    /// The number it was named by; -1 if that does not matter.
    pub fd: i32,
    /// Empty once a one-shot watch has reported.
    pub interest: Events,
    pub data: u64,
    pub mode: Mode,
    pub purpose: Purpose,
    /// In the ready list.
    pub queued: bool,
    pub place: Option<Place>,
    pub ready: Links,
    pub at_source: Links,
}

/// Neighbours in a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub previous: u32,
    pub next: u32,
}

impl Links {
    /// In no list.
    pub const NONE: Links = Links {
        previous: NONE,
        next: NONE,
    };
}

/// Which of a watch's links a list goes by.
pub(crate) type Linked = fn(&mut Watch) -> &mut Links;

/// A list of watches, linked through them: nothing is allocated, and any can leave at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub head: u32,
    pub tail: u32,
}

impl List {
    pub const EMPTY: List = List {
        head: NONE,
        tail: NONE,
    };

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == NONE
    }

    #[inline]
    pub fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    #[inline(always)]
    pub fn push_back(&mut self, watches: &mut Slab<Watch>, at: u32, links: Linked) {
        *links(&mut watches[at]) = Links {
            previous: self.tail,
            next: NONE,
        };
        match self.tail {
            NONE => self.head = at,
            tail => links(&mut watches[tail]).next = at,
        }
        self.tail = at;
    }

    #[inline(always)]
    pub fn push_front(&mut self, watches: &mut Slab<Watch>, at: u32, links: Linked) {
        *links(&mut watches[at]) = Links {
            previous: NONE,
            next: self.head,
        };
        match self.head {
            NONE => self.tail = at,
            head => links(&mut watches[head]).previous = at,
        }
        self.head = at;
    }

    #[inline(always)]
    pub fn remove(&mut self, watches: &mut Slab<Watch>, at: u32, links: Linked) {
        let Links { previous, next } = *links(&mut watches[at]);
        match previous {
            NONE => self.head = next,
            previous => links(&mut watches[previous]).next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => links(&mut watches[next]).previous = previous,
        }
    }

    /// Moves everything up to `last` behind the rest.
    #[inline(always)]
    pub fn rotate_past(&mut self, watches: &mut Slab<Watch>, last: u32, links: Linked) {
        let first = links(&mut watches[last]).next;
        if first == NONE {
            return;
        }
        let (head, tail) = (self.head, self.tail);
        links(&mut watches[last]).next = NONE;
        links(&mut watches[first]).previous = NONE;
        links(&mut watches[tail]).next = head;
        links(&mut watches[head]).previous = tail;
        (self.head, self.tail) = (first, last);
    }
}

/// By the ready list of the instance.
#[inline(always)]
pub(crate) fn by_ready(watch: &mut Watch) -> &mut Links {
    &mut watch.ready
}

/// By the source's list of its watches.
#[inline(always)]
pub(crate) fn by_source(watch: &mut Watch) -> &mut Links {
    &mut watch.at_source
}
