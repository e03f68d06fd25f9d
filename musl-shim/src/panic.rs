// SPDX-License-Identifier: BSD-2-Clause
//! A panic of the shim is a bug of ours: it is told to the system log, and the program ends as by SIGABRT.

use core::panic::PanicInfo;

use crate::{console, platform};

/// 128 + SIGABRT.
const STATUS: u8 = 134;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    console::log(format_args!("musl-shim: {info}"));
    platform::process::exit(STATUS)
}

// The prebuilt core library names these. Nothing unwinds: panics abort. Weak, so that a program that links an unwinder of its own keeps it.
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".weak _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "    ud2",
);
