// SPDX-License-Identifier: BSD-2-Clause
//! Linux delivers signals; the shim only chooses when. All are blocked while a thread is in the shim, so no handler finds the core lock held by its own
//! thread. A wait lets them in by ppoll(2)'s mask, in one step with blocking: nothing that comes after the last look is slept over.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use vfs_hooks::lock::MAX_THREADS;

use super::super::raw::{self, nr};
use super::actions;
use super::numbers::current;
use crate::restart::Ran;

/// What each thread blocks while it waits in the shim: its own mask, or the one that the call was given.
static MASKS: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];
static INTERRUPTED: [AtomicBool; MAX_THREADS] = [const { AtomicBool::new(false) }; MAX_THREADS];

fn exchange(mask: u64) -> u64 {
    const SIG_SETMASK: usize = 2;
    let mut before = 0u64;
    let (new, old) = (&raw const mask as usize, &raw mut before as usize);
    // SAFETY: the kernel reads one set of ours and writes the other.
    unsafe { raw::syscall(nr::RT_SIGPROCMASK, &[SIG_SETMASK, new, old, 8, 0, 0]) };
    before
}

/// Runs `work` with all signals blocked. Calls of handlers nest in it.
pub fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
    let own = exchange(u64::MAX);
    let me = current();
    let mask = MASKS[me].swap(own, Relaxed);
    let interrupted = INTERRUPTED[me].swap(false, Relaxed);
    actions::take_stop();
    let result = work();
    MASKS[me].store(mask, Relaxed);
    INTERRUPTED[me].store(interrupted, Relaxed);
    exchange(own);
    result
}

/// What the calling thread blocks while it waits.
pub fn mask() -> u64 {
    MASKS[current()].load(Relaxed)
}

/// What a thread blocks meanwhile.
pub fn mask_of(thread: usize) -> u64 {
    MASKS[thread].load(Relaxed)
}

/// The same, as a wait takes it.
pub fn wait_mask() -> Option<u64> {
    Some(mask())
}

/// Sets that.
pub fn set_mask(mask: u64) {
    MASKS[current()].store(mask, Relaxed);
}

/// Whether a handler ran during a wait of this call.
pub fn interrupted() -> bool {
    INTERRUPTED[current()].load(Relaxed)
}

/// The handlers that ran during a wait of this call, which is not interrupted any longer.
pub fn handlers_ran() -> Ran {
    match INTERRUPTED[current()].swap(false, Relaxed) {
        false => Ran::Nothing,
        true if actions::take_stop() => Ran::Interrupting,
        true => Ran::Restarting,
    }
}

/// A handler has run.
pub fn note_interruption() {
    INTERRUPTED[current()].store(true, Relaxed);
}

/// Sends the calling thread a signal: it comes when the call ends.
pub fn raise(signal: usize) -> bool {
    // SAFETY: no pointers; what the signal does is the program's choice.
    unsafe {
        let process = raw::syscall(nr::GETPID, &[0; 6]) as usize;
        let thread = raw::syscall(nr::GETTID, &[0; 6]) as usize;
        raw::syscall(nr::TGKILL, &[process, thread, signal, 0, 0, 0]);
    }
    true
}
