// SPDX-License-Identifier: BSD-2-Clause
//! Signals: actions, masks, sending and waiting.

use libposix_poll::Deadline;

use crate::errno::Errno;
use crate::files::signalfd::SignalFile;

use crate::abi::{O_CLOEXEC, O_NONBLOCK, Sigaction, Timespec};
use crate::dispatch::{Args, Call};
use crate::platform::children;
use crate::process::pid;
use crate::siginfo::{Info, SI_TKILL};
use crate::{clock, files, signal, stack, threads, user, wait};

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
    Call::new("rt_sigqueueinfo", 129, rt_sigqueueinfo),
    Call::new("rt_tgsigqueueinfo", 297, rt_tgsigqueueinfo),
    Call::new("signalfd", 282, signalfd),
    Call::new("signalfd4", 289, signalfd4),
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
        signal::raise_in(thread, Info::own(number, SI_TKILL));
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

/// What the caller says of a signal that it sends. EPERM: it pretends to be kill(2) or the kernel, to others.
fn queued(info: usize, signal: usize, to: usize) -> Result<Info, Errno> {
    let words: [i32; 32] = user::read(info)?;
    let code = words[2];
    if (code >= 0 || code == SI_TKILL) && to != pid() {
        return Err(Errno::EPERM);
    }
    let word = |at: usize| words[at] as u32 as u64 | (words[at + 1] as u64) << 32;
    Ok(Info {
        signal,
        code,
        first: word(4),
        second: word(6),
    })
}

/// <https://man7.org/linux/man-pages/man2/rt_sigqueueinfo.2.html>
fn rt_sigqueueinfo(args: &Args) -> Result<usize, Errno> {
    let (id, number) = (args[0] as i32, signal_number(args[1])?);
    let info = queued(args[2], number, id as usize)?;
    if id as usize != pid() {
        return children::queue(id, number, info.code, info.second).map(|()| 0);
    }
    if number != 0 {
        signal::post(info);
    }
    Ok(0)
}

fn rt_tgsigqueueinfo(args: &Args) -> Result<usize, Errno> {
    let [group, id, number, info, ..] = *args;
    if group as i32 <= 0 || id as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let number = signal_number(number)?;
    let info = queued(info, number, group as u32 as usize)?;
    if group as u32 as usize != pid() {
        return Err(Errno::ESRCH);
    }
    let thread = threads::find(id as u32 as usize).ok_or(Errno::ESRCH)?;
    if number != 0 {
        signal::raise_in(thread, info);
    }
    Ok(0)
}

fn signalfd(args: &Args) -> Result<usize, Errno> {
    signalfd4(&[args[0], args[1], args[2], 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/signalfd.2.html>
fn signalfd4(args: &Args) -> Result<usize, Errno> {
    let [fd, set, size, flags, ..] = *args;
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = user::read::<u64>(set)? & !signal::UNBLOCKABLE;
    let flags = flags as u32;
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if fd as i32 == -1 {
        return files::install(SignalFile::open(set, flags), flags);
    }
    let file = files::get(fd)?;
    file.file.signals().ok_or(Errno::EINVAL)?.set(set);
    Ok(fd)
}

/// Until a signal comes.
fn pause(_: &Args) -> Result<usize, Errno> {
    wait::until(Deadline::NEVER)
}

fn rt_sigsuspend(args: &Args) -> Result<usize, Errno> {
    if args[1] != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = user::read(args[0])?;
    signal::with_mask(Some(set), || wait::until(Deadline::NEVER))
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
        if let Some(found) = signal::take(set) {
            user::write_optional(info, found.siginfo())?;
            return Ok(found.signal);
        }
        signal::awaiting(set, || wait::for_signal(set, deadline.unwrap_or(u64::MAX)))?;
        if deadline.is_some_and(|deadline| clock::monotonic() >= deadline) {
            return Err(Errno::EAGAIN);
        }
    }
}

/// <https://man7.org/linux/man-pages/man2/sigaltstack.2.html>
fn sigaltstack(args: &Args) -> Result<usize, Errno> {
    let new: Option<stack::Words> = user::read_optional(args[0])?;
    let before = stack::current();
    if let Some(new) = new {
        stack::set(new)?;
    }
    user::write_optional(args[1], before)?;
    Ok(0)
}
