// SPDX-License-Identifier: BSD-2-Clause
//! Pages, by requests to the root server; and what it mapped before the program began.

use vfs_hooks::process::{ARCHIVE, BRK, PAGE, SHIM_HEAP};
use vfs_hooks::wire::{SHARED, root};

use super::info::info;
use super::server::ask_root;
use crate::errno::Errno;

/// Maps zeroed pages. Start and length are multiples of a page, here and below.
pub fn map(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    ask_root(root::MAP, [start as u64, len as u64, u64::from(protection)]).map(drop)
}

/// Maps zeroed pages that children made by fork(2) share.
pub fn map_shared(start: usize, len: usize, protection: u32) -> Result<(), Errno> {
    let protection = u64::from(protection) | SHARED;
    ask_root(root::MAP, [start as u64, len as u64, protection]).map(drop)
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

/// The program's parts as its ELF file has them: start, end, PROT_* bits, offset in the file. Whole pages.
pub fn segments() -> impl Iterator<Item = (usize, usize, u32, usize)> {
    const LOAD: u32 = 1;
    unsafe extern "C" {
        // The linker's: where the ELF header lies in memory.
        static __ehdr_start: u8;
    }
    let base = &raw const __ehdr_start as usize;
    // SAFETY: the header is in the program's first part, which stays mapped, and says where its program headers are (elf(5)): at byte 32, and how
    // many at byte 56.
    let (headers, count) = unsafe {
        let headers = ((base + 32) as *const u64).read_unaligned() as usize;
        (base + headers, ((base + 56) as *const u16).read_unaligned())
    };
    (0..usize::from(count)).filter_map(move |i| {
        let header = headers + i * 56;
        // SAFETY: as above; each has 56 bytes.
        let [kind, flags] = unsafe { (header as *const [u32; 2]).read_unaligned() };
        // SAFETY: as above.
        let [offset, start, _, _, len, _] =
            unsafe { ((header + 8) as *const [u64; 6]).read_unaligned() }.map(|word| word as usize);
        // Flags are read 4, write 2, execute 1; protections the other way round.
        let protection = flags >> 2 & 1 | flags & 2 | (flags & 1) << 2;
        let page = !(PAGE - 1);
        let end = (start + len).next_multiple_of(PAGE);
        (kind == LOAD && len != 0).then_some((start & page, end, protection, offset & page))
    })
}

/// The boot archive.
pub fn archive() -> &'static [u8] {
    // SAFETY: the root server maps that many bytes there, read-only, for the life of the process; they never change.
    unsafe { core::slice::from_raw_parts(ARCHIVE as *const u8, info().archive_len as usize) }
}
