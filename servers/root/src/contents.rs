// SPDX-License-Identifier: BSD-2-Clause
//! What a file contained when it was executed: a copy that nobody changes, in one piece, for as long as processes run from it.

use alloc::vec::Vec;

use sel4_bindings::*;
use vfs_hooks::process::PAGE;

use crate::memory::Memory;
use crate::objects::Result;

/// Longest file that is executed, and addresses for each.
pub const MOST: usize = 64 << 20;

/// See the module.
pub struct Contents {
    start: usize,
    len: usize,
    frames: Vec<CPtr>,
}

impl Contents {
    /// A copy of `len` bytes, at most [`MOST`], in these pages; one that is none is zero.
    pub fn new(
        memory: &mut Memory,
        len: usize,
        pages: impl Fn(u32) -> Option<CPtr>,
    ) -> Result<Contents> {
        let mut contents = Contents {
            start: memory.take_addresses(),
            len,
            frames: Vec::new(),
        };
        for page in 0..len.div_ceil(PAGE) {
            if let Err(error) = contents.add(memory, pages(page as u32)) {
                contents.end(memory)?;
                return Err(error);
            }
        }
        Ok(contents)
    }

    fn add(&mut self, memory: &mut Memory, source: Option<CPtr>) -> Result<()> {
        let at = self.start + self.frames.len() * PAGE;
        let frame = memory.dirty_frame()?;
        let both = CapRights::READ_WRITE;
        let mapped = memory
            .objects
            .map_here(frame, at, both, VmAttributes::WRITE_BACK);
        if let Err(error) = mapped {
            memory.free(frame);
            return Err(error);
        }
        self.frames.push(frame);
        let to = at as *mut u8;
        match source {
            // SAFETY: the page was just mapped there, and nothing refers to it yet; the source is another one.
            Some(source) => memory.read(source, |from| unsafe {
                to.copy_from_nonoverlapping(from.as_ptr(), PAGE);
            }),
            None => {
                // SAFETY: as above.
                unsafe { to.write_bytes(0, PAGE) };
                Ok(())
            }
        }
    }

    /// The bytes. They are gone with [`Contents::end`]: whoever keeps them keeps the contents, too.
    pub fn bytes(&self) -> &'static [u8] {
        // SAFETY: the pages are mapped and nobody writes them any longer. They stay until `end`, which the one image calls that has both these contents
        // and all that refers to their bytes.
        unsafe { core::slice::from_raw_parts(self.start as *const u8, self.len) }
    }

    /// Bytes of memory that they take.
    pub fn size(&self) -> usize {
        self.frames.len() * PAGE
    }

    /// Gives the memory back.
    pub fn end(self, memory: &mut Memory) -> Result<()> {
        for frame in self.frames {
            x86_page_unmap(frame)?;
            memory.free(frame);
        }
        memory.give_addresses(self.start);
        Ok(())
    }
}
