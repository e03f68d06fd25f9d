// SPDX-License-Identifier: BSD-2-Clause
//! The root server's own CSpace, and kernel objects out of untyped memory.
//!
//! * CSpace: 64-bit addresses `[42 zero bits][6 bits: which CNode][16 bits: slot]`. CNode 0 is the one that the kernel made;
//!   others are added when slots run out.
//! * Untyped memory is halved until a piece fits, and joined again when none does (`pieces`).
//! * What lives and ends with one owner, such as a process, is made in the owner's arena.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use root_server::pieces::Pieces;

use sel4_bindings::message::mapping_failed_level;
use sel4_bindings::*;

use crate::arena::{Arena, CHUNK_BITS};

/// What a kernel object or a mapping can fail with.
pub type Result<T> = core::result::Result<T, Error>;

const TOP_BITS: u8 = 6;
const LOW_BITS: u8 = 16;
/// Bits of a slot's address below the guard.
const DEPTH: u8 = TOP_BITS + LOW_BITS;
/// The kernel makes at most so many objects at once (`CONFIG_RETYPE_FAN_OUT_LIMIT`).
pub const MAX_BATCH: usize = 256;
/// Slots kept back: halving memory for a new CNode takes two each time.
const SLOT_RESERVE: usize = 128;
struct Device {
    slot: usize,
    address: u64,
    bits: u8,
}

/// Slots and untyped memory.
pub struct Objects {
    /// CNode of CNodes, unguarded.
    top: CPtr,
    /// CNodes in it.
    cnodes: usize,
    /// Unused slots of the newest CNode.
    next: usize,
    end: usize,
    /// Slots that came back.
    free: Vec<u32>,
    /// The first of two slots in a row that came back.
    free_pairs: Vec<u32>,
    /// Slots that are in use.
    used: usize,
    /// Untyped memory.
    untyped: Pieces,
    /// The untyped memory of large frames.
    large: BTreeMap<u32, u32>,
    device: Vec<Device>,
    /// Page tables of the root server.
    tables: Arena,
    total: u64,
}

impl Objects {
    /// Takes over what the kernel gave the root task, and replaces its CSpace by the larger one.
    pub fn new(info: &BootInfo) -> Result<Objects> {
        let mut objects = Objects {
            top: CPtr::NULL,
            cnodes: 1,
            next: info.empty().start,
            end: info.empty().end,
            free: Vec::new(),
            free_pairs: Vec::new(),
            used: 0,
            untyped: Pieces::default(),
            large: BTreeMap::new(),
            device: Vec::new(),
            tables: Arena::default(),
            total: (info.image_frames().len() as u64) << 12,
        };
        for untyped in info.untyped() {
            if untyped.device {
                objects.device.push(Device {
                    slot: untyped.slot,
                    address: untyped.address,
                    bits: untyped.bits,
                });
            } else {
                objects
                    .untyped
                    .put(untyped.slot as u32, untyped.bits.into());
            }
        }
        objects.total += objects.untyped.available();

        let bits = ObjectType::CNode.size_bits() + TOP_BITS as u32;
        let untyped = objects.untyped(bits)?;
        objects.top = objects.slot()?;
        objects.retype(
            untyped,
            ObjectType::CNode,
            TOP_BITS as u64,
            objects.top.0,
            1,
        )?;
        cnode_mint(
            objects.top,
            0,
            TOP_BITS,
            CPtr::INIT_CNODE,
            CPtr::INIT_CNODE.index(),
            64,
            CapRights::ALL,
            CapData::NONE,
        )?;
        let guard = CapData::guard(0, 64 - DEPTH as u32).ok_or(Error::RangeError)?;
        tcb_set_space(
            CPtr::INIT_TCB,
            0,
            objects.top,
            guard,
            CPtr::INIT_VSPACE,
            CapData::NONE,
        )?;
        Ok(objects)
    }

    /// Makes room for `most` slots that come back.
    pub fn reserve_lists(&mut self, most: usize) {
        self.free.reserve(most);
    }

    /// Bytes of memory that are not used for anything yet.
    pub fn available(&self) -> u64 {
        self.untyped.available()
    }

    /// Slots that hold a capability: what must come back when a process ends.
    pub fn used_slots(&self) -> usize {
        self.used
    }

    /// Bytes and slots that the root server keeps for its own later use: page tables, CNodes, halves of untyped memory, large frames.
    pub fn kept(&self) -> (u64, usize) {
        let (tables, slots) = self.tables.holds();
        let cnodes = (self.cnodes as u64 - 1) << (ObjectType::CNode.size_bits() + LOW_BITS as u32);
        let halves = 2 * self.untyped.halves();
        (tables + cnodes, slots + halves + self.large.len())
    }

