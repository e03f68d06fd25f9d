// SPDX-License-Identifier: BSD-2-Clause
//! What the root server can count of all that it gives away, so that a test can tell whether everything has come back.
//!
//! What the root server itself keeps for later (page tables, pages of programs, frames and halves that it made at once) is counted as free, and so
//! are pages and tables of the process that asks, which come as it touches them: so two moments in which the same processes hold the same have the same figures,
//! whatever was there in between.
#![forbid(unsafe_code)]

/// Names of the figures, in their order.
pub const NAMES: [&str; 15] = [
    "free",
    "slots",
    "processes",
    "numbers",
    "channels",
    "holders",
    "carried",
    "named",
    "names",
    "files",
    "filepages",
    "shares",
    "clients",
    "images",
    "heap",
];

/// How many one answer carries.
pub const AT_ONCE: usize = 3;

const _: () = assert!(NAMES.len().is_multiple_of(AT_ONCE));

/// All figures.
pub type Figures = [u64; NAMES.len()];
