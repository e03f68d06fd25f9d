// SPDX-License-Identifier: BSD-2-Clause
//! The time-stamp counter, scaled as the root server found it.

use super::info::info;

/// CLOCK_MONOTONIC in nanoseconds.
#[inline]
pub fn monotonic() -> u64 {
    let info = info();
    let ticks = sel4_bindings::rdtsc().saturating_sub(info.tsc_base);
    scale(ticks, info.tsc_scale)
}

/// CLOCK_REALTIME in nanoseconds.
pub fn realtime() -> u64 {
    monotonic() + info().realtime_base
}

/// Kilohertz of the time-stamp counter.
pub fn khz() -> u64 {
    const MILLION: u64 = 1_000_000;
    (MILLION << 32) / info().tsc_scale.max(1)
}

/// `ticks * scale / 2³²`.
#[inline]
fn scale(ticks: u64, scale: u64) -> u64 {
    ((u128::from(ticks) * u128::from(scale)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_without_overflow() {
        assert_eq!(scale(3, 1 << 32), 3);
        assert_eq!(scale(1 << 62, 1 << 31), 1 << 61);
        assert_eq!(scale(10, (1 << 32) / 4), 2);
    }
}
