// SPDX-License-Identifier: BSD-2-Clause
//! The address space of a process: what is mapped by MAP, UNMAP and PROTECT.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use root_server::errno;
use root_server::ranges::Ranges;
use sel4_bindings::*;
use vfs_hooks::process::{NET_CHANNEL, PAGE};

use crate::memory::Memory;
use crate::objects::Result;

/// Addresses at which programs may map memory: all but the null page and what the root server lays out.
pub const PROGRAM: Range<usize> = 0x10000..NET_CHANNEL;
/// Most separate reservations (compare Linux's vm.max_map_count).
const MAX_RESERVATIONS: usize = 65_536;

// mmap(2)
const PROT_WRITE: u64 = 2;
const PROT_ALL: u64 = 7;

/// A page with a frame behind it.
struct Page {
    /// Slot of the frame.
    frame: u32,
    /// PROT_* bits; none: kept, but not mapped.
    prot: u8,
}

/// The pages of one process.
pub struct Space {
    /// Its top-level page table.
    pub vspace: CPtr,
    /// By page number.
    pages: BTreeMap<u32, Page>,
    /// Addresses mapped PROT_NONE.
    reserved: Ranges,
}

impl Space {
    /// An empty one.
    pub fn new(memory: &mut Memory) -> Result<Space> {
        let vspace = memory.objects.object(ObjectType::Pml4)?;
        x86_asid_pool_assign(CPtr::INIT_ASID_POOL, vspace)?;
        Ok(Space {
            vspace,
            pages: BTreeMap::new(),
            reserved: Ranges::default(),
        })
    }

    /// Maps `frame` at `address`, outside of what the process manages.
    pub fn map_fixed(
        &self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        rights: CapRights,
    ) -> Result<()> {
        let cached = VmAttributes::WRITE_BACK;
        memory
            .objects
            .map(self.vspace, frame, address, rights, cached)
    }

    /// Maps `frame` at `address` as if the process had asked for it: it may unmap it.
    pub fn adopt(
        &mut self,
        memory: &mut Memory,
        frame: CPtr,
        address: usize,
        prot: u64,
    ) -> Result<()> {
        self.map_fixed(memory, frame, address, rights(prot))?;
        let page = Page {
            frame: frame.0 as u32,
            prot: prot as u8,
        };
        self.pages.insert(number(address), page);
        Ok(())
    }

    /// MAP. Answers with an errno.
    pub fn map(&mut self, memory: &mut Memory, start: u64, len: u64, prot: u64) -> u64 {
        let Some(range) = checked(start, len, prot) else {
            return errno::EINVAL;
        };
        if self.pages.range(numbers(&range)).next().is_some() || self.reserved.overlaps(&range) {
            return errno::EINVAL;
        }
        if prot == 0 {
            return self.reserve(range);
        }
        if !memory.has_room(range.len() / PAGE) {
            return errno::ENOMEM;
        }
        for address in range.clone().step_by(PAGE) {
            if self.add_page(memory, address, prot).is_err() {
                self.drop_pages(memory, &(range.start..address));
                return errno::ENOMEM;
            }
        }
        errno::OK
    }

    fn reserve(&mut self, range: Range<usize>) -> u64 {
        if self.reserved.count() >= MAX_RESERVATIONS {
            return errno::ENOMEM;
        }
        self.reserved.insert(range);
        errno::OK
    }

    fn add_page(&mut self, memory: &mut Memory, address: usize, prot: u64) -> Result<()> {
        let frame = memory.frame()?;
        let added = self.adopt(memory, frame, address, prot);
        if added.is_err() {
            memory.free(frame);
        }
        added
    }

    /// UNMAP. Answers with an errno.
    pub fn unmap(&mut self, memory: &mut Memory, start: u64, len: u64) -> u64 {
        let Some(range) = checked(start, len, 0) else {
            return errno::EINVAL;
        };
        // Taking the middle out of a reservation makes two.
        if self.reserved.count() >= MAX_RESERVATIONS && self.reserved.overlaps(&range) {
            return errno::ENOMEM;
        }
        self.drop_pages(memory, &range);
        self.reserved.remove(range);
        errno::OK
    }

    fn drop_pages(&mut self, memory: &mut Memory, range: &Range<usize>) {
        let numbers: Vec<u32> = self.pages.range(numbers(range)).map(|(n, _)| *n).collect();
        for number in numbers {
            let Some(page) = self.pages.remove(&number) else {
                continue;
            };
            let frame = CPtr(page.frame as usize);
            // Unmapping cannot fail for a frame of ours; if it did, using it again would share it.
            if page.prot == 0 || x86_page_unmap(frame).is_ok() {
                memory.free(frame);
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
                Some(page) => page.protect(memory, self.vspace, address, prot),
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
                .map(vspace, frame, address, rights(prot), cached)?,
            (_, 0) => x86_page_unmap(frame)?,
            _ => x86_page_remap(frame, vspace, rights(prot), cached)?,
        }
        self.prot = prot as u8;
        Ok(())
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
