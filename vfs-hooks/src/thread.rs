// SPDX-License-Identifier: BSD-2-Clause
//! What a thread keeps in the page of its IPC buffer, behind that: the part that the root server reads and writes too.
//!
//! The root server believes none of it: whoever writes nonsense here spoils the own process only.

use crate::process::{PAGE, ipc_buffer};
use crate::sync::{AtomicU32, AtomicU64};

/// Where it lies in the page: behind the IPC buffer (`seL4_IPCBuffer`, 1024 bytes).
pub const THREAD_STATE: usize = 1024;
/// Bytes of the page that are left for it and for what only the thread's shim knows.
pub const STATE_ROOM: usize = PAGE - THREAD_STATE;
/// Registers of a thread, in the order of `seL4_UserContext`.
pub const REGISTERS: usize = 19;

/// See the module. All zero at the thread's start, but for its own address.
#[repr(C)]
#[derive(Debug)]
pub struct ThreadState {
    /// Its own address in the process, which the root server wrote: so that it is found by one load at the GS base, where the IPC buffer is.
    pub own: AtomicU64,
    /// 1: it runs the program's code, and can be interrupted. 0: it is in the shim.
    pub outside: AtomicU32,
    _pad: AtomicU32,
    /// Blocked signals.
    pub mask: AtomicU64,
    /// Of the first thread: signals that have a handler.
    pub handled: AtomicU64,
    /// Of the first thread: where an interrupted thread goes on.
    pub entry: AtomicU64,
    /// Its alternative signal stack: address and bytes; 0 bytes: none.
    pub stack: [AtomicU64; 2],
    /// 1: it waits for a word of shared memory (FUTEX_WAIT); the root server writes 0 when it wakes it.
    pub futex: AtomicU64,
    /// Head of its list of robust mutexes (set_robust_list(2)), which the root server goes through when the process has ended; 0: none.
    pub robust: AtomicU64,
    /// What the root server interrupted: its registers, as it writes `outside` 0 and lets it go on at `entry`.
    pub registers: [AtomicU64; REGISTERS],
    /// The fault for which it did so: signal (0: none), si_code, address.
    pub fault: [AtomicU64; 3],
    /// Its name (PR_SET_NAME); zeroes: the program's.
    pub name: [AtomicU64; 2],
}

/// Address of a thread's state in its process.
pub const fn thread_state(thread: usize) -> usize {
    ipc_buffer(thread) + THREAD_STATE
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_state_lies_behind_the_ipc_buffer_and_fits() {
        assert_eq!(thread_state(2), ipc_buffer(2) + THREAD_STATE);
        assert!(size_of::<ThreadState>() <= STATE_ROOM);
    }
}
