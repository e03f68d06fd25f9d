// SPDX-License-Identifier: BSD-2-Clause
//! The process's threads as C knows them: thread ids, names, what has to be done at the end of one.
//!
//! A thread's number is its place in tables and is used again; its id is made of the process's id and its number, so ids of different
//! processes differ. The first thread's id is the process's.

use vfs_hooks::lock::MAX_THREADS;

use crate::platform::threads::current;
use crate::process::pid;
use crate::shared::Shared;

/// Bits of an id that are the process's.
const PROCESS_BITS: u32 = 16;

/// A thread. All zero, as these are at the start, is the first thread of a process that has just begun, and no thread at another place: pages of
/// zeroes cost a new process nothing.
#[derive(Clone, Copy)]
struct Thread {
    /// Of the first thread: it has ended. Of another: it has not.
    changed: bool,
    /// Where to write 0 at its end, for a futex wake; 0: nowhere (set_tid_address(2)).
    clear: usize,
    /// Its thread pointer.
    tls: usize,
    /// Head of its list of robust mutexes: only kept for whoever asks.
    robust: usize,
    name: [u8; 16],
}

const NONE: Thread = Thread {
    changed: false,
    clear: 0,
    tls: 0,
    robust: 0,
    name: [0; 16],
};

static THREADS: Shared<[Thread; MAX_THREADS]> = Shared::new([NONE; MAX_THREADS]);

fn is_alive(thread: usize) -> bool {
    THREADS.lock()[thread].changed != (thread == 0)
}

fn of_current<R>(work: impl FnOnce(&mut Thread) -> R) -> R {
    work(&mut THREADS.lock()[current()])
}

/// Id of the thread with this number.
pub fn id(thread: usize) -> usize {
    thread << PROCESS_BITS | pid()
}

/// The calling thread's id: gettid(2).
pub fn own_id() -> usize {
    id(current())
}

/// Number of the thread with this id, if it is one of this process and has not ended.
pub fn find(wanted: usize) -> Option<usize> {
    let thread = wanted >> PROCESS_BITS;
    (thread < MAX_THREADS && is_alive(thread) && id(thread) == wanted).then_some(thread)
}

/// Numbers of those that have not ended, from the first on.
pub fn alive() -> impl Iterator<Item = usize> {
    (0..MAX_THREADS).filter(|&thread| is_alive(thread))
}

/// A new thread, with its creator's name.
#[cfg(not(any(test, feature = "host")))]
pub fn begin(thread: usize, clear: usize, tls: usize) {
    let name = name();
    THREADS.lock()[thread] = Thread {
        changed: true,
        clear,
        tls,
        robust: 0,
        name,
    };
}

/// The calling thread is about to end. Where to write 0, if anywhere. `None`: it is the last, so the process ends.
#[cfg(not(any(test, feature = "host")))]
pub fn end() -> Option<usize> {
    if alive().count() == 1 {
        return None;
    }
    let me = current();
    let ended = Thread {
        changed: me == 0,
        ..NONE
    };
    Some(core::mem::replace(&mut THREADS.lock()[me], ended).clear)
}

/// In the child after fork(2), whose only thread is a copy of `thread` and has number 0.
pub fn after_fork(thread: usize) {
    let mut threads = THREADS.lock();
    let copied = threads[thread];
    // Only what was used, so that pages that nobody has touched stay so.
    let used = threads.iter_mut().filter(|thread| thread.changed);
    used.for_each(|thread| *thread = NONE);
    threads[0] = Thread {
        changed: false,
        ..copied
    };
}

/// set_tid_address(2).
pub fn set_clear(address: usize) {
    of_current(|thread| thread.clear = address);
}

/// Remembers the head of the calling thread's list of robust mutexes. musl walks it itself at the end of a thread; threads of a process that
/// is killed end together.
pub fn set_robust(head: usize) {
    of_current(|thread| thread.robust = head);
}

/// The head of a thread's list.
pub fn robust(thread: usize) -> usize {
    THREADS.lock()[thread].robust
}

/// Remembers the thread pointer.
pub fn set_tls(base: usize) {
    of_current(|thread| thread.tls = base);
}

/// The thread pointer.
pub fn tls() -> usize {
    of_current(|thread| thread.tls)
}

/// Sets the calling thread's name, as prctl(PR_SET_NAME) has it.
pub fn set_name(name: [u8; 16]) {
    of_current(|thread| thread.name = name);
}

/// The calling thread's name.
pub fn name() -> [u8; 16] {
    of_current(|thread| thread.name)
}
