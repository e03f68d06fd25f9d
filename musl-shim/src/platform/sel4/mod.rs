// SPDX-License-Identifier: BSD-2-Clause
//! A process of our root server on seL4.

pub mod channels;
pub mod children;
pub mod clock;
pub mod console;
mod info;
mod kernel;
pub mod memory;
pub mod net;
pub mod process;
mod server;
#[cfg(not(test))]
mod thread;
pub mod threads;
pub mod transport;

pub use info::stats;
