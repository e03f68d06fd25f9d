// SPDX-License-Identifier: BSD-2-Clause
//! New processes. A child has a copy of all our state, so what the two are to share becomes Linux's first; vfork and posix_spawn's clone are forks,
//! since a child that shared our memory would change its parent's tables.

use super::super::raw::{self, nr};
use super::{fds, numbers, signals, source};
use crate::dispatch::Args;
use crate::platform::threads;
use crate::poller::core;
use crate::shared::locked;

/// fork(2), or another call that copies the process.
pub fn fork(number: usize, args: &Args) -> isize {
    signals::uninterrupted(|| {
        locked(|| {
            fds::give_all_away();
            // SAFETY: the child has its own copy of all memory and goes on here.
            let result = unsafe { raw::syscall(number, args) };
            if result == 0 {
                numbers::only_me();
                threads::renew();
                source::renew();
                fds::watch_again();
                core().only_thread();
            }
            result
        })
    })
}

/// execve(2): what the new program inherits is Linux's.
pub fn exec(number: usize, args: &Args) -> isize {
    signals::uninterrupted(|| locked(fds::give_all_away));
    // SAFETY: the program's own call.
    unsafe { raw::syscall(number, args) }
}

/// fork(2) without arguments.
pub fn plain_fork() -> isize {
    fork(nr::FORK, &[0; 6])
}
