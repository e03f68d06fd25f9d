// SPDX-License-Identifier: BSD-2-Clause
//! The VFS server's logic: names and attributes of files. It runs on the host as it does on seL4.
//!
//! * The tree begins as the boot archive; what is written is in memory. A file of the archive that is opened for writing becomes one in memory.
//! * Contents are not here: they are in pages that the root server maps into who has the file open ([`vfs_hooks::file`]).
//! * A request is one step: nobody waits here, and a process that ends leaves nothing but files that it held, of which the root server tells.
//! * Time is an argument, the root server is a trait ([`Files`]). What a process sends is not believed.
//!
//! | module | what it holds |
//! |---|---|
//! | `tree` | inodes and directories |
//! | `walk` | paths to inodes |
//! | `server` | the tree with its shared files |
//! | `open`, `names`, `attributes` | the calls |
//! | `locks`, `ranges` | locks of files |
//! | `watches`, `notify` | inotify: events, and what gives rise to them |
//! | `boot` | the tree at first |
//! | `requests` | messages to calls |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod attributes;
mod boot;
mod errno;
mod locks;
mod names;
mod notify;
mod open;
mod ranges;
mod requests;
mod server;
mod tree;
mod walk;
mod watches;

#[cfg(test)]
mod tests;

pub use errno::Errno;
pub use ranges::Owner;
pub use requests::{Reply, Request};
pub use server::{Files, Server};
