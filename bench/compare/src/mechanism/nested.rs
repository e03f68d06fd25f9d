// SPDX-License-Identifier: BSD-2-Clause
//! A hierarchy in the kernel: a queue for each 252 sources (as many as a buffer of 4 KiB serves), attached to the
//! consumer's queue. The consumer collects the outer one, and then each inner one that it names, by a call of its own. If
//! it waits, an event hands it both cookies.

use core::sync::atomic::Ordering;

use sel4_bindings::{
    CapRights, Kernel, ObjectType, Word, notification_queue_attach, notification_queue_set_buffer,
};

use super::Mechanism;
use super::queue::{self, Buffer, COUNT, Queue, SMALL_CAPACITY};
use crate::bench::Bench;
use crate::layout::{INNER_BUFFERS, PAGE, QUEUE_BUFFER};
use crate::memory::{Result, nth};
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher};

/// See the module.
pub struct Nested;

/// Where the buffer of an inner queue is.
fn buffer_at(inner: usize) -> usize {
    INNER_BUFFERS + inner * PAGE
}

impl Mechanism for Nested {
    const NAME: &'static str = "nested";

    fn refuses(kernel: Kernel, _: usize) -> Option<&'static str> {
        Queue::refuses(kernel, 0)
    }

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let outer = queue::make_queue(bench, bench.sources().div_ceil(SMALL_CAPACITY))?;
        let mut first = 0;
        while first < bench.sources() {
            let number = first / SMALL_CAPACITY;
            let inner = bench.arena.make(ObjectType::NotificationQueue)?;
            let buffer = bench.arena.make(ObjectType::Frame)?;
            notification_queue_set_buffer(inner, buffer)?;
            bench.map_in_consumer(buffer, buffer_at(number), CapRights::READ)?;
            bench.to_consumer(1 + number, inner, CapRights::READ)?;
            // While nothing is attached to it.
            notification_queue_attach(outer, inner, number as Word)?;
            let count = SMALL_CAPACITY.min(bench.sources() - first);
            let notifications = bench.arena.make_many(ObjectType::Notification, count)?;
            for index in 0..count {
                let (source, notification) = (first + index, nth(notifications, index));
                notification_queue_attach(inner, notification, source as Word)?;
                bench.to_producer(source, (0, 1), notification, None)?;
            }
            first += count;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        sys::signal::<S>(producer::slot(source));
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        let inners = watcher.sources.div_ceil(SMALL_CAPACITY);
        // SAFETY: `set_up` mapped it.
        let outer = unsafe { Buffer::new(QUEUE_BUFFER, inners) };
        let take = |cookie: Word| {
            let inner = (cookie as usize).min(inners - 1);
            // SAFETY: `set_up` mapped those of all inner queues.
            let buffer = unsafe { Buffer::new(buffer_at(inner), SMALL_CAPACITY) };
            let head = &watcher.memory.heads[inner];
            if buffer.tail() == head.load(Ordering::Relaxed) {
                return;
            }
            let message = sys::poll::<S>(watcher::slot(1 + inner));
            let deliver = |cookie| watcher.deliver(cookie as usize);
            if !buffer.take(message.badge, message.mrs[0], deliver) {
                watcher.look_at_all();
            }
            head.store(message.mrs[0] + (message.badge & COUNT), Ordering::Relaxed);
        };
        let take_both = |_, cookie| watcher.deliver(cookie as usize);
        queue::serve::<S>(watcher, outer, take, take_both)
    }
}
