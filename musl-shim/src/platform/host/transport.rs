// SPDX-License-Identifier: BSD-2-Clause
//! How a thread blocks. No source of another process tells of itself here.

pub use libposix_poll::backend::NoWatches as System;
use libposix_poll::backend::{Block, Woke};
use libposix_poll::{Deadline, Errno};

use super::raw::{self, nr};
use super::{plain, threads};
use crate::clock::{monotonic, timespec};
use crate::shared::unlocked;

/// struct pollfd.
#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

/// Blocks the calling thread until it is kicked or the deadline passes. The core lock is released meanwhile.
pub fn wait(_: Block, deadline: Deadline) -> Woke {
    const POLLIN: i16 = 1;
    let [input, output] = plain::hubs();
    let mut fds = [threads::eventfd(), input, output].map(|fd| PollFd {
        fd,
        events: POLLIN,
        revents: 0,
    });
    if threads::take_kick() {
        return Woke::default();
    }
    let mut rest = timespec(deadline.ns().saturating_sub(monotonic()));
    let timeout = match deadline {
        Deadline::NEVER => 0,
        _ => &raw mut rest as usize,
    };
    let mask = plain::wait_mask();
    let (mask, size) = match &mask {
        Some(mask) => (&raw const *mask as usize, size_of::<u64>()),
        None => (0, 0),
    };
    let args = [fds.as_mut_ptr() as usize, fds.len(), timeout, mask, size, 0];
    // Whoever kicks this thread from here on finds its eventfd.
    // SAFETY: the kernel writes to the fds and to the timeout, if there is one; both are ours.
    let result = unlocked(|| unsafe { raw::syscall(nr::PPOLL, &args) });
    if result == -(Errno::INTR.0 as isize) {
        plain::note_interruption();
    }
    threads::take_kick();
    Woke::default()
}
