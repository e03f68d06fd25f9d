// SPDX-License-Identifier: BSD-2-Clause
//! fork: the root server copies the memory; what refers to things outside of it is put right in the child.

use crate::errno::Errno;
use crate::platform::{self, children};
use crate::state::state;
use crate::{alarms, files, futex, poller, signal, threads};

/// fork(2).
pub fn fork() -> Result<usize, Errno> {
    files::share()?;
    let copied = state().copied();
    let pid = children::fork()?;
    if pid == 0 {
        state().restore(&copied);
        platform::threads::after_fork();
        threads::after_fork();
        futex::after_fork();
        poller::after_fork();
        files::locks::after_fork();
        files::after_fork();
        signal::after_fork();
        alarms::after_fork();
    }
    Ok(pid)
}
