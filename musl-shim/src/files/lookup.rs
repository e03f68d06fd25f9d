// SPDX-License-Identifier: BSD-2-Clause
//! Paths to files: what the VFS server finds, the devices, and /proc.

use alloc::rc::Rc;
use alloc::vec::Vec;

use vfs_hooks::vfs::{Attributes, FILE, NO_FOLLOW};

use super::archive_file;
use super::device::Device;
use super::directory::Directory;
use super::fifo;
use super::path_file::PathFile;
use super::position::Position;
use super::regular::Regular;
use super::terminal::Terminal;
use super::tree::{self, At, DIRECTORY, Found, REGULAR, TYPE};
use super::{File, OpenFile, character_stat};
use crate::abi::*;
use crate::errno::Errno;
use crate::proc::{self, Target};

/// What a path names.
#[derive(Debug)]
pub enum Node {
    /// A file or directory; if it is in the boot archive, its name there.
    Entry(Attributes, Vec<u8>),
    /// A memory device.
    Device(Device),
    /// /dev/console, /dev/tty, by their number: major << 8 | minor.
    Terminal(u64),
    /// An open file of this process, by /proc/self/fd.
    Open(Rc<OpenFile>),
    /// Something else of /proc.
    Proc(proc::Entry),
}

/// What was found, or where a link of /proc leads on.
enum Step {
    Node(Node),
    On(u64, Vec<u8>),
}

fn step(found: Found, follow: bool) -> Result<Step, Errno> {
    Ok(Step::Node(match found {
        Found::Local(rest) => match proc::find(&rest, follow)? {
            Target::Entry(entry) => Node::Proc(entry),
            Target::Open(file) => Node::Open(file),
            Target::Tree(base, path) => return Ok(Step::On(base, path)),
        },
        Found::Inode(attributes, _) if attributes.mode & TYPE == S_IFCHR => {
            match Device::of_number(attributes.place) {
                Some(device) => Node::Device(device),
                None => Node::Terminal(attributes.place),
            }
        }
        Found::Inode(attributes, name) => Node::Entry(attributes, name),
    }))
}

/// What the path names; `flags` of [`vfs_hooks::vfs`].
pub fn find(at: At, flags: u64) -> Result<Node, Errno> {
    let follow = flags & NO_FOLLOW == 0;
    match step(at.find(flags)?, follow)? {
        Step::Node(node) => Ok(node),
        Step::On(base, path) => find(At { base, path: &path }, flags),
    }
}

impl Node {
    /// Its inode number, if it is a directory.
    pub fn directory(&self) -> Option<u64> {
        match self {
            Node::Entry(attributes, _) if attributes.mode & TYPE == DIRECTORY => {
                Some(attributes.inode)
            }
            Node::Open(file) => file.file.directory(),
            Node::Proc(entry) => entry.directory(),
            _ => None,
        }
    }

    /// stat(2).
    pub fn stat(&self) -> Stat {
        match self {
            Node::Entry(attributes, _) => tree::stat(attributes),
            Node::Device(device) => device.stat(),
            Node::Terminal(number) => character_stat(number >> 8, number & 0xff),
            Node::Open(file) => file.file.stat(),
            Node::Proc(entry) => entry.stat(),
        }
    }
}

/// open(2), except for the number.
pub fn open(at: At, flags: u32, mode: u32) -> Result<Rc<OpenFile>, Errno> {
    let found = at.open(flags, mode)?;
    let created = matches!(&found, Found::Inode(attributes, _) if attributes.created != 0);
    let node = match step(found, flags & O_NOFOLLOW == 0)? {
        Step::Node(node) => node,
        Step::On(base, path) => return open(At { base, path: &path }, flags, mode),
    };
    let (attributes, _) = match node {
        Node::Device(device) => return Ok(OpenFile::new(device, flags)),
        Node::Terminal(_) => return Ok(OpenFile::new(Terminal::new(), flags)),
        Node::Open(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => {
            return Err(Errno::EEXIST);
        }
        Node::Open(file) => return reopen(file, flags),
        Node::Proc(entry) => return proc::file::open(entry, flags),
        Node::Entry(attributes, name) => (attributes, name),
    };
    if flags & O_PATH != 0 && attributes.mode & TYPE != DIRECTORY {
        return Ok(OpenFile::new(PathFile::new(attributes.inode), flags));
    }
    let position = Position::default();
    match attributes.mode & TYPE {
        DIRECTORY => Ok(OpenFile::new(
            Directory::at(attributes.inode, position),
            flags,
        )),
        REGULAR if attributes.place & FILE == 0 => Ok(OpenFile::new(
            archive_file::Regular::at(attributes, position),
            flags,
        )),
        REGULAR => {
            let number = attributes.place as u32;
            let file = Regular::at(number, attributes.inode, position);
            if flags & O_TRUNC != 0 && !created {
                file.truncate(0)?;
            }
            Ok(OpenFile::new(file, flags))
        }
        S_IFIFO => fifo::open(&attributes, flags),
        _ => Err(Errno::ENXIO),
    }
}

/// A path to an open file: for a regular file a new open file with a position of its own, else the same one.
fn reopen(file: Rc<OpenFile>, flags: u32) -> Result<Rc<OpenFile>, Errno> {
    if flags & O_DIRECTORY != 0 && file.file.directory().is_none() {
        return Err(Errno::ENOTDIR);
    }
    let Some(again) = file.file.again(flags) else {
        return Ok(file);
    };
    if flags & O_TRUNC != 0 {
        again.file.truncate(0)?;
    }
    Ok(again)
}
