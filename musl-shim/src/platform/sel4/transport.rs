// SPDX-License-Identifier: BSD-2-Clause
//! How news of other processes' sources comes, and how the thread blocks.

use alloc::rc::Rc;

use libposix_poll::backend::badge::{BadgeBackend, BadgeHub};
use libposix_poll::backend::queue::QueueBackend;
use libposix_poll::backend::{Backend, Kernel, WatchSlots};

use super::info::info;
use super::kernel::System;

/// What makes backends: the kernel decides which kind.
pub enum Transport {
    /// A notification queue for each poller.
    Queue {
        /// The system calls.
        kernel: Rc<dyn Kernel>,
        /// The process's watch slots.
        slots: Rc<WatchSlots>,
    },
    /// Badge bits of the own notification.
    Badge(Rc<BadgeHub>),
}

impl Transport {
    /// The one that this kernel can carry.
    pub fn new() -> Transport {
        let kernel: Rc<dyn Kernel> = Rc::new(System::new());
        let slots = Rc::new(WatchSlots::default());
        match info().queue_kernel {
            0 => Transport::Badge(Rc::new(BadgeHub::new(kernel, slots))),
            _ => Transport::Queue { kernel, slots },
        }
    }

    /// A backend for one more poller.
    pub fn backend(&self) -> Rc<dyn Backend> {
        match self {
            Transport::Queue { kernel, slots } => {
                Rc::new(QueueBackend::new(kernel.clone(), slots.clone()))
            }
            Transport::Badge(hub) => Rc::new(BadgeBackend::new(hub.clone())),
        }
    }
}
