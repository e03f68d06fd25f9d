// SPDX-License-Identifier: BSD-2-Clause
//! The event core: epoll, poll and select as plain data behind one lock.
//!
//! It does no I/O, makes no system call and reads no clock: the kernel is the trait [`backend::Kernel`], time and the threads are the platform's. A [`Core`] is
//! one process's; it is `Send`, and the platform keeps it behind the core lock ([`vfs_hooks::lock`]). `epoll_wait` is this loop, with that lock held:
//!
//! ```text
//! loop {
//!     run the process's timers                      (they publish)
//!     n = core.take(epoll, most, report)            ready list; what the backend heard of goes there first
//!     if n > 0 or the deadline passed               return n
//!     if let Some(where) = core.block(epoll, me) {  a waiter from here on
//!         release the lock; block there; take the lock
//!         core.unblock(epoll, me, where, what woke)
//!     }
//! }
//! whenever the lock is released: kick each thread that core.next_wake() names
//! ```
//!
//! Modules, from below: [`errno`], [`deadline`], [`slab`]; [`watch`] (one registration); [`event_core`] (sources publish), [`instance`] (interest list, ready
//! list, waiters), [`remote`] (sources of other processes); [`backend`] (how news of those arrives); [`frontend`] (the calls as Linux defines them).
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod deadline;
pub mod errno;
pub mod event_core;
pub mod frontend;
pub mod instance;
pub mod remote;
pub mod slab;
pub mod watch;

#[cfg(test)]
mod contract;
#[cfg(all(test, shuttle))]
mod interleavings;
#[cfg(test)]
mod model;

pub use deadline::Deadline;
pub use errno::Errno;
pub use event_core::Core;
pub use instance::InstanceId;
pub use vfs_hooks::Events;
