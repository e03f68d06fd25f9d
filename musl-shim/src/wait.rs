// SPDX-License-Identifier: BSD-2-Clause
//! Blocking: the loop around every wait of the thread.
//!
//! ```text
//! loop {
//!     settle()                      own timers and the console tell their watchers
//!     look()                        whatever the call waits for; arms it if there is nothing
//!     signal due, deadline passed?  return
//!     sleep(nearest deadline)       the call's, or that of a timer
//! }
//! ```

use libposix_poll::Deadline;
use libposix_poll::backend::Woken;
use vfs_hooks::Events;

use crate::clock::monotonic;
use crate::errno::Errno;
use crate::files::{OpenFile, terminal};
use crate::{poller, signal, timers};

/// Waits until `look` says yes (`true`) or the deadline passes (`false`); EINTR if a signal comes first. `sleep` may return early.
pub fn for_look(
    deadline: Deadline,
    mut look: impl FnMut() -> Result<bool, Errno>,
    mut sleep: impl FnMut(Deadline) -> Woken,
) -> Result<bool, Errno> {
    loop {
        settle();
        if look()? {
            return Ok(true);
        }
        if signal::is_due() {
            return Err(Errno::EINTR);
        }
        // A deadline of 0 needs no look at the clock, and never is the most common of the others.
        if deadline.ns() == 0 || (deadline != Deadline::NEVER && deadline.passed(monotonic())) {
            return Ok(false);
        }
        sleep(deadline.min(timers::nearest()));
    }
}

/// Lets what only time or the root server changes tell its watchers.
#[inline]
pub fn settle() {
    if !timers::is_empty() {
        timers::run(monotonic());
    }
    terminal::settle();
}

/// Sleeps until CLOCK_MONOTONIC says `deadline`.
pub fn until(deadline: u64) -> Result<usize, Errno> {
    let kept = poller::kept();
    kept.begin();
    kept.armed();
    let deadline = Deadline::at(deadline);
    for_look(deadline, || Ok(false), |deadline| kept.wait(deadline))?;
    Ok(0)
}

/// Blocks until one of `events` (or an error) holds of the file; EAGAIN at the deadline.
pub fn for_file(file: &OpenFile, events: Events, deadline: Deadline) -> Result<(), Errno> {
    let Some(source) = file.file.source() else {
        return Ok(());
    };
    let wanted = events | Events::ALWAYS;
    let kept = poller::kept();
    kept.begin();
    let found = for_look(
        deadline,
        || {
            // Armed first, then looked at: nothing can happen unnoticed in between.
            kept.arm(file.watched_id(), &source, wanted)?;
            kept.armed();
            Ok(source.readiness().events.intersects(wanted))
        },
        |deadline| kept.wait(deadline),
    )?;
    if found { Ok(()) } else { Err(Errno::EAGAIN) }
}
