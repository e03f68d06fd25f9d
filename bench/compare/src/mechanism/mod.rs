// SPDX-License-Identifier: BSD-2-Clause
//! What is compared. One file for each way; each shows what is set up, what a producer does, and the consumer's loop.

use sel4_bindings::Kernel;

use crate::bench::Bench;
use crate::layout::Memory;
use crate::memory::Result;
use crate::process::priority;
use crate::producer::Producer;
use crate::sys::Sys;
use crate::watcher::Watcher;

mod badges;
mod broker;
mod endpoint;
mod hierarchy;
mod nested;
mod queue;
mod rings;
mod threads;

pub use badges::Badges;
pub use broker::{BadgeBroker, CallBroker};
pub use endpoint::ThreadPosts;
pub use hierarchy::Hierarchy;
pub use nested::Nested;
pub use queue::Queue;
pub use rings::{QueuedRings, Rings};
pub use threads::Threads;

/// Most send caps that a producer has for each source.
pub const MOST_CAPS: usize = 3;

/// A way to tell the consumer which sources have something.
pub trait Mechanism: 'static {
    /// Its name in tables.
    const NAME: &'static str;
    /// Priority of its broker, if it has one.
    const BROKER: Option<u8> = None;
    /// Priority of threads added to the consumer.
    const HELPER: u8 = priority::HELPER;

    /// Its producers write rings, so they can lie there.
    const RINGS: bool = false;

    /// Why it cannot be had.
    fn refuses(_kernel: Kernel, _sources: usize) -> Option<&'static str> {
        None
    }

    /// In the root task: objects, capabilities, threads. The consumer's main thread does not run yet.
    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()>;

    /// In a producer: its source `source` has a new event.
    fn notify<S: Sys>(producer: &Producer, source: usize);

    /// In the consumer: delivers events for ever.
    fn consume<S: Sys>(watcher: &Watcher) -> !;

    /// In the broker.
    fn broke<S: Sys>(_watcher: &Watcher) -> ! {
        unreachable!("it has no broker")
    }

    /// In another thread of the consumer, added for `source`.
    fn help<S: Sys>(_memory: &'static Memory, _source: usize) -> ! {
        unreachable!("it has no other threads")
    }
}
