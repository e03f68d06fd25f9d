// SPDX-License-Identifier: BSD-2-Clause
//! Who waits for which word of shared memory: the shared futexes (futex(2) without FUTEX_PRIVATE_FLAG).
//!
//! ```text
//! who waits                                  who wakes
//! its word `futex` := 1                      the word := new value
//! WAIT: word = value? then in line           WAKE: the first in line: its `futex` := 0, kicked
//! sleeps until `futex` = 0
//! time is over, a signal: LEAVE; was `futex` 0 by then, it was woken all the same
//! ```
//!
//! The root server does one request at a time, so the word is compared and the line entered in one step, and no wake-up falls between. A word is known by its
//! frame: the processes that share it have it at whatever addresses.

use alloc::collections::{BTreeMap, VecDeque};

/// A word: slot of its frame, and where it lies there.
pub type Key = (u32, u32);
/// A thread: number of its process, and its own.
pub type ThreadId = (usize, usize);
/// All bits of a set: FUTEX_BITSET_MATCH_ANY.
pub const ANY: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Waiter {
    thread: ThreadId,
    set: u32,
}

/// All lines. A thread stands in one of them at most.
#[derive(Debug, Default)]
pub struct Waiters {
    lines: BTreeMap<Key, VecDeque<Waiter>>,
    places: BTreeMap<ThreadId, Key>,
}

impl Waiters {
    /// A thread waits for a word, to be woken by whoever names a bit of `set`.
    pub fn enter(&mut self, key: Key, thread: ThreadId, set: u32) {
        self.leave(thread);
        self.places.insert(thread, key);
        let line = self.lines.entry(key).or_default();
        line.push_back(Waiter { thread, set });
    }

    /// A thread waits no longer. Whether it did.
    pub fn leave(&mut self, thread: ThreadId) -> bool {
        let Some(key) = self.places.remove(&thread) else {
            return false;
        };
        if let Some(line) = self.lines.get_mut(&key) {
            line.retain(|waiter| waiter.thread != thread);
            if line.is_empty() {
                self.lines.remove(&key);
            }
        }
        true
    }

    /// A process has ended: none of its threads waits.
    pub fn end(&mut self, process: usize) {
        let all = (process, 0)..=(process, usize::MAX);
        while let Some((&thread, _)) = self.places.range(all.clone()).next() {
            self.leave(thread);
        }
    }

    /// The first in line with a bit of `set`, who waits no longer.
    pub fn take(&mut self, key: Key, set: u32) -> Option<ThreadId> {
        let line = self.lines.get(&key)?;
        let waiter = line.iter().find(|waiter| waiter.set & set != 0)?;
        let thread = waiter.thread;
        self.leave(thread);
        Some(thread)
    }

    /// Lets up to `most` who wait for one word wait for another; how many.
    pub fn move_on(&mut self, from: Key, to: Key, most: usize) -> usize {
        if from == to {
            return 0;
        }
        let mut count = 0;
        while count < most
            && let Some(waiter) = self.lines.get(&from).and_then(|line| line.front().copied())
        {
            self.enter(to, waiter.thread, waiter.set);
            count += 1;
        }
        count
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const WORD: Key = (7, 64);

    #[test]
    fn first_in_line_is_first_woken_if_the_set_fits() {
        let mut w = Waiters::default();
        w.enter(WORD, (1, 0), 1);
        w.enter(WORD, (2, 3), 2);
        w.enter((7, 68), (3, 0), ANY);
        assert_eq!(w.take(WORD, 2), Some((2, 3)));
        assert_eq!(w.take(WORD, 2), None);
        assert_eq!(w.take(WORD, ANY), Some((1, 0)));
        assert!(w.leave((3, 0)) && !w.leave((3, 0)));
        assert!(w.is_empty());
    }

    #[test]
    fn who_has_ended_or_waits_elsewhere_is_in_no_line() {
        let mut w = Waiters::default();
        for thread in 0..3 {
            w.enter(WORD, (5, thread), ANY);
        }
        w.enter(WORD, (6, 0), ANY);
        w.enter((9, 0), (5, 1), ANY);
        w.end(5);
        assert_eq!(w.take((9, 0), ANY), None);
        assert_eq!(w.take(WORD, ANY), Some((6, 0)));
        assert!(w.is_empty());
    }

    #[test]
    fn who_is_moved_on_waits_for_the_other_word() {
        let mut w = Waiters::default();
        for process in 1..=4 {
            w.enter(WORD, (process, 0), ANY);
        }
        assert_eq!(w.move_on(WORD, WORD, 9), 0);
        assert_eq!(w.move_on(WORD, (8, 0), 2), 2);
        assert_eq!(w.take((8, 0), ANY), Some((1, 0)));
        assert_eq!(w.take(WORD, ANY), Some((3, 0)));
        assert_eq!(w.move_on(WORD, (8, 0), 9), 1);
        assert_eq!(w.take((8, 0), ANY), Some((2, 0)));
        assert_eq!(w.take((8, 0), ANY), Some((4, 0)));
        assert!(w.is_empty());
    }

    // --- the protocol, in random interleavings --------------------------------------------

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        /// About to take the mutex.
        Take,
        /// It was taken: the word is 2 now, and is to be waited for.
        Ask,
        /// In line, `futex` 1.
        Sleep,
        /// Has it.
        Hold,
        /// The word is 0; somebody may wait.
        Wake,
        Done,
        Dead,
    }

