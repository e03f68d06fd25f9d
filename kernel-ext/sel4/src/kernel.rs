// SPDX-License-Identifier: BSD-2-Clause
//! Which kernel this is, and the numbers that depend on it.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::invocations::OBJECTS;
use crate::{CPtr, Error, Word, untyped_retype};

/// One of the two kernels that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// seL4 5.0.0 with the notification queue.
    Queue = 0,
    /// seL4 5.0.0 as published.
    Stock = 1,
}

/// Row of the tables before [`set_kernel`]: it holds what is the same on both kernels.
const UNSET: u8 = 2;
static KERNEL: AtomicU8 = AtomicU8::new(UNSET);

/// Says which kernel this is. Until then every invocation whose number depends on it fails with
/// [`Error::IllegalOperation`].
pub fn set_kernel(kernel: Kernel) {
    KERNEL.store(kernel as u8, Ordering::Relaxed);
}

/// The kernel given to [`set_kernel`].
pub fn kernel() -> Option<Kernel> {
    match KERNEL.load(Ordering::Relaxed) {
        0 => Some(Kernel::Queue),
        1 => Some(Kernel::Stock),
        _ => None,
    }
}

/// Asks the kernel which one it is, given any untyped; does not call [`set_kernel`].
///
/// It asks for zero objects of the highest type that only the queue kernel has. No kernel makes anything,
/// but the type is checked first.
pub fn probe_kernel(untyped: CPtr) -> Result<Kernel, Error> {
    let highest = OBJECTS[ObjectType::PageDirectory as usize].by_kernel[0] as Word;
    match untyped_retype(untyped, highest, 0, CPtr::INIT_CNODE, 0, 0, 0, 0) {
        Err(Error::InvalidArgument) => Ok(Kernel::Stock),
        Err(Error::RangeError) => Ok(Kernel::Queue),
        Err(other) => Err(other),
        Ok(()) => Err(Error::IllegalOperation),
    }
}

/// In a [`Numbered`]: this kernel has no such thing.
pub const ABSENT: u16 = u16::MAX;

/// A name and its number on each kernel.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// The kernel's own name of it.
    pub name: &'static str,
    /// Its number on the queue kernel, on stock, and where both agree; [`ABSENT`] if there is none.
    pub by_kernel: [u16; 3],
}

impl Numbered {
    /// Its number on `kernel`.
    pub fn on(&self, kernel: Kernel) -> Option<Word> {
        match self.by_kernel[kernel as usize] {
            ABSENT => None,
            number => Some(number as Word),
        }
    }
}

/// The label for the running kernel.
#[inline]
pub(crate) fn choose(by_kernel: &[u16; 3]) -> Result<Word, Error> {
    // `min` spares a bounds check; the value is never above UNSET.
    let row = KERNEL.load(Ordering::Relaxed).min(UNSET) as usize;
    match by_kernel[row] {
        ABSENT => Err(Error::IllegalOperation),
        label => Ok(label as Word),
    }
}

/// What untyped memory can be made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// Smaller untyped memory.
    Untyped,
    /// Thread.
    Tcb,
    /// Endpoint.
    Endpoint,
    /// Notification.
    Notification,
    /// CNode (`seL4_CapTableObject`); its size is given in slots.
    CNode,
    /// Notification queue (queue kernel only).
    NotificationQueue,
    /// Page table of the level below the PML4.
    Pdpt,
    /// Top-level page table: an address space.
    Pml4,
    /// Frame of 4 KiB.
    Frame,
    /// Frame of 2 MiB.
    LargeFrame,
    /// Page table of the lowest level.
    PageTable,
    /// Page directory.
    PageDirectory,
}

impl ObjectType {
    /// Number to give to [`untyped_retype`]. A type that this kernel lacks has a number that every kernel refuses.
    pub fn number(self) -> Word {
        let by_kernel = &OBJECTS[self as usize].by_kernel;
        choose(by_kernel).unwrap_or(ABSENT as Word)
    }

    /// Size of one object in bits, for those of fixed size; 0 for untyped memory, size of a slot for a CNode.
    pub fn size_bits(self) -> u32 {
        match self {
            ObjectType::Untyped => 0,
            ObjectType::Tcb => 11,
            ObjectType::Endpoint => 4,
            // With the notification queue it has room for an attachment.
            ObjectType::Notification if kernel() == Some(Kernel::Stock) => 5,
            ObjectType::Notification => 6,
            ObjectType::CNode => 5,
            ObjectType::NotificationQueue => 7,
            ObjectType::LargeFrame => 21,
            _ => 12,
        }
    }
}
