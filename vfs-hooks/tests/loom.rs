// SPDX-License-Identifier: BSD-2-Clause
//! The subscription protocol, as it ships, under loom: in every interleaving and with every value that the memory
//! model lets a load return, either the watcher sees the change or it is signalled. Each way to get it wrong
//! is tried too, and must be caught.
//!
//! Run by the tests with `--cfg loom`; without it this file is empty.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use vfs_hooks::Events;
use vfs_hooks::subscription::Subscriptions;

#[derive(Default)]
struct Shared {
    level: AtomicU32,
    signals: AtomicU32,
    subscriptions: Subscriptions,
}

impl Shared {
    fn notify(&self) {
        self.subscriptions.notify(Events::IN, |slot| {
            assert_eq!(slot, 7);
            self.signals.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn publish(&self) {
        self.level.store(1, Ordering::Release);
        self.notify();
    }

    /// The watcher's step before it sleeps; whether it saw the change.
    fn arm_then_look(&self) -> bool {
        self.subscriptions.arm(0);
        self.level.load(Ordering::Acquire) == 1
    }
}

/// Runs source and watcher side by side. The watcher must have seen the change or been signalled.
fn model(source: fn(&Shared), watcher: fn(&Shared) -> bool) {
    loom::model(move || {
        let shared = Arc::new(Shared::default());
        shared.subscriptions.put(0, 7, Events::IN | Events::ALWAYS);
        // A first event, told of and collected, has disarmed the watch.
        shared.notify();
        assert_eq!(shared.signals.swap(0, Ordering::Relaxed), 1);
        let producer = {
            let shared = shared.clone();
            thread::spawn(move || source(&shared))
        };
        let saw = watcher(&shared);
        producer.join().unwrap();
        let signals = shared.signals.load(Ordering::Relaxed);
        assert!(saw || signals == 1, "lost: not seen, {signals} signals");
        assert!(signals <= 1, "signalled twice while armed once");
    });
}

#[test]
fn no_event_is_lost() {
    model(Shared::publish, Shared::arm_then_look);
}

#[test]
fn two_events_while_armed_once_signal_once() {
    fn twice(shared: &Shared) {
        shared.publish();
        shared.publish();
    }
    model(twice, Shared::arm_then_look);
}

#[test]
fn two_sources_of_one_channel_signal_once() {
    loom::model(|| {
        let shared = Arc::new(Shared::default());
        shared.subscriptions.put(0, 7, Events::IN);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.publish())
        };
        shared.publish();
        other.join().unwrap();
        assert_eq!(shared.signals.load(Ordering::Relaxed), 1);
    });
}

#[test]
#[should_panic(expected = "lost")]
fn mutant_look_then_arm_is_caught() {
    model(Shared::publish, |shared| {
        let saw = shared.level.load(Ordering::Acquire) == 1;
        shared.subscriptions.arm(0);
        saw
    });
}

#[test]
#[should_panic(expected = "lost")]
fn mutant_notify_then_publish_is_caught() {
    model(
        |shared| {
            shared.notify();
            shared.level.store(1, Ordering::Release);
        },
        Shared::arm_then_look,
    );
}
