// SPDX-License-Identifier: BSD-2-Clause
//! musl's system calls, answered in Rust in the same process.
//!
//! The overlay makes musl call [`__sys_dispatch`](dispatch) where it would execute `syscall`. A call is looked up in a flat table and answered
//! here: most without leaving the process, some by a message to the root or net server.
//!
//! * No thread-locals and no stack protector: the shim runs before musl has set a thread pointer.
//! * Kinds of files never block; the calls do, by waiting on the file like a poll of one fd ([`wait`]).
//! * A wrong pointer of the program is EFAULT if its value shows it ([`user`]).
//!
//! | modules | what they hold |
//! |---|---|
//! | `start`, `dispatch`, `direct`, `calls` | entry, the table, entries of some calls' own, the calls by area |
//! | `files`, `fd_table`, `net` | kinds of open files, their numbers, sockets |
//! | `poller`, `wait`, `timers` | the event core's state, blocking |
//! | `platform` | what lies beneath: seL4 and our servers, or (feature `host`) a Linux process |
//! | `space` | pure bookkeeping, tested on the host |
//! | `spawn`, `inherit`, `fork` | other processes: what they start with |
//! | `signal`, `siginfo`, `deliver`, `restart`, `context`, `stack`, `alarms` | signals: sent, waiting, delivered, what they interrupt; timers that send them |
//! | `memory`, `heap`, `clock`, `state`, `process`, `random` | what else a process has |
//! | `trace`, `names` | what the calls are called, a line for each of them |
//! | `user`, `abi` | the program's pointers, C's layouts |
//!
//! Feature `contract` (on seL4): with what tests/contract calls.
//! Feature `library` (with `host`): for a Rust program that has an allocator and an entry of its own, and makes calls by `call`.
#![cfg_attr(not(any(test, feature = "library")), no_std)]

extern crate alloc;

mod abi;
mod alarms;
mod calls;
mod clock;
mod console;
mod context;
#[cfg(feature = "contract")]
mod contract;
mod deliver;
#[cfg(not(any(test, feature = "library")))]
mod direct;
mod dispatch;
mod errno;
mod fd_table;
mod files;
mod fork;
mod futex;
#[cfg(not(any(test, feature = "library")))]
mod heap;
mod inherit;
mod limits;
mod memory;
mod names;
mod net;
#[cfg(not(any(test, feature = "library")))]
mod panic;
mod platform;
mod poller;
mod proc;
mod process;
mod random;
mod restart;
mod shared;
mod siginfo;
mod signal;
mod space;
mod spawn;
mod stack;
#[cfg(not(any(test, feature = "library")))]
mod start;
mod state;
mod threads;
mod timers;
mod trace;
mod user;
mod wait;

#[cfg(feature = "library")]
pub use library::{call, start};

#[cfg(feature = "library")]
mod library {
    /// Makes the shim ready; once, before the first [`call`].
    pub fn start() {
        crate::shared::locked(crate::process::start);
    }

    /// What C code's system call does. The result, or a negated errno.
    ///
    /// # Safety
    /// As for the system call of that number: pointers among the arguments must be what it says.
    pub unsafe fn call(number: usize, args: &[usize; 6]) -> isize {
        crate::dispatch::dispatch(number, args)
    }
}
