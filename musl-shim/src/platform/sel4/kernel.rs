// SPDX-License-Identifier: BSD-2-Clause
//! seL4 beneath the event core: queues and the own notification, by system calls.
//!
//! The thread's own notification brings, besides watches on the stock kernel, two things: the deadline that was armed has passed, and the root
//! server wants us to look (console). Both only end a wait; whoever waits looks at the clock and the console anyway.
//!
//! The deadline is armed lazily: a wait that ends before the armed one costs a request, a later one does not, since being woken too early
//! is harmless. So a server that waits with one timeout again and again asks once per timeout, not once per wait.

use core::ptr::read_volatile;
use core::sync::atomic::{Ordering::Relaxed, fence};

use libposix_poll::backend::{AttachError, Block, BufferSize, Collected, Kernel, QueueId, Woke};
use libposix_poll::{Deadline, Errno};
use sel4_bindings::{
    CPtr, Error, nb_recv, notification_queue_attach, notification_queue_detach, recv,
};
use vfs_hooks::process::{LARGE_PAGE, QUEUE_CAPS, WATCHES, cptr, notice, queue_buffer};
use vfs_hooks::wire::{NEVER, root};

use super::info::{info, stats};
use super::server::ask_root;
use super::threads;
use crate::shared::unlocked;
use crate::state::state;

/// Badge of what comes from a queue rather than from the own notification.
const QUEUE: u64 = 1 << 63;
/// In it: entries were counted but not kept.
const OVERRUN: u64 = 1 << 62;
/// Words of a buffer before the first entry.
const HEADER: u64 = 8;

fn queue_cap(queue: QueueId) -> CPtr {
    CPtr(cptr(QUEUE_CAPS, queue.0 as usize))
}

fn watch_cap(slot: u32) -> CPtr {
    CPtr(cptr(WATCHES, slot as usize))
}

/// Word `index` of a queue's buffer.
fn buffer_word(queue: QueueId, size: BufferSize, index: u64) -> u64 {
    let small = queue_buffer(queue.0 as usize);
    let base = match size {
        BufferSize::Small => small,
        BufferSize::Large => small + LARGE_PAGE,
    };
    let address = base + index as usize * 8;
    // SAFETY: the root server mapped the buffer there when it made (or enlarged) the queue, and the core asks within its size;
    // the kernel writes to it at any time, hence volatile.
    unsafe { read_volatile(address as *const u64) }
}

/// The calling thread ends: what was armed for it is not for the next one of its number.
pub fn thread_ended() {
    state().armed.store(0, Relaxed);
}

/// Sees to it that the thread is woken at the deadline at the latest.
fn arm(deadline: Deadline) {
    let armed = &state().armed;
    if deadline.ns() < NEVER - armed.load(Relaxed) {
        // Refused only if the message is malformed.
        let _ = ask_root(
            root::SET_TIMER,
            [deadline.ns(), threads::current() as u64, 0],
        );
        armed.store(NEVER - deadline.ns(), Relaxed);
    }
}

/// Remembers what a notification brought; returns the watch bits.
fn noticed(badge: u64) -> u64 {
    if badge & notice::TIMER != 0 {
        state().armed.store(0, Relaxed);
    }
    let watches = badge >> notice::FIRST_WATCH;
    if watches != 0 {
        stats().badge_wakes.fetch_add(1, Relaxed);
    }
    watches
}

/// Blocks the calling thread where the core says, until something comes or the deadline passes. The core lock is released meanwhile.
pub fn wait(block: Block, deadline: Deadline) -> Woke {
    wait_for(block, deadline).0
}

