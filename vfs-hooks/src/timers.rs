// SPDX-License-Identifier: BSD-2-Clause
//! Deadlines in order: which timer is next, and which are due.
//!
//! Canonical use: `while let Some(id) = timers.due(now) { timer(id).expire(sources, now); timers.set(id, timer(id).deadline()) }`,
//! then sleep until [`Timers::next`]. It ends: an expired timer has no deadline until it is read.
#![forbid(unsafe_code)]

use alloc::collections::{BTreeMap, BTreeSet};

/// At most one deadline per timer; the id is the owner's choice (an open file's, for example).
#[derive(Debug, Default)]
pub struct Timers {
    order: BTreeSet<(u64, u64)>,
    deadlines: BTreeMap<u64, u64>,
}

impl Timers {
    /// An empty set.
    pub const fn new() -> Self {
        Timers {
            order: BTreeSet::new(),
            deadlines: BTreeMap::new(),
        }
    }

    /// Gives a timer its deadline in place of the one it has; `None` takes it out.
    pub fn set(&mut self, id: u64, deadline: Option<u64>) {
        let old = match deadline {
            Some(deadline) => self.deadlines.insert(id, deadline),
            None => self.deadlines.remove(&id),
        };
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, id));
        }
        if let Some(deadline) = deadline {
            self.order.insert((deadline, id));
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<u64> {
        self.order.first().map(|&(deadline, _)| deadline)
    }

    /// Takes out the timer of the earliest deadline if that has passed (`deadline <= now`).
    pub fn due(&mut self, now: u64) -> Option<u64> {
        let &(deadline, id) = self.order.first()?;
        if deadline > now {
            return None;
        }
        self.order.pop_first();
        self.deadlines.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;
    use crate::timerfd::TimerFd;

    #[test]
    fn due_ones_come_in_order_of_deadline() {
        let mut timers = Timers::new();
        timers.set(1, Some(30));
        timers.set(2, Some(10));
        timers.set(3, Some(20));
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.due(9), None);
        assert_eq!(timers.due(25), Some(2));
        assert_eq!(timers.due(25), Some(3));
        assert_eq!(timers.due(25), None);
        assert_eq!(timers.next(), Some(30));
    }

    #[test]
    fn equal_deadlines_are_kept_apart() {
        let mut timers = Timers::new();
        timers.set(1, Some(10));
        timers.set(2, Some(10));
        assert_eq!((timers.due(10), timers.due(10)), (Some(1), Some(2)));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_new_deadline_replaces_the_old() {
        let mut timers = Timers::new();
        timers.set(1, Some(10));
        timers.set(1, Some(40));
        assert_eq!(timers.due(39), None);
        timers.set(1, None);
        assert_eq!(timers.next(), None);
        timers.set(1, None);
    }

    #[test]
    fn the_loop_ends_however_short_the_period() {
        let mut timers = Timers::new();
        let mut all = Recorder::default();
        let mut timer = TimerFd::new(&mut all);
        timer.set(&mut all, 0, 1, 1);
        timers.set(5, timer.deadline());
        let mut turns = 0;
        while let Some(id) = timers.due(1000) {
            timer.expire(&mut all, 1000);
            timers.set(id, timer.deadline());
            turns += 1;
        }
        assert_eq!(turns, 1);
        assert_eq!(timer.read(&mut all, 1000), Ok(1000));
        timers.set(5, timer.deadline());
        assert_eq!(timers.next(), Some(1001));
    }
}
