// SPDX-License-Identifier: BSD-2-Clause
//! Calls on names: what stat(2) says of them, and what makes, moves and removes them. Each is a request to the VFS server.

use vfs_hooks::vfs::{NOW, OMIT, label};

use crate::abi::*;
use crate::clock::SECOND;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::lookup::{Node, find, open};
use crate::files::tree::{self, At, PATH_MAX, TYPE, at};
use crate::files::{self, get};
use crate::net::unix::named::key_of;
use crate::{platform, process, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("stat", 4, stat),
    Call::new("lstat", 6, lstat),
    Call::new("access", 21, access),
    Call::new("truncate", 76, truncate),
    Call::new("rename", 82, rename),
    Call::new("mkdir", 83, mkdir),
    Call::new("rmdir", 84, rmdir),
    Call::new("link", 86, link),
    Call::new("unlink", 87, unlink),
    Call::new("symlink", 88, symlink),
    Call::new("readlink", 89, readlink),
    Call::new("chmod", 90, chmod),
    Call::new("fchmod", 91, fchmod),
    Call::new("chown", 92, chown),
    Call::new("fchown", 93, fchown),
    Call::new("lchown", 94, lchown),
    Call::new("utime", 132, utime),
    Call::new("mknod", 133, mknod),
    Call::new("statfs", 137, statfs),
    Call::new("fstatfs", 138, fstatfs),
    Call::new("utimes", 235, utimes),
    Call::new("mkdirat", 258, mkdirat),
    Call::new("mknodat", 259, mknodat),
    Call::new("fchownat", 260, fchownat),
    Call::new("newfstatat", 262, newfstatat),
    Call::new("unlinkat", 263, unlinkat),
    Call::new("renameat", 264, renameat),
    Call::new("linkat", 265, linkat),
    Call::new("symlinkat", 266, symlinkat),
    Call::new("readlinkat", 267, readlinkat),
    Call::new("fchmodat", 268, fchmodat),
    Call::new("faccessat", 269, faccessat),
    Call::new("utimensat", 280, utimensat),
    Call::new("renameat2", 316, renameat2),
    Call::new("faccessat2", 439, faccessat2),
];

/// AT_FDCWD as an argument.
const CWD: usize = AT_FDCWD as usize;

fn stat(args: &Args) -> Result<usize, Errno> {
    user::write(args[1], find(at(CWD, args[0])?, 0)?.stat())?;
    Ok(0)
}

fn lstat(args: &Args) -> Result<usize, Errno> {
    let flags = tree::flags(true, false);
    user::write(args[1], find(at(CWD, args[0])?, flags)?.stat())?;
    Ok(0)
}

/// Path and flags of an *at call that takes AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH; `None`: the open file itself is meant.
fn at_flags<'a>(fd: usize, path: usize, flags: u32) -> Result<Option<(At<'a>, u64)>, Errno> {
    let empty = flags & AT_EMPTY_PATH != 0;
    if empty && fd as i32 != AT_FDCWD && user::read::<u8>(path)? == 0 {
        return Ok(None);
    }
    let no_follow = flags & AT_SYMLINK_NOFOLLOW != 0;
    Ok(Some((at(fd, path)?, tree::flags(no_follow, empty))))
}

fn newfstatat(args: &Args) -> Result<usize, Errno> {
    let [fd, path, out, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL);
    }
    let stat = match at_flags(fd, path, flags)? {
        Some((at, flags)) => find(at, flags)?.stat(),
        None => get(fd)?.file.stat(),
    };
    user::write(out, stat)?;
    Ok(0)
}

fn access(args: &Args) -> Result<usize, Errno> {
    faccessat(&[CWD, args[0], args[1], 0, 0, 0])
}

