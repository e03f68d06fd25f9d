// SPDX-License-Identifier: BSD-2-Clause
//! Open files: opening, closing, fds and their flags, positions, lengths, the working directory.

use crate::errno::Errno;

use super::lock;
use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::files::lookup::{self, find};
use crate::files::tree::{self, DIRECTORY, REGULAR, TYPE, at};
use crate::files::{self, get, locks, set_working_directory, table, working_directory};
use crate::{process, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("open", 2, open),
    Call::new("close", 3, close),
    Call::new("fstat", 5, fstat),
    Call::new("lseek", 8, lseek),
    Call::new("dup", 32, dup),
    Call::new("dup2", 33, dup2),
    Call::new("fcntl", 72, fcntl),
    Call::new("fsync", 74, fsync),
    Call::new("fdatasync", 75, fsync),
    Call::new("ftruncate", 77, ftruncate),
    Call::new("getcwd", 79, getcwd),
    Call::new("chdir", 80, chdir),
    Call::new("fchdir", 81, fchdir),
    Call::new("creat", 85, creat),
    Call::new("chroot", 161, chroot),
    Call::new("sync", 162, sync),
    Call::new("getdents64", 217, getdents64),
    Call::new("fadvise64", 221, fadvise64),
    Call::new("openat", 257, openat),
    Call::new("sync_file_range", 277, fadvise64),
    Call::new("fallocate", 285, fallocate),
    Call::new("dup3", 292, dup3),
    Call::new("syncfs", 306, fadvise64),
    Call::new("close_range", 436, close_range),
];

/// AT_FDCWD as an argument.
const CWD: usize = AT_FDCWD as usize;

fn open(args: &Args) -> Result<usize, Errno> {
    openat(&[CWD, args[0], args[1], args[2], 0, 0])
}

