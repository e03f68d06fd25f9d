// SPDX-License-Identifier: BSD-2-Clause
//! A notification queue with its buffer, as the tests see it.

use sel4_bindings::{
    CPtr, Error, Message, ObjectType, Word, notification_queue_attach, notification_queue_detach,
    notification_queue_set_buffer, poll, signal, wait,
};

use crate::world::World;

/// The first two words of a message, as far as it has them.
pub type Words = [Option<Word>; 2];

/// Badge bit of everything that comes from a queue.
pub const FROM_QUEUE: Word = 1 << 63;
/// Badge bit: entries were counted but not written.
pub const OVERRUN: Word = 1 << 62;

/// Entries that a buffer of 4 KiB holds, and that it serves.
pub const SMALL_SLOTS: Word = 504;
/// Notifications that a buffer of 4 KiB serves.
pub const SMALL_CAPACITY: usize = 252;
/// Notifications that a buffer of 2 MiB serves.
pub const LARGE_CAPACITY: usize = 131_068;
/// Entries that a buffer of 2 MiB holds.
pub const LARGE_SLOTS: Word = 262_136;

/// First word of the buffer that is an entry; word 0 is the tail.
pub(crate) const HEADER_WORDS: usize = 8;

/// A buffer: a frame that is mapped.
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The frame.
    pub frame: CPtr,
    address: usize,
    slots: Word,
}

impl Buffer {
    /// One of 4 KiB.
    pub fn small(world: &mut World) -> Buffer {
        let frame = world.make(ObjectType::Frame);
        Buffer::mapped(world, frame)
    }

    /// A frame of 4 KiB that is not mapped by this capability.
    pub fn mapped(world: &mut World, frame: CPtr) -> Buffer {
        let address = world.map(frame);
        Buffer {
            frame,
            address,
            slots: SMALL_SLOTS,
        }
    }

    /// One of 2 MiB.
    pub fn large(world: &mut World) -> Buffer {
        let frame = world.make(ObjectType::LargeFrame);
        let address = world.map_large(frame);
        Buffer {
            frame,
            address,
            slots: LARGE_SLOTS,
        }
    }

    /// Any of its words.
    pub fn word(&self, index: usize) -> Word {
        assert!(index < HEADER_WORDS + self.slots as usize);
        let words = self.address as *const Word;
        // SAFETY: the frame is mapped at `address` and has room for the header
        // and all slots. The kernel writes it: hence volatile.
        unsafe { words.add(index).read_volatile() }
    }

    /// Where it is mapped.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Fills the first `words` words with zeros.
    pub fn clear(&self, words: usize) {
        self.set(words, 0);
    }

    /// Writes a word everywhere.
    pub fn fill(&self, word: Word) {
        self.set(HEADER_WORDS + self.slots as usize, word);
    }

    fn set(&self, words: usize, word: Word) {
        assert!(words <= HEADER_WORDS + self.slots as usize);
        for index in 0..words {
            // SAFETY: as in `word`; the test's own mapping can be written.
            unsafe { (self.address as *mut Word).add(index).write_volatile(word) };
        }
    }

    /// Whether every word is 0.
    pub fn is_zero(&self) -> bool {
        (0..HEADER_WORDS + self.slots as usize).all(|index| self.word(index) == 0)
    }

    /// Number of entries ever added, as the kernel wrote it.
    pub fn tail(&self) -> Word {
        self.word(0)
    }

    /// Entry number `n` of all that were ever added.
    pub fn entry(&self, n: Word) -> Word {
        self.word(HEADER_WORDS + (n % self.slots) as usize)
    }

    /// A number that any change of a small buffer, or of a large one's first page,
    /// changes.
    pub fn sum(&self) -> Word {
        (0..HEADER_WORDS + SMALL_SLOTS as usize).fold(0, |sum: Word, i| {
            (sum.rotate_left(5) ^ self.word(i)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// Whether entries `first`, `first` + 1, … are `cookies`.
    pub fn has(&self, first: Word, cookies: impl IntoIterator<Item = Word>) -> bool {
        let mut numbers = first..;
        cookies
            .into_iter()
            .all(|cookie| numbers.next().is_some_and(|n| self.entry(n) == cookie))
    }
}

/// What a collection returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collected {
    /// How many entries there were.
    pub count: Word,
    /// Number of the first.
    pub first: Word,
    /// They are not all in the buffer.
    pub overrun: bool,
}

impl Collected {
    /// `count` entries from number `first` on, all in the buffer.
    pub fn of(count: Word, first: Word) -> Collected {
        Collected {
            count,
            first,
            overrun: false,
        }
    }

    /// Panics if the message is not from a queue: no test goes on from there.
    #[track_caller]
    fn from(message: &Message) -> Collected {
        assert!(
            message.badge & FROM_QUEUE != 0 && message.info.length() == 1,
            "not a collection: {message:x?}"
        );
        Collected {
            count: message.badge & !(FROM_QUEUE | OVERRUN),
            first: message.mrs[0],
            overrun: message.badge & OVERRUN != 0,
        }
    }
}

/// A queue.
#[derive(Clone, Copy)]
pub struct Queue {
    /// The original capability.
    pub cap: CPtr,
    /// The buffer that it was given last.
    pub buffer: Buffer,
}

impl Queue {
    /// One with a buffer of 4 KiB.
    pub fn new(world: &mut World) -> Queue {
        let buffer = Buffer::small(world);
        Queue::with_buffer(world, buffer)
    }

    /// One with a given buffer.
    pub fn with_buffer(world: &mut World, buffer: Buffer) -> Queue {
        let cap = world.make(ObjectType::NotificationQueue);
        set_buffer(cap, buffer.frame).expect("a new queue refuses a buffer");
        Queue { cap, buffer }
    }

    /// Attaches a notification.
    pub fn attach(&self, notification: CPtr, cookie: Word) -> Result<(), Error> {
        notification_queue_attach(self.cap, notification, cookie)
    }

    /// Detaches a notification.
    pub fn detach(&self, notification: CPtr) -> Result<(), Error> {
        notification_queue_detach(self.cap, notification)
    }

    /// Replaces the buffer.
    pub fn resize(&mut self, buffer: Buffer) -> Result<Collected, Error> {
        let collected = set_buffer(self.cap, buffer.frame)?;
        self.buffer = buffer;
        Ok(collected)
    }

    /// Takes out all entries.
    #[track_caller]
    pub fn collect(&self) -> Collected {
        collect(self.cap)
    }

    /// Waits, when there are entries: they are told of and not taken out.
    pub fn wait(&self) -> Word {
        wait(self.cap).badge
    }
}

/// Collects by any capability to a queue.
#[track_caller]
pub fn collect(cap: CPtr) -> Collected {
    Collected::from(&poll(cap))
}

/// Gives a queue a buffer.
pub fn set_buffer(cap: CPtr, frame: CPtr) -> Result<Collected, Error> {
    notification_queue_set_buffer(cap, frame).map(|reply| Collected::from(&reply))
}

/// Reads and clears a notification: its badges, 0 if it was idle.
pub fn take(notification: CPtr) -> Word {
    poll(notification).badge
}

/// Signals several notifications, in order.
pub fn signal_all(notifications: impl IntoIterator<Item = CPtr>) {
    notifications.into_iter().for_each(signal);
}
