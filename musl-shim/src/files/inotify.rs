// SPDX-License-Identifier: BSD-2-Clause
//! inotify(7): an instance as a file, and what this process tells of what it does itself to files that somebody watches.
//!
//! The VFS server has the instances and their events. An instance is a channel, of which that server sets the value, the number of bytes to read.

use alloc::rc::Rc;

use vfs_hooks::Events;
use vfs_hooks::inotify::mask;
use vfs_hooks::source::{Edges, Readiness, SourceId};
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::{MOST_STRINGS, label};

use super::channel::Side;
use super::tree::At;
use super::{File, OpenFile};
use crate::abi::{O_ACCMODE, O_NONBLOCK, O_PATH, O_RDONLY};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::{self, channels, vfs};

/// What inotify_init1(2) makes.
pub struct Inotify {
    side: Side,
}

/// A new instance; `flags`: O_NONBLOCK. EMFILE.
pub fn open(flags: u32) -> Result<Rc<OpenFile>, Errno> {
    let channel = channels::create(1)?;
    // Dropped, and the channel with it, if it is refused.
    let file = inherited(channel as u32, O_RDONLY | flags & O_NONBLOCK);
    let words = [0, 0, channel as u64];
    vfs::ask(label::WATCHES_OPEN, words, [b"", b""])?;
    Ok(file)
}

/// One that another process has passed on.
pub fn inherited(channel: u32, flags: u32) -> Rc<OpenFile> {
    let side = Side::inherited(channel as usize, 0, look);
    OpenFile::new(Inotify { side }, flags)
}

fn waiting(channel: usize) -> u64 {
    channels::header(channel).value.load(Ordering::Acquire)
}

fn look(channel: usize, side: usize) -> Readiness {
    let header = channels::header(channel);
    let edges = Edges {
        input: header.sides[side].input.load(Ordering::Acquire),
        output: 0,
    };
    let mut events = Events::empty();
    events.set(Events::READABLE, waiting(channel) != 0);
    Readiness { events, edges }
}

impl Inotify {
    /// inotify_add_watch(2): the watch's number.
    pub fn add(&self, at: At, flags: u32) -> Result<usize, Errno> {
        let words = [u64::from(flags), self.side.channel as u64];
        let reply = at.ask(label::WATCH_ADD, words, b"")?;
        Ok(reply.words[0] as usize)
    }

    /// inotify_rm_watch(2).
    pub fn remove(&self, watch: i32) -> Result<(), Errno> {
        let words = [0, u64::from(watch as u32), self.side.channel as u64];
        vfs::ask(label::WATCH_REMOVE, words, [b"", b""]).map(drop)
    }
}

impl File for Inotify {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let room = (buffer.len() - done).min(MOST_STRINGS) as u64;
            let words = [0, room, self.side.channel as u64];
            match vfs::ask(label::WATCHES_READ, words, [b"", b""]) {
                Ok(reply) => {
                    let n = reply.string.len();
                    buffer[done..done + n].copy_from_slice(&reply.string);
                    done += n;
                }
                // What follows does not fit, or is not there.
                Err(_) if done != 0 => return Ok(done),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn can_write(&self) -> bool {
        false
    }

    fn source(&self) -> SourceId {
        self.side.source
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(waiting(self.side.channel) as usize)
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.side.channel, 0))
    }

    fn inotify(&self) -> Option<&Inotify> {
        Some(self)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Inotify(self.side.channel as u32)))
    }
}

/// Tells of what this process did to an inode that somebody may watch.
#[cold]
pub fn tell(inode: u64, what: u32) {
    // Refused only for an inode that is no more.
    let _ = vfs::ask(label::WATCH_TELL, [inode, u64::from(what), 0], [b"", b""]);
}

/// An open file description of this process ends.
#[inline]
pub fn closing<F: File + ?Sized>(file: &F, flags: u32) {
    if platform::vfs::watching() {
        tell_closing(file, flags);
    }
}

#[cold]
fn tell_closing<F: File + ?Sized>(file: &F, flags: u32) {
    if flags & O_PATH != 0 || file.is_elsewhere() {
        return;
    }
    if let Some(inode) = file.inode() {
        let what = match flags & O_ACCMODE {
            O_RDONLY => mask::CLOSE_NOWRITE,
            _ => mask::CLOSE_WRITE,
        };
        tell(inode, what);
    }
}
