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
//! # A pollable source in thirty lines
//!
//! A mailbox of one letter. It keeps its own state, and after each change publishes what holds now and what is new; nobody asks it anything.
//!
//! ```
//! use libposix_poll::frontend::epoll::Operation;
//! use libposix_poll::{Core, Events};
//! use vfs_hooks::source::{SourceId, Sources};
//!
//! struct Mailbox {
//!     letter: Option<String>,
//!     source: SourceId,
//! }
//!
//! impl Mailbox {
//!     fn new(sources: &mut impl Sources) -> Self {
//!         let source = sources.open(Events::WRITABLE);
//!         Mailbox { letter: None, source }
//!     }
//!     fn put(&mut self, sources: &mut impl Sources, letter: &str) -> bool {
//!         let room = self.letter.is_none();
//!         if room {
//!             self.letter = Some(letter.into());
//!             sources.publish(self.source, Events::READABLE, Events::READABLE);
//!         }
//!         room
//!     }
//!     fn get(&mut self, sources: &mut impl Sources) -> Option<String> {
//!         let letter = self.letter.take()?;
//!         sources.publish(self.source, Events::WRITABLE, Events::WRITABLE);
//!         Some(letter)
//!     }
//! }
//! // All sources here are of this process.
//! let mut core = Core::new(libposix_poll::backend::NoWatches);
//! let mut mailbox = Mailbox::new(&mut core);
//! let (epoll, _) = core.epoll_create();
//! let add = Operation::Add { events: Events::IN.bits(), data: 7 };
//! core.epoll_ctl(epoll, add, 3, mailbox.source)?;
//! assert_eq!(core.take(epoll, 1, |_, _| ()), 0);
//! assert!(mailbox.put(&mut core, "hello"));
//! core.take(epoll, 1, |events, data| assert_eq!((events, data), (Events::IN, 7)));
//! assert_eq!(mailbox.get(&mut core).as_deref(), Some("hello"));
//! assert_eq!(core.take(epoll, 1, |_, _| ()), 0);
//! # Ok::<(), libposix_poll::Errno>(())
//! ```
//!
//! A source in another process keeps level and edge counters in shared memory instead, and signals: [`vfs_hooks::source::Remote`],
//! [`vfs_hooks::subscription`].
//!
//! Modules, from below: [`errno`], [`deadline`], [`slab`]; [`watch`] (one registration); [`event_core`] (sources publish), [`instance`] (interest list, ready
//! list, waiters), [`remote`] (sources of other processes), `nested` (instances that watch instances); [`backend`] (how news of those
//! arrives); [`frontend`] (the calls as Linux defines them).
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
mod fork;
pub mod frontend;
pub mod instance;
pub mod legacy;
mod nested;
pub mod remote;
pub mod slab;
pub mod watch;

#[cfg(any(test, feature = "contract"))]
pub mod contract;
#[cfg(all(test, shuttle))]
mod interleavings;
#[cfg(test)]
mod model;

pub use deadline::Deadline;
pub use errno::Errno;
pub use event_core::Core;
pub use instance::InstanceId;
pub use vfs_hooks::Events;
