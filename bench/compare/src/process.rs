// SPDX-License-Identifier: BSD-2-Clause
//! Processes: an address space, a CSpace, a thread.

use sel4_bindings::*;

use crate::layout::{IMAGE_END, LARGE_PAGE, PAGE, STACK_HEAD, STACK_TOP};
use crate::memory::{Arena, Result};

/// Priorities, all below the root task's while it prepares a round and above while the round runs. They fall along the way
/// of an event: so 64 events that come at once are one wake-up for whoever can take them in bulk. At equal priorities
/// nobody gets batches: this kernel runs a woken thread before those that were ready.
pub mod priority {
    /// The root task's between rounds.
    pub const ABOVE: u8 = 101;
    /// Producers'.
    pub const PRODUCER: u8 = 100;
    /// The broker's.
    pub const BROKER: u8 = 99;
    /// Those of the consumer's threads that wait for one notification each.
    pub const HELPER: u8 = 98;
    /// The consumer's main thread's.
    pub const CONSUMER: u8 = 97;
    /// The root task's during a round.
    pub const BELOW: u8 = 96;
}

/// What starts a thread: two numbers.
pub type Code = extern "C" fn(usize, usize) -> !;

/// A process.
#[derive(Clone, Copy)]
pub struct Process {
    /// Its main thread.
    pub tcb: CPtr,
    /// Its address space.
    pub vspace: CPtr,
    cnode: CPtr,
    cnode_bits: u32,
    equal: bool,
}

/// What processes are made of, besides objects.
pub struct Maker {
    /// A large page with the code.
    image: CPtr,
    at: usize,
    pools: [CPtr; 8],
    /// Pool that had room the last time.
    pool: usize,
    /// All threads have the producers' priority.
    pub equal: bool,
}

impl Maker {
    /// With a copy of the code of this program, and all address space numbers there are.
    pub fn new(arena: &mut Arena) -> Result<Maker> {
        let image = arena.make(ObjectType::LargeFrame)?;
        let window = 0x30_0000_0000;
        let copy = arena.copy(image)?;
        arena.map(CPtr::INIT_VSPACE, copy, window, CapRights::READ_WRITE)?;
        let at;
        // SAFETY: the linker's symbols; the window was just mapped, large enough for what fits in one large page.
        unsafe {
            let (start, end) = (&raw const __executable_start, &raw const _end);
            let (start, end) = (start as usize, end as usize);
            // Where that is, is the linker's choice.
            at = start & !(LARGE_PAGE - 1);
            assert!(end <= at + LARGE_PAGE && at + LARGE_PAGE <= IMAGE_END);
            let (from, to) = (start as *const u8, (window + start - at) as *mut u8);
            core::ptr::copy_nonoverlapping(from, to, end - start);
        }
        let mut pools = [CPtr::INIT_ASID_POOL; 8];
        for pool in &mut pools[1..] {
            *pool = arena.asid_pool()?;
        }
        Ok(Maker {
            image,
            at,
            pools,
            pool: 0,
            equal: false,
        })
    }

    /// A process with a CNode of 2^`cnode_bits` slots and `stack` pages of stack; it does not run yet.
    pub fn make(
        &mut self,
        arena: &mut Arena,
        cnode_bits: u32,
        stack: usize,
        priority: u8,
    ) -> Result<Process> {
        let vspace = arena.make(ObjectType::Pml4)?;
        let mut tries = 0;
        while let Err(error) = x86_asid_pool_assign(self.pools[self.pool], vspace) {
            tries += 1;
            if tries == self.pools.len() {
                return Err(error);
            }
            self.pool = (self.pool + 1) % self.pools.len();
        }
        let image = arena.copy(self.image)?;
        arena.map(vspace, image, self.at, CapRights::READ)?;
        let frames = arena.make_many(ObjectType::Frame, stack)?;
        for i in 0..stack {
            let at = STACK_TOP - (i + 1) * PAGE;
            arena.map(vspace, CPtr(frames.0 + i), at, CapRights::READ_WRITE)?;
        }
        let cnode = arena.cnode(cnode_bits)?;
        let mut process = Process {
            tcb: CPtr::NULL,
            vspace,
            cnode,
            cnode_bits,
            equal: self.equal,
        };
        process.tcb = process.thread(arena, priority)?;
        Ok(process)
    }
}

unsafe extern "C" {
    static __executable_start: u8;
    static _end: u8;
}

impl Process {
    /// Another thread, that does not run yet. It has no message buffer: nobody here needs one.
    pub fn thread(&self, arena: &mut Arena, priority: u8) -> Result<CPtr> {
        let tcb = arena.make(ObjectType::Tcb)?;
        let guard = CapData::guard(0, 64 - self.cnode_bits).ok_or(Error::RangeError)?;
        let priority = PrioProps {
            priority: if self.equal {
                priority::PRODUCER
            } else {
                priority
            },
            max_controlled: 0,
        };
        // There must be a capability for the buffer, though address 0 says that none is used.
        let (vspace, none) = (self.vspace, CapData::NONE);
        tcb_configure(tcb, 0, priority, self.cnode, guard, vspace, none, 0, vspace)?;
        Ok(tcb)
    }

    /// Gives it a capability.
    pub fn give(
        &self,
        arena: &mut Arena,
        slot: usize,
        source: CPtr,
        rights: CapRights,
        badge: Option<Word>,
    ) -> Result<()> {
        let into = (self.cnode, self.cnode_bits as u8);
        arena.put(into, slot, source, rights, badge)
    }

    /// Starts its main thread, or starts it anew.
    pub fn start(&self, code: Code, arguments: [usize; 2]) -> Result<()> {
        start(self.tcb, code, STACK_TOP - STACK_HEAD, arguments)
    }
}

/// Starts a thread, or starts it anew, with its stack below `stack`.
pub fn start(tcb: CPtr, code: Code, stack: usize, arguments: [usize; 2]) -> Result<()> {
    tcb_suspend(tcb)?;
    let context = UserContext {
        rip: code as *const () as Word,
        // As after a call: 8 bytes below a multiple of 16.
        rsp: stack as Word - 8,
        rdi: arguments[0] as Word,
        rsi: arguments[1] as Word,
        rflags: 0x202,
        ..UserContext::default()
    };
    tcb_write_registers(tcb, true, 0, UserContext::COUNT, &context)
}
