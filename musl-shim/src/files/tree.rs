// SPDX-License-Identifier: BSD-2-Clause
//! The tree of files, as the VFS server has it: requests by path. A path is relative to a directory that is named by its inode number.

use alloc::vec::Vec;

use vfs_hooks::vfs::{self, Attributes, EMPTY_PATH, FILE, MOST_STRINGS, NO_FOLLOW, ROOT, label};

use super::{ANONYMOUS_DEVICE, TREE_DEVICE, empty_stat, get, working_directory};
use crate::abi::{AT_FDCWD, S_IFSOCK, Stat, Timespec};
use crate::clock::SECOND;
use crate::errno::Errno;
use crate::platform;
use crate::platform::vfs::Reply;
use crate::user;

/// Longest path with its final NUL (limits.h).
pub const PATH_MAX: usize = 4096;
/// st_mode's file type.
pub const TYPE: u32 = 0o170000;
/// File type of a directory.
pub const DIRECTORY: u32 = 0o040000;
/// File type of a regular file.
pub const REGULAR: u32 = 0o100000;
/// Longest part of a path that goes in one request, with room for another such part.
const MOST_PATH: usize = MOST_STRINGS / 2 - 8;

/// A path and where it starts.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Inode number of a directory.
    pub base: u64,
    /// What follows from there.
    pub path: &'a [u8],
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// An inode; of a file that is in the boot archive, its name there.
    Inode(Attributes, Vec<u8>),
    /// Below /proc: the rest of the path.
    Local(Vec<u8>),
}

/// The path at `address`, relative to directory `fd`.
pub fn at<'a>(fd: usize, address: usize) -> Result<At<'a>, Errno> {
    let path = user::string(address, PATH_MAX - 1)?;
    Ok(At {
        base: base(fd, path)?,
        path,
    })
}

/// Where a path relative to directory `fd` starts.
pub fn base(fd: usize, path: &[u8]) -> Result<u64, Errno> {
    if path.first() == Some(&b'/') {
        return Ok(ROOT);
    }
    if fd as i32 == AT_FDCWD {
        return Ok(working_directory());
    }
    get(fd)?.file.directory().ok_or(Errno::ENOTDIR)
}

impl<'a> At<'a> {
    /// The inode itself.
    pub fn inode(base: u64) -> At<'static> {
        At { base, path: b"" }
    }

    /// The same in a form that fits into a request: a path that is too long is walked in steps.
    pub fn short(mut self) -> Result<At<'a>, Errno> {
        while self.path.len() > MOST_PATH {
            let slash = self.path[..MOST_PATH].iter().rposition(|b| *b == b'/');
            let (step, rest) = self.path.split_at(slash.ok_or(Errno::ENAMETOOLONG)? + 1);
            let words = [self.base, 0, 0];
            let reply = platform::vfs::ask(label::LOOKUP, words, [step, b""])?;
            let attributes = Attributes::from_words(&reply.words);
            if attributes.mode & TYPE != DIRECTORY {
                // Nothing below /proc has so long a path.
                return Err(Errno::ENAMETOOLONG);
            }
            let skip = rest.iter().take_while(|b| **b == b'/').count();
            self.base = attributes.inode;
            self.path = match &rest[skip..] {
                [] => b".",
                rest => rest,
            };
        }
        Ok(self)
    }

    /// A request about the path; `other` is a second string.
    pub fn ask(self, label: u64, words: [u64; 2], other: &[u8]) -> Result<Reply, Errno> {
        let short = self.short()?;
        let words = [short.base, words[0], words[1]];
        platform::vfs::ask(label, words, [short.path, other])
    }

    /// What it leads to. `flags` of [`vfs_hooks::vfs`].
    pub fn find(self, flags: u64) -> Result<Found, Errno> {
        self.ask(label::LOOKUP, [flags, 0], b"").map(found)
    }

    /// open(2), as far as it is the server's.
    pub fn open(self, flags: u32, mode: u32) -> Result<Found, Errno> {
        self.ask(label::OPEN, [flags.into(), mode.into()], b"")
            .map(found)
    }
}

fn found(reply: Reply) -> Found {
    let attributes = Attributes::from_words(&reply.words);
    match attributes.mode {
        0 => Found::Local(reply.string),
        _ => Found::Inode(attributes, reply.string),
    }
}

