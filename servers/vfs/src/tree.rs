// SPDX-License-Identifier: BSD-2-Clause
//! The tree: inodes, and the directories that name them.
//!
//! | invariant | |
//! |---|---|
//! | every directory but the root has one name, and is its parent's child | `parent` |
//! | `links` of what is no directory is the number of its names | [`Tree::attach`], [`Tree::detach`] |
//! | an inode without names is gone, unless its contents are held | `Server::release` |

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::ops::Bound;

use slotmap::{SlotMap, new_key_type};

use crate::errno::Errno;

/// st_mode's file type.
pub const TYPE: u32 = 0o170000;
/// A directory.
pub const DIRECTORY: u32 = 0o040000;
/// A regular file.
pub const REGULAR: u32 = 0o100000;
/// A symbolic link.
pub const LINK: u32 = 0o120000;
/// A FIFO.
pub const FIFO: u32 = 0o010000;
/// A character device.
pub const CHARACTER: u32 = 0o020000;
/// A socket.
pub const SOCKET: u32 = 0o140000;

/// Owner's permission to read, write, search.
pub const READ: u32 = 0o400;
/// See [`READ`].
pub const WRITE: u32 = 0o200;
/// See [`READ`].
pub const SEARCH: u32 = 0o100;

/// Longest name.
pub const NAME_MAX: usize = 255;

new_key_type! {
    /// An inode's key; with its generation, the inode number.
    pub struct Inode;
}

/// Names of a directory, by name and in the order in which they were made.
#[derive(Debug, Default)]
pub struct Names {
    by_name: BTreeMap<Rc<[u8]>, (Inode, u64)>,
    by_order: BTreeMap<u64, Rc<[u8]>>,
    /// Directories among them.
    pub directories: u32,
}

/// Where a regular file's contents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nowhere yet: it is empty.
    Empty,
    /// In the boot archive: offset and bytes there, and the archive's name for it.
    Archive(u64, u64, Rc<[u8]>),
    /// In a shared file of this number.
    File(u32),
}

/// What an inode is.
#[derive(Debug)]
pub enum Kind {
    /// A directory, and the one that it is in.
    Directory(Names, Inode),
    /// A regular file.
    Regular(Contents),
    /// A symbolic link.
    Link(Box<[u8]>),
    /// A device, FIFO or socket, and its number.
    Node(u64),
    /// A part of the tree that each process has for itself.
    Local,
}

/// An inode.
#[derive(Debug)]
pub struct Record {
    /// st_mode.
    pub mode: u32,
    /// Names; of a directory st_nlink follows from its contents.
    pub links: u32,
    /// Modification, change, access: CLOCK_REALTIME in nanoseconds. Those of a shared file are in its header.
    pub times: [u64; 3],
    /// What it is.
    pub kind: Kind,
}

impl Record {
    /// A new inode without names.
    pub fn new(mode: u32, kind: Kind, now: u64) -> Record {
        Record {
            mode,
            links: 0,
            times: [now; 3],
            kind,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(..))
    }

    /// EACCES unless its owner, as whom every process runs, may do this.
    pub fn allows(&self, what: u32) -> Result<(), Errno> {
        match self.mode & what == what {
            true => Ok(()),
            false => Err(Errno::ACCES),
        }
    }
}

/// All inodes.
#[derive(Debug)]
pub struct Tree {
    inodes: SlotMap<Inode, Record>,
    root: Inode,
    next_order: u64,
    limit: usize,
}

impl Tree {
    /// An empty root directory, and room for `limit` inodes.
    pub fn new(limit: usize, now: u64) -> Tree {
        // At once: growing would need room for both.
        let mut inodes = SlotMap::with_capacity_and_key(limit);
        let root = inodes.insert_with_key(|root| {
            let names = Names::default();
            Record::new(DIRECTORY | 0o755, Kind::Directory(names, root), now)
        });
        Tree {
            inodes,
            root,
            // 0, 1 and 2 are where a listing starts and where `.` and `..` end.
            next_order: 3,
            limit,
        }
    }

    /// The root directory.
    pub fn root(&self) -> Inode {
        self.root
    }

    /// How many inodes there are; at least the root.
    pub fn count(&self) -> usize {
        self.inodes.len()
    }

