// SPDX-License-Identifier: BSD-2-Clause
//! Calls that look at an inode or change what stat(2) says of it, and listings of directories.

use alloc::vec::Vec;

use vfs_hooks::inotify::mask;
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::{EMPTY_PATH, NO_FOLLOW, NOW, OMIT};

use crate::errno::Errno;
use crate::open::Found;
use crate::server::{Files, Server, number};
use crate::tree::{Contents, Inode, Kind, LINK, TYPE};
use crate::walk::{End, Last};

/// As whom everybody runs (`musl-shim`'s process::UID).
const USER: u32 = 1000;

impl<F: Files> Server<F> {
    /// The inode that a path names, with flags of [`vfs_hooks::vfs`].
    pub fn find(&self, (base, path): (Inode, &[u8]), flags: u64) -> Result<Place, Errno> {
        if path.is_empty() && flags & EMPTY_PATH != 0 {
            return self.tree.get(base).map(|_| Place::Inode(base));
        }
        let last = match flags & NO_FOLLOW {
            0 => Last::Follow,
            _ => Last::Stay,
        };
        match self.tree.walk(base, path, last)? {
            End::Name(_, _, None, _) => Err(Errno::NOENT),
            End::Name(_, _, Some(inode), true) if !self.tree.get(inode)?.is_directory() => {
                Err(Errno::NOTDIR)
            }
            End::Name(_, _, Some(inode), _) | End::Here(inode) | End::Up(inode) => {
                Ok(Place::Inode(inode))
            }
            End::Local(rest) => Ok(Place::Local(rest)),
        }
    }

    /// As [`Server::find`], where the process's own parts will not do.
    pub fn find_inode(&self, at: (Inode, &[u8]), flags: u64) -> Result<Inode, Errno> {
        match self.find(at, flags)? {
            Place::Inode(inode) => Ok(inode),
            Place::Local(_) => Err(Errno::PERM),
        }
    }

    /// stat(2).
    pub fn lookup(&self, at: (Inode, &[u8]), flags: u64) -> Result<Found, Errno> {
        match self.find(at, flags)? {
            Place::Inode(inode) => self.attributes(inode).map(Found::Inode),
            Place::Local(rest) => Ok(Found::Local(rest)),
        }
    }

    /// readlink(2).
    pub fn readlink(&self, at: (Inode, &[u8]), flags: u64) -> Result<&[u8], Errno> {
        let inode = self.find_inode(at, flags | NO_FOLLOW)?;
        match &self.tree.get(inode)?.kind {
            Kind::Link(target) => Ok(target),
            _ => Err(Errno::INVAL),
        }
    }

    /// The boot archive's name of what a path names, while its contents are there.
    pub fn archive_name(&self, inode: Inode) -> &[u8] {
        match self.tree.get(inode).map(|record| &record.kind) {
            Ok(Kind::Regular(Contents::Archive(_, _, name))) => name,
            _ => &[],
        }
    }

    /// chmod(2).
    pub fn chmod(
        &mut self,
        at: (Inode, &[u8]),
        flags: u64,
        mode: u32,
        now: u64,
    ) -> Result<(), Errno> {
        let inode = self.find_inode(at, flags)?;
        let record = self.tree.get_mut(inode)?;
        if record.mode & TYPE == LINK {
            return Err(Errno::OPNOTSUPP);
        }
        record.mode = record.mode & TYPE | mode & 0o7777;
        self.publish(inode, now);
        self.happened(inode, mask::ATTRIB);
        Ok(())
    }

    /// chown(2): there is one user, so nothing changes but st_ctime. EPERM: to somebody else.
    pub fn chown(
        &mut self,
        at: (Inode, &[u8]),
        flags: u64,
        [user, group]: [u32; 2],
        now: u64,
    ) -> Result<(), Errno> {
        let inode = self.find_inode(at, flags)?;
        if [user, group]
            .iter()
            .any(|id| *id != u32::MAX && *id != USER)
        {
            return Err(Errno::PERM);
        }
        self.publish(inode, now);
        self.happened(inode, mask::ATTRIB);
        Ok(())
    }

    /// utimensat(2): access and modification time.
    pub fn set_times(
        &mut self,
        at: (Inode, &[u8]),
        flags: u64,
        times: [u64; 2],
        now: u64,
    ) -> Result<(), Errno> {
        let inode = self.find_inode(at, flags)?;
        if times == [OMIT; 2] {
            return Ok(());
        }
        let [accessed, modified] = times.map(|time| match time {
            OMIT => None,
            NOW => Some(now),
            time => Some(time),
        });
        let record = self.tree.get_mut(inode)?;
        if let Some(modified) = modified {
            record.times[0] = modified;
        }
        if let Some(accessed) = accessed {
            record.times[2] = accessed;
        }
        if let Kind::Regular(Contents::File(file)) = record.kind {
            let header = self.files.header(file);
            if let Some(modified) = modified {
                header.modified.store(modified, Ordering::Relaxed);
            }
            if let Some(accessed) = accessed {
                header.accessed.store(accessed, Ordering::Relaxed);
            }
        }
        self.publish(inode, now);
        self.happened(inode, mask::ATTRIB);
        Ok(())
    }

    /// Entries of a directory from `start` on, at most `room` bytes of them; where to go on, and how many.
    pub fn list(
        &self,
        directory: Inode,
        start: u64,
        room: usize,
    ) -> Result<(Vec<u8>, u64, u64), Errno> {
        let (names, parent) = self.tree.directory(directory)?;
        let dots: [(u64, &[u8], Inode); 2] = [(0, b".", directory), (1, b"..", parent)];
        let dots = dots.into_iter().filter(|(order, ..)| *order >= start);
        let (mut bytes, mut next, mut count) = (Vec::new(), start, 0);
        for (order, name, inode) in dots.chain(names.from(start.max(2))) {
            if bytes.len() + vfs_hooks::vfs::entry::HEADER + name.len() > room {
                break;
            }
            let kind = self.tree.get(inode)?.mode & TYPE;
            next = order + 1;
            count += 1;
            bytes.extend_from_slice(&number(inode).to_le_bytes());
            bytes.extend_from_slice(&next.to_le_bytes());
            // d_type is the file type of st_mode, shifted (readdir(3)).
            bytes.push((kind >> 12) as u8);
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name);
        }
        Ok((bytes, next, count))
    }
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An inode.
    Inode(Inode),
    /// Something of the process's own: the rest of the path.
    Local(Vec<u8>),
}
