// SPDX-License-Identifier: BSD-2-Clause
//! Clocks, sleeping, timerfd.

use libposix_poll::Deadline;
use vfs_hooks::timerfd::Setting;

use crate::abi::*;
use crate::clock::{self, SECOND, monotonic, nanoseconds, realtime, since_start, timespec};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::timerfd::TimerFile;
use crate::files::{self, OpenFile, get};
use crate::{restart, user, wait};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("nanosleep", 35, nanosleep),
    Call::new("gettimeofday", 96, gettimeofday),
    Call::new("time", 201, time),
    Call::new("clock_settime", 227, clock_settime),
    Call::new("clock_gettime", 228, clock_gettime),
    Call::new("clock_getres", 229, clock_getres),
    Call::new("clock_nanosleep", 230, clock_nanosleep),
    Call::new("timerfd_create", 283, timerfd_create),
    Call::new("timerfd_settime", 286, timerfd_settime),
    Call::new("timerfd_gettime", 287, timerfd_gettime),
];

/// What a clock says now, in nanoseconds. All time since the start counts as the process's CPU time.
fn now(clock: usize) -> Result<u64, Errno> {
    match clock as u32 {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => Ok(realtime()),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME => {
            Ok(monotonic())
        }
        CLOCK_PROCESS_CPUTIME_ID | CLOCK_THREAD_CPUTIME_ID => Ok(since_start()),
        _ => Err(Errno::EINVAL),
    }
}

fn clock_gettime(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], timespec(now(args[0])?))?;
    Ok(0)
}

fn clock_getres(args: &Args) -> Result<usize, Errno> {
    now(args[0])?;
    user::write_optional(args[1], timespec(1))?;
    Ok(0)
}

/// Nobody here may set the clock.
fn clock_settime(args: &Args) -> Result<usize, Errno> {
    match args[0] as u32 {
        CLOCK_REALTIME => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

fn gettimeofday(args: &Args) -> Result<usize, Errno> {
    let now = realtime();
    let time = Timeval {
        tv_sec: (now / SECOND) as i64,
        tv_usec: (now % SECOND / 1000) as i64,
    };
    user::write_optional(args[0], time)?;
    let zone = Timezone {
        tz_minuteswest: 0,
        tz_dsttime: 0,
    };
    user::write_optional(args[1], zone)?;
    Ok(0)
}

fn time(args: &Args) -> Result<usize, Errno> {
    let seconds = (realtime() / SECOND) as i64;
    user::write_optional(args[0], seconds)?;
    Ok(seconds as usize)
}

/// Sleeps until CLOCK_MONOTONIC says `deadline`; a signal leaves what is left at `rest`.
fn sleep(deadline: u64, rest: usize) -> Result<usize, Errno> {
    let deadline = restart::deadline(Deadline::at(deadline));
    let result = wait::until(deadline);
    if result.is_err() {
        let left = deadline.ns().saturating_sub(monotonic());
        user::write_optional(rest, timespec(left))?;
    }
    result
}

fn nanosleep(args: &Args) -> Result<usize, Errno> {
    let wanted: Timespec = user::read(args[0])?;
    sleep(clock::deadline(&wanted)?, args[1])
}

/// <https://man7.org/linux/man-pages/man2/clock_nanosleep.2.html>
fn clock_nanosleep(args: &Args) -> Result<usize, Errno> {
    let [id, flags, wanted, rest, ..] = *args;
    if !matches!(
        id as u32,
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_PROCESS_CPUTIME_ID
    ) {
        return Err(Errno::EINVAL);
    }
    let wanted: Timespec = user::read(wanted)?;
    if flags as u32 & TIMER_ABSTIME == 0 {
        return sleep(clock::deadline(&wanted)?, rest);
    }
    let left = nanoseconds(&wanted)?.saturating_sub(now(id)?);
    sleep(monotonic().saturating_add(left), 0)
}

/// <https://man7.org/linux/man-pages/man2/timerfd_create.2.html>
fn timerfd_create(args: &Args) -> Result<usize, Errno> {
    let flags = args[1] as u32;
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let real = match args[0] as u32 {
        CLOCK_REALTIME => true,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME => false,
        _ => return Err(Errno::EINVAL),
    };
    let file = OpenFile::new(TimerFile::new(real), O_RDWR | flags & O_NONBLOCK);
    files::install(file, flags)
}

/// A setting as C has it.
fn itimerspec(setting: Setting) -> Itimerspec {
    Itimerspec {
        it_interval: timespec(setting.interval),
        it_value: timespec(setting.remaining),
    }
}

fn timerfd_settime(args: &Args) -> Result<usize, Errno> {
    const TFD_TIMER_ABSTIME: u32 = 1;
    const TFD_TIMER_CANCEL_ON_SET: u32 = 2;
    let [fd, flags, new, old, ..] = *args;
    let new: Itimerspec = user::read(new)?;
    let flags = flags as u32;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let (value, interval) = (nanoseconds(&new.it_value)?, nanoseconds(&new.it_interval)?);
    let file = get(fd)?;
    let timer = file.file.timer().ok_or(Errno::EINVAL)?;
    let before = timer.set(value, interval, flags & TFD_TIMER_ABSTIME != 0)?;
    user::write_optional(old, itimerspec(before))?;
    Ok(0)
}

fn timerfd_gettime(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    let timer = file.file.timer().ok_or(Errno::EINVAL)?;
    user::write(args[1], itimerspec(timer.get()?))?;
    Ok(0)
}
