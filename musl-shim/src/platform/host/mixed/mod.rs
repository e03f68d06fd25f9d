// SPDX-License-Identifier: BSD-2-Clause
//! Host mode: a C program on Linux whose epoll, poll, select, eventfd, timerfd and pipes are ours, everything else Linux's.
//!
//! * **Numbers.** Each fd of ours has a real one beneath it: an object of the same kind that Linux made (an empty pipe, a zero eventfd, a disarmed
//!   timerfd, an empty epoll). So numbers, limits, flags, fstat, dup and close are Linux's, and we only keep what is open beside it ([`fds`]).
//! * **Sources of Linux's.** Its fds are told of by two epoll instances of its own, one for each direction, edge-triggered; their level is asked of
//!   poll(2) at the look ([`source`]).
//! * **Leaving the process.** Across fork, exec and SCM_RIGHTS a pipe or eventfd of ours becomes the real one beneath it, what it holds included
//!   ([`adopt`](adopted::adopt)).
//! * **Signals** are Linux's. They are blocked while a thread is in the shim, and let in by the ppoll(2) in which it blocks ([`signals`]).
//! * **Threads** are Linux's; each has a number of ours, found by its GS base ([`numbers`]).

use alloc::rc::Weak;
use core::cell::RefCell;

use crate::files::OpenFile;

mod actions;
mod adopted;
mod family;
mod fds;
pub mod numbers;
mod route;
mod signals;
mod source;
mod thread;

/// The standard files are Linux's.
pub const STANDARD_FILES: core::iter::Empty<usize> = core::iter::empty();

/// A file with a real one beneath, by which Linux knows its fds.
pub trait Real {
    /// One of its numbers.
    fn number(&self) -> i32;

    /// It goes by this number from now on.
    fn take_number(&self, number: i32);

    /// The program has no number of it any more, but a thread is in a call on it: it goes by this one until that is over.
    fn keep(&self, kept: Kept);

    /// After a fork, in the child: if Linux is to tell of it, it is to tell the child.
    fn watch_again(&self);

    /// Hands over to the real file; whether it is Linux's now. The other end of a pipe has to come along.
    fn become_hosts(&self) -> bool {
        true
    }

    /// Where the other end of a pipe is kept.
    fn partner(&self) -> Option<&RefCell<Weak<OpenFile>>> {
        None
    }
}

/// Comes first. The shim's own fds are made while the program has set no limit, and stay.
pub fn start() {
    numbers::start();
    source::start();
    super::threads::eventfd();
}

pub use adopted::adopt;
pub use fds::{Kept, install, install_pair, limit};
pub use route::route;
pub use signals::{handlers_ran, interrupted, mask, mask_of, raise, set_mask, uninterrupted};
pub use source::settle;

pub(super) use fds::hide;
pub(super) use signals::{note_interruption, wait_mask};
pub(super) use source::hubs;
