// SPDX-License-Identifier: BSD-2-Clause
//! CNodes in a process's CSpace that grow as they are used: the kernel empties each slot by itself when a CNode ends, used or not (about 250
//! instructions), so none is larger than it need be.
//!
//! A guard takes the bits that a small CNode leaves, so a slot keeps its address when a larger CNode takes the place of a small one. That is one
//! step, since other threads of the process may be about to use what is in it. The small one stays behind, unmounted, until its
//! arena ends.

use sel4_bindings::*;

use crate::arena::Arena;
use crate::memory::Memory;
use crate::objects::Result;

/// Bits of the first CNode, and how many more each further one has.
const FIRST_BITS: u32 = 4;
const MORE_BITS: u32 = 3;

/// Where a table is mounted.
#[derive(Clone, Copy)]
pub struct Place {
    /// The CNode, without a guard, its bits, and the slot.
    pub cnode: CPtr,
    /// See [`Place::cnode`].
    pub bits: u32,
    /// See [`Place::cnode`].
    pub slot: usize,
    /// Bits of an address that are the table's: it has at most so many slots.
    pub width: u32,
}

/// The CNode, once there is one, and its bits.
#[derive(Clone, Copy, Default)]
pub struct Table(Option<(CPtr, u32)>);

impl Table {
    /// The CNode and its bits, with room for slot `index`, which is below 2^width.
    pub fn reach(
        &mut self,
        memory: &mut Memory,
        arena: &mut Arena,
        place: Place,
        index: usize,
    ) -> Result<(CPtr, u32)> {
        let mut bits = match self.0 {
            Some((cnode, bits)) if index >> bits == 0 => return Ok((cnode, bits)),
            Some((_, bits)) => bits + MORE_BITS,
            None => FIRST_BITS,
        };
        while index >> bits != 0 {
            bits += MORE_BITS;
        }
        let bits = bits.min(place.width);
        let objects = &mut memory.objects;
        let cnode = objects.cnode_in(arena, bits)?;
        let guard = CapData::guard(0, place.width - bits).ok_or(Error::RangeError)?;
        let Place {
            cnode: above,
            bits: depth,
            slot,
            ..
        } = place;
        match self.0 {
            None => objects.mint_into(above, slot, depth, cnode, CapRights::ALL, guard)?,
            Some((old, old_bits)) => {
                for index in 0..1 << old_bits {
                    let (to, from) = (bits as u8, old_bits as u8);
                    let copied = cnode_copy(cnode, index, to, old, index, from, CapRights::ALL);
                    // An empty slot cannot be copied, and need not.
                    match copied {
                        Ok(()) | Err(Error::FailedLookup) => {}
                        Err(error) => return Err(error),
                    }
                }
                objects.exchange(above, slot, depth, cnode, guard)?;
            }
        }
        self.0 = Some((cnode, bits));
        Ok((cnode, bits))
    }

    /// The CNode and its bits, if it has slot `index`.
    pub fn at(&self, index: usize) -> Option<(CPtr, u32)> {
        self.0.filter(|(_, bits)| index >> bits == 0)
    }
}
