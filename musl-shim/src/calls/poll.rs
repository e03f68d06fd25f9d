// SPDX-License-Identifier: BSD-2-Clause
//! poll and select: look at all files first; only to block, arm them in the set that the thread keeps. Only what Linux writes is written.

use alloc::vec::Vec;

use libposix_poll::frontend::select::{NotOpen, Words, interest};
use libposix_poll::{Deadline, InstanceId};
use vfs_hooks::Events;

use crate::abi::*;
use crate::calls::signal::read_set;
use crate::clock::{SECOND, monotonic, nanoseconds, timespec};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::table;
use crate::poller::core;
use crate::shared::Shared;
use crate::signal::with_mask;
use crate::{poller, process, signal, user, wait};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("poll", 7, poll),
    Call::new("select", 23, select),
    Call::new("pselect6", 270, pselect6),
    Call::new("ppoll", 271, ppoll),
];

/// A timeout in milliseconds, negative for ever.
pub fn milliseconds(timeout: usize) -> Deadline {
    match timeout as i32 {
        0 => Deadline::at(0),
        ..0 => Deadline::NEVER,
        timeout => Deadline::from_ms(monotonic(), timeout),
    }
}

/// A timeout as struct timespec, none for ever.
pub fn from_timespec(timeout: Option<Timespec>) -> Result<Deadline, Errno> {
    Ok(match timeout.map(|t| nanoseconds(&t)).transpose()? {
        None => Deadline::NEVER,
        Some(0) => Deadline::at(0),
        Some(timeout) => Deadline::after(monotonic(), timeout),
    })
}

/// Looks at all entries, writing revents alone; how many are not 0.
fn scan_poll(fds: usize, count: usize) -> Result<usize, Errno> {
    let (table, mut core) = (table(), core());
    let mut ready = 0;
    // struct pollfd: fd, events, revents, in the machine's order.
    for entry in user::bytes_mut(fds, count * size_of::<Pollfd>())?
        .as_chunks_mut()
        .0
    {
        let word = u64::from_ne_bytes(*entry);
        let (fd, events) = (word as u32, (word >> 32) as u16);
        let found = match table.number(fd as usize) {
            Some(number) => core.revents(number, events),
            None if (fd as i32) < 0 => Events::empty(),
            None => Events::NVAL,
        };
        let revents = u64::from(found.bits() as u16);
        *entry = (word << 16 >> 16 | revents << 48).to_ne_bytes();
        ready += usize::from(!found.is_empty());
    }
    Ok(ready)
}

/// Sees to it that each open fd's source wakes the thread.
fn arm_poll(set: InstanceId, fds: usize, count: usize) -> Result<(), Errno> {
    core().poll_begin(set);
    for i in 0..count {
        let entry: Pollfd = user::read(fds + i * size_of::<Pollfd>())?;
        if entry.fd < 0 {
            continue;
        }
        let asked = Events::from_bits_truncate(entry.events_revents & 0xffff);
        arm(set, entry.fd as usize, asked)?;
    }
    core().poll_armed(set, count);
    Ok(())
}

fn arm(set: InstanceId, fd: usize, events: Events) -> Result<(), Errno> {
    if let Some(file) = table().get(fd) {
        core()
            .poll_arm(set, file.source(), events)
            .map_err(|_| Errno::ENOMEM)?;
    }
    Ok(())
}

/// <https://man7.org/linux/man-pages/man2/poll.2.html>
fn poll_until(fds: usize, count: usize, deadline: Deadline) -> Result<usize, Errno> {
    if count > process::file_limit() {
        return Err(Errno::EINVAL);
    }
    user::check_range(fds, count * size_of::<Pollfd>())?;
    user::check(fds, count * size_of::<Pollfd>())?;
    wait::settle();
    let mut ready = scan_poll(fds, count)?;
    if ready > 0 {
        return Ok(ready);
    }
    // Even where there is no wait to interrupt (but not in epoll_wait).
    if signal::is_due() {
        return Err(Errno::EINTR);
    }
    if deadline == Deadline::at(0) {
        return Ok(0);
    }
    let set = poller::kept();
    let mut woken = false;
    wait::for_look(set, deadline, || {
        // Woken, mostly by what is waited for: then nothing need be armed anew.
        if woken {
            ready = scan_poll(fds, count)?;
        }
        if ready == 0 {
            woken = true;
            arm_poll(set, fds, count)?;
            ready = scan_poll(fds, count)?;
        }
        Ok(ready > 0)
    })?;
    Ok(ready)
}

fn poll(args: &Args) -> Result<usize, Errno> {
    poll_until(args[0], args[1] as u32 as usize, milliseconds(args[2]))
}

/// Writes back what is left of a timeout, as the system calls (not the C functions) do.
fn write_rest(
    address: usize,
    deadline: Deadline,
    write: impl FnOnce(u64) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if address == 0 || deadline == Deadline::NEVER {
        return Ok(());
    }
    write(deadline.ns().saturating_sub(monotonic()))
}

fn ppoll(args: &Args) -> Result<usize, Errno> {
    let [fds, count, timeout, set, size, ..] = *args;
    let deadline = from_timespec(user::read_optional(timeout)?)?;
    let result = with_mask(read_set(set, size)?, || {
        poll_until(fds, count as u32 as usize, deadline)
    });
    write_rest(timeout, deadline, |rest| {
        user::write(timeout, timespec(rest))
    })?;
    result
}

