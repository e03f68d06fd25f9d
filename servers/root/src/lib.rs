// SPDX-License-Identifier: BSD-2-Clause
//! The root server's logic that needs no kernel: it also runs in tests on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod archive;
pub mod config;
pub mod elf;
pub mod ranges;
pub mod stack;

/// Error numbers of Linux that the root server answers with.
pub mod errno {
    /// Done.
    pub const OK: u64 = 0;
    /// Not for this process.
    pub const EPERM: u64 = 1;
    /// Nothing there yet.
    pub const EAGAIN: u64 = 11;
    /// No memory, or a limit.
    pub const ENOMEM: u64 = 12;
    /// The arguments make no sense.
    pub const EINVAL: u64 = 22;
    /// Too many queues.
    pub const EMFILE: u64 = 24;
    /// This kernel cannot, or there is no such request.
    pub const ENOSYS: u64 = 38;
}
