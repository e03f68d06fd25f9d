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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the time and the timeout are: never early, and `NEVER` only if it is asked for or beyond all time.
    #[test]
    fn trap_09_a_deadline_passes_with_its_timeout_and_not_before() {
        for now in [0, 1, 999_999, 1_000_000, 1 << 40, u64::MAX - 1] {
            for ms in [0, 1, 2, 1000, i32::MAX] {
                let ns = ms as u64 * 1_000_000;
                let deadline = Deadline::from_ms(now, ms);
                match now.checked_add(ns) {
                    Some(end) if end < u64::MAX => {
                        assert_eq!(deadline, Deadline::at(end));
                        assert!(deadline.passed(end));
                        assert!(end == 0 || !deadline.passed(end - 1));
                    }
                    _ => assert_eq!(deadline, Deadline::NEVER),
                }
            }
            assert_eq!(Deadline::from_ms(now, -1), Deadline::NEVER);
            assert_eq!(Deadline::from_ms(now, i32::MIN), Deadline::NEVER);
        }
        assert!(!Deadline::NEVER.passed(u64::MAX));
    }
}
