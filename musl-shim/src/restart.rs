// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of a call that a signal interrupts: it is made again with the same arguments, or fails with EINTR (signal(7), SA_RESTART).
//!
//! The call has returned when its handlers run, so nothing of it is left behind by one that leaves by longjmp, and a call made again finds the files and
//! memory that they left, as on Linux. Only its deadline is kept, where the time limit is for the call as a whole.

use core::sync::atomic::Ordering::Relaxed;

use libposix_poll::Deadline;

use crate::deliver;
use crate::dispatch::{Args, Handler};
use crate::errno::Errno;
use crate::state::state;

/// What was delivered, as a call that it interrupted sees it. The worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ran {
    /// No handler: the process was stopped, or another thread took the signal.
    Nothing,
    /// Handlers with SA_RESTART alone.
    Restarting,
    /// A handler without it.
    Interrupting,
}

impl Ran {
    /// Whether a call that returned `errno` is made again.
    fn allows(self, errno: Errno) -> bool {
        match self {
            Ran::Nothing => true,
            Ran::Restarting => errno == Errno::RESTART,
            Ran::Interrupting => false,
        }
    }
}

/// A call's `handler` has returned `errno`, which the program must not see: delivers what is due and makes the call again, as often as it takes. The core lock is held.
#[cold]
#[inline(never)]
pub fn again(handler: Handler, args: &Args, mut errno: Errno) -> Result<usize, Errno> {
    loop {
        if !deliver::now().allows(errno) {
            return Err(Errno::EINTR);
        }
        match handler(args) {
            Err(next) if next.is_restart() => errno = next,
            result => {
                state().resume.store(0, Relaxed);
                return result;
            }
        }
    }
}

/// The calling thread's call is to have the same deadline if it is made again.
pub fn keep(deadline: Deadline) {
    if deadline != Deadline::NEVER {
        state().resume.store(deadline.ns(), Relaxed);
    }
}

/// The deadline of a call with a time limit: `new`, or what it was when the call was first made.
#[inline]
pub fn deadline(new: Deadline) -> Deadline {
    match state().resume.load(Relaxed) {
        0 => new,
        kept => {
            state().resume.store(0, Relaxed);
            Deadline::at(kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_decide_as_on_linux() {
        let allowed = |ran: Ran| [Errno::RESTART, Errno::RESTART_UNHANDLED].map(|e| ran.allows(e));
        assert_eq!(allowed(Ran::Nothing), [true, true]);
        assert_eq!(allowed(Ran::Restarting), [true, false]);
        assert_eq!(allowed(Ran::Interrupting), [false, false]);
        assert_eq!(Ran::Restarting.max(Ran::Interrupting), Ran::Interrupting);
    }
}
