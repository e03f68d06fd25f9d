// SPDX-License-Identifier: BSD-2-Clause
//! The process's timerfds in order of their deadlines. Whoever waits runs those that are due, and wakes for the nearest.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libposix_poll::Deadline;
use vfs_hooks::timers::Timers;

use crate::files::timerfd::Timer;
use crate::shared::Shared;

/// The nearest deadline in nanoseconds, beside the set: every look asks for it.
static NEAREST: AtomicU64 = AtomicU64::new(u64::MAX);

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
        NEAREST.store(self.order.next().unwrap_or(u64::MAX), Relaxed);
        result
    }
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