    /// Bytes of memory that the kernel left to the root server.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// An empty slot.
    pub fn slot(&mut self) -> Result<CPtr> {
        match self.free.pop() {
            Some(slot) => {
                self.used += 1;
                Ok(CPtr(slot as usize))
            }
            None => self.slots(1).map(CPtr),
        }
    }

    /// The first of two empty slots in a row.
    fn pair(&mut self) -> Result<usize> {
        match self.free_pairs.pop() {
            Some(first) => {
                self.used += 2;
                Ok(first as usize)
            }
            None => self.slots(2),
        }
    }

    /// Counts slots that were set aside empty and are used from now on.
    pub fn use_slots(&mut self, count: usize) {
        self.used += count;
    }

    /// Counts slots that are empty again and set aside.
    pub fn unuse_slots(&mut self, count: usize) {
        self.used -= count;
    }

    /// Takes back a slot that is empty again.
    pub fn free_slot(&mut self, slot: CPtr) {
        self.free.push(slot.0 as u32);
        self.used -= 1;
    }

    /// The first of `count` empty slots in a row.
    pub fn slots(&mut self, count: usize) -> Result<usize> {
        // While a CNode is being added, `top` and the reserve are used as they are.
        if self.end - self.next < count + SLOT_RESERVE && self.cnodes != 0 && self.top != CPtr::NULL
        {
            self.add_cnode()?;
        }
        if self.end - self.next < count {
            return Err(Error::NotEnoughMemory);
        }
        self.next += count;
        self.used += count;
        Ok(self.next - count)
    }

    fn add_cnode(&mut self) -> Result<()> {
        let number = self.cnodes;
        if number == 1 << TOP_BITS {
            return Err(Error::NotEnoughMemory);
        }
        // Zero marks that one is being added.
        self.cnodes = 0;
        let untyped = self.untyped(ObjectType::CNode.size_bits() + LOW_BITS as u32);
        self.cnodes = number;
        untyped_retype(
            untyped?,
            ObjectType::CNode.number(),
            LOW_BITS as u64,
            self.top,
            0,
            0,
            number as u64,
            1,
        )?;
        self.free.extend((self.next..self.end).map(|s| s as u32));
        self.next = number << LOW_BITS;
        self.end = self.next + (1 << LOW_BITS);
        self.cnodes = number + 1;
        Ok(())
    }

    /// Untyped memory of 2^`bits` bytes.
    pub fn untyped(&mut self, bits: u32) -> Result<CPtr> {
        let mut joined = false;
        loop {
            if let Some(piece) = self.untyped.take(bits) {
                return Ok(CPtr(piece as usize));
            }
            match self.untyped.larger(bits) {
                Some(size) => self.halve(size)?,
                None if !joined => {
                    self.join()?;
                    joined = true;
                }
                None => return Err(Error::NotEnoughMemory),
            }
        }
    }

    /// Whether there is a piece that an arena can grow by.
    pub fn has_piece(&self) -> bool {
        self.untyped.larger(CHUNK_BITS - 1).is_some()
    }

    fn halve(&mut self, size: u32) -> Result<()> {
        // Before a piece is taken: getting slots may itself take memory, for a CNode.
        let halves = self.pair()?;
        let whole = match self.untyped.take(size) {
            Some(whole) => whole,
            None => {
                self.free_pairs.push(halves as u32);
                self.used -= 2;
                return Ok(());
            }
        };
        let half = u64::from(size) - 1;
        self.retype(CPtr(whole as usize), ObjectType::Untyped, half, halves, 2)?;
        self.untyped.halved(whole, size, halves as u32);
        Ok(())
    }

    /// Joins all halves that are free, from the smallest up.
    fn join(&mut self) -> Result<()> {
        for bits in Pieces::sizes() {
            for join in self.untyped.join(bits) {
                cnode_revoke(self.top, join.whole.into(), DEPTH)?;
                self.free_pairs.push(join.first);
                self.used -= 2;
                self.untyped.put(join.whole, bits + 1);
            }
        }
        Ok(())
    }

    /// Deletes everything that was made of untyped memory.
    pub fn empty(&self, untyped: CPtr) -> Result<()> {
        cnode_revoke(self.top, untyped.index(), DEPTH)
    }

