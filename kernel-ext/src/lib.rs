// SPDX-License-Identifier: GPL-2.0-only
//! The notification queue for seL4 5.0.0, and the build of both kernels.
//!
//! * The *stock* kernel is the locked source as published, not one byte
//!   changed. The *queue* kernel is the same source with the files under
//!   `queue/` added and `queue/hooks.patch` applied to a copy.
//! * The *fast* kernel is the queue kernel with the files under `fast/` and
//!   `fast/hooks.patch` on top: signal, poll and wait in less than half the
//!   instructions.
//! * All are configured alike and built by the same commands, so that whatever
//!   differs between them is the change.
//! * Nothing is written outside the cache folder that the caller names. A build
//!   is found again by the hash of all that went into it.
//! * No tool beyond Debian's gcc, binutils and python3 is needed.
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | finds the locked source and verifies it |
//! | `patch` | reads and applies a unified diff, strictly |
//! | `tree` | the source of one kernel as path → text, patched or not |
//! | `interface` | the interface XML, and the labels that are in it |
//! | `headers` | the generated headers that need no bit fields |
//! | `config` | one configuration for both kernels |
//! | `client` | headers for C programs: libsel4's, generated from the same XML |
//! | `compile` | generators, compiler, linker, cache |
//! | `numbers` | labels and object numbers as the compiler sees them |
//! | `mutants` | ways to break it, for the tests to notice |
//! | `size` | how large the kernel change is |

mod client;
mod compile;
mod config;
mod headers;
mod interface;
mod kernel;
mod mutants;
mod numbers;
mod patch;
mod size;
mod source;
mod tools;
mod tree;

pub use client::compile_c;
pub use compile::{Built, build, build_mutant};
pub use interface::{Interface, interface};
pub use kernel::{Build, Kernel, Variant};
pub use mutants::{MUTANTS, Mutant};
pub use numbers::numbers;
pub use size::{LIMIT, LIMIT_EXISTING, Size, fast_size, size};
pub use source::source;
pub use tree::export;

/// The example in the proposal compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/notification-queue.md")]
struct Proposal;
