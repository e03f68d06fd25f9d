// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as the core lock and the event core know them: numbers, and how one wakes another.
//!
//! A thread's own notification tells it three things: its deadline has passed, somebody wants it to look, and the core lock may be free. What
//! it brings while the thread waits for another of them is kept in [`NOTICES`], and ends the thread's next wait at once.

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_bindings::{CPtr, nb_signal, recv};
use vfs_hooks::lock::{MAX_THREADS, Threads};
use vfs_hooks::process::{OWN, cptr, notice, slot};

/// What came to each thread's notification and was not looked at yet: badge bits.
static NOTICES: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];

/// The calling thread's number: below [`MAX_THREADS`], reused after it has ended. There is one thread so far.
#[inline]
pub fn current() -> usize {
    0
}

/// A thread's own notification, bound to it: to wait on by itself, to signal by all.
#[inline]
pub fn notification(_thread: usize) -> CPtr {
    CPtr(cptr(OWN, slot::NOTIFICATION))
}

/// The process's notification, which carries the watch bits on the unmodified kernel: that of the first thread.
#[inline]
pub fn process_notification() -> CPtr {
    CPtr(cptr(OWN, slot::NOTIFICATION))
}

/// Keeps what came to the calling thread's notification.
pub fn keep_notice(bits: u64) {
    // A kick that was signalled without a badge is a notice too.
    NOTICES[current()].fetch_or(bits | notice::KICK, Ordering::Relaxed);
}

/// Takes what was kept for the calling thread; 0 for nothing.
#[inline]
pub fn take_notices() -> u64 {
    let notices = &NOTICES[current()];
    match notices.load(Ordering::Relaxed) {
        0 => 0,
        _ => notices.swap(0, Ordering::Relaxed),
    }
}

/// In the child after fork(2): nothing came to its new notification yet.
pub fn after_fork() {
    for notices in &NOTICES {
        notices.store(0, Ordering::Relaxed);
    }
}

/// Ends the wait of a thread that is in one, or its next.
pub fn kick(thread: usize) {
    nb_signal(notification(thread));
}

/// The core lock's view of them.
#[derive(Clone, Copy, Debug)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    #[inline]
    fn current(&self) -> usize {
        current()
    }

    fn park(&self) {
        keep_notice(recv(notification(current())).badge);
    }

    fn unpark(&self, thread: usize) {
        kick(thread);
    }
}
