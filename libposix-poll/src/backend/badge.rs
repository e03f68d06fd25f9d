// SPDX-License-Identifier: BSD-2-Clause
//! Badge bits as backend, for an unmodified kernel: all watches of a process signal its one notification, watch slot `i` with bit
//! `i % BITS`. A bit stands for all watches of its group, so each of them has to be looked at: the cost grows with N / BITS.

use crate::backend::{Backend, Kernel, WatchSlots, Woken};
use crate::deadline::Deadline;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use vfs_hooks::process::notice::WATCH_BITS;
use vfs_hooks::source::Slots;

const BITS: usize = WATCH_BITS as usize;

/// What the badge backends of a process share: their notification's bits belong to all of them.
pub struct BadgeHub {
    kernel: Rc<dyn Kernel>,
    slots: Rc<WatchSlots>,
    members: RefCell<Vec<Weak<Groups>>>,
}

/// Watches of one backend by badge bit.
struct Groups {
    /// Bits that came and were not taken yet.
    pending: Cell<u64>,
    keys: RefCell<[Vec<u64>; BITS]>,
    attached: Cell<usize>,
}

impl BadgeHub {
    /// For the process.
    pub fn new(kernel: Rc<dyn Kernel>, slots: Rc<WatchSlots>) -> Self {
        BadgeHub {
            kernel,
            slots,
            members: RefCell::default(),
        }
    }

    fn deliver(&self, bits: u64) {
        if bits == 0 {
            return;
        }
        self.members.borrow_mut().retain(|member| {
            member
                .upgrade()
                .inspect(|groups| groups.pending.set(groups.pending.get() | bits))
                .is_some()
        });
    }
}

/// See the module.
pub struct BadgeBackend {
    hub: Rc<BadgeHub>,
    groups: Rc<Groups>,
}

impl BadgeBackend {
    /// A member of the process's hub.
    pub fn new(hub: Rc<BadgeHub>) -> Self {
        let groups = Rc::new(Groups {
            pending: Cell::new(0),
            keys: RefCell::new([const { Vec::new() }; BITS]),
            attached: Cell::new(0),
        });
        hub.members.borrow_mut().push(Rc::downgrade(&groups));
        BadgeBackend { hub, groups }
    }
}

impl Slots for BadgeBackend {
    fn attach(&self, key: u64) -> Option<u32> {
        let slot = self.hub.slots.take(&*self.hub.kernel)?;
        self.groups.keys.borrow_mut()[slot as usize % BITS].push(key);
        self.groups.attached.set(self.groups.attached.get() + 1);
        Some(slot)
    }

    fn kick(&self, thread: usize) {
        self.hub.kernel.kick(thread);
    }

    fn detach(&self, slot: u32, key: u64) {
        let mut keys = self.groups.keys.borrow_mut();
        let group = &mut keys[slot as usize % BITS];
        if let Some(index) = group.iter().position(|&k| k == key) {
            group.swap_remove(index);
            self.groups.attached.set(self.groups.attached.get() - 1);
        }
        self.hub.slots.give(slot);
    }
}

impl Backend for BadgeBackend {
    fn has_news(&self) -> bool {
        if self.groups.attached.get() == 0 {
            return false;
        }
        self.hub.deliver(self.hub.kernel.poll_own());
        self.groups.pending.get() != 0
    }

    fn take(&self, hint: &mut dyn FnMut(u64)) -> bool {
        let mut bits = self.groups.pending.replace(0);
        let keys = self.groups.keys.borrow();
        while bits != 0 {
            keys[bits.trailing_zeros() as usize % BITS]
                .iter()
                .for_each(|&key| hint(key));
            bits &= bits - 1;
        }
        true
    }

    fn current_thread(&self) -> usize {
        self.hub.kernel.current_thread()
    }

    fn wait(&self, deadline: Deadline) -> Woken {
        if self.groups.pending.get() == 0 {
            self.hub.deliver(self.hub.kernel.wait_own(deadline));
        }
        if self.groups.pending.get() != 0 {
            Woken::Events
        } else {
            Woken::Interrupted
        }
    }
}
