// SPDX-License-Identifier: BSD-2-Clause
//! The tree with its shared files, and what both know of a file.

use alloc::vec::Vec;

use slotmap::{Key, KeyData};
use vfs_hooks::file::Header;
use vfs_hooks::inotify::mask;
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::{Attributes, FILE, ROOT};

use crate::errno::Errno;
use crate::locks::Locks;
use crate::ranges::Owner;
use crate::tree::{CHARACTER, Contents, DIRECTORY, Inode, Kind, Record, Tree};
use crate::watches::Watches;

/// What the server needs of the system around it: shared files ([`vfs_hooks::file`]).
pub trait Files {
    /// A new one with these bytes of the boot archive (offset and length), held by `process`.
    fn create(&mut self, archive: (u64, u64), process: usize) -> Result<u32, Errno>;

    /// `process` holds it from now on.
    fn grant(&mut self, file: u32, process: usize) -> Result<(), Errno>;

    /// Gives its contents back. `false`: somebody holds it.
    fn end(&mut self, file: u32) -> bool;

    /// `process` opens the FIFO with this inode number; a [`Place`](vfs_hooks::fifo::Place).
    fn open_fifo(&mut self, inode: u64, process: usize, how: u64) -> Result<u64, Errno>;

    /// Whether there is memory to remember another name or lock.
    fn has_room(&self) -> bool {
        true
    }

    /// Its header, while it lives.
    fn header(&self, file: u32) -> &Header;

    /// From now on [`Files::ended_owner`] tells of its end. EBADF: it is a channel that `process` does not hold.
    fn watch_owner(&mut self, process: usize, owner: Owner) -> Result<(), Errno>;

    /// An owner of locks that has ended; each is told once.
    fn ended_owner(&mut self) -> Option<Owner>;

    /// A channel's value from now on; whether that is news for those who watch it.
    fn tell(&mut self, channel: u32, value: u64, news: bool);

    /// Whether processes are to tell of what they close.
    fn watching(&mut self, on: bool);

    /// Has a thread look again at what it waits for, if it is there.
    fn kick(&mut self, process: usize, thread: u16);
}

/// The server.
#[derive(Debug)]
pub struct Server<F> {
    /// Names and inodes.
    pub tree: Tree,
    /// Contents.
    pub files: F,
    /// Inodes without names whose contents somebody may hold.
    orphans: Vec<Inode>,
    /// Locks of files.
    pub locks: Locks,
    /// Instances of inotify(7).
    pub watches: Watches,
}

/// The inode number of a key.
pub fn number(inode: Inode) -> u64 {
    inode.data().as_ffi()
}

impl<F: Files> Server<F> {
    /// An empty tree.
    pub fn new(files: F, limit: usize, now: u64) -> Server<F> {
        Server {
            tree: Tree::new(limit, now),
            files,
            orphans: Vec::new(),
            locks: Locks::default(),
            watches: Watches::default(),
        }
    }

    /// The inode that a number names, if there is one.
    pub fn inode(&self, number: u64) -> Inode {
        match number {
            ROOT => self.tree.root(),
            number => Inode::from(KeyData::from_ffi(number)),
        }
    }

    /// What stat(2) says.
    pub fn attributes(&self, inode: Inode) -> Result<Attributes, Errno> {
        let record = self.tree.get(inode)?;
        let [modified, changed, accessed] = record.times;
        let mut attributes = Attributes {
            inode: number(inode),
            mode: record.mode,
            links: record.links,
            modified,
            changed,
            accessed,
            ..Attributes::default()
        };
        match &record.kind {
            Kind::Directory(names, _) => {
                attributes.links = 2 + names.directories;
                // As tmpfs counts.
                attributes.size = names.len() as u64 * 20;
            }
            Kind::Regular(Contents::Empty) => {}
            Kind::Regular(Contents::Archive(offset, size, _)) => {
                (attributes.place, attributes.size) = (*offset, *size);
            }
            Kind::Regular(Contents::File(file)) => {
                let header = self.files.header(*file);
                attributes.place = FILE | u64::from(*file);
                attributes.size = header.size();
                attributes.modified = header.modified.load(Ordering::Acquire);
                attributes.changed = header.changed.load(Ordering::Acquire);
                attributes.accessed = header.accessed.load(Ordering::Acquire);
            }
            Kind::Link(target) => attributes.size = target.len() as u64,
            Kind::Node(place) => attributes.place = *place,
            Kind::Local => {}
        }
        Ok(attributes)
    }

