// SPDX-License-Identifier: BSD-2-Clause
//! A process of our root server on seL4.

pub mod channels;
pub mod children;
pub mod clock;
pub mod console;
pub mod futex;
mod info;
#[cfg(not(test))]
mod interrupt;
mod kernel;
pub mod memory;
pub mod net;
pub mod process;
pub mod processes;
mod server;
#[cfg(not(test))]
mod thread;
pub mod threads;
pub mod transport;
pub mod udp;
pub mod vfs;

pub use info::stats;

/// Whether the program's calls are to be traced.
pub fn is_traced() -> bool {
    info::info().traced != 0
}

/// A thread of the process is to look at this time, CLOCK_MONOTONIC nanoseconds.
pub fn alarm(at: u64) {
    // Nothing in it can be refused.
    let _ = server::ask_root(vfs_hooks::wire::root::SET_ALARM, [at, 0, 0]);
}