/// [`wait`]; and whether the queue ended it.
#[inline]
pub fn wait_for(block: Block, deadline: Deadline) -> (Woke, bool) {
    let kept = threads::take_notices();
    if kept != 0 {
        let bits = noticed(kept);
        return (Woke { cookie: None, bits }, false);
    }
    arm(deadline);
    let on = match block {
        Block::Own => threads::notification(threads::current()),
        Block::Queue(queue) => queue_cap(queue),
        Block::Process => threads::process_notification(),
    };
    stats().waits.fetch_add(1, Relaxed);
    let leads = block == Block::Process;
    if leads {
        threads::set_leading(true);
    }
    // Whoever wakes this thread from here on signals its notification, which keeps it until `recv`.
    let message = unlocked(|| recv(on));
    if leads {
        threads::set_leading(false);
    }
    let mut woke = Woke::default();
    // The unmodified kernel, which has no queues, has a watch bit there.
    let from_queue = matches!(block, Block::Queue(_)) && message.badge & QUEUE != 0;
    if !from_queue {
        woke.bits = noticed(message.badge);
    } else if message.badge & !QUEUE != 0 {
        stats().handoffs.fetch_add(1, Relaxed);
        woke.cookie = Some(message.mrs[0]);
    }
    (woke, from_queue)
}

/// The system calls.
#[derive(Clone, Copy, Debug)]
pub struct System;

/// What a collection returned.
fn collected(badge: u64, first: u64) -> Collected {
    let run = Collected {
        count: badge & !(QUEUE | OVERRUN),
        first,
        overrun: badge & OVERRUN != 0,
    };
    stats().collects.fetch_add(1, Relaxed);
    stats().entries.fetch_add(run.count, Relaxed);
    run
}

impl Kernel for System {
    fn has_queues(&self) -> bool {
        info().queue_kernel != 0
    }

    fn grow_watches(&mut self) -> Result<u32, Errno> {
        match ask_root(root::WATCHES_GROW, [0; 3]) {
            Ok([count, ..]) => Ok(count as u32),
            Err(errno) => Err(Errno(errno.raw())),
        }
    }

    fn queue_create(&mut self) -> Result<QueueId, Errno> {
        match ask_root(root::QUEUE_CREATE, [0; 3]) {
            Ok([number, ..]) => Ok(QueueId(number as u32)),
            Err(errno) => Err(Errno(errno.raw())),
        }
    }

    fn queue_destroy(&mut self, queue: QueueId) {
        // Refused only for a queue that is not ours.
        let _ = ask_root(root::QUEUE_DESTROY, [u64::from(queue.0), 0, 0]);
    }

    fn queue_enlarge(&mut self, queue: QueueId) -> Result<Collected, Errno> {
        match ask_root(root::QUEUE_RESIZE, [u64::from(queue.0), 0, 0]) {
            Ok([badge, first, _]) => Ok(collected(badge, first)),
            Err(errno) => Err(Errno(errno.raw())),
        }
    }

    fn attach(&mut self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError> {
        match notification_queue_attach(queue_cap(queue), watch_cap(slot), cookie) {
            Ok(()) => Ok(()),
            Err(Error::NotEnoughMemory) => Err(AttachError::Full),
            Err(_) => Err(AttachError::Refused),
        }
    }

    fn detach(&mut self, queue: QueueId, slot: u32) {
        // Refused only if it is not attached, which is what is wanted.
        let _ = notification_queue_detach(queue_cap(queue), watch_cap(slot));
        // It is still active from its last signal, and would tell its next watch at once, of nothing.
        let _ = nb_recv(watch_cap(slot));
    }

    #[inline]
    fn tail(&self, queue: QueueId, size: BufferSize) -> u64 {
        buffer_word(queue, size, 0)
    }

    #[inline]
    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64 {
        buffer_word(queue, size, HEADER + number % size.slots())
    }

    fn collect(&mut self, queue: QueueId) -> Collected {
        let message = nb_recv(queue_cap(queue));
        // The entries were written before the call returned; this keeps the compiler from reading them before.
        fence(core::sync::atomic::Ordering::Acquire);
        collected(message.badge, message.mrs[0])
    }

    fn poll_bits(&mut self) -> u64 {
        let came = nb_recv(threads::process_notification()).badge | threads::take_notices();
        if came & notice::KICK != 0 {
            // Not for the core: it ends the thread's next wait. What it tells of may have come after the thread looked.
            threads::keep_notice(notice::KICK);
        }
        noticed(came)
    }
}
