// SPDX-License-Identifier: BSD-2-Clause
//! The meter: how much of the time-stamp counter went by while anything but idling was done; under `-icount`, instructions.
//!
//! A thread of the lowest priority does nothing but read the counter. It runs only when no other thread can, so a step
//! between two of its reads that is longer than its loop is somebody else's work: the kernel's, a server's or a program's. Only on
//! request (`meter=1`), because the machine never sleeps with it.

use core::cell::UnsafeCell;

use sel4_bindings::{
    CPtr, CapData, ObjectType, PrioProps, UserContext, rdtsc, tcb_configure, tcb_write_registers,
};
use vfs_hooks::sync::{AtomicU64, Ordering};

use crate::memory::Memory;
use crate::objects::Result;

/// Longest step of the loop itself, with a margin; a kernel entry takes several times as much.
const LOOP: u64 = 40;
const STACK: usize = 4096;

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; STACK]>);

// SAFETY: only the meter's thread uses it, and only as its stack.
unsafe impl Sync for Stack {}

static THREAD_STACK: Stack = Stack(UnsafeCell::new([0; STACK]));
static START: AtomicU64 = AtomicU64::new(0);
static IDLE: AtomicU64 = AtomicU64::new(0);

/// Starts it.
pub fn start(memory: &mut Memory) -> Result<()> {
    let tcb = memory.objects.object(ObjectType::Tcb)?;
    tcb_configure(
        tcb,
        0,
        PrioProps {
            priority: 0,
            max_controlled: 0,
        },
        CPtr::INIT_CNODE,
        CapData::NONE,
        CPtr::INIT_VSPACE,
        CapData::NONE,
        0,
        CPtr::NULL,
    )?;
    START.store(rdtsc(), Ordering::Relaxed);
    let registers = UserContext {
        rip: run as *const () as u64,
        // As after a call: 8 below a multiple of 16.
        rsp: THREAD_STACK.0.get() as u64 + STACK as u64 - 8,
        rflags: 0x202,
        ..UserContext::default()
    };
    tcb_write_registers(tcb, true, 0, UserContext::COUNT, &registers)
}

extern "C" fn run() -> ! {
    let mut last = rdtsc();
    loop {
        let now = rdtsc();
        if now - last < LOOP {
            // Nobody else writes it.
            let idle = IDLE.load(Ordering::Relaxed) + (now - last);
            IDLE.store(idle, Ordering::Relaxed);
        }
        last = now;
    }
}

/// Counter ticks since the start in which something was done; `None` if it was not started.
pub fn busy() -> Option<u64> {
    match START.load(Ordering::Relaxed) {
        0 => None,
        start => Some(rdtsc() - start - IDLE.load(Ordering::Relaxed)),
    }
}
