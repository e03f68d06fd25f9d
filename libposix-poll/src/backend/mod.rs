// SPDX-License-Identifier: BSD-2-Clause
//! Backends: how news of sources in other processes reaches a poller, and how its thread blocks.
//!
//! [`queue`] and [`badge`] reach the kernel through the trait [`Kernel`], which the shim implements with system calls and
//! tests with a model; [`host`] is threads and a lock, for tests on Linux.

pub mod badge;
#[cfg(any(test, feature = "host"))]
pub mod host;
pub mod queue;
mod slots;

pub use slots::WatchSlots;

use crate::deadline::Deadline;
use crate::errno::Errno;
use vfs_hooks::source::Slots;

/// Why a blocked thread came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be something to take.
    Events,
    /// The deadline passed or somebody kicked the thread: look at clock, timers, console, signals.
    Interrupted,
}

/// What a poller asks of its backend. Slots of its watches come from the same object.
pub trait Backend: Slots {
    /// Whether there may be news to take. Queue: loads only. Badge: asks the kernel while anything is attached.
    fn has_news(&self) -> bool;
    /// Takes the news: calls `hint` with the key of each watch to look at. `false`: it lost count, look at all.
    fn take(&self, hint: &mut dyn FnMut(u64)) -> bool;
    /// Blocks until there is news, somebody kicks the thread, or the deadline passes. May return early for no reason.
    fn wait(&self, deadline: Deadline) -> Woken;
    /// Number of the calling thread.
    fn current_thread(&self) -> usize;
}

/// Number of a kernel queue object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueId(pub u32);

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

/// Why a wait on a queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueWoken {
    /// It has entries; nothing was collected.
    Entries,
    /// A signal handed over this cookie.
    HandOff(u64),
    /// The thread's bound notification was signalled.
    Bound,
}

/// Why an attachment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// The buffer serves no more: collect and try again, or resize.
    Full,
    /// Anything else.
    Refused,
}

/// The kernel as the backends see it. Signals of the thread's own notification that are not about
/// watches (deadline, kick) are the implementation's to remember; it ends the wait for them.
pub trait Kernel {
    /// Makes more watch slots; returns how many there are now. ENOMEM: no more.
    fn grow_watches(&self) -> Result<u32, Errno>;
    /// A new queue with a small buffer.
    fn queue_create(&self) -> Result<QueueId, Errno>;
    /// Revokes and deletes it.
    fn queue_destroy(&self, queue: QueueId);
    /// Gives it a large buffer, and collects; the run lies in the small one.
    fn queue_enlarge(&self, queue: QueueId) -> Result<Collected, Errno>;
    /// Attaches the slot's notification.
    fn attach(&self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError>;
    /// Detaches it.
    fn detach(&self, queue: QueueId, slot: u32);
    /// Entries ever added: word 0 of the buffer. A load.
    fn tail(&self, queue: QueueId, size: BufferSize) -> u64;
    /// Cookie of entry `number`. A load.
    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64;
    /// Collects.
    fn collect(&self, queue: QueueId) -> Collected;
    /// Number of the calling thread.
    fn current_thread(&self) -> usize {
        0
    }
    /// Ends the wait of a thread that is in one, or its next.
    fn kick(&self, thread: usize);
    /// Waits on the queue. The lock over the core is released meanwhile.
    fn wait_queue(&self, queue: QueueId, deadline: Deadline) -> QueueWoken;
    /// Waits on the thread's own notification, the lock released; returns the watch bits, from bit 0 on.
    fn wait_own(&self, deadline: Deadline) -> u64;
    /// Takes the watch bits of the thread's own notification without waiting.
    fn poll_own(&self) -> u64;
}
