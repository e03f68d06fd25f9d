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
//! | `start`, `dispatch`, `calls` | entry, the table, the calls by area |
//! | `files`, `fd_table`, `net` | kinds of open files, their numbers, sockets |
//! | `kernel`, `poller`, `wait`, `timers` | seL4 beneath the event core, its state, blocking |
//! | `archive`, `path`, `space` | pure bookkeeping, tested on the host |
//! | `memory`, `heap`, `clock`, `signal`, `process`, `random` | what else a process has |
//! | `info`, `server`, `user`, `abi` | the root server's facts, requests, the program's pointers, C's layouts |
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod abi;
mod archive;
mod calls;
mod clock;
mod console;
mod dispatch;
mod errno;
mod fd_table;
mod files;
mod heap;
mod info;
mod kernel;
mod memory;
mod names;
mod net;
mod panic;
mod path;
mod poller;
mod process;
mod random;
mod server;
mod shared;
mod signal;
mod space;
#[cfg(not(test))]
mod start;
#[cfg(not(test))]
mod thread;
mod threads;
mod timers;
mod user;
mod wait;
