// SPDX-License-Identifier: BSD-2-Clause
//! The subscription protocol under loom: every interleaving, and every value that a relaxed load may return, of the code that ships.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p vfs-hooks --test loom_subscription`. Nobody blocks in these models: a run has
//! lost an event if, when all threads have ended, the watcher has not seen it and no signal tells it to look.
//! The mutants do one step in the wrong order and must be caught; they show that the checks can fail.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use vfs_hooks::Events;
use vfs_hooks::subscription::{Subscriptions, mutants};

const SLOT: u32 = 6;

/// A source that counts its events, and the notification of watch slot [`SLOT`].
#[derive(Default)]
struct Channel {
    happened: AtomicU32,
    subscriptions: Subscriptions,
    signals: AtomicU32,
}

impl Channel {
    fn publish(&self) {
        self.happened.fetch_add(1, Ordering::Release);
    }

    fn notify(&self, events: Events) {
        self.subscriptions.notify(events, |slot| {
            assert_eq!(slot, SLOT, "a slot that nobody asked for");
            self.signals.fetch_add(1, Ordering::Release);
        });
    }

    fn look(&self) -> u32 {
        self.happened.load(Ordering::Acquire)
    }

    /// Takes the signals, as collecting does.
    fn collect(&self) -> bool {
        self.signals.swap(0, Ordering::AcqRel) != 0
    }

    /// All threads have ended, and the watcher last saw `seen`.
    fn assert_not_lost(&self, seen: u32) {
        let told = self.signals.load(Ordering::Relaxed) != 0;
        assert!(told || seen == self.look(), "lost an event");
    }
}

/// Nobody watches yet.
fn unwatched(_: &Channel) {}

/// Watched, and not told of anything since it was armed.
fn armed(channel: &Channel) {
    channel.subscriptions.put(0, SLOT, Events::IN);
}

/// Watched, told, and collected: to be armed again.
fn collected(channel: &Channel) {
    armed(channel);
    channel.notify(Events::IN);
    assert!(channel.collect());
}

/// From the state that `before` makes, runs `source` and `watcher` beside each other; the watcher returns what it saw last.
fn race(before: fn(&Channel), source: fn(&Channel), watcher: fn(&Channel) -> u32) {
    loom::model(move || {
        let channel = Arc::new(Channel::default());
        before(&channel);
        let other = {
            let channel = channel.clone();
            thread::spawn(move || source(&channel))
        };
        let seen = watcher(&channel);
        other.join().unwrap();
        channel.assert_not_lost(seen);
    });
}

fn one_event(channel: &Channel) {
    channel.publish();
    channel.notify(Events::IN);
}

fn two_events(channel: &Channel) {
    one_event(channel);
    one_event(channel);
}

#[test]
fn an_event_during_subscribe_is_seen_or_signalled() {
    race(unwatched, one_event, |channel| {
        channel.subscriptions.put(0, SLOT, Events::IN);
        channel.look()
    });
}

#[test]
fn an_event_during_arm_and_look_is_seen_or_signalled() {
    race(collected, one_event, |channel| {
        channel.subscriptions.arm(0);
        channel.look()
    });
}

#[test]
fn an_event_during_a_change_of_interest_is_seen_or_signalled() {
    race(
        armed,
        |channel| {
            channel.publish();
            channel.notify(Events::OUT);
        },
        |channel| {
            channel.subscriptions.set_interest(0, Events::OUT);
            channel.look()
        },
    );
}

#[test]
fn a_collected_watch_that_arms_and_looks_again_loses_nothing() {
    race(armed, two_events, |channel| {
        let mut seen = 0;
        if channel.collect() {
            channel.subscriptions.arm(0);
            seen = channel.look();
        }
        seen
    });
}

/// An edge-triggered watch looks once and does not arm again until it is told: nothing may clear `armed` without a signal.
#[test]
fn an_edge_watch_is_told_of_what_follows_its_first_look() {
    race(unwatched, two_events, |channel| {
        channel.subscriptions.put(0, SLOT, Events::IN);
        channel.look()
    });
}

