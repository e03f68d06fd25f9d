// SPDX-License-Identifier: BSD-2-Clause
//! The program's entry: make the shim ready, then go on as Linux would have started the program.
//!
//! There is no thread pointer yet, and there are no thread-locals in this crate, so the shim works before musl sets one.

use core::arch::global_asm;

/// Version of what the shim expects of the root server, in the note that marks a program as ours.
#[cfg(not(feature = "host"))]
const ABI_VERSION: u32 = 2;

// The start stack (argc, argv, envp, auxv) is crt1's: it must find rsp as it was.
global_asm!(
    ".pushsection .text.__posix_start, \"ax\", @progbits",
    ".globl __posix_start",
    ".type __posix_start, @function",
    "__posix_start:",
    "    xor ebp, ebp",
    "    mov r12, rsp",
    "    and rsp, -16",
    "    call {start}",
    "    mov rsp, r12",
    "    xor edx, edx",
    "    jmp _start",
    ".size __posix_start, . - __posix_start",
    ".popsection",
    start = sym start,
);

// The mark by which `cargo xtask run` knows programs for seL4.
#[cfg(not(feature = "host"))]
global_asm!(
    ".pushsection .note.posix-poll, \"a\", @note",
    ".balign 4",
    ".long 11, 4, 1",
    ".asciz \"posix-poll\"",
    ".balign 4",
    ".long {version}",
    ".popsection",
    version = const ABI_VERSION,
);

extern "C" fn start() {
    crate::shared::locked(crate::process::start);
    crate::deliver::leave();
}