/// A request about two paths.
pub fn ask_both(label: u64, from: At, to: At, word: u64) -> Result<(), Errno> {
    let (from, to) = (from.short()?, to.short()?);
    platform::vfs::ask(label, [from.base, to.base, word], [from.path, to.path]).map(drop)
}

/// What stat(2) says of an inode.
pub fn attributes(inode: u64) -> Result<Attributes, Errno> {
    match At::inode(inode).find(EMPTY_PATH)? {
        Found::Inode(attributes, _) => Ok(attributes),
        Found::Local(_) => Err(Errno::ENOENT),
    }
}

/// Entries of a directory from `start` on, as [`vfs::entry`] has them, and how many.
pub fn list(inode: u64, start: u64) -> Result<(Vec<u8>, u64), Errno> {
    let reply = platform::vfs::ask(label::LIST, [inode, start, 0], [b"", b""])?;
    Ok((reply.string, reply.words[1]))
}

/// Inode number of /proc.
pub fn proc() -> Result<u64, Errno> {
    let at = At {
        base: ROOT,
        path: b"/proc",
    };
    let reply = at.ask(label::LOOKUP, [0; 2], b"")?;
    Ok(reply.words[0])
}

/// Absolute path of a directory.
pub fn path(inode: u64) -> Result<Vec<u8>, Errno> {
    platform::vfs::ask(label::PATH, [inode, 0, 0], [b"", b""]).map(|reply| reply.string)
}

/// Flags for [`At::find`] and its like, by AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
pub fn flags(no_follow: bool, empty_path: bool) -> u64 {
    let no_follow = if no_follow { NO_FOLLOW } else { 0 };
    no_follow | if empty_path { EMPTY_PATH } else { 0 }
}

/// For AF_UNIX: makes a socket at a path; its inode number, which is never another's. EEXIST (EADDRINUSE to bind(2)), ENOENT, …
pub fn make_socket(at: At, mode: u32) -> Result<u64, Errno> {
    let mode = S_IFSOCK | mode & 0o777;
    let reply = at.ask(label::MKNOD, [mode.into(), 0], b"")?;
    Ok(Attributes::from_words(&reply.words).inode)
}

/// For AF_UNIX: the inode number of the socket at a path. ECONNREFUSED: it is something else.
pub fn find_socket(at: At) -> Result<u64, Errno> {
    match at.find(0)? {
        Found::Inode(attributes, _) if attributes.mode & TYPE == S_IFSOCK => Ok(attributes.inode),
        _ => Err(Errno::ECONNREFUSED),
    }
}

/// unlink(2): the inode number of a socket that has no name any longer.
pub fn unlink(at: At) -> Result<Option<u64>, Errno> {
    let reply = at.ask(label::UNLINK, [0, 0], b"")?;
    let removed = Attributes::from_words(&reply.words);
    let socket = removed.mode & TYPE == S_IFSOCK && removed.links == 0;
    Ok(socket.then_some(removed.inode))
}

/// The bytes of a file that is in the boot archive.
pub fn archived(attributes: &Attributes) -> &'static [u8] {
    if attributes.mode & TYPE != REGULAR || attributes.place & FILE != 0 {
        return &[];
    }
    let start = attributes.place as usize;
    let end = start.saturating_add(attributes.size as usize);
    platform::memory::archive()
        .get(start..end)
        .unwrap_or_default()
}

fn time(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: (nanoseconds / SECOND) as i64,
        tv_nsec: (nanoseconds % SECOND) as i64,
    }
}

/// As struct stat.
pub fn stat(attributes: &Attributes) -> Stat {
    let size = attributes.size as i64;
    let device = attributes.mode & TYPE == crate::abi::S_IFCHR;
    Stat {
        st_dev: if device {
            ANONYMOUS_DEVICE
        } else {
            TREE_DEVICE
        },
        st_ino: attributes.inode,
        st_nlink: attributes.links.into(),
        st_mode: attributes.mode,
        st_rdev: if device { attributes.place } else { 0 },
        st_size: size,
        st_blocks: match attributes.mode & TYPE {
            REGULAR => (size + 4095) / 4096 * 8,
            _ => 0,
        },
        st_atime: time(attributes.accessed),
        st_mtime: time(attributes.modified),
        st_ctime: time(attributes.changed),
        ..empty_stat()
    }
}

/// Checks that requests and their constants are of one version.
const _: () = assert!(MOST_PATH * 2 <= vfs::MOST_STRINGS);
