// SPDX-License-Identifier: BSD-2-Clause
//! What a channel is made of: its pages, as they are touched, and the capabilities of its watches.

use sel4_bindings::*;
use vfs_hooks::channel::{CELL_BITS, address};
use vfs_hooks::process::PAGE;

use super::{Cell, Channel};
use crate::memory::Memory;
use crate::objects::Result;
use crate::process::Process;

/// Most CNodes that are kept.
const MOST_KEPT: usize = 256;

/// The CNode of a channel's watches. The last that an ended channel left empty is the next one's: emptying and making it again would cost more than all
/// that is put into it.
pub struct CellCaps {
    untyped: CPtr,
    cnode: CPtr,
}

impl CellCaps {
    /// Bits of its memory.
    fn bits() -> u32 {
        ObjectType::CNode.size_bits() + CELL_BITS
    }

    fn new(memory: &mut Memory) -> Result<CellCaps> {
        if let Some(kept) = memory.take_cells() {
            return Ok(kept);
        }
        let objects = &mut memory.objects;
        let cnode = objects.slot()?;
        let made = objects.untyped(Self::bits()).and_then(|untyped| {
            let object = ObjectType::CNode;
            match objects.retype(untyped, object, CELL_BITS.into(), cnode.0, 1) {
                Ok(()) => Ok(CellCaps { untyped, cnode }),
                Err(error) => {
                    objects.give_back(untyped, Self::bits())?;
                    Err(error)
                }
            }
        });
        if made.is_err() {
            objects.free_slot(cnode);
        }
        made
    }

    /// Its channel has ended; `empty`: nothing is in it.
    pub fn end(self, memory: &mut Memory, empty: bool) -> Result<()> {
        match empty && memory.kept_cells() < MOST_KEPT {
            true => memory.keep_cells(self),
            false => self.give_back(memory)?,
        }
        Ok(())
    }

    /// Gives everything back.
    pub fn give_back(self, memory: &mut Memory) -> Result<()> {
        memory.objects.give_back(self.untyped, Self::bits())?;
        memory.objects.free_slot(self.cnode);
        Ok(())
    }

    /// Bytes of all that are kept.
    pub fn bytes(count: usize) -> u64 {
        (count as u64) << Self::bits()
    }
}

impl Channel {
    /// The CNode of its watches, once there is one.
    pub(super) fn cnode(&self) -> Option<CPtr> {
        self.caps.as_ref().map(|caps| caps.cnode)
    }

    /// Maps one of its pages, which is made if nobody has touched it yet. `false`: there is no memory.
    pub fn map_page(&mut self, memory: &mut Memory, process: &mut Process, page: usize) -> bool {
        let at = address(self.number) + page * PAGE;
        self.page(memory, page)
            .and_then(|frame| process.space.borrow(memory, frame, at, 3))
            .is_ok()
    }

    /// One of its pages, which is made if there is none.
    pub fn page(&mut self, memory: &mut Memory, page: usize) -> Result<CPtr> {
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        match self.pages[page] {
            Some(frame) => Ok(frame),
            None if !memory.has_room(1) => Err(Error::NotEnoughMemory),
            None => Ok(*self.pages[page].insert(memory.frame()?)),
        }
    }

    /// Puts a watch's capability into the CNode, which is made if there is none; returns it.
    pub(super) fn put_watch(
        &mut self,
        memory: &mut Memory,
        watch: usize,
        process: usize,
        cap: CPtr,
    ) -> Result<CPtr> {
        self.cells[watch] = Some(Cell { process, cap });
        let cnode = match self.cnode() {
            Some(cnode) => cnode,
            None => self.caps.insert(CellCaps::new(memory)?).cnode,
        };
        let send = CapRights::WRITE;
        memory
            .objects
            .copy_into(cnode, watch, CELL_BITS, cap, send)?;
        Ok(cnode)
    }
}
