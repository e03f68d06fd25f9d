// SPDX-License-Identifier: BSD-2-Clause
//! The core lock under loom: the code that ships, two and three threads, every interleaving. loom itself reports a deadlock, which is
//! what a lost unpark would be.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p vfs-hooks --test loom_lock`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use vfs_hooks::lock::{CoreLock, Threads};

/// One thread's notification: what was signalled stays until it is waited for.
#[derive(Default)]
struct Notification {
    active: Mutex<bool>,
    arrived: Condvar,
}

#[derive(Default)]
struct Process {
    lock: CoreLock,
    value: UnsafeCell<u32>,
    notifications: [Notification; 3],
}

// SAFETY: the value is what the lock guards; loom reports an access that it did not order.
unsafe impl Sync for Process {}

struct Me<'a>(usize, &'a Process);

impl Threads for Me<'_> {
    fn current(&self) -> usize {
        self.0
    }

    fn park(&self) {
        let own = &self.1.notifications[self.0];
        let mut active = own.active.lock().unwrap();
        while !*active {
            active = own.arrived.wait(active).unwrap();
        }
        *active = false;
    }

    fn unpark(&self, thread: usize) {
        let other = &self.1.notifications[thread];
        *other.active.lock().unwrap() = true;
        other.arrived.notify_one();
    }
}

fn add_one(process: &Process, me: usize) {
    let me = Me(me, process);
    process.lock.lock(&me);
    process.value.with_mut(|value| {
        // SAFETY: the lock is held.
        unsafe { *value += 1 }
    });
    process.lock.unlock(&me);
}

fn together(threads: usize, rounds: usize, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let process = Arc::new(Process::default());
        let handles: Vec<_> = (1..threads)
            .map(|number| {
                let process = process.clone();
                thread::spawn(move || (0..rounds).for_each(|_| add_one(&process, number)))
            })
            .collect();
        (0..rounds).for_each(|_| add_one(&process, 0));
        handles.into_iter().for_each(|h| h.join().unwrap());
        process.value.with(|value| {
            // SAFETY: the other threads have ended.
            assert_eq!(unsafe { *value }, (threads * rounds) as u32);
        });
    });
}

#[test]
fn two_threads_exclude_each_other_and_none_sleeps_for_ever() {
    together(2, 1, None);
}

#[test]
fn a_lock_that_is_taken_again_wakes_again() {
    together(2, 2, Some(3));
}

#[test]
fn of_three_threads_each_gets_its_turn() {
    together(3, 1, Some(3));
}
