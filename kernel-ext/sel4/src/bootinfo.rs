// SPDX-License-Identifier: BSD-2-Clause
//! What the kernel tells the root task (`seL4_BootInfo`).

use core::ops::Range;

/// The boot information page. The kernel packs it, so everything is read unaligned.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    base: *const u8,
}

/// Piece of untyped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untyped {
    /// Slot of its capability.
    pub slot: usize,
    /// Physical address.
    pub address: u64,
    /// Size in bits.
    pub bits: u8,
    /// Not memory, or not for the kernel's objects.
    pub device: bool,
}

// Offsets of the packed C structure.
const IPC_BUFFER: usize = 32;
const EMPTY: usize = 40;
const IMAGE_FRAMES: usize = 72;
const IMAGE_PAGING: usize = 88;
const CNODE_BITS: usize = 136;
const ARCH_INFO: usize = 145;
const UNTYPED: usize = 153;
const UNTYPED_LIST: usize = 169;
const UNTYPED_SIZE: usize = 12;
/// `CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS` of both kernels.
const MAX_UNTYPED: usize = 166;

impl BootInfo {
    /// The page at `base`.
    ///
    /// # Safety
    /// `base` must be what the kernel passed to the root task in rdi, still mapped.
    pub const unsafe fn new(base: *const u8) -> BootInfo {
        BootInfo { base }
    }

    fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: by `new`'s contract; the offsets above are inside the kernel's page, and T is a number.
        unsafe { self.base.add(offset).cast::<T>().read_unaligned() }
    }

    fn slots(&self, offset: usize) -> Range<usize> {
        self.read(offset)..self.read(offset + 8)
    }

    /// Address of the message buffer.
    pub fn ipc_buffer(&self) -> usize {
        self.read(IPC_BUFFER)
    }

    /// Empty slots of the root CNode.
    pub fn empty(&self) -> Range<usize> {
        self.slots(EMPTY)
    }

    /// Frames of the root task's image, in the order of their addresses.
    pub fn image_frames(&self) -> Range<usize> {
        self.slots(IMAGE_FRAMES)
    }

    /// Page tables that map the image.
    pub fn image_paging(&self) -> Range<usize> {
        self.slots(IMAGE_PAGING)
    }

    /// Size of the root CNode in bits.
    pub fn cnode_bits(&self) -> u32 {
        self.read::<u8>(CNODE_BITS) as u32
    }

    /// The kernel's estimate of the time-stamp counter's frequency, in MHz.
    pub fn tsc_mhz(&self) -> u64 {
        self.read(ARCH_INFO)
    }

    /// All untyped memory.
    pub fn untyped(&self) -> impl Iterator<Item = Untyped> + use<> {
        let info = *self;
        let slots = self.slots(UNTYPED);
        slots.take(MAX_UNTYPED).enumerate().map(move |(i, slot)| {
            let at = UNTYPED_LIST + i * UNTYPED_SIZE;
            Untyped {
                slot,
                address: info.read(at),
                bits: info.read(at + 10),
                device: info.read::<u8>(at + 11) != 0,
            }
        })
    }
}