    /// Adds an inode under a name that the directory, which is one, does not have.
    pub fn insert(
        &mut self,
        directory: Inode,
        name: &[u8],
        record: Record,
        now: u64,
    ) -> Result<Inode, Errno> {
        let inode = self.tree.add(record)?;
        self.tree.attach(directory, name, inode, now);
        self.named(directory, name, inode, mask::CREATE);
        Ok(inode)
    }

    /// Adds a directory.
    pub fn insert_directory(
        &mut self,
        parent: Inode,
        name: &[u8],
        mode: u32,
        now: u64,
    ) -> Result<Inode, Errno> {
        let kind = Kind::Directory(Default::default(), parent);
        self.insert(
            parent,
            name,
            Record::new(DIRECTORY | mode & 0o7777, kind, now),
            now,
        )
    }

    /// Adds a character device.
    pub fn insert_device(&mut self, parent: Inode, name: &[u8], device: u64, now: u64) {
        // Only where the tree is made, which has room.
        let record = Record::new(CHARACTER | 0o666, Kind::Node(device), now);
        let _ = self.insert(parent, name, record, now);
    }

    /// Makes a regular file's contents ones that are shared, held by `process`. `copy`: with what it has now, in the archive.
    pub fn hold(&mut self, inode: Inode, process: usize, copy: bool) -> Result<u32, Errno> {
        let record = self.tree.get_mut(inode)?;
        let Kind::Regular(contents) = &mut record.kind else {
            return Err(Errno::INVAL);
        };
        let part = match contents {
            Contents::File(file) => {
                self.files.grant(*file, process)?;
                return Ok(*file);
            }
            Contents::Archive(offset, len, _) if copy => (*offset, *len),
            _ => (0, 0),
        };
        let file = self.files.create(part, process)?;
        *contents = Contents::File(file);
        let header = self.files.header(file);
        let [modified, changed, accessed] = record.times;
        header.modified.store(modified, Ordering::Relaxed);
        header.changed.store(changed, Ordering::Relaxed);
        header.accessed.store(accessed, Ordering::Relaxed);
        header.mode.store(record.mode, Ordering::Relaxed);
        header.links.store(record.links, Ordering::Release);
        if !self.watches.is_empty() {
            self.refresh(inode);
        }
        Ok(file)
    }

    /// Tells those who hold an inode's contents of its attributes, which changed at `now`.
    pub fn publish(&mut self, inode: Inode, now: u64) {
        let Ok(record) = self.tree.get_mut(inode) else {
            return;
        };
        record.times[1] = now;
        if let Kind::Regular(Contents::File(file)) = &record.kind {
            let header = self.files.header(*file);
            header.changed.store(now, Ordering::Relaxed);
            header.mode.store(record.mode, Ordering::Relaxed);
            header.links.store(record.links, Ordering::Release);
        }
    }

    /// An inode has lost a name: it ends with its last one, once nobody holds its contents.
    pub fn release(&mut self, inode: Inode, now: u64) {
        self.publish(inode, now);
        let Ok(record) = self.tree.get(inode) else {
            return;
        };
        if !record.is_directory() {
            self.happened(inode, mask::ATTRIB);
        }
        let Ok(record) = self.tree.get(inode) else {
            return;
        };
        if record.links != 0 {
            return;
        }
        match record.kind {
            Kind::Regular(Contents::File(file)) if !self.files.end(file) => {
                self.orphans.push(inode);
            }
            _ => self.end(inode),
        }
    }

    /// Keeps an inode that never had a name until nobody holds its contents.
    pub fn adopt_orphan(&mut self, inode: Inode) {
        self.orphans.push(inode);
    }

    /// Removes what has neither names nor holders.
    fn end(&mut self, inode: Inode) {
        self.ends(inode);
        self.tree.remove(inode);
    }

    /// Ends what has neither names nor holders.
    pub fn sweep(&mut self) {
        let (tree, files) = (&self.tree, &mut self.files);
        let mut ended = Vec::new();
        self.orphans.retain(|inode| {
            let Ok(record) = tree.get(*inode) else {
                return false;
            };
            match record.kind {
                // It got a name again.
                _ if record.links != 0 => false,
                Kind::Regular(Contents::File(file)) if !files.end(file) => true,
                _ => {
                    ended.push(*inode);
                    false
                }
            }
        });
        for inode in ended {
            self.end(inode);
        }
    }
}
