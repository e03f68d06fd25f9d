// SPDX-License-Identifier: BSD-2-Clause
//! The alternative signal stack (sigaltstack(2)), and running a handler on it.

use core::sync::atomic::Ordering::Relaxed;

use crate::errno::Errno;
use crate::state::state;

const SS_ONSTACK: i32 = 1;
const SS_DISABLE: i32 = 2;
/// MINSIGSTKSZ.
const LEAST: u64 = 2048;
/// Bytes below the stack pointer that code may use without moving it (x86-64 psABI).
pub const RED_ZONE: usize = 128;

/// stack_t: address, flags (and padding), bytes.
pub type Words = [u64; 3];

/// The calling thread's: address and bytes; 0 bytes: none.
pub fn own() -> [u64; 2] {
    [0, 1].map(|i: usize| state().seen.stack[i].load(Relaxed))
}

/// Whether an address lies in the calling thread's alternative stack.
fn is_on(address: usize) -> bool {
    let [base, len] = own();
    (address as u64).wrapping_sub(base) < len
}

/// About where the caller's stack ends.
#[inline(always)]
fn here() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack)) };
    pointer
}

/// sigaltstack(2): as it is, for the program to see.
pub fn current() -> Words {
    let [base, len] = own();
    let flags = match (len, is_on(here())) {
        (0, _) => SS_DISABLE,
        (_, true) => SS_ONSTACK,
        _ => 0,
    };
    [base, flags as u64, len]
}

/// sigaltstack(2): another one. EPERM: it is in use; EINVAL, ENOMEM.
pub fn set([base, flags, len]: Words) -> Result<(), Errno> {
    if is_on(here()) {
        return Err(Errno::EPERM);
    }
    let (base, len) = match flags as i32 {
        SS_DISABLE => (0, 0),
        0 | SS_ONSTACK if len < LEAST => return Err(Errno::ENOMEM),
        0 | SS_ONSTACK => (base, len),
        _ => return Err(Errno::EINVAL),
    };
    restore([base, len]);
    Ok(())
}

/// Sets it as [`own`] said.
pub fn restore([base, len]: [u64; 2]) {
    state().seen.stack[0].store(base, Relaxed);
    state().seen.stack[1].store(len, Relaxed);
}

/// The stack on which a handler is to run, from its end downwards; 0: the one in use. `interrupted`: stack pointer of what was interrupted, or 0.
pub fn for_handler(wants_alternative: bool, interrupted: usize) -> usize {
    let [base, len] = own();
    let on = is_on(here());
    match (wants_alternative && len != 0, on) {
        (true, false) => (base + len) as usize,
        // An interruption came in on it for lack of another one, but this handler does not want it.
        (false, true) if interrupted != 0 && !is_on(interrupted) => interrupted - RED_ZONE,
        _ => 0,
    }
}

/// Calls a function of three arguments on a stack that ends at `on`; 0: on the one in use.
///
/// # Safety
/// The function is what the program gave for this, the stack the program's and not in use below `on`.
pub unsafe fn call(function: usize, [a, b, c]: [usize; 3], on: usize) {
    // SAFETY: the caller's promise; the old stack pointer is kept in a register that calls preserve.
    unsafe {
        core::arch::asm!(
            "mov r12, rsp",
            "test rcx, rcx",
            "cmovnz rsp, rcx",
            "and rsp, -16",
            "call rax",
            "mov rsp, r12",
            inout("rax") function => _,
            inout("rdi") a => _,
            inout("rsi") b => _,
            inout("rdx") c => _,
            inout("rcx") on => _,
            out("r12") _,
            clobber_abi("C"),
        );
    }
}
