// SPDX-License-Identifier: BSD-2-Clause
//! The root server's logic that needs no kernel: it also runs in tests on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod archive;
pub mod config;
pub mod elf;
pub mod family;
pub mod pieces;
pub mod ports;
pub mod ranges;
pub mod share;
pub mod slot_map;
pub mod stack;
pub mod terminal;
pub mod udp_ports;
pub mod waiters;
pub mod warm;

/// Error numbers of Linux that the root server answers with.
pub mod errno {
    /// Done.
    pub const OK: u64 = 0;
    /// Not for this process.
    pub const EPERM: u64 = 1;
    /// There is no such file.
    pub const ENOENT: u64 = 2;
    /// There is no such process.
    pub const ESRCH: u64 = 3;
    /// Nobody is there to say when it may go on.
    pub const EIO: u64 = 5;
    /// Nobody has the other side open.
    pub const ENXIO: u64 = 6;
    /// Arguments and environment are too long.
    pub const E2BIG: u64 = 7;
    /// The file is not a program.
    pub const ENOEXEC: u64 = 8;
    /// There is no such child.
    pub const ECHILD: u64 = 10;
    /// The caller does not hold that channel.
    pub const EBADF: u64 = 9;
    /// Nothing there yet, or too many.
    pub const EAGAIN: u64 = 11;
    /// No memory, or a limit.
    pub const ENOMEM: u64 = 12;
    /// The file cannot be executed, or the child has executed one.
    pub const EACCES: u64 = 13;
    /// The memory that the arguments name is not there.
    pub const EFAULT: u64 = 14;
    /// Somebody else needs it.
    pub const EBUSY: u64 = 16;
    /// The arguments make no sense.
    pub const EINVAL: u64 = 22;
    /// Too many shared files.
    pub const ENFILE: u64 = 23;
    /// Too many queues.
    pub const EMFILE: u64 = 24;
    /// It is not the caller's terminal.
    pub const ENOTTY: u64 = 25;
    /// All places are taken.
    pub const ENOSPC: u64 = 28;
    /// Nobody is there to take it.
    pub const EPIPE: u64 = 32;
    /// The name is a socket's of another type.
    pub const EPROTOTYPE: u64 = 91;
    /// The name is taken.
    pub const EADDRINUSE: u64 = 98;
    /// There is no such address or port to be had.
    pub const EADDRNOTAVAIL: u64 = 99;
    /// The net server has no place for more.
    pub const ENOBUFS: u64 = 105;
    /// Too many channels are on their way.
    pub const ETOOMANYREFS: u64 = 109;
    /// Nobody listens there.
    pub const ECONNREFUSED: u64 = 111;
    /// This kernel cannot, or there is no such request.
    pub const ENOSYS: u64 = 38;
}
