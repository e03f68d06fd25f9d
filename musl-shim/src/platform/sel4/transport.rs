// SPDX-License-Identifier: BSD-2-Clause
//! How news of other processes' sources comes, and how a thread blocks.

#[cfg(feature = "contract")]
pub use super::kernel::wait_for;
pub use super::kernel::{System, wait};
