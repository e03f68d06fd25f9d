// SPDX-License-Identifier: BSD-2-Clause
//! The process's timerfds in order of their deadlines. Whoever waits runs those that are due, and wakes for the nearest.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libposix_poll::Deadline;
use vfs_hooks::timerfd::TimerFd;
use vfs_hooks::timers::Timers;

use crate::poller::core;
use crate::shared::Shared;

/// The nearest deadline in nanoseconds, beside the set: every look asks for it.
static NEAREST: AtomicU64 = AtomicU64::new(u64::MAX);

struct State {
    order: Timers,
    timers: BTreeMap<u64, Weak<RefCell<TimerFd>>>,
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

/// Takes a timer in; the number names it from now on.
pub fn add(timer: &Rc<RefCell<TimerFd>>) -> u64 {
    let mut state = STATE.lock();
    let id = state.next_id;
    state.next_id += 1;
    state.timers.insert(id, Rc::downgrade(timer));
    id
}

/// The timer is gone.
pub fn remove(id: u64) {
    let mut state = STATE.lock();
    state.change(|order| order.set(id, None));
    state.timers.remove(&id);
}

/// Notes the timer's deadline: after every call of its that takes the time.
pub fn update(id: u64, timer: &TimerFd) {
    STATE.lock().change(|order| order.set(id, timer.deadline()));
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
            state
                .timers
                .get(&id)
                .and_then(Weak::upgrade)
                .map(|timer| (id, timer))
        };
        if let Some((id, timer)) = timer {
            let mut timer = timer.borrow_mut();
            timer.expire(&mut *core(), now);
            update(id, &timer);
        }
    }
}
