// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as the core lock and the event core know them: numbers, and how one wakes another.
//!
//! A thread's own notification tells it three things: its deadline has passed, somebody wants it to look, and the core lock may be free. What
//! it brings while the thread waits for another of them is kept in [`NOTICES`], and ends the thread's next wait at once.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sel4_bindings::{CPtr, nb_signal, recv, user_data};
use vfs_hooks::lock::{MAX_THREADS, Threads};
use vfs_hooks::process::{OWN, THREAD_CAPS, cptr, notice, slot};

/// What came to each thread's notification and was not looked at yet: badge bits.
static NOTICES: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];

/// The calling thread's number: below [`MAX_THREADS`], reused after it has ended. The root server wrote it into the message buffer.
#[inline]
pub fn current() -> usize {
    user_data() as usize % MAX_THREADS
}

/// A thread's own notification, bound to it: to wait on by itself, to signal by all.
#[inline]
pub fn notification(thread: usize) -> CPtr {
    match thread {
        0 => CPtr(cptr(OWN, slot::FIRST)),
        _ => CPtr(cptr(THREAD_CAPS, thread)),
    }
}

/// The process's notification, which carries the watch bits on the unmodified kernel. It is bound to nobody: the leader waits for it.
#[inline]
pub fn process_notification() -> CPtr {
    CPtr(cptr(OWN, slot::NOTIFICATION))
}

/// The thread that waits for the process's notification, plus 1; 0: none.
static LEADER: AtomicUsize = AtomicUsize::new(0);

/// The calling thread begins to wait for the process's notification, or has waited for whatever it was. The core lock is held.
#[inline]
pub fn set_leading(leads: bool) {
    let me = current() + 1;
    if leads {
        LEADER.store(me, Ordering::Relaxed);
    } else if LEADER.load(Ordering::Relaxed) == me {
        LEADER.store(0, Ordering::Relaxed);
    }
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

/// In the child after fork(2): nothing came to its new notification yet, and nobody waits.
pub fn after_fork() {
    LEADER.store(0, Ordering::Relaxed);
    for notices in &NOTICES {
        notices.store(0, Ordering::Relaxed);
    }
}

/// Ends the wait of a thread that is in one, or its next. The core lock is held, or the thread is one that waits for it.
pub fn kick(thread: usize) {
    nb_signal(notification(thread));
    if LEADER.load(Ordering::Relaxed) == thread + 1 {
        nb_signal(process_notification());
    }
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
