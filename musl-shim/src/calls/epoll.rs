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
use crate::files::{self, OpenFile, get, table};
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
const MAX_EVENTS: u32 = i32::MAX as u32 / EVENT_SIZE as u32;

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
    control(args[0], args[1], args[2], args[3])
}

/// epoll_ctl(2).
#[inline(always)]
pub fn control(
    fd: usize,
    operation: usize,
    target_fd: usize,
    event: usize,
) -> Result<usize, Errno> {
    const ADD: usize = 1;
    const DELETE: usize = 2;
    const MODIFY: usize = 3;
    let operation = operation as u32 as usize;
    let event: Option<EpollEvent> = match operation {
        DELETE => None,
        _ => Some(user::read(event)?),
    };
    let table = table();
    let file = table.get(fd as u32 as usize).ok_or(Errno::EBADF)?;
    let target = table
        .get(target_fd as u32 as usize)
        .ok_or(Errno::EBADF)?
        .source();
    if target == SourceId::NONE {
        return Err(Errno::EPERM);
    }
    let epoll = instance(file)?;
    drop(table);
    let operation = match (operation, event) {
        (ADD, Some(EpollEvent { events, data })) => Operation::Add { events, data },
        (MODIFY, Some(EpollEvent { events, data })) => Operation::Modify { events, data },
        (DELETE, _) => Operation::Delete,
        _ => return Err(Errno::EINVAL),
    };
    core().epoll_ctl(epoll, operation, target_fd as i32, target)?;
    Ok(0)
}

/// epoll_wait(2), if it need not wait; EAGAIN otherwise.
#[inline(always)]
pub fn wait_now(fd: usize, events: usize, most: usize, timeout: usize) -> Result<usize, Errno> {
    wait::settle();
    let (epoll, out) = waits_where(fd, events, most)?;
    let count = take(epoll, out);
    match count > 0 || timeout as i32 == 0 {
        true => Ok(count),
        false => Err(Errno::EAGAIN),
    }
}

/// The rest of epoll_wait(2), with a timeout in milliseconds.
#[inline]
pub fn wait_late([fd, events, most, timeout]: [usize; 4], errno: Errno) -> Result<usize, Errno> {
    if errno != Errno::EAGAIN {
        return Err(errno);
    }
    wait_longer(fd, waits_where(fd, events, most)?, milliseconds(timeout))
}

/// The instance that a call waits in, and the room for what it reports.
type Where<'a> = (InstanceId, &'a mut [[u8; EVENT_SIZE]]);

#[inline(always)]
fn waits_where<'a>(fd: usize, events: usize, most: usize) -> Result<Where<'a>, Errno> {
    // In Linux's order: EBADF, EINVAL for the number, EFAULT, EINVAL for the kind of file.
    let number = table().number(fd as u32 as usize).ok_or(Errno::EBADF)?;
    let most = most as u32;
    if !(1..=MAX_EVENTS).contains(&most) {
        return Err(Errno::EINVAL);
    }
    let out = user::array_mut(events, most as usize)?;
    let epoll = core().instance_at(number).ok_or(Errno::EINVAL)?;
    Ok((epoll, out))
}

/// Copies out what is ready; how many.
#[inline(always)]
fn take(epoll: InstanceId, out: &mut [[u8; EVENT_SIZE]]) -> usize {
    let most = out.len();
    // struct epoll_event: packed on x86_64 (trap 12).
    let mut events = out.iter_mut();
    core().take(epoll, most, |happened, data| {
        if let Some(event) = events.next() {
            event[..4].copy_from_slice(&happened.bits().to_ne_bytes());
            event[4..].copy_from_slice(&data.to_ne_bytes());
        }
    })
}

/// Waits in an instance in which nothing was ready just now, and copies out what was reported.
#[inline(never)]
fn wait_longer(fd: usize, (epoll, out): Where<'_>, deadline: Deadline) -> Result<usize, Errno> {
    // The instance is there as long as its file is, which somebody may close meanwhile.
    let _file = get(fd)?;
    let mut count = 0;
    wait::after_look(epoll, deadline, Interrupted::Ends, || {
        count = take(epoll, out);
        Ok(count > 0)
    })?;
    Ok(count)
}

/// The same from its beginning, with a deadline.
fn wait_until(fd: usize, events: usize, most: usize, deadline: Deadline) -> Result<usize, Errno> {
    wait::settle();
    let (epoll, out) = waits_where(fd, events, most)?;
    match take(epoll, out) {
        0 => wait_longer(fd, (epoll, out), deadline),
        count => Ok(count),
    }
}

fn epoll_wait(args: &Args) -> Result<usize, Errno> {
    let args @ [fd, events, most, timeout] = [args[0], args[1], args[2], args[3]];
    wait_now(fd, events, most, timeout).or_else(|errno| wait_late(args, errno))
}

fn epoll_pwait(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    with_mask(read_set(set, size)?, || {
        wait_until(fd, events, most, milliseconds(timeout))
    })
}

fn epoll_pwait2(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    let deadline = from_timespec(user::read_optional(timeout)?)?;
    with_mask(read_set(set, size)?, || {
        wait_until(fd, events, most, deadline)
    })
}
