// SPDX-License-Identifier: BSD-2-Clause
//! Linux's system calls: the one place that executes the instruction.

use crate::errno::Errno;

/// Numbers of calls that the shim makes for itself, as in Linux's `asm/unistd_64.h`.
#[allow(missing_docs, dead_code)]
pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    pub const SCHED_YIELD: usize = 24;
    pub const GETPID: usize = 39;
    pub const SYSINFO: usize = 99;
    pub const ARCH_PRCTL: usize = 158;
    pub const FUTEX: usize = 202;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const EVENTFD2: usize = 290;
    pub const PPOLL: usize = 271;
    pub const GETRANDOM: usize = 318;
}

/// Linux's convention: the result, or a negated errno.
///
/// # Safety
/// As for the call of that number: what the kernel reads or writes by the pointers among the arguments must be the caller's to give.
#[inline]
pub unsafe fn syscall(number: usize, args: &[usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps all registers but these three; memory is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// As [`syscall`], the errno told apart. Arguments that are left out are 0.
///
/// # Safety
/// As for [`syscall`].
#[inline]
pub unsafe fn call<const N: usize>(number: usize, args: [usize; N]) -> Result<usize, Errno> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: the caller's promise.
    match unsafe { syscall(number, &all) } {
        error @ -4095..0 => Err(Errno::from_raw(-error as i32)),
        value => Ok(value as usize),
    }
}
