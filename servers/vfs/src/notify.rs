// SPDX-License-Identifier: BSD-2-Clause
//! What watchers are told of (inotify(7)). Names and attributes change here; reading, writing and closing the processes tell, if somebody wants to
//! know: of an inode whose contents are shared by a mask in its header, of all others by one flag for the whole system.

use alloc::vec::Vec;

use vfs_hooks::inotify::mask;
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::MOST_STRINGS;

use crate::errno::Errno;
use crate::ranges::Owner;
use crate::server::{Files, Server, number};
use crate::tree::{Contents, Inode, Kind};

impl<F: Files> Server<F> {
    /// inotify_init1(2), with a channel of the caller's.
    pub fn open_watches(&mut self, process: usize, channel: u64) -> Result<(), Errno> {
        let channel = self.watcher(process, channel)?;
        self.watches.open(channel)
    }

    /// The instance that a process names, if it is its.
    fn watcher(&mut self, process: usize, channel: u64) -> Result<u32, Errno> {
        let channel = u32::try_from(channel).map_err(|_| Errno::BADF)?;
        self.files.watch_owner(process, Owner::Open(channel))?;
        Ok(channel)
    }

    /// inotify_add_watch(2): the watch's number.
    pub fn add_watch(
        &mut self,
        process: usize,
        channel: u64,
        inode: Inode,
        flags: u32,
    ) -> Result<i32, Errno> {
        let channel = self.watcher(process, channel)?;
        let both = mask::MASK_ADD | mask::MASK_CREATE;
        if flags & mask::ALL == 0 || flags & both == both {
            return Err(Errno::INVAL);
        }
        if flags & mask::ONLYDIR != 0 {
            self.tree.directory(inode)?;
        }
        self.tree.get(inode)?.allows(crate::tree::READ)?;
        let before = self.watches.is_empty();
        let watch = self.watches.add(channel, number(inode), flags)?;
        if before {
            self.files.watching(true);
        }
        self.refresh_all(inode);
        Ok(watch)
    }

    /// inotify_rm_watch(2).
    pub fn remove_watch(&mut self, process: usize, channel: u64, watch: i32) -> Result<(), Errno> {
        let channel = self.watcher(process, channel)?;
        let inode = self.watches.remove(channel, watch)?;
        self.tell(&[channel]);
        self.unwatched(&[inode]);
        Ok(())
    }

    /// read(2) of an instance.
    pub fn read_events(
        &mut self,
        process: usize,
        channel: u64,
        room: u64,
    ) -> Result<Vec<u8>, Errno> {
        let channel = self.watcher(process, channel)?;
        let room = (room as usize).min(MOST_STRINGS);
        let events = self.watches.read(channel, room)?;
        let left = self.watches.bytes(channel);
        self.files.tell(channel, left, false);
        Ok(events)
    }

    /// The fd of an instance was closed by its last holder.
    pub fn watcher_ended(&mut self, channel: u32) {
        let inodes = self.watches.close(channel);
        self.unwatched(&inodes);
    }

    /// These inodes are watched less than before.
    fn unwatched(&mut self, inodes: &[u64]) {
        if inodes.is_empty() {
            return;
        }
        for inode in inodes {
            self.refresh_all(self.inode(*inode));
        }
        if self.watches.is_empty() {
            self.files.watching(false);
        }
    }

    fn tell(&mut self, channels: &[u32]) {
        for channel in channels {
            let waiting = self.watches.bytes(*channel);
            self.files.tell(*channel, waiting, true);
        }
    }

    fn event(&mut self, inode: Inode, what: u32, cookie: u32, name: &[u8]) {
        let told = self.watches.event(number(inode), what, cookie, name);
        self.tell(&told);
    }

    /// ISDIR if it is a directory.
    fn kind(&self, inode: Inode) -> u32 {
        let directory = self
            .tree
            .get(inode)
            .is_ok_and(|record| record.is_directory());
        if directory { mask::ISDIR } else { 0 }
    }

    /// Watched directories that name an inode, and how.
    fn places(&self, inode: Inode) -> Vec<(Inode, Vec<u8>)> {
        let watched = self.watches.inodes().map(|at| self.inode(at));
        let named = watched.filter_map(|directory| {
            let (names, _) = self.tree.directory(directory).ok()?;
            let found = names.from(0).find(|(_, _, child)| *child == inode)?;
            Some((directory, found.1.to_vec()))
        });
        named.collect()
    }

    /// Something has happened to an inode, which keeps its names.
    pub fn happened(&mut self, inode: Inode, what: u32) {
        if self.watches.is_empty() {
            return;
        }
        let what = what | self.kind(inode);
        for (directory, name) in self.places(inode) {
            self.event(directory, what, 0, &name);
        }
        self.event(inode, what, 0, b"");
    }

    /// A directory has got or lost a name of an inode.
    pub fn named(&mut self, directory: Inode, name: &[u8], inode: Inode, what: u32) {
        if self.watches.is_empty() {
            return;
        }
        self.refresh(inode);
        let what = what | self.kind(inode);
        self.event(directory, what, 0, name);
    }

    /// An inode has got another name.
    pub fn moved(&mut self, inode: Inode, from: (Inode, &[u8]), to: (Inode, &[u8])) {
        if self.watches.is_empty() {
            return;
        }
        self.refresh(inode);
        let (kind, cookie) = (self.kind(inode), self.watches.cookie());
        self.event(from.0, mask::MOVED_FROM | kind, cookie, from.1);
        self.event(to.0, mask::MOVED_TO | kind, cookie, to.1);
        self.event(inode, mask::MOVE_SELF | kind, 0, b"");
    }

    /// An inode is about to be no more.
    pub fn ends(&mut self, inode: Inode) {
        if self.watches.is_empty() {
            return;
        }
        let kind = self.kind(inode);
        self.event(inode, mask::DELETE_SELF | kind, 0, b"");
        let told = self.watches.gone(number(inode));
        self.tell(&told);
        if self.watches.is_empty() {
            self.files.watching(false);
        }
    }

    /// Shows in the header of an inode's contents what is of interest.
    pub fn refresh(&mut self, inode: Inode) {
        let Ok(record) = self.tree.get(inode) else {
            return;
        };
        let Kind::Regular(Contents::File(file)) = record.kind else {
            return;
        };
        let own = self.watches.interest(number(inode));
        let all = self.places(inode).iter().fold(own, |all, (directory, _)| {
            all | self.watches.interest(number(*directory))
        });
        let header = self.files.header(file);
        header.inode.store(number(inode), Ordering::Relaxed);
        header.watched.store(all, Ordering::Release);
    }

    /// The same for all in a directory.
    fn refresh_all(&mut self, inode: Inode) {
        let children: Vec<Inode> = match self.tree.directory(inode) {
            Ok((names, _)) => names.from(0).map(|(_, _, child)| child).collect(),
            Err(_) => Vec::from([inode]),
        };
        for child in children {
            self.refresh(child);
        }
    }
}
