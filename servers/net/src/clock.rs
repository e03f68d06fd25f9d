// SPDX-License-Identifier: BSD-2-Clause
//! Time: the time-stamp counter, and the one deadline that the root server keeps for us.

use sel4_bindings::rdtsc;
use smoltcp::time::Instant;
use vfs_hooks::process::ProcessInfo;
use vfs_hooks::wire;

use crate::root;

/// Deadlines are rounded up to multiples of this (microseconds): under load a thousand delayed ACKs share one alarm.
const GRAIN: i64 = 4000;

/// CLOCK_MONOTONIC.
pub fn now(info: &ProcessInfo) -> Instant {
    let ticks = rdtsc().wrapping_sub(info.tsc_base);
    let nanoseconds = ((u128::from(ticks) * u128::from(info.tsc_scale)) >> 32) as u64;
    Instant::from_micros((nanoseconds / 1000) as i64)
}

/// The deadline that was given to the root server last.
#[derive(Debug, Default)]
pub struct Alarm {
    at: Option<i64>,
}

impl Alarm {
    /// Sees to it that the alarm rings by `deadline`, a grain later at most. An earlier one that is set already will do: it costs a
    /// needless turn, less than a call.
    pub fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return;
        };
        let at = deadline.total_micros().max(0).div_euclid(GRAIN) * GRAIN + GRAIN;
        if self.at.is_none_or(|earlier| at < earlier) {
            root::call(wire::root::SET_TIMER, at as u64 * 1000, 0);
            self.at = Some(at);
        }
    }

    /// It has rung.
    pub fn rang(&mut self) {
        self.at = None;
    }
}
