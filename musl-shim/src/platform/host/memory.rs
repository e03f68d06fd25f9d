// SPDX-License-Identifier: BSD-2-Clause
//! Pages from Linux, at the addresses that the shim chooses; it never chooses what the program's own parts have.

use vfs_hooks::process::{BRK, LARGE_PAGE};

use super::raw::{self, nr};
use crate::abi::{MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use crate::errno::Errno;

/// Maps zeroed pages. Start and length are multiples of a page, here and below.
pub fn map(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    let args = [
        start,
        len,
        protection as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: nothing that is mapped already is touched.
    unsafe { raw::call(nr::MMAP, args) }.map(drop)
}

/// Those that are to be shared: as long as there is one process they are its own.
pub fn map_shared(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    map(start, len, protection)
}

/// Unmaps pages.
pub fn unmap(start: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: the program asked for it, of what `map` mapped for it.
    unsafe { raw::call(nr::MUNMAP, [start, len]) }.map(drop)
}

/// Changes the protection of mapped pages.
pub fn protect(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    // SAFETY: as for `unmap`.
    unsafe { raw::call(nr::MPROTECT, [start, len, protection as usize]) }.map(drop)
}

/// Linux knows.
pub fn segments() -> impl Iterator<Item = (usize, usize, u32, usize)> {
    core::iter::empty()
}

/// Where the break starts.
pub fn brk_start() -> usize {
    BRK
}

/// Address and bytes of the heap's first piece; nobody else uses it. Asked once.
#[cfg_attr(any(test, feature = "library"), allow(dead_code))]
pub fn heap_start() -> (usize, usize) {
    let protection = PROT_READ | PROT_WRITE;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS;
    let args = [
        0,
        LARGE_PAGE,
        protection as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: Linux chooses pages that nobody has.
    match unsafe { raw::call(nr::MMAP, args) } {
        Ok(start) => (start, LARGE_PAGE),
        Err(_) => super::process::exit(super::process::ABORTED),
    }
}

/// The machine's memory, in bytes.
pub fn total() -> u64 {
    let mut answer = [0u64; 14];
    // SAFETY: struct sysinfo has 112 bytes.
    let result = unsafe { raw::call(nr::SYSINFO, [answer.as_mut_ptr() as usize]) };
    debug_assert!(result.is_ok(), "sysinfo cannot fail");
    const TOTAL_RAM: usize = 4;
    answer[TOTAL_RAM]
}

/// There is none.
pub fn archive() -> &'static [u8] {
    &[]
}
