// SPDX-License-Identifier: BSD-2-Clause
//! futex(2): threads of this process that wait for a word to change. Shared futexes work between its threads only (CAVEATS).
//!
//! The value is compared and the thread enters the line under the core lock, which whoever wakes takes too: nothing comes between. First in
//! line is first woken. A thread in a line remembers which word it waits for; whoever wakes it forgets that for it, and kicks it.

use alloc::collections::{BTreeMap, VecDeque};
use core::sync::atomic::Ordering::Relaxed;
use libposix_poll::Deadline;

use crate::errno::Errno;
use crate::platform::threads;
use crate::shared::Shared;
use crate::state::{state, state_of};
use crate::{user, wait};

/// Any bit of the set: FUTEX_BITSET_MATCH_ANY.
pub const ANY: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Waiter {
    thread: usize,
    set: u32,
}

struct Lines {
    /// By the word's address.
    lines: BTreeMap<usize, VecDeque<Waiter>>,
}

static LINES: Shared<Lines> = Shared::new(Lines {
    lines: BTreeMap::new(),
});

/// EINVAL unless the address is a word's.
fn check(address: usize) -> Result<(), Errno> {
    if address.is_multiple_of(4) {
        user::check(address, 4)
    } else {
        Err(Errno::EINVAL)
    }
}

impl Lines {
    fn enter(&mut self, address: usize, waiter: Waiter) {
        state_of(waiter.thread).waits_for.store(address, Relaxed);
        self.lines.entry(address).or_default().push_back(waiter);
    }

    /// Takes a thread out of the line that it is in.
    fn leave(&mut self, thread: usize) {
        let address = state_of(thread).waits_for.swap(0, Relaxed);
        if let Some(line) = self.lines.get_mut(&address) {
            line.retain(|waiter| waiter.thread != thread);
            self.close(address);
        }
    }

    /// The first in line with a bit of `set`.
    fn next(&mut self, address: usize, set: u32) -> Option<Waiter> {
        let line = self.lines.get_mut(&address)?;
        let at = line.iter().position(|waiter| waiter.set & set != 0)?;
        line.remove(at)
    }

    /// Forgets a line in which nobody stands.
    fn close(&mut self, address: usize) {
        if self.lines.get(&address).is_some_and(VecDeque::is_empty) {
            self.lines.remove(&address);
        }
    }
}

/// FUTEX_WAIT_BITSET. EAGAIN: the word is not `value`; ETIMEDOUT, EINTR.
pub fn wait(address: usize, value: u32, set: u32, deadline: Deadline) -> Result<usize, Errno> {
    check(address)?;
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    if user::read::<u32>(address)? != value {
        return Err(Errno::EAGAIN);
    }
    let thread = threads::current();
    LINES.lock().enter(address, Waiter { thread, set });
    let woken = wait::for_look(wait::for_nothing()?, deadline, || {
        Ok(state().waits_for.load(Relaxed) == 0)
    });
    match woken {
        Ok(true) => Ok(0),
        Ok(false) => {
            LINES.lock().leave(thread);
            Err(Errno::ETIMEDOUT)
        }
        Err(errno) => {
            LINES.lock().leave(thread);
            Err(errno)
        }
    }
}

/// FUTEX_WAKE_BITSET: how many were woken.
pub fn wake(address: usize, most: usize, set: u32) -> Result<usize, Errno> {
    check(address)?;
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    let mut woken = 0;
    let mut lines = LINES.lock();
    while woken < most
        && let Some(waiter) = lines.next(address, set)
    {
        state_of(waiter.thread).waits_for.store(0, Relaxed);
        threads::kick(waiter.thread);
        woken += 1;
    }
    lines.close(address);
    Ok(woken)
}

/// FUTEX_CMP_REQUEUE: wakes `most`, lets up to `moved` others stand in line for another word. `expected`: EAGAIN unless the word is that. How many of both.
pub fn requeue(
    address: usize,
    most: usize,
    moved: usize,
    other: usize,
    expected: Option<u32>,
) -> Result<usize, Errno> {
    check(address)?;
    check(other)?;
    if let Some(expected) = expected
        && user::read::<u32>(address)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let woken = wake(address, most, ANY)?;
    let mut lines = LINES.lock();
    let mut count = 0;
    if other != address {
        while count < moved
            && let Some(waiter) = lines.next(address, ANY)
        {
            lines.enter(other, waiter);
            count += 1;
        }
        lines.close(address);
    }
    Ok(woken + count)
}

/// In the child after fork(2): nobody waits.
pub fn after_fork() {
    LINES.lock().lines.clear();
}
