// SPDX-License-Identifier: BSD-2-Clause
//! Requests, as [`vfs_hooks::vfs`] has them. Each word is the caller's claim.

use alloc::vec::Vec;

use vfs_hooks::file_lock::{Asked, What};
use vfs_hooks::inotify::mask;
use vfs_hooks::vfs::{Attributes, MOST_STRINGS, NO_FOLLOW, REPLY_WORDS, label};

use crate::attributes::Place;
use crate::errno::Errno;
use crate::open::{Found, flag};
use crate::server::{Files, Server, number};

/// AT_REMOVEDIR.
const REMOVE_DIRECTORY: u64 = 0x200;

/// Flags with which OPEN makes an inode.
const MAKES: u32 = flag::CREATE | flag::TEMPORARY & !flag::DIRECTORY;

/// A request in its parts.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub label: u64,
    /// Base, and two words whose meaning depends on the label.
    pub words: [u64; 3],
    /// Both strings.
    pub strings: [&'a [u8]; 2],
}

impl<'a> Request<'a> {
    /// From a message: its label, its first words, lengths, and bytes. EINVAL: it contradicts itself.
    pub fn parse(
        label: u64,
        words: [u64; 3],
        lengths: u64,
        bytes: &'a [u8],
    ) -> Result<Request<'a>, Errno> {
        let (first, second) = (lengths & 0xffff, lengths >> 16);
        if first + second > MOST_STRINGS as u64 {
            return Err(Errno::INVAL);
        }
        let whole = bytes.get(..(first + second) as usize);
        let (first, second) = whole.ok_or(Errno::INVAL)?.split_at(first as usize);
        Ok(Request {
            label,
            words,
            strings: [first, second],
        })
    }
}

/// An answer without its errno.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Words.
    pub words: [u64; REPLY_WORDS],
    /// At most [`MOST_STRINGS`] bytes.
    pub string: Vec<u8>,
}

impl Reply {
    fn string(string: &[u8]) -> Result<Reply, Errno> {
        if string.len() > MOST_STRINGS {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Reply {
            words: [0; REPLY_WORDS],
            string: string.to_vec(),
        })
    }

    fn attributes(attributes: &Attributes) -> Reply {
        Reply {
            words: attributes.words(),
            string: Vec::new(),
        }
    }
}

impl<F: Files> Server<F> {
    /// Does what process `process` asks for at `now`.
    pub fn request(&mut self, process: usize, request: &Request, now: u64) -> Result<Reply, Errno> {
        let [base, second, third] = request.words;
        let [first_string, second_string] = request.strings;
        let binary = matches!(request.label, label::TIMES | label::LOCK);
        if !binary && request.strings.iter().any(|string| string.contains(&0)) {
            return Err(Errno::INVAL);
        }
        let creates = request.label == label::OPEN && second as u32 & MAKES != 0;
        let names = matches!(
            request.label,
            label::MKDIR | label::MKNOD | label::RENAME | label::LINK | label::SYMLINK
        );
        if (creates || names) && !self.files.has_room() {
            return Err(Errno::NOSPC);
        }
        let base = self.inode(base);
        let at = (base, first_string);
        match request.label {
            label::LOOKUP => {
                let found = self.lookup(at, second)?;
                let mut reply = self.found(&found)?;
                if let Found::Inode(attributes) = found {
                    let inode = self.inode(attributes.inode);
                    let name = self.archive_name(inode);
                    reply.string = name[..name.len().min(MOST_STRINGS)].to_vec();
                }
                Ok(reply)
            }
            label::OPEN => {
                let found = self.open(process, at, second as u32, third as u32, now)?;
                self.found(&found)
            }
            label::LIST => {
                let (string, next, count) = self.list(base, second, MOST_STRINGS)?;
                let mut words = [0; REPLY_WORDS];
                (words[0], words[1]) = (next, count);
                Ok(Reply { words, string })
            }
            label::MKDIR => self
                .mkdir(at, second as u32, now)
                .map(|()| Reply::default()),
            label::MKNOD => {
                let made = self.mknod(at, second as u32, third, now)?;
                Ok(Reply::attributes(&made))
            }
            label::UNLINK => {
                if second & REMOVE_DIRECTORY != 0 {
                    return self.rmdir(at, now).map(|()| Reply::default());
                }
                let removed = self.unlink(at, now)?;
                Ok(Reply::attributes(&removed))
            }
            label::RENAME => {
                let to = (self.inode(second), second_string);
                self.rename(at, to, third as u32, now)?;
                Ok(Reply::default())
            }
            label::LINK => {
                let to = (self.inode(second), second_string);
                let from = match self.find(at, third)? {
                    Place::Inode(inode) => inode,
                    Place::Local(_) => return Err(Errno::XDEV),
                };
                self.link(from, to, now).map(|()| Reply::default())
            }
            label::SYMLINK => {
                self.symlink(first_string, (base, second_string), now)?;
                Ok(Reply::default())
            }
            label::READLINK => Reply::string(self.readlink(at, second)?),
            label::CHMOD => {
                self.chmod(at, second, third as u32, now)?;
                Ok(Reply::default())
            }
            label::CHOWN => {
                self.chown(at, second, [third as u32, (third >> 32) as u32], now)?;
                Ok(Reply::default())
            }
            label::TIMES => {
                let times = times(second_string).ok_or(Errno::INVAL)?;
                self.set_times(at, second, times, now)?;
                Ok(Reply::default())
            }
            label::NAME => Reply::string(&self.tree.any_path(base)?),
            label::PATH => Reply::string(&self.tree.path(base)?),
            label::WATCHES_OPEN => {
                self.open_watches(process, third)?;
                Ok(Reply::default())
            }
            label::WATCH_ADD => {
                let flags = second as u32;
                let follow = match flags & mask::DONT_FOLLOW {
                    0 => 0,
                    _ => NO_FOLLOW,
                };
                let inode = self.find_inode(at, follow)?;
                let mut reply = Reply::default();
                reply.words[0] = self.add_watch(process, third, inode, flags)? as u64;
                Ok(reply)
            }
            label::WATCH_REMOVE => {
                self.remove_watch(process, third, second as i32)?;
                Ok(Reply::default())
            }
            label::WATCHES_READ => Ok(Reply {
                string: self.read_events(process, third, second)?,
                ..Reply::default()
            }),
            label::WATCH_TELL => {
                self.tree.get(base)?;
                self.happened(base, second as u32 & mask::BY_PROCESSES);
                Ok(Reply::default())
            }
            label::LOCK => {
                let asked = Asked::decode([second, third], second_string).ok_or(Errno::INVAL)?;
                let locks = matches!(asked.what, What::Set(_) | What::Wait(_));
                if locks && !self.files.has_room() {
                    return Err(Errno::NOLCK);
                }
                self.lock(process, number(base), &asked)
            }
            label::COUNT => {
                let mut reply = Reply::default();
                reply.words[0] = self.tree.count() as u64;
                Ok(reply)
            }
            _ => Err(Errno::NOSYS),
        }
    }

    fn found(&self, found: &Found) -> Result<Reply, Errno> {
        match found {
            Found::Inode(attributes) => Ok(Reply::attributes(attributes)),
            Found::Local(rest) => {
                let mut reply = Reply::string(rest)?;
                reply.words[0] = self.tree.local().map_or(0, number);
                Ok(reply)
            }
        }
    }
}

fn times(bytes: &[u8]) -> Option<[u64; 2]> {
    let (first, second) = bytes.split_at_checked(8)?;
    Some([
        u64::from_le_bytes(first.try_into().ok()?),
        u64::from_le_bytes(second.try_into().ok()?),
    ])
}
