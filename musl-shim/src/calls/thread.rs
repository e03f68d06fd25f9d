// SPDX-License-Identifier: BSD-2-Clause
//! Threads: their ids, their end, futex.

use libposix_poll::Deadline;

use crate::abi::Timespec;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::futex::Word;
use crate::platform;
use crate::{clock, futex, restart, threads, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("exit", 60, exit),
    Call::new("gettid", 186, gettid),
    Call::new("futex", 202, call_futex),
    Call::new("set_tid_address", 218, set_tid_address),
    Call::new("set_robust_list", 273, set_robust_list),
    Call::new("get_robust_list", 274, get_robust_list),
];

fn exit(args: &Args) -> Result<usize, Errno> {
    platform::process::end_thread(args[0] as u8)
}

fn gettid(_: &Args) -> Result<usize, Errno> {
    Ok(threads::own_id())
}

fn set_tid_address(args: &Args) -> Result<usize, Errno> {
    threads::set_clear(args[0]);
    Ok(threads::own_id())
}

/// Bytes of struct robust_list_head.
const ROBUST_HEAD: usize = 24;

fn set_robust_list(args: &Args) -> Result<usize, Errno> {
    if args[1] != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    threads::set_robust(args[0]);
    Ok(0)
}

fn get_robust_list(args: &Args) -> Result<usize, Errno> {
    let thread = match args[0] as u32 as usize {
        0 => platform::threads::current(),
        id => threads::find(id).ok_or(Errno::ESRCH)?,
    };
    user::write(args[2], ROBUST_HEAD as u64)?;
    user::write(args[1], threads::robust(thread) as u64)?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/futex.2.html>
fn call_futex(args: &Args) -> Result<usize, Errno> {
    const WAIT: u32 = 0;
    const WAKE: u32 = 1;
    const REQUEUE: u32 = 3;
    const CMP_REQUEUE: u32 = 4;
    const WAIT_BITSET: u32 = 9;
    const WAKE_BITSET: u32 = 10;
    const PRIVATE: u32 = 128;
    const CLOCK_REALTIME: u32 = 256;
    let [address, operation, value, timeout, other, last] = *args;
    let private = operation as u32 & PRIVATE != 0;
    let operation = operation as u32 & !PRIVATE;
    let word = |address| Word::at(address, private);
    let realtime = operation & CLOCK_REALTIME != 0;
    let most = value as i32;
    match operation & !CLOCK_REALTIME {
        WAIT if !realtime => {
            let timeout: Option<Timespec> = user::read_optional(timeout)?;
            let deadline = match timeout {
                Some(timeout) => restart::deadline(Deadline::at(clock::deadline(&timeout)?)),
                None => Deadline::NEVER,
            };
            futex::wait(word(address)?, value as u32, futex::ANY, deadline)
        }
        WAIT_BITSET => {
            let until: Option<Timespec> = user::read_optional(timeout)?;
            let deadline = match until {
                Some(until) => restart::deadline(absolute(&until, realtime)?),
                None => Deadline::NEVER,
            };
            futex::wait(word(address)?, value as u32, last as u32, deadline)
        }
        _ if realtime => Err(Errno::ENOSYS),
        WAKE => futex::wake(word(address)?, most.max(1) as usize, futex::ANY),
        WAKE_BITSET => futex::wake(word(address)?, most.max(1) as usize, last as u32),
        // The counts are int; negative ones are refused.
        REQUEUE | CMP_REQUEUE if most < 0 || (timeout as i32) < 0 => Err(Errno::EINVAL),
        REQUEUE => {
            let (moved, other) = (timeout as u32 as usize, word(other)?);
            futex::requeue(word(address)?, most as usize, moved, other, None)
        }
        CMP_REQUEUE => {
            let expected = Some(last as u32);
            let (moved, other) = (timeout as u32 as usize, word(other)?);
            futex::requeue(word(address)?, most as usize, moved, other, expected)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// A point of CLOCK_REALTIME or CLOCK_MONOTONIC as a deadline.
fn absolute(until: &Timespec, realtime: bool) -> Result<Deadline, Errno> {
    let until = clock::nanoseconds(until)?;
    if !realtime {
        return Ok(Deadline::at(until));
    }
    let ahead = until.saturating_sub(clock::realtime());
    Ok(Deadline::after(clock::monotonic(), ahead))
}
