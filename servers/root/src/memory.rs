// SPDX-License-Identifier: BSD-2-Clause
//! Frames: zeroed memory for processes, and the root server's own views of it.
//!
//! No process ever has a capability to a frame: this kernel unmaps a frame only when the last capability to it is deleted.
//! So the root server keeps them all, and unmaps explicitly before it uses a frame again.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;

use root_server::slot_map::SlotMap;
use sel4_bindings::*;
use vfs_hooks::process::{LARGE_PAGE, PAGE};

use crate::channels::CellCaps;
use crate::contents::MOST;
use crate::image::Image;
use crate::objects::{MAX_BATCH, Objects, Result};
use crate::shells::Shell;

/// Where the root server maps a large frame for a moment.
const LARGE_WINDOW: usize = 0x70_0000_0000;
/// Where it maps frames to stay.
const VIEWS: usize = 0x71_0000_0000;
const LARGE_VIEWS: usize = 0x72_0000_0000;
/// Where it has copies of files, each at [`MOST`] addresses.
const COPIES: usize = 0x73_0000_0000;
/// Memory that requests of processes leave untouched, for the root server's own needs.
const RESERVE: u64 = 512 << 10;

/// Bytes of heap for each page that somebody has: entries in tables of its owner, of views and of frames, which trees keep half full at worst.
const HEAP_OF_PAGE: usize = 96;

/// Whether there is heap to remember whose `pages` more pages are.
pub fn can_remember(pages: usize) -> bool {
    guest_rt::heap::has_room(pages.saturating_mul(HEAP_OF_PAGE))
}

/// Frames, and the objects they are made of.
pub struct Memory {
    /// Slots and untyped memory.
    pub objects: Objects,
    /// Slots of small frames never used.
    fresh: Range<usize>,
    /// Frames that came back and must be zeroed.
    used: Vec<u32>,
    used_large: Vec<u32>,
    /// Where small frames come from, by the first slot.
    batches: BTreeMap<u32, Batch>,
    /// First slots of [`MAX_BATCH`] empty ones in a row, from batches that were given back.
    runs: Vec<u32>,
    next_view: usize,
    next_large_view: usize,
    free_views: Vec<usize>,
    free_large_views: Vec<usize>,
    next_copy: usize,
    free_copies: Vec<usize>,
    /// Frames of shared files: how often each is mapped, and once more while its file has it.
    shares: BTreeMap<u32, u32>,
    /// What processes that have ended left for the next ones, and its bytes.
    shells: Vec<Shell>,
    shell_bytes: u64,
    /// CNodes that channels left.
    cells: Vec<CellCaps>,
    /// Small frames that the root server has looked into. It keeps the mapping, which costs more to make than what it is used for.
    lenses: SlotMap<Lens>,
}

/// Small frames that were made at once.
struct Batch {
    untyped: CPtr,
    bits: u32,
}

impl Batch {
    fn len(&self) -> usize {
        1 << (self.bits - 12)
    }
}

impl Memory {
    /// Frames out of `objects`.
    pub fn new(objects: Objects) -> Memory {
        Memory {
            objects,
            fresh: 0..0,
            used: Vec::new(),
            used_large: Vec::new(),
            batches: BTreeMap::new(),
            runs: Vec::new(),
            next_view: VIEWS,
            next_large_view: LARGE_VIEWS,
            free_views: Vec::new(),
            free_large_views: Vec::new(),
            next_copy: COPIES,
            free_copies: Vec::new(),
            shares: BTreeMap::new(),
            shells: Vec::new(),
            shell_bytes: 0,
            cells: Vec::new(),
            lenses: SlotMap::default(),
        }
    }

    /// Makes lists as long as they can get: they grow as processes end, and then there may be no heap for it.
    pub fn reserve_lists(&mut self) {
        let most = self.objects.total() as usize / PAGE;
        self.used.reserve(most);
        self.objects.reserve_lists(most);
    }

