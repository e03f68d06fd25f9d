// SPDX-License-Identifier: BSD-2-Clause
//! One facade for atomics, so that the code that ships is the code that loom checks (`--cfg loom`).

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
