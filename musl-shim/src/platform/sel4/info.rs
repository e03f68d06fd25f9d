// SPDX-License-Identifier: BSD-2-Clause
//! What the root server told this process, and the counters that it reads.

use vfs_hooks::process::{self, ProcessInfo, ProcessStats};

/// The facts.
#[inline]
pub fn info() -> &'static ProcessInfo {
    // SAFETY: the root server maps a ProcessInfo there, read-only to us, for the life of the process; what changes in it is atomic.
    unsafe { &*(process::INFO as *const ProcessInfo) }
}

/// The counters.
#[inline]
pub fn stats() -> &'static ProcessStats {
    // SAFETY: the root server maps a zeroed page there, read-write, for the life of the process; it holds atomics only.
    unsafe { &*(process::STATS as *const ProcessStats) }
}
