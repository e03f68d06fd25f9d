// SPDX-License-Identifier: BSD-2-Clause
//! A thread that computes is interrupted: the root server has put its registers into its [`ThreadState`](vfs_hooks::thread::ThreadState) and lets
//! it go on here, below the stack in use, inside the shim. It delivers what is due, and goes back to where it was.
//!
//! The registers come back by `iretq`, which needs no stack of the program's and changes flags, stack and instruction pointer in one step. Being
//! interrupted again on the way is harmless: it is code like any other by then.

use core::arch::naked_asm;
use core::sync::atomic::Ordering::Relaxed;

use crate::context::{Context, Fpu};
use crate::deliver;
use crate::siginfo::Info;
use crate::state::state;

/// The kernel's segments of user code and data. What `cs` says after a system call is no descriptor of its table: `sysretq` does not look there.
const SEL_CS_3: u32 = 5 << 3 | 3;
const SEL_DS_3: u32 = 6 << 3 | 3;

/// Where the root server sends an interrupted thread.
pub fn entry() -> u64 {
    interrupted as *const () as u64
}

#[unsafe(naked)]
extern "C" fn interrupted() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "and rsp, -16",
        "sub rsp, {fpu}",
        "fxsave64 [rsp]",
        "mov rdi, rsp",
        "call {attend}",
        "ud2",
        fpu = const size_of::<Fpu>(),
        attend = sym attend,
    )
}

extern "C" fn attend(fpu: *mut Fpu) -> ! {
    let seen = &state().seen;
    let mut context = Context::of(
        core::array::from_fn(|i| seen.registers[i].load(Relaxed)),
        fpu,
    );
    let [signal, code, address] = [0, 1, 2].map(|i: usize| seen.fault[i].load(Relaxed));
    seen.fault[0].store(0, Relaxed);
    let fault = (signal != 0).then_some(Info {
        signal: signal as usize,
        code: code as i32,
        first: address,
        second: 0,
    });
    deliver::interrupted(fault, &mut context);
    // SAFETY: the context is what the processor had, as far as the program's handlers have not changed it, which is their right.
    unsafe { resume(&context) }
}

/// Loads a context.
#[unsafe(naked)]
unsafe extern "C" fn resume(context: &Context) -> ! {
    naked_asm!(
        "mov rax, rdi",
        "mov rcx, [rax + 224]",
        "fxrstor64 [rcx]",
        // What iretq takes: ss, rsp, rflags, cs, rip.
        "push {data}",
        "push qword ptr [rax + 40 + 15 * 8]",
        "push qword ptr [rax + 40 + 17 * 8]",
        "push {code}",
        "push qword ptr [rax + 40 + 16 * 8]",
        "mov r8, [rax + 40]",
        "mov r9, [rax + 40 + 1 * 8]",
        "mov r10, [rax + 40 + 2 * 8]",
        "mov r11, [rax + 40 + 3 * 8]",
        "mov r12, [rax + 40 + 4 * 8]",
        "mov r13, [rax + 40 + 5 * 8]",
        "mov r14, [rax + 40 + 6 * 8]",
        "mov r15, [rax + 40 + 7 * 8]",
        "mov rdi, [rax + 40 + 8 * 8]",
        "mov rsi, [rax + 40 + 9 * 8]",
        "mov rbp, [rax + 40 + 10 * 8]",
        "mov rbx, [rax + 40 + 11 * 8]",
        "mov rdx, [rax + 40 + 12 * 8]",
        "mov rcx, [rax + 40 + 14 * 8]",
        "mov rax, [rax + 40 + 13 * 8]",
        "iretq",
        code = const SEL_CS_3,
        data = const SEL_DS_3,
    )
}
