// SPDX-License-Identifier: BSD-2-Clause
//! The lock of a channel under loom: processes that share memory, and a root server that frees the lock of one that ended. The code that ships; what it
//! guards is a cell of loom's, which reports an access that the lock did not order.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p vfs-hooks --test loom_channel`. The mutants leave out one order, or one check, and must
//! be caught.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use vfs_hooks::channel::{Header, mutants};

/// What processes share.
#[derive(Default)]
struct Channel {
    header: Header,
    /// Two words that only who holds the lock may touch: the ring's bytes, say.
    bytes: UnsafeCell<[u32; 2]>,
}

// SAFETY: the bytes are what the lock guards; loom reports an access that it did not order.
unsafe impl Sync for Channel {}

impl Channel {
    /// One more in both words; they are equal unless somebody else was in between.
    fn add(&self) {
        self.bytes.with_mut(|bytes| {
            // SAFETY: the lock is held.
            let [first, second] = unsafe { &mut *bytes };
            *first += 1;
            thread::yield_now();
            *second += 1;
            assert_eq!(first, second);
        });
    }

    fn sum(&self) -> u32 {
        // SAFETY: the other threads have ended, or the lock is held.
        self.bytes.with(|bytes| unsafe { (*bytes)[1] })
    }

    /// What the shim does, but for giving way at most once: how often it got the lock, and added.
    fn try_add(&self, own: u32) -> u32 {
        for _ in 0..2 {
            if let Some(_lock) = self.header.try_lock(own) {
                self.add();
                return 1;
            }
            thread::yield_now();
        }
        0
    }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

/// Each of `processes` adds with the lock, if it gets it.
fn together(processes: u32) {
    model(move || {
        let channel = Arc::new(Channel::default());
        let others: Vec<_> = (2..=processes)
            .map(|own| {
                let channel = channel.clone();
                thread::spawn(move || channel.try_add(own))
            })
            .collect();
        let own = channel.try_add(1);
        let got = others.into_iter().map(|other| other.join().unwrap());
        let all = own + got.sum::<u32>();
        assert!(all > 0, "somebody gets it");
        assert_eq!(channel.sum(), all);
    });
}

#[test]
fn two_processes_exclude_each_other() {
    together(2);
}

#[test]
fn three_processes_exclude_each_other() {
    together(3);
}

/// Who finds the lock held does nothing; who gives it up leaves what it wrote to the next.
#[test]
fn what_one_wrote_the_next_holder_sees() {
    model(|| {
        let channel = Arc::new(Channel::default());
        let other = {
            let channel = channel.clone();
            thread::spawn(move || {
                if let Some(_lock) = channel.header.try_lock(2) {
                    channel.add();
                }
            })
        };
        let before = channel.header.try_lock(1).map(|_lock| channel.sum());
        other.join().unwrap();
        assert!(before.is_none_or(|sum| sum <= 1));
    });
}

/// Process 1 ends with the lock; `recover` is the root server's part, who has been told of the end. Process 2 tries to get it.
fn a_holder_ends(recover: fn(&Header, u32)) {
    model(move || {
        let channel = Arc::new(Channel::default());
        let root = {
            let channel = channel.clone();
            thread::spawn(move || {
                let lock = channel.header.try_lock(1);
                let got = u32::from(lock.is_some());
                if lock.is_some() {
                    channel.add();
                }
                // It runs no further, and nothing gives the lock up. The message of its end orders what the root server does after it.
                core::mem::forget(lock);
                recover(&channel.header, 1);
                got
            })
        };
        let got = channel.try_add(2);
        let all = got + root.join().unwrap();
        assert_eq!(channel.sum(), all);
        assert!(channel.header.try_lock(3).is_some(), "free in the end");
    });
}

#[test]
fn the_lock_of_the_dead_is_freed_and_never_that_of_the_living() {
    a_holder_ends(Header::recover);
}

#[test]
#[should_panic(expected = "free in the end")]
fn mutant_nobody_frees_the_lock_of_the_dead_is_caught() {
    a_holder_ends(|_, _| ());
}

/// Two processes add while the root server frees what process 1, which ended without it, may have held: nobody else's hold may go.
fn recovery_beside_a_living_holder(recover: fn(&Header, u32)) {
    model(move || {
        let channel = Arc::new(Channel::default());
        let others = [2, 3].map(|own| {
            let channel = channel.clone();
            thread::spawn(move || channel.try_add(own))
        });
        recover(&channel.header, 1);
        let got = others.map(|other| other.join().unwrap());
        assert_eq!(channel.sum(), got[0] + got[1]);
    });
}

#[test]
fn recovery_leaves_a_living_holder_alone() {
    recovery_beside_a_living_holder(Header::recover);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn mutant_recovery_beside_a_living_holder_is_caught() {
    recovery_beside_a_living_holder(|header, _| mutants::recover_whosever(header));
}

/// Two processes take the lock by `take`, without its orders or its exchange.
fn two_by(take: fn(&Header, u32) -> bool, give: fn(&Header)) {
    model(move || {
        let channel = Arc::new(Channel::default());
        let other = {
            let channel = channel.clone();
            thread::spawn(move || {
                if take(&channel.header, 2) {
                    channel.add();
                    give(&channel.header);
                }
            })
        };
        if take(&channel.header, 1) {
            channel.add();
            give(&channel.header);
        }
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "currently writing")]
fn mutant_look_then_take_is_caught() {
    two_by(mutants::look_then_take, mutants::give);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn mutant_take_without_acquire_is_caught() {
    two_by(mutants::take_relaxed, mutants::give);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn mutant_give_without_release_is_caught() {
    two_by(mutants::take, mutants::give_relaxed);
}
