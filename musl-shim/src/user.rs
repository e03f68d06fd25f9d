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

/// No transfer and no array has more bytes.
const TWO_GIB: usize = 1 << 31;
/// Bytes behind the first page at which a range as long as that can begin and be the user's: nearly all do.
const USUAL: usize = USER_END - TWO_GIB - PAGE;

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

/// A transfer of `len` bytes at `address`: at most [`MAX_TRANSFER`] bytes. EFAULT as [`check_range`] and [`check`] have it.
#[inline]
fn transfer_at(address: usize, len: usize) -> Result<(usize, usize), Errno> {
    if len > MAX_TRANSFER || address.wrapping_sub(PAGE) >= USUAL {
        return unusual_transfer(address, len);
    }
    Ok((address, len))
}

#[cold]
#[inline(never)]
fn unusual_transfer(address: usize, len: usize) -> Result<(usize, usize), Errno> {
    let len = len.min(MAX_TRANSFER);
    check_range(address, len)?;
    check(address, len)?;
    // Of no bytes the address may be null.
    Ok((if len == 0 { PAGE } else { address }, len))
}

/// What read(2) and its like are to write to.
#[inline]
pub fn transfer_mut<'a>(address: usize, len: usize) -> Result<&'a mut [u8], Errno> {
    let (address, len) = transfer_at(address, len)?;
    // SAFETY: as for `bytes_mut`.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, len) })
}

/// What write(2) and its like are to read from.
#[inline]
pub fn transfer<'a>(address: usize, len: usize) -> Result<&'a [u8], Errno> {
    let (address, len) = transfer_at(address, len)?;
    // SAFETY: as for `bytes`.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
}

/// The program's `count` elements of `N` bytes at `address`, to write to.
#[inline]
pub fn array_mut<'a, const N: usize>(
    address: usize,
    count: usize,
) -> Result<&'a mut [[u8; N]], Errno> {
    if count > TWO_GIB / N || address.wrapping_sub(PAGE) >= USUAL {
        check(address, count.saturating_mul(N))?;
    }
    let address = if count == 0 { PAGE } else { address };
    // SAFETY: as for `bytes_mut`; arrays of bytes need no alignment.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut [u8; N], count) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_addresses_are_efault_and_no_bytes_are_at_any() {
        let good = |address, len| transfer_at(address, len).is_ok();
        let end = USER_END;
        assert_eq!(transfer_at(PAGE, 5), Ok((PAGE, 5)));
        assert_eq!(transfer_at(PAGE, usize::MAX), Ok((PAGE, MAX_TRANSFER)));
        assert_eq!(transfer_at(0, 0), Ok((PAGE, 0)));
        assert!(!good(0, 1) && !good(PAGE - 1, 1));
        assert!(good(end - 1, 1) && !good(end - 1, 2) && good(end, 0) && !good(end, 1));
        assert!(!good(end + 1, 0) && !good(usize::MAX, 0) && !good(usize::MAX, 1));
        assert!(good(end - MAX_TRANSFER, usize::MAX) && !good(end - MAX_TRANSFER + 1, usize::MAX));
        assert!(good(end - TWO_GIB - 1, MAX_TRANSFER) && good(end - TWO_GIB + 1, 1));
    }

    #[test]
    fn arrays_are_the_users_as_bytes_are() {
        let good = |address, count| array_mut::<12>(address, count).is_ok();
        let most = TWO_GIB / 12;
        assert!(good(PAGE, 1) && !good(0, 1) && !good(PAGE - 1, 1) && good(0, 0));
        assert!(good(USER_END - 12, 1) && !good(USER_END - 11, 1) && !good(usize::MAX, 1));
        assert!(good(USER_END - TWO_GIB, most) && !good(USER_END - 12 * most + 1, most));
        assert!(!good(PAGE, usize::MAX));
    }
}
