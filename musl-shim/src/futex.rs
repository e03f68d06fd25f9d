// SPDX-License-Identifier: BSD-2-Clause
//! futex(2): threads that wait for a word to change. In memory that processes share, and not called private, a word is the root server's
//! ([`platform::futex`]); all others are this process's own affair.
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
use crate::wait::{self, Interrupted};
use crate::{memory, platform, user};

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

/// A word, and whom it concerns.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    address: usize,
    /// Other processes may wait for it.
    shared: bool,
}

impl Word {
    /// The word at an address: EINVAL, EFAULT. `private`: FUTEX_PRIVATE_FLAG.
    pub fn at(address: usize, private: bool) -> Result<Word, Errno> {
        check(address)?;
        let shared = !private && memory::with(|memory| memory.is_shared(address));
        Ok(Word { address, shared })
    }
}

/// FUTEX_WAIT_BITSET. EAGAIN: the word is not `value`; ETIMEDOUT, EINTR.
pub fn wait(word: Word, value: u32, set: u32, deadline: Deadline) -> Result<usize, Errno> {
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    if user::read::<u32>(word.address)? != value {
        return Err(Errno::EAGAIN);
    }
    if word.shared {
        return wait_shared(word.address, value, set, deadline);
    }
    let address = word.address;
    let thread = threads::current();
    let nothing = wait::for_nothing()?;
    LINES.lock().enter(address, Waiter { thread, set });
    let interrupted = Interrupted::restarts_without(deadline, Interrupted::GoesOn);
    let woken = wait::for_look(nothing, deadline, interrupted, || {
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

/// The same where processes share the word.
fn wait_shared(address: usize, value: u32, set: u32, deadline: Deadline) -> Result<usize, Errno> {
    // Before the thread stands in line: then nothing fails.
    let nothing = wait::for_nothing()?;
    platform::futex::enter(address, value, set)?;
    let interrupted = Interrupted::restarts_without(deadline, Interrupted::GoesOn);
    let waited = wait::for_look(nothing, deadline, interrupted, || {
        Ok(platform::futex::is_woken())
    });
    if waited == Ok(true) || platform::futex::leave() {
        return Ok(0);
    }
    waited.and(Err(Errno::ETIMEDOUT))
}

/// FUTEX_WAKE_BITSET: how many were woken.
pub fn wake(word: Word, most: usize, set: u32) -> Result<usize, Errno> {
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    let address = word.address;
    if word.shared {
        return platform::futex::wake(address, most, set);
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
    word: Word,
    most: usize,
    moved: usize,
    other: Word,
    expected: Option<u32>,
) -> Result<usize, Errno> {
    let (address, to) = (word.address, other.address);
    if let Some(expected) = expected
        && user::read::<u32>(address)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    if word.shared != other.shared {
        // No line reaches from a process to all: who would be moved looks for itself.
        return wake(word, most.saturating_add(moved), ANY);
    }
    let woken = wake(word, most, ANY)?;
    if word.shared {
        let count = platform::futex::move_on(address, to, moved)?;
        return Ok(woken + count);
    }
    let mut lines = LINES.lock();
    let mut count = 0;
    if to != address {
        while count < moved
            && let Some(waiter) = lines.next(address, ANY)
        {
            lines.enter(to, waiter);
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
