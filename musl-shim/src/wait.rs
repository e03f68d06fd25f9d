// SPDX-License-Identifier: BSD-2-Clause
//! Blocking: the loop around every wait of the thread.
//!
//! ```text
//! loop {
//!     settle()                      own timers and the console tell their watchers; a stopped process rests here
//!     look()                        whatever the call waits for; arms it if there is nothing
//!     signal due, deadline passed?  return: `Interrupted` says with which errno
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
use crate::shared::unlocked;
use crate::{restart, signal, timers, trace};

/// What a signal makes of a wait (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// EINTR, whatever the signal does; also if the process was stopped meanwhile.
    Ends,
    /// The call goes on if no handler ran, with the deadline that it had.
    GoesOn,
    /// The call goes on but for handlers without SA_RESTART.
    Restarts,
}

impl Interrupted {
    /// A call that SA_RESTART has go on unless it has a time limit.
    pub fn restarts_without(limit: Deadline, with: Interrupted) -> Interrupted {
        match limit {
            Deadline::NEVER => Interrupted::Restarts,
            _ => with,
        }
    }

    /// What the wait returns then.
    #[cold]
    pub fn errno(self, deadline: Deadline) -> Errno {
        match self {
            Interrupted::Ends => Errno::EINTR,
            Interrupted::GoesOn => {
                restart::keep(deadline);
                Errno::RESTART_UNHANDLED
            }
            Interrupted::Restarts => Errno::RESTART,
        }
    }
}

/// Waits until `look` says yes (`true`) or the deadline passes (`false`); the errno of `interrupted` if a signal comes first. Sleeps until something
/// happens in the instance.
#[inline]
pub fn for_look(
    instance: InstanceId,
    deadline: Deadline,
    interrupted: Interrupted,
    mut look: impl FnMut() -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    settle();
    match look()? {
        true => Ok(true),
        false => after_look(instance, deadline, interrupted, look),
    }
}

/// [`for_look`] once a look has found nothing.
#[inline]
pub fn after_look(
    instance: InstanceId,
    deadline: Deadline,
    interrupted: Interrupted,
    mut look: impl FnMut() -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    loop {
        // A deadline of 0 is no wait that a signal could interrupt.
        if deadline.ns() == 0 {
            return Ok(false);
        }
        if signal::is_due() {
            return Err(interrupted.errno(deadline));
        }
        // No look at the clock where there is no deadline.
        if deadline != Deadline::NEVER && deadline.passed(monotonic()) {
            return Ok(false);
        }
        sleep(instance, deadline);
        if settle() && interrupted == Interrupted::Ends {
            return Err(Errno::EINTR);
        }
        if look()? {
            return Ok(true);
        }
    }
}

/// Sleeps until something happens in the instance, somebody kicks the thread, the deadline passes, or a timer's.
#[cold]
fn sleep(instance: InstanceId, deadline: Deadline) {
    let me = threads::current();
    let block = core().block(instance, me);
    if let Some(block) = block {
        if trace::is_on() {
            trace::blocks();
        }
        timers::falls_asleep(me);
        let woke = transport::wait(block, deadline.min(timers::nearest()));
        timers::is_awake(me);
        if trace::is_on() {
            trace::woken(&woke);
        }
        core().unblock(instance, me, block, woke);
    }
}

/// Lets what only time or the platform changes tell its watchers. Whether the process was stopped, and goes on again.
#[inline]
pub fn settle() -> bool {
    if !timers::is_empty() {
        run_timers();
    }
    terminal::settle();
    platform::settle();
    signal::fetch()
}

/// Apart, so that who has no timers saves no registers for it.
#[cold]
#[inline(never)]
fn run_timers() {
    timers::run(monotonic());
}

/// Lets others run, and signals in, between two tries.
#[cold]
pub fn give_way() -> Result<(), Errno> {
    unlocked(platform::process::give_way);
    settle();
    match signal::is_due() {
        true => Err(Interrupted::Restarts.errno(Deadline::NEVER)),
        false => Ok(()),
    }
}

/// Sleeps until CLOCK_MONOTONIC says `deadline`.
pub fn until(deadline: Deadline) -> Result<usize, Errno> {
    for_look(for_nothing()?, deadline, Interrupted::GoesOn, || Ok(false))?;
    Ok(0)
}

/// The calling thread's own set, with nothing in it: who waits in it is woken by kicks and time.
pub fn for_nothing() -> Result<InstanceId, Errno> {
    poller::armed_for(None)
}

/// Sleeps until a signal of `set` waits, blocked or not, or CLOCK_MONOTONIC says `deadline`.
pub fn for_signal(set: u64, deadline: u64) -> Result<bool, Errno> {
    let look = || Ok(signal::pending() & set != 0);
    let deadline = Deadline::at(deadline);
    for_look(for_nothing()?, deadline, Interrupted::Ends, look)
}

/// What [`for_news`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// What is waited for holds, and did so before the thread slept.
    Holds,
    /// The thread slept, and was woken, mostly by what is waited for.
    Woken,
}

/// Sleeps once, unless one of `events` (or an error) holds of the source; EAGAIN at the deadline (SO_RCVTIMEO, SO_SNDTIMEO). The source stays armed for
/// the thread's next wait for it.
pub fn for_news(source: SourceId, events: Events, deadline: Deadline) -> Result<News, Errno> {
    let wanted = events | Events::ALWAYS;
    settle();
    // Asked for each time: while the thread slept, a handler of its own may have waited for something else.
    let set = poller::armed_for_source(source, wanted)?;
    if core().poll_again(set, source).intersects(wanted) {
        return Ok(News::Holds);
    }
    let interrupted = Interrupted::restarts_without(deadline, Interrupted::Ends);
    if signal::is_due() {
        return Err(interrupted.errno(deadline));
    }
    if deadline != Deadline::NEVER && deadline.passed(monotonic()) {
        return Err(Errno::EAGAIN);
    }
    sleep(set, deadline);
    if settle() && interrupted == Interrupted::Ends {
        return Err(Errno::EINTR);
    }
    Ok(News::Woken)
}

/// Blocks until one of `events` (or an error) holds of the source; EAGAIN at the deadline.
pub fn for_source(source: SourceId, events: Events, deadline: Deadline) -> Result<(), Errno> {
    if source == SourceId::NONE {
        return Ok(());
    }
    let wanted = events | Events::ALWAYS;
    // Woken, mostly by what is waited for: then nothing need be armed anew.
    while for_news(source, events, deadline)? == News::Woken
        && !core().level(source).intersects(wanted)
    {}
    Ok(())
}

/// Tries again at each of `events` that happens to the source, until `attempt` says something else than EAGAIN; that if the deadline passes first.
#[cold]
pub fn for_success<R>(
    source: SourceId,
    events: Events,
    deadline: Deadline,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let wanted = Some((source, events | Events::ALWAYS));
    let mut found = Err(Errno::EAGAIN);
    let look = || {
        // Armed before the try: what makes room after it wakes.
        let set = poller::armed_for(wanted)?;
        core().poll_again(set, source);
        found = attempt();
        Ok(!matches!(found, Err(Errno::EAGAIN)))
    };
    let interrupted = Interrupted::restarts_without(deadline, Interrupted::Ends);
    for_look(poller::armed_for(wanted)?, deadline, interrupted, look)?;
    found
}