    /// An inode that there may have been. ENOENT: it is no more.
    pub fn get(&self, inode: Inode) -> Result<&Record, Errno> {
        self.inodes.get(inode).ok_or(Errno::NOENT)
    }

    /// See [`Tree::get`].
    pub fn get_mut(&mut self, inode: Inode) -> Result<&mut Record, Errno> {
        self.inodes.get_mut(inode).ok_or(Errno::NOENT)
    }

    /// Names of a directory and its parent. ENOTDIR: it is none.
    pub fn directory(&self, inode: Inode) -> Result<(&Names, Inode), Errno> {
        match &self.get(inode)?.kind {
            Kind::Directory(names, parent) => Ok((names, *parent)),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// Adds an inode that has no name yet. ENOSPC: there are too many.
    pub fn add(&mut self, record: Record) -> Result<Inode, Errno> {
        match self.inodes.len() < self.limit {
            true => Ok(self.inodes.insert(record)),
            false => Err(Errno::NOSPC),
        }
    }

    /// Forgets an inode.
    pub fn remove(&mut self, inode: Inode) -> Option<Record> {
        self.inodes.remove(inode)
    }

    /// Gives an inode a name, which the directory does not have yet. Who adds a directory, moves it there.
    pub fn attach(&mut self, directory: Inode, name: &[u8], inode: Inode, now: u64) {
        let order = self.next_order;
        self.next_order += 1;
        let Some(record) = self.inodes.get_mut(inode) else {
            return;
        };
        let is_directory = match &mut record.kind {
            Kind::Directory(_, parent) => {
                *parent = directory;
                true
            }
            _ => false,
        };
        record.links += 1;
        record.times[1] = now;
        if let Some(Record {
            kind: Kind::Directory(names, _),
            times,
            ..
        }) = self.inodes.get_mut(directory)
        {
            let name: Rc<[u8]> = name.into();
            names.by_name.insert(name.clone(), (inode, order));
            names.by_order.insert(order, name);
            names.directories += u32::from(is_directory);
            (times[0], times[1]) = (now, now);
        }
    }

    /// Takes a name away; the inode that had it.
    pub fn detach(&mut self, directory: Inode, name: &[u8], now: u64) -> Option<Inode> {
        let Some(Record {
            kind: Kind::Directory(names, _),
            times,
            ..
        }) = self.inodes.get_mut(directory)
        else {
            return None;
        };
        let (inode, order) = names.by_name.remove(name)?;
        names.by_order.remove(&order);
        (times[0], times[1]) = (now, now);
        let record = self.inodes.get_mut(inode)?;
        record.links -= 1;
        record.times[1] = now;
        if record.is_directory()
            && let Some(Record {
                kind: Kind::Directory(names, _),
                ..
            }) = self.inodes.get_mut(directory)
        {
            names.directories -= 1;
        }
        Some(inode)
    }

    /// Whether `inode` is `directory` or lies above it.
    pub fn is_above(&self, inode: Inode, mut directory: Inode) -> bool {
        loop {
            if inode == directory {
                return true;
            }
            match self.directory(directory) {
                Ok((_, parent)) if parent != directory => directory = parent,
                _ => return false,
            }
        }
    }

    /// The name of a directory in its parent.
    pub fn name_of(&self, directory: Inode) -> Option<&[u8]> {
        let (_, parent) = self.directory(directory).ok()?;
        let (names, _) = self.directory(parent).ok()?;
        let mut all = names.by_name.iter();
        let found = all.find(|(_, (inode, _))| *inode == directory);
        found.map(|(name, _)| &name[..])
    }
}

impl Names {
    /// What has this name.
    pub fn get(&self, name: &[u8]) -> Option<Inode> {
        self.by_name.get(name).map(|(inode, _)| *inode)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Names made at `order` or later, in order.
    pub fn from(&self, order: u64) -> impl Iterator<Item = (u64, &[u8], Inode)> {
        let range = (Bound::Included(order), Bound::Unbounded);
        self.by_order.range(range).filter_map(|(order, name)| {
            let (inode, _) = self.by_name.get(name)?;
            Some((*order, &name[..], *inode))
        })
    }
}
