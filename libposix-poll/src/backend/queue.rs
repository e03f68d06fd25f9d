// SPDX-License-Identifier: BSD-2-Clause
//! The notification queue as backend: one kernel queue for each poller, made when it first watches a source of another process.
//!
//! Taking costs nothing while the tail in the buffer has not moved (one load), else one system call however many entries there are.

use crate::backend::{
    AttachError, Backend, BufferSize, Collected, Kernel, QueueId, QueueWoken, WatchSlots, Woken,
};
use crate::deadline::Deadline;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use vfs_hooks::source::Slots;

/// See the module.
pub struct QueueBackend {
    kernel: Rc<dyn Kernel>,
    slots: Rc<WatchSlots>,
    queue: Cell<Option<(QueueId, BufferSize)>>,
    /// Entries collected: the kernel's head.
    head: Cell<u64>,
    /// Cookies that came otherwise than by a collection in `take`: handed over, or collected to make room.
    early: RefCell<Vec<u64>>,
    /// A collection found entries only counted.
    overrun: Cell<bool>,
}

impl QueueBackend {
    /// Without a kernel queue yet.
    pub fn new(kernel: Rc<dyn Kernel>, slots: Rc<WatchSlots>) -> Self {
        QueueBackend {
            kernel,
            slots,
            queue: Cell::new(None),
            head: Cell::new(0),
            early: RefCell::default(),
            overrun: Cell::new(false),
        }
    }

    fn queue(&self) -> Option<(QueueId, BufferSize)> {
        if self.queue.get().is_none() {
            let id = self.kernel.queue_create().ok()?;
            self.queue.set(Some((id, BufferSize::Small)));
        }
        self.queue.get()
    }

    /// Copies a collected run out of the buffer it lies in, before the next collection can end.
    fn copy_out(&self, run: Collected, size: BufferSize, cookie: &mut dyn FnMut(u64)) {
        let Some((id, _)) = self.queue.get() else {
            return;
        };
        self.head.set(run.first + run.count);
        if run.overrun || run.count > size.slots() {
            self.overrun.set(true);
            return;
        }
        for number in run.first..run.first + run.count {
            cookie(self.kernel.entry(id, size, number));
        }
    }

    fn keep_early(&self, run: Collected, size: BufferSize) {
        self.copy_out(run, size, &mut |cookie| {
            self.early.borrow_mut().push(cookie);
        });
    }

    /// Attaches; makes room by collecting (entries of detached watches count until then), then by a larger buffer.
    fn attach_slot(&self, slot: u32, cookie: u64) -> bool {
        let Some((id, mut size)) = self.queue() else {
            return false;
        };
        for attempt in 0.. {
            match self.kernel.attach(id, slot, cookie) {
                Ok(()) => return true,
                Err(AttachError::Refused) => return false,
                Err(AttachError::Full) => match attempt {
                    0 => self.keep_early(self.kernel.collect(id), size),
                    1 if size == BufferSize::Small => {
                        let Ok(run) = self.kernel.queue_enlarge(id) else {
                            return false;
                        };
                        self.keep_early(run, size);
                        size = BufferSize::Large;
                        self.queue.set(Some((id, size)));
                    }
                    _ => return false,
                },
            }
        }
        false
    }
}

impl Slots for QueueBackend {
    fn attach(&self, key: u64) -> Option<u32> {
        let slot = self.slots.take(&*self.kernel)?;
        if self.attach_slot(slot, key) {
            Some(slot)
        } else {
            self.slots.give(slot);
            None
        }
    }

    fn kick(&self, thread: usize) {
        self.kernel.kick(thread);
    }

    fn detach(&self, slot: u32, _key: u64) {
        if let Some((id, _)) = self.queue.get() {
            self.kernel.detach(id, slot);
        }
        self.slots.give(slot);
    }
}

impl Backend for QueueBackend {
    fn has_news(&self) -> bool {
        let Some((id, size)) = self.queue.get() else {
            return false;
        };
        self.kernel.tail(id, size) != self.head.get()
            || self.overrun.get()
            || !self.early.borrow().is_empty()
    }

    fn take(&self, hint: &mut dyn FnMut(u64)) -> bool {
        let Some((id, size)) = self.queue.get() else {
            return true;
        };
        for cookie in self.early.borrow_mut().drain(..) {
            hint(cookie);
        }
        if self.kernel.tail(id, size) != self.head.get() {
            self.copy_out(self.kernel.collect(id), size, hint);
        }
        !self.overrun.replace(false)
    }

    fn current_thread(&self) -> usize {
        self.kernel.current_thread()
    }

    fn wait(&self, deadline: Deadline) -> Woken {
        if self.has_news() {
            return Woken::Events;
        }
        let Some((id, _)) = self.queue.get() else {
            self.kernel.wait_own(deadline);
            return Woken::Interrupted;
        };
        match self.kernel.wait_queue(id, deadline) {
            QueueWoken::Entries => Woken::Events,
            QueueWoken::HandOff(cookie) => {
                self.early.borrow_mut().push(cookie);
                Woken::Events
            }
            QueueWoken::Bound => Woken::Interrupted,
        }
    }
}

impl Drop for QueueBackend {
    fn drop(&mut self) {
        if let Some((id, _)) = self.queue.get() {
            self.kernel.queue_destroy(id);
        }
    }
}
