// SPDX-License-Identifier: BSD-2-Clause
//! What a channel is made of: its pages, as they are touched, and the capabilities of its watches.

use sel4_bindings::*;
use vfs_hooks::channel::{CELL_BITS, address};
use vfs_hooks::process::PAGE;

use super::{Cell, Channel};
use crate::memory::Memory;
use crate::objects::Result;
use crate::process::Process;

impl Channel {
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
        let cnode = match self.cnode {
            Some(cnode) => cnode,
            None => {
                let made = memory.objects.cnode_in(&mut self.arena, CELL_BITS)?;
                *self.cnode.insert(made)
            }
        };
        let send = CapRights::WRITE;
        memory
            .objects
            .copy_into(cnode, watch, CELL_BITS, cap, send)?;
        Ok(cnode)
    }
}
