// SPDX-License-Identifier: BSD-2-Clause
//! Backends: how news of sources in other processes reaches an instance, and where its threads block.
//!
//! [`queue`] and [`badge`] reach the kernel through the trait [`Kernel`], which the shim implements with system calls and tests with a
//! model. Nothing here blocks: the core says where to ([`Block`]), the platform blocks with the core lock released and says what came of it ([`Woke`]).

pub mod badge;
mod none;
pub mod queue;
mod slots;

pub use none::NoWatches;
pub(crate) use slots::WatchSlots;

use crate::errno::Errno;

/// Number of a kernel queue object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueId(pub u32);

/// Where a thread is to block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// On its own notification: only kicks and its deadline can wake it.
    Own,
    /// On this queue, which also lets its own notification through (promise 5).
    Queue(QueueId),
    /// On the process's notification, which carries the watch bits: it is the leader of those who wait (unmodified kernel).
    Process,
}

/// What ended it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woke {
    /// A signal handed this cookie over.
    pub cookie: Option<u64>,
    /// Watch bits that the process's notification brought, from bit 0 on.
    pub bits: u64,
}

/// Size of a queue's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferSize {
    /// 4 KiB: 504 entries, 252 watches.
    Small,
    /// 2 MiB: 262,136 entries, 131,068 watches.
    Large,
}

impl BufferSize {
    /// Entries in the buffer; entry `n` lies at `n % slots()` behind the header.
    pub const fn slots(self) -> u64 {
        match self {
            BufferSize::Small => 4096 / 8 - 8,
            BufferSize::Large => (2 << 20) / 8 - 8,
        }
    }
}

/// A collection (promise 4): how many entries, the number of the first, and whether they were only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Entries since the last collection.
    pub count: u64,
    /// Number of the first.
    pub first: u64,
    /// The buffer was gone: the entries are not in it.
    pub overrun: bool,
}

/// Why an attachment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// The buffer serves no more: collect and try again, or resize.
    Full,
    /// Anything else.
    Refused,
}

/// The kernel as the backends see it. All calls come with the core lock held.
pub trait Kernel: Send {
    /// Whether it has notification queues.
    fn has_queues(&self) -> bool;
    /// Makes more watch slots; returns how many there are now. ENOMEM: no more.
    fn grow_watches(&mut self) -> Result<u32, Errno>;
    /// A new queue with a small buffer.
    fn queue_create(&mut self) -> Result<QueueId, Errno>;
    /// Revokes and deletes it.
    fn queue_destroy(&mut self, queue: QueueId);
    /// Gives it a large buffer, and collects; the run lies in the small one.
    fn queue_enlarge(&mut self, queue: QueueId) -> Result<Collected, Errno>;
    /// Attaches the slot's notification.
    fn attach(&mut self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError>;
    /// Detaches it.
    fn detach(&mut self, queue: QueueId, slot: u32);
    /// Entries ever added: word 0 of the buffer. A load.
    fn tail(&self, queue: QueueId, size: BufferSize) -> u64;
    /// Cookie of entry `number`. A load.
    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64;
    /// Collects.
    fn collect(&mut self, queue: QueueId) -> Collected;
    /// Takes the watch bits of the process's notification without waiting (unmodified kernel).
    fn poll_bits(&mut self) -> u64;
}
