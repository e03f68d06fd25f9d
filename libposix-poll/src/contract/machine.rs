// SPDX-License-Identifier: BSD-2-Clause
//! What a world stands on: a kernel, sources that processes share, and threads that block. A model on the host, a process in the guest.

use crate::backend::{AttachError, Block, BufferSize, Collected, Kernel, QueueId, Woke};
use crate::deadline::Deadline;
use crate::errno::Errno;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use vfs_hooks::Events;
use vfs_hooks::source::Remote;

/// See the module. Handles of one machine are alike.
pub trait Machine: Clone + 'static {
    /// The system calls beneath the backend.
    type Kernel: Kernel;
    /// A source that processes share, as its producer has it.
    type Shared: Clone + 'static;

    /// The kernel.
    fn kernel(&self) -> Self::Kernel;

    /// A new source, of which nothing holds.
    fn share(&self) -> Self::Shared;
    /// The same as the core sees it.
    fn remote(&self, shared: &Self::Shared) -> Box<dyn Remote>;
    /// Some events hold from now on, others no longer; what holds then. Tells nobody.
    fn change(&self, shared: &Self::Shared, set: Events, clear: Events) -> Events;
    /// Counts edges, and says which watches are to be signalled.
    fn publish(&self, shared: &Self::Shared, news: Events, signal: &mut dyn FnMut(u32));
    /// Signals a watch.
    fn signal(&self, shared: &Self::Shared, watch: u32);

    /// The thread begins to block there.
    fn enter(&self, thread: usize, block: Block, deadline: Deadline);
    /// What has ended its wait by now, if anything did.
    fn woke(&self, thread: usize, block: Block) -> Option<Woke>;
    /// Waits until its deadline has ended its wait.
    fn expire(&self, thread: usize);
    /// It waits no longer: it is kicked if it does.
    fn leave(&self, thread: usize);
}

/// What the kernel, or the root server, does not do any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Make queues.
    Create = 1,
    /// Attach, for no reason that more room would help.
    Attach,
    /// Attach, since the buffer is full.
    AttachFull,
    /// Attach since the small buffer is full, and give a large one.
    Enlarge,
}

/// What a [`Tallied`] kernel was asked, and what it refuses.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls so far that enter the kernel.
    pub calls: AtomicU64,
    /// Watch slots that are attached to queues.
    pub attached: AtomicUsize,
    /// A [`Refusal`]; 0: none.
    pub refusal: AtomicU8,
    /// Collections find their entries only counted.
    pub overrun: AtomicBool,
}

impl Tally {
    fn refuses(&self, refusal: Refusal) -> bool {
        self.refusal.load(Relaxed) == refusal as u8
    }
}

/// A kernel whose calls are counted, and some refused.
pub struct Tallied<K> {
    kernel: K,
    tally: Arc<Tally>,
    attached: Vec<(QueueId, u32)>,
}

impl<K> Tallied<K> {
    /// This kernel, counted there.
    pub fn new(kernel: K, tally: Arc<Tally>) -> Self {
        let attached = Vec::new();
        Tallied {
            kernel,
            tally,
            attached,
        }
    }

    fn call(&mut self) -> &mut K {
        self.tally.calls.fetch_add(1, Relaxed);
        &mut self.kernel
    }

    fn keep(&mut self, mut stays: impl FnMut(&(QueueId, u32)) -> bool) {
        self.attached.retain(&mut stays);
        self.tally.attached.store(self.attached.len(), Relaxed);
    }

    fn seen(&self, run: Collected) -> Collected {
        let overrun = run.overrun || self.tally.overrun.load(Relaxed);
        Collected { overrun, ..run }
    }
}

impl<K: Kernel> Kernel for Tallied<K> {
    fn has_queues(&self) -> bool {
        self.kernel.has_queues()
    }

    fn grow_watches(&mut self) -> Result<u32, Errno> {
        self.call().grow_watches()
    }

    fn queue_create(&mut self) -> Result<QueueId, Errno> {
        if self.tally.refuses(Refusal::Create) {
            return Err(Errno::NOMEM);
        }
        self.call().queue_create()
    }

    fn queue_destroy(&mut self, queue: QueueId) {
        self.call().queue_destroy(queue);
        self.keep(|&(on, _)| on != queue);
    }

    fn queue_enlarge(&mut self, queue: QueueId) -> Result<Collected, Errno> {
        if self.tally.refuses(Refusal::Enlarge) {
            return Err(Errno::NOMEM);
        }
        let run = self.call().queue_enlarge(queue)?;
        Ok(self.seen(run))
    }

    fn attach(&mut self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError> {
        if self.tally.refuses(Refusal::Attach) {
            return Err(AttachError::Refused);
        }
        if self.tally.refuses(Refusal::AttachFull) || self.tally.refuses(Refusal::Enlarge) {
            return Err(AttachError::Full);
        }
        self.call().attach(queue, slot, cookie)?;
        self.attached.push((queue, slot));
        self.keep(|_| true);
        Ok(())
    }

    fn detach(&mut self, queue: QueueId, slot: u32) {
        self.call().detach(queue, slot);
        self.keep(|&one| one != (queue, slot));
    }

    fn tail(&self, queue: QueueId, size: BufferSize) -> u64 {
        self.kernel.tail(queue, size)
    }

    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64 {
        self.kernel.entry(queue, size, number)
    }

    fn collect(&mut self, queue: QueueId) -> Collected {
        let run = self.call().collect(queue);
        self.seen(run)
    }

    fn poll_bits(&mut self) -> u64 {
        self.call().poll_bits()
    }
}
