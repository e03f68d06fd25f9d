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
use crate::source::{SourceId, Sources};

/// Nothing to read (EAGAIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again;

/// A timer's setting, as timerfd_gettime(2) gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds to the next expiration; 0: disarmed.
    pub remaining: u64,
    /// Period; 0: expires once.
    pub interval: u64,
}

/// See the module.
#[derive(Debug)]
pub struct TimerFd {
    /// Next expiration; 0: disarmed. The last one while it rests.
    next: u64,
    interval: u64,
    /// Periodic, expired, and not asked since.
    resting: bool,
    /// Expirations not read yet.
    count: u64,
    source: SourceId,
}

impl TimerFd {
    /// A disarmed one.
    pub fn new(sources: &mut impl Sources) -> Self {
        TimerFd {
            next: 0,
            interval: 0,
            resting: false,
            count: 0,
            source: sources.open(Events::empty()),
        }
    }

    /// Its source.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// All that it consists of, for a timer that processes share.
    pub fn state(&self) -> [u64; 4] {
        [self.next, self.interval, self.resting.into(), self.count]
    }

    /// Takes over such a state, which may be anybody's claim.
    pub fn set_state(&mut self, [next, interval, resting, count]: [u64; 4]) {
        self.next = next;
        self.interval = interval;
        // What expires once does not rest.
        self.resting = resting != 0 && interval != 0;
        self.count = count;
    }

    /// timerfd_settime(2): the first expiration is at `first` (0: never), then one each `interval`, if that is not
    /// 0. Expirations not read yet are forgotten. Returns the old setting.
    pub fn set(
        &mut self,
        sources: &mut impl Sources,
        now: u64,
        first: u64,
        interval: u64,
    ) -> Setting {
        let old = self.get(sources, now);
        self.next = first;
        self.interval = interval;
        self.resting = false;
        self.count = 0;
        sources.publish(self.source, Events::empty(), Events::empty());
        self.expire(sources, now);
        old
    }

    /// timerfd_gettime(2). A resting timer goes on.
    pub fn get(&mut self, sources: &mut impl Sources, now: u64) -> Setting {
        self.expire(sources, now);
        self.resume(now);
        Setting {
            remaining: self.next.saturating_sub(now),
            interval: self.interval,
        }
    }

    /// When to call [`TimerFd::expire`]; `None`: no need.
    pub fn deadline(&self) -> Option<u64> {
        (self.next != 0 && !self.resting).then_some(self.next)
    }

    /// Counts the expiration if the deadline has passed, and publishes. Harmless if it has not.
    pub fn expire(&mut self, sources: &mut impl Sources, now: u64) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.interval == 0 {
            self.next = 0;
        } else {
            self.resting = true;
        }
        sources.publish(self.source, Events::IN, Events::IN);
    }

    /// Takes the number of expirations since the last read or setting.
    pub fn read(&mut self, sources: &mut impl Sources, now: u64) -> Result<u64, Again> {
        self.expire(sources, now);
        if self.count == 0 {
            return Err(Again);
        }
        self.resume(now);
        sources.publish(self.source, Events::empty(), Events::empty());
        Ok(core::mem::take(&mut self.count))
    }

    /// Ends the rest: counts the periods that went by and moves the deadline past `now`.
    fn resume(&mut self, now: u64) {
        if core::mem::take(&mut self.resting) {
            let missed = now.saturating_sub(self.next) / self.interval;
            self.count = self.count.saturating_add(missed);
            let step = self.interval.saturating_mul(missed.saturating_add(1));
            self.next = self.next.saturating_add(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    fn setting(remaining: u64, interval: u64) -> Setting {
        Setting {
            remaining,
            interval,
        }
    }

    #[test]
    fn expires_once_and_is_disarmed() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        assert_eq!(timer.set(&mut all, 100, 150, 0), setting(0, 0));
        assert_eq!(timer.get(&mut all, 120), setting(30, 0));
        timer.expire(&mut all, 149);
        assert_eq!(all.level(timer.source()), Events::empty());
        assert_eq!(timer.read(&mut all, 149), Err(Again));
        timer.expire(&mut all, 150);
        assert_eq!(all.level(timer.source()), Events::IN);
        assert_eq!(all.news(timer.source(), Events::IN), (true, 1, 0));
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.get(&mut all, 160), setting(0, 0));
        assert_eq!(timer.read(&mut all, 160), Ok(1));
        assert_eq!(all.level(timer.source()), Events::empty());
    }

    #[test]
    fn a_late_read_counts_every_period() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 10, 5);
        timer.expire(&mut all, 11);
        assert_eq!(timer.read(&mut all, 26), Ok(4));
        assert_eq!(timer.deadline(), Some(30));
        assert_eq!(timer.get(&mut all, 26), setting(4, 5));
    }

    #[test]
    fn an_unread_period_is_one_edge_and_needs_no_wake_up() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 10, 5);
        timer.expire(&mut all, 10);
        assert_eq!(all.news(timer.source(), Events::IN), (true, 1, 0));
        assert_eq!(timer.deadline(), None);
        timer.expire(&mut all, 100);
        assert_eq!(all.news(timer.source(), Events::IN), (false, 0, 0));
        assert_eq!(all.level(timer.source()), Events::IN);
    }

    #[test]
    fn asking_the_time_restarts_a_resting_timer_and_keeps_its_count() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 10, 10);
        timer.expire(&mut all, 10);
        assert_eq!(timer.get(&mut all, 35), setting(5, 10));
        assert_eq!(timer.deadline(), Some(40));
        assert_eq!(all.level(timer.source()), Events::IN);
        timer.expire(&mut all, 40);
        assert_eq!(timer.read(&mut all, 41), Ok(4));
    }

    #[test]
    fn setting_forgets_expirations_and_returns_the_old_setting() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 10, 7);
        timer.expire(&mut all, 10);
        assert_eq!(timer.set(&mut all, 12, 0, 0), setting(5, 7));
        assert_eq!(all.level(timer.source()), Events::empty());
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.read(&mut all, 1000), Err(Again));
        timer.set(&mut all, 20, 50, 0);
        assert_eq!(timer.set(&mut all, 30, 60, 1), setting(20, 0));
    }

    #[test]
    fn a_deadline_in_the_past_has_expired_at_once() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 100, 40, 0);
        assert_eq!(all.level(timer.source()), Events::IN);
        assert_eq!(timer.read(&mut all, 100), Ok(1));
    }

    #[test]
    fn a_read_sees_a_deadline_that_nobody_has_noticed() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 10, 0);
        assert_eq!(timer.read(&mut all, 10), Ok(1));
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 1, 1);
        timer.expire(&mut all, 1);
        assert_eq!(timer.read(&mut all, u64::MAX), Ok(u64::MAX));
        timer.set(&mut all, 5, u64::MAX, u64::MAX);
        assert_eq!(timer.get(&mut all, 5), setting(u64::MAX - 5, u64::MAX));
        timer.expire(&mut all, u64::MAX);
        assert_eq!(timer.read(&mut all, u64::MAX), Ok(1));
    }
}
