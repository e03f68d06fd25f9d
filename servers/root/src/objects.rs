// SPDX-License-Identifier: BSD-2-Clause
//! The root server's own CSpace, and kernel objects out of untyped memory.
//!
//! * CSpace: 64-bit addresses `[42 zero bits][6 bits: which CNode][16 bits: slot]`. CNode 0 is the one that the kernel made;
//!   others are added when slots run out.
//! * Untyped memory is halved until a piece fits; pieces that come back are used again at their size, never joined.

use alloc::vec::Vec;

use sel4_bindings::message::mapping_failed_level;
use sel4_bindings::*;

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
    /// Untyped memory by size in bits.
    untyped: [Vec<u32>; 48],
    device: Vec<Device>,
    available: u64,
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
            untyped: [const { Vec::new() }; 48],
            device: Vec::new(),
            available: 0,
            total: (info.image_frames().len() as u64) << 12,
        };
        for untyped in info.untyped() {
            if untyped.device {
                objects.device.push(Device {
                    slot: untyped.slot,
                    address: untyped.address,
                    bits: untyped.bits,
                });
            } else if let Some(pieces) = objects.untyped.get_mut(untyped.bits as usize) {
                pieces.push(untyped.slot as u32);
                objects.available += 1 << untyped.bits;
            }
        }
        objects.total += objects.available;

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

    /// Bytes of memory that are not used for anything yet.
    pub fn available(&self) -> u64 {
        self.available
    }

    /// Bytes of memory that the kernel left to the root server.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// An empty slot.
    pub fn slot(&mut self) -> Result<CPtr> {
        match self.free.pop() {
            Some(slot) => Ok(CPtr(slot as usize)),
            None => self.slots(1).map(CPtr),
        }
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
        let wanted = bits as usize;
        let mut size = (wanted..self.untyped.len())
            .find(|size| !self.untyped[*size].is_empty())
            .ok_or(Error::NotEnoughMemory)?;
        let mut piece = self.untyped[size].pop().ok_or(Error::NotEnoughMemory)?;
        while size > wanted {
            let halves = match self.slots(2) {
                Ok(halves) => halves,
                Err(error) => {
                    self.untyped[size].push(piece);
                    return Err(error);
                }
            };
            size -= 1;
            let whole = CPtr(piece as usize);
            self.retype(whole, ObjectType::Untyped, size as u64, halves, 2)?;
            self.untyped[size].push(halves as u32 + 1);
            piece = halves as u32;
        }
        self.available -= 1 << wanted;
        Ok(CPtr(piece as usize))
    }

    /// Takes untyped memory back: everything made of it is deleted first.
    pub fn give_back(&mut self, untyped: CPtr, bits: u32) -> Result<()> {
        cnode_revoke(self.top, untyped.index(), DEPTH)?;
        self.untyped[bits as usize].push(untyped.0 as u32);
        self.available += 1 << bits;
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

    /// One object of fixed size.
    pub fn object(&mut self, object: ObjectType) -> Result<CPtr> {
        let untyped = self.untyped(object.size_bits())?;
        let slot = self.slot()?;
        self.retype(untyped, object, 0, slot.0, 1)?;
        Ok(slot)
    }

    /// A CNode of 2^`bits` slots.
    pub fn cnode(&mut self, bits: u32) -> Result<CPtr> {
        let untyped = self.untyped(ObjectType::CNode.size_bits() + bits)?;
        let slot = self.slot()?;
        self.retype(untyped, ObjectType::CNode, bits as u64, slot.0, 1)?;
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
        let root = self.top;
        cnode_mint(
            root,
            slot.index(),
            DEPTH,
            root,
            source.index(),
            DEPTH,
            rights,
            data,
        )?;
        Ok(slot)
    }

    /// A copy of `source`, such as a frame that is to be mapped twice.
    pub fn copy(&mut self, source: CPtr) -> Result<CPtr> {
        let slot = self.slot()?;
        let root = self.top;
        cnode_copy(
            root,
            slot.index(),
            DEPTH,
            root,
            source.index(),
            DEPTH,
            CapRights::ALL,
        )?;
        Ok(slot)
    }

    /// Deletes a capability and frees its slot.
    pub fn delete(&mut self, cap: CPtr) -> Result<()> {
        cnode_delete(self.top, cap.index(), DEPTH)?;
        self.free.push(cap.0 as u32);
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
            let halves = self.slots(2)?;
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

    /// Maps `frame` at `address`, adding page tables as needed.
    pub fn map(
        &mut self,
        vspace: CPtr,
        frame: CPtr,
        address: usize,
        rights: CapRights,
        attributes: VmAttributes,
    ) -> Result<()> {
        let at = address as u64;
        loop {
            match x86_page_map(frame, vspace, at, rights, attributes) {
                Err(Error::FailedLookup) => self.add_table(vspace, at, mapping_failed_level())?,
                done => return done,
            }
        }
    }

    fn add_table(&mut self, vspace: CPtr, at: u64, level: u64) -> Result<()> {
        let cached = VmAttributes::WRITE_BACK;
        match level {
            39 => x86_pdpt_map(self.object(ObjectType::Pdpt)?, vspace, at, cached),
            30 => {
                let table = self.object(ObjectType::PageDirectory)?;
                x86_page_directory_map(table, vspace, at, cached)
            }
            // A large page where small ones are wanted is refused with another error, so this is the lowest level.
            _ => x86_page_table_map(self.object(ObjectType::PageTable)?, vspace, at, cached),
        }
    }
}
