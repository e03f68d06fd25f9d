// SPDX-License-Identifier: BSD-2-Clause
//! The readiness protocol between a source and its watchers, and the memory and messages that processes share.
//!
//! A *source* (pipe, socket, timer…) of this process tells the event core what holds and what is new, under the core lock: see [`source`]. One
//! in another process has a level, which events hold now, and an edge counter per direction, in shared memory. A watcher leaves a
//! [`Subscription`](subscription::Subscription) with it. The canonical loop of both sides:
//!
//! ```text
//! source                                  watcher
//! change the state                        collect (the cookie names a watch)
//! bump the edge counter      (release)    armed := 1
//! fence                      (SeqCst)     fence                 (SeqCst)
//! for each subscription:                  look at level and edges
//!     armed? armed := 0, signal           decide; sleep only if nothing holds
//! ```
//!
//! No event is lost: of the two fences one comes first in the single total order. If the source's does, the watcher's look
//! sees the change; if the watcher's does, the source sees `armed` and signals. A spurious signal is harmless: a
//! cookie says "look here", never "this is ready".
//!
//! This crate is a leaf: it knows neither seL4 nor the event core.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(any(test, loom, shuttle))]
extern crate std;

pub mod accept;
pub mod bytes;
pub mod channel;
pub mod channel_event;
pub mod channel_packets;
pub mod channel_pipe;
pub mod channel_socket;
pub mod channel_tcp;
pub mod channel_timer;
pub mod eventfd;
pub mod events;
pub mod facts;
pub mod fifo;
pub mod figures;
pub mod file;
pub mod file_lock;
pub mod inotify;
pub mod lock;
pub mod net;
pub mod packets;
pub mod pages;
pub mod pipe;
pub mod process;
#[cfg(test)]
mod recorder;
pub mod ring;
pub mod signalfd;
pub mod source;
pub mod spawn;
pub mod stream;
pub mod subscription;
pub mod sync;
pub mod thread;
pub mod timerfd;
pub mod timers;
pub mod udp;
pub mod vfs;
pub mod wire;

pub use events::Events;
