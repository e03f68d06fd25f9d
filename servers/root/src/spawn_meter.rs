// SPDX-License-Identifier: BSD-2-Clause
//! What lies between the starts of two processes, and what of it are invocations of each kind; only in measuring builds
//! (feature `spawn-meter`, see `cargo xtask compare`). When a program starts one process after the other and waits for
//! each, that is all of a posix_spawn, the child's run and end, and a waitpid.

#[cfg(feature = "spawn-meter")]
mod on {
    use core::fmt::Write as _;
    use core::sync::atomic::{AtomicU64, Ordering};

    use sel4_bindings::{meter, rdtsc};

    /// When the last process had been started and that was logged.
    static LAST: AtomicU64 = AtomicU64::new(0);

    /// A process was started: logs its path, ticks since the last one, and of each method the invocations and their ticks.
    pub fn started(path: &str) {
        let total = rdtsc() - LAST.load(Ordering::Relaxed);
        let mut line = alloc::format!("@spawn {path} total={total}");
        for (name, count, ticks) in meter::rows() {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={count}/{ticks}");
        }
        crate::log!("{line}");
        meter::reset();
        LAST.store(rdtsc(), Ordering::Relaxed);
    }
}

#[cfg(feature = "spawn-meter")]
pub use on::started;

/// A process was started.
#[cfg(not(feature = "spawn-meter"))]
pub fn started(_path: &str) {}
