// SPDX-License-Identifier: BSD-2-Clause
//! The notification queue: one notification for each source, attached to the consumer's queue with the source as cookie.

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_bindings::{
    CPtr, CapRights, Kernel, ObjectType, Word, notification_queue_attach,
    notification_queue_set_buffer,
};

use super::Mechanism;
use crate::bench::Bench;
use crate::layout::{LARGE_PAGE, PAGE, QUEUE_BUFFER};
use crate::memory::{Result, nth};
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher};

/// Badge of a cookie that was handed over.
pub(super) const HANDED_OVER: Word = 1 << 63 | 1;
/// Badge of two: an inner queue's, and that of what is attached to it.
const HANDED_OVER_BOTH: Word = 1 << 63 | 2;
/// Badge bit: entries were counted but not written.
const OVERRUN: Word = 1 << 62;
/// Number of entries in a badge.
pub(super) const COUNT: Word = OVERRUN - 1;
/// Words of a buffer before its first entry.
const HEADER: usize = 8;
/// Notifications that a buffer of 4 KiB serves.
pub(super) const SMALL_CAPACITY: usize = 252;

/// A queue's buffer as its reader sees it.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    words: &'static [AtomicU64],
}

impl Buffer {
    /// # Safety
    /// The buffer of a queue that serves so many sources must be mapped at `address`.
    pub(super) unsafe fn new(address: usize, sources: usize) -> Buffer {
        let size = if sources <= SMALL_CAPACITY {
            PAGE
        } else {
            LARGE_PAGE
        };
        // SAFETY: by contract; atomics, since the kernel writes it.
        let words = unsafe { core::slice::from_raw_parts(address as *const AtomicU64, size / 8) };
        Buffer { words }
    }

    /// Number of entries ever added.
    #[inline(always)]
    pub(super) fn tail(&self) -> Word {
        self.words[0].load(Ordering::Acquire)
    }

    /// Takes the entries that a collection with this badge and first position gave; false on overrun.
    #[inline(always)]
    pub(super) fn take(&self, badge: Word, first: Word, mut take: impl FnMut(Word)) -> bool {
        let entries = &self.words[HEADER..];
        let mut index = (first % entries.len() as Word) as usize;
        for _ in 0..badge & COUNT {
            take(entries[index].load(Ordering::Relaxed));
            index += 1;
            if index == entries.len() {
                index = 0;
            }
        }
        badge & OVERRUN == 0
    }
}

/// See the module.
pub struct Queue;

impl Mechanism for Queue {
    const NAME: &'static str = "queue";

    fn refuses(kernel: Kernel, _: usize) -> Option<&'static str> {
        (kernel == Kernel::Stock).then_some("this kernel has no queue")
    }

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let notifications = make(bench, bench.sources())?;
        for source in 0..bench.sources() {
            bench.to_producer(source, (0, 1), nth(notifications, source), None)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        sys::signal::<S>(producer::slot(source));
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        // SAFETY: `set_up` mapped it.
        let buffer = unsafe { Buffer::new(QUEUE_BUFFER, watcher.sources) };
        let deliver = |cookie| watcher.deliver(cookie as usize);
        serve::<S>(watcher, buffer, deliver, |_, _| {})
    }
}

/// The consumer's loop: what the queue in slot 0 has, one after the other; and what its inner queues have, of those
/// events that find it waiting (the inner queue's cookie, and the cookie there).
#[inline(always)]
pub(super) fn serve<S: Sys>(
    watcher: &Watcher,
    buffer: Buffer,
    take: impl Fn(Word),
    take_both: impl Fn(Word, Word),
) -> ! {
    let queue = watcher::slot(0);
    let mut head = 0;
    loop {
        if buffer.tail() == head {
            let message = sys::wait::<S>(queue);
            if message.badge == HANDED_OVER {
                take(message.mrs[0]);
            } else if message.badge == HANDED_OVER_BOTH {
                take_both(message.mrs[0], message.mrs[1]);
            }
            continue;
        }
        let message = sys::poll::<S>(queue);
        if !buffer.take(message.badge, message.mrs[0], &take) {
            watcher.look_at_all();
        }
        head = message.mrs[0] + (message.badge & COUNT);
    }
}

/// In the root task: makes the consumer's queue, for `count` notifications.
pub(super) fn make_queue(bench: &mut Bench, count: usize) -> Result<CPtr> {
    let queue = bench.arena.make(ObjectType::NotificationQueue)?;
    let buffer = match count <= SMALL_CAPACITY {
        true => bench.arena.make(ObjectType::Frame)?,
        false => bench.arena.make(ObjectType::LargeFrame)?,
    };
    notification_queue_set_buffer(queue, buffer)?;
    bench.map_in_consumer(buffer, QUEUE_BUFFER, CapRights::READ)?;
    bench.to_consumer(0, queue, CapRights::READ)?;
    Ok(queue)
}

/// The same with these notifications; the first of them.
pub(super) fn make(bench: &mut Bench, count: usize) -> Result<CPtr> {
    let queue = make_queue(bench, count)?;
    let notifications = bench.arena.make_many(ObjectType::Notification, count)?;
    for number in 0..count {
        notification_queue_attach(queue, nth(notifications, number), number as Word)?;
    }
    Ok(notifications)
}
