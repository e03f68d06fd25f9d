// SPDX-License-Identifier: BSD-2-Clause
//! The objects, capabilities and memory that the root task starts with, handed
//! out piece by piece. Nothing is given back: a run is short.

use sel4_bindings::message::mapping_failed_level;
use sel4_bindings::{
    BootInfo, CPtr, CapData, CapRights, Error, ObjectType, VmAttributes, Word, cnode_copy,
    cnode_delete, cnode_mint, cnode_revoke, untyped_retype, x86_page_directory_map, x86_page_map,
    x86_page_table_map, x86_pdpt_map,
};

/// Depth at which the root CNode's slots are found.
pub const DEPTH: u8 = 64;
/// Most objects that one retype makes (`CONFIG_RETYPE_FAN_OUT_LIMIT`).
pub(crate) const FAN_OUT: usize = 256;
/// Where small and large frames are mapped: far from the image, and apart, since
/// they need different page tables.
const SMALL_FRAMES: usize = 0x10_0000_0000;
const LARGE_FRAMES: usize = 0x20_0000_0000;
const PAGE: usize = 4 << 10;
const LARGE_PAGE: usize = 2 << 20;

/// What is left.
pub struct World {
    info: BootInfo,
    next_slot: usize,
    memory: CPtr,
    next_small: usize,
    next_large: usize,
}

/// Capability number `index` of those that start with `first`.
pub fn nth(first: CPtr, index: usize) -> CPtr {
    CPtr(first.0 + index)
}

/// Empties a slot.
#[track_caller]
pub fn delete(cap: CPtr) {
    if let Err(error) = cnode_delete(CPtr::INIT_CNODE, cap.index(), DEPTH) {
        panic!("delete of {cap:?}: {error:?}");
    }
}

/// Deletes everything derived from a capability.
#[track_caller]
pub fn revoke(cap: CPtr) {
    if let Err(error) = cnode_revoke(CPtr::INIT_CNODE, cap.index(), DEPTH) {
        panic!("revoke of {cap:?}: {error:?}");
    }
}

impl World {
    /// All of it.
    pub fn new(info: BootInfo) -> World {
        let largest = info.untyped().filter(|u| !u.device).max_by_key(|u| u.bits);
        World {
            info,
            next_slot: info.empty().start,
            memory: CPtr(largest.expect("no memory").slot),
            next_small: SMALL_FRAMES,
            next_large: LARGE_FRAMES,
        }
    }

    /// The untyped memory that objects are made of.
    pub fn memory(&self) -> CPtr {
        self.memory
    }

    /// `count` empty slots in a row.
    pub fn slots(&mut self, count: usize) -> CPtr {
        let first = CPtr(self.next_slot);
        self.next_slot += count;
        assert!(
            self.next_slot <= self.info.empty().end,
            "out of capability slots"
        );
        first
    }

    /// One object of fixed size.
    pub fn make(&mut self, object: ObjectType) -> CPtr {
        self.make_many(object, 1)
    }

    /// `count` objects of fixed size, in slots in a row.
    pub fn make_many(&mut self, object: ObjectType, count: usize) -> CPtr {
        let first = self.slots(count);
        retype(self.memory, object, 0, first, count).expect("no memory for an object");
        first
    }

    /// An untyped of 2^`bits` bytes.
    pub fn untyped(&mut self, bits: u32) -> CPtr {
        self.sized(ObjectType::Untyped, bits)
    }

    /// A CNode of 2^`bits` slots.
    pub fn cnode(&mut self, bits: u32) -> CPtr {
        self.sized(ObjectType::CNode, bits)
    }

    fn sized(&mut self, object: ObjectType, bits: u32) -> CPtr {
        let slot = self.slots(1);
        retype(self.memory, object, bits, slot, 1).expect("no memory for an object");
        slot
    }

    /// A frame that is no memory of this machine.
    pub fn device_frame(&mut self) -> CPtr {
        let slot = self.slots(1);
        let memory = self.device_memory();
        retype(memory, ObjectType::Frame, 0, slot, 1).expect("device memory is in use");
        slot
    }

    /// Untyped memory that is no memory of this machine.
    pub fn device_memory(&self) -> CPtr {
        let mut devices = self.info.untyped().filter(|u| u.device && u.bits >= 14);
        CPtr(devices.next().expect("no device memory").slot)
    }