    struct Model {
        word: u32,
        waiters: Waiters,
        steps: Vec<Step>,
        asleep: Vec<bool>,
        rounds: Vec<u32>,
    }

    impl Model {
        fn new(count: usize) -> Model {
            Model {
                word: 0,
                waiters: Waiters::default(),
                steps: vec![Step::Take; count],
                asleep: vec![false; count],
                rounds: vec![3; count],
            }
        }

        fn wake(&mut self) {
            if let Some((process, _)) = self.waiters.take(WORD, ANY) {
                self.asleep[process] = false;
            }
        }

        /// One step of one process: what it does between two moments at which another can run. `gives_up`: its time is over, if it sleeps.
        fn step(&mut self, who: usize, gives_up: bool) {
            self.steps[who] = match self.steps[who] {
                // As a mutex of three states has it: 0 free, 1 held, 2 held and waited for.
                Step::Take if self.word == 0 => {
                    self.word = 2;
                    Step::Hold
                }
                Step::Take => {
                    self.word = 2;
                    self.asleep[who] = true;
                    Step::Ask
                }
                Step::Ask if self.word == 2 => {
                    self.waiters.enter(WORD, (who, 0), ANY);
                    Step::Sleep
                }
                Step::Ask => {
                    self.asleep[who] = false;
                    Step::Take
                }
                Step::Sleep if gives_up => {
                    self.waiters.leave((who, 0));
                    self.asleep[who] = false;
                    Step::Take
                }
                Step::Sleep if !self.asleep[who] => Step::Take,
                Step::Sleep => Step::Sleep,
                Step::Hold => {
                    assert_eq!(self.steps.iter().filter(|s| **s == Step::Hold).count(), 1);
                    self.word = 0;
                    Step::Wake
                }
                Step::Wake => {
                    self.wake();
                    self.rounds[who] -= 1;
                    match self.rounds[who] {
                        0 => Step::Done,
                        _ => Step::Take,
                    }
                }
                over => over,
            }
        }

        fn can_run(&self, who: usize) -> bool {
            match self.steps[who] {
                Step::Done | Step::Dead => false,
                Step::Sleep => !self.asleep[who],
                _ => true,
            }
        }

        /// Ends at any moment; the mutex is robust: whoever looks after the dead lets go of it and wakes the next.
        fn die(&mut self, who: usize) {
            let step = core::mem::replace(&mut self.steps[who], Step::Dead);
            self.waiters.end(who);
            match step {
                Step::Hold => {
                    self.word = 0;
                    self.wake();
                }
                Step::Wake => self.wake(),
                // It was woken for the mutex and has not looked yet: the list's pending operation tells.
                Step::Sleep | Step::Take if !self.asleep[who] && self.word == 0 => self.wake(),
                _ => {}
            }
        }
    }

    #[test]
    fn nobody_sleeps_for_ever_however_the_steps_fall() {
        let mut seed = 1u64;
        let mut random = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            (seed >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let count = 2 + random(4);
            let mut model = Model::new(count);
            for _ in 0..10_000 {
                let able: Vec<usize> = (0..count).filter(|&who| model.can_run(who)).collect();
                match random(64) {
                    0 => model.die(random(count)),
                    1 => model.step(random(count), true),
                    _ if able.is_empty() => break,
                    _ => model.step(able[random(able.len())], false),
                }
            }
            let over = |step: &Step| matches!(step, Step::Done | Step::Dead);
            assert!(model.steps.iter().all(over), "{:?}", model.steps);
            assert!(model.waiters.is_empty());
        }
    }
}
