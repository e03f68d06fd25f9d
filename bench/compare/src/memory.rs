// SPDX-License-Identifier: BSD-2-Clause
//! Kernel objects: capability slots and memory, in arenas that are emptied as a whole.
//!
//! The root task's CSpace has 44 zero bits, 4 bits that choose a CNode, 16 bits that choose a slot in it. CNode 0 is
//! the one that the kernel made.

use alloc::vec::Vec;

use sel4_bindings::message::mapping_failed_level;
use sel4_bindings::*;

/// What setting up can fail with.
pub type Result<T> = core::result::Result<T, Error>;

const TOP_BITS: u8 = 4;
const LOW_BITS: u32 = 16;
const DEPTH: u8 = TOP_BITS + LOW_BITS as u8;
/// Most objects that one retype makes (`CONFIG_RETYPE_FAN_OUT_LIMIT`).
const FAN_OUT: usize = 256;

/// Capability number `index` of those that start with `first`.
pub fn nth(first: CPtr, index: usize) -> CPtr {
    CPtr(first.0 + index)
}

/// What was made: for the table of costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Bytes of kernel objects, without frames.
    pub kernel: usize,
    /// Bytes of frames.
    pub frames: usize,
    /// Capabilities, in whoever's CSpace.
    pub caps: usize,
}

impl Account {
    /// What was added since `before`.
    pub fn since(&self, before: &Account) -> Account {
        Account {
            kernel: self.kernel - before.kernel,
            frames: self.frames - before.frames,
            caps: self.caps - before.caps,
        }
    }
}

/// Slots and memory. [`Arena::clear`] takes everything back.
///
/// What processes were given must be of the same arena or go before it.
pub struct Arena {
    /// CNode of the root task's CNodes.
    pub top: CPtr,
    memory: CPtr,
    first: usize,
    next: usize,
    end: usize,
    copies: Vec<CPtr>,
    /// What was made since the last clear.
    pub account: Account,
}

/// Splits what the kernel gave into three arenas: one that is never cleared, and two large ones.
pub fn arenas(info: &BootInfo) -> [Arena; 3] {
    let mut largest = [(0, CPtr::NULL); 3];
    for untyped in info.untyped().filter(|u| !u.device) {
        let at = largest.partition_point(|(bits, _)| *bits > untyped.bits);
        if at < largest.len() {
            largest[at..].rotate_right(1);
            largest[at] = (untyped.bits, CPtr(untyped.slot));
        }
    }
    let [(_, big), (_, other), (_, small)] = largest;
    let empty = info.empty();
    let top = CPtr(empty.start);
    retype_run(
        small,
        ObjectType::CNode,
        TOP_BITS.into(),
        CPtr::INIT_CNODE,
        0,
        0,
        top.0,
        1,
    )
    .expect("no memory for a CNode");
    cnode_mint(
        top,
        0,
        TOP_BITS,
        CPtr::INIT_CNODE,
        CPtr::INIT_CNODE.index(),
        64,
        CapRights::ALL,
        CapData::NONE,
    )
    .expect("CNode 0");
    let guard = CapData::guard(0, 64 - DEPTH as u32).expect("a guard");
    tcb_set_space(
        CPtr::INIT_TCB,
        0,
        top,
        guard,
        CPtr::INIT_VSPACE,
        CapData::NONE,
    )
    .expect("a larger CSpace");
    for number in 1..1 << TOP_BITS {
        let bits = LOW_BITS.into();
        retype_run(small, ObjectType::CNode, bits, top, 0, 0, number, 1)
            .expect("no memory for a CNode");
    }
    let arena = |memory, slots: core::ops::Range<usize>| Arena {
        top,
        memory,
        first: slots.start,
        next: slots.start,
        end: slots.end,
        copies: Vec::new(),
        account: Account::default(),
    };
    let middle = 8 << LOW_BITS;
    [
        arena(small, empty.start + 1..empty.end),
        arena(big, 1 << LOW_BITS..middle),
        arena(other, middle..(1 << TOP_BITS) << LOW_BITS),
    ]
}

#[allow(clippy::too_many_arguments, reason = "they are the invocation's")]
fn retype_run(
    memory: CPtr,
    object: ObjectType,
    bits: u64,
    root: CPtr,
    index: usize,
    depth: u8,
    offset: usize,
    count: usize,
) -> Result<()> {
    let (index, depth, offset) = (index as Word, depth.into(), offset as Word);
    untyped_retype(
        memory,
        object.number(),
        bits,
        root,
        index,
        depth,
        offset,
        count as Word,
    )
}

