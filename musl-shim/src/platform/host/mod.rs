// SPDX-License-Identifier: BSD-2-Clause
//! A Linux process on x86_64. Below musl, so without a C library: [`raw`] has the instruction.

pub mod channels;
pub mod children;
pub mod clock;
pub mod console;
pub mod futex;
pub mod memory;
#[cfg(not(any(test, feature = "library")))]
mod mixed;
pub mod net;
pub mod process;
pub mod processes;
mod raw;
pub mod threads;
pub mod transport;
pub mod udp;
pub mod vfs;

#[cfg(not(any(test, feature = "library")))]
pub use mixed::*;
use vfs_hooks::process::ProcessStats;

/// What host mode has and the library has not.
#[cfg(any(test, feature = "library"))]
mod plain {
    pub fn hubs() -> [i32; 2] {
        [-1; 2]
    }

    pub fn hide(fd: usize) -> usize {
        fd
    }

    pub fn wait_mask() -> Option<u64> {
        None
    }

    pub fn note_interruption() {}
}
#[cfg(not(any(test, feature = "library")))]
use mixed as plain;

/// Whoever waits looks at the clock; nobody else is told.
pub fn alarm(_: u64) {}

/// Whether calls are to be traced: Linux does it better.
pub fn is_traced() -> bool {
    false
}

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
        channel_calls: AtomicU64::new(0),
        signals: AtomicU64::new(0),
    };
    &STATS
}
