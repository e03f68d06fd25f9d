// SPDX-License-Identifier: BSD-2-Clause
//! How news of other processes' sources comes, and how a thread blocks.

pub use super::kernel::{System, wait};
