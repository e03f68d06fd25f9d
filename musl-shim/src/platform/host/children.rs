// SPDX-License-Identifier: BSD-2-Clause
//! Other processes. Host mode has none: a child would be a Linux process, which knows nothing of this one's files.

use vfs_hooks::spawn::Block;

use super::process;
use crate::errno::Errno;
use crate::process::Usage;
use crate::siginfo::Info;

/// ENOSYS where there can be none: in host mode, where the overlay's posix_spawn forks instead.
pub fn supported() -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn spawn(_: &Block) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn exec(_: &Block) -> Errno {
    Errno::ENOSYS
}

/// Not in host mode.
pub fn fork() -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// Nobody has children.
pub fn wait(_: i32, _: u64) -> Result<(usize, u32, Usage), Errno> {
    Err(Errno::ECHILD)
}

/// No child has ended.
pub fn ended() -> u32 {
    0
}

/// There is nobody else.
pub fn kill(_: i32, _: usize) -> Result<(), Errno> {
    Err(Errno::ESRCH)
}

/// Nobody else is known.
pub fn queue(_: i32, _: usize, _: i32, _: u64) -> Result<(), Errno> {
    Err(Errno::ESRCH)
}

/// Nobody sends any.
#[inline]
pub fn has_signals() -> bool {
    false
}

/// Nobody stops it.
pub fn stop(_: usize) {}

/// Nobody stops it.
pub fn is_stopped() -> bool {
    false
}

/// Nobody sends any.
pub fn take_signal() -> Option<Info> {
    None
}

/// There are none.
pub fn forget(_: bool) {}

/// None that the program could do anything with.
pub fn parent() -> usize {
    0
}

/// Own process group: it is alone in it.
pub fn group() -> usize {
    process::pid()
}

/// Parent, group and session of the one process.
pub fn ids(pid: usize) -> Result<[usize; 3], Errno> {
    let own = process::pid();
    match pid == 0 || pid == own {
        true => Ok([0, own, own]),
        false => Err(Errno::ESRCH),
    }
}

/// It leads a group already.
pub fn set_group(pid: usize, group: usize) -> Result<(), Errno> {
    let own = process::pid();
    match (pid == 0 || pid == own, group == 0 || group == own) {
        (true, true) => Ok(()),
        (true, false) => Err(Errno::EPERM),
        _ => Err(Errno::ESRCH),
    }
}

/// It leads a group already.
pub fn new_session() -> Result<usize, Errno> {
    Err(Errno::EPERM)
}

/// Not known here.
pub fn usage() -> Result<[u64; 2], Errno> {
    Err(Errno::ENOSYS)
}

/// Ends the process as `signal` does by default.
pub fn exit_by(signal: usize) -> ! {
    process::exit(128 + signal as u8)
}

/// Linux started it.
pub fn inheritance() -> Option<&'static [u8]> {
    None
}
