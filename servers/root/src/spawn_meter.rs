// SPDX-License-Identifier: BSD-2-Clause
//! What starting a process costs, and what of it are invocations of each kind; only in measuring builds (feature
//! `spawn-meter`, see `cargo xtask compare`).

#[cfg(feature = "spawn-meter")]
mod on {
    use core::fmt::Write as _;
    use core::sync::atomic::{AtomicU64, Ordering};

    use sel4_bindings::{meter, rdtsc};

    static BEGIN: AtomicU64 = AtomicU64::new(0);

    /// A process is about to be made.
    pub fn begin() {
        meter::reset();
        BEGIN.store(rdtsc(), Ordering::Relaxed);
    }

    /// It has started: logs its path, ticks, and of each method the invocations and their ticks.
    pub fn end(path: &str) {
        let total = rdtsc() - BEGIN.load(Ordering::Relaxed);
        let mut line = alloc::format!("@spawn {path} total={total}");
        for (name, count, ticks) in meter::rows() {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={count}/{ticks}");
        }
        crate::log!("{line}");
    }
}

#[cfg(feature = "spawn-meter")]
pub use on::{begin, end};

/// A process is about to be made.
#[cfg(not(feature = "spawn-meter"))]
pub fn begin() {}

/// It has started.
#[cfg(not(feature = "spawn-meter"))]
pub fn end(_path: &str) {}
