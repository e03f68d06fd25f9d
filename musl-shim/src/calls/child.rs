// SPDX-License-Identifier: BSD-2-Clause
//! Other processes: fork, execve, wait, process groups and sessions.

use alloc::vec::Vec;

use libposix_poll::Deadline;

use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::{self, pidfd};
use crate::platform::{children, threads};
use crate::poller;
use crate::process::{UID, Usage, pid};
use crate::shared::Shared;
use crate::wait::{self, Interrupted};
use crate::{fork, signal, spawn, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("fork", 57, fork),
    Call::new("vfork", 58, fork),
    Call::new("execve", 59, execve),
    Call::new("wait4", 61, wait4),
    Call::new("setpgid", 109, setpgid),
    Call::new("getppid", 110, getppid),
    Call::new("getpgrp", 111, getpgrp),
    Call::new("setsid", 112, setsid),
    Call::new("getpgid", 121, getpgid),
    Call::new("getsid", 124, getsid),
    Call::new("waitid", 247, waitid),
    Call::new("pidfd_send_signal", 424, pidfd_send_signal),
    Call::new("pidfd_open", 434, pidfd_open),
];

fn fork(_: &Args) -> Result<usize, Errno> {
    fork::fork()
}

fn execve(args: &Args) -> Result<usize, Errno> {
    Err(spawn::exec(args[0], args[1], args[2]))
}

/// Threads that wait for children.
static WAITING: Shared<Vec<usize>> = Shared::new(Vec::new());

/// There is news of a child, of which the calling thread has heard: so have those who wait for it.
pub fn news() {
    let me = threads::current();
    let waiting = WAITING.lock();
    waiting
        .iter()
        .filter(|&&t| t != me)
        .for_each(|t| threads::kick(*t));
}

/// In the child after fork(2): nobody waits.
pub fn after_fork() {
    WAITING.lock().clear();
}

