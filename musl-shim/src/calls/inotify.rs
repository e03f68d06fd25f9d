// SPDX-License-Identifier: BSD-2-Clause
//! inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2).

use vfs_hooks::inotify::mask;

use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::tree::at;
use crate::files::{self, get, inotify};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("inotify_init", 253, init),
    Call::new("inotify_add_watch", 254, add_watch),
    Call::new("inotify_rm_watch", 255, rm_watch),
    Call::new("inotify_init1", 294, init1),
];

fn init(_: &Args) -> Result<usize, Errno> {
    init1(&[0; 6])
}

/// <https://man7.org/linux/man-pages/man2/inotify_init.2.html>
fn init1(args: &Args) -> Result<usize, Errno> {
    let flags = args[0] as u32;
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    files::install(inotify::open(flags)?, flags)
}

/// <https://man7.org/linux/man-pages/man2/inotify_add_watch.2.html>
fn add_watch(args: &Args) -> Result<usize, Errno> {
    const KNOWN: u32 = mask::ALL
        | mask::ONLYDIR
        | mask::DONT_FOLLOW
        | mask::EXCL_UNLINK
        | mask::MASK_CREATE
        | mask::MASK_ADD
        | mask::ONESHOT;
    let flags = args[2] as u32;
    if flags & KNOWN == 0 {
        return Err(Errno::EINVAL);
    }
    let file = get(args[0])?;
    let instance = file.file.inotify().ok_or(Errno::EINVAL)?;
    instance.add(at(AT_FDCWD as usize, args[1])?, flags)
}

/// <https://man7.org/linux/man-pages/man2/inotify_rm_watch.2.html>
fn rm_watch(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    let instance = file.file.inotify().ok_or(Errno::EINVAL)?;
    instance.remove(args[1] as i32)?;
    Ok(0)
}
