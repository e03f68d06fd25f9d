// SPDX-License-Identifier: BSD-2-Clause
//! Frames: zeroed memory for processes, and the root server's own views of it.
//!
//! No process ever has a capability to a frame: this kernel unmaps a frame only when the last capability to it is deleted.
//! So the root server keeps them all, and unmaps explicitly before it uses a frame again.

use alloc::vec::Vec;
use core::ops::Range;

use sel4_bindings::*;
use vfs_hooks::process::{LARGE_PAGE, PAGE};

use crate::objects::{MAX_BATCH, Objects, Result};

/// Where the root server maps a frame for a moment.
const WINDOW: usize = 0x70_0000_0000;
const LARGE_WINDOW: usize = WINDOW + LARGE_PAGE;
/// Where it maps frames to stay.
const VIEWS: usize = 0x71_0000_0000;
const LARGE_VIEWS: usize = 0x72_0000_0000;
/// Memory that requests of processes leave untouched, for the root server's own needs.
const RESERVE: u64 = 512 << 10;

/// Frames, and the objects they are made of.
pub struct Memory {
    /// Slots and untyped memory.
    pub objects: Objects,
    /// Slots of small frames never used.
    fresh: Range<usize>,
    /// Frames that came back and must be zeroed.
    used: Vec<u32>,
    used_large: Vec<u32>,
    next_view: usize,
    next_large_view: usize,
}

impl Memory {
    /// Frames out of `objects`.
    pub fn new(objects: Objects) -> Memory {
        Memory {
            objects,
            fresh: 0..0,
            used: Vec::new(),
            used_large: Vec::new(),
            next_view: VIEWS,
            next_large_view: LARGE_VIEWS,
        }
    }

    /// Bytes that can still be had as small frames.
    pub fn available(&self) -> u64 {
        let frames = self.fresh.len() + self.used.len();
        let ours = self.objects.available() + (frames * PAGE) as u64;
        ours.saturating_sub(RESERVE)
    }

    /// Whether `pages` small frames and their page tables can be had.
    pub fn has_room(&self, pages: usize) -> bool {
        let tables = pages / 512 + 4;
        ((pages + tables) * PAGE) as u64 <= self.available()
    }

    /// A zeroed 4 KiB frame.
    pub fn frame(&mut self) -> Result<CPtr> {
        if let Some(slot) = self.used.pop() {
            let frame = CPtr(slot as usize);
            self.with(frame, |bytes| bytes.fill(0))?;
            return Ok(frame);
        }
        if self.fresh.is_empty() {
            self.fresh = self.batch()?;
        }
        let slot = self.fresh.next().ok_or(Error::NotEnoughMemory)?;
        Ok(CPtr(slot))
    }

    /// Frames made at once, as many as memory allows.
    fn batch(&mut self) -> Result<Range<usize>> {
        let slots = self.objects.slots(MAX_BATCH)?;
        let mut count = MAX_BATCH;
        loop {
            let bits = 12 + count.trailing_zeros();
            match self.objects.untyped(bits) {
                Ok(untyped) => {
                    self.objects
                        .retype(untyped, ObjectType::Frame, 0, slots, count)?;
                    return Ok(slots..slots + count);
                }
                Err(Error::NotEnoughMemory) if count > 1 => count /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    /// A zeroed 2 MiB frame.
    pub fn large_frame(&mut self) -> Result<CPtr> {
        if let Some(slot) = self.used_large.pop() {
            let frame = CPtr(slot as usize);
            self.with_large(frame, |bytes| bytes.fill(0))?;
            return Ok(frame);
        }
        self.objects.object(ObjectType::LargeFrame)
    }

    /// Takes back a frame that is mapped nowhere and has no copies.
    pub fn free(&mut self, frame: CPtr) {
        self.used.push(frame.0 as u32);
    }

    /// As [`Memory::free`], of a 2 MiB frame.
    pub fn free_large(&mut self, frame: CPtr) {
        self.used_large.push(frame.0 as u32);
    }

    /// Maps `frame`, which must not be mapped, for as long as `use_it` runs.
    pub fn with<R>(&mut self, frame: CPtr, use_it: impl FnOnce(&mut [u8]) -> R) -> Result<R> {
        self.through(WINDOW, PAGE, frame, use_it)
    }

    /// As [`Memory::with`], of a 2 MiB frame.
    pub fn with_large<R>(&mut self, frame: CPtr, use_it: impl FnOnce(&mut [u8]) -> R) -> Result<R> {
        self.through(LARGE_WINDOW, LARGE_PAGE, frame, use_it)
    }

    fn through<R>(
        &mut self,
        window: usize,
        size: usize,
        frame: CPtr,
        use_it: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R> {
        self.objects.map(
            CPtr::INIT_VSPACE,
            frame,
            window,
            CapRights::READ_WRITE,
            VmAttributes::WRITE_BACK,
        )?;
        // SAFETY: `size` bytes at the window were just mapped read-write; the frame is mapped nowhere else (it was unmapped,
        // and this capability is its only one), so nobody else refers to these bytes until it is unmapped below.
        let bytes = unsafe { core::slice::from_raw_parts_mut(window as *mut u8, size) };
        let result = use_it(bytes);
        x86_page_unmap(frame)?;
        Ok(result)
    }

    /// Maps a copy of `frame` into the root server to stay; returns where.
    pub fn view(&mut self, frame: CPtr, rights: CapRights) -> Result<View> {
        let copy = self.objects.copy(frame)?;
        let address = self.map_here(copy, rights, VmAttributes::WRITE_BACK)?;
        Ok(View { copy, address })
    }

    /// As [`Memory::view`], of a 2 MiB frame.
    pub fn view_large(&mut self, frame: CPtr, rights: CapRights) -> Result<View> {
        let copy = self.objects.copy(frame)?;
        let address = self.next_large_view;
        let cached = VmAttributes::WRITE_BACK;
        self.objects
            .map(CPtr::INIT_VSPACE, copy, address, rights, cached)?;
        self.next_large_view += LARGE_PAGE;
        Ok(View { copy, address })
    }

    /// Ends a view. Its address is not used again.
    pub fn end_view(&mut self, view: View) -> Result<()> {
        x86_page_unmap(view.copy)?;
        self.objects.delete(view.copy)
    }

    /// Maps the device registers at `physical`, a multiple of a page.
    pub fn device(&mut self, physical: u64) -> Result<usize> {
        let frame = self.objects.device_frame(physical)?;
        self.map_here(frame, CapRights::READ_WRITE, VmAttributes::UNCACHEABLE)
    }

    fn map_here(
        &mut self,
        frame: CPtr,
        rights: CapRights,
        attributes: VmAttributes,
    ) -> Result<usize> {
        let address = self.next_view;
        self.objects
            .map(CPtr::INIT_VSPACE, frame, address, rights, attributes)?;
        self.next_view += PAGE;
        Ok(address)
    }

    /// Maps 2 MiB frames into the root server at `address`; returns how many there were memory for.
    pub fn add_large(&mut self, address: usize, count: usize) -> usize {
        for i in 0..count {
            let mapped = self.large_frame().and_then(|frame| {
                self.objects.map(
                    CPtr::INIT_VSPACE,
                    frame,
                    address + i * LARGE_PAGE,
                    CapRights::READ_WRITE,
                    VmAttributes::WRITE_BACK,
                )
            });
            if mapped.is_err() {
                return i;
            }
        }
        count
    }
}

/// A frame as the root server sees it.
#[derive(Debug)]
pub struct View {
    copy: CPtr,
    /// Where it is mapped.
    pub address: usize,
}
