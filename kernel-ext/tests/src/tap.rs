// SPDX-License-Identifier: BSD-2-Clause
//! Counts results and prints them in TAP.

use core::fmt::{Debug, Display};
use core::panic::Location;

use crate::line;

/// The results so far.
#[derive(Default)]
pub struct Tap {
    number: u16,
    group: &'static str,
    condition: usize,
    done: usize,
    failed: usize,
}

impl Tap {
    /// Numbers and names the test whose conditions follow.
    pub fn group(&mut self, number: u16, name: &'static str) {
        self.number = number;
        self.group = name;
        self.condition = 0;
    }

    fn result(&mut self, not: &str, name: impl Display) {
        self.done += 1;
        self.condition += 1;
        let (number, k, group) = (self.number, self.condition, self.group);
        line!("{not}ok {} - NQ{number:04}.{k} {group}{name}", self.done);
    }

    /// One result: `condition` holds.
    #[track_caller]
    pub fn check(&mut self, condition: bool, name: impl Display) {
        self.result(
            if condition { "" } else { "not " },
            format_args!(": {name}"),
        );
        if !condition {
            self.failed += 1;
            line!("# at {}", Location::caller());
        }
    }

    /// One result: `found` is `expected`.
    #[track_caller]
    pub fn equal<T: PartialEq + Debug>(&mut self, found: T, expected: T, name: impl Display) {
        let same = found == expected;
        self.check(same, name);
        if !same {
            line!("# found    {found:x?}");
            line!("# expected {expected:x?}");
        }
    }

    /// This test cannot be run.
    pub fn skip(&mut self, reason: &str) {
        self.result("", format_args!(" # SKIP {reason}"));
    }

    /// Prints the plan; the exit status of the run.
    pub fn finish(self) -> u8 {
        line!("1..{}", self.done);
        if self.failed == 0 { 0 } else { 1 }
    }
}
