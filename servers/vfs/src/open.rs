// SPDX-License-Identifier: BSD-2-Clause
//! open(2): <https://man7.org/linux/man-pages/man2/open.2.html>. The number, the position and truncation are the caller's.

use alloc::vec::Vec;

use vfs_hooks::channel::{READER, WRITER};
use vfs_hooks::fifo::NEEDS_READER;
use vfs_hooks::inotify::mask;
use vfs_hooks::vfs::Attributes;

use crate::errno::Errno;
use crate::server::{Files, Server, number};
use crate::tree::{
    Contents, DIRECTORY, FIFO, Inode, Kind, LINK, READ, REGULAR, Record, SOCKET, TYPE, WRITE,
};
use crate::walk::{End, Last};

/// Flags of open(2) that matter here, as Linux numbers them on x86_64.
#[allow(missing_docs, reason = "open(2) documents them")]
pub mod flag {
    pub const ACCESS: u32 = 3;
    pub const READ_ONLY: u32 = 0;
    pub const WRITE_ONLY: u32 = 1;
    pub const BOTH: u32 = 2;
    /// Not a program's: to execute it, not to read it.
    pub const EXECUTE: u32 = 0o40;
    pub const NONBLOCK: u32 = 0o4000;
    pub const CREATE: u32 = 0o100;
    pub const EXCLUSIVE: u32 = 0o200;
    pub const TRUNCATE: u32 = 0o1000;
    pub const DIRECT: u32 = 0o40000;
    pub const DIRECTORY: u32 = 0o200000;
    pub const NO_FOLLOW: u32 = 0o400000;
    pub const PATH: u32 = 0o10000000;
    pub const TEMPORARY: u32 = 0o20000000 | DIRECTORY;
}

/// What a path led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An inode.
    Inode(Attributes),
    /// Into a part that is the process's own: the rest of the path.
    Local(Vec<u8>),
}

impl<F: Files> Server<F> {
    /// Opens what `path` names, and makes it if that is asked for.
    pub fn open(
        &mut self,
        process: usize,
        (base, path): (Inode, &[u8]),
        flags: u32,
        mode: u32,
        now: u64,
    ) -> Result<Found, Errno> {
        if flags & flag::TEMPORARY == flag::TEMPORARY {
            return self.open_temporary(process, (base, path), flags, mode, now);
        }
        let flags = match flags & flag::PATH {
            0 => flags,
            // Nothing else counts.
            _ => flags & (flag::PATH | flag::DIRECTORY | flag::NO_FOLLOW),
        };
        let creates = flags & flag::CREATE != 0;
        let exclusive = creates && flags & flag::EXCLUSIVE != 0;
        let stays = exclusive || flags & flag::NO_FOLLOW != 0;
        let last = match (creates, stays) {
            (true, true) => Last::Name,
            (true, false) => Last::Create,
            (false, true) => Last::Stay,
            (false, false) => Last::Follow,
        };
        let inode = match self.tree.walk(base, path, last)? {
            End::Local(rest) => return Ok(Found::Local(rest)),
            End::Name(_, _, _, true) if creates => return Err(Errno::ISDIR),
            End::Name(directory, name, None, _) => {
                if !creates {
                    return Err(Errno::NOENT);
                }
                if flags & flag::DIRECTORY != 0 {
                    return Err(Errno::INVAL);
                }
                self.tree.get(directory)?.allows(WRITE)?;
                let kind = Kind::Regular(Contents::Empty);
                let record = Record::new(REGULAR | mode & 0o7777, kind, now);
                let inode = self.insert(directory, &name, record, now)?;
                return match self.hold(inode, process, false) {
                    Ok(_) => {
                        self.happened(inode, mask::OPEN);
                        let attributes = self.attributes(inode)?;
                        Ok(Found::Inode(Attributes {
                            created: 1,
                            ..attributes
                        }))
                    }
                    Err(errno) => {
                        self.tree.detach(directory, &name, now);
                        self.tree.remove(inode);
                        Err(errno)
                    }
                };
            }
            End::Name(_, _, Some(inode), slash) => {
                if slash && !self.tree.get(inode)?.is_directory() {
                    return Err(Errno::NOTDIR);
                }
                inode
            }
            End::Here(inode) | End::Up(inode) => inode,
        };
        if exclusive {
            return Err(Errno::EXIST);
        }
        self.open_inode(process, inode, flags)
    }