fn creat(args: &Args) -> Result<usize, Errno> {
    let flags = O_CREAT | O_WRONLY | O_TRUNC;
    openat(&[CWD, args[0], flags as usize, args[1], 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/open.2.html>
fn openat(args: &Args) -> Result<usize, Errno> {
    let flags = args[2] as u32 & !O_EXECUTE;
    let mode = args[3] as u32 & 0o7777 & !process::umask();
    let file = lookup::open(at(args[0], args[1])?, flags | O_LARGEFILE, mode)?;
    files::install(file, flags)
}

fn close(args: &Args) -> Result<usize, Errno> {
    files::close(args[0])?;
    Ok(0)
}

fn close_range(args: &Args) -> Result<usize, Errno> {
    const CLOEXEC: u32 = 4;
    let (first, last, flags) = (args[0] as u32, args[1] as u32, args[2] as u32);
    if first > last || flags & !(CLOEXEC | 2) != 0 {
        return Err(Errno::EINVAL);
    }
    loop {
        let found = {
            let mut table = table();
            let mut fds = table.iter().map(|(fd, _)| fd);
            let range = first as usize..=last as usize;
            if flags & CLOEXEC != 0 {
                let marked: alloc::vec::Vec<_> = fds.filter(|fd| range.contains(fd)).collect();
                for fd in marked {
                    if let Some(slot) = table.slot_mut(fd) {
                        slot.close_on_exec = true;
                    }
                }
                return Ok(0);
            }
            fds.find(|fd| range.contains(fd))
        };
        match found {
            Some(fd) => files::close(fd)?,
            None => return Ok(0),
        }
    }
}

fn fstat(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], get(args[0])?.file.stat())?;
    Ok(0)
}

fn lseek(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    Ok(file.file.seek(args[1] as i64, args[2] as u32 as usize)? as usize)
}

fn getdents64(args: &Args) -> Result<usize, Errno> {
    get(args[0])?
        .file
        .read_entries(args[1], args[2] as u32 as usize)
}

fn dup(args: &Args) -> Result<usize, Errno> {
    files::install(get(args[0])?, 0)
}

fn dup2(args: &Args) -> Result<usize, Errno> {
    if args[0] as u32 == args[1] as u32 {
        get(args[0])?;
        return Ok(args[1] as u32 as usize);
    }
    duplicate_to(args[0], args[1], false)
}

fn dup3(args: &Args) -> Result<usize, Errno> {
    let flags = args[2] as u32;
    if args[0] as u32 == args[1] as u32 || flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    duplicate_to(args[0], args[1], flags & O_CLOEXEC != 0)
}

fn duplicate_to(from: usize, to: usize, close_on_exec: bool) -> Result<usize, Errno> {
    let file = get(from)?;
    let to = to as u32 as usize;
    if to >= process::file_limit() {
        return Err(Errno::EBADF);
    }
    let before = table().replace(to, file, close_on_exec);
    // Dropped here, when the table is no longer borrowed.
    drop(before.inspect(|file| locks::closing(file)));
    Ok(to)
}

/// <https://man7.org/linux/man-pages/man2/fcntl.2.html>
fn fcntl(args: &Args) -> Result<usize, Errno> {
    let [fd, command, argument, ..] = *args;
    let file = get(fd)?;
    let fd = fd as u32 as usize;
    match command as u32 {
        command @ (F_DUPFD | F_DUPFD_CLOEXEC) => {
            let limit = process::file_limit();
            if argument as i32 as isize as usize >= limit {
                return Err(Errno::EINVAL);
            }
            let close_on_exec = command == F_DUPFD_CLOEXEC;
            let new = table().insert(file.clone(), close_on_exec, argument, limit);
            new.ok_or(Errno::EMFILE)
        }
        F_GETFD => {
            let close_on_exec = table().slot_mut(fd).is_some_and(|slot| slot.close_on_exec);
            Ok(usize::from(close_on_exec) * FD_CLOEXEC as usize)
        }
        F_SETFD => {
            if let Some(slot) = table().slot_mut(fd) {
                slot.close_on_exec = argument as u32 & FD_CLOEXEC != 0;
            }
            Ok(0)
        }
        F_GETFL => Ok(file.flags() as usize),
        F_SETFL => {
            let direct = argument as u32 & O_DIRECT != 0;
            if direct
                && file.file.pipe_size().is_none()
                && file.file.stat().st_mode & TYPE != REGULAR
            {
                return Err(Errno::EINVAL);
            }
            file.set_flags(argument as u32);
            Ok(0)
        }
        command if lock::is_command(command) => lock::fcntl(&file, command, argument),
        F_SETOWN | F_GETOWN => Ok(0),
        F_GETPIPE_SZ => file.file.pipe_size().ok_or(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}

/// Nothing is ever unwritten.
fn fsync(args: &Args) -> Result<usize, Errno> {
    match get(args[0])?.file.stat().st_mode & TYPE {
        REGULAR | DIRECTORY => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn sync(_: &Args) -> Result<usize, Errno> {
    Ok(0)
}

fn fadvise64(args: &Args) -> Result<usize, Errno> {
    get(args[0])?;
    Ok(0)
}

/// A length or offset as an argument: not negative.
fn length(argument: usize) -> Result<u64, Errno> {
    u64::try_from(argument as i64).map_err(|_| Errno::EINVAL)
}

fn ftruncate(args: &Args) -> Result<usize, Errno> {
    let size = length(args[1])?;
    let file = get(args[0])?;
    if file.access() == O_RDONLY || file.flags() & O_PATH != 0 {
        return Err(if file.flags() & O_PATH != 0 {
            Errno::EBADF
        } else {
            Errno::EINVAL
        });
    }
    file.file.truncate(size)?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/fallocate.2.html>
fn fallocate(args: &Args) -> Result<usize, Errno> {
    let (start, len) = (length(args[2])?, length(args[3])?);
    let file = get(args[0])?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    if file.access() == O_RDONLY {
        return Err(Errno::EBADF);
    }
    file.file.allocate(args[1] as u32, start, len)?;
    Ok(0)
}

fn getcwd(args: &Args) -> Result<usize, Errno> {
    let mut path = tree::path(working_directory())?;
    path.push(0);
    if path.len() > args[1] {
        return Err(Errno::ERANGE);
    }
    user::bytes_mut(args[0], path.len())?.copy_from_slice(&path);
    Ok(path.len())
}

/// The directory that a path names, where the process may go.
fn enter(path: usize) -> Result<u64, Errno> {
    let found = find(at(CWD, path)?, 0)?;
    let directory = found.directory().ok_or(Errno::ENOTDIR)?;
    match found.stat().st_mode & 0o100 {
        0 => Err(Errno::EACCES),
        _ => Ok(directory),
    }
}

fn chdir(args: &Args) -> Result<usize, Errno> {
    set_working_directory(enter(args[0])?);
    Ok(0)
}

/// chroot(2), as somebody without privileges.
fn chroot(args: &Args) -> Result<usize, Errno> {
    enter(args[0])?;
    Err(Errno::EPERM)
}

fn fchdir(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    set_working_directory(file.file.directory().ok_or(Errno::ENOTDIR)?);
    Ok(0)
}
