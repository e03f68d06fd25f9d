// SPDX-License-Identifier: BSD-2-Clause
//! Timers that send signals.

use vfs_hooks::timerfd::Setting;

use crate::abi::*;
use crate::alarms::{self, Notifies};
use crate::clock::{SECOND, monotonic, nanoseconds, realtime, timespec};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::{signal, threads, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("getitimer", 36, getitimer),
    Call::new("alarm", 37, alarm),
    Call::new("setitimer", 38, setitimer),
    Call::new("timer_create", 222, timer_create),
    Call::new("timer_settime", 223, timer_settime),
    Call::new("timer_gettime", 224, timer_gettime),
    Call::new("timer_getoverrun", 225, timer_getoverrun),
    Call::new("timer_delete", 226, timer_delete),
];

/// struct itimerval: interval, then value, in seconds and microseconds.
fn itimerval(setting: Setting) -> [u64; 4] {
    let parts = |ns: u64| {
        // Never 0 for what runs.
        let us = ns.div_ceil(1000);
        [us / 1_000_000, us % 1_000_000]
    };
    let [interval, value] = [parts(setting.interval), parts(setting.remaining)];
    [interval[0], interval[1], value[0], value[1]]
}

/// Nanoseconds of a struct timeval. EINVAL.
fn of_timeval([seconds, microseconds]: [u64; 2]) -> Result<u64, Errno> {
    if (seconds as i64) < 0 || microseconds >= 1_000_000 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds
        .saturating_mul(SECOND)
        .saturating_add(microseconds * 1000))
}

fn getitimer(args: &Args) -> Result<usize, Errno> {
    let setting = alarms::interval_timer(args[0] as u32 as usize)?;
    user::write(args[1], itimerval(setting))?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/setitimer.2.html>
fn setitimer(args: &Args) -> Result<usize, Errno> {
    let [number, new, old, ..] = *args;
    // Linux takes a null pointer for a timer to be disarmed.
    let new: [u64; 4] = user::read_optional(new)?.unwrap_or([0; 4]);
    let (interval, first) = (of_timeval([new[0], new[1]])?, of_timeval([new[2], new[3]])?);
    let before = alarms::set_interval_timer(number as u32 as usize, first, interval)?;
    user::write_optional(old, itimerval(before))?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/alarm.2.html>
fn alarm(args: &Args) -> Result<usize, Errno> {
    let seconds = args[0] as u32;
    let before = alarms::set_interval_timer(0, u64::from(seconds) * SECOND, 0)?;
    // Rounded, but never to 0.
    let left = (before.remaining + SECOND / 2) / SECOND;
    Ok(left.max(u64::from(before.remaining != 0)) as usize)
}

/// <https://man7.org/linux/man-pages/man2/timer_create.2.html>
fn timer_create(args: &Args) -> Result<usize, Errno> {
    const SIGEV_SIGNAL: u32 = 0;
    const SIGEV_NONE: u32 = 1;
    const SIGEV_THREAD: u32 = 2;
    const SIGEV_THREAD_ID: u32 = 4;
    const SIGALRM: usize = 14;
    let [clock, event, id, ..] = *args;
    let real = match clock as u32 {
        CLOCK_REALTIME => true,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_PROCESS_CPUTIME_ID | CLOCK_THREAD_CPUTIME_ID => {
            false
        }
        _ => return Err(Errno::EINVAL),
    };
    // struct sigevent: value, signal and kind, thread.
    let event: Option<[u64; 3]> = user::read_optional(event)?;
    user::check(id, size_of::<i32>())?;
    let notifies = match event {
        None => None,
        Some([value, word, thread]) => {
            let (number, kind) = (word as u32 as usize, (word >> 32) as u32);
            if kind != SIGEV_NONE && !(1..=signal::LAST).contains(&number) {
                return Err(Errno::EINVAL);
            }
            Some(match kind {
                SIGEV_NONE => Notifies::Nobody,
                SIGEV_SIGNAL | SIGEV_THREAD => Notifies::Process(number, value),
                SIGEV_THREAD_ID => {
                    let thread = threads::find(thread as u32 as usize).ok_or(Errno::EINVAL)?;
                    Notifies::Thread(thread, number, value)
                }
                _ => return Err(Errno::EINVAL),
            })
        }
    };
    let made = alarms::create(
        |id| notifies.unwrap_or(Notifies::Process(SIGALRM, id)),
        real,
    )?;
    user::write(id, made as i32)?;
    Ok(0)
}

/// A timer's id among the arguments.
fn number(argument: usize) -> u64 {
    u64::from(argument as u32)
}

fn itimerspec(setting: Setting) -> Itimerspec {
    Itimerspec {
        it_interval: timespec(setting.interval),
        it_value: timespec(setting.remaining),
    }
}

/// <https://man7.org/linux/man-pages/man2/timer_settime.2.html>
fn timer_settime(args: &Args) -> Result<usize, Errno> {
    let [id, flags, new, old, ..] = *args;
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let new: Itimerspec = user::read(new)?;
    let (value, interval) = (nanoseconds(&new.it_value)?, nanoseconds(&new.it_interval)?);
    let real = alarms::is_real(number(id))?;
    let now = monotonic();
    let first = match (value, flags as u32 & TIMER_ABSTIME != 0) {
        (0, _) => 0,
        (value, false) => now.saturating_add(value),
        // In the past is now.
        (value, true) if real => now.saturating_add(value.saturating_sub(realtime())).max(1),
        (value, true) => value,
    };
    let before = alarms::set(number(id), first, interval)?;
    user::write_optional(old, itimerspec(before))?;
    Ok(0)
}

fn timer_gettime(args: &Args) -> Result<usize, Errno> {
    let setting = alarms::get(number(args[0]))?;
    user::write(args[1], itimerspec(setting))?;
    Ok(0)
}

fn timer_getoverrun(args: &Args) -> Result<usize, Errno> {
    alarms::overrun(number(args[0])).map(|count| count as usize)
}

fn timer_delete(args: &Args) -> Result<usize, Errno> {
    alarms::delete(number(args[0])).map(|()| 0)
}
