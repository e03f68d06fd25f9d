// SPDX-License-Identifier: BSD-2-Clause
//! How a thread blocks. No source of another process tells of itself here.

use alloc::rc::Rc;

use libposix_poll::Deadline;
use libposix_poll::backend::{Backend, Woken};
use vfs_hooks::source::Slots;

use super::raw::{self, nr};
use super::threads;
use crate::clock::{monotonic, timespec};
use crate::shared::unlocked;

/// What makes backends.
#[derive(Debug, Default)]
pub struct Transport;

impl Transport {
    /// The only one.
    pub fn new() -> Transport {
        Transport
    }

    /// A backend for one more poller.
    pub fn backend(&self) -> Rc<dyn Backend> {
        Rc::new(Sleep)
    }
}

struct Sleep;

impl Slots for Sleep {
    fn attach(&self, _: u64) -> Option<u32> {
        None
    }

    fn detach(&self, _: u32, _: u64) {}

    fn kick(&self, thread: usize) {
        threads::kick(thread);
    }
}

/// struct pollfd.
#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

impl Backend for Sleep {
    fn has_news(&self) -> bool {
        false
    }

    fn take(&self, _: &mut dyn FnMut(u64)) -> bool {
        true
    }

    fn wait(&self, deadline: Deadline) -> Woken {
        const POLLIN: i16 = 1;
        let mut fds = [PollFd {
            fd: threads::eventfd(),
            events: POLLIN,
            revents: 0,
        }];
        if threads::take_kick() {
            return Woken::Interrupted;
        }
        let mut rest = timespec(deadline.ns().saturating_sub(monotonic()));
        let timeout = match deadline {
            Deadline::NEVER => 0,
            _ => &raw mut rest as usize,
        };
        let args = [fds.as_mut_ptr() as usize, fds.len(), timeout, 0, 0, 0];
        // Whoever kicks this thread from here on finds its eventfd.
        // SAFETY: the kernel writes to the fds and to the timeout, if there is one; both are ours.
        unlocked(|| unsafe { raw::syscall(nr::PPOLL, &args) });
        threads::take_kick();
        Woken::Interrupted
    }

    fn current_thread(&self) -> usize {
        threads::current()
    }
}
