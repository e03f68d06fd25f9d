// SPDX-License-Identifier: BSD-2-Clause
//! One thread for each notification, in the consumer's process, which posts to the endpoint that the main thread receives
//! from: by Send, or by Call, which waits for the main thread's answer.

use sel4_bindings::{CPtr, CapRights, ObjectType, Word};

use super::Mechanism;
use crate::bench::Bench;
use crate::layout::Memory;
use crate::memory::{Result, nth};
use crate::process::priority;
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher};

/// See the module.
pub struct ThreadPosts<const CALL: bool>;

fn endpoint() -> CPtr {
    watcher::slot(0)
}

impl<const CALL: bool> Mechanism for ThreadPosts<CALL> {
    const NAME: &'static str = if CALL { "threads-call" } else { "threads-send" };

    // A call to a thread of the caller's priority takes the kernel's fast path.
    const HELPER: u8 = if CALL {
        priority::CONSUMER
    } else {
        priority::HELPER
    };

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let sources = bench.sources();
        let endpoint = bench.arena.make(ObjectType::Endpoint)?;
        bench.to_consumer(0, endpoint, CapRights::ALL)?;
        let notifications = bench.arena.make_many(ObjectType::Notification, sources)?;
        for source in 0..sources {
            let notification = nth(notifications, source);
            bench.to_consumer(1 + source, notification, CapRights::READ)?;
            bench.to_producer(source, (0, 1), notification, None)?;
            bench.add_thread::<Self, S>(source)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        sys::signal::<S>(producer::slot(source));
    }

    fn help<S: Sys>(_: &'static Memory, source: usize) -> ! {
        loop {
            sys::wait::<S>(watcher::slot(1 + source));
            match CALL {
                true => sys::call::<S>(endpoint(), source as Word),
                false => sys::send::<S>(endpoint(), source as Word),
            }
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        let mut message = sys::wait::<S>(endpoint());
        loop {
            watcher.deliver(message.mrs[0] as usize);
            message = match CALL {
                true => sys::reply_recv::<S>(endpoint()),
                false => sys::wait::<S>(endpoint()),
            };
        }
    }
}
