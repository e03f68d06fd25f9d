// SPDX-License-Identifier: BSD-2-Clause
//! A Linux process on x86_64. Below musl, so without a C library: [`raw`] has the instruction.

pub mod clock;
pub mod console;
pub mod memory;
pub mod net;
pub mod process;
mod raw;
#[cfg(not(any(test, feature = "library")))]
mod thread;
pub mod threads;
pub mod transport;

use vfs_hooks::process::ProcessStats;

/// The counters.
pub fn stats() -> &'static ProcessStats {
    use core::sync::atomic::AtomicU64;
    static STATS: ProcessStats = ProcessStats {
        calls: AtomicU64::new(0),
        server_calls: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        collects: AtomicU64::new(0),
        entries: AtomicU64::new(0),
        handoffs: AtomicU64::new(0),
        badge_wakes: AtomicU64::new(0),
        doorbells: AtomicU64::new(0),
        doorbells_saved: AtomicU64::new(0),
    };
    &STATS
}
