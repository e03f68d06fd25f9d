// SPDX-License-Identifier: BSD-2-Clause
//! Paths, directories, fds and their flags. The tree is read-only: what would change it is EROFS, after the errors that come first.

use crate::errno::Errno;

use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::files::lookup::{self, Node, find, has_parent, plain};
use crate::files::{self, get, set_working_directory, table, working_directory};
use crate::path::absolute;
use crate::platform::channels;
use crate::{process, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("open", 2, open),
    Call::new("close", 3, close),
    Call::new("stat", 4, stat),
    Call::new("fstat", 5, fstat),
    Call::new("lstat", 6, stat),
    Call::new("lseek", 8, lseek),
    Call::new("access", 21, access),
    Call::new("dup", 32, dup),
    Call::new("dup2", 33, dup2),
    Call::new("fcntl", 72, fcntl),
    Call::new("flock", 73, flock),
    Call::new("fsync", 74, fsync),
    Call::new("fdatasync", 75, fsync),
    Call::new("truncate", 76, truncate),
    Call::new("ftruncate", 77, ftruncate),
    Call::new("getcwd", 79, getcwd),
    Call::new("chdir", 80, chdir),
    Call::new("fchdir", 81, fchdir),
    Call::new("rename", 82, rename),
    Call::new("mkdir", 83, mkdir),
    Call::new("rmdir", 84, rmdir),
    Call::new("creat", 85, creat),
    Call::new("unlink", 87, unlink),
    Call::new("readlink", 89, readlink),
    Call::new("chmod", 90, chmod),
    Call::new("chown", 92, chmod),
    Call::new("sync", 162, sync),
    Call::new("getdents64", 217, getdents64),
    Call::new("fadvise64", 221, fadvise64),
    Call::new("openat", 257, openat),
    Call::new("mkdirat", 258, mkdirat),
    Call::new("newfstatat", 262, newfstatat),
    Call::new("unlinkat", 263, unlinkat),
    Call::new("readlinkat", 267, readlinkat),
    Call::new("faccessat", 269, faccessat),
    Call::new("dup3", 292, dup3),
    Call::new("close_range", 436, close_range),
    Call::new("faccessat2", 439, faccessat),
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
    let flags = args[2] as u32;
    let file = lookup::open(&plain(args[0], args[1])?, flags | O_LARGEFILE)?;
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

fn stat(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], find(&plain(CWD, args[0])?)?.stat())?;
    Ok(0)
}

fn fstat(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], get(args[0])?.file.stat())?;
    Ok(0)
}

fn newfstatat(args: &Args) -> Result<usize, Errno> {
    let [fd, path, out, flags, ..] = *args;
    if flags as u32 & AT_EMPTY_PATH != 0 && user::read::<u8>(path)? == 0 {
        if fd as i32 == AT_FDCWD {
            let here = lookup_here(b".")?;
            user::write(out, here.stat())?;
            return Ok(0);
        }
        return fstat(&[fd, out, 0, 0, 0, 0]);
    }
    user::write(out, find(&plain(fd, path)?)?.stat())?;
    Ok(0)
}

/// What a path relative to the working directory names.
fn lookup_here(path: &[u8]) -> Result<Node, Errno> {
    let plain =
        crate::path::resolve(&working_directory(), path).map_err(|_| Errno::ENAMETOOLONG)?;
    find(&plain)
}

