// SPDX-License-Identifier: BSD-2-Clause
//! What the root tasks of this crate share.
//!
//! * `queue-tests` checks what the kernel does, in TAP on the serial line.
//! * `queue-bench` counts instructions, as a table.
//! * `queue-latency` measures how long an interrupt waits while things are revoked.
//!
//! Both run alone on the machine, on either kernel, which they ask for its name.
//! The tests have nothing but the kernel to check with, so they use system calls
//! and plain loads only; a priority of 254 for the test and 255 for its helpers
//! makes every step deterministic: a helper that can run has run before the next
//! line of the test.
//!
//! | module | what it holds |
//! |---|---|
//! | [`machine`] | serial line, end of the run |
//! | [`tap`] | counts and prints results |
//! | [`world`] | objects, capabilities, memory |
//! | [`queue`] | a queue and its buffer |
//! | [`model`] | what the kernel promises, as a state machine (also on the host) |
//! | [`parameters`] | what `cargo xtask` says about a run |
//! | [`herd`] | more capabilities than the CNode has slots |
//! | [`pit`] | the timer that interrupts |
//! | [`child`] | helper threads, and the log of what they received |
#![cfg_attr(not(test), no_std)]

pub mod child;
pub mod herd;
pub mod machine;
pub mod model;
pub mod parameters;
pub mod pit;
pub mod queue;
pub mod tap;
pub mod tests;
pub mod world;

/// Priority of the test itself.
pub const OWN_PRIORITY: u8 = 254;
/// Priority of helpers that run as soon as they can.
pub const CHILD_PRIORITY: u8 = 255;