fn faccessat(args: &Args) -> Result<usize, Errno> {
    faccessat2(&[args[0], args[1], args[2], 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/access.2.html>: the process owns everything, so the owner's bits count.
fn faccessat2(args: &Args) -> Result<usize, Errno> {
    const ALL: u32 = 7;
    let (mode, flags) = (args[2] as u32, args[3] as u32);
    if mode & !ALL != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let stat = match at_flags(args[0], args[1], flags)? {
        Some((at, flags)) => find(at, flags)?.stat(),
        None => get(args[0])?.file.stat(),
    };
    if mode & !(stat.st_mode >> 6) & ALL != 0 {
        return Err(Errno::EACCES);
    }
    Ok(0)
}

/// As opening for writing, and ftruncate(2).
fn truncate(args: &Args) -> Result<usize, Errno> {
    let size = u64::try_from(args[1] as i64).map_err(|_| Errno::EINVAL)?;
    let at = at(CWD, args[0])?;
    match find(at, 0)? {
        node if node.directory().is_some() => return Err(Errno::EISDIR),
        Node::Entry(attributes, _) if attributes.mode & TYPE == tree::REGULAR => {}
        _ => return Err(Errno::EINVAL),
    }
    open(at, O_WRONLY, 0)?.file.truncate(size)?;
    Ok(0)
}

fn mkdir(args: &Args) -> Result<usize, Errno> {
    mkdirat(&[CWD, args[0], args[1], 0, 0, 0])
}

fn mkdirat(args: &Args) -> Result<usize, Errno> {
    let mode = args[2] as u32 & 0o1777 & !process::umask();
    at(args[0], args[1])?.ask(label::MKDIR, [mode.into(), 0], b"")?;
    Ok(0)
}

fn mknod(args: &Args) -> Result<usize, Errno> {
    mknodat(&[CWD, args[0], args[1], args[2], 0, 0])
}

fn mknodat(args: &Args) -> Result<usize, Errno> {
    let mode = args[2] as u32 & !process::umask();
    at(args[0], args[1])?.ask(label::MKNOD, [mode.into(), 0], b"")?;
    Ok(0)
}

fn rmdir(args: &Args) -> Result<usize, Errno> {
    unlinkat(&[CWD, args[0], AT_REMOVEDIR as usize, 0, 0, 0])
}

fn unlink(args: &Args) -> Result<usize, Errno> {
    unlinkat(&[CWD, args[0], 0, 0, 0, 0])
}

fn unlinkat(args: &Args) -> Result<usize, Errno> {
    let flags = args[2] as u32;
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let at = at(args[0], args[1])?;
    if flags != 0 {
        at.ask(label::UNLINK, [flags.into(), 0], b"")?;
    } else if let Some(socket) = tree::unlink(at)? {
        // ENOENT: no socket was ever bound there.
        let _ = platform::channels::unlink(&key_of(socket));
    }
    Ok(0)
}

fn rename(args: &Args) -> Result<usize, Errno> {
    renameat2(&[CWD, args[0], CWD, args[1], 0, 0])
}

fn renameat(args: &Args) -> Result<usize, Errno> {
    renameat2(&[args[0], args[1], args[2], args[3], 0, 0])
}

fn renameat2(args: &Args) -> Result<usize, Errno> {
    let (from, to) = (at(args[0], args[1])?, at(args[2], args[3])?);
    tree::ask_both(label::RENAME, from, to, u64::from(args[4] as u32))?;
    Ok(0)
}

fn link(args: &Args) -> Result<usize, Errno> {
    linkat(&[CWD, args[0], CWD, args[1], 0, 0])
}

fn linkat(args: &Args) -> Result<usize, Errno> {
    let flags = args[4] as u32;
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let to = at(args[2], args[3])?;
    let empty = flags & AT_EMPTY_PATH != 0;
    let from = at(args[0], args[1])?;
    let from = match from.path {
        b"" if empty => At::inode(get(args[0])?.file.inode().ok_or(Errno::EXDEV)?),
        // An open file by its name in /proc.
        _ if flags & AT_SYMLINK_FOLLOW != 0 => match find(from, 0)? {
            Node::Open(file) => At::inode(file.file.inode().ok_or(Errno::EXDEV)?),
            _ => from,
        },
        _ => from,
    };
    let no_follow = flags & AT_SYMLINK_FOLLOW == 0;
    let empty = from.path.is_empty();
    tree::ask_both(label::LINK, from, to, tree::flags(no_follow, empty))?;
    Ok(0)
}

fn symlink(args: &Args) -> Result<usize, Errno> {
    symlinkat(&[args[0], CWD, args[1], 0, 0, 0])
}

fn symlinkat(args: &Args) -> Result<usize, Errno> {
    let target = user::string(args[0], PATH_MAX - 1)?;
    let at = at(args[1], args[2])?.short()?;
    let words = [at.base, 0, 0];
    platform::vfs::ask(label::SYMLINK, words, [target, at.path])?;
    Ok(0)
}

fn readlink(args: &Args) -> Result<usize, Errno> {
    readlinkat(&[CWD, args[0], args[1], args[2], 0, 0])
}

fn readlinkat(args: &Args) -> Result<usize, Errno> {
    let len = args[3] as i32;
    if len <= 0 {
        return Err(Errno::EINVAL);
    }
    let at = at(args[0], args[1])?;
    let text = match at.ask(label::READLINK, [0, 0], b"") {
        Ok(reply) => reply.string,
        // /proc is not the server's.
        Err(Errno::EPERM) => match find(at, tree::flags(true, false))? {
            Node::Proc(entry) => entry.target()?,
            _ => return Err(Errno::EINVAL),
        },
        Err(errno) => return Err(errno),
    };
    let n = text.len().min(len as usize);
    user::bytes_mut(args[2], n)?.copy_from_slice(&text[..n]);
    Ok(n)
}

/// Asks for a change of an inode's attributes, by path or, if there is none, by fd.
fn change(
    label: u64,
    fd: usize,
    path: Option<usize>,
    flags: u32,
    word: u64,
    string: &[u8],
) -> Result<usize, Errno> {
    let found = match path {
        Some(path) => at_flags(fd, path, flags)?,
        None => None,
    };
    match found {
        Some((at, flags)) => {
            let asked = at.ask(label, [flags, word], string);
            if let Err(Errno::EPERM) = asked
                && let Ok(Node::Open(file)) = find(at, 0)
                && let Some(inode) = file.file.inode()
            {
                // An open file by its name in /proc.
                let flags = tree::flags(false, true);
                At::inode(inode).ask(label, [flags, word], string)?;
                return Ok(0);
            }
            asked?
        }
        None => {
            let file = get(fd)?;
            if path.is_none() && file.flags() & O_PATH != 0 {
                return Err(Errno::EBADF);
            }
            // What is not in the tree has nobody whom its attributes matter to.
            let Some(inode) = file.file.inode() else {
                return Ok(0);
            };
            let flags = tree::flags(false, true);
            At::inode(inode).ask(label, [flags, word], string)?
        }
    };
    Ok(0)
}

fn chmod(args: &Args) -> Result<usize, Errno> {
    fchmodat(&[CWD, args[0], args[1], 0, 0, 0])
}

fn fchmod(args: &Args) -> Result<usize, Errno> {
    change(
        label::CHMOD,
        args[0],
        None,
        0,
        u64::from(args[1] as u32),
        b"",
    )
}

fn fchmodat(args: &Args) -> Result<usize, Errno> {
    let mode = u64::from(args[2] as u32);
    change(label::CHMOD, args[0], Some(args[1]), 0, mode, b"")
}

/// User and group as CHOWN has them.
fn owners(user: usize, group: usize) -> u64 {
    u64::from(user as u32) | u64::from(group as u32) << 32
}

fn chown(args: &Args) -> Result<usize, Errno> {
    fchownat(&[CWD, args[0], args[1], args[2], 0, 0])
}

fn lchown(args: &Args) -> Result<usize, Errno> {
    let flags = AT_SYMLINK_NOFOLLOW as usize;
    fchownat(&[CWD, args[0], args[1], args[2], flags, 0])
}

fn fchown(args: &Args) -> Result<usize, Errno> {
    let owners = owners(args[1], args[2]);
    change(label::CHOWN, args[0], None, 0, owners, b"")
}

fn fchownat(args: &Args) -> Result<usize, Errno> {
    let flags = args[4] as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let owners = owners(args[2], args[3]);
    change(label::CHOWN, args[0], Some(args[1]), flags, owners, b"")
}

/// Sets access and modification time, each in nanoseconds or [`OMIT`] or [`NOW`].
fn set_times(fd: usize, path: Option<usize>, flags: u32, times: [u64; 2]) -> Result<usize, Errno> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&times[0].to_le_bytes());
    bytes[8..].copy_from_slice(&times[1].to_le_bytes());
    change(label::TIMES, fd, path, flags, 0, &bytes)
}

/// A time in nanoseconds from seconds and a part of one.
fn time(seconds: i64, part: i64, parts: u64) -> Result<u64, Errno> {
    let part = u64::try_from(part).ok().filter(|part| *part < parts);
    let part = part.ok_or(Errno::EINVAL)? * (SECOND / parts);
    // Times before 1970 are not kept.
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Ok(seconds
        .saturating_mul(SECOND)
        .saturating_add(part)
        .min(NOW - 1))
}

/// <https://man7.org/linux/man-pages/man2/utimensat.2.html>
fn utimensat(args: &Args) -> Result<usize, Errno> {
    const UTIME_NOW: i64 = 0x3fff_ffff;
    const UTIME_OMIT: i64 = 0x3fff_fffe;
    let [fd, path, times, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = match user::read_optional::<[Timespec; 2]>(times)? {
        None => [NOW; 2],
        Some([accessed, modified]) => {
            let one = |t: Timespec| match t.tv_nsec {
                UTIME_NOW => Ok(NOW),
                UTIME_OMIT => Ok(OMIT),
                part => time(t.tv_sec, part, SECOND),
            };
            [one(accessed)?, one(modified)?]
        }
    };
    set_times(fd, (path != 0).then_some(path), flags, times)
}

fn utimes(args: &Args) -> Result<usize, Errno> {
    let times = match user::read_optional::<[Timeval; 2]>(args[1])? {
        None => [NOW; 2],
        Some([accessed, modified]) => {
            let one = |t: Timeval| time(t.tv_sec, t.tv_usec, 1_000_000);
            [one(accessed)?, one(modified)?]
        }
    };
    set_times(CWD, Some(args[0]), 0, times)
}

fn utime(args: &Args) -> Result<usize, Errno> {
    let times = match user::read_optional::<[i64; 2]>(args[1])? {
        None => [NOW; 2],
        Some([accessed, modified]) => [time(accessed, 0, SECOND)?, time(modified, 0, SECOND)?],
    };
    set_times(CWD, Some(args[0]), 0, times)
}

fn statfs(args: &Args) -> Result<usize, Errno> {
    find(at(CWD, args[0])?, 0)?;
    write_statfs(args[1])
}

fn fstatfs(args: &Args) -> Result<usize, Errno> {
    get(args[0])?;
    write_statfs(args[1])
}

/// struct statfs of a file system in memory.
fn write_statfs(out: usize) -> Result<usize, Errno> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    const NAME_MAX: u64 = 255;
    let [most, used] = platform::vfs::usage()?;
    let count = platform::vfs::ask(label::COUNT, [0; 3], [b"", b""])?.words[0];
    let free = most.saturating_sub(used);
    let block = files::BLOCK as u64;
    let files = vfs_hooks::file::MOST as u64;
    let statfs = [
        TMPFS_MAGIC,
        block,
        most,
        free,
        free,
        files.max(count),
        files.saturating_sub(count),
        0,
        NAME_MAX,
        block,
        0,
        0,
        0,
        0,
        0,
    ];
    user::write(out, statfs)?;
    Ok(0)
}
