// SPDX-License-Identifier: BSD-2-Clause
//! The process itself: how it starts, who it is, its limits.

use crate::abi::{Rlimit, Rusage, Timeval};
use crate::clock::SECOND;
pub use crate::platform::process::pid;
use crate::shared::Shared;
use crate::{alarms, clock, files, inherit, memory, platform, random, signal, trace};
use vfs_hooks::process::PAGE;

/// Real, effective and saved user and group id: not root, so that daemons do not try to become somebody else.
pub const UID: usize = 1000;

/// First limit on open files, soft and hard. More than Linux's 1024, since nobody here calls `ulimit`.
const FILES: u64 = 65_536;
/// How far the limit on open files can be raised.
const MOST_FILES: u64 = 1 << 20;
const RLIM_INFINITY: u64 = u64::MAX;
/// Number of RLIMIT_STACK.
const STACK: usize = 3;
/// Number of RLIMIT_CORE.
const CORE: usize = 4;
/// Number of RLIMIT_NOFILE.
const NOFILE: usize = 7;
/// How many limits there are.
pub const LIMITS: usize = 16;

/// What getrusage(2) counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Nanoseconds of processor time.
    pub time: u64,
    /// Most pages at a time.
    pub peak: u64,
}

impl Usage {
    /// All of it as time in user mode.
    pub fn rusage(self) -> Rusage {
        let time = |ns: u64| Timeval {
            tv_sec: (ns / SECOND) as i64,
            tv_usec: (ns % SECOND / 1000) as i64,
        };
        let mut others = [0; 14];
        // ru_maxrss, in KiB.
        others[0] = (self.peak * (PAGE as u64 / 1024)) as i64;
        Rusage {
            ru_utime: time(self.time),
            ru_stime: time(0),
            others,
        }
    }
}

const fn limit(both: u64) -> Rlimit {
    Rlimit {
        rlim_cur: both,
        rlim_max: both,
    }
}

static RLIMITS: Shared<[Rlimit; LIMITS]> = Shared::new({
    let mut limits = [limit(RLIM_INFINITY); LIMITS];
    limits[STACK] = limit(vfs_hooks::process::STACK_SIZE as u64);
    limits[CORE] = limit(0);
    limits[NOFILE] = Rlimit {
        rlim_cur: FILES,
        rlim_max: MOST_FILES,
    };
    limits
});

/// Makes the shim ready; runs once, before any C code.
pub fn start() {
    platform::process::start();
    trace::start();
    clock::start();
    #[cfg(not(any(test, feature = "library")))]
    crate::heap::start();
    memory::start();
    random::start();
    files::start();
    inherit();
}

/// Takes over what the program that started this one left.
fn inherit() {
    let Some(inheritance) = platform::children::inheritance().and_then(inherit::read) else {
        return;
    };
    files::inherit(&inheritance);
    files::locks::inherit(&inheritance.legacy.locks);
    let legacy = &inheritance.legacy;
    signal::inherit(legacy.mask, legacy.ignored, legacy.pending);
    if legacy.alarm[0] != 0 {
        alarms::inherit(0, legacy.alarm);
    }
    *RLIMITS.lock() = legacy.limits;
    set_umask(legacy.umask);
}

/// A limit; the caller checks the number.
pub fn rlimit(number: usize) -> Rlimit {
    RLIMITS.lock()[number]
}

/// Sets a limit; the caller checks number and values.
pub fn set_rlimit(number: usize, limit: Rlimit) {
    RLIMITS.lock()[number] = limit;
}

/// Numbers below this can be open files.
pub fn file_limit() -> usize {
    platform::limit().unwrap_or_else(|| RLIMITS.lock()[NOFILE].rlim_cur as usize)
}

static UMASK: Shared<u32> = Shared::new(0o022);

/// Permissions that new files do not get.
pub fn umask() -> u32 {
    *UMASK.lock()
}

/// Sets them; those before.
pub fn set_umask(mask: u32) -> u32 {
    core::mem::replace(&mut *UMASK.lock(), mask & 0o777)
}
