// SPDX-License-Identifier: BSD-2-Clause
//! Pages, by requests to the root server; and what it mapped before the program began.

use vfs_hooks::process::{ARCHIVE, BRK, PAGE, SHIM_HEAP};
use vfs_hooks::wire::root;

use super::info::info;
use super::server::ask_root;
use crate::errno::Errno;

/// Maps zeroed pages. Start and length are multiples of a page, here and below.
pub fn map(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    ask_root(root::MAP, [start as u64, len as u64, u64::from(protection)]).map(drop)
}

/// Unmaps pages.
pub fn unmap(start: usize, len: usize) -> Result<(), Errno> {
    ask_root(root::UNMAP, [start as u64, len as u64, 0]).map(drop)
}

/// Changes the protection of mapped pages.
pub fn protect(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    let request = [start as u64, len as u64, u64::from(protection)];
    ask_root(root::PROTECT, request).map(drop)
}

/// Where the break starts.
pub fn brk_start() -> usize {
    BRK.max((info().image_end as usize).next_multiple_of(PAGE))
}

/// Address and bytes of the heap's first piece; nobody else uses it. Asked once.
pub fn heap_start() -> (usize, usize) {
    (SHIM_HEAP, info().heap_len as usize)
}

/// The machine's memory, in bytes.
pub fn total() -> u64 {
    info().memory
}

/// The boot archive.
pub fn archive() -> &'static [u8] {
    // SAFETY: the root server maps that many bytes there, read-only, for the life of the process; they never change.
    unsafe { core::slice::from_raw_parts(ARCHIVE as *const u8, info().archive_len as usize) }
}
