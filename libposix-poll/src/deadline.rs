// SPDX-License-Identifier: BSD-2-Clause
//! Deadlines: points of CLOCK_MONOTONIC, in nanoseconds. Timeouts exist at the ABI only.

/// When to stop waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// Never.
    pub const NEVER: Deadline = Deadline(u64::MAX);

    /// At this time.
    pub const fn at(ns: u64) -> Self {
        Deadline(ns)
    }

    /// `ns` from `now`; far too long is never.
    pub const fn after(now: u64, ns: u64) -> Self {
        Deadline(now.saturating_add(ns))
    }

    /// epoll_wait's and poll's timeout: milliseconds, negative for never.
    pub const fn from_ms(now: u64, ms: i32) -> Self {
        if ms < 0 {
            Deadline::NEVER
        } else {
            Deadline::after(now, ms as u64 * 1_000_000)
        }
    }

    /// Whether it has been reached at `now`.
    pub const fn passed(self, now: u64) -> bool {
        now >= self.0 && self.0 != u64::MAX
    }

    /// Nanoseconds; `u64::MAX` is never.
    pub const fn ns(self) -> u64 {
        self.0
    }
}