impl Arena {
    /// Deletes everything that was made.
    pub fn clear(&mut self) {
        cnode_revoke(self.top, self.memory.index(), DEPTH).expect("cannot revoke");
        // What was copied from elsewhere is not derived from this memory.
        for copy in self.copies.drain(..) {
            cnode_delete(self.top, copy.index(), DEPTH).expect("cannot delete");
        }
        self.next = self.first;
        self.account = Account::default();
    }

    /// `count` empty slots in a row.
    pub fn slots(&mut self, count: usize) -> Result<CPtr> {
        if self.end - self.next < count {
            return Err(Error::NotEnoughMemory);
        }
        self.next += count;
        Ok(CPtr(self.next - count))
    }

    /// One object of fixed size.
    pub fn make(&mut self, object: ObjectType) -> Result<CPtr> {
        self.make_many(object, 1)
    }

    /// `count` objects of fixed size, in slots in a row.
    pub fn make_many(&mut self, object: ObjectType, count: usize) -> Result<CPtr> {
        let first = self.slots(count)?;
        self.retype(object, 0, first, count)?;
        let bytes = count << object.size_bits();
        match object {
            ObjectType::Frame | ObjectType::LargeFrame => self.account.frames += bytes,
            _ => self.account.kernel += bytes,
        }
        Ok(first)
    }

    /// A CNode of 2^`bits` slots.
    pub fn cnode(&mut self, bits: u32) -> Result<CPtr> {
        let slot = self.slots(1)?;
        self.retype(ObjectType::CNode, bits.into(), slot, 1)?;
        self.account.kernel += 1 << (bits + ObjectType::CNode.size_bits());
        Ok(slot)
    }

    /// Untyped memory of 2^`bits` bytes.
    pub fn untyped(&mut self, bits: u32) -> Result<CPtr> {
        let slot = self.slots(1)?;
        self.retype(ObjectType::Untyped, bits.into(), slot, 1)?;
        Ok(slot)
    }

    fn retype(&mut self, object: ObjectType, bits: u64, first: CPtr, count: usize) -> Result<()> {
        let mut made = 0;
        while made < count {
            let slot = first.0 + made;
            let (cnode, offset) = (slot >> LOW_BITS, slot & ((1 << LOW_BITS) - 1));
            let more = (count - made).min(FAN_OUT).min((1 << LOW_BITS) - offset);
            retype_run(
                self.memory,
                object,
                bits,
                self.top,
                cnode,
                TOP_BITS,
                offset,
                more,
            )?;
            made += more;
        }
        self.account.caps += count;
        Ok(())
    }

    /// A copy of a capability.
    pub fn copy(&mut self, source: CPtr) -> Result<CPtr> {
        let slot = self.slots(1)?;
        self.put((self.top, DEPTH), slot.0, source, CapRights::ALL, None)?;
        self.copies.push(slot);
        Ok(slot)
    }

    /// Puts a copy of `source` into a slot of a CNode that has so many bits, with these rights and this badge.
    pub fn put(
        &mut self,
        (cnode, bits): (CPtr, u8),
        slot: usize,
        source: CPtr,
        rights: CapRights,
        badge: Option<Word>,
    ) -> Result<()> {
        let (slot, from, top) = (slot as Word, source.index(), self.top);
        match badge {
            Some(badge) => {
                let badge = CapData(badge);
                cnode_mint(cnode, slot, bits, top, from, DEPTH, rights, badge)?
            }
            None => cnode_copy(cnode, slot, bits, top, from, DEPTH, rights)?,
        }
        self.account.caps += 1;
        Ok(())
    }

    /// Maps `frame` at `address`, adding page tables as needed.
    pub fn map(
        &mut self,
        vspace: CPtr,
        frame: CPtr,
        address: usize,
        rights: CapRights,
    ) -> Result<()> {
        let (at, cached) = (address as Word, VmAttributes::WRITE_BACK);
        loop {
            match x86_page_map(frame, vspace, at, rights, cached) {
                Err(Error::FailedLookup) => match mapping_failed_level() {
                    39 => x86_pdpt_map(self.make(ObjectType::Pdpt)?, vspace, at, cached)?,
                    30 => {
                        let table = self.make(ObjectType::PageDirectory)?;
                        x86_page_directory_map(table, vspace, at, cached)?
                    }
                    _ => x86_page_table_map(self.make(ObjectType::PageTable)?, vspace, at, cached)?,
                },
                done => return done,
            }
        }
    }

    /// An address space number pool.
    pub fn asid_pool(&mut self) -> Result<CPtr> {
        let untyped = self.untyped(12)?;
        let slot = self.slots(1)?;
        x86_asid_control_make_pool(CPtr::ASID_CONTROL, untyped, self.top, slot.index(), DEPTH)?;
        Ok(slot)
    }
}
