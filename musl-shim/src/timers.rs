// SPDX-License-Identifier: BSD-2-Clause
//! The process's timerfds in order of their deadlines. Whoever waits runs those that are due, and wakes for the nearest. One that becomes the nearest while threads
//! sleep kicks them, so that they sleep anew: whoever set it may make no call until then.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libposix_poll::Deadline;
use vfs_hooks::lock::MAX_THREADS;
use vfs_hooks::timers::Timers;

use crate::files::timerfd::Timer;
use crate::platform::threads;
use crate::shared::Shared;

/// The nearest deadline in nanoseconds, beside the set: every look asks for it.
static NEAREST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Threads that sleep until what was the nearest deadline then: a bit each, changed with the core lock held. One that fork leaves behind costs a kick of nobody.
static SLEEPERS: [AtomicU64; MAX_THREADS / 64] = [const { AtomicU64::new(0) }; MAX_THREADS / 64];

struct State {
    order: Timers,
    timers: BTreeMap<u64, Weak<Timer>>,
    next_id: u64,
}

static STATE: Shared<State> = Shared::new(State {
    order: Timers::new(),
    timers: BTreeMap::new(),
    next_id: 0,
});

impl State {
    /// Changes a deadline, or the set, and notes what is nearest now.
    fn change<R>(&mut self, change: impl FnOnce(&mut Timers) -> R) -> R {
        let result = change(&mut self.order);
        let next = self.order.next().unwrap_or(u64::MAX);
        let before = NEAREST.load(Relaxed);
        NEAREST.store(next, Relaxed);
        if next < before {
            kick_sleepers();
        }
        result
    }
}

fn kick_sleepers() {
    for (word, sleepers) in SLEEPERS.iter().enumerate() {
        let mut rest = sleepers.load(Relaxed);
        while rest != 0 {
            threads::kick(word * 64 + rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
    }
}

/// The thread is about to sleep until [`nearest`], at most.
pub fn falls_asleep(thread: usize) {
    change_sleeper(thread, |bits, bit| bits | bit);
}

/// It sleeps no longer.
pub fn is_awake(thread: usize) {
    change_sleeper(thread, |bits, bit| bits & !bit);
}

fn change_sleeper(thread: usize, change: impl Fn(u64, u64) -> u64) {
    let word = &SLEEPERS[thread / 64];
    word.store(change(word.load(Relaxed), 1 << (thread % 64)), Relaxed);
}

/// Takes in a timer that is made with the number which names it from now on.
pub fn add(make: impl FnOnce(u64) -> Timer) -> Rc<Timer> {
    let id = {
        let mut state = STATE.lock();
        state.next_id += 1;
        state.next_id
    };
    let timer = Rc::new(make(id));
    STATE.lock().timers.insert(id, Rc::downgrade(&timer));
    timer
}

/// The timer is gone.
pub fn remove(id: u64) {
    let mut state = STATE.lock();
    state.change(|order| order.set(id, None));
    state.timers.remove(&id);
}

/// Notes the timer's deadline: after every call of its that takes the time.
pub fn update(id: u64, deadline: Option<u64>) {
    STATE.lock().change(|order| order.set(id, deadline));
}

/// Whether no timer runs.
#[inline]
pub fn is_empty() -> bool {
    nearest() == Deadline::NEVER
}

/// The nearest deadline.
#[inline]
pub fn nearest() -> Deadline {
    Deadline::at(NEAREST.load(Relaxed))
}

/// Expires what is due at `now`.
pub fn run(now: u64) {
    loop {
        let timer = {
            let mut state = STATE.lock();
            let Some(id) = state.change(|order| order.due(now)) else {
                return;
            };
            state.timers.get(&id).and_then(Weak::upgrade)
        };
        if let Some(timer) = timer {
            timer.expire(now);
        }
    }
}
