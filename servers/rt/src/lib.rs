// SPDX-License-Identifier: BSD-2-Clause
//! What a Rust program needs to run on seL4 without a C library: a start, memory routines, a heap, a panic handler; for servers, the root server's log.
//!
//! ```ignore
//! guest_rt::root_task!(main);          // or guest_rt::server!(main) with `fn main() -> !`
//! fn main(info: sel4_bindings::BootInfo) -> ! { ... }
//! ```
//!
//! Everything is for programs of one thread but the memory routines, which any thread may use.
#![no_std]
#![allow(unsafe_code)]

pub mod heap;
mod memory;
mod panic;
pub mod root;
mod start;

pub use panic::set_panic_hook;

#[doc(hidden)]
pub use sel4_bindings;
#[doc(hidden)]
pub use start::learn_kernel;