fn access(args: &Args) -> Result<usize, Errno> {
    faccessat(&[CWD, args[0], args[1], 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/access.2.html>: the process owns everything, so the owner's bits count.
fn faccessat(args: &Args) -> Result<usize, Errno> {
    const X_OK: u32 = 1;
    const W_OK: u32 = 2;
    const R_OK: u32 = 4;
    let mode = args[2] as u32;
    if mode & !(R_OK | W_OK | X_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    let node = find(&plain(args[0], args[1])?)?;
    if mode & W_OK != 0 && matches!(node, Node::Entry(_)) {
        return Err(Errno::EROFS);
    }
    if mode & !(node.stat().st_mode >> 6) & (R_OK | X_OK) != 0 {
        return Err(Errno::EACCES);
    }
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
    drop(before);
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
            file.set_flags(argument as u32);
            Ok(0)
        }
        // Nobody else is there to hold a lock.
        F_GETLK => {
            const F_UNLCK: u8 = 2;
            user::write(argument, [F_UNLCK, 0])?;
            Ok(0)
        }
        F_SETLK | F_SETLKW | F_SETOWN => Ok(0),
        F_GETOWN => Ok(0),
        F_GETPIPE_SZ => file.file.pipe_size().ok_or(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}

/// Nobody else is there to hold a lock.
fn flock(args: &Args) -> Result<usize, Errno> {
    get(args[0])?;
    Ok(0)
}

/// Nothing is ever unwritten.
fn fsync(args: &Args) -> Result<usize, Errno> {
    match get(args[0])?.file.stat().st_mode & 0o170000 {
        crate::archive::REGULAR | crate::archive::DIRECTORY => Ok(0),
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

fn getcwd(args: &Args) -> Result<usize, Errno> {
    let mut path = absolute(&working_directory()).into_bytes();
    path.push(0);
    if path.len() > args[1] {
        return Err(Errno::ERANGE);
    }
    user::bytes_mut(args[0], path.len())?.copy_from_slice(&path);
    Ok(path.len())
}

fn chdir(args: &Args) -> Result<usize, Errno> {
    let plain = plain(CWD, args[0])?;
    if !find(&plain)?.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    set_working_directory(&plain.path);
    Ok(0)
}

fn fchdir(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    set_working_directory(file.file.directory().ok_or(Errno::ENOTDIR)?);
    Ok(0)
}

fn mkdir(args: &Args) -> Result<usize, Errno> {
    mkdirat(&[CWD, args[0], args[1], 0, 0, 0])
}

fn mkdirat(args: &Args) -> Result<usize, Errno> {
    let plain = plain(args[0], args[1])?;
    match find(&plain) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) if has_parent(&plain.path) => Err(Errno::EROFS),
        Err(Errno::ENOTDIR) if has_parent(&plain.path) => Err(Errno::EEXIST),
        Err(errno) => Err(errno),
    }
}

/// A change of what exists already.
fn change(fd: usize, path: usize) -> Result<usize, Errno> {
    find(&plain(fd, path)?)?;
    Err(Errno::EROFS)
}

fn rmdir(args: &Args) -> Result<usize, Errno> {
    if !find(&plain(CWD, args[0])?)?.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    Err(Errno::EROFS)
}

fn unlink(args: &Args) -> Result<usize, Errno> {
    remove(CWD, args[0])
}

fn unlinkat(args: &Args) -> Result<usize, Errno> {
    remove(args[0], args[1])
}

/// Removes a file, or the path that a socket is bound to.
fn remove(directory: usize, path: usize) -> Result<usize, Errno> {
    match change(directory, path) {
        Err(Errno::ENOENT) => {
            let plain = plain(directory, path)?;
            channels::unlink(&[b"/", &plain.path[..]].concat())?;
            Ok(0)
        }
        result => result,
    }
}

fn rename(args: &Args) -> Result<usize, Errno> {
    change(CWD, args[0])
}

fn chmod(args: &Args) -> Result<usize, Errno> {
    change(CWD, args[0])
}

fn truncate(args: &Args) -> Result<usize, Errno> {
    change(CWD, args[0])
}

/// No file is ever open for writing that has a length.
fn ftruncate(args: &Args) -> Result<usize, Errno> {
    get(args[0])?;
    Err(Errno::EINVAL)
}

fn readlink(args: &Args) -> Result<usize, Errno> {
    readlinkat(&[CWD, args[0], args[1], args[2], 0, 0])
}

/// There are no symbolic links.
fn readlinkat(args: &Args) -> Result<usize, Errno> {
    find(&plain(args[0], args[1])?)?;
    Err(Errno::EINVAL)
}
