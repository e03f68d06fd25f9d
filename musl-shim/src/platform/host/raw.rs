// SPDX-License-Identifier: BSD-2-Clause
//! Linux's system calls: the one place that executes the instruction.

use crate::errno::Errno;

/// Numbers of calls that the shim makes for itself, as in Linux's `asm/unistd_64.h`.
#[allow(missing_docs, dead_code)]
pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const POLL: usize = 7;
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const READV: usize = 19;
    pub const WRITEV: usize = 20;
    pub const PIPE: usize = 22;
    pub const SELECT: usize = 23;
    pub const SCHED_YIELD: usize = 24;
    pub const DUP: usize = 32;
    pub const DUP2: usize = 33;
    pub const GETPID: usize = 39;
    pub const SENDFILE: usize = 40;
    pub const SENDMSG: usize = 46;
    pub const CLONE: usize = 56;
    pub const FORK: usize = 57;
    pub const VFORK: usize = 58;
    pub const EXECVE: usize = 59;
    pub const FCNTL: usize = 72;
    pub const SYSINFO: usize = 99;
    pub const ARCH_PRCTL: usize = 158;
    pub const GETTID: usize = 186;
    pub const FUTEX: usize = 202;
    pub const EPOLL_CREATE: usize = 213;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT: usize = 60;
    pub const EXIT_GROUP: usize = 231;
    pub const EPOLL_WAIT: usize = 232;
    pub const EPOLL_CTL: usize = 233;
    pub const TGKILL: usize = 234;
    pub const OPENAT: usize = 257;
    pub const PSELECT6: usize = 270;
    pub const PPOLL: usize = 271;
    pub const SPLICE: usize = 275;
    pub const TEE: usize = 276;
    pub const VMSPLICE: usize = 278;
    pub const EPOLL_PWAIT: usize = 281;
    pub const TIMERFD_CREATE: usize = 283;
    pub const EVENTFD: usize = 284;
    pub const TIMERFD_SETTIME: usize = 286;
    pub const TIMERFD_GETTIME: usize = 287;
    pub const EVENTFD2: usize = 290;
    pub const EPOLL_CREATE1: usize = 291;
    pub const DUP3: usize = 292;
    pub const PIPE2: usize = 293;
    pub const PREADV: usize = 295;
    pub const PRLIMIT64: usize = 302;
    pub const SENDMMSG: usize = 307;
    pub const GETRANDOM: usize = 318;
    pub const EXECVEAT: usize = 322;
    pub const COPY_FILE_RANGE: usize = 326;
    pub const PREADV2: usize = 327;
    pub const PWRITEV2: usize = 328;
    pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
    pub const EPOLL_PWAIT2: usize = 441;
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