    /// Bytes that can still be had as small frames.
    pub fn available(&self) -> u64 {
        let frames = self.fresh.len() + self.used.len();
        let large = self.used_large.len() * LARGE_PAGE;
        let kept = self.shell_bytes + CellCaps::bytes(self.cells.len());
        let ours = self.objects.available() + (frames * PAGE + large) as u64 + kept;
        ours.saturating_sub(RESERVE)
    }

    /// Bytes and slots that are kept for later: what [`Objects::kept`] says, views of frames, slots of frames made at once.
    pub fn kept(&self) -> (u64, usize) {
        let (bytes, slots) = self.objects.kept();
        let frames = self.batches.len() * MAX_BATCH;
        (bytes, slots + self.lenses.len() + frames)
    }

    /// Mappings of pages of shared files, and those pages themselves.
    pub fn shares(&self) -> u64 {
        self.shares.values().map(|users| u64::from(*users)).sum()
    }

    /// Whether `pages` small frames and their page tables can be had, and remembered.
    pub fn has_room(&self, pages: usize) -> bool {
        let tables = pages / 512 + 4;
        ((pages + tables) * PAGE) as u64 <= self.available() && can_remember(pages)
    }

    /// A zeroed 4 KiB frame.
    pub fn frame(&mut self) -> Result<CPtr> {
        if let Some(slot) = self.used.pop() {
            let frame = CPtr(slot as usize);
            if let Err(error) = self.with(frame, |bytes| bytes.fill(0)) {
                self.free(frame);
                return Err(error);
            }
            return Ok(frame);
        }
        if self.fresh.is_empty() {
            match self.batch() {
                Ok(fresh) => self.fresh = fresh,
                // What was tried may have given some back.
                Err(_) if !self.used.is_empty() => return self.frame(),
                Err(error) => return Err(error),
            }
        }
        let slot = self.fresh.next().ok_or(Error::NotEnoughMemory)?;
        Ok(CPtr(slot))
    }

    /// Frames made at once, as many as memory allows.
    fn batch(&mut self) -> Result<Range<usize>> {
        let slots = match self.runs.pop() {
            Some(first) => {
                self.objects.use_slots(MAX_BATCH);
                first as usize
            }
            None => self.objects.slots(MAX_BATCH)?,
        };
        let mut count = MAX_BATCH;
        loop {
            let bits = 12 + count.trailing_zeros();
            match self.objects.untyped(bits) {
                Ok(untyped) => {
                    self.objects
                        .retype(untyped, ObjectType::Frame, 0, slots, count)?;
                    self.batches.insert(slots as u32, Batch { untyped, bits });
                    return Ok(slots..slots + count);
                }
                Err(Error::NotEnoughMemory) if count > 1 => count /= 2,
                Err(error) => {
                    self.free_run(slots);
                    // What was one large frame can be many small ones.
                    return match self.used_large.is_empty() && self.shells.is_empty() {
                        true => Err(error),
                        false => {
                            self.relieve()?;
                            self.batch()
                        }
                    };
                }
            }
        }
    }

    fn free_run(&mut self, first: usize) {
        self.runs.push(first as u32);
        self.objects.unuse_slots(MAX_BATCH);
    }

    /// How many shells there are.
    pub fn shells(&self) -> usize {
        self.shells.len()
    }

    /// Keeps one.
    pub fn keep_shell(&mut self, shell: Shell) {
        self.shell_bytes += shell.bytes();
        self.shells.push(shell);
    }

    /// One of this program, the last that was left.
    pub fn take_shell(&mut self, image: &Rc<Image>) -> Option<Shell> {
        let last = self.shells.iter().rposition(|shell| shell.is_of(image))?;
        let shell = self.shells.remove(last);
        self.shell_bytes -= shell.bytes();
        Some(shell)
    }

    /// Ends all shells, and what channels left.
    pub fn end_shells(&mut self) -> Result<()> {
        self.shell_bytes = 0;
        for shell in core::mem::take(&mut self.shells) {
            shell.end(self)?;
        }
        for cells in core::mem::take(&mut self.cells) {
            cells.give_back(self)?;
        }
        Ok(())
    }

