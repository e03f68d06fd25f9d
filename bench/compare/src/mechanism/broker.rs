// SPDX-License-Identifier: BSD-2-Clause
//! A broker: a process that is told of all events, and forwards them to the consumer by a ring, in bulk: it signals the
//! consumer only if that sleeps. It is told by badge bits and looks at the sources, or by a call for each event.

use sel4_bindings::{CapRights, ObjectType, Word};

use super::Mechanism;
use super::badges::BITS;
use crate::bench::Bench;
use crate::layout::{FORWARD, MAX_SOURCES, Shape};
use crate::memory::Result;
use crate::process::priority;
use crate::producer::{self, Producer};
use crate::ring::Ring;
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher, bits};

/// Told by badge bits.
pub struct BadgeBroker;

/// Told by calls, whose badge is the source + 1.
pub struct CallBroker;

/// The ring in the page that `share_forward_ring` mapped.
fn forward_ring() -> Ring {
    // SAFETY: mapped before the two processes started.
    unsafe { Ring::new(FORWARD, Shape::new(MAX_SOURCES)) }
}

/// What both have: the ring, and the consumer's notification.
fn set_up_forwarding(bench: &mut Bench) -> Result<()> {
    bench.share_forward_ring()?;
    let bell = bench.arena.make(ObjectType::Notification)?;
    bench.to_consumer(0, bell, CapRights::READ)?;
    bench.to_broker(0, bell, CapRights::WRITE)
}

#[inline(always)]
fn forward<S: Sys>(ring: &Ring, source: usize) {
    if ring.push(source as Word) {
        sys::signal::<S>(watcher::slot(0));
    }
}

fn consume<S: Sys>(watcher: &Watcher) -> ! {
    let ring = forward_ring();
    ring.want();
    loop {
        sys::wait::<S>(watcher::slot(0));
        let deliver = |source| watcher.deliver(source as usize);
        if !ring.drain(&watcher.memory.heads[0], deliver) {
            watcher.look_at_all();
        }
    }
}

impl Mechanism for BadgeBroker {
    const NAME: &'static str = "broker-badges";
    const BROKER: Option<u8> = Some(priority::BROKER);

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        set_up_forwarding(bench)?;
        let notification = bench.arena.make(ObjectType::Notification)?;
        bench.to_broker(1, notification, CapRights::READ)?;
        for source in 0..bench.sources() {
            bench.to_producer(source, (0, 1), notification, Some(1 << (source % BITS)))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        sys::signal::<S>(producer::slot(source));
    }

    fn broke<S: Sys>(watcher: &Watcher) -> ! {
        let ring = forward_ring();
        loop {
            for bit in bits(sys::wait::<S>(watcher::slot(1)).badge) {
                watcher.scan(bit, BITS, |source| forward::<S>(&ring, source));
            }
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        consume::<S>(watcher)
    }
}

impl Mechanism for CallBroker {
    const NAME: &'static str = "broker-calls";
    // A call to a thread of the caller's priority takes the kernel's fast path.
    const BROKER: Option<u8> = Some(priority::PRODUCER);

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        set_up_forwarding(bench)?;
        let endpoint = bench.arena.make(ObjectType::Endpoint)?;
        bench.to_broker(1, endpoint, CapRights::READ)?;
        for source in 0..bench.sources() {
            bench.to_caller(source, endpoint, source as Word + 1)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        // Not NBSend: that would drop the event while the broker is busy.
        sys::call::<S>(producer::slot(source), 0);
    }

    fn broke<S: Sys>(_: &Watcher) -> ! {
        let ring = forward_ring();
        let mut message = sys::wait::<S>(watcher::slot(1));
        loop {
            forward::<S>(&ring, message.badge as usize - 1);
            message = sys::reply_recv::<S>(watcher::slot(1));
        }
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        consume::<S>(watcher)
    }
}
