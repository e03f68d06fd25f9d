// SPDX-License-Identifier: BSD-2-Clause
//! The program's memory above its ELF image: the break, and what mmap(2) gave. This module chooses addresses and keeps
//! protections, the platform maps.

use core::ops::Range;

use crate::errno::Errno;
use vfs_hooks::process::{MMAP, PAGE};

use crate::abi::{PROT_READ, PROT_WRITE};
use crate::shared::Shared;
use crate::space::{SHARED, Space};
use crate::{limits, platform};

/// Where the shim's heap grows; not given to mmap.
pub const GROWTH: Range<usize> = MMAP.end - (8 << 30)..MMAP.end;

/// The break moves in steps of this many bytes, so that small steps of the program cost no request.
const BRK_STEP: usize = 16 * PAGE;

/// What is in use.
#[derive(Debug)]
pub struct Memory {
    space: Space,
    brk_start: usize,
    brk: usize,
    brk_mapped: usize,
}

/// The process's memory; made by [`start`].
static MEMORY: Shared<Option<Memory>> = Shared::new(None);

/// Makes the bookkeeping ready.
pub fn start() {
    let brk_start = platform::memory::brk_start();
    *MEMORY.lock() = Some(Memory {
        space: Space::new(brk_start..GROWTH.start),
        brk_start,
        brk: brk_start,
        brk_mapped: brk_start,
    });
}

/// Works on the process's memory.
pub fn with<R>(work: impl FnOnce(&mut Memory) -> R) -> R {
    let mut memory = MEMORY.lock();
    work(memory.as_mut().expect("start() ran"))
}

/// Rounded up to pages; ENOMEM if that overflows.
pub fn round_up(len: usize) -> Result<usize, Errno> {
    len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)
}

impl Memory {
    /// What is mapped by this process's wish: start, end, protection.
    pub fn regions(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        self.space.regions()
    }

    /// Where the break has been moved over.
    pub fn heap(&self) -> Range<usize> {
        self.brk_start..self.brk_mapped
    }

    /// Bytes that are mapped by this process's wish.
    pub fn committed(&self) -> usize {
        self.space.committed()
    }

    /// brk(2): moves the break if it can be; the new or the old one.
    pub fn set_brk(&mut self, wanted: usize) -> usize {
        if wanted < self.brk_start || wanted > MMAP.start {
            return self.brk;
        }
        if wanted > self.brk_mapped {
            let end = wanted.next_multiple_of(BRK_STEP).min(MMAP.start);
            let len = end - self.brk_mapped;
            if self
                .map(self.brk_mapped, len, PROT_READ | PROT_WRITE)
                .is_err()
            {
                return self.brk;
            }
            self.brk_mapped = end;
        } else {
            // What comes back later must be zero: whole pages go now.
            let end = wanted.next_multiple_of(PAGE);
            if end < self.brk_mapped && wanted < self.brk {
                if self.unmap(end, self.brk_mapped - end).is_err() {
                    return self.brk;
                }
                self.brk_mapped = end;
            }
        }
        self.brk = wanted;
        wanted
    }

    /// Maps zeroed memory at a free range.
    pub fn map(&mut self, start: usize, len: usize, protection: u32) -> Result<(), Errno> {
        if !self.space.is_free(start, len) {
            return Err(Errno::ENOMEM);
        }
        limits::more_memory(len, protection, |writable| self.space.in_use(writable))?;
        platform::memory::map(start, len, protection)?;
        self.space.take(start, len, protection);
        Ok(())
    }

    /// Whether memory at this address is shared with other processes, or will be with children.
    pub fn is_shared(&self, address: usize) -> bool {
        self.space.is_shared(address, 1)
    }

    /// Whether any of the range is.
    pub fn has_shared(&self, start: usize, len: usize) -> bool {
        self.space.has_shared(start, len)
    }

    /// Takes a free range for shared pages, which `map` maps there.
    pub fn map_shared(
        &mut self,
        start: usize,
        len: usize,
        protection: u32,
        map: impl FnOnce(usize) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if !self.space.is_free(start, len) {
            return Err(Errno::ENOMEM);
        }
        // Of a file's own pages none are the process's data.
        limits::more_memory(len, 0, |writable| self.space.in_use(writable))?;
        map(start)?;
        self.space.take(start, len, protection | SHARED);
        Ok(())
    }

    /// Where `len` bytes can be mapped: at `hint` if that is possible.
    pub fn find(&self, hint: usize, len: usize) -> Result<usize, Errno> {
        if hint != 0 && hint >= MMAP.start && self.space.is_free(hint, len) {
            return Ok(hint);
        }
        self.space.find(MMAP.start, len).ok_or(Errno::ENOMEM)
    }

    /// Whether mmap can be told to map exactly here.
    pub fn contains(&self, start: usize, len: usize) -> bool {
        self.space.contains(start, len)
    }

    /// Whether nothing is mapped in the range.
    pub fn is_free(&self, start: usize, len: usize) -> bool {
        self.space.is_free(start, len)
    }

    /// Unmaps what is mapped in the range.
    pub fn unmap(&mut self, start: usize, len: usize) -> Result<(), Errno> {
        let mut result = Ok(());
        self.space.release(start, len, |at, len| {
            let answer = platform::memory::unmap(at, len);
            if let (Ok(()), Err(errno)) = (result, answer) {
                result = Err(errno);
            }
        });
        result
    }

    /// mprotect(2): ENOMEM if anything in the range is not mapped.
    pub fn protect(&mut self, start: usize, len: usize, protection: u32) -> Result<(), Errno> {
        if !self.space.contains(start, len) || !self.space.is_used(start, len) {
            return Err(Errno::ENOMEM);
        }
        platform::memory::protect(start, len, protection)?;
        self.space.protect(start, len, protection);
        Ok(())
    }

    /// Protection, with [`SHARED`], of a range that must be mapped all alike; EFAULT otherwise, as mremap(2) has it.
    pub fn protection(&self, start: usize, len: usize) -> Result<u32, Errno> {
        let protection = self.space.protection(start).ok_or(Errno::EFAULT)?;
        if self.space.is_used(start, len) {
            Ok(protection)
        } else {
            Err(Errno::EFAULT)
        }
    }
}
