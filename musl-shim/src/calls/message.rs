// SPDX-License-Identifier: BSD-2-Clause
//! The iovecs of sendmsg(2) and recvmsg(2), as all kinds of sockets have them.

use alloc::vec;

use crate::abi::Msghdr;
use crate::calls::io::scatter;
use crate::errno::Errno;
use crate::user::{bytes_mut, check_iovecs, iovec};

/// Where the iovecs of a message lie, how many, and how many bytes they have. Too many are EMSGSIZE.
pub fn vector(message: &Msghdr) -> Result<(usize, usize, usize), Errno> {
    let (at, count) = (message.msg_iov as usize, message.msg_iovlen as usize);
    let total = check_iovecs(at, count).map_err(|errno| match errno {
        Errno::EINVAL => Errno::EMSGSIZE,
        errno => errno,
    })?;
    Ok((at, count, total))
}

/// Has `receive` fill the iovecs in one go: the only one itself, or one buffer of at most `most` bytes for several. `copied`: how many it filled.
pub fn receive_whole<Got>(
    message: &Msghdr,
    most: usize,
    receive: impl FnOnce(&mut [u8]) -> Result<Got, Errno>,
    copied: impl FnOnce(&Got) -> usize,
) -> Result<Got, Errno> {
    let (at, count, total) = vector(message)?;
    if count == 1 {
        let (base, len) = iovec(at, 0)?;
        return receive(bytes_mut(base, len.min(total))?);
    }
    let mut whole = vec![0; total.min(most)];
    let got = receive(&mut whole)?;
    scatter(&whole[..copied(&got)], 0, at, count)?;
    Ok(got)
}
