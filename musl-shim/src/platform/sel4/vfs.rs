// SPDX-License-Identifier: BSD-2-Clause
//! The VFS server: names and attributes of files ([`vfs_hooks::vfs`]); and shared files ([`vfs_hooks::file`]), whose pages the root server maps.

use alloc::vec::Vec;

use vfs_hooks::file::{Header, address};
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::REPLY_WORDS;
use vfs_hooks::wire::root;

use super::server::{ask_root, ask_vfs};
use crate::errno::Errno;

/// An answer of the VFS server.
#[derive(Debug, Default)]
pub struct Reply {
    /// Words after the errno.
    pub words: [u64; REPLY_WORDS],
    /// The string.
    pub string: Vec<u8>,
}

/// Asks the VFS server. Both strings together have at most `MOST_STRINGS` bytes.
pub fn ask(label: u64, words: [u64; 3], strings: [&[u8]; 2]) -> Result<Reply, Errno> {
    ask_vfs(label, words, strings)
}

/// Maps pages of a file that this process holds.
pub fn map(
    file: u32,
    pages: core::ops::Range<usize>,
    start: usize,
    protection: u32,
) -> Result<(), Errno> {
    let words = [
        u64::from(file) | u64::from(protection) << 32,
        pages.start as u64 | (pages.len() as u64) << 32,
        start as u64,
    ];
    ask_root(root::FILE_MAP, words).map(drop)
}

/// A file that this process holds reads as zeroes from a page on.
pub fn trim(file: u32, page: usize) {
    // Refused only if it is not held.
    let _ = ask_root(root::FILE_TRIM, [file.into(), page as u64, 0]);
}

/// This process does not hold a file any longer.
pub fn release(file: u32) {
    // Refused only if it is not held.
    let _ = ask_root(root::FILE_DROP, [file.into(), 0, 0]);
}

/// Pages that files may have in all, and pages that they have.
pub fn usage() -> Result<[u64; 2], Errno> {
    ask_root(root::FILE_USAGE, [0; 3]).map(|[most, used, _]| [most, used])
}

/// Whether somebody watches files.
#[inline]
pub fn watching() -> bool {
    // On the host there is no such page.
    !cfg!(test) && super::info::info().watching.load(Ordering::Acquire) != 0
}

/// The header of a file that this process holds.
pub fn header(file: u32) -> &'static Header {
    // SAFETY: the root server maps the header while the process holds the file, and whoever has the number holds it; it consists of atomics. The
    // reference is not kept beyond that: callers have it for one call.
    unsafe { &*(address(file as usize) as *const Header) }
}
