// SPDX-License-Identifier: BSD-2-Clause
//! One registration of a source with an instance, and the lists that watches are in.

use crate::slab::{NONE, Slot};
use vfs_hooks::Events;
use vfs_hooks::source::Edges;

bitflags::bitflags! {
    /// When a watch reports. None of them: while the level holds.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Mode: u8 {
        /// At each event (EPOLLET) rather than while the level holds.
        const EDGE = 1;
        /// Once, until modified (EPOLLONESHOT).
        const ONE_SHOT = 2;
        /// Of several such watches of one source, those of instances that nobody waits in are passed over (EPOLLEXCLUSIVE).
        const EXCLUSIVE = 4;
    }
}

impl Mode {
    /// Whether a watch that reported is looked at again before anybody sleeps.
    #[inline]
    pub fn stays(self) -> bool {
        !self.intersects(Mode::EDGE.union(Mode::ONE_SHOT))
    }
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

/// What a watch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An entry of an interest list.
    Report,
    /// Of a thread's kept set: wakes, and is never reported.
    Wake,
    /// Of a shared source below a nested instance: a signal means that those who watch that source are to look.
    Forward,
}

/// A registration. Everything in it is guarded by the core lock, as the whole core is. 72 bytes: an index is one `lea`.
#[derive(Debug)]
pub(crate) struct Watch {
    pub source: u32,
    pub instance: u32,
    /// Empty once a one-shot watch has reported.
    pub interest: Events,
    /// The number it was named by; -1 if that does not matter.
    pub fd: i32,
    pub data: u64,
    pub mode: Mode,
    pub purpose: Purpose,
    /// In the ready list.
    pub queued: bool,
    /// At a shared source: the subscription cell,
    pub cell: u8,
    /// the watch slot that the source signals, [`NONE`] without a place,
    pub slot: u32,
    /// and the edges that the watch has been told of.
    pub seen: Edges,
    pub ready: Links,
    pub at_source: Links,
    pub in_instance: Links,
    pub generation: u32,
}

const _: () = assert!(size_of::<Watch>() == 72);

impl Watch {
    pub fn new(source: u32, instance: u32, fd: i32, interest: Interest, purpose: Purpose) -> Self {
        Watch {
            source,
            instance,
            interest: interest.events | Events::ALWAYS,
            fd,
            data: interest.data,
            mode: interest.mode,
            purpose,
            queued: false,
            cell: 0,
            slot: NONE,
            seen: Edges::default(),
            ready: Links::NONE,
            at_source: Links::NONE,
            in_instance: Links::NONE,
            generation: 0,
        }
    }

    /// Whether it has a place at a shared source.
    #[inline]
    pub fn has_place(&self) -> bool {
        self.slot != NONE
    }
}

impl Slot for Watch {
    #[inline]
    fn vacant() -> Self {
        let nothing = Interest {
            events: Events::empty(),
            mode: Mode::empty(),
            data: 0,
        };
        Watch::new(NONE, NONE, -1, nothing, Purpose::Wake)
    }
    #[inline]
    fn generation(&mut self) -> &mut u32 {
        &mut self.generation
    }
    #[inline]
    fn current(&self) -> u32 {
        self.generation
    }
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
pub(crate) trait By {
    fn links(watch: &mut Watch) -> &mut Links;
}

/// By the ready list of the instance.
pub(crate) struct Ready;
/// By the source's list of its watches.
pub(crate) struct AtSource;
/// By the instance's list of all of its watches.
pub(crate) struct InInstance;

impl By for Ready {
    #[inline(always)]
    fn links(watch: &mut Watch) -> &mut Links {
        &mut watch.ready
    }
}

impl By for AtSource {
    #[inline(always)]
    fn links(watch: &mut Watch) -> &mut Links {
        &mut watch.at_source
    }
}

impl By for InInstance {
    #[inline(always)]
    fn links(watch: &mut Watch) -> &mut Links {
        &mut watch.in_instance
    }
}

/// A list of watches, linked through them: nothing is allocated, and any can leave at once. All take the watches' places.
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
    pub fn push_back<B: By>(&mut self, watches: &mut [Watch], at: u32, _: B) {
        *B::links(&mut watches[at as usize]) = Links {
            previous: self.tail,
            next: NONE,
        };
        match self.tail {
            NONE => self.head = at,
            tail => B::links(&mut watches[tail as usize]).next = at,
        }
        self.tail = at;
    }

    #[inline(always)]
    pub fn push_front<B: By>(&mut self, watches: &mut [Watch], at: u32, _: B) {
        *B::links(&mut watches[at as usize]) = Links {
            previous: NONE,
            next: self.head,
        };
        match self.head {
            NONE => self.tail = at,
            head => B::links(&mut watches[head as usize]).previous = at,
        }
        self.head = at;
    }

    #[inline(always)]
    pub fn remove<B: By>(&mut self, watches: &mut [Watch], at: u32, _: B) {
        let Links { previous, next } = *B::links(&mut watches[at as usize]);
        match previous {
            NONE => self.head = next,
            previous => B::links(&mut watches[previous as usize]).next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => B::links(&mut watches[next as usize]).previous = previous,
        }
    }

    /// Moves everything up to `last` behind the rest.
    #[inline(always)]
    pub fn rotate_past<B: By>(&mut self, watches: &mut [Watch], last: u32, _: B) {
        let first = B::links(&mut watches[last as usize]).next;
        if first == NONE {
            return;
        }
        let (head, tail) = (self.head, self.tail);
        B::links(&mut watches[last as usize]).next = NONE;
        B::links(&mut watches[first as usize]).previous = NONE;
        B::links(&mut watches[tail as usize]).next = head;
        B::links(&mut watches[head as usize]).previous = tail;
        (self.head, self.tail) = (first, last);
    }
}
