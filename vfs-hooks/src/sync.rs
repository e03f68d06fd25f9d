// SPDX-License-Identifier: BSD-2-Clause
//! One facade for atomics, so that the code that ships is the code that loom (`--cfg loom`) and shuttle (`--cfg shuttle`) check.

#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(shuttle)]
pub use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
