// SPDX-License-Identifier: BSD-2-Clause
//! The process: its end, its limits, what its threads have of the processor.

use crate::errno::Errno;

use crate::abi::*;
use crate::clock::{self, SECOND};
use crate::dispatch::{Args, Call};
use crate::files;
use crate::platform::processes;
use crate::process::{self, LIMITS, Usage, pid};
use crate::shared::unlocked;
use crate::{platform, threads, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("sched_yield", 24, sched_yield),
    Call::new("getpid", 39, own_id),
    Call::new("umask", 95, umask),
    Call::new("getrlimit", 97, getrlimit),
    Call::new("getrusage", 98, getrusage),
    Call::new("times", 100, times),
    Call::new("prctl", 157, prctl),
    Call::new("arch_prctl", 158, arch_prctl),
    Call::new("setrlimit", 160, setrlimit),
    Call::new("sched_setaffinity", 203, sched_setaffinity),
    Call::new("sched_getaffinity", 204, sched_getaffinity),
    Call::new("exit_group", 231, exit),
    Call::new("prlimit64", 302, prlimit64),
    Call::new("getcpu", 309, getcpu),
];

fn exit(args: &Args) -> Result<usize, Errno> {
    if platform::vfs::watching() {
        files::close_all();
    }
    platform::process::exit(args[0] as u8)
}

fn own_id(_: &Args) -> Result<usize, Errno> {
    Ok(pid())
}

/// ESRCH for anybody but this process and its threads (or 0, which means the caller).
fn require_self(id: usize) -> Result<(), Errno> {
    let id = id as u32 as usize;
    if id == 0 || threads::find(id).is_some() || id == pid() {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

fn umask(args: &Args) -> Result<usize, Errno> {
    Ok(process::set_umask(args[0] as u32) as usize)
}

fn sched_yield(_: &Args) -> Result<usize, Errno> {
    unlocked(platform::process::give_way);
    Ok(0)
}

/// One processor.
fn sched_getaffinity(args: &Args) -> Result<usize, Errno> {
    require_self(args[0])?;
    if args[1] < 8 || !args[1].is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    user::write(args[2], 1u64)?;
    Ok(8)
}

fn sched_setaffinity(args: &Args) -> Result<usize, Errno> {
    require_self(args[0])?;
    match user::read::<u8>(args[2]) {
        Ok(mask) if args[1] != 0 && mask & 1 == 0 => Err(Errno::EINVAL),
        Ok(_) if args[1] == 0 => Err(Errno::EINVAL),
        Ok(_) => Ok(0),
        Err(errno) => Err(errno),
    }
}

fn getcpu(args: &Args) -> Result<usize, Errno> {
    user::write_optional(args[0], 0u32)?;
    user::write_optional(args[1], 0u32)?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/arch_prctl.2.html>: the thread pointer.
fn arch_prctl(args: &Args) -> Result<usize, Errno> {
    const ARCH_SET_FS: usize = 0x1002;
    const ARCH_GET_FS: usize = 0x1003;
    match args[0] {
        ARCH_SET_FS => {
            user::check(args[1], 1).map_err(|_| Errno::EPERM)?;
            platform::process::set_tls(args[1])?;
            threads::set_tls(args[1]);
            Ok(0)
        }
        ARCH_GET_FS => user::write(args[1], threads::tls() as u64).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

/// Names of threads and wishes that do no harm when ignored.
fn prctl(args: &Args) -> Result<usize, Errno> {
    const PR_SET_PDEATHSIG: usize = 1;
    const PR_GET_DUMPABLE: usize = 3;
    const PR_SET_DUMPABLE: usize = 4;
    const PR_SET_KEEPCAPS: usize = 8;
    const PR_SET_NAME: usize = 15;
    const PR_GET_NAME: usize = 16;
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    match args[0] {
        PR_SET_PDEATHSIG | PR_GET_DUMPABLE | PR_SET_DUMPABLE | PR_SET_KEEPCAPS
        | PR_SET_NO_NEW_PRIVS => Ok(0),
        PR_SET_NAME => {
            let mut name = [0; 16];
            for (i, byte) in name[..15].iter_mut().enumerate() {
                *byte = user::read(args[1] + i)?;
                if *byte == 0 {
                    break;
                }
            }
            threads::set_name(name);
            Ok(0)
        }
        PR_GET_NAME => user::write(args[1], threads::name()).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

/// A limit's number from a call's argument.
fn limit_number(argument: usize) -> Result<usize, Errno> {
    let number = argument as u32 as usize;
    if number < LIMITS {
        Ok(number)
    } else {
        Err(Errno::EINVAL)
    }
}

fn getrlimit(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], process::rlimit(limit_number(args[0])?))?;
    Ok(0)
}

fn setrlimit(args: &Args) -> Result<usize, Errno> {
    let number = limit_number(args[0])?;
    let new: Rlimit = user::read(args[1])?;
    if new.rlim_cur > new.rlim_max {
        return Err(Errno::EINVAL);
    }
    if new.rlim_max > process::rlimit(number).rlim_max {
        return Err(Errno::EPERM);
    }
    process::set_rlimit(number, new);
    Ok(0)
}

fn prlimit64(args: &Args) -> Result<usize, Errno> {
    let [id, number, new, old, ..] = *args;
    require_self(id)?;
    let before = process::rlimit(limit_number(number)?);
    if new != 0 {
        setrlimit(&[number, new, 0, 0, 0, 0])?;
    }
    user::write_optional(old, before)?;
    Ok(0)
}

/// All time since the start counts as this process's.
fn getrusage(args: &Args) -> Result<usize, Errno> {
    const RUSAGE_CHILDREN: i32 = -1;
    const RUSAGE_THREAD: i32 = 1;
    // Where nobody can say, there is the time alone.
    let facts = processes::facts(process::pid()).unwrap_or_default();
    let used = match args[0] as i32 {
        0 | RUSAGE_THREAD => Usage {
            time: clock::since_start(),
            peak: facts.peak,
        },
        RUSAGE_CHILDREN => Usage {
            time: facts.children_time,
            peak: facts.children_peak,
        },
        _ => return Err(Errno::EINVAL),
    };
    let mut usage = used.rusage();
    // ru_minflt
    usage.others[4] = facts.faults as i64;
    user::write(args[1], usage)?;
    Ok(0)
}

fn times(args: &Args) -> Result<usize, Errno> {
    const TICK: u64 = SECOND / 100;
    let used = (clock::since_start() / TICK) as i64;
    let children = processes::facts(process::pid()).map_or(0, |facts| facts.children_time);
    let times = Tms {
        tms_utime: used,
        tms_stime: 0,
        tms_cutime: (children / TICK) as i64,
        tms_cstime: 0,
    };
    user::write_optional(args[0], times)?;
    Ok((clock::monotonic() / TICK) as usize)
}
