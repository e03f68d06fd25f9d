// SPDX-License-Identifier: BSD-2-Clause
//! select and pselect: as poll, 64 fds at a time.

use alloc::vec::Vec;

use libposix_poll::Deadline;
use libposix_poll::frontend::select::{NotOpen, Words, interest, reported};

use crate::abi::*;
use crate::calls::poll::{Steps, from_timespec, may_block, watch, write_rest};
use crate::calls::signal::read_set;
use crate::clock::{SECOND, timespec};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::table;
use crate::poller::{self, Polled, core};
use crate::shared::Shared;
use crate::signal::with_mask;
use crate::{process, user, wait};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("select", 23, select),
    Call::new("pselect6", 270, pselect6),
];

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

/// As [`poll_tag`].
fn select_tag(sets: FdSets) -> u64 {
    (sets.1 as u64) << 1 | 1
}

/// Whether the thread's set is armed for just this.
fn is_armed_for_select(polled: &Polled, sets: FdSets) -> Result<bool, Errno> {
    let Some((&tag, words)) = polled.words.split_first() else {
        return Ok(false);
    };
    if !polled.is_armed() || tag != select_tag(sets) {
        return Ok(false);
    }
    for (i, words) in words.as_chunks().0.iter().enumerate() {
        if sets.words(i)? != *words {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks the armed set; what is ready goes to `found`. How many bits.
fn take_select(polled: &Polled, found: &mut Vec<Words>) -> usize {
    let asked = polled.words.get(1..).unwrap_or(&[]).as_chunks().0;
    found.clear();
    found.resize(asked.len(), [0; 3]);
    let mut ready = 0;
    polled.take(|level, fd| {
        let i = fd as usize / 64;
        if let (Some(found), Some(&asked)) = (found.get_mut(i), asked.get(i)) {
            for (word, new) in found.iter_mut().zip(reported(asked, fd % 64, level)) {
                *word |= new;
                ready += new.count_ones() as usize;
            }
        }
    });
    ready
}

/// Sees to it that each fd's source wakes the thread. Whether the set can say for which.
fn arm_select(polled: &mut Polled, sets: FdSets) -> Result<bool, Errno> {
    let set = polled.begin();
    polled.words.push(select_tag(sets));
    let mut once = true;
    for i in 0..sets.len() {
        let words = sets.words(i)?;
        polled.words.extend(words);
        let mut any = words[0] | words[1] | words[2];
        while any != 0 {
            let bit = any.trailing_zeros();
            any &= any - 1;
            let fd = i * 64 + bit as usize;
            once &= watch(set, fd, interest(words, bit), fd as u32, true)?;
        }
    }
    Ok(once)
}

/// Memory for what a select has found, kept for the next one.
static FOUND: Shared<Vec<Words>> = Shared::new(Vec::new());

/// <https://man7.org/linux/man-pages/man2/select.2.html>
fn select_until(count: usize, sets: [usize; 3], deadline: Deadline) -> Result<usize, Errno> {
    let count = usize::try_from(count as i32).map_err(|_| Errno::EINVAL)?;
    // As Linux: numbers that cannot be open are not looked at.
    let sets = FdSets(sets, count.min(process::file_limit()));
    wait::settle();
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

/// As for poll.
fn find_selected(sets: FdSets, deadline: Deadline, found: &mut Vec<Words>) -> Result<usize, Errno> {
    let scanned = !poller::may_be_armed(select_tag(sets));
    if scanned {
        let ready = scan_select(sets, found)?;
        if ready > 0 || !may_block(deadline)? {
            return Ok(ready);
        }
    }
    poller::with_polled(|polled| {
        let steps = Steps {
            armed: !scanned && is_armed_for_select(polled, sets)?,
            scanned,
            arm: |polled: &mut Polled| arm_select(polled, sets),
            look: |polled: &Polled, armed| match armed {
                true => Ok(take_select(polled, found)),
                false => scan_select(sets, found),
            },
        };
        steps.run(polled, deadline)
    })
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