/// Addresses of the three sets of a select, and how many fds they have.
#[derive(Clone, Copy)]
struct FdSets([usize; 3], usize);

impl FdSets {
    /// How many words.
    fn len(&self) -> usize {
        self.1.div_ceil(64)
    }

    /// Word `i` of each set; zero for one that is not given, and beyond the last fd.
    #[inline]
    fn words(&self, i: usize) -> Result<Words, Errno> {
        let left = self.1 - i * 64;
        let mask = if left < 64 { (1 << left) - 1 } else { u64::MAX };
        let mut words = [0; 3];
        for (word, &set) in words.iter_mut().zip(&self.0) {
            if set != 0 {
                *word = user::read::<u64>(set + i * 8)? & mask;
            }
        }
        Ok(words)
    }
}

/// Looks at all fds; what is ready goes to `found`. How many bits; EBADF if one is not open.
fn scan_select(sets: FdSets, found: &mut Vec<Words>) -> Result<usize, Errno> {
    found.clear();
    let (table, mut core) = (table(), core());
    let mut ready = 0;
    for i in 0..sets.len() {
        let (words, count) = core
            .select(sets.words(i)?, |bit| table.number(i * 64 + bit as usize))
            .map_err(|NotOpen| Errno::EBADF)?;
        ready += count;
        found.push(words);
    }
    Ok(ready)
}

/// Sees to it that each fd's source wakes the thread.
fn arm_select(set: InstanceId, sets: FdSets) -> Result<(), Errno> {
    core().poll_begin(set);
    let mut used = 0;
    for i in 0..sets.len() {
        let words = sets.words(i)?;
        let mut any = words[0] | words[1] | words[2];
        while any != 0 {
            let bit = any.trailing_zeros();
            any &= any - 1;
            used += 1;
            arm(set, i * 64 + bit as usize, interest(words, bit))?;
        }
    }
    core().poll_armed(set, used);
    Ok(())
}

/// Memory for what a select has found, kept for the next one.
static FOUND: Shared<Vec<Words>> = Shared::new(Vec::new());

/// <https://man7.org/linux/man-pages/man2/select.2.html>
fn select_until(count: usize, sets: [usize; 3], deadline: Deadline) -> Result<usize, Errno> {
    let count = usize::try_from(count as i32).map_err(|_| Errno::EINVAL)?;
    // As Linux: numbers that cannot be open are not looked at.
    let sets = FdSets(sets, count.min(process::file_limit()));
    let mut found = core::mem::take(&mut *FOUND.lock());
    let ready = find_selected(sets, deadline, &mut found);
    if ready.is_ok() {
        for (i, words) in found.iter().enumerate() {
            for (&set, &word) in sets.0.iter().zip(words) {
                if set != 0 {
                    user::write(set + i * 8, word)?;
                }
            }
        }
    }
    *FOUND.lock() = found;
    ready
}

fn find_selected(sets: FdSets, deadline: Deadline, found: &mut Vec<Words>) -> Result<usize, Errno> {
    wait::settle();
    let mut ready = scan_select(sets, found)?;
    if ready > 0 {
        return Ok(ready);
    }
    if signal::is_due() {
        return Err(Errno::EINTR);
    }
    if deadline != Deadline::at(0) {
        let set = poller::kept();
        let mut woken = false;
        wait::for_look(set, deadline, || {
            if woken {
                ready = scan_select(sets, found)?;
            }
            if ready == 0 {
                woken = true;
                arm_select(set, sets)?;
                ready = scan_select(sets, found)?;
            }
            Ok(ready > 0)
        })?;
    }
    Ok(ready)
}

fn select(args: &Args) -> Result<usize, Errno> {
    let [count, read, write, except, timeout, _] = *args;
    let deadline = match user::read_optional::<Timeval>(timeout)? {
        None => Deadline::NEVER,
        Some(time) => {
            if time.tv_sec < 0 || time.tv_usec < 0 {
                return Err(Errno::EINVAL);
            }
            let total = (time.tv_sec as u64)
                .saturating_mul(SECOND)
                .saturating_add((time.tv_usec as u64).saturating_mul(1000));
            from_timespec(Some(timespec(total)))?
        }
    };
    let result = select_until(count, [read, write, except], deadline);
    write_rest(timeout, deadline, |rest| {
        let rest = Timeval {
            tv_sec: (rest / SECOND) as i64,
            tv_usec: (rest % SECOND / 1000) as i64,
        };
        user::write(timeout, rest)
    })?;
    result
}

fn pselect6(args: &Args) -> Result<usize, Errno> {
    let [count, read, write, except, timeout, set] = *args;
    let deadline = from_timespec(user::read_optional(timeout)?)?;
    let mask = match user::read_optional::<SigsetArgument>(set)? {
        Some(argument) => read_set(argument.set as usize, argument.len as usize)?,
        None => None,
    };
    let result = with_mask(mask, || {
        select_until(count, [read, write, except], deadline)
    });
    write_rest(timeout, deadline, |rest| {
        user::write(timeout, timespec(rest))
    })?;
    result
}
