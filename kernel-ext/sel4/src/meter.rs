// SPDX-License-Identifier: BSD-2-Clause
//! For measuring builds (feature `meter`): how often each method was invoked, and how much of the time-stamp counter that
//! took, kernel and binding together. For programs of one thread.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::invocations::LABELS;
use crate::kernel::kernel;
use crate::syscall::rdtsc;

/// More than either kernel has labels.
const MOST: usize = 80;

static COUNTS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static TICKS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Starts from zero.
pub fn reset() {
    for counter in COUNTS.iter().chain(&TICKS) {
        counter.store(0, Ordering::Relaxed);
    }
}

/// An invocation of `label` that began at `begin` has ended.
pub(crate) fn count(label: u64, begin: u64) {
    let ticks = rdtsc() - begin;
    if let (Some(count), Some(sum)) = (COUNTS.get(label as usize), TICKS.get(label as usize)) {
        count.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(ticks, Ordering::Relaxed);
    }
}

/// The kernel's name, number of invocations and ticks of each method that was invoked since the reset.
pub fn rows() -> impl Iterator<Item = (&'static str, u64, u64)> {
    LABELS.iter().filter_map(|label| {
        let number = label.on(kernel()?)? as usize;
        let count = COUNTS.get(number)?.load(Ordering::Relaxed);
        let ticks = TICKS.get(number)?.load(Ordering::Relaxed);
        (count > 0).then_some((label.name, count, ticks))
    })
}