    /// How many CNodes of channels are kept.
    pub fn kept_cells(&self) -> usize {
        self.cells.len()
    }

    /// Keeps one, which is empty.
    pub fn keep_cells(&mut self, cells: CellCaps) {
        self.cells.push(cells);
    }

    /// One of those.
    pub fn take_cells(&mut self) -> Option<CellCaps> {
        self.cells.pop()
    }

    /// When memory is short: sees to it that kernel objects can be made, too, and not only frames.
    pub fn keep_pieces(&mut self) {
        let short = self.available() < self.objects.total() / 8;
        if short {
            // As below.
            let _ = self.end_shells();
        }
        if short && !self.used.is_empty() && !self.objects.has_piece() {
            // Each step of it that fails leaves what there was.
            let _ = self.relieve();
        }
    }

    /// Makes untyped memory again of frames that nobody uses: for when objects or frames of another size are wanted and there is no
    /// memory for them.
    pub fn relieve(&mut self) -> Result<()> {
        self.end_shells()?;
        self.used.sort_unstable();
        let used = core::mem::take(&mut self.used);
        let mut rest = used.as_slice();
        while let Some(&slot) = rest.first() {
            let batch = self.batches.range(..=slot).next_back();
            let Some((&first, batch)) = batch else {
                // Not from a batch: part of the boot image.
                self.used.push(slot);
                rest = &rest[1..];
                continue;
            };
            let (len, untyped, bits) = (batch.len(), batch.untyped, batch.bits);
            let end = first as usize + len;
            let here = rest.iter().take_while(|s| (**s as usize) < end).count();
            if slot as usize >= end {
                self.used.push(slot);
                rest = &rest[1..];
                continue;
            }
            if here == len {
                self.batches.remove(&first);
                self.objects.give_back(untyped, bits)?;
                for frame in first..end as u32 {
                    // Deleted with the frames, which unmaps it.
                    if let Some(lens) = self.lenses.remove(frame) {
                        self.objects.free_slot(CPtr(lens.copy as usize));
                        self.free_views.push(lens.page as usize * PAGE);
                    }
                }
                self.free_run(first as usize);
            } else {
                self.used.extend_from_slice(&rest[..here]);
            }
            rest = &rest[here..];
        }
        while let Some(frame) = self.used_large.pop() {
            self.objects.unmake_large(CPtr(frame as usize))?;
        }
        Ok(())
    }

    /// A 4 KiB frame with anything in it: for who overwrites all of it.
    pub fn dirty_frame(&mut self) -> Result<CPtr> {
        match self.used.pop() {
            Some(slot) => Ok(CPtr(slot as usize)),
            None => self.frame(),
        }
    }

    /// [`MOST`] addresses of the root server's own.
    pub fn take_addresses(&mut self) -> usize {
        self.free_copies.pop().unwrap_or_else(|| {
            self.next_copy += MOST;
            self.next_copy - MOST
        })
    }

    /// Nothing is mapped there any longer.
    pub fn give_addresses(&mut self, start: usize) {
        self.free_copies.push(start);
    }

    /// A 4 KiB frame that `fill` has written, all of it.
    pub fn filled(&mut self, fill: impl FnOnce(&mut [u8])) -> Result<CPtr> {
        let frame = self.dirty_frame()?;
        match self.with(frame, fill) {
            Ok(()) => Ok(frame),
            Err(error) => {
                self.free(frame);
                Err(error)
            }
        }
    }

    /// A zeroed 2 MiB frame.
    pub fn large_frame(&mut self) -> Result<CPtr> {
        if let Some(slot) = self.used_large.pop() {
            let frame = CPtr(slot as usize);
            if let Err(error) = self.with_large(frame, |bytes| bytes.fill(0)) {
                self.free_large(frame);
                return Err(error);
            }
            return Ok(frame);
        }
        match self.objects.make_large() {
            Err(Error::NotEnoughMemory) => {
                self.relieve()?;
                self.objects.make_large()
            }
            made => made,
        }
    }

