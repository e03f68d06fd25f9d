// SPDX-License-Identifier: BSD-2-Clause
//! ucontext_t, as Linux has it on x86_64: what a handler finds and may change of the code that it interrupts.

use vfs_hooks::thread::REGISTERS;

use crate::stack::RED_ZONE;

/// What `fxsave64` stores.
#[repr(C, align(16))]
pub struct Fpu([u8; 512]);

/// ucontext_t. All zero but for the mask where a handler runs at the end of a call, as a function; a handler may change that mask (musl's does,
/// for cancellation).
#[repr(C, align(16))]
pub struct Context {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    /// In the order of `REG_*` of <sys/ucontext.h>.
    registers: [u64; 23],
    fpu: *mut Fpu,
    reserved: [u64; 8],
    /// Blocked signals, before and after.
    pub mask: u64,
    rest: [u8; 664],
}

const _: () = assert!(
    core::mem::offset_of!(Context, registers) == 40
        && core::mem::offset_of!(Context, fpu) == 224
        && core::mem::offset_of!(Context, mask) == 296
        && size_of::<Context>() == 976
);

/// `REG_*` of rip, rsp, rflags, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15: the order of `seL4_UserContext`, which ends with the thread pointer.
const NUMBERS: [usize; REGISTERS - 1] =
    [16, 15, 17, 13, 11, 14, 12, 9, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7];
const RSP: usize = 15;
const RIP: usize = 16;

impl Context {
    /// Of nothing that was interrupted.
    pub const NONE: Context = Context {
        flags: 0,
        link: 0,
        stack: [0; 3],
        registers: [0; 23],
        fpu: core::ptr::null_mut(),
        reserved: [0; 8],
        mask: 0,
        rest: [0; 664],
    };

    /// Of a thread with these registers, in the order of `seL4_UserContext`.
    #[cfg_attr(any(test, feature = "host"), allow(dead_code))]
    pub fn of(registers: [u64; REGISTERS], fpu: *mut Fpu) -> Context {
        let mut context = Context {
            fpu,
            ..Context::NONE
        };
        for (number, value) in NUMBERS.into_iter().zip(registers) {
            context.registers[number] = value;
        }
        context
    }

    /// Where the code goes on.
    pub fn instruction(&self) -> u64 {
        // SAFETY: our own field; volatile since a handler, which the compiler cannot see, may have written to it.
        unsafe { (&raw const self.registers[RIP]).read_volatile() }
    }

    /// Has the code go on as at the beginning of a function that does not return.
    pub fn begin_function(&mut self) {
        let below = self.registers[RSP].wrapping_sub(RED_ZONE as u64);
        self.registers[RSP] = (below & !15).wrapping_sub(8);
    }

    /// The stack pointer of what was interrupted; 0: nothing was.
    pub fn stack_pointer(&self) -> usize {
        self.registers[RSP] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_stand_where_linux_has_them() {
        let context = Context::of(
            core::array::from_fn(|i| i as u64 + 100),
            core::ptr::null_mut(),
        );
        // rip is REG_RIP 16, rsp REG_RSP 15, rflags REG_EFL 17, rax REG_RAX 13, r8 REG_R8 0, r15 REG_R15 7.
        let at = |number: usize| context.registers[number];
        assert_eq!([at(16), at(15), at(17), at(13)], [100, 101, 102, 103]);
        assert_eq!([at(11), at(14), at(12)], [104, 105, 106]);
        assert_eq!([at(9), at(8), at(10)], [107, 108, 109]);
        assert_eq!([at(0), at(7)], [110, 117]);
        assert_eq!(context.stack_pointer(), 101);
    }
}
