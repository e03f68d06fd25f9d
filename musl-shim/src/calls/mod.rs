// SPDX-License-Identifier: BSD-2-Clause
//! The system calls, a file per area. Each handler copies its arguments in, acts, and copies only the results out.

use crate::dispatch::Call;

pub mod child;
pub mod epoll;
mod file;
mod identity;
mod inotify;
pub mod io;
mod lock;
mod memory;
mod message;
mod misc;
mod mmsg;
mod path;
pub mod poll;
mod process;
mod select;
mod signal;
pub mod socket;
mod sockopt;
mod splice;
mod thread;
mod time;
mod timer;
pub mod udp;
pub mod unix;

/// The tables of all areas.
pub const AREAS: &[&[Call]] = &[
    io::CALLS,
    splice::CALLS,
    file::CALLS,
    lock::CALLS,
    inotify::CALLS,
    path::CALLS,
    epoll::CALLS,
    poll::CALLS,
    select::CALLS,
    socket::CALLS,
    sockopt::CALLS,
    mmsg::CALLS,
    memory::CALLS,
    time::CALLS,
    timer::CALLS,
    process::CALLS,
    identity::CALLS,
    thread::CALLS,
    child::CALLS,
    signal::CALLS,
    misc::CALLS,
];
