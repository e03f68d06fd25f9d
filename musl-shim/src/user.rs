// SPDX-License-Identifier: BSD-2-Clause
//! The program's memory: pointers that a call got, checked and copied through.
//!
//! The program and the shim share one address space, so a wrong pointer harms the program only. What can be told wrong by its value
//! (page zero, outside the user's half) is EFAULT as on Linux; what is merely not mapped ends the program with SIGSEGV (see CAVEATS).

use crate::abi::{Iovec, Plain};
use crate::errno::Errno;
use vfs_hooks::process::PAGE;

/// First address that is not the user's.
const USER_END: usize = 0x8000_0000_0000;
/// Most elements of an iovec array (IOV_MAX).
pub const IOV_MAX: usize = 1024;
/// Most bytes of one transfer (Linux's MAX_RW_COUNT).
pub const MAX_TRANSFER: usize = 0x7fff_f000;

/// EFAULT unless the range can be the user's. An empty range is never wrong.
#[inline]
pub fn check(address: usize, len: usize) -> Result<(), Errno> {
    let fits = address >= PAGE && len <= USER_END && address <= USER_END - len;
    if fits || len == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// EFAULT if the range cannot be the user's, null apart: what Linux checks before it looks at anything else.
#[inline]
pub fn check_range(address: usize, len: usize) -> Result<(), Errno> {
    if len <= USER_END && address <= USER_END - len {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// The program's `len` bytes at `address`, to read from.
#[inline]
pub fn bytes<'a>(address: usize, len: usize) -> Result<&'a [u8], Errno> {
    check(address, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller of the C function promises that the range is readable and stays so for the call; if it lies, the fault
    // hits its own process. Another of its threads may change the bytes meanwhile: a race of the program's own making, as on any Unix, in which we only copy.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
}

/// The program's `len` bytes at `address`, to write to.
#[inline]
pub fn bytes_mut<'a>(address: usize, len: usize) -> Result<&'a mut [u8], Errno> {
    check(address, len)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as for `bytes`; the shim never holds two such slices of one call at a time that overlap and are both in use.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, len) })
}

/// Copies a value in.
#[inline]
pub fn read<T: Plain>(address: usize) -> Result<T, Errno> {
    check(address, size_of::<T>())?;
    // SAFETY: as for `bytes`; any bytes make a valid `T`, and the read does not ask for alignment.
    Ok(unsafe { (address as *const T).read_unaligned() })
}

/// Copies a value out.
#[inline]
pub fn write<T: Plain>(address: usize, value: T) -> Result<(), Errno> {
    check(address, size_of::<T>())?;
    // SAFETY: as for `bytes_mut`; the write does not ask for alignment.
    unsafe { (address as *mut T).write_unaligned(value) };
    Ok(())
}

/// Copies a value out unless the pointer is null.
pub fn write_optional<T: Plain>(address: usize, value: T) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    write(address, value)
}

/// Copies a value in unless the pointer is null.
pub fn read_optional<T: Plain>(address: usize) -> Result<Option<T>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    read(address).map(Some)
}

/// A C string without its NUL; ENAMETOOLONG if it has more than `most` bytes.
pub fn string<'a>(address: usize, most: usize) -> Result<&'a [u8], Errno> {
    check(address, 1)?;
    let mut len = 0;
    while read::<u8>(address + len)? != 0 {
        len += 1;
        if len > most {
            return Err(Errno::ENAMETOOLONG);
        }
    }
    bytes(address, len)
}

/// Element `i` of the array of iovecs at `address`.
pub fn iovec(address: usize, i: usize) -> Result<(usize, usize), Errno> {
    let iovec: Iovec = read(address + i * size_of::<Iovec>())?;
    Ok((iovec.iov_base as usize, iovec.iov_len as usize))
}

/// Checks an array of iovecs; returns the sum of their lengths, at most [`MAX_TRANSFER`].
pub fn check_iovecs(address: usize, count: usize) -> Result<usize, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    check(address, count * size_of::<Iovec>())?;
    let mut sum = 0usize;
    for i in 0..count {
        let (base, len) = iovec(address, i)?;
        if len > isize::MAX as usize {
            return Err(Errno::EINVAL);
        }
        check(base, len)?;
        sum = (sum + len).min(MAX_TRANSFER);
    }
    Ok(sum)
}
