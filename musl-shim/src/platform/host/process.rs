// SPDX-License-Identifier: BSD-2-Clause
//! The process as Linux made it.

use super::raw::{self, nr};
use crate::errno::Errno;

/// 128 + SIGABRT.
pub const ABORTED: u8 = 134;

/// Comes first: makes the rest of this folder usable.
pub fn start() {
    #[cfg(not(any(test, feature = "library")))]
    super::mixed::start();
}

/// Ends the process.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: nothing of the process is left to be harmed.
        unsafe { raw::syscall(nr::EXIT_GROUP, &[status.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Ends the calling thread.
pub fn end_thread(status: u8) -> ! {
    loop {
        // SAFETY: the thread has given up what it had.
        unsafe { raw::syscall(nr::EXIT, &[status.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Process id.
pub fn pid() -> usize {
    // SAFETY: no pointers.
    unsafe { raw::syscall(nr::GETPID, &[0; 6]) as usize }
}

/// Lets others run.
pub fn give_way() {
    // SAFETY: no pointers.
    unsafe { raw::syscall(nr::SCHED_YIELD, &[0; 6]) };
}

/// Sets the thread pointer.
pub fn set_tls(base: usize) -> Result<(), Errno> {
    const ARCH_SET_FS: usize = 0x1002;
    // SAFETY: the caller is the C library, which knows what it points to. This crate has no thread-locals.
    unsafe { raw::call(nr::ARCH_PRCTL, [ARCH_SET_FS, base]) }.map(drop)
}

/// Entropy.
pub fn seed() -> [u64; 4] {
    let mut seed = [0u64; 4];
    // SAFETY: the kernel writes that many bytes. If it has none yet, the seed is the clock's.
    let got = unsafe { raw::call(nr::GETRANDOM, [seed.as_mut_ptr() as usize, 32, 0]) };
    if got.is_err() {
        seed[0] = super::clock::monotonic();
    }
    seed
}

/// What uname(2) says of the kernel.
pub fn version() -> &'static str {
    "host mode"
}
