// SPDX-License-Identifier: BSD-2-Clause
//! The address space of a process: what the root server laid out, what is mapped by MAP, UNMAP and PROTECT, and the stack that grows.

mod kept;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use root_server::errno;
use root_server::ranges::Ranges;
use sel4_bindings::*;
use vfs_hooks::process::{LARGE_PAGE, NET_CHANNEL, PAGE, STACK_SIZE};
use vfs_hooks::wire::SHARED;

pub use kept::is_fixed;

use crate::arena::Arena;
use crate::memory::{Memory, can_remember};
use crate::objects::Result;

/// Addresses at which programs may map memory: all but the null page and what the root server lays out.
pub const PROGRAM: Range<usize> = 0x10000..NET_CHANNEL;
/// Most separate reservations (compare Linux's vm.max_map_count).
const MAX_RESERVATIONS: usize = 65_536;

// mmap(2)
const PROT_WRITE: u64 = 2;
const PROT_ALL: u64 = 7;

/// Whose a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Frame {
    /// The process's alone.
    #[default]
    Own,
    /// A copy of the capability to somebody else's.
    Copied,
    /// A copy of the capability to one that processes share, which is in this slot and lives at least as long.
    Shared(u32),
}

/// A page with a frame behind it.
#[derive(Default)]
struct Page {
    /// Slot of the frame.
    frame: u32,
    /// PROT_* bits; none: kept, but not mapped.
    prot: u8,
    owner: Frame,
}

/// A 2 MiB page.
struct LargePage {
    frame: CPtr,
    address: usize,
    owner: Frame,
}

/// The pages of one process, and the kernel objects that end with it.
pub struct Space {
    /// Its top-level page table.
    pub vspace: CPtr,
    /// Page tables, and whatever else of the process is made in it.
    pub arena: Arena,
    /// By page number.
    pages: BTreeMap<u32, Page>,
    large: Vec<LargePage>,
    /// Addresses mapped PROT_NONE.
    reserved: Ranges,
    /// Most small pages at a time.
    peak: usize,
}

impl Space {
    /// An empty one.
    pub fn new(memory: &mut Memory) -> Result<Space> {
        let mut arena = Arena::default();
        let vspace = memory
            .objects
            .object_in(&mut arena, ObjectType::Pml4)
            .and_then(|vspace| {
                x86_asid_pool_assign(CPtr::INIT_ASID_POOL, vspace)?;
                Ok(vspace)
            });
        match vspace {
            Ok(vspace) => Ok(Space {
                vspace,
                arena,
                pages: BTreeMap::new(),
                large: Vec::new(),
                reserved: Ranges::default(),
                peak: 0,
            }),
            Err(error) => {
                memory.objects.end_arena(arena)?;
                Err(error)
            }
        }
    }

    /// Maps `frame` at `address`. The space owns it from now on, also if that fails.
    pub fn adopt(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        prot: u64,
    ) -> Result<()> {
        self.put(memory, frame, address, prot, Frame::Own)
    }

    /// Maps a copy of `frame`, which somebody else owns and outlives this space, or takes away with [`Space::withdraw`].
    pub fn borrow(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        prot: u64,
    ) -> Result<()> {
        let copy = memory.objects.copy(frame)?;
        self.put(memory, copy, address, prot, Frame::Copied)
    }

    /// Maps a copy of `frame`, which processes share: a file's, or MAP's with SHARED.
    pub fn share(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        prot: u64,
    ) -> Result<()> {
        let copy = memory.objects.copy(frame)?;
        memory.share(frame);
        let owner = Frame::Shared(frame.0 as u32);
        self.put(memory, copy, address, prot, owner)
    }

    fn put(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        prot: u64,
        owner: Frame,
    ) -> Result<()> {
        let mut page = Page {
            frame: frame.0 as u32,
            prot: 0,
            owner,
        };
        let mapped = page.protect(memory, &mut self.arena, self.vspace, address, prot);
        if mapped.is_err() {
            page.give_back(memory);
            return mapped;
        }
        // What was there cannot be left mapped nowhere: it would be lost.
        if let Some(old) = self.pages.insert(number(address), page) {
            old.give_back(memory);
        }
        self.peak = self.peak.max(self.pages.len());
        Ok(())
    }

