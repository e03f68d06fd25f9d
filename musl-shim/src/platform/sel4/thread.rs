// SPDX-License-Identifier: BSD-2-Clause
//! What musl's assembly of threads, vfork and signal return jumps to. There is one thread so far.

use crate::errno::Errno;

use super::server;
use crate::dispatch;
use crate::shared::locked;

/// Number of clone(2).
const CLONE: usize = 56;
/// Number of vfork(2).
const VFORK: usize = 58;

unsafe extern "C" {
    /// musl's: where `errno` lies.
    safe fn __errno_location() -> *mut i32;
}

/// musl's `__clone`: a negated errno. pthread_create makes EAGAIN of it.
#[unsafe(no_mangle)]
extern "C" fn __sys_clone() -> i32 {
    locked(|| dispatch::complain(CLONE));
    -Errno::ENOSYS.raw()
}

/// musl's `vfork`: as fork, so the child may do what it likes. -1 and errno if there is no child.
#[unsafe(no_mangle)]
extern "C" fn __sys_vfork() -> i32 {
    match dispatch::dispatch(VFORK, &[0; 6]) {
        pid @ 0.. => pid as i32,
        errno => {
            // SAFETY: musl returns a pointer to the thread's errno, which is valid while the thread lives.
            unsafe { *__errno_location() = -errno as i32 };
            -1
        }
    }
}

/// Where a handler would return to if the kernel had called it. Handlers are called as functions, so this is never reached.
#[unsafe(no_mangle)]
extern "C" fn __sys_restore_rt() -> ! {
    unreachable!("signal handlers return to their caller")
}

/// The end of a detached thread: the only thread's end is the process's.
#[unsafe(no_mangle)]
extern "C" fn __sys_unmapself() -> ! {
    server::exit(0)
}
