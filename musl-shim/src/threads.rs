// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as C knows them: thread ids, names, what has to be done at the end of one.
//!
//! A thread's number is its place in tables and is used again; its id is made of the process's id and its number, so ids of different
//! processes differ. The first thread's id is the process's.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vfs_hooks::lock::MAX_THREADS;

#[cfg(not(any(test, feature = "host")))]
use crate::platform::threads::current;
use crate::process::pid;
use crate::state::{state, state_of};

/// Bits of an id that are the process's.
const PROCESS_BITS: u32 = 16;

/// By thread: the first one has ended, another one has not. All zero at the start: pages of zeroes cost a new process nothing.
static CHANGED: [AtomicU64; MAX_THREADS / 64] = [const { AtomicU64::new(0) }; MAX_THREADS / 64];

/// The living among 64 threads.
fn living(word: usize) -> u64 {
    CHANGED[word].load(Relaxed) ^ u64::from(word == 0)
}

fn is_alive(thread: usize) -> bool {
    living(thread / 64) >> (thread % 64) & 1 != 0
}

/// A thread begins or ends.
#[cfg(not(any(test, feature = "host")))]
fn change(thread: usize) {
    CHANGED[thread / 64].fetch_xor(1 << (thread % 64), Relaxed);
}

/// Id of the thread with this number.
pub fn id(thread: usize) -> usize {
    thread << PROCESS_BITS | pid()
}

/// The calling thread's id: gettid(2).
pub fn own_id() -> usize {
    id(crate::platform::threads::current())
}

/// Number of the thread with this id, if it is one of this process and has not ended.
pub fn find(wanted: usize) -> Option<usize> {
    let thread = wanted >> PROCESS_BITS;
    (thread < MAX_THREADS && is_alive(thread) && id(thread) == wanted).then_some(thread)
}

/// Numbers of those that have not ended, from the first on.
pub fn alive() -> impl Iterator<Item = usize> {
    (0..MAX_THREADS / 64).flat_map(|word| {
        let mut left = living(word);
        core::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(word * 64 + bit)
        })
    })
}

/// How many have not ended.
pub fn count() -> usize {
    (0..MAX_THREADS / 64)
        .map(|word| living(word).count_ones() as usize)
        .sum()
}

/// A new thread, with its creator's name.
#[cfg(not(any(test, feature = "host")))]
pub fn begin(thread: usize, clear: usize, tls: usize) {
    let new = state_of(thread);
    new.clear.store(clear, Relaxed);
    new.tls.store(tls, Relaxed);
    new.seen.robust.store(0, Relaxed);
    new.set_name(name());
    change(thread);
}

/// The calling thread is about to end. Where to write 0, if anywhere. `None`: it is the last, so the process ends.
#[cfg(not(any(test, feature = "host")))]
pub fn end() -> Option<usize> {
    if count() == 1 {
        return None;
    }
    change(current());
    Some(state().clear.load(Relaxed))
}

/// In the child after fork(2), whose only thread has number 0.
pub fn after_fork() {
    for word in &CHANGED {
        // Only what was used, so that pages that nobody has touched stay so.
        if word.load(Relaxed) != 0 {
            word.store(0, Relaxed);
        }
    }
}

/// set_tid_address(2).
pub fn set_clear(address: usize) {
    state().clear.store(address, Relaxed);
}

/// Remembers the head of the calling thread's list of robust mutexes. musl walks it itself at the end of a thread, the root server at that of the
/// process; a child made by fork(2) has none.
pub fn set_robust(head: usize) {
    state().seen.robust.store(head as u64, Relaxed);
}

/// The head of a thread's list.
pub fn robust(thread: usize) -> usize {
    state_of(thread).seen.robust.load(Relaxed) as usize
}

/// Remembers the thread pointer.
pub fn set_tls(base: usize) {
    state().tls.store(base, Relaxed);
}

/// The thread pointer.
pub fn tls() -> usize {
    state().tls.load(Relaxed)
}

/// Sets the calling thread's name, as prctl(PR_SET_NAME) has it.
pub fn set_name(name: [u8; 16]) {
    state().set_name(name);
}

/// The name of a thread that has not ended; zeroes: it was given none.
pub fn name_of(thread: usize) -> [u8; 16] {
    state_of(thread).name()
}

/// Gives a thread that has not ended a name.
pub fn rename(thread: usize, name: [u8; 16]) {
    state_of(thread).set_name(name);
}

/// The calling thread's name.
pub fn name() -> [u8; 16] {
    state().name()
}
