// SPDX-License-Identifier: BSD-2-Clause
//! Arenas: kernel objects that end together, such as those of a process.

use alloc::vec::Vec;

use sel4_bindings::*;

use crate::objects::{Objects, Result};

/// Memory that an arena takes at a time, in bits, unless an object is larger.
pub const CHUNK_BITS: u32 = 15;

/// Kernel objects that end together: a few pieces of untyped memory, used from the front, and the slots of the objects in them.
#[derive(Default)]
pub struct Arena {
    /// Pieces and their sizes in bits.
    chunks: Vec<(CPtr, u32)>,
    /// Bytes used of the last piece, as the kernel counts them.
    at: usize,
    slots: Vec<CPtr>,
}

impl Arena {
    /// Bytes and slots that it has.
    pub fn holds(&self) -> (u64, usize) {
        let bytes = self.chunks.iter().map(|(_, bits)| 1 << bits).sum();
        (bytes, self.slots.len())
    }
}

impl Objects {
    /// Untyped memory of `arena` in which the next `count` objects of 2^`bits` bytes each will be made.
    pub fn chunk(&mut self, arena: &mut Arena, bits: u32, count: usize) -> Result<CPtr> {
        let (size, len) = (1usize << bits, count << bits);
        if let Some(&(chunk, chunk_bits)) = arena.chunks.last() {
            let at = arena.at.next_multiple_of(size);
            if at + len <= 1 << chunk_bits {
                arena.at = at + len;
                return Ok(chunk);
            }
        }
        let chunk_bits = CHUNK_BITS.max(len.next_power_of_two().trailing_zeros());
        let chunk = self.untyped(chunk_bits)?;
        arena.chunks.push((chunk, chunk_bits));
        arena.at = len;
        Ok(chunk)
    }

    /// One object of fixed size that ends with `arena`.
    pub fn object_in(&mut self, arena: &mut Arena, object: ObjectType) -> Result<CPtr> {
        self.sized_in(arena, object, 0, object.size_bits())
    }

    /// A CNode of 2^`bits` slots that ends with `arena`.
    pub fn cnode_in(&mut self, arena: &mut Arena, bits: u32) -> Result<CPtr> {
        let object = ObjectType::CNode;
        self.sized_in(arena, object, bits, object.size_bits() + bits)
    }

    fn sized_in(
        &mut self,
        arena: &mut Arena,
        object: ObjectType,
        size: u32,
        bits: u32,
    ) -> Result<CPtr> {
        let slot = self.slot()?;
        arena.slots.push(slot);
        let chunk = self.chunk(arena, bits, 1)?;
        self.retype(chunk, object, size.into(), slot.0, 1)?;
        Ok(slot)
    }

    /// A capability derived from `source`, in a slot that comes back with `arena`. It must be to an object of the same arena.
    pub fn mint_in(
        &mut self,
        arena: &mut Arena,
        source: CPtr,
        rights: CapRights,
        data: CapData,
    ) -> Result<CPtr> {
        let cap = self.mint(source, rights, data)?;
        arena.slots.push(cap);
        Ok(cap)
    }

    /// Deletes all objects of `arena`.
    pub fn end_arena(&mut self, arena: Arena) -> Result<()> {
        for (chunk, bits) in arena.chunks.into_iter().rev() {
            self.give_back(chunk, bits)?;
        }
        for slot in arena.slots {
            self.free_slot(slot);
        }
        Ok(())
    }
}
