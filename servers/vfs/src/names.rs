// SPDX-License-Identifier: BSD-2-Clause
//! Calls that make, move and remove names.

use vfs_hooks::inotify::mask;
use vfs_hooks::vfs::Attributes;

use crate::errno::Errno;
use crate::server::{Files, Server};
use crate::tree::{
    CHARACTER, Contents, DIRECTORY, FIFO, Inode, Kind, LINK, REGULAR, Record, SOCKET, TYPE, WRITE,
};
use crate::walk::{End, Last, PATH_MAX};

/// RENAME_NOREPLACE.
pub const NO_REPLACE: u32 = 1;
/// RENAME_EXCHANGE.
pub const EXCHANGE: u32 = 2;

/// Most names of a file, and directories in a directory (as ext4's; st_nlink is compared by some programs).
const LINK_MAX: u32 = 65_000;

/// A name that is there or is to be there, and what it stands for.
type Name = (Inode, alloc::vec::Vec<u8>, Option<Inode>, bool);

impl<F: Files> Server<F> {
    /// Where a new name goes. EEXIST: it is there. `directory`: a slash may follow.
    fn new_name(
        &self,
        (base, path): (Inode, &[u8]),
        directory: bool,
    ) -> Result<(Inode, alloc::vec::Vec<u8>), Errno> {
        match self.tree.walk(base, path, Last::Name)? {
            End::Name(_, _, Some(_), _) | End::Here(_) | End::Up(_) => Err(Errno::EXIST),
            End::Local(rest) => match rest.iter().all(|b| *b == b'/') {
                true => Err(Errno::EXIST),
                false => Err(Errno::PERM),
            },
            End::Name(_, _, None, true) if !directory => Err(Errno::NOENT),
            End::Name(parent, name, None, _) => {
                self.tree.get(parent)?.allows(WRITE)?;
                Ok((parent, name))
            }
        }
    }

    /// mkdir(2).
    pub fn mkdir(&mut self, at: (Inode, &[u8]), mode: u32, now: u64) -> Result<(), Errno> {
        let (parent, name) = self.new_name(at, true)?;
        if self.tree.directory(parent)?.0.directories >= LINK_MAX {
            return Err(Errno::MLINK);
        }
        self.insert_directory(parent, &name, mode, now).map(drop)
    }

    /// mknod(2), for FIFOs, sockets and empty files.
    pub fn mknod(
        &mut self,
        at: (Inode, &[u8]),
        mode: u32,
        number: u64,
        now: u64,
    ) -> Result<Attributes, Errno> {
        let kind = match mode & TYPE {
            0 | REGULAR => Kind::Regular(Contents::Empty),
            FIFO | SOCKET => Kind::Node(number),
            CHARACTER | 0o060000 => {
                self.new_name(at, false)?;
                return Err(Errno::PERM);
            }
            DIRECTORY => return Err(Errno::PERM),
            _ => return Err(Errno::INVAL),
        };
        let (parent, name) = self.new_name(at, false)?;
        let mode = if mode & TYPE == 0 {
            mode | REGULAR
        } else {
            mode
        };
        let record = Record::new(mode & (TYPE | 0o7777), kind, now);
        let inode = self.insert(parent, &name, record, now)?;
        self.attributes(inode)
    }

