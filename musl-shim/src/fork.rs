// SPDX-License-Identifier: BSD-2-Clause
//! fork: the root server copies the memory; what refers to things outside of it is put right in the child.

use crate::calls::child;
use crate::errno::Errno;
use crate::platform::{self, children};
use crate::state::state;
use crate::{alarms, clock, files, futex, limits, poller, signal, threads};

/// fork(2).
pub fn fork() -> Result<usize, Errno> {
    limits::another_task()?;
    files::share()?;
    let copied = state().copied();
    let pid = children::fork()?;
    if pid == 0 {
        state().restore(&copied);
        platform::threads::after_fork();
        threads::after_fork();
        futex::after_fork();
        child::after_fork();
        poller::after_fork();
        files::locks::after_fork();
        files::after_fork();
        signal::after_fork();
        alarms::after_fork();
        // Its processor time begins here, not with the parent's.
        clock::start();
    }
    Ok(pid)
}
