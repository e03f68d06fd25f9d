// SPDX-License-Identifier: BSD-2-Clause
//! The core lock: one for each process, taken at the entry of a call that touches files or events, released around blocking.
//!
//! Free or held, it costs one atomic exchange each way. A thread that finds it held never spins (priorities are fixed, so
//! spinning could wait for a thread that does not run): it leaves its number and parks.
//!
//! ```text
//! waiter                                   holder
//! set own bit in `waiting`   (Release)     old = swap(state, FREE)    (AcqRel)
//! old = swap(state, WANTED)  (AcqRel)      old = WANTED: take a bit of `waiting`, unpark its thread
//! old = FREE: it is mine; clear own bit
//! else park, and begin again
//! ```
//!
//! No waiter sleeps for ever: all exchanges of `state` stand in one order. If the waiter's comes after the holder's last it finds FREE; if before, the
//! holder finds WANTED, and has acquired all that the waiters before it released, their bits among it. Whoever gets the lock by waiting leaves it
//! WANTED, so its own release looks for the others. A thread unparked too often only begins again.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Most threads of a process: one bit each.
pub const MAX_THREADS: usize = 256;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may wait.
const WANTED: u32 = 2;

/// The threads of a process, as its platform runs them.
pub trait Threads {
    /// The calling thread's number, below [`MAX_THREADS`].
    fn current(&self) -> usize;
    /// Blocks the calling thread until its next [`Threads::unpark`], or the one that came since its last park. May return early.
    fn park(&self);
    /// Ends a park of the thread: the one it is in, or its next.
    fn unpark(&self, thread: usize);
}

/// See the module. It guards no value by itself: its owner wraps it.
#[derive(Debug)]
pub struct CoreLock {
    state: AtomicU32,
    waiting: [AtomicU64; MAX_THREADS / 64],
}

impl CoreLock {
    /// A free one.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        CoreLock {
            state: AtomicU32::new(FREE),
            waiting: [const { AtomicU64::new(0) }; MAX_THREADS / 64],
        }
    }

    /// A free one.
    #[cfg(loom)]
    pub fn new() -> Self {
        CoreLock {
            state: AtomicU32::new(FREE),
            waiting: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Takes it; parks while another thread holds it. Not recursive.
    #[inline]
    pub fn lock(&self, threads: &impl Threads) {
        let free = self
            .state
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            self.wait(threads);
        }
    }

    /// Gives it up. Only whoever holds it may.
    #[inline]
    pub fn unlock(&self, threads: &impl Threads) {
        if self.state.swap(FREE, Ordering::AcqRel) == WANTED {
            self.wake(threads);
        }
    }

    /// Whether anybody holds it.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.state.load(Ordering::Relaxed) != FREE
    }

    #[cold]
    fn wait(&self, threads: &impl Threads) {
        let me = threads.current() % MAX_THREADS;
        let (word, bit) = (&self.waiting[me / 64], 1 << (me % 64));
        loop {
            word.fetch_or(bit, Ordering::Release);
            if self.state.swap(WANTED, Ordering::AcqRel) == FREE {
                word.fetch_and(!bit, Ordering::Relaxed);
                return;
            }
            threads.park();
        }
    }

    #[cold]
    fn wake(&self, threads: &impl Threads) {
        for (i, word) in self.waiting.iter().enumerate() {
            let bits = word.load(Ordering::Acquire);
            if bits != 0 {
                let bit = bits.trailing_zeros();
                word.fetch_and(!(1 << bit), Ordering::Relaxed);
                threads.unpark(i * 64 + bit as usize);
                return;
            }
        }
    }
}

impl Default for CoreLock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::AtomicU64 as Counter;
    use std::thread;
    use std::vec::Vec;

    struct StdThreads(Vec<thread::Thread>);

    std::thread_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });

    impl Threads for StdThreads {
        fn current(&self) -> usize {
            NUMBER.get()
        }
        fn park(&self) {
            thread::park();
        }
        fn unpark(&self, thread: usize) {
            self.0[thread].unpark();
        }
    }

    #[test]
    fn two_steps_under_the_lock_are_one() {
        const THREADS: usize = 4;
        const EACH: u64 = 20_000;
        let (lock, value) = (CoreLock::new(), Counter::new(0));
        thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel();
            let mut starts = Vec::new();
            let mut handles = Vec::new();
            for number in 0..THREADS {
                let (start, started) = std::sync::mpsc::channel::<Vec<thread::Thread>>();
                starts.push(start);
                let (send, lock, value) = (send.clone(), &lock, &value);
                handles.push(scope.spawn(move || {
                    NUMBER.set(number);
                    send.send((number, thread::current())).unwrap();
                    let threads = StdThreads(started.recv().unwrap());
                    for _ in 0..EACH {
                        lock.lock(&threads);
                        assert!(lock.is_held());
                        let before = value.load(Ordering::Relaxed);
                        if before % 64 == 0 {
                            thread::yield_now();
                        }
                        value.store(before + 1, Ordering::Relaxed);
                        lock.unlock(&threads);
                    }
                }));
            }
            let mut all: Vec<_> = (0..THREADS).map(|_| receive.recv().unwrap()).collect();
            all.sort_unstable_by_key(|(number, _)| *number);
            let all: Vec<_> = all.into_iter().map(|(_, thread)| thread).collect();
            starts.iter().for_each(|s| s.send(all.clone()).unwrap());
        });
        assert_eq!(value.load(Ordering::Relaxed), THREADS as u64 * EACH);
        assert!(!lock.is_held());
    }
}
