// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as the core lock and the event core know them: numbers, and how one wakes another.
//!
//! A thread parks for the core lock on a futex, its own word of [`TOKENS`]. It blocks for events in ppoll(2), by which an eventfd of its own
//! kicks it: other fds and a signal mask go into the same call.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::*};

use vfs_hooks::lock::{MAX_THREADS, Threads};

use super::raw::{self, nr};
use crate::state::State;

/// 1: unparked. Cleared by the thread's park.
static TOKENS: [AtomicU32; MAX_THREADS] = [const { AtomicU32::new(0) }; MAX_THREADS];
/// Kicked, and has not waited since.
static KICKED: [AtomicBool; MAX_THREADS] = [const { AtomicBool::new(false) }; MAX_THREADS];
/// The thread's eventfd, from its first wait on; -1 before. It stays for the next thread of the number.
static EVENTFDS: [AtomicI32; MAX_THREADS] = [const { AtomicI32::new(-1) }; MAX_THREADS];

// SAFETY: integers, of which 0 is a value.
static STATES: [State; MAX_THREADS] = [const { unsafe { core::mem::zeroed() } }; MAX_THREADS];

/// What the shim keeps for a thread.
#[inline]
pub fn state_of(thread: usize) -> &'static State {
    &STATES[thread]
}

/// What it keeps for the calling thread.
#[inline]
pub fn state() -> &'static State {
    state_of(current())
}

#[cfg(not(any(test, feature = "library")))]
pub use super::mixed::numbers::current;

#[cfg(any(test, feature = "library"))]
pub use numbers::current;

/// Numbers of the Rust program's threads.
#[cfg(any(test, feature = "library"))]
mod numbers {
    use std::sync::Mutex;
    use vfs_hooks::lock::MAX_THREADS;

    static USED: Mutex<[bool; MAX_THREADS]> = Mutex::new([false; MAX_THREADS]);

    struct Number(usize);

    impl Number {
        fn new() -> Number {
            let mut used = USED.lock().expect("nothing panics while holding it");
            let free = used.iter().position(|used| !used);
            let number = free.expect("more threads than the core lock has room for");
            used[number] = true;
            Number(number)
        }
    }

    impl Drop for Number {
        fn drop(&mut self) {
            USED.lock().expect("nothing panics while holding it")[self.0] = false;
        }
    }

    std::thread_local!(static NUMBER: Number = Number::new());

    /// The calling thread's number: below [`MAX_THREADS`], reused after it has ended.
    pub fn current() -> usize {
        NUMBER.with(|number| number.0)
    }
}

/// The eventfd that [`kick`] writes to for the calling thread; -1 if Linux has none left: then only time and signals end a wait.
pub fn eventfd() -> i32 {
    eventfd_of(current())
}

/// The same for any thread, made if need be.
pub fn eventfd_of(thread: usize) -> i32 {
    let slot = &EVENTFDS[thread];
    if slot.load(Relaxed) < 0 {
        const FLAGS: usize = 0o2004000; // EFD_CLOEXEC | EFD_NONBLOCK
        // SAFETY: no pointers.
        let fd = unsafe { raw::call(nr::EVENTFD2, [0, FLAGS]) };
        slot.store(fd.map_or(-1, |fd| super::plain::hide(fd) as i32), Release);
    }
    slot.load(Relaxed)
}

/// Takes the calling thread's kicks; whether there were any.
pub fn take_kick() -> bool {
    let kicked = KICKED[current()].swap(false, Acquire);
    if kicked {
        let mut count = 0u64;
        let fd = EVENTFDS[current()].load(Relaxed);
        // SAFETY: the kernel writes eight bytes into ours.
        unsafe {
            raw::syscall(
                nr::READ,
                &[fd as usize, &raw mut count as usize, 8, 0, 0, 0],
            )
        };
    }
    kicked
}

/// In the child after fork(2).
pub fn after_fork() {}

/// Ends the wait of a thread that is in one, or its next. The core lock is held.
pub fn kick(thread: usize) {
    if !KICKED[thread].swap(true, Release) {
        let one = 1u64;
        let fd = EVENTFDS[thread].load(Acquire);
        // SAFETY: the kernel reads eight bytes of ours. Without an eventfd the thread is not in a wait.
        unsafe {
            raw::syscall(
                nr::WRITE,
                &[fd as usize, &raw const one as usize, 8, 0, 0, 0],
            )
        };
    }
}

/// Waits for the next kick: nothing that is ever done here.
pub fn rest() {}

/// Has a thread look at what was sent to it.
pub fn notify(thread: usize) {
    kick(thread);
}

/// After a fork, in the child: the eventfds are shared with the parent, so others take their place.
#[cfg(not(any(test, feature = "library")))]
pub fn renew() {
    for (slot, kicked) in EVENTFDS.iter().zip(&KICKED) {
        let fd = slot.swap(-1, Relaxed);
        if fd >= 0 {
            // SAFETY: the shim's own fd, in no use any longer.
            unsafe { raw::syscall(nr::CLOSE, &[fd as usize, 0, 0, 0, 0, 0]) };
        }
        kicked.store(false, Relaxed);
    }
    eventfd();
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
        const WAIT_PRIVATE: usize = 128;
        let token = &TOKENS[current()];
        while token.swap(0, Acquire) == 0 {
            let args = [token.as_ptr() as usize, WAIT_PRIVATE, 0, 0, 0, 0];
            // SAFETY: the kernel reads the word, which is static.
            unsafe { raw::syscall(nr::FUTEX, &args) };
        }
    }

    fn unpark(&self, thread: usize) {
        const WAKE_PRIVATE: usize = 129;
        let token = &TOKENS[thread];
        token.store(1, Release);
        let args = [token.as_ptr() as usize, WAKE_PRIVATE, 1, 0, 0, 0];
        // SAFETY: the kernel uses the address only.
        unsafe { raw::syscall(nr::FUTEX, &args) };
    }
}
