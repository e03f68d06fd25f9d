// SPDX-License-Identifier: BSD-2-Clause
//! Times as C has them, and the clocks.

use crate::errno::Errno;

use crate::abi::Timespec;
pub use crate::platform::clock::{monotonic, realtime};
use crate::shared::Shared;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// CLOCK_MONOTONIC when the program started.
static START: Shared<u64> = Shared::new(0);

/// Remembers when the program started.
pub fn start() {
    *START.lock() = monotonic();
}

/// Nanoseconds since the program started: what stands for its CPU time.
pub fn since_start() -> u64 {
    monotonic() - *START.lock()
}

/// Nanoseconds of a time that must be valid: neither negative nor with a second or more in tv_nsec. Too long is for ever.
pub fn nanoseconds(time: &Timespec) -> Result<u64, Errno> {
    if time.tv_sec < 0 || !(0..SECOND as i64).contains(&time.tv_nsec) {
        return Err(Errno::EINVAL);
    }
    let seconds = (time.tv_sec as u64).saturating_mul(SECOND);
    Ok(seconds.saturating_add(time.tv_nsec as u64))
}

/// A timeout from now on as CLOCK_MONOTONIC's time.
pub fn deadline(timeout: &Timespec) -> Result<u64, Errno> {
    Ok(monotonic().saturating_add(nanoseconds(timeout)?))
}

/// `nanoseconds` as C has it.
pub fn timespec(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: (nanoseconds / SECOND) as i64,
        tv_nsec: (nanoseconds % SECOND) as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_times() {
        let time = |tv_sec, tv_nsec| nanoseconds(&Timespec { tv_sec, tv_nsec });
        assert_eq!(time(2, 5), Ok(2 * SECOND + 5));
        assert_eq!(time(i64::MAX, 0), Ok(u64::MAX));
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, SECOND as i64)] {
            assert_eq!(time(seconds, nanos), Err(Errno::EINVAL));
        }
    }
}
