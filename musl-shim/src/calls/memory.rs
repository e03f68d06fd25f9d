// SPDX-License-Identifier: BSD-2-Clause
//! Memory: brk, mmap and its relatives. Private mappings of files are copies, made at once; shared ones of files in memory are the file's own
//! pages; what has none (the boot archive) is copied also where it is to be shared, for nobody writes it.

use crate::errno::Errno;
use vfs_hooks::process::PAGE;

use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::files::{self, Mappable};
use crate::memory::{self, round_up};
use crate::space::SHARED;
use crate::{platform, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("mmap", 9, mmap),
    Call::new("mprotect", 10, mprotect),
    Call::new("munmap", 11, munmap),
    Call::new("brk", 12, brk),
    Call::new("mremap", 25, mremap),
    Call::new("msync", 26, msync),
    Call::new("madvise", 28, madvise),
    Call::new("mlock", 149, mlock),
    Call::new("munlock", 150, mlock),
];

fn brk(args: &Args) -> Result<usize, Errno> {
    Ok(memory::with(|memory| memory.set_brk(args[0])))
}

/// <https://man7.org/linux/man-pages/man2/mmap.2.html>
fn mmap(args: &Args) -> Result<usize, Errno> {
    let [address, len, protection, flags, fd, offset] = *args;
    let (protection, flags) = (protection as u32, flags as u32);
    if len == 0 || !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let shared = match flags & MAP_TYPE {
        MAP_PRIVATE => false,
        MAP_SHARED | MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    let len = round_up(len)?;
    let contents = if flags & MAP_ANONYMOUS != 0 {
        Mappable::Zero
    } else {
        let file = files::get(fd)?;
        if file.flags() & O_PATH != 0 {
            return Err(Errno::EBADF);
        }
        if file.access() == O_WRONLY {
            return Err(Errno::EACCES);
        }
        let contents = file.file.mappable()?;
        let writes = shared && protection & PROT_WRITE != 0;
        if writes && file.access() != O_RDWR && !matches!(contents, Mappable::Zero) {
            return Err(Errno::EACCES);
        }
        contents
    };
    memory::with(|memory| {
        let at = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == 0 {
            memory.find(address & !(PAGE - 1), len)?
        } else {
            if !address.is_multiple_of(PAGE) {
                return Err(Errno::EINVAL);
            }
            if !memory.contains(address, len) {
                return Err(Errno::ENOMEM);
            }
            if flags & MAP_FIXED_NOREPLACE != 0 && !memory.is_free(address, len) {
                return Err(Errno::EEXIST);
            }
            memory.unmap(address, len)?;
            address
        };
        let pages = offset / PAGE..(offset + len) / PAGE;
        match &contents {
            Mappable::Zero if shared => {
                let map = |at| platform::memory::map_shared(at, len, protection);
                memory.map_shared(at, len, protection, map)?;
            }
            Mappable::Zero => memory.map(at, len, protection)?,
            Mappable::File(file) if shared => {
                memory.map_shared(at, len, protection, |at| file.map(pages, at, protection))?;
            }
            _ => {
                memory.map(at, len, PROT_READ | PROT_WRITE)?;
                let to = user::bytes_mut(at, len)?;
                match &contents {
                    Mappable::Bytes(bytes) => {
                        let bytes = bytes.get(offset..).unwrap_or(&[]);
                        let n = bytes.len().min(len);
                        to[..n].copy_from_slice(&bytes[..n]);
                    }
                    Mappable::File(file) => {
                        file.read(offset as u64, to)?;
                    }
                    Mappable::Zero => {}
                }
                if protection != PROT_READ | PROT_WRITE {
                    memory.protect(at, len, protection)?;
                }
            }
        }
        Ok(at)
    })
}

fn munmap(args: &Args) -> Result<usize, Errno> {
    let (address, len) = range(args)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    memory::with(|memory| memory.unmap(address, len))?;
    Ok(0)
}

fn mprotect(args: &Args) -> Result<usize, Errno> {
    let (address, len) = range(args)?;
    if len != 0 {
        memory::with(|memory| memory.protect(address, len, args[2] as u32))?;
    }
    Ok(0)
}

/// First two arguments: an address on a page's start, a length rounded up.
fn range(args: &Args) -> Result<(usize, usize), Errno> {
    let len = round_up(args[1]).map_err(|_| Errno::EINVAL)?;
    if !args[0].is_multiple_of(PAGE) || args[0].checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    Ok((args[0], len))
}

/// <https://man7.org/linux/man-pages/man2/mremap.2.html>
fn mremap(args: &Args) -> Result<usize, Errno> {
    let [old, old_len, new_len, flags, ..] = *args;
    let (old_len, new_len) = (round_up(old_len)?, round_up(new_len)?);
    let flags = flags as u32;
    if !old.is_multiple_of(PAGE) || old_len == 0 || new_len == 0 || flags & !MREMAP_MAYMOVE != 0 {
        return Err(Errno::EINVAL);
    }
    memory::with(|memory| {
        let protection = memory.protection(old, old_len)?;
        if new_len <= old_len {
            if new_len < old_len {
                memory.unmap(old + new_len, old_len - new_len)?;
            }
            return Ok(old);
        }
        // A copy would be shared with nobody.
        if protection & SHARED != 0 {
            return Err(Errno::ENOMEM);
        }
        let end = old.checked_add(old_len).ok_or(Errno::EINVAL)?;
        if memory.is_free(end, new_len - old_len) {
            memory.map(end, new_len - old_len, protection)?;
            return Ok(old);
        }
        if flags & MREMAP_MAYMOVE == 0 {
            return Err(Errno::ENOMEM);
        }
        let at = memory.find(0, new_len)?;
        memory.map(at, new_len, PROT_READ | PROT_WRITE)?;
        if protection != 0 {
            let from = user::bytes(old, old_len)?;
            user::bytes_mut(at, old_len)?.copy_from_slice(from);
        }
        if protection != PROT_READ | PROT_WRITE {
            memory.protect(at, new_len, protection)?;
        }
        memory.unmap(old, old_len)?;
        Ok(at)
    })
}

/// Advice that may be ignored; MADV_DONTNEED may not where memory is private: it must read as zero afterwards.
fn madvise(args: &Args) -> Result<usize, Errno> {
    const MADV_DONTNEED: usize = 4;
    let (address, len) = range(args)?;
    if args[2] == MADV_DONTNEED && len != 0 {
        memory::with(|memory| {
            let protection = memory.protection(address, len).map_err(|_| Errno::ENOMEM)?;
            // What is shared keeps its contents.
            if memory.has_shared(address, len) {
                return Ok(());
            }
            memory.unmap(address, len)?;
            memory.map(address, len, protection)
        })?;
    }
    Ok(0)
}

/// Nothing need be written back: a shared mapping is the file's own pages.
fn msync(args: &Args) -> Result<usize, Errno> {
    range(args).map(|_| 0)
}

/// All memory stays where it is anyway.
fn mlock(args: &Args) -> Result<usize, Errno> {
    user::check(args[0], args[1]).map_err(|_| Errno::ENOMEM)?;
    Ok(0)
}