    /// Takes untyped memory back: everything made of it is deleted first.
    pub fn give_back(&mut self, untyped: CPtr, bits: u32) -> Result<()> {
        cnode_revoke(self.top, untyped.index(), DEPTH)?;
        self.untyped.put(untyped.0 as u32, bits);
        Ok(())
    }

    /// Makes `count` objects in the slots from `slot` on.
    pub fn retype(
        &self,
        untyped: CPtr,
        object: ObjectType,
        size: u64,
        slot: usize,
        count: usize,
    ) -> Result<()> {
        let (cnode, offset) = (slot >> LOW_BITS, slot & ((1 << LOW_BITS) - 1));
        // The kernel's CNode is addressed directly: it is used before `top` exists.
        let (root, depth) = match cnode {
            0 => (CPtr::INIT_CNODE, 0),
            _ => (self.top, TOP_BITS as u64),
        };
        untyped_retype(
            untyped,
            object.number(),
            size,
            root,
            cnode as u64,
            depth,
            offset as u64,
            count as u64,
        )
    }

    /// A 2 MiB frame in memory of its own, which can be had back.
    pub fn make_large(&mut self) -> Result<CPtr> {
        let frame = self.slot()?;
        let made = self
            .untyped(ObjectType::LargeFrame.size_bits())
            .and_then(|untyped| {
                self.retype(untyped, ObjectType::LargeFrame, 0, frame.0, 1)?;
                self.large.insert(frame.0 as u32, untyped.0 as u32);
                Ok(frame)
            });
        if made.is_err() {
            self.free_slot(frame);
        }
        made
    }

    /// The end of a frame that [`Objects::make_large`] made.
    pub fn unmake_large(&mut self, frame: CPtr) -> Result<()> {
        let untyped = self.large.remove(&(frame.0 as u32));
        let untyped = untyped.ok_or(Error::FailedLookup)?;
        self.give_back(CPtr(untyped as usize), ObjectType::LargeFrame.size_bits())?;
        self.free_slot(frame);
        Ok(())
    }

    /// One object of fixed size.
    pub fn object(&mut self, object: ObjectType) -> Result<CPtr> {
        let untyped = self.untyped(object.size_bits())?;
        let slot = self.slot()?;
        self.retype(untyped, object, 0, slot.0, 1)?;
        Ok(slot)
    }

    /// Puts a capability derived from `source` into slot `index` of `cnode`, which has 2^`bits` slots and no guard.
    pub fn mint_into(
        &self,
        cnode: CPtr,
        index: usize,
        bits: u32,
        source: CPtr,
        rights: CapRights,
        data: CapData,
    ) -> Result<()> {
        cnode_mint(
            cnode,
            index as u64,
            bits as u8,
            self.top,
            source.index(),
            DEPTH,
            rights,
            data,
        )
    }

    /// A capability derived from `source`, for the root server itself.
    pub fn mint(&mut self, source: CPtr, rights: CapRights, data: CapData) -> Result<CPtr> {
        let slot = self.slot()?;
        let (root, from) = (self.top, source.index());
        let minted = cnode_mint(root, slot.index(), DEPTH, root, from, DEPTH, rights, data);
        self.filled(slot, minted)
    }

    /// Puts a copy of `source` into slot `index` of `cnode`, which has 2^`bits` slots and no guard.
    pub fn copy_into(
        &self,
        cnode: CPtr,
        index: usize,
        bits: u32,
        source: CPtr,
        rights: CapRights,
    ) -> Result<()> {
        cnode_copy(
            cnode,
            index as u64,
            bits as u8,
            self.top,
            source.index(),
            DEPTH,
            rights,
        )
    }

    /// A capability derived from the one in slot `index` of `cnode`, which has 2^`bits` slots and no guard.
    pub fn mint_out_of(
        &mut self,
        cnode: CPtr,
        index: usize,
        bits: u32,
        rights: CapRights,
        data: CapData,
    ) -> Result<CPtr> {
        let slot = self.slot()?;
        let minted = cnode_mint(
            self.top,
            slot.index(),
            DEPTH,
            cnode,
            index as u64,
            bits as u8,
            rights,
            data,
        );
        self.filled(slot, minted)
    }

    /// Puts a capability derived from `source` in the place of the one in slot `index` of `cnode`, which has 2^`bits` slots and no guard:
    /// in one step, so that whoever uses the slot finds either.
    pub fn exchange(
        &mut self,
        cnode: CPtr,
        index: usize,
        bits: u32,
        source: CPtr,
        data: CapData,
    ) -> Result<()> {
        let new = self.mint(source, CapRights::ALL, data)?;
        let (root, from) = (self.top, new.index());
        let (index, none) = (index as u64, CapData::NONE);
        let rotated = cnode_rotate(
            root, from, DEPTH, none, cnode, index, bits as u8, data, root, from, DEPTH,
        );
        // What was there, or the new one if that is not there.
        self.delete(new)?;
        rotated
    }

