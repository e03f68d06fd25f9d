// SPDX-License-Identifier: BSD-2-Clause
//! Paths to files: the archive, the devices, and `/dev/fd`.

use alloc::rc::Rc;

use crate::errno::Errno;

use super::archive_file::{self, Directory, Regular};
use super::device::Device;
use super::terminal::Terminal;
use super::{File, OpenFile, archive, get, working_directory};
use crate::abi::*;
use crate::archive::Entry;
use crate::path::{self, PATH_MAX, PathError, Plain};
use crate::user;

/// What a path names.
#[derive(Debug)]
pub enum Node {
    /// A file or directory of the archive.
    Entry(Entry),
    /// A memory device.
    Device(Device),
    /// /dev/console, /dev/tty.
    Terminal,
    /// An open file of this process, by /dev/fd.
    Open(Rc<OpenFile>),
}

/// The plain path of the C string at `address`, relative to directory `fd`.
pub fn plain(fd: usize, address: usize) -> Result<Plain, Errno> {
    let path = user::string(address, PATH_MAX - 1)?;
    let resolved = if path.first() == Some(&b'/') || fd as i32 == AT_FDCWD {
        path::resolve(&working_directory(), path)
    } else {
        let file = get(fd)?;
        path::resolve(file.file.directory().ok_or(Errno::ENOTDIR)?, path)
    };
    resolved.map_err(|error| match error {
        PathError::Empty => Errno::ENOENT,
        PathError::TooLong => Errno::ENAMETOOLONG,
    })
}

/// Number of an fd in a path, and what it names.
fn open_file(path: &[u8]) -> Option<Rc<OpenFile>> {
    let number = match path {
        b"dev/stdin" => 0,
        b"dev/stdout" => 1,
        b"dev/stderr" => 2,
        _ => {
            let digits = path
                .strip_prefix(b"dev/fd/")
                .or_else(|| path.strip_prefix(b"proc/self/fd/"))?;
            core::str::from_utf8(digits).ok()?.parse().ok()?
        }
    };
    get(number).ok()
}

/// What the path names; ENOENT or ENOTDIR if nothing.
pub fn find(plain: &Plain) -> Result<Node, Errno> {
    let path = &plain.path[..];
    let node = if let Some(entry) = archive(|archive| archive.get(path)) {
        Node::Entry(entry)
    } else if let Some(device) = Device::at(path) {
        Node::Device(device)
    } else if matches!(path, b"dev/console" | b"dev/tty" | b"dev/ttyS0") {
        Node::Terminal
    } else if let Some(file) = open_file(path) {
        Node::Open(file)
    } else if archive(|archive| archive.passes_through_file(path)) {
        return Err(Errno::ENOTDIR);
    } else {
        return Err(Errno::ENOENT);
    };
    if plain.directory && !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    Ok(node)
}

impl Node {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Node::Entry(entry) if entry.is_directory())
    }

    /// stat(2).
    pub fn stat(&self) -> Stat {
        match self {
            Node::Entry(entry) => archive_file::stat(entry),
            Node::Device(device) => device.stat(),
            Node::Terminal => Terminal::stat(),
            Node::Open(file) => file.file.stat(),
        }
    }
}

/// open(2), except for the number.
pub fn open(plain: &Plain, flags: u32) -> Result<Rc<OpenFile>, Errno> {
    if flags & O_TMPFILE == O_TMPFILE {
        return Err(Errno::EROFS);
    }
    let node = match find(plain) {
        Err(Errno::ENOENT) if flags & O_CREAT != 0 && has_parent(&plain.path) => {
            return Err(Errno::EROFS);
        }
        found => found?,
    };
    if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
        return Err(Errno::EEXIST);
    }
    if flags & O_DIRECTORY != 0 && !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let writes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0;
    match node {
        Node::Entry(entry) if entry.is_directory() => {
            if writes || flags & O_CREAT != 0 {
                return Err(Errno::EISDIR);
            }
            Ok(OpenFile::new(Directory::new(&plain.path, entry), flags))
        }
        Node::Entry(_) if writes => Err(Errno::EROFS),
        Node::Entry(entry) if entry.mode & 0o444 == 0 => Err(Errno::EACCES),
        Node::Entry(entry) => Ok(OpenFile::new(Regular::new(entry), flags)),
        Node::Device(device) => Ok(OpenFile::new(device, flags)),
        Node::Terminal => Ok(OpenFile::new(Terminal::new(), flags)),
        Node::Open(file) => Ok(file),
    }
}

/// Whether the directory in which the path would lie exists.
pub fn has_parent(path: &[u8]) -> bool {
    let parent = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
    archive(|archive| archive.get(&path[..parent])).is_some_and(|entry| entry.is_directory())
}
