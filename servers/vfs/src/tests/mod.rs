// SPDX-License-Identifier: BSD-2-Clause
//! The server on the host: shared files without pages, nonsense as requests, and Linux's own file system beside it.

mod locks;
mod model;
mod requests;
mod watches;

use std::collections::BTreeSet;
use std::vec::Vec;

use vfs_hooks::fifo::NEEDS_READER;
use vfs_hooks::file::Header;

use crate::errno::Errno;
use crate::open::{Found, flag};
use crate::ranges::Owner;
use crate::server::{Files, Server};

/// Shared files: a header and holders each.
#[derive(Debug, Default)]
pub struct Fake {
    files: Vec<Option<(Header, BTreeSet<usize>)>>,
    /// Owners of locks that have ended.
    ended: Vec<Owner>,
    /// Threads that were kicked.
    kicked: Vec<(usize, u16)>,
    /// Instances that were told: value, and whether it is news.
    told: Vec<(u32, u64, bool)>,
    /// Somebody watches files.
    watching: bool,
    /// A channel that the caller does not hold.
    foreign: Option<u32>,
    /// FIFOs that were opened: inode number, process, how.
    fifos: Vec<(u64, usize, u64)>,
}

impl Fake {
    /// Process `process` holds nothing any longer.
    fn process_ended(&mut self, process: usize) {
        for (_, holders) in self.files.iter_mut().flatten() {
            holders.remove(&process);
        }
    }

    fn count(&self) -> usize {
        self.files.iter().flatten().count()
    }
}

impl Files for Fake {
    fn create(&mut self, (_, len): (u64, u64), process: usize) -> Result<u32, Errno> {
        let header = Header::default();
        header.wrote(len, 0);
        self.files.push(Some((header, BTreeSet::from([process]))));
        Ok(self.files.len() as u32 - 1)
    }

    fn grant(&mut self, file: u32, process: usize) -> Result<(), Errno> {
        let file = self.files[file as usize].as_mut().expect("it lives");
        file.1.insert(process);
        Ok(())
    }

    fn end(&mut self, file: u32) -> bool {
        let slot = &mut self.files[file as usize];
        let held = slot
            .as_ref()
            .is_some_and(|(_, holders)| !holders.is_empty());
        if !held {
            *slot = None;
        }
        !held
    }

    fn watch_owner(&mut self, _: usize, owner: Owner) -> Result<(), Errno> {
        match owner {
            Owner::Open(channel) if Some(channel) == self.foreign => Err(Errno::BADF),
            _ => Ok(()),
        }
    }

    fn ended_owner(&mut self) -> Option<Owner> {
        self.ended.pop()
    }

    fn tell(&mut self, channel: u32, value: u64, news: bool) {
        self.told.push((channel, value, news));
    }

    fn watching(&mut self, on: bool) {
        self.watching = on;
    }

    fn kick(&mut self, process: usize, thread: u16) {
        self.kicked.push((process, thread));
    }

    fn open_fifo(&mut self, inode: u64, process: usize, how: u64) -> Result<u64, Errno> {
        self.fifos.push((inode, process, how));
        Ok(self.fifos.len() as u64)
    }

    fn header(&self, file: u32) -> &Header {
        &self.files[file as usize].as_ref().expect("it lives").0
    }
}

fn server() -> Server<Fake> {
    let mut server = Server::new(Fake::default(), 1000, 1);
    server.boot(b"", 1);
    server
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn what_is_unlinked_ends_with_its_last_holder() {
    let mut server = server();
    let root = server.tree.root();
    let before = server.tree.count();
    server.open(7, (root, b"tmp/a"), 0o102, 0o644, 2).unwrap();
    server.open(8, (root, b"tmp/a"), 0, 0, 2).unwrap();
    server.unlink((root, b"tmp/a"), 3).unwrap();
    assert_eq!((server.tree.count(), server.files.count()), (before + 1, 1));
    server.files.process_ended(7);
    server.sweep();
    assert_eq!(server.files.count(), 1, "process 8 holds it");
    server.files.process_ended(8);
    server.sweep();
    assert_eq!((server.tree.count(), server.files.count()), (before, 0));
}

#[test]
fn a_fifo_is_opened_by_its_inode_whatever_its_name() {
    let mut server = server();
    let root = server.tree.root();
    let made = server.mknod((root, b"tmp/f"), 0o010644, 0, 2).unwrap();
    let from = server.inode(made.inode);
    server.link(from, (root, b"tmp/g"), 2).unwrap();
    let mut open = |path: &[u8], flags| server.open(7, (root, path), flags, 0, 3);
    let place = |found| match found {
        Ok(Found::Inode(attributes)) => (attributes.inode, attributes.place),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(open(b"tmp/f", flag::READ_ONLY)), (made.inode, 1));
    assert_eq!(place(open(b"tmp/g", flag::WRITE_ONLY)), (made.inode, 2));
    let at_once = flag::WRITE_ONLY | flag::NONBLOCK;
    assert_eq!(place(open(b"tmp/g", at_once)), (made.inode, 3));
    assert_eq!(place(open(b"tmp/f", flag::BOTH)), (made.inode, 4));
    assert_eq!(open(b"tmp/f", flag::ACCESS), Err(Errno::INVAL));
    // By its path alone it is not opened.
    assert_eq!(place(open(b"tmp/f", flag::PATH)), (made.inode, 0));
    let how: Vec<u64> = server.files.fifos.iter().map(|(.., how)| *how).collect();
    assert_eq!(how, [1, 2, 2 | NEEDS_READER, 3]);
    server.chmod((root, b"tmp/f"), 0, 0o200, 4).unwrap();
    let denied = server.open(7, (root, b"tmp/f"), flag::READ_ONLY, 0, 5);
    assert_eq!(denied, Err(Errno::ACCES));
}