    /// Maps a 2 MiB frame at `address`. The space owns it from now on, also if that fails.
    pub fn adopt_large(&mut self, memory: &mut Memory, frame: CPtr, address: usize) -> Result<()> {
        self.put_large(memory, frame, address, CapRights::READ_WRITE, Frame::Own)
    }

    /// As [`Space::borrow`], of a 2 MiB frame.
    pub fn borrow_large(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        rights: CapRights,
    ) -> Result<()> {
        let copy = memory.objects.copy(frame)?;
        self.put_large(memory, copy, address, rights, Frame::Copied)
    }

    fn put_large(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        rights: CapRights,
        owner: Frame,
    ) -> Result<()> {
        let page = LargePage {
            frame,
            address,
            owner,
        };
        let cached = VmAttributes::WRITE_BACK;
        let arena = &mut self.arena;
        let mapped = memory
            .objects
            .map(arena, self.vspace, frame, address, rights, cached);
        match mapped {
            Ok(()) => self.large.push(page),
            Err(_) => page.give_back(memory),
        }
        mapped
    }

    /// Unmaps the pages of the range, small and large.
    pub fn withdraw(&mut self, memory: &mut Memory, range: Range<usize>) {
        self.drop_pages(memory, &range);
        let mut at = 0;
        while let Some(page) = self.large.get(at) {
            if range.contains(&page.address) {
                self.large.swap_remove(at).give_back(memory);
            } else {
                at += 1;
            }
        }
    }

    /// Pages that are its own and large.
    fn large_pages(&self) -> usize {
        let own = self.large.iter().filter(|page| page.owner == Frame::Own);
        own.count() * (LARGE_PAGE / PAGE)
    }

    /// Pages that are mapped, but for those that all processes have in common.
    pub fn resident(&self) -> usize {
        self.pages.len() + self.large_pages()
    }

    /// Most of them at a time.
    pub fn peak(&self) -> usize {
        self.peak + self.large_pages()
    }

    /// Bytes of addresses that are mapped or reserved, with all of the stack.
    pub fn size(&self) -> usize {
        let reserved: usize = self.reserved.iter().map(|range| range.len()).sum();
        self.resident() * PAGE + reserved + STACK_SIZE
    }

    /// Pages and reservations that are remembered.
    pub fn remembered(&self) -> usize {
        self.pages.len() + self.reserved.count()
    }

    /// All small pages.
    pub fn all_pages(&self) -> usize {
        self.pages.len()
    }

    /// Pages that a copy would need memory for.
    pub fn own_pages(&self) -> usize {
        let own = self.pages.values().filter(|p| p.owner == Frame::Own);
        own.count()
    }

    /// Bytes of its own pages and tables, and slots that the tables have.
    pub fn holds(&self) -> (u64, usize) {
        let (bytes, slots) = self.arena.holds();
        (bytes + (self.own_pages() * PAGE) as u64, slots)
    }

    /// Gives everything back. The thread is gone.
    pub fn end(self, memory: &mut Memory) -> Result<()> {
        // First the page tables: then there is nothing to unmap, which makes unmapping cheap.
        memory.objects.end_arena(self.arena)?;
        for page in self.pages.into_values() {
            match page.owner {
                Frame::Own => page.give_back(memory),
                // A copy that is mapped nowhere any more need not be unmapped.
                Frame::Copied => memory.objects.delete(CPtr(page.frame as usize))?,
                Frame::Shared(shared) => {
                    memory.objects.delete(CPtr(page.frame as usize))?;
                    memory.unshare(CPtr(shared as usize));
                }
            }
        }
        for page in self.large {
            page.give_back(memory);
        }
        Ok(())
    }

    /// Whether `address` is in a large page.
    pub fn has_large_page(&self, address: usize) -> bool {
        let start = address & !(LARGE_PAGE - 1);
        self.large.iter().any(|page| page.address == start)
    }

    /// Whether there is a small page at `address`.
    pub fn has_page(&self, address: usize) -> bool {
        self.pages.contains_key(&number(address))
    }