    /// Whether there is a capability in a slot.
    pub fn is_occupied(&self, slot: CPtr) -> bool {
        // A destination is looked at before the source: slot 0 is always empty.
        let (root, to) = (CPtr::INIT_CNODE, slot.index());
        let copied = cnode_copy(root, to, DEPTH, root, 0, DEPTH, CapRights::ALL);
        copied == Err(Error::DeleteFirst)
    }

    /// A copy of a capability with a badge and at most these rights.
    pub fn mint(&mut self, source: CPtr, rights: CapRights, badge: Word) -> CPtr {
        let slot = self.slots(1);
        self.try_mint(slot, source, rights, badge)
            .expect("cannot mint");
        slot
    }

    /// The same, into `slot`; may fail.
    pub fn try_mint(
        &mut self,
        slot: CPtr,
        source: CPtr,
        rights: CapRights,
        badge: Word,
    ) -> Result<(), Error> {
        cnode_mint(
            CPtr::INIT_CNODE,
            slot.index(),
            DEPTH,
            CPtr::INIT_CNODE,
            source.index(),
            DEPTH,
            rights,
            CapData(badge),
        )
    }

    /// A copy of a capability with at most these rights.
    pub fn copy(&mut self, source: CPtr, rights: CapRights) -> CPtr {
        let slot = self.slots(1);
        cnode_copy(
            CPtr::INIT_CNODE,
            slot.index(),
            DEPTH,
            CPtr::INIT_CNODE,
            source.index(),
            DEPTH,
            rights,
        )
        .expect("cannot copy");
        slot
    }

    /// Maps a frame of 4 KiB at a new address, with unmapped pages around.
    pub fn map(&mut self, frame: CPtr) -> usize {
        let address = self.next_small;
        self.next_small += 2 * PAGE;
        self.map_at(frame, address as Word)
            .expect("cannot map a frame");
        address
    }

    /// Maps a frame of 2 MiB at a new address.
    pub fn map_large(&mut self, frame: CPtr) -> usize {
        let address = self.next_large;
        self.next_large += 2 * LARGE_PAGE;
        self.map_at(frame, address as Word)
            .expect("cannot map a large frame");
        address
    }

    /// Maps a frame at an address, with the page tables that it needs.
    pub fn map_at(&mut self, frame: CPtr, address: Word) -> Result<(), Error> {
        loop {
            let (root, attributes) = (CPtr::INIT_VSPACE, VmAttributes::WRITE_BACK);
            match x86_page_map(frame, root, address, CapRights::READ_WRITE, attributes) {
                Err(Error::FailedLookup) => self.map_table(mapping_failed_level(), address),
                done => return done,
            }
        }
    }

    /// Adds the page table that a mapping lacked.
    fn map_table(&mut self, level: Word, address: Word) {
        let (root, attributes) = (CPtr::INIT_VSPACE, VmAttributes::WRITE_BACK);
        let mapped = match level {
            21 => {
                let table = self.make(ObjectType::PageTable);
                x86_page_table_map(table, root, address, attributes)
            }
            30 => {
                let table = self.make(ObjectType::PageDirectory);
                x86_page_directory_map(table, root, address, attributes)
            }
            _ => {
                let table = self.make(ObjectType::Pdpt);
                x86_pdpt_map(table, root, address, attributes)
            }
        };
        mapped.expect("cannot map a page table");
    }
}

/// Makes objects of `memory` in slots in a row.
pub fn retype(
    memory: CPtr,
    object: ObjectType,
    bits: u32,
    first: CPtr,
    count: usize,
) -> Result<(), Error> {
    retype_number(memory, object.number(), bits, first, count)
}

/// The same, with the object type as a number.
pub fn retype_number(
    memory: CPtr,
    object: Word,
    bits: u32,
    first: CPtr,
    count: usize,
) -> Result<(), Error> {
    let mut made = 0;
    while made < count {
        let more = (count - made).min(FAN_OUT);
        let slot = nth(first, made).index();
        let root = CPtr::INIT_CNODE;
        untyped_retype(memory, object, bits.into(), root, 0, 0, slot, more as Word)?;
        made += more;
    }
    Ok(())
}
