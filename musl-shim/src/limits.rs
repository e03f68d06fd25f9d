// SPDX-License-Identifier: BSD-2-Clause
//! Resource limits (getrlimit(2)) that are kept here: processes, addresses, data, sizes of files. That of open files is the fd table's
//! ([`crate::process::file_limit`]).

use crate::abi::PROT_WRITE;
use crate::errno::Errno;
use crate::platform::{self, children};
use crate::process::rlimit;
use crate::signal::raise;
use crate::threads;

// Numbers of Linux.
const FSIZE: usize = 1;
const DATA: usize = 2;
const NPROC: usize = 6;
const AS: usize = 9;
const RLIM_INFINITY: u64 = u64::MAX;
/// File size limit exceeded (signal(7)).
const SIGXFSZ: usize = 25;

/// What a process has beside what it maps: its image, stack and tables, of which the limit of addresses counts so much.
const IMAGE: usize = 12 << 20;

/// The soft limit; `None`: there is none.
fn soft(number: usize) -> Option<u64> {
    Some(rlimit(number).rlim_cur).filter(|&limit| limit != RLIM_INFINITY)
}

/// Another process or thread. EAGAIN: there are as many as there may be. All belong to one user, so all count.
pub fn another_task() -> Result<(), Errno> {
    let Some(limit) = soft(NPROC) else {
        return Ok(());
    };
    let [_, processes] = children::usage()?;
    let others = threads::count().saturating_sub(1) as u64;
    match processes + others < limit {
        true => Ok(()),
        false => Err(Errno::EAGAIN),
    }
}

/// `len` more bytes of memory, where so many bytes of addresses, and of memory that can be written, are in use. ENOMEM.
pub fn more_memory(
    len: usize,
    protection: u32,
    in_use: impl Fn(bool) -> usize,
) -> Result<(), Errno> {
    let exceeds = |number: usize, used: &dyn Fn() -> usize| {
        soft(number).is_some_and(|limit| used().saturating_add(len) as u64 > limit)
    };
    let writes = protection & PROT_WRITE != 0;
    if exceeds(AS, &|| IMAGE + in_use(false)) || writes && exceeds(DATA, &|| in_use(true)) {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// How many of `len` bytes may be written at `position` of a file. EFBIG, and SIGXFSZ: none.
pub fn writable(position: u64, len: usize) -> Result<usize, Errno> {
    match soft(FSIZE) {
        Some(limit) if position >= limit => Err(too_big()),
        Some(limit) => Ok(len.min((limit - position) as usize)),
        None => Ok(len),
    }
}

/// A file may become so long. EFBIG, and SIGXFSZ.
pub fn may_grow(size: u64) -> Result<(), Errno> {
    match soft(FSIZE) {
        Some(limit) if size > limit => Err(too_big()),
        _ => Ok(()),
    }
}

fn too_big() -> Errno {
    // In host mode the kernel has the limit, too, and signals.
    if platform::limit().is_none() {
        raise(SIGXFSZ);
    }
    Errno::EFBIG
}