/// Waits for news of a child, `wanted` as the request WAIT has it; `None`: there are none, and `hang` is false.
fn for_child(which: i32, wanted: u64, hang: bool) -> Result<Option<(usize, u32, Usage)>, Errno> {
    let mut found = None;
    let mut seen = None;
    let mut look = || {
        // Before the question: a child that ends after the answer changes it.
        let ended = children::ended();
        if seen == Some(ended) {
            return Ok(false);
        }
        seen = Some(ended);
        match children::wait(which, wanted) {
            Ok(child) => {
                found = Some(child);
                Ok(true)
            }
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    };
    if hang {
        let set = poller::armed_for(None)?;
        let me = threads::current();
        WAITING.lock().push(me);
        let waited = wait::for_look(set, Deadline::NEVER, Interrupted::Restarts, look);
        WAITING.lock().retain(|thread| *thread != me);
        waited?;
    } else {
        look()?;
    }
    Ok(found)
}

// wait(2)
const WNOHANG: u32 = 1;
const WSTOPPED: u32 = 2;
const WEXITED: u32 = 4;
const WCONTINUED: u32 = 8;
const WNOWAIT: u32 = 0x0100_0000;
/// __WALL, __WCLONE, __WNOTHREAD: all children are alike here.
const ANY_KIND: u32 = 0xe000_0000;

/// Options as the request WAIT has them.
fn wanted(options: u32) -> u64 {
    let bit = |holds: bool, bit: u32| u64::from(holds) << bit;
    bit(options & WNOWAIT != 0, 0)
        | bit(options & WSTOPPED != 0, 1)
        | bit(options & WCONTINUED != 0, 2)
        | bit(options & WEXITED == 0, 3)
}

/// <https://man7.org/linux/man-pages/man2/wait4.2.html>
fn wait4(args: &Args) -> Result<usize, Errno> {
    let [which, status, options, usage, ..] = *args;
    let options = options as u32;
    if options & !(WNOHANG | WSTOPPED | WCONTINUED | ANY_KIND) != 0 {
        return Err(Errno::EINVAL);
    }
    // Its negation is nobody's group.
    if which as i32 == i32::MIN {
        return Err(Errno::ESRCH);
    }
    let wanted = wanted(options | WEXITED);
    let found = for_child(which as i32, wanted, options & WNOHANG == 0)?;
    let Some((pid, ended, used)) = found else {
        return Ok(0);
    };
    user::write_optional(status, ended)?;
    user::write_optional(usage, used.rusage())?;
    Ok(pid)
}

/// <https://man7.org/linux/man-pages/man2/waitid.2.html>
fn waitid(args: &Args) -> Result<usize, Errno> {
    const P_ALL: u32 = 0;
    const P_PID: u32 = 1;
    const P_PGID: u32 = 2;
    let [kind, id, info, options, usage, _] = *args;
    const P_PIDFD: u32 = 3;
    let (options, id) = (options as u32, id as i32);
    let known = WNOHANG | WSTOPPED | WEXITED | WCONTINUED | WNOWAIT | ANY_KIND;
    if options & !known != 0 || options & (WSTOPPED | WEXITED | WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let which = match kind as u32 {
        P_ALL => -1,
        P_PID if id > 0 => id,
        P_PIDFD => process_of(id as usize)? as i32,
        P_PGID if id == 0 => 0,
        P_PGID if id > 0 => -id,
        _ => return Err(Errno::EINVAL),
    };
    let found = for_child(which, wanted(options), options & WNOHANG == 0)?;
    if info != 0 {
        user::write(info, found.map_or([0; 32], siginfo))?;
    }
    let used = found.map_or_else(Usage::default, |(.., used)| used);
    user::write_optional(usage, used.rusage())?;
    Ok(0)
}

/// The process that a pidfd stands for.
fn process_of(fd: usize) -> Result<usize, Errno> {
    files::get(fd)?.file.pid().ok_or(Errno::EBADF)
}

/// <https://man7.org/linux/man-pages/man2/pidfd_open.2.html>
fn pidfd_open(args: &Args) -> Result<usize, Errno> {
    let (id, flags) = (args[0] as i32, args[1] as u32);
    if id <= 0 || flags & !O_NONBLOCK != 0 {
        return Err(Errno::EINVAL);
    }
    files::install(pidfd::open(id as usize, flags)?, O_CLOEXEC)
}

/// <https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html>; what the signal is to carry is not carried.
fn pidfd_send_signal(args: &Args) -> Result<usize, Errno> {
    let (id, number) = (process_of(args[0])?, args[1] as u32 as usize);
    if args[3] as u32 != 0 || number > signal::LAST {
        return Err(Errno::EINVAL);
    }
    if id == pid() {
        if number != 0 {
            signal::raise(number);
        }
        return Ok(0);
    }
    children::kill(id as i32, number).map(|()| 0)
}

/// siginfo_t of a child of which there is news: number, errno, code; then who, of which user, its status.
fn siginfo((child, status, _): (usize, u32, Usage)) -> [i32; 32] {
    const SIGCHLD: i32 = 17;
    const CLD_EXITED: i32 = 1;
    const CLD_KILLED: i32 = 2;
    const CLD_STOPPED: i32 = 5;
    const CLD_CONTINUED: i32 = 6;
    const SIGCONT: u32 = 18;
    let (code, value) = match status & 0x7f {
        _ if status == 0xffff => (CLD_CONTINUED, SIGCONT),
        0x7f => (CLD_STOPPED, status >> 8 & 0xff),
        0 => (CLD_EXITED, status >> 8 & 0xff),
        signal => (CLD_KILLED, signal),
    };
    let mut info = [0; 32];
    info[..7].copy_from_slice(&[SIGCHLD, 0, code, 0, child as i32, UID as i32, value as i32]);
    info
}

fn getppid(_: &Args) -> Result<usize, Errno> {
    Ok(children::parent())
}

fn getpgrp(_: &Args) -> Result<usize, Errno> {
    Ok(children::group())
}

/// A process id among the arguments; 0 is the caller.
fn process_id(argument: usize) -> Result<usize, Errno> {
    match argument as i32 {
        ..0 => Err(Errno::EINVAL),
        0 => Ok(pid()),
        id => Ok(id as usize),
    }
}

fn getpgid(args: &Args) -> Result<usize, Errno> {
    let id = process_id(args[0]).map_err(|_| Errno::ESRCH)?;
    children::ids(id).map(|[_, group, _]| group)
}

fn getsid(args: &Args) -> Result<usize, Errno> {
    let id = process_id(args[0]).map_err(|_| Errno::ESRCH)?;
    children::ids(id).map(|[_, _, session]| session)
}

fn setpgid(args: &Args) -> Result<usize, Errno> {
    let group = match args[1] as i32 {
        0 => process_id(args[0])?,
        _ => process_id(args[1])?,
    };
    let id = process_id(args[0]).map_err(|_| Errno::ESRCH)?;
    children::set_group(id, group)?;
    Ok(0)
}

fn setsid(_: &Args) -> Result<usize, Errno> {
    children::new_session()
}
