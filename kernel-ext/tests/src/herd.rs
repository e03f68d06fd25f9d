// SPDX-License-Identifier: BSD-2-Clause
//! More capabilities than the root task's CNode has slots: a second CNode beside
//! it, in the same CSpace.

use sel4_bindings::{
    CPtr, CapData, CapRights, ObjectType, cnode_mint, tcb_set_space, untyped_retype,
};

use crate::world::{DEPTH, FAN_OUT, World, nth, retype};

/// Slots of the second CNode, in bits.
const BITS: u32 = 18;
/// Most objects in a herd.
pub const MOST: usize = 1 << BITS;
/// The root has two bits of index: the old CNode, then the new one.
const ROOT_BITS: u32 = 2;
const OLD_BITS: u32 = 16;

/// A CNode of 2^18 slots, beside the root task's own.
#[derive(Clone, Copy)]
pub struct Herd {
    cnode: CPtr,
}

impl Herd {
    /// Widens the CSpace of the calling thread: every capability keeps its address,
    /// and there are new ones. Once in a run.
    pub fn new(world: &mut World) -> Herd {
        let [root, cnode] = [world.cnode(ROOT_BITS), world.cnode(BITS)];
        let put = |index, from: CPtr, guard| {
            let guard = CapData::guard(0, guard).expect("a guard of zeros");
            let depth = ROOT_BITS as u8;
            let (own, from) = (CPtr::INIT_CNODE, from.index());
            cnode_mint(root, index, depth, own, from, DEPTH, CapRights::ALL, guard)
                .expect("cannot build a CSpace");
        };
        put(0, CPtr::INIT_CNODE, BITS - OLD_BITS);
        put(1, cnode, 0);
        let guard = CapData::guard(0, 64 - ROOT_BITS - BITS).expect("a guard of zeros");
        let vspace = CPtr::INIT_VSPACE;
        tcb_set_space(CPtr::INIT_TCB, 0, root, guard, vspace, CapData::NONE)
            .expect("cannot change the CSpace");
        Herd { cnode }
    }

    /// Address of slot `index`.
    pub fn slot(&self, index: usize) -> CPtr {
        assert!(index < MOST);
        nth(CPtr(1 << BITS), index)
    }

    /// Makes `count` notifications of `memory` in slots in a row.
    pub fn make(&self, memory: CPtr, first: usize, count: usize) {
        let mut made = 0;
        while made < count {
            let more = (count - made).min(FAN_OUT);
            let (object, offset) = (ObjectType::Notification.number(), first + made);
            untyped_retype(
                memory,
                object,
                0,
                self.cnode,
                0,
                0,
                offset as u64,
                more as u64,
            )
            .expect("no memory for notifications");
            made += more;
        }
    }

    /// Untyped memory for `count` notifications.
    pub fn memory(world: &mut World, count: usize) -> CPtr {
        let bits = ObjectType::Notification.size_bits() + count.next_power_of_two().ilog2();
        let slot = world.slots(1);
        retype(world.memory(), ObjectType::Untyped, bits, slot, 1).expect("no memory");
        slot
    }
}
