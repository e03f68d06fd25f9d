// SPDX-License-Identifier: BSD-2-Clause
//! Counts results and prints them in TAP.

use core::fmt::Debug;
use core::panic::Location;

use crate::line;

/// The results so far.
#[derive(Default)]
pub struct Tap {
    group: &'static str,
    done: usize,
    failed: usize,
}

impl Tap {
    /// Names the tests that follow.
    pub fn group(&mut self, name: &'static str) {
        self.group = name;
    }

    /// One test: `condition` holds.
    #[track_caller]
    pub fn check(&mut self, condition: bool, name: &str) {
        self.done += 1;
        let not = if condition { "" } else { "not " };
        line!("{not}ok {} - {}: {name}", self.done, self.group);
        if !condition {
            self.failed += 1;
            line!("# at {}", Location::caller());
        }
    }

    /// One test: `found` is `expected`.
    #[track_caller]
    pub fn equal<T: PartialEq + Debug>(&mut self, found: T, expected: T, name: &str) {
        let same = found == expected;
        self.check(same, name);
        if !same {
            line!("# found    {found:x?}");
            line!("# expected {expected:x?}");
        }
    }

    /// The tests of this group cannot be run.
    pub fn skip(&mut self, reason: &str) {
        self.done += 1;
        line!("ok {} - {} # SKIP {reason}", self.done, self.group);
    }

    /// Prints the plan; the exit status of the run.
    pub fn finish(self) -> u8 {
        line!("1..{}", self.done);
        if self.failed == 0 { 0 } else { 1 }
    }
}
