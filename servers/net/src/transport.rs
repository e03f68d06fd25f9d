// SPDX-License-Identifier: BSD-2-Clause
//! virtio-drivers' PCI transport with three things changed.
//!
//! * Two features are hidden: with event indices the driver would notify the card for nearly every frame, and indirect
//!   descriptors need an allocator behind the driver.
//! * The receive queue gets an interrupt vector whenever it is set up: a reset clears it, and the crate does not know of vectors.
//! * Notifying only makes a note: the caller notifies once for all frames of a turn ([`Kicks::flush`]).

use alloc::rc::Rc;
use core::cell::Cell;

use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Indirect descriptors and event indices.
const HIDDEN: u64 = 1 << 28 | 1 << 29;
/// Queues of a network card: receive, transmit.
const QUEUES: usize = 2;
const RECEIVE: u16 = 0;
/// No interrupt.
const NO_VECTOR: u16 = 0xffff;

// In the common configuration, for the queue selected last.
const QUEUE_VECTOR: usize = 0x1a;
const QUEUE_NOTIFY_OFFSET: usize = 0x1e;

/// Notifications of the card that are due.
#[derive(Debug, Default)]
pub struct Kicks {
    address: [Cell<usize>; QUEUES],
    due: [Cell<bool>; QUEUES],
}

impl Kicks {
    /// Notifies the card of each queue that has something new.
    pub fn flush(&self) {
        for (queue, due) in self.due.iter().enumerate() {
            if due.take() {
                // SAFETY: `queue_set` stored the queue's own notification address before the driver could use the queue.
                unsafe { (self.address[queue].get() as *mut u16).write_volatile(queue as u16) };
            }
        }
    }
}

/// Where the transport's extra registers are.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// The common configuration.
    pub common: usize,
    /// The notification area, and bytes between two of its addresses per unit of a queue's offset.
    pub notify: usize,
    /// See `notify`.
    pub multiplier: u32,
}

/// The transport.
pub struct CardTransport {
    inner: PciTransport,
    registers: Registers,
    kicks: Rc<Kicks>,
}

impl CardTransport {
    /// Wraps `inner`.
    ///
    /// # Safety
    /// `registers` must be those of the same card, mapped for as long as the value and `kicks` live.
    pub unsafe fn new(inner: PciTransport, registers: Registers, kicks: Rc<Kicks>) -> Self {
        CardTransport {
            inner,
            registers,
            kicks,
        }
    }
}

impl Transport for CardTransport {
    fn read_device_features(&mut self) -> u64 {
        self.inner.read_device_features() & !HIDDEN
    }

    fn notify(&mut self, queue: u16) {
        if let Some(due) = self.kicks.due.get(queue as usize) {
            due.set(true);
        }
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.inner
            .queue_set(queue, size, descriptors, driver_area, device_area);
        let Registers {
            common,
            notify,
            multiplier,
        } = self.registers;
        let vector = if queue == RECEIVE { 0 } else { NO_VECTOR };
        // SAFETY: mapped by `new`'s contract; the inner transport has just selected this queue.
        let offset = unsafe {
            ((common + QUEUE_VECTOR) as *mut u16).write_volatile(vector);
            ((common + QUEUE_NOTIFY_OFFSET) as *const u16).read_volatile()
        };
        if let Some(address) = self.kicks.address.get(queue as usize) {
            address.set(notify + usize::from(offset) * multiplier as usize);
        }
    }

    fn device_type(&self) -> DeviceType {
        self.inner.device_type()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.inner.write_driver_features(features);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.inner.max_queue_size(queue)
    }

    fn get_status(&self) -> DeviceStatus {
        self.inner.get_status()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.inner.set_status(status);
    }

    fn set_guest_page_size(&mut self, size: u32) {
        self.inner.set_guest_page_size(size);
    }

    fn requires_legacy_layout(&self) -> bool {
        self.inner.requires_legacy_layout()
    }

    fn queue_unset(&mut self, queue: u16) {
        self.inner.queue_unset(queue);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.inner.queue_used(queue)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        self.inner.ack_interrupt()
    }

    fn read_config_generation(&self) -> u32 {
        self.inner.read_config_generation()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.inner.read_config_space(offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        self.inner.write_config_space(offset, value)
    }
}
