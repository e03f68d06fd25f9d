// SPDX-License-Identifier: BSD-2-Clause
//! One thread for each notification, in the consumer's process: it waits, hands the source to the main thread by a ring in
//! their memory, and signals it if it sleeps.

use core::sync::atomic::{Ordering, fence};

use sel4_bindings::{CPtr, CapRights, ObjectType};

use super::Mechanism;
use crate::bench::Bench;
use crate::layout::Memory;
use crate::memory::{Result, nth};
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher};

/// See the module.
pub struct Threads;

/// The main thread's notification.
fn bell() -> CPtr {
    watcher::slot(0)
}

impl Mechanism for Threads {
    const NAME: &'static str = "threads";

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let sources = bench.sources();
        let bell = bench.arena.make(ObjectType::Notification)?;
        bench.to_consumer(0, bell, CapRights::READ_WRITE)?;
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

    fn help<S: Sys>(memory: &'static Memory, source: usize) -> ! {
        let mask = memory.handed.len() - 1;
        loop {
            sys::wait::<S>(watcher::slot(1 + source));
            // So no more than one slot for each source is ever in use.
            if memory.pending[source].swap(1, Ordering::AcqRel) != 0 {
                continue;
            }
            let at = memory.handed_tail.fetch_add(1, Ordering::Relaxed) as usize;
            memory.handed[at & mask].store(source as u64 + 1, Ordering::Release);
            // The entry before the look at `sleeping`; the main thread does the opposite.
            fence(Ordering::SeqCst);
            if memory.sleeping.load(Ordering::Relaxed) != 0
                && memory.sleeping.swap(0, Ordering::Relaxed) != 0
            {
                sys::signal::<S>(bell());
            }
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        let memory = watcher.memory;
        let mask = memory.handed.len() - 1;
        let mut head = 0;
        loop {
            let next = &memory.handed[head & mask];
            match next.load(Ordering::Acquire) as usize {
                0 => {
                    memory.sleeping.store(1, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    if next.load(Ordering::Relaxed) == 0 {
                        sys::wait::<S>(bell());
                    }
                }
                found => {
                    next.store(0, Ordering::Relaxed);
                    head += 1;
                    // Before the look at the source: what comes later is handed over again.
                    memory.pending[found - 1].swap(0, Ordering::AcqRel);
                    watcher.deliver(found - 1);
                }
            }
        }
    }
}