    /// Copies what the process has at `start` into `bytes`. `false`: not all of it is mapped.
    pub fn read(&self, memory: &mut Memory, start: usize, bytes: &mut [u8]) -> bool {
        let Some(end) = start.checked_add(bytes.len()) else {
            return false;
        };
        let mut at = start;
        while at < end {
            let page = at & !(PAGE - 1);
            let frame = match self.pages.get(&number(page)) {
                Some(found) if page >> 44 == 0 && found.prot != 0 => CPtr(found.frame as usize),
                _ => return false,
            };
            let part = at - page..(end - page).min(PAGE);
            let to = &mut bytes[at - start..][..part.len()];
            let copied = memory.read(frame, |from| to.copy_from_slice(&from[part.clone()]));
            if copied.is_err() {
                return false;
            }
            at = page + part.end;
        }
        true
    }

    /// Whether the process may have something new mapped there.
    pub fn may_map(&self, start: u64, len: u64, prot: u64) -> bool {
        let Some(range) = checked(start, len, prot) else {
            return false;
        };
        self.pages.range(numbers(&range)).next().is_none() && !self.reserved.overlaps(&range)
    }

    /// MAP. Answers with an errno.
    pub fn map(&mut self, memory: &mut Memory, start: u64, len: u64, prot: u64) -> u64 {
        let (shared, prot) = (prot & SHARED != 0, prot & !SHARED);
        let Some(range) = checked(start, len, prot) else {
            return errno::EINVAL;
        };
        if !self.may_map(start, len, prot) {
            return errno::EINVAL;
        }
        if prot == 0 && !shared {
            return self.reserve(range);
        }
        if !memory.has_room(range.len() / PAGE) {
            return errno::ENOMEM;
        }
        for address in range.clone().step_by(PAGE) {
            let added = match shared {
                true => self.add_shared_page(memory, address, prot),
                false => self.add_page(memory, address, prot),
            };
            if added.is_err() {
                self.drop_pages(memory, &(range.start..address));
                return errno::ENOMEM;
            }
        }
        errno::OK
    }

    fn reserve(&mut self, range: Range<usize>) -> u64 {
        if self.reserved.count() >= MAX_RESERVATIONS || !can_remember(1) {
            return errno::ENOMEM;
        }
        self.reserved.insert(range);
        errno::OK
    }

    fn add_page(&mut self, memory: &mut Memory, address: usize, prot: u64) -> Result<()> {
        let frame = memory.frame()?;
        self.adopt(memory, frame, address, prot)
    }

    fn add_shared_page(&mut self, memory: &mut Memory, address: usize, prot: u64) -> Result<()> {
        let frame = memory.frame()?;
        // The frame's first user until it is mapped: so it comes back if that fails.
        memory.share(frame);
        let mapped = self.share(memory, frame, address, prot);
        memory.unshare(frame);
        mapped
    }

    /// The frame behind an address, if processes share it and this one can read it.
    pub fn shared_frame(&self, address: usize) -> Option<CPtr> {
        let page = self.pages.get(&u32::try_from(address / PAGE).ok()?)?;
        match page.owner {
            Frame::Shared(frame) if page.prot != 0 => Some(CPtr(frame as usize)),
            _ => None,
        }
    }

    /// UNMAP. Answers with an errno.
    pub fn unmap(&mut self, memory: &mut Memory, start: u64, len: u64) -> u64 {
        let Some(range) = checked(start, len, 0) else {
            return errno::EINVAL;
        };
        // Taking the middle out of a reservation makes two.
        let full = self.reserved.count() >= MAX_RESERVATIONS || !can_remember(1);
        if full && self.reserved.splits(&range) {
            return errno::ENOMEM;
        }
        self.drop_pages(memory, &range);
        self.reserved.remove(range);
        errno::OK
    }