    /// Opens an inode that there is already.
    fn open_inode(&mut self, process: usize, inode: Inode, flags: u32) -> Result<Found, Errno> {
        let record = self.tree.get(inode)?;
        if flags & flag::PATH == 0 && record.mode & TYPE == LINK {
            return Err(Errno::LOOP);
        }
        if record.is_directory() && flags & flag::CREATE != 0 {
            return Err(Errno::ISDIR);
        }
        if !record.is_directory() && flags & flag::DIRECTORY != 0 {
            return Err(Errno::NOTDIR);
        }
        if flags & flag::PATH != 0 {
            return self.attributes(inode).map(Found::Inode);
        }
        let access = flags & flag::ACCESS;
        let writes = access != flag::READ_ONLY || flags & flag::TRUNCATE != 0;
        match record.mode & TYPE {
            DIRECTORY if writes => return Err(Errno::ISDIR),
            SOCKET => return Err(Errno::NXIO),
            _ => {}
        }
        match (access, flags & flag::EXECUTE) {
            (flag::WRITE_ONLY, _) => {}
            (_, 0) => record.allows(READ)?,
            _ if record.mode & 0o111 == 0 => return Err(Errno::ACCES),
            _ => {}
        }
        if writes {
            record.allows(WRITE)?;
        }
        let mode = record.mode;
        match &record.kind {
            _ if mode & TYPE == FIFO => {
                let place = self.open_fifo(process, inode, flags)?;
                self.happened(inode, mask::OPEN);
                let attributes = self.attributes(inode)?;
                return Ok(Found::Inode(Attributes {
                    place,
                    ..attributes
                }));
            }
            Kind::Regular(Contents::Archive(..)) if !writes => {}
            Kind::Regular(_) => {
                self.hold(inode, process, flags & flag::TRUNCATE == 0)?;
            }
            _ => {}
        }
        self.happened(inode, mask::OPEN);
        self.attributes(inode).map(Found::Inode)
    }

    /// fifo(7): the root server gives the process the sides that it wants.
    fn open_fifo(&mut self, process: usize, inode: Inode, flags: u32) -> Result<u64, Errno> {
        if flags & flag::DIRECT != 0 {
            return Err(Errno::INVAL);
        }
        let how = match flags & flag::ACCESS {
            flag::READ_ONLY => 1 << READER,
            flag::WRITE_ONLY if flags & flag::NONBLOCK != 0 => 1 << WRITER | NEEDS_READER,
            flag::WRITE_ONLY => 1 << WRITER,
            flag::BOTH => 1 << READER | 1 << WRITER,
            _ => return Err(Errno::INVAL),
        };
        self.files.open_fifo(number(inode), process, how)
    }

    /// O_TMPFILE: a file without a name, in the file system of a directory.
    fn open_temporary(
        &mut self,
        process: usize,
        (base, path): (Inode, &[u8]),
        flags: u32,
        mode: u32,
        now: u64,
    ) -> Result<Found, Errno> {
        if flags & flag::ACCESS == flag::READ_ONLY {
            return Err(Errno::INVAL);
        }
        let directory = match self.tree.walk(base, path, Last::Follow)? {
            End::Local(_) => return Err(Errno::OPNOTSUPP),
            End::Name(_, _, None, _) => return Err(Errno::NOENT),
            End::Name(_, _, Some(inode), _) | End::Here(inode) | End::Up(inode) => inode,
        };
        self.tree.directory(directory)?;
        self.tree.get(directory)?.allows(WRITE)?;
        let kind = Kind::Regular(Contents::Empty);
        let inode = self
            .tree
            .add(Record::new(REGULAR | mode & 0o7777, kind, now))?;
        if let Err(errno) = self.hold(inode, process, false) {
            self.tree.remove(inode);
            return Err(errno);
        }
        self.adopt_orphan(inode);
        self.attributes(inode).map(Found::Inode)
    }
}