    /// Takes back a frame that is mapped nowhere and has no copies.
    pub fn free(&mut self, frame: CPtr) {
        self.used.push(frame.0 as u32);
    }

    /// As [`Memory::free`], of a 2 MiB frame.
    pub fn free_large(&mut self, frame: CPtr) {
        self.used_large.push(frame.0 as u32);
    }

    /// Counts another user of a frame of a shared file.
    pub fn share(&mut self, frame: CPtr) {
        *self.shares.entry(frame.0 as u32).or_default() += 1;
    }

    /// Whether it has more than one user.
    pub fn is_shared(&self, frame: CPtr) -> bool {
        self.shares
            .get(&(frame.0 as u32))
            .is_some_and(|users| *users > 1)
    }

    /// Counts one user less; with the last one the frame comes back. The user's capability is deleted already.
    pub fn unshare(&mut self, frame: CPtr) {
        if let Some(users) = self.shares.get_mut(&(frame.0 as u32)) {
            *users -= 1;
            if *users == 0 {
                self.shares.remove(&(frame.0 as u32));
                self.free(frame);
            }
        }
    }

    /// Where the root server sees the bytes of `frame`, for as long as the frame is somebody's.
    pub fn lens(&mut self, frame: CPtr) -> Result<usize> {
        if let Some(lens) = self.lenses.get(frame.0 as u32) {
            return Ok(lens.page as usize * PAGE);
        }
        let View { copy, address } = self.view(frame, CapRights::READ_WRITE)?;
        let lens = Lens {
            copy: copy.0 as u32,
            page: (address / PAGE) as u32,
        };
        self.lenses.insert(frame.0 as u32, lens);
        Ok(address)
    }

    /// Lets `use_it` change the bytes of `frame`, which no process has mapped, but one that has not begun to run.
    pub fn with<R>(&mut self, frame: CPtr, use_it: impl FnOnce(&mut [u8]) -> R) -> Result<R> {
        let address = self.lens(frame)?;
        // SAFETY: the page is mapped there read-write; no process runs that has it, and of the root server nothing else refers to it.
        Ok(use_it(unsafe {
            core::slice::from_raw_parts_mut(address as *mut u8, PAGE)
        }))
    }

    /// As [`Memory::with`], of a 2 MiB frame.
    pub fn with_large<R>(&mut self, frame: CPtr, use_it: impl FnOnce(&mut [u8]) -> R) -> Result<R> {
        let both = CapRights::READ_WRITE;
        self.objects
            .map_here(frame, LARGE_WINDOW, both, VmAttributes::WRITE_BACK)?;
        // SAFETY: a large page was just mapped read-write at the window; the frame is mapped nowhere else (it was unmapped, and this
        // capability is its only one), so nobody else refers to these bytes until it is unmapped below.
        let bytes = unsafe { core::slice::from_raw_parts_mut(LARGE_WINDOW as *mut u8, LARGE_PAGE) };
        let result = use_it(bytes);
        x86_page_unmap(frame)?;
        Ok(result)
    }