    /// Gives back the small pages of the range.
    pub fn drop_pages(&mut self, memory: &mut Memory, range: &Range<usize>) {
        // Some at a time: all of them could be more than there is heap for.
        let mut some = [0; 256];
        loop {
            let found = self.pages.range(numbers(range)).map(|(n, _)| *n);
            let mut count = 0;
            for (place, number) in some.iter_mut().zip(found) {
                *place = number;
                count += 1;
            }
            for number in &some[..count] {
                if let Some(page) = self.pages.remove(number) {
                    page.give_back(memory);
                }
            }
            if count < some.len() {
                return;
            }
        }
    }

    /// PROTECT. Answers with an errno.
    pub fn protect(&mut self, memory: &mut Memory, start: u64, len: u64, prot: u64) -> u64 {
        let Some(range) = checked(start, len, prot) else {
            return errno::EINVAL;
        };
        let mut missing = 0;
        for address in range.clone().step_by(PAGE) {
            if self.pages.contains_key(&number(address)) {
                continue;
            }
            if !self.reserved.contains(address) {
                return errno::ENOMEM;
            }
            missing += 1;
        }
        let full = self.reserved.count() >= MAX_RESERVATIONS;
        if prot != 0 && missing != 0 && (full || !memory.has_room(missing)) {
            return errno::ENOMEM;
        }
        for address in range.step_by(PAGE) {
            let done = match self.pages.get_mut(&number(address)) {
                Some(page) => page.protect(memory, &mut self.arena, self.vspace, address, prot),
                None if prot == 0 => Ok(()),
                None => self.add_page(memory, address, prot).map(|()| {
                    self.reserved.remove(address..address + PAGE);
                }),
            };
            if done.is_err() {
                return errno::ENOMEM;
            }
        }
        errno::OK
    }
}

impl Page {
    fn protect(
        &mut self,
        memory: &mut Memory,
        tables: &mut Arena,
        vspace: CPtr,
        address: usize,
        prot: u64,
    ) -> Result<()> {
        let frame = CPtr(self.frame as usize);
        let cached = VmAttributes::WRITE_BACK;
        match (self.prot, prot) {
            (0, 0) => {}
            (0, _) => memory
                .objects
                .map(tables, vspace, frame, address, rights(prot), cached)?,
            (_, 0) => x86_page_unmap(frame)?,
            _ => x86_page_remap(frame, vspace, rights(prot), cached)?,
        }
        self.prot = prot as u8;
        Ok(())
    }

    fn give_back(self, memory: &mut Memory) {
        let frame = CPtr(self.frame as usize);
        // Neither can fail for a frame of ours; if it did, using it again would share it.
        if self.prot != 0 && x86_page_unmap(frame).is_err() {
            return;
        }
        match self.owner {
            Frame::Own => memory.free(frame),
            Frame::Copied => {
                let _ = memory.objects.delete(frame);
            }
            Frame::Shared(shared) => {
                if memory.objects.delete(frame).is_ok() {
                    memory.unshare(CPtr(shared as usize));
                }
            }
        }
    }
}

impl LargePage {
    fn give_back(self, memory: &mut Memory) {
        // As for small ones.
        if x86_page_unmap(self.frame).is_err() {
            return;
        }
        match self.owner {
            Frame::Own => memory.free_large(self.frame),
            Frame::Copied | Frame::Shared(_) => {
                let _ = memory.objects.delete(self.frame);
            }
        }
    }
}

/// The range, if it is one of whole pages at which programs may map, and `prot` has only known bits.
fn checked(start: u64, len: u64, prot: u64) -> Option<Range<usize>> {
    let (start, len) = (start as usize, len as usize);
    let end = start.checked_add(len)?;
    let whole = start.is_multiple_of(PAGE) && len.is_multiple_of(PAGE) && len != 0;
    let allowed = start >= PROGRAM.start && end <= PROGRAM.end;
    (whole && allowed && prot & !PROT_ALL == 0).then_some(start..end)
}

/// This kernel knows pages that can be written and pages that cannot; all can be read and executed.
fn rights(prot: u64) -> CapRights {
    match prot & PROT_WRITE {
        0 => CapRights::READ,
        _ => CapRights::READ_WRITE,
    }
}

fn number(address: usize) -> u32 {
    (address / PAGE) as u32
}

fn numbers(range: &Range<usize>) -> Range<u32> {
    number(range.start)..number(range.end)
}
