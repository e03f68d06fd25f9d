// SPDX-License-Identifier: BSD-2-Clause
//! sendmmsg and recvmmsg: several messages by one call, of whatever kind of socket.

use crate::abi::{MSG_DONTWAIT, Timespec};
use crate::calls::socket::{recvmsg, sendmsg};
use crate::clock::{SECOND, monotonic};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::get;
use crate::user;

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("recvmmsg", 299, recvmmsg),
    Call::new("sendmmsg", 307, sendmmsg),
];

/// Most messages of a call (UIO_MAXIOV).
const MOST: usize = 1024;
/// Bytes of struct mmsghdr, and where it says how many bytes went.
const SIZE: usize = 64;
const LEN: usize = 56;
const MSG_WAITFORONE: u32 = 0x1_0000;

/// <https://man7.org/linux/man-pages/man2/sendmmsg.2.html>
fn sendmmsg(args: &Args) -> Result<usize, Errno> {
    let [fd, vector, count, flags, ..] = *args;
    let count = (count as u32 as usize).min(MOST);
    get(fd)?;
    for i in 0..count {
        let at = vector.wrapping_add(i * SIZE);
        match sendmsg(&[fd, at, flags, 0, 0, 0]) {
            Ok(n) => user::write(at + LEN, n as u32)?,
            Err(_) if i > 0 => return Ok(i),
            Err(errno) => return Err(errno),
        }
    }
    Ok(count)
}

/// When a call gives up, by its relative timeout.
fn deadline(timeout: usize) -> Result<Option<u64>, Errno> {
    let Some(time) = user::read_optional::<Timespec>(timeout)? else {
        return Ok(None);
    };
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
    if !(0..SECOND as i64).contains(&time.tv_nsec) {
        return Err(Errno::EINVAL);
    }
    let span = seconds
        .saturating_mul(SECOND)
        .saturating_add(time.tv_nsec as u64);
    Ok(Some(monotonic().saturating_add(span)))
}

/// <https://man7.org/linux/man-pages/man2/recvmmsg.2.html>: as there, the timeout is looked at after each message, and does not end the wait for one.
fn recvmmsg(args: &Args) -> Result<usize, Errno> {
    let [fd, vector, count, flags, timeout, _] = *args;
    let count = (count as u32 as usize).min(MOST);
    let deadline = deadline(timeout)?;
    let file = get(fd)?;
    let wait_for_one = flags as u32 & MSG_WAITFORONE != 0;
    let mut flags = flags & !(MSG_WAITFORONE as usize);
    let mut done = 0;
    while done < count {
        let at = vector.wrapping_add(done * SIZE);
        match recvmsg(&[fd, at, flags, 0, 0, 0]) {
            Ok(n) => user::write(at + LEN, n as u32)?,
            Err(errno) if done == 0 => return Err(errno),
            Err(errno) => {
                // Told at the next call.
                if errno != Errno::EAGAIN
                    && let Some(socket) = file.file.udp()
                {
                    socket.fail(errno);
                }
                break;
            }
        }
        done += 1;
        if wait_for_one {
            flags |= MSG_DONTWAIT as usize;
        }
        if deadline.is_some_and(|deadline| monotonic() >= deadline) {
            break;
        }
    }
    if let Some(deadline) = deadline {
        let left = deadline.saturating_sub(monotonic());
        user::write(timeout, crate::clock::timespec(left))?;
    }
    Ok(done)
}