    /// Gives `frame`, whose process does not run, the contents of `source`.
    pub fn overwrite(&mut self, frame: CPtr, source: CPtr) -> Result<()> {
        let from = self.lens(source)? as *const u8;
        self.with(frame, |to| {
            // SAFETY: as in `duplicate`: both are mapped, and the frame is another process's own, so not the source.
            unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, PAGE) };
        })
    }

    /// A frame with the contents of `source`, which may be mapped elsewhere.
    pub fn duplicate(&mut self, source: CPtr) -> Result<CPtr> {
        let from = self.lens(source)? as *const u8;
        self.filled(|to| {
            // SAFETY: both are pages that the root server has mapped, and different ones; no process runs meanwhile.
            unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, PAGE) };
        })
    }

    /// As [`Memory::duplicate`], of a 2 MiB frame.
    pub fn duplicate_large(&mut self, source: CPtr) -> Result<CPtr> {
        let frame = self.large_frame()?;
        let view = match self.view_large(source, CapRights::READ) {
            Ok(view) => view,
            Err(error) => {
                self.free_large(frame);
                return Err(error);
            }
        };
        let from = view.address as *const u8;
        let copied = self.with_large(frame, |to| {
            // SAFETY: the view is a large page, mapped until it is ended below, and another than `to`.
            unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, to.len()) };
        });
        self.end_view(view)?;
        copied.map(|()| frame)
    }

    /// Lets `look` see the bytes of `frame`, which may be mapped elsewhere. `look` must not keep anything of them but copies: the process
    /// that has it mapped does not run meanwhile, but it will again.
    pub fn read<R>(&mut self, frame: CPtr, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let address = self.lens(frame)?;
        // SAFETY: the page is mapped there. Whoever else has it mapped is a process; there is one processor, and this thread runs on it until
        // it blocks, which `look` cannot make it do, so the bytes stay as they are.
        Ok(look(unsafe {
            core::slice::from_raw_parts(address as *const u8, PAGE)
        }))
    }

    /// Maps a copy of `frame` into the root server to stay; returns where.
    fn view(&mut self, frame: CPtr, rights: CapRights) -> Result<View> {
        let copy = self.objects.copy(frame)?;
        let address = match self.free_views.pop() {
            Some(address) => address,
            None => {
                self.next_view += PAGE;
                self.next_view - PAGE
            }
        };
        let cached = VmAttributes::WRITE_BACK;
        if let Err(error) = self.objects.map_here(copy, address, rights, cached) {
            self.objects.delete(copy)?;
            self.free_views.push(address);
            return Err(error);
        }
        Ok(View { copy, address })
    }

    /// As [`Memory::view`], of a 2 MiB frame.
    pub fn view_large(&mut self, frame: CPtr, rights: CapRights) -> Result<View> {
        let copy = self.objects.copy(frame)?;
        let address = match self.free_large_views.pop() {
            Some(address) => address,
            None => {
                self.next_large_view += LARGE_PAGE;
                self.next_large_view - LARGE_PAGE
            }
        };
        let cached = VmAttributes::WRITE_BACK;
        if let Err(error) = self.objects.map_here(copy, address, rights, cached) {
            self.objects.delete(copy)?;
            self.free_large_views.push(address);
            return Err(error);
        }
        Ok(View { copy, address })
    }

    /// Ends a view.
    pub fn end_view(&mut self, view: View) -> Result<()> {
        x86_page_unmap(view.copy)?;
        self.objects.delete(view.copy)?;
        match view.address >= LARGE_VIEWS {
            true => self.free_large_views.push(view.address),
            false => self.free_views.push(view.address),
        }
        Ok(())
    }

    /// Maps the device registers at `physical`, a multiple of a page.
    pub fn device(&mut self, physical: u64) -> Result<usize> {
        let frame = self.objects.device_frame(physical)?;
        let address = self.next_view;
        self.next_view += PAGE;
        let uncached = VmAttributes::UNCACHEABLE;
        self.objects
            .map_here(frame, address, CapRights::READ_WRITE, uncached)?;
        Ok(address)
    }

    /// Maps 2 MiB frames into the root server at `address`; returns how many there were memory for.
    pub fn add_large(&mut self, address: usize, count: usize) -> usize {
        for i in 0..count {
            let mapped = self.large_frame().and_then(|frame| {
                let address = address + i * LARGE_PAGE;
                let both = CapRights::READ_WRITE;
                self.objects
                    .map_here(frame, address, both, VmAttributes::WRITE_BACK)
            });
            if mapped.is_err() {
                return i;
            }
        }
        count
    }
}

/// A small frame as the root server sees it: slot of the copy of its capability, and page number.
struct Lens {
    copy: u32,
    page: u32,
}

/// A frame as the root server sees it.
#[derive(Debug)]
pub struct View {
    copy: CPtr,
    /// Where it is mapped.
    pub address: usize,
}
