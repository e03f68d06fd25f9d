// SPDX-License-Identifier: BSD-2-Clause
//! epoll: copy in, ask the event core, copy out.

use libposix_poll::frontend::epoll::Operation;
use libposix_poll::{Deadline, InstanceId};
use vfs_hooks::source::SourceId;

use crate::abi::*;
use crate::calls::poll::{from_timespec, milliseconds};
use crate::calls::signal::read_set;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::epoll::EpollFile;
use crate::files::{self, OpenFile, get};
use crate::poller::core;
use crate::signal::with_mask;
use crate::user;
use crate::wait::{self, Interrupted};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("epoll_create", 213, epoll_create),
    Call::new("epoll_wait", 232, epoll_wait),
    Call::new("epoll_ctl", 233, epoll_ctl),
    Call::new("epoll_pwait", 281, epoll_pwait),
    Call::new("epoll_create1", 291, epoll_create1),
    Call::new("epoll_pwait2", 441, epoll_pwait2),
];

/// Bytes of a struct epoll_event.
const EVENT_SIZE: usize = size_of::<EpollEvent>();
/// Most events of one epoll_wait.
const MAX_EVENTS: i32 = i32::MAX / size_of::<EpollEvent>() as i32;

fn epoll_create(args: &Args) -> Result<usize, Errno> {
    if args[0] as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(&[0; 6])
}

fn epoll_create1(args: &Args) -> Result<usize, Errno> {
    let flags = args[0] as u32;
    if flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = EpollFile::new();
    files::install(OpenFile::new(file, O_RDWR), flags)
}

/// The epoll instance of an open file; EINVAL for another kind.
fn instance(file: &OpenFile) -> Result<InstanceId, Errno> {
    file.file.epoll().ok_or(Errno::EINVAL)
}

/// <https://man7.org/linux/man-pages/man2/epoll_ctl.2.html>
fn epoll_ctl(args: &Args) -> Result<usize, Errno> {
    const ADD: usize = 1;
    const DELETE: usize = 2;
    const MODIFY: usize = 3;
    let [fd, operation, target_fd, event, ..] = *args;
    let operation = operation as u32 as usize;
    let event: Option<EpollEvent> = match operation {
        DELETE => None,
        _ => Some(user::read(event)?),
    };
    let file = get(fd)?;
    let target = get(target_fd)?;
    if target.source() == SourceId::NONE {
        return Err(Errno::EPERM);
    }
    let epoll = instance(&file)?;
    let operation = match (operation, event) {
        (ADD, Some(EpollEvent { events, data })) => Operation::Add { events, data },
        (MODIFY, Some(EpollEvent { events, data })) => Operation::Modify { events, data },
        (DELETE, _) => Operation::Delete,
        _ => return Err(Errno::EINVAL),
    };
    core().epoll_ctl(epoll, operation, target_fd as i32, target.source())?;
    Ok(0)
}

/// Waits and copies out what was reported.
fn wait_for_events(
    fd: usize,
    events: usize,
    most: usize,
    deadline: Deadline,
) -> Result<usize, Errno> {
    // In Linux's order: EBADF, EINVAL for the number, EFAULT, EINVAL for the kind of file.
    let file = get(fd)?;
    let most = most as i32;
    if !(1..=MAX_EVENTS).contains(&most) {
        return Err(Errno::EINVAL);
    }
    let most = most as usize;
    let out = user::bytes_mut(events, most * size_of::<EpollEvent>())?;
    let epoll = instance(&file)?;
    let mut count = 0;
    wait::for_look(epoll, deadline, Interrupted::Ends, || {
        // struct epoll_event: packed on x86_64 (trap 12).
        let mut events = out.as_chunks_mut::<EVENT_SIZE>().0.iter_mut();
        count = core().take(epoll, most, |happened, data| {
            if let Some(event) = events.next() {
                event[..4].copy_from_slice(&happened.bits().to_ne_bytes());
                event[4..].copy_from_slice(&data.to_ne_bytes());
            }
        });
        Ok(count > 0)
    })?;
    Ok(count)
}

fn epoll_wait(args: &Args) -> Result<usize, Errno> {
    wait_for_events(args[0], args[1], args[2], milliseconds(args[3]))
}

fn epoll_pwait(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    with_mask(read_set(set, size)?, || {
        wait_for_events(fd, events, most, milliseconds(timeout))
    })
}

fn epoll_pwait2(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    let deadline = from_timespec(user::read_optional(timeout)?)?;
    with_mask(read_set(set, size)?, || {
        wait_for_events(fd, events, most, deadline)
    })
}
