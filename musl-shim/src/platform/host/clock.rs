// SPDX-License-Identifier: BSD-2-Clause
//! Linux's clocks.

use super::raw::{self, nr};
use crate::abi::{CLOCK_MONOTONIC, CLOCK_REALTIME, Timespec};
use crate::clock::SECOND;

fn now(clock: u32) -> u64 {
    let mut time = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes a Timespec into ours.
    let result = unsafe { raw::call(nr::CLOCK_GETTIME, [clock as usize, &raw mut time as usize]) };
    debug_assert!(result.is_ok(), "both clocks are always there");
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic() -> u64 {
    now(CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME in nanoseconds.
pub fn realtime() -> u64 {
    now(CLOCK_REALTIME)
}

/// It counts nanoseconds.
pub fn khz() -> u64 {
    1_000_000
}
