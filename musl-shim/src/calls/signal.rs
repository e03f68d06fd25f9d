// SPDX-License-Identifier: BSD-2-Clause
//! Signals: actions, masks, sending and waiting.

use crate::errno::Errno;

use crate::abi::{Sigaction, Timespec};
use crate::dispatch::{Args, Call};
use crate::platform::children;
use crate::process::pid;
use crate::{clock, signal, threads, user, wait};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("rt_sigaction", 13, rt_sigaction),
    Call::new("rt_sigprocmask", 14, rt_sigprocmask),
    Call::new("pause", 34, pause),
    Call::new("kill", 62, kill),
    Call::new("rt_sigpending", 127, rt_sigpending),
    Call::new("rt_sigtimedwait", 128, rt_sigtimedwait),
    Call::new("rt_sigsuspend", 130, rt_sigsuspend),
    Call::new("sigaltstack", 131, sigaltstack),
    Call::new("tkill", 200, tkill),
    Call::new("tgkill", 234, tgkill),
];

/// The kernel's sigset_t has 64 bits.
const SET_SIZE: usize = 8;

/// The set at `address`, of the only size there is.
pub fn read_set(address: usize, size: usize) -> Result<Option<u64>, Errno> {
    if address != 0 && size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    user::read_optional(address)
}

fn rt_sigaction(args: &Args) -> Result<usize, Errno> {
    let [number, new, old, size, ..] = *args;
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let new: Option<Sigaction> = user::read_optional(new)?;
    let before = signal::action(number, new)?;
    user::write_optional(old, before)?;
    Ok(0)
}

fn rt_sigprocmask(args: &Args) -> Result<usize, Errno> {
    const SIG_BLOCK: usize = 0;
    const SIG_UNBLOCK: usize = 1;
    const SIG_SETMASK: usize = 2;
    let [how, new, old, size, ..] = *args;
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let before = signal::mask();
    if let Some(set) = user::read_optional::<u64>(new)? {
        signal::set_mask(match how {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
    }
    user::write_optional(old, before)?;
    Ok(0)
}

fn rt_sigpending(args: &Args) -> Result<usize, Errno> {
    if args[1] > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    user::bytes_mut(args[0], args[1])?.copy_from_slice(&signal::pending().to_le_bytes()[..args[1]]);
    Ok(0)
}

/// A signal's number among the arguments.
fn signal_number(argument: usize) -> Result<usize, Errno> {
    match argument as u32 as usize {
        number if number > signal::LAST => Err(Errno::EINVAL),
        number => Ok(number),
    }
}

/// Signals a thread of this process; 0 only asks whether it is there.
fn send(id: usize, number: usize) -> Result<usize, Errno> {
    let number = signal_number(number)?;
    let thread = threads::find(id as u32 as usize).ok_or(Errno::ESRCH)?;
    if number != 0 {
        signal::raise_in(thread, number);
    }
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/kill.2.html>
fn kill(args: &Args) -> Result<usize, Errno> {
    let number = signal_number(args[1])?;
    match args[0] as i32 {
        // To itself without a request: it is delivered before the call returns.
        id if id as usize == pid() => {
            if number != 0 {
                signal::raise(number);
            }
            Ok(0)
        }
        i32::MIN => Err(Errno::ESRCH),
        id => children::kill(id, number).map(|()| 0),
    }
}

fn tkill(args: &Args) -> Result<usize, Errno> {
    if args[0] as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    send(args[0], args[1])
}

fn tgkill(args: &Args) -> Result<usize, Errno> {
    if args[0] as i32 <= 0 || args[1] as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    if args[0] as i32 as usize != pid() {
        return Err(Errno::ESRCH);
    }
    send(args[1], args[2])
}

/// Until a signal comes.
fn pause(_: &Args) -> Result<usize, Errno> {
    wait::until(u64::MAX)
}

fn rt_sigsuspend(args: &Args) -> Result<usize, Errno> {
    if args[1] != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = user::read(args[0])?;
    signal::with_mask(Some(set), || wait::until(u64::MAX))
}

fn rt_sigtimedwait(args: &Args) -> Result<usize, Errno> {
    let [set, info, timeout, size, ..] = *args;
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set: u64 = user::read(set)?;
    let timeout: Option<Timespec> = user::read_optional(timeout)?;
    let deadline = timeout.map(|t| clock::deadline(&t)).transpose()?;
    loop {
        if let Some(signal) = signal::take(set) {
            if info != 0 {
                let mut siginfo = [0i32; 32];
                siginfo[0] = signal as i32;
                user::write(info, siginfo)?;
            }
            return Ok(signal);
        }
        signal::awaiting(set, || wait::for_signal(set, deadline.unwrap_or(u64::MAX)))?;
        if deadline.is_some_and(|deadline| clock::monotonic() >= deadline) {
            return Err(Errno::EAGAIN);
        }
    }
}

/// Handlers run as function calls on the stack in use: there is no other to speak of.
fn sigaltstack(args: &Args) -> Result<usize, Errno> {
    const SS_DISABLE: u64 = 2;
    user::write_optional(args[1], [0u64, SS_DISABLE, 0])?;
    Ok(0)
}
