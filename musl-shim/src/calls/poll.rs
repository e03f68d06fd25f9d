// SPDX-License-Identifier: BSD-2-Clause
//! poll: looks at all files first; only to block, arms them in the set that the thread keeps, and asks that from then on. Only what Linux writes is
//! written.

use libposix_poll::{Deadline, InstanceId};
use vfs_hooks::Events;

use crate::abi::*;
use crate::calls::signal::read_set;
use crate::clock::{monotonic, nanoseconds, timespec};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::table;
use crate::poller::{Polled, core};
use crate::signal::with_mask;
use crate::wait::{self, Interrupted};
use crate::{poller, process, restart, signal, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[Call::new("poll", 7, poll), Call::new("ppoll", 271, ppoll)];

/// A timeout in milliseconds, negative for ever.
pub fn milliseconds(timeout: usize) -> Deadline {
    match timeout as i32 {
        0 => Deadline::at(0),
        ..0 => Deadline::NEVER,
        timeout => restart::deadline(Deadline::from_ms(monotonic(), timeout)),
    }
}

/// A timeout as struct timespec, none for ever.
pub fn from_timespec(timeout: Option<Timespec>) -> Result<Deadline, Errno> {
    Ok(match timeout.map(|t| nanoseconds(&t)).transpose()? {
        None => Deadline::NEVER,
        Some(0) => Deadline::at(0),
        Some(timeout) => restart::deadline(Deadline::after(monotonic(), timeout)),
    })
}

/// So many fds are armed and looked at anew each time, which costs less than to hear what happened.
pub const FEW: usize = 2;

/// What a struct pollfd asks for: fd and events, in the machine's order; revents lies above.
const ASKED: u64 = u64::MAX >> 16;

/// The array of a poll, as words.
fn pollfds<'a>(fds: usize, count: usize) -> Result<&'a mut [[u8; 8]], Errno> {
    let bytes = user::bytes_mut(fds, count * size_of::<Pollfd>())?;
    Ok(bytes.as_chunks_mut().0)
}

/// Looks at all entries, writing revents alone; how many are not 0.
fn scan_poll(fds: usize, count: usize) -> Result<usize, Errno> {
    let (table, mut core) = (table(), core());
    let mut ready = 0;
    for entry in pollfds(fds, count)? {
        let word = u64::from_ne_bytes(*entry);
        let (fd, events) = (word as u32, (word >> 32) as u16);
        let found = match table.number(fd as usize) {
            Some(number) => core.revents(number, events),
            None if (fd as i32) < 0 => Events::empty(),
            None => Events::NVAL,
        };
        let revents = u64::from(found.bits() as u16);
        *entry = (word & ASKED | revents << 48).to_ne_bytes();
        ready += usize::from(!found.is_empty());
    }
    Ok(ready)
}

/// The words by which a set that was armed for a poll is known again, before those of the fds.
fn poll_tag(count: usize) -> u64 {
    (count as u64) << 1
}

/// Whether the thread's set is armed for just this; then clears revents.
fn is_armed_for_poll(polled: &Polled, fds: usize, count: usize) -> Result<bool, Errno> {
    let Some((&tag, words)) = polled.words.split_first() else {
        return Ok(false);
    };
    if !polled.is_armed() || tag != poll_tag(count) {
        return Ok(false);
    }
    for (entry, &word) in pollfds(fds, count)?.iter_mut().zip(words) {
        if u64::from_ne_bytes(*entry) & ASKED != word {
            return Ok(false);
        }
        *entry = word.to_ne_bytes();
    }
    Ok(true)
}

/// Asks the armed set; the other entries' revents are cleared.
fn take_poll(polled: &Polled, fds: usize, count: usize) -> Result<usize, Errno> {
    let entries = pollfds(fds, count)?;
    Ok(polled.take(|found, at| {
        if let Some([.., low, high]) = entries.get_mut(at as usize) {
            [*low, *high] = (found.bits() as u16).to_ne_bytes();
        }
    }))
}

/// Sees to it that each open fd's source wakes the thread. Whether the set can say for which: no file is there twice.
fn arm_poll(polled: &mut Polled, fds: usize, count: usize) -> Result<bool, Errno> {
    let set = polled.begin();
    polled.words.push(poll_tag(count));
    let mut once = count > FEW;
    for (at, entry) in (0..).zip(pollfds(fds, count)?) {
        let word = u64::from_ne_bytes(*entry) & ASKED;
        polled.words.push(word);
        let (fd, events) = (word as i32, (word >> 32) as u32);
        if fd >= 0 {
            once &= watch(
                set,
                fd as usize,
                Events::from_bits_truncate(events),
                at,
                count > FEW,
            )?;
        }
    }
    Ok(once)
}

/// Watches an fd, if it is open, as number `at` of a set, and `looks` at it. Whether the set can say whether it is ready.
pub fn watch(
    set: InstanceId,
    fd: usize,
    events: Events,
    at: u32,
    looks: bool,
) -> Result<bool, Errno> {
    let table = table();
    let Some(file) = table.get(fd) else {
        return Ok(looks);
    };
    let mut core = core();
    let watched = match looks {
        true => core.poll_watch(set, file.source(), events, at),
        false => core.poll_arm(set, file.source(), events).map(|()| false),
    };
    watched.map_err(|_| Errno::ENOMEM)
}

/// <https://man7.org/linux/man-pages/man2/poll.2.html>
fn poll_until(fds: usize, count: usize, deadline: Deadline) -> Result<usize, Errno> {
    if count > process::file_limit() {
        return Err(Errno::EINVAL);
    }
    user::check_range(fds, count * size_of::<Pollfd>())?;
    user::check(fds, count * size_of::<Pollfd>())?;
    wait::settle();
    // In most calls that find something at once nothing is armed: they are over here.
    let scanned = !poller::may_be_armed(poll_tag(count));
    if scanned {
        let ready = scan_poll(fds, count)?;
        if ready > 0 || !may_block(deadline)? {
            return Ok(ready);
        }
    }
    poller::with_polled(|polled| {
        let steps = Steps {
            armed: !scanned && is_armed_for_poll(polled, fds, count)?,
            scanned,
            arm: |polled: &mut Polled| arm_poll(polled, fds, count),
            look: |polled: &Polled, armed| match armed {
                true => take_poll(polled, fds, count),
                false => scan_poll(fds, count),
            },
        };
        steps.run(polled, deadline)
    })
}

/// Whether a call that found nothing is to wait. A signal interrupts it also where it would not (but not epoll_wait).
pub fn may_block(deadline: Deadline) -> Result<bool, Errno> {
    if signal::is_due() {
        return Err(Interrupted::GoesOn.errno(deadline));
    }
    Ok(deadline != Deadline::at(0))
}

/// What poll and select do with the set that the thread keeps.
pub struct Steps<Arm, Look> {
    /// Whether it is armed for just this call,
    pub armed: bool,
    /// and if not, whether everything was looked at just now, in vain.
    pub scanned: bool,
    /// Arms it. Whether it can say then what holds of which: no file is there twice, and they are not few.
    pub arm: Arm,
    /// Asks it if it is armed, or looks at everything; how much is ready.
    pub look: Look,
}

impl<Arm, Look> Steps<Arm, Look>
where
    Arm: FnMut(&mut Polled) -> Result<bool, Errno>,
    Look: FnMut(&Polled, bool) -> Result<usize, Errno>,
{
    /// Looks, and waits until something is ready.
    pub fn run(mut self, polled: &mut Polled, deadline: Deadline) -> Result<usize, Errno> {
        let mut ready = 0;
        if !self.scanned {
            ready = (self.look)(polled, self.armed)?;
            if ready > 0 || !may_block(deadline)? {
                return Ok(ready);
            }
        }
        let set = polled.set();
        let mut woken = false;
        wait::for_look(set, deadline, Interrupted::GoesOn, || {
            // Other threads may have closed fds meanwhile.
            self.armed &= polled.is_armed();
            // Woken, mostly by what is waited for: then nothing need be armed anew.
            if woken {
                ready = (self.look)(polled, self.armed)?;
            }
            woken = true;
            if ready == 0 && !self.armed {
                self.armed = (self.arm)(polled)?;
                polled.end(self.armed);
                ready = (self.look)(polled, self.armed)?;
            }
            Ok(ready > 0)
        })?;
        Ok(ready)
    }
}

fn poll(args: &Args) -> Result<usize, Errno> {
    poll_for(args[0], args[1], args[2])
}

/// poll(2), with a timeout in milliseconds.
#[inline]
pub fn poll_for(fds: usize, count: usize, timeout: usize) -> Result<usize, Errno> {
    poll_until(fds, count as u32 as usize, milliseconds(timeout))
}

/// Writes back what is left of a timeout, as the system calls (not the C functions) do.
pub fn write_rest(
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
