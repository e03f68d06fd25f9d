// SPDX-License-Identifier: BSD-2-Clause
//! The event core: epoll, poll and select over one trait.
//!
//! It does no I/O, makes no system call and reads no clock: the kernel is the trait [`backend::Kernel`], time is an argument.
//! `epoll_wait` of a process is this loop, in which only the last step can enter the kernel to sleep:
//!
//! ```text
//! loop {
//!     run the process's timers            (they notify their watchers)
//!     n = epoll.take(events)              ready list; else what the backend collected, each looked at again
//!     if n > 0 or the deadline passed     return
//!     epoll.wait(deadline)                blocks in the backend, by the thread itself
//! }
//! ```
//!
//! Modules, from below: [`errno`], [`deadline`]; [`watch`] (one registration), [`poller`] (interest list and ready list);
//! [`backend`] (how news arrives and a thread blocks); [`frontend`] (the calls as Linux defines them).
//!
//! One process's sources, watches and pollers belong to one thread so far: they are `Rc` and `Cell`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod deadline;
pub mod errno;
pub mod frontend;
pub mod poller;
pub mod watch;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod model;

pub use deadline::Deadline;
pub use errno::Errno;
pub use vfs_hooks::Events;
