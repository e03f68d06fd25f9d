// SPDX-License-Identifier: BSD-2-Clause
//! Blocking: the loop around every wait of the thread.
//!
//! ```text
//! loop {
//!     settle()                      own timers and the console tell their watchers
//!     look()                        whatever the call waits for; arms it if there is nothing
//!     signal due, deadline passed?  return
//!     sleep(nearest deadline)       the call's, or that of a timer; the core lock is released meanwhile
//! }
//! ```

use libposix_poll::{Deadline, InstanceId};
use vfs_hooks::Events;
use vfs_hooks::source::SourceId;

use crate::clock::monotonic;
use crate::errno::Errno;
use crate::files::terminal;
use crate::platform::{self, threads, transport};
use crate::poller::{self, core};
use crate::{signal, timers};

/// Waits until `look` says yes (`true`) or the deadline passes (`false`); EINTR if a signal comes first. Sleeps until something happens in the
/// instance.
#[inline]
pub fn for_look(
    instance: InstanceId,
    deadline: Deadline,
    mut look: impl FnMut() -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    loop {
        settle();
        if look()? {
            return Ok(true);
        }
        // A deadline of 0 is no wait that a signal could interrupt.
        if deadline.ns() == 0 {
            return Ok(false);
        }
        if signal::is_due() {
            return Err(Errno::EINTR);
        }
        // No look at the clock where there is no deadline.
        if deadline != Deadline::NEVER && deadline.passed(monotonic()) {
            return Ok(false);
        }
        sleep(instance, deadline.min(timers::nearest()));
    }
}

/// Sleeps until something happens in the instance, somebody kicks the thread, or the deadline passes.
#[cold]
fn sleep(instance: InstanceId, deadline: Deadline) {
    let me = threads::current();
    let block = core().block(instance, me);
    if let Some(block) = block {
        let woke = transport::wait(block, deadline);
        core().unblock(instance, me, block, woke);
    }
}

/// Lets what only time or the platform changes tell its watchers.
#[inline]
pub fn settle() {
    if !timers::is_empty() {
        run_timers();
    }
    terminal::settle();
    platform::settle();
    signal::fetch();
}

/// Apart, so that who has no timers saves no registers for it.
#[cold]
#[inline(never)]
fn run_timers() {
    timers::run(monotonic());
}

/// Sleeps until CLOCK_MONOTONIC says `deadline`.
pub fn until(deadline: u64) -> Result<usize, Errno> {
    for_look(for_nothing()?, Deadline::at(deadline), || Ok(false))?;
    Ok(0)
}

/// The calling thread's own set, with nothing in it: who waits in it is woken by kicks and time.
pub fn for_nothing() -> Result<InstanceId, Errno> {
    poller::armed_for(None)
}

/// Sleeps until a signal of `set` waits, blocked or not, or CLOCK_MONOTONIC says `deadline`.
pub fn for_signal(set: u64, deadline: u64) -> Result<bool, Errno> {
    let look = || Ok(signal::pending() & set != 0);
    for_look(for_nothing()?, Deadline::at(deadline), look)
}

/// Blocks until one of `events` (or an error) holds of the source; EAGAIN at the deadline. The source stays armed for the thread's next wait for it.
pub fn for_source(source: SourceId, events: Events, deadline: Deadline) -> Result<(), Errno> {
    if source == SourceId::NONE {
        return Ok(());
    }
    let wanted = events | Events::ALWAYS;
    let mut woken = false;
    let mut look = || {
        // Woken, mostly by what is waited for: then nothing need be armed anew.
        if woken && core().level(source).intersects(wanted) {
            return Ok(true);
        }
        woken = true;
        // Asked for each time: while the thread slept, a handler of its own may have waited for something else.
        let set = poller::armed_for(Some((source, wanted)))?;
        Ok(core().poll_again(set, source).intersects(wanted))
    };
    let set = poller::armed_for(Some((source, wanted)))?;
    let found = loop {
        match for_look(set, deadline, &mut look) {
            Err(Errno::EINTR) if platform::restarts() => {}
            result => break result?,
        }
    };
    if found { Ok(()) } else { Err(Errno::EAGAIN) }
}
