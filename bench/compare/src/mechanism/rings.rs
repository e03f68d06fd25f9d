// SPDX-License-Identifier: BSD-2-Clause
//! Event rings, the sDDF way: each producer adds the source to a ring that it shares with the consumer, and signals its
//! badge bit of the consumer's one notification if the consumer has emptied the ring. Producers that share a bit have
//! their rings looked at, all of them. Or each producer has a notification, attached to a queue, and none is shared.

use sel4_bindings::{CapRights, Kernel, ObjectType, Word};

use super::Mechanism;
use super::badges::BITS;
use super::queue::{self, Buffer, Queue};
use crate::bench::Bench;
use crate::layout::QUEUE_BUFFER;
use crate::memory::{Result, nth};
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher, bits};

/// By badge bits.
pub struct Rings;

/// By a queue.
pub struct QueuedRings;

impl Mechanism for Rings {
    const NAME: &'static str = "rings";
    const RINGS: bool = true;

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let notification = bench.arena.make(ObjectType::Notification)?;
        bench.to_consumer(0, notification, CapRights::READ)?;
        // One send cap for each producer: that of its first source.
        for producer in 0..bench.producers.all.len() {
            let badge = Some(1 << (producer % BITS));
            bench.to_producer(producer, (0, 1), notification, badge)?;
        }
        // The ring lies in the channel: a word for each source would do.
        bench.arena.account.frames += 8 * bench.sources();
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(producer: &Producer, source: usize) {
        if producer.ring.push(source as Word) {
            sys::signal::<S>(producer::slot(0));
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        loop {
            for bit in bits(sys::wait::<S>(watcher::slot(0)).badge) {
                for producer in (bit..watcher.producers).step_by(BITS) {
                    drain(watcher, producer);
                }
            }
        }
    }
}

impl Mechanism for QueuedRings {
    const NAME: &'static str = "rings-queue";
    const RINGS: bool = true;

    fn refuses(kernel: Kernel, _: usize) -> Option<&'static str> {
        Queue::refuses(kernel, 0)
    }

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let producers = bench.producers.all.len();
        let notifications = queue::make(bench, producers)?;
        for producer in 0..producers {
            bench.to_producer(producer, (0, 1), nth(notifications, producer), None)?;
        }
        bench.arena.account.frames += 8 * bench.sources();
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(producer: &Producer, source: usize) {
        Rings::notify::<S>(producer, source);
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        // SAFETY: `set_up` mapped it.
        let buffer = unsafe { Buffer::new(QUEUE_BUFFER, watcher.producers) };
        let drain = |cookie: Word| drain(watcher, cookie as usize);
        queue::serve::<S>(watcher, buffer, drain, |_, _| {})
    }
}

/// Delivers what is in a producer's ring.
#[inline(always)]
fn drain(watcher: &Watcher, producer: usize) {
    let deliver = |own: Word| {
        // A false number is no source, or another one of this producer's.
        let source = (own as usize).saturating_mul(watcher.producers);
        watcher.deliver(source.saturating_add(producer));
    };
    let head = &watcher.memory.heads[producer];
    if !watcher.ring(producer).drain(head, deliver) {
        watcher.look_at_all();
    }
}
