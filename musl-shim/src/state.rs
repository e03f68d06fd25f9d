// SPDX-License-Identifier: BSD-2-Clause
//! What the shim keeps for each thread, in one piece: on seL4 in the page of its IPC buffer, so that it costs a new process no page of its own.
//!
//! Only the thread itself writes most of it; others read and write with the core lock held. Of a thread that never ran there is none: ask for
//! those that are alive.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use vfs_hooks::thread::{STATE_ROOM, ThreadState};

pub use crate::platform::threads::{state, state_of};

/// See the module. All zero at the start of the process's first thread.
#[repr(C)]
#[derive(Debug)]
pub struct State {
    /// What the root server sees too.
    pub seen: ThreadState,
    /// Signals sent to the thread.
    pub directed: AtomicU64,
    /// Signals that it waits for in sigtimedwait(2).
    pub awaited: AtomicU64,
    /// What came to its notification and was not looked at yet: badge bits.
    pub notices: AtomicU64,
    /// How long before `NEVER` the root server will signal it next; 0: never.
    pub armed: AtomicU64,
    /// Deadline of a call that is to be made again; 0: its own.
    pub resume: AtomicU64,
    /// The call that it makes, if it is traced: see [`trace`](crate::trace).
    pub traced: AtomicUsize,
    /// The futex that it waits for; 0: none, or it has been woken.
    pub waits_for: AtomicUsize,
    /// Where to write 0 at its end, for a futex wake; 0: nowhere (set_tid_address(2)).
    pub clear: AtomicUsize,
    /// Its thread pointer.
    pub tls: AtomicUsize,
}

const _: () = assert!(size_of::<State>() <= STATE_ROOM);

/// What of a thread's state its copy has after fork(2).
pub struct Copied {
    mask: u64,
    handled: u64,
    entry: u64,
    stack: [u64; 2],
    words: [usize; 2],
    name: [u64; 2],
}

impl State {
    /// Before fork(2).
    pub fn copied(&self) -> Copied {
        let first = state_of(0);
        Copied {
            mask: self.seen.mask.load(Relaxed),
            handled: first.seen.handled.load(Relaxed),
            entry: first.seen.entry.load(Relaxed),
            stack: [0, 1].map(|i: usize| self.seen.stack[i].load(Relaxed)),
            words: [&self.clear, &self.tls].map(|word| word.load(Relaxed)),
            name: [0, 1].map(|i: usize| self.seen.name[i].load(Relaxed)),
        }
    }

    /// In the child, of whose first thread this is.
    pub fn restore(&self, from: &Copied) {
        self.seen.mask.store(from.mask, Relaxed);
        self.seen.handled.store(from.handled, Relaxed);
        self.seen.entry.store(from.entry, Relaxed);
        for i in 0..2 {
            self.seen.stack[i].store(from.stack[i], Relaxed);
            self.seen.name[i].store(from.name[i], Relaxed);
        }
        let words = [&self.clear, &self.tls];
        for (word, value) in words.into_iter().zip(from.words) {
            word.store(value, Relaxed);
        }
    }

    /// Its name.
    pub fn name(&self) -> [u8; 16] {
        let mut name = [0; 16];
        for (half, word) in name.chunks_exact_mut(8).zip(&self.seen.name) {
            half.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        name
    }

    /// Gives it a name.
    pub fn set_name(&self, name: [u8; 16]) {
        for (half, word) in name.as_chunks().0.iter().zip(&self.seen.name) {
            word.store(u64::from_ne_bytes(*half), Relaxed);
        }
    }
}