    /// A slot that was filled, or comes back.
    fn filled(&mut self, slot: CPtr, filled: Result<()>) -> Result<CPtr> {
        match filled {
            Ok(()) => Ok(slot),
            Err(error) => {
                self.free_slot(slot);
                Err(error)
            }
        }
    }

    /// A copy of `source`, such as a frame that is to be mapped twice.
    pub fn copy(&mut self, source: CPtr) -> Result<CPtr> {
        let slot = self.slot()?;
        let (root, from, all) = (self.top, source.index(), CapRights::ALL);
        let copied = cnode_copy(root, slot.index(), DEPTH, root, from, DEPTH, all);
        self.filled(slot, copied)
    }

    /// Deletes a capability and frees its slot.
    pub fn delete(&mut self, cap: CPtr) -> Result<()> {
        cnode_delete(self.top, cap.index(), DEPTH)?;
        self.free_slot(cap);
        Ok(())
    }

    /// A slot for an interrupt handler, as root, index and depth.
    pub fn handler_slot(&mut self) -> Result<(CPtr, CPtr, u8)> {
        Ok((self.slot()?, self.top, DEPTH))
    }

    /// The 4 KiB frame of device memory at `address`.
    pub fn device_frame(&mut self, address: u64) -> Result<CPtr> {
        let holds = |d: &Device| address >= d.address && (address - d.address) >> d.bits == 0;
        let index = self.device.iter().position(holds);
        let mut piece = self.device.swap_remove(index.ok_or(Error::FailedLookup)?);
        // Frames can only be cut from the start of a piece, so it is halved around the address.
        while piece.bits > 12 {
            let halves = self.pair()?;
            let bits = piece.bits - 1;
            let whole = CPtr(piece.slot);
            self.retype(whole, ObjectType::Untyped, bits as u64, halves, 2)?;
            let upper = piece.address + (1 << bits);
            let low = Device {
                slot: halves,
                address: piece.address,
                bits,
            };
            let high = Device {
                slot: halves + 1,
                address: upper,
                bits,
            };
            let (ours, other) = match address >= upper {
                true => (high, low),
                false => (low, high),
            };
            self.device.push(other);
            piece = ours;
        }
        let frame = self.slot()?;
        self.retype(CPtr(piece.slot), ObjectType::Frame, 0, frame.0, 1)?;
        Ok(frame)
    }

    /// Maps `frame` at `address`, adding page tables of `tables` as needed.
    pub fn map(
        &mut self,
        tables: &mut Arena,
        vspace: CPtr,
        frame: CPtr,
        address: usize,
        rights: CapRights,
        attributes: VmAttributes,
    ) -> Result<()> {
        let at = address as u64;
        loop {
            match x86_page_map(frame, vspace, at, rights, attributes) {
                Err(Error::FailedLookup) => {
                    let level = mapping_failed_level();
                    self.add_table(tables, vspace, at, level)?;
                }
                done => return done,
            }
        }
    }

    /// As [`Objects::map`], into the root server itself.
    pub fn map_here(
        &mut self,
        frame: CPtr,
        address: usize,
        rights: CapRights,
        attributes: VmAttributes,
    ) -> Result<()> {
        let mut tables = core::mem::take(&mut self.tables);
        let vspace = CPtr::INIT_VSPACE;
        let mapped = self.map(&mut tables, vspace, frame, address, rights, attributes);
        self.tables = tables;
        mapped
    }

    fn add_table(&mut self, tables: &mut Arena, vspace: CPtr, at: u64, level: u64) -> Result<()> {
        let cached = VmAttributes::WRITE_BACK;
        match level {
            39 => x86_pdpt_map(
                self.object_in(tables, ObjectType::Pdpt)?,
                vspace,
                at,
                cached,
            ),
            30 => {
                let table = self.object_in(tables, ObjectType::PageDirectory)?;
                x86_page_directory_map(table, vspace, at, cached)
            }
            // A large page where small ones are wanted is refused with another error, so this is the lowest level.
            _ => {
                let table = self.object_in(tables, ObjectType::PageTable)?;
                x86_page_table_map(table, vspace, at, cached)
            }
        }
    }
}
