// SPDX-License-Identifier: BSD-2-Clause
//! timerfd_create(2): expirations of a timer as a source.
//!
//! Time is an argument, in nanoseconds of the timer's clock. The owner keeps [`TimerFd::deadline`] in a [`Timers`](crate::timers::Timers)
//! set, calls [`TimerFd::expire`] once it has passed, and tells the set the new deadline after every call here that takes `now`.
//!
//! As on Linux, a periodic timer that has expired rests until it is read or asked (`read`, `get`, `set`), which then
//! counts the periods that have gone by. So one that nobody reads is one edge, not one per period, and wakes nobody again.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::notifier::{Again, Local, Notifier};
use core::cell::Cell;

/// A timer's setting, as timerfd_gettime(2) gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds to the next expiration; 0: disarmed.
    pub remaining: u64,
    /// Period; 0: expires once.
    pub interval: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct TimerFd {
    /// Next expiration; 0: disarmed. The last one while it rests.
    next: Cell<u64>,
    interval: Cell<u64>,
    /// Periodic, expired, and not asked since.
    resting: Cell<bool>,
    /// Expirations not read yet.
    count: Cell<u64>,
    notifier: Notifier,
}

impl TimerFd {
    /// A disarmed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// timerfd_settime(2): the first expiration is at `first` (0: never), then one each `interval`, if that is not
    /// 0. Expirations not read yet are forgotten. Returns the old setting.
    pub fn set(&self, now: u64, first: u64, interval: u64) -> Setting {
        let old = self.get(now);
        self.next.set(first);
        self.interval.set(interval);
        self.resting.set(false);
        self.count.set(0);
        self.expire(now);
        old
    }

    /// timerfd_gettime(2). A resting timer goes on.
    pub fn get(&self, now: u64) -> Setting {
        self.expire(now);
        self.resume(now);
        Setting {
            remaining: self.next.get().saturating_sub(now),
            interval: self.interval.get(),
        }
    }

    /// When to call [`TimerFd::expire`]; `None`: no need.
    pub fn deadline(&self) -> Option<u64> {
        (self.next.get() != 0 && !self.resting.get()).then(|| self.next.get())
    }

    /// Counts the expiration if the deadline has passed, and notifies. Harmless if it has not.
    pub fn expire(&self, now: u64) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.count.set(self.count.get().saturating_add(1));
        if self.interval.get() == 0 {
            self.next.set(0);
        } else {
            self.resting.set(true);
        }
        self.notifier.input(Events::IN);
    }

    /// Takes the number of expirations since the last read or setting.
    pub fn read(&self, now: u64) -> Result<u64, Again> {
        self.expire(now);
        if self.count.get() == 0 {
            return Err(Again);
        }
        self.resume(now);
        Ok(self.count.replace(0))
    }

    /// Ends the rest: counts the periods that went by and moves the deadline past `now`.
    fn resume(&self, now: u64) {
        if self.resting.replace(false) {
            let interval = self.interval.get();
            let missed = now.saturating_sub(self.next.get()) / interval;
            self.count.set(self.count.get().saturating_add(missed));
            let step = interval.saturating_mul(missed.saturating_add(1));
            self.next.set(self.next.get().saturating_add(step));
        }
    }
}

impl Local for TimerFd {
    fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// IN: expirations to read.
    fn level(&self) -> Events {
        if self.count.get() > 0 {
            Events::IN
        } else {
            Events::empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::probe::Probe;

    fn setting(remaining: u64, interval: u64) -> Setting {
        Setting {
            remaining,
            interval,
        }
    }

    #[test]
    fn expires_once_and_is_disarmed() {
        let timer = TimerFd::new();
        let probe = Probe::new(&timer, Events::IN);
        assert_eq!(timer.set(100, 150, 0), setting(0, 0));
        assert_eq!(timer.get(120), setting(30, 0));
        timer.expire(149);
        assert_eq!(timer.level(), Events::empty());
        assert_eq!(timer.read(149), Err(Again));
        timer.expire(150);
        assert_eq!(timer.level(), Events::IN);
        assert_eq!(probe.news(), (true, 1, 0));
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.get(160), setting(0, 0));
        assert_eq!(timer.read(160), Ok(1));
        assert_eq!(timer.level(), Events::empty());
    }

    #[test]
    fn a_late_read_counts_every_period() {
        let timer = TimerFd::new();
        timer.set(0, 10, 5);
        timer.expire(11);
        assert_eq!(timer.read(26), Ok(4));
        assert_eq!(timer.deadline(), Some(30));
        assert_eq!(timer.get(26), setting(4, 5));
    }

    #[test]
    fn an_unread_period_is_one_edge_and_needs_no_wake_up() {
        let timer = TimerFd::new();
        let probe = Probe::new(&timer, Events::IN);
        timer.set(0, 10, 5);
        timer.expire(10);
        assert_eq!(probe.news(), (true, 1, 0));
        assert_eq!(timer.deadline(), None);
        timer.expire(100);
        assert_eq!(probe.news(), (false, 0, 0));
        assert_eq!(timer.level(), Events::IN);
    }

    #[test]
    fn asking_the_time_restarts_a_resting_timer_and_keeps_its_count() {
        let timer = TimerFd::new();
        timer.set(0, 10, 10);
        timer.expire(10);
        assert_eq!(timer.get(35), setting(5, 10));
        assert_eq!(timer.deadline(), Some(40));
        assert_eq!(timer.level(), Events::IN);
        timer.expire(40);
        assert_eq!(timer.read(41), Ok(4));
    }

    #[test]
    fn setting_forgets_expirations_and_returns_the_old_setting() {
        let timer = TimerFd::new();
        timer.set(0, 10, 7);
        timer.expire(10);
        assert_eq!(timer.set(12, 0, 0), setting(5, 7));
        assert_eq!(timer.level(), Events::empty());
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.read(1000), Err(Again));
        timer.set(20, 50, 0);
        assert_eq!(timer.set(30, 60, 1), setting(20, 0));
    }

    #[test]
    fn a_deadline_in_the_past_has_expired_at_once() {
        let timer = TimerFd::new();
        timer.set(100, 40, 0);
        assert_eq!(timer.level(), Events::IN);
        assert_eq!(timer.read(100), Ok(1));
    }

    #[test]
    fn a_read_sees_a_deadline_that_nobody_has_noticed() {
        let timer = TimerFd::new();
        timer.set(0, 10, 0);
        assert_eq!(timer.read(10), Ok(1));
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let timer = TimerFd::new();
        timer.set(0, 1, 1);
        timer.expire(1);
        assert_eq!(timer.read(u64::MAX), Ok(u64::MAX));
        timer.set(5, u64::MAX, u64::MAX);
        assert_eq!(timer.get(5), setting(u64::MAX - 5, u64::MAX));
        timer.expire(u64::MAX);
        assert_eq!(timer.read(u64::MAX), Ok(1));
    }
}
