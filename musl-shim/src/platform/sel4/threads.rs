// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as the core lock and the event core know them: numbers, and how one wakes another.
//!
//! A thread's own notification tells it three things: its deadline has passed, somebody wants it to look, and the core lock may be free. What
//! it brings while the thread waits for another of them is kept in its [`State`], and ends the thread's next wait at once.

use core::sync::atomic::{AtomicUsize, Ordering};

use sel4_bindings::{CPtr, nb_signal, recv, user_data};
use vfs_hooks::lock::{MAX_THREADS, Threads};
use vfs_hooks::process::{OWN, THREAD_CAPS, cptr, notice, slot};
use vfs_hooks::thread::{THREAD_STATE, thread_state};
use vfs_hooks::wire::root;

use super::server::ask_root;
use crate::state::State;

/// What the shim keeps for a thread that has begun.
#[inline]
pub fn state_of(thread: usize) -> &'static State {
    // SAFETY: the root server maps this page with the thread, for the life of the process; any bytes are a State, which consists of atomics.
    unsafe { &*(thread_state(thread) as *const State) }
}

/// What it keeps for the calling thread.
#[inline]
pub fn state() -> &'static State {
    let own: usize;
    // SAFETY: GS is the page of the thread's IPC buffer; the root server wrote the state's address there before the thread began. It stays, but in the
    // child of a fork by another thread than the first the thread is the first: so it must be read again after whatever may fork, hence not `nomem`.
    unsafe {
        core::arch::asm!(
            "mov {}, gs:[{at}]", out(reg) own, at = const THREAD_STATE,
            options(nostack, pure, readonly, preserves_flags)
        );
        &*(own as *const State)
    }
}

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
    let notices = &state().notices;
    notices.fetch_or(bits | notice::KICK, Ordering::Relaxed);
}

/// Takes what was kept for the calling thread; 0 for nothing.
#[inline]
pub fn take_notices() -> u64 {
    let notices = &state().notices;
    match notices.load(Ordering::Relaxed) {
        0 => 0,
        _ => notices.swap(0, Ordering::Relaxed),
    }
}

/// In the child after fork(2): nobody waits.
pub fn after_fork() {
    LEADER.store(0, Ordering::Relaxed);
}

/// Ends the wait of a thread that is in one, or its next. The core lock is held, or the thread is one that waits for it.
pub fn kick(thread: usize) {
    nb_signal(notification(thread));
    if LEADER.load(Ordering::Relaxed) == thread + 1 {
        nb_signal(process_notification());
    }
}

/// Waits for the next kick, in a stopped process, without the core lock.
pub fn rest() {
    // Nothing in it can be refused. A kick that comes before `recv` is kept by the notification.
    let _ = ask_root(root::RESTS, [current() as u64, 0, 0]);
    keep_notice(recv(notification(current())).badge);
}

/// Has a thread look at what was sent to it: out of its wait, or in the middle of what it computes. The core lock is held.
pub fn notify(thread: usize) {
    match state_of(thread).seen.outside.load(Ordering::Relaxed) {
        0 => kick(thread),
        // Refused only for a thread that has ended. If it is in the shim by now, the root server kicks it.
        _ => drop(ask_root(root::INTERRUPT, [thread as u64, 0, 0])),
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
