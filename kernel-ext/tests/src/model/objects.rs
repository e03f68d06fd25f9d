// SPDX-License-Identifier: BSD-2-Clause
//! The parts of the state, and what goes in and out.

use sel4_bindings::{Error, Word};

use super::ops::{CapSlot, SLOTS};
use crate::queue::{HEADER_WORDS, LARGE_SLOTS, SMALL_SLOTS, Words};

/// How many there are of each kind.
pub const NOTIFICATIONS: usize = 8;
/// Queues.
pub const QUEUES: usize = 4;
/// Threads: the first half runs before the test goes on, the other half when it
/// is let.
pub const THREADS: usize = 4;
/// The thread whose faults nobody handles.
pub const UNHANDLED: usize = 1;
/// Frames for buffers.
pub const FRAMES: usize = 4;
/// The one of 2 MiB.
pub const LARGE: usize = 3;
/// Words of the large frame that are compared.
pub const LARGE_WINDOW: usize = 8192;
const SMALL_WORDS: usize = 512;

/// What an operation returns to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It cannot be tried: the test itself would fault.
    Skipped,
    /// Done, or nothing to be seen of it.
    Done,
    /// With which capability was wrong, for `InvalidCapability`.
    Refused(Error, Word),
    /// Badge, and the first word of the message if it has one.
    Message(Word, Option<Word>),
    /// So many steps of it were done.
    Steps(Word),
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A notification, by one of its capabilities.
    Notification(u8, CapSlot),
    /// A queue, by one of its capabilities.
    Queue(u8, CapSlot),
    /// An endpoint to which nobody sends.
    Endpoint,
}

/// How it does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `seL4_Wait`.
    Wait,
    /// `seL4_Poll`.
    Poll,
}

/// The one thing that a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The call.
    pub call: Call,
    /// Its argument.
    pub source: Source,
}

/// What a thread received and noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The thread.
    pub by: usize,
    /// The badge.
    pub badge: Word,
    /// The first two words, as far as the message has them.
    pub words: Words,
}

/// The object, without its capabilities, on which threads wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Notification(usize),
    Queue(usize),
}

/// What can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Notification(usize),
    /// To an outer queue.
    Queue(usize),
    /// It tells of its end.
    Thread(usize),
}

/// What a notification and a queue have in common.
#[derive(Clone, Copy)]
pub(super) struct Base {
    /// Which capabilities exist; none and no attachment: no object.
    pub caps: [bool; SLOTS],
    pub active: bool,
    pub badge: Word,
    pub bound: Option<usize>,
    waiters: [usize; THREADS],
    waiting: usize,
}

impl Base {
    const NONE: Base = Base {
        caps: [false; SLOTS],
        active: false,
        badge: 0,
        bound: None,
        waiters: [0; THREADS],
        waiting: 0,
    };

    pub fn is_waited_for(&self) -> bool {
        self.waiting > 0
    }

    pub fn append(&mut self, t: usize) {
        self.waiters[self.waiting] = t;
        self.waiting += 1;
    }

    pub fn pop(&mut self) -> Option<usize> {
        let first = *self.waiters[..self.waiting].first()?;
        self.remove(first);
        Some(first)
    }

    pub fn remove(&mut self, t: usize) {
        if let Some(at) = self.waiters[..self.waiting].iter().position(|w| *w == t) {
            self.waiters.copy_within(at + 1..self.waiting, at);
            self.waiting -= 1;
        }
    }

    pub fn has(&self, slot: CapSlot) -> bool {
        self.caps[slot as usize]
    }
}

#[derive(Clone, Copy)]
pub(super) struct Attachment {
    pub queue: usize,
    pub cookie: Word,
    /// Number of the last entry, plus 1; 0 for none.
    pub position: Word,
}

#[derive(Clone, Copy)]
pub(super) struct Notification {
    pub exists: bool,
    pub base: Base,
    pub attachment: Option<Attachment>,
}

impl Notification {
    pub const NONE: Notification = Notification {
        exists: false,
        base: Base::NONE,
        attachment: None,
    };
}

#[derive(Clone, Copy)]
pub(super) struct Queue {
    pub exists: bool,
    pub base: Base,
    pub buffer: Option<usize>,
    /// Entries collected, entries added.
    pub head: Word,
    pub tail: Word,
    /// To an outer queue.
    pub attachment: Option<Attachment>,
    pub attached: usize,
    /// Uncollected entries of what was detached.
    pub stale: usize,
}

impl Queue {
    pub const NONE: Queue = Queue {
        exists: false,
        base: Base::NONE,
        buffer: None,
        head: 0,
        tail: 0,
        attachment: None,
        attached: 0,
        stale: 0,
    };

    /// Attachments that the buffer serves.
    pub fn capacity(&self) -> usize {
        self.buffer.map_or(0, |frame| slots(frame) / 2)
    }
}

/// Notifications that take up room in a queue, and are never signalled.
#[derive(Clone, Copy)]
pub(super) struct Fill {
    pub queue: usize,
    pub count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has nothing to do.
    Parked,
    /// It will make its call when it runs.
    Ready(Command),
    /// It has made it.
    Blocked(Command, Option<Target>),
    /// It has been given this and has not run since.
    Woken(Word, Words),
    /// Stopped before or in its call, which it makes again when it is resumed.
    Suspended(Command),
}

#[derive(Clone, Copy)]
pub(super) struct Thread {
    pub exists: bool,
    pub bound: Option<Target>,
    pub state: State,
    /// It has ended, once at least.
    pub ended: bool,
    pub attachment: Option<Attachment>,
}

impl Thread {
    pub const NONE: Thread = Thread {
        exists: false,
        bound: None,
        state: State::Parked,
        ended: false,
        attachment: None,
    };
}

/// Entries that a frame holds.
pub(super) fn slots(frame: usize) -> usize {
    if frame == LARGE {
        LARGE_SLOTS as usize
    } else {
        SMALL_SLOTS as usize
    }
}

/// The frames' words.
#[derive(Clone)]
pub struct Memory {
    small: [[Word; SMALL_WORDS]; LARGE],
    large: [Word; LARGE_WINDOW],
}

impl Memory {
    pub(super) const ZERO: Memory = Memory {
        small: [[0; SMALL_WORDS]; LARGE],
        large: [0; LARGE_WINDOW],
    };

    /// The words of a frame, as many as are compared.
    pub fn words(&self, frame: usize) -> &[Word] {
        match frame {
            LARGE => &self.large,
            _ => &self.small[frame],
        }
    }

    pub(super) fn write(&mut self, frame: usize, word: usize, value: Word) {
        let words = match frame {
            LARGE => &mut self.large[..],
            _ => &mut self.small[frame][..],
        };
        if let Some(place) = words.get_mut(word) {
            *place = value;
        }
    }

    /// Entry number `entry` of a queue with this buffer.
    pub(super) fn write_entry(&mut self, frame: usize, entry: Word, cookie: Word) {
        let word = HEADER_WORDS + (entry % slots(frame) as Word) as usize;
        self.write(frame, word, cookie);
    }
}