#[test]
fn one_arming_gives_one_signal_whoever_notifies() {
    loom::model(|| {
        let channel = Arc::new(Channel::default());
        channel.subscriptions.put(0, SLOT, Events::IN);
        let other = {
            let channel = channel.clone();
            thread::spawn(move || one_event(&channel))
        };
        one_event(&channel);
        other.join().unwrap();
        assert_eq!(channel.signals.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn nobody_is_signalled_after_unsubscribing_ended_before_the_event() {
    loom::model(|| {
        let channel = Arc::new(Channel::default());
        channel.subscriptions.put(0, SLOT, Events::IN);
        channel.subscriptions.unsubscribe(0);
        let other = {
            let channel = channel.clone();
            thread::spawn(move || one_event(&channel))
        };
        other.join().unwrap();
        assert!(!channel.collect());
    });
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_look_before_arm_is_caught() {
    race(collected, one_event, |channel| {
        let seen = channel.look();
        channel.subscriptions.arm(0);
        seen
    });
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_notify_before_publish_is_caught() {
    race(
        collected,
        |channel| {
            channel.notify(Events::IN);
            channel.publish();
        },
        |channel| {
            channel.subscriptions.arm(0);
            channel.look()
        },
    );
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_notify_without_fence_is_caught() {
    race(
        collected,
        |channel| {
            channel.publish();
            mutants::notify_without_fence(&channel.subscriptions, Events::IN, |_| {
                channel.signals.fetch_add(1, Ordering::Release);
            });
        },
        |channel| {
            channel.subscriptions.arm(0);
            channel.look()
        },
    );
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_arm_without_fence_is_caught() {
    race(collected, one_event, |channel| {
        mutants::arm_without_fence(&channel.subscriptions, 0);
        channel.look()
    });
}

// Exclusive watchers: two processes, A and B.

const A: usize = 0;
const B: usize = 1;

/// A source, and a notification for each of two exclusive watchers.
#[derive(Default)]
struct Exclusive {
    happened: AtomicU32,
    subscriptions: Subscriptions,
    signals: [AtomicU32; 2],
}

impl Exclusive {
    /// Both are armed; those of `asleep` sleep.
    fn new(asleep: &[usize]) -> Arc<Exclusive> {
        let all = Arc::new(Exclusive::default());
        for watcher in [A, B] {
            let slot = watcher as u32;
            all.subscriptions.put_exclusive(watcher, slot, Events::IN);
        }
        asleep.iter().for_each(|&w| all.subscriptions.sleeps(w));
        all
    }

    fn signal(&self) -> impl FnMut(u32) + '_ {
        |slot| {
            self.signals[slot as usize].fetch_add(1, Ordering::Release);
        }
    }

    fn told(&self, watcher: usize) -> bool {
        self.signals[watcher].load(Ordering::Acquire) != 0
    }
}

type Notify = fn(&Exclusive);

fn notify(all: &Exclusive) {
    all.subscriptions.notify(Events::IN, all.signal());
}

fn event(all: &Arc<Exclusive>, notify: Notify) -> thread::JoinHandle<()> {
    let all = all.clone();
    thread::spawn(move || {
        all.happened.fetch_add(1, Ordering::Release);
        notify(&all);
    })
}

#[test]
fn of_two_exclusive_sleepers_one_event_wakes_one_and_two_events_wake_both() {
    loom::model(|| {
        let all = Exclusive::new(&[A, B]);
        event(&all, notify).join().unwrap();
        assert!(all.told(A) != all.told(B));
        event(&all, notify).join().unwrap();
        assert!(all.told(A) && all.told(B));
    });
}

#[test]
fn two_events_at_once_wake_both_exclusive_sleepers() {
    loom::model(|| {
        let all = Exclusive::new(&[A, B]);
        let other = event(&all, notify);
        event(&all, notify).join().unwrap();
        other.join().unwrap();
        assert!(all.told(A) && all.told(B));
    });
}

#[test]
fn an_exclusive_watcher_that_does_not_sleep_is_passed_over() {
    loom::model(|| {
        let all = Exclusive::new(&[B]);
        event(&all, notify).join().unwrap();
        assert!(!all.told(A) && all.told(B));
    });
}

/// B goes to sleep while something happens, and A is about its own business: B sees it, or is woken.
fn falling_asleep(notify: Notify) {
    loom::model(move || {
        let all = Exclusive::new(&[]);
        let source = event(&all, notify);
        all.subscriptions.arm(B);
        let seen = all.happened.load(Ordering::Acquire) != 0;
        all.subscriptions.sleeps(B);
        source.join().unwrap();
        assert!(seen || all.told(B), "lost an event");
    });
}

#[test]
fn an_event_while_an_exclusive_watcher_falls_asleep_is_not_lost() {
    falling_asleep(notify);
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_telling_the_first_exclusive_watcher_asleep_or_not_is_caught() {
    falling_asleep(|all| mutants::notify_the_first(&all.subscriptions, Events::IN, all.signal()));
}

/// Both sleep, and A wakes up for another reason while something happens. It will not look again for long: then it has seen it, or B is told.
fn waking_up(woke: fn(&Subscriptions, usize) -> bool, notify: Notify) {
    loom::model(move || {
        let all = Exclusive::new(&[A, B]);
        let source = event(&all, notify);
        let look = woke(&all.subscriptions, A);
        let seen = look && all.happened.load(Ordering::Acquire) != 0;
        assert!(seen || !look, "told of what cannot be seen");
        source.join().unwrap();
        assert!(seen || all.told(B), "lost an event");
    });
}

#[test]
fn an_event_while_an_exclusive_watcher_wakes_up_is_not_left_with_it() {
    waking_up(Subscriptions::woke, notify);
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_waking_up_without_asking_is_caught() {
    waking_up(mutants::woke_blindly, notify);
}

#[test]
#[should_panic(expected = "lost an event")]
fn mutant_finding_and_telling_a_sleeper_in_two_steps_is_caught() {
    waking_up(Subscriptions::woke, |all| {
        mutants::notify_in_two_steps(&all.subscriptions, Events::IN, all.signal());
    });
}