    /// symlink(2).
    pub fn symlink(&mut self, target: &[u8], at: (Inode, &[u8]), now: u64) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.len() >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let (parent, name) = self.new_name(at, false)?;
        let record = Record::new(LINK | 0o777, Kind::Link(target.into()), now);
        self.insert(parent, &name, record, now).map(drop)
    }

    /// link(2). `from`: what the new name is to stand for.
    pub fn link(&mut self, from: Inode, at: (Inode, &[u8]), now: u64) -> Result<(), Errno> {
        let (parent, name) = self.new_name(at, false)?;
        let record = self.tree.get(from)?;
        if record.is_directory() {
            return Err(Errno::PERM);
        }
        if record.links >= LINK_MAX {
            return Err(Errno::MLINK);
        }
        self.tree.attach(parent, &name, from, now);
        self.publish(from, now);
        self.happened(from, mask::ATTRIB);
        self.named(parent, &name, from, mask::CREATE);
        Ok(())
    }

    /// unlink(2): what lost its name, as it is then.
    pub fn unlink(&mut self, (base, path): (Inode, &[u8]), now: u64) -> Result<Attributes, Errno> {
        let (parent, name, inode, slash) = match self.tree.walk(base, path, Last::Name)? {
            End::Name(parent, name, inode, slash) => (parent, name, inode, slash),
            End::Here(_) | End::Up(_) => return Err(Errno::ISDIR),
            End::Local(_) => return Err(Errno::PERM),
        };
        let inode = inode.ok_or(Errno::NOENT)?;
        let is_directory = self.tree.get(inode)?.is_directory();
        if slash && !is_directory {
            return Err(Errno::NOTDIR);
        }
        if is_directory && slash {
            return Err(Errno::ISDIR);
        }
        self.tree.get(parent)?.allows(WRITE)?;
        if is_directory {
            return Err(Errno::ISDIR);
        }
        let mut removed = self.attributes(inode)?;
        removed.links -= 1;
        self.remove(parent, &name, now);
        Ok(removed)
    }

    /// rmdir(2).
    pub fn rmdir(&mut self, (base, path): (Inode, &[u8]), now: u64) -> Result<(), Errno> {
        let (parent, name, inode) = match self.tree.walk(base, path, Last::Name)? {
            End::Name(parent, name, inode, _) => (parent, name, inode),
            End::Here(inode) if inode == self.tree.root() => return Err(Errno::BUSY),
            End::Here(_) => return Err(Errno::INVAL),
            End::Up(_) => return Err(Errno::NOTEMPTY),
            End::Local(_) => return Err(Errno::BUSY),
        };
        let inode = inode.ok_or(Errno::NOENT)?;
        self.tree.get(parent)?.allows(WRITE)?;
        let (names, _) = self.tree.directory(inode)?;
        if !names.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.remove(parent, &name, now);
        Ok(())
    }

    /// Takes a name away from what it stands for.
    fn remove(&mut self, parent: Inode, name: &[u8], now: u64) {
        if let Some(inode) = self.tree.detach(parent, name, now) {
            self.named(parent, name, inode, mask::DELETE);
            self.release(inode, now);
        }
    }

    /// renameat2(2): <https://man7.org/linux/man-pages/man2/rename.2.html>
    pub fn rename(
        &mut self,
        from: (Inode, &[u8]),
        to: (Inode, &[u8]),
        flags: u32,
        now: u64,
    ) -> Result<(), Errno> {
        if flags & !(NO_REPLACE | EXCHANGE) != 0 || flags == NO_REPLACE | EXCHANGE {
            return Err(Errno::INVAL);
        }
        let (exchange, no_replace) = (flags == EXCHANGE, flags == NO_REPLACE);
        let dot = if no_replace {
            Errno::EXIST
        } else {
            Errno::BUSY
        };
        // Both parents are looked for before either name counts.
        let old = self.tree.walk(from.0, from.1, Last::Name)?;
        let new = self.tree.walk(to.0, to.1, Last::Name)?;
        let (old_parent, old_name, old, old_slash) = name(old, Errno::BUSY)?;
        let (new_parent, new_name, new, new_slash) = name(new, dot)?;
        let old = old.ok_or(Errno::NOENT)?;
        if no_replace && new.is_some() {
            return Err(Errno::EXIST);
        }
        let old_is_directory = self.tree.get(old)?.is_directory();
        let new_is_directory = match new {
            Some(new) => self.tree.get(new)?.is_directory(),
            None if exchange => return Err(Errno::NOENT),
            None => false,
        };
        if exchange && new_slash && !new_is_directory {
            return Err(Errno::NOTDIR);
        }
        if !old_is_directory && (old_slash || !exchange && new_slash) {
            return Err(Errno::NOTDIR);
        }
        if old_is_directory && self.tree.is_above(old, new_parent) {
            return Err(Errno::INVAL);
        }
        if let Some(new) = new
            && new_is_directory
            && self.tree.is_above(new, old_parent)
        {
            return Err(if exchange {
                Errno::INVAL
            } else {
                Errno::NOTEMPTY
            });
        }
        if new == Some(old) {
            return Ok(());
        }
        self.tree.get(old_parent)?.allows(WRITE)?;
        self.tree.get(new_parent)?.allows(WRITE)?;
        if let Some(new) = new
            && !exchange
        {
            match (old_is_directory, new_is_directory) {
                (true, false) => return Err(Errno::NOTDIR),
                (false, true) => return Err(Errno::ISDIR),
                (true, true) if !self.tree.directory(new)?.0.is_empty() => {
                    return Err(Errno::NOTEMPTY);
                }
                _ => {}
            }
        }
        self.tree.detach(old_parent, &old_name, now);
        let replaced = self.tree.detach(new_parent, &new_name, now);
        self.tree.attach(new_parent, &new_name, old, now);
        match replaced {
            Some(new) if exchange => {
                self.tree.attach(old_parent, &old_name, new, now);
                self.publish(new, now);
                self.moved(old, (old_parent, &old_name), (new_parent, &new_name));
                self.moved(new, (new_parent, &new_name), (old_parent, &old_name));
            }
            replaced => {
                self.moved(old, (old_parent, &old_name), (new_parent, &new_name));
                if let Some(new) = replaced {
                    self.release(new, now);
                }
            }
        }
        self.publish(old, now);
        Ok(())
    }
}

/// The name at which a path ended; `dot`: it ended at none.
fn name(end: End, dot: Errno) -> Result<Name, Errno> {
    match end {
        End::Name(parent, name, inode, slash) => Ok((parent, name, inode, slash)),
        End::Here(_) | End::Up(_) => Err(dot),
        End::Local(_) => Err(Errno::XDEV),
    }
}
