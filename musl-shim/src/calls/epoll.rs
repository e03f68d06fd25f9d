// SPDX-License-Identifier: BSD-2-Clause
//! epoll: copy in, ask the event core, copy out.

use alloc::rc::Rc;
use alloc::vec::Vec;

use libposix_poll::Deadline;
use libposix_poll::frontend::epoll::{Epoll, Operation, Target};
use libposix_poll::watch::Report;

use crate::abi::*;
use crate::calls::poll::{from_timespec, milliseconds};
use crate::calls::signal::read_set;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::epoll::EpollFile;
use crate::files::{self, OpenFile, get};
use crate::shared::Shared;
use crate::signal::with_mask;
use crate::{poller, user, wait};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("epoll_create", 213, epoll_create),
    Call::new("epoll_wait", 232, epoll_wait),
    Call::new("epoll_ctl", 233, epoll_ctl),
    Call::new("epoll_pwait", 281, epoll_pwait),
    Call::new("epoll_create1", 291, epoll_create1),
    Call::new("epoll_pwait2", 441, epoll_pwait2),
];

/// Most events of one epoll_wait.
const MAX_EVENTS: i32 = i32::MAX / size_of::<EpollEvent>() as i32;
/// Reports taken at once; kept between calls, so that a wait with something pending allocates nothing.
static REPORTS: Shared<Vec<Report>> = Shared::new(Vec::new());

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
    let file = EpollFile::new(poller::new_epoll());
    files::install(OpenFile::new(file, O_RDWR), flags)
}

/// The epoll instance of an open file; EINVAL for another kind.
fn instance(file: &OpenFile) -> Result<Rc<Epoll>, Errno> {
    file.file.epoll().cloned().ok_or(Errno::EINVAL)
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
    let source = target.file.source().ok_or(Errno::EPERM)?;
    let epoll = instance(&file)?;
    let operation = match (operation, event) {
        (ADD, Some(EpollEvent { events, data })) => Operation::Add { events, data },
        (MODIFY, Some(EpollEvent { events, data })) => Operation::Modify { events, data },
        (DELETE, _) => Operation::Delete,
        _ => return Err(Errno::EINVAL),
    };
    epoll.control(
        operation,
        &Target {
            fd: target_fd as i32,
            file: target.watched_id(),
            source: Some(source),
            epoll: target.file.epoll().cloned(),
        },
    )?;
    Ok(0)
}

/// Waits and copies out what was reported.
fn wait_for_events(
    fd: usize,
    events: usize,
    most: usize,
    deadline: impl FnOnce() -> Result<Deadline, Errno>,
) -> Result<usize, Errno> {
    let most = most as i32;
    if !(1..=MAX_EVENTS).contains(&most) {
        return Err(Errno::EINVAL);
    }
    let most = most as usize;
    user::check(events, most * size_of::<EpollEvent>())?;
    let file = get(fd)?;
    let epoll = instance(&file)?;
    // Never more than are registered, whatever the caller has room for.
    let most = most.min(epoll.len().max(1));
    let mut reports = core::mem::take(&mut *REPORTS.lock());
    if reports.len() < most {
        reports.resize(most, Report::default());
    }
    let mut count = 0;
    let result = deadline().and_then(|deadline| {
        wait::for_look(
            deadline,
            || {
                count = epoll.take(&mut reports[..most]);
                Ok(count > 0)
            },
            |deadline| epoll.wait(deadline),
        )
    });
    for (i, report) in reports[..count].iter().enumerate() {
        let event = EpollEvent {
            events: report.events.bits(),
            data: report.data,
        };
        // Checked above: the whole array.
        user::write(events + i * size_of::<EpollEvent>(), event)?;
    }
    *REPORTS.lock() = reports;
    result?;
    Ok(count)
}

fn epoll_wait(args: &Args) -> Result<usize, Errno> {
    wait_for_events(args[0], args[1], args[2], || Ok(milliseconds(args[3])))
}

fn epoll_pwait(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    with_mask(read_set(set, size)?, || {
        wait_for_events(fd, events, most, || Ok(milliseconds(timeout)))
    })
}

fn epoll_pwait2(args: &Args) -> Result<usize, Errno> {
    let [fd, events, most, timeout, set, size] = *args;
    let timeout: Option<Timespec> = user::read_optional(timeout)?;
    with_mask(read_set(set, size)?, || {
        wait_for_events(fd, events, most, || from_timespec(timeout))
    })
}
