// SPDX-License-Identifier: BSD-2-Clause
//! Where everything lies: the addresses of the processes, and the memory that they share.
//!
//! All processes run the same code, at the address at which the root task runs it. Only what each of them shares with
//! others, and its stack, can be written.

use core::sync::atomic::AtomicU64;

/// Size of a small page.
pub const PAGE: usize = 4 << 10;
/// Size of a large page.
pub const LARGE_PAGE: usize = 2 << 20;

/// The code lies below this, in one large page that nobody can write.
pub const IMAGE_END: usize = 0x60_0000;
/// Top of the main thread's stack, one page in a producer, [`WATCHER_STACK`] pages in consumer and broker.
pub const STACK_TOP: usize = 0x64_0000;
/// Pages of stack that the consumer has, and the broker.
pub const WATCHER_STACK: usize = 4;
/// Number of this address space, in the page of its first stack.
pub const SELF: usize = STACK_TOP - 8;
/// What is kept free at the top of a first stack.
pub const STACK_HEAD: usize = 64;
/// Page of [`Counts`], in counted runs.
pub const COUNTS: usize = 0x68_0000;
/// A consumer's or broker's own large page: [`Memory`].
pub const MEMORY: usize = 0x80_0000;
/// Buffer of the consumer's notification queue.
pub const QUEUE_BUFFER: usize = 0xa0_0000;
/// A producer's own channel; room for a large page.
pub const CHANNEL: usize = 0xc0_0000;
/// Ring from a broker to the consumer, a large page.
pub const FORWARD: usize = 0xe0_0000;
/// All channels, in the consumer and in a broker; a large one, alone, also here.
pub const CHANNELS: usize = 0x100_0000;
/// Stacks of the consumer's threads.
pub const STACKS: usize = 0x800_0000;
/// Buffers of inner queues, one page each.
pub const INNER_BUFFERS: usize = 0x1000_0000;

/// Most processes: the kernel has 4,096 address space numbers, of which one is nobody's, one the root task's, and two
/// the consumer's and the broker's.
pub const MAX_PRODUCERS: usize = 4000;
/// Most sources.
pub const MAX_SOURCES: usize = 16384;
/// Most events of one round.
pub const MAX_BATCH: usize = 64;
/// Most sources of a producer whose channel is one small page.
pub const SMALL_CHANNEL: usize = 128;

/// Start of a channel, which a producer shares with the consumer and a broker. The sources' edge counters follow at
/// [`EDGES`], the ring's slots at [`Shape::ring_at`].
#[repr(C)]
pub struct Channel {
    /// Root task → producer: how many sources are to have an event.
    pub count: AtomicU64,
    /// Root task → producer: change `scratch` instead, and notify nobody.
    pub mute: AtomicU64,
    /// Changed instead of an edge counter.
    pub scratch: AtomicU64,
    /// Number of entries that the producer added to the ring.
    pub tail: AtomicU64,
    /// Number of entries that were taken out of it.
    pub head: AtomicU64,
    /// The taker sleeps: signal it.
    pub wanted: AtomicU64,
    /// The ring had no room: look at all sources.
    pub overflow: AtomicU64,
    unused: AtomicU64,
    /// Root task → producer: which of its sources, as the producer numbers them.
    pub list: [AtomicU64; MAX_BATCH],
}

/// Offset of the edge counters in a channel.
pub const EDGES: usize = 1024;
const _: () = assert!(size_of::<Channel>() <= EDGES);

/// How large the channels of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Offset of the ring's slots.
    pub ring_at: usize,
    /// Its slots, a power of two.
    pub ring_slots: usize,
    /// The channel is a large page.
    pub large: bool,
}

impl Shape {
    /// For producers of up to so many sources.
    pub fn new(sources: usize) -> Shape {
        match sources {
            0..=SMALL_CHANNEL => Shape {
                ring_at: 2048,
                ring_slots: 256,
                large: false,
            },
            _ => Shape {
                ring_at: 0x4_0000,
                ring_slots: MAX_SOURCES,
                large: true,
            },
        }
    }
}

/// What the consumer has for itself, and the broker. The root task reads it to check.
#[repr(C)]
pub struct Memory {
    /// Sources.
    pub sources: AtomicU64,
    /// Producers.
    pub producers: AtomicU64,
    /// Events delivered.
    pub events: AtomicU64,
    /// Claims that a source has an event when it has none.
    pub spurious: AtomicU64,
    /// The main thread sleeps (one thread per notification).
    pub sleeping: AtomicU64,
    /// Reserved slots of `handed`.
    pub handed_tail: AtomicU64,
    unused: [AtomicU64; 2],
    /// Where the edge counter of each source is.
    pub edge_at: [AtomicU64; MAX_SOURCES],
    /// Edges of each source that were delivered.
    pub seen: [AtomicU64; MAX_SOURCES],
    /// What threads hand to the main thread: source + 1, 0 for none yet.
    pub handed: [AtomicU64; 2 * MAX_SOURCES],
    /// A source waits in `handed`.
    pub pending: [AtomicU64; MAX_SOURCES],
    /// Entries taken out of each producer's ring.
    pub heads: [AtomicU64; MAX_PRODUCERS],
}
const _: () = assert!(size_of::<Memory>() <= LARGE_PAGE);

/// Written by every thread in counted runs, after each system call.
#[repr(C)]
pub struct Counts {
    /// System calls that returned.
    pub entries: AtomicU64,
    /// How often that was in another address space than the time before.
    pub switches: AtomicU64,
    /// The address space of the time before.
    pub current: AtomicU64,
}
