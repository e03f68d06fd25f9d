// SPDX-License-Identifier: BSD-2-Clause
//! The notification queue as backend: one kernel queue for each instance, made when it first watches a source of another process.
//!
//! Asking for news costs one load while the tail in the buffer has not moved; taking it one system call however many entries there are.

use crate::backend::{AttachError, BufferSize, Collected, Kernel, QueueId};
use alloc::vec::Vec;

/// An instance's queue.
#[derive(Debug)]
pub struct Queue {
    id: QueueId,
    size: BufferSize,
    /// Entries collected: the kernel's head.
    head: u64,
    /// Cookies that came otherwise than by a collection in `take`: handed over, or collected to make room.
    early: Vec<u64>,
    /// A collection found entries only counted.
    overrun: bool,
}

impl Queue {
    /// A new one. `None`: the kernel or the root server has no more.
    pub fn new(kernel: &mut impl Kernel) -> Option<Queue> {
        Some(Queue {
            id: kernel.queue_create().ok()?,
            size: BufferSize::Small,
            head: 0,
            early: Vec::new(),
            overrun: false,
        })
    }

    /// Its kernel object, to wait on.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// A signal handed a cookie over.
    pub fn handed(&mut self, cookie: u64) {
        self.early.push(cookie);
    }

    /// Copies a collected run out of the buffer it lies in, before the next collection can end.
    fn copy_out(&mut self, kernel: &impl Kernel, run: Collected, size: BufferSize) {
        self.head = run.first + run.count;
        if run.overrun || run.count > size.slots() {
            self.overrun = true;
            return;
        }
        let numbers = run.first..run.first + run.count;
        self.early
            .extend(numbers.map(|number| kernel.entry(self.id, size, number)));
    }

    /// Attaches; makes room by collecting (entries of detached watches count until then), then by a larger buffer.
    pub fn attach(&mut self, kernel: &mut impl Kernel, slot: u32, cookie: u64) -> bool {
        for attempt in 0..3 {
            match kernel.attach(self.id, slot, cookie) {
                Ok(()) => return true,
                Err(AttachError::Refused) => return false,
                Err(AttachError::Full) => match attempt {
                    0 => {
                        let run = kernel.collect(self.id);
                        self.copy_out(kernel, run, self.size);
                    }
                    1 if self.size == BufferSize::Small => {
                        let Ok(run) = kernel.queue_enlarge(self.id) else {
                            return false;
                        };
                        self.copy_out(kernel, run, BufferSize::Small);
                        self.size = BufferSize::Large;
                    }
                    _ => return false,
                },
            }
        }
        false
    }

    /// Whether there is news to take.
    #[inline]
    pub fn has_news(&self, kernel: &impl Kernel) -> bool {
        kernel.tail(self.id, self.size) != self.head || self.overrun || !self.early.is_empty()
    }

    /// Takes the news into `cookies`. `false`: it lost count, look at all.
    pub fn take(&mut self, kernel: &mut impl Kernel, cookies: &mut Vec<u64>) -> bool {
        if kernel.tail(self.id, self.size) != self.head {
            let run = kernel.collect(self.id);
            self.copy_out(kernel, run, self.size);
        }
        cookies.append(&mut self.early);
        !core::mem::take(&mut self.overrun)
    }

    /// Takes the news and drops it: whoever asks for it is about to look at all that there is.
    pub fn drop_news(&mut self, kernel: &mut impl Kernel) {
        if kernel.tail(self.id, self.size) != self.head {
            let run = kernel.collect(self.id);
            self.head = run.first + run.count;
        }
        self.early.clear();
        self.overrun = false;
    }
}
