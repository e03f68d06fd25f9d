// SPDX-License-Identifier: BSD-2-Clause
//! Locks of files as this process asks for them: the VFS server has them ([`vfs_hooks::file_lock`]).
//!
//! An open file description is known to that server by the channel of its position, which all processes have in common that have the file; the
//! lock ends with the channel. Locks of the process end with the process, and with the first close of any fd for that file.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use libposix_poll::Deadline;
use vfs_hooks::file_lock::{Asked, END, FREE, Kind, What, kind};
use vfs_hooks::vfs::label;

use super::OpenFile;
use crate::errno::Errno;
use crate::platform::{threads, vfs};
use crate::shared::Shared;
use crate::wait::{self, Interrupted};

/// Inodes of which the process may have locks.
static LOCKED: Shared<BTreeSet<u64>> = Shared::new(BTreeSet::new());

/// Whose locks they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// flock(2): the open file description's, on all of the file.
    Whole,
    /// F_OFD_SETLK and its like.
    Description,
    /// F_SETLK and its like.
    Process,
}

/// A lock that is in the way.
#[derive(Clone, Copy, Debug)]
pub struct Blocker {
    /// Its kind.
    pub kind: Kind,
    /// First and last byte.
    pub bytes: (u64, u64),
    /// The process that has it; `None`: an open file description has.
    pub process: Option<u64>,
}

/// Asks for something; EAGAIN: somebody else's lock is in the way. `Ok(None)`: done, or nothing would be in the way. What cannot be locked excludes nobody.
pub fn ask(
    file: &OpenFile,
    whose: Whose,
    what: What,
    bytes: (u64, u64),
) -> Result<Option<Blocker>, Errno> {
    let Some(inode) = file.file.inode() else {
        return Ok(None);
    };
    let open = match whose {
        Whose::Process => None,
        Whose::Whole | Whose::Description => match file.file.description() {
            None => return Ok(None),
            Some(channel) => Some(channel?),
        },
    };
    let asked = Asked {
        what,
        whole: whose == Whose::Whole,
        open,
        thread: threads::current() as u16,
        start: bytes.0,
        end: bytes.1,
    };
    if let (Whose::Process, What::Set(_) | What::Wait(_)) = (whose, what) {
        LOCKED.lock().insert(inode);
    }
    match what {
        What::Wait(_) => wait_for(inode, &asked).map(|()| None),
        _ => request(inode, &asked),
    }
}

fn request(inode: u64, asked: &Asked) -> Result<Option<Blocker>, Errno> {
    let (words, range) = asked.encode();
    let [second, third] = words;
    let reply = vfs::ask(label::LOCK, [inode, second, third], [b"", &range])?;
    let [number, start, end, process, ..] = reply.words;
    let found = matches!(asked.what, What::Test(_)) && number != FREE;
    Ok(found.then(|| Blocker {
        kind: kind(number),
        bytes: (start, end),
        process: (process != vfs_hooks::file_lock::NO_PROCESS).then_some(process),
    }))
}

/// Asks until it is granted: the server kicks this thread when it may be.
fn wait_for(inode: u64, asked: &Asked) -> Result<(), Errno> {
    let mut waits = false;
    let look = || match request(inode, asked) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN) => {
            waits = true;
            Ok(false)
        }
        Err(errno) => Err(errno),
    };
    let restarts = Interrupted::Restarts;
    let result = wait::for_look(wait::for_nothing()?, Deadline::NEVER, restarts, look);
    if result.is_err() && waits {
        let what = What::GiveUp;
        // Nothing in it can be refused.
        let _ = request(inode, &Asked { what, ..*asked });
    }
    result.map(drop)
}

/// An fd for this file is being closed: the process's locks of the file are gone.
#[inline]
pub fn closing(file: &OpenFile) {
    if !LOCKED.lock().is_empty() {
        closing_of(file);
    }
}

#[cold]
fn closing_of(file: &OpenFile) {
    if let Some(inode) = file.file.inode()
        && LOCKED.lock().remove(&inode)
    {
        unlock(inode);
    }
}

fn unlock(inode: u64) {
    let asked = Asked {
        what: What::Unlock,
        whole: false,
        open: None,
        thread: 0,
        start: 0,
        end: END,
    };
    // Nothing in it can be refused.
    let _ = request(inode, &asked);
}

/// In the child after fork(2): the locks are the parent's.
pub fn after_fork() {
    LOCKED.lock().clear();
}

/// For the program that takes this one's place: files that the process may have locks of, and whether one of the `closing` is among their fds.
pub fn legacy(closing: &[u64]) -> Vec<(u64, bool)> {
    let locked = LOCKED.lock();
    let mark = |inode: &u64| (*inode, closing.contains(inode));
    locked.iter().map(mark).collect()
}

/// Takes that over.
pub fn inherit(locks: &[(u64, bool)]) {
    for (inode, closed) in locks {
        match closed {
            true => unlock(*inode),
            false => drop(LOCKED.lock().insert(*inode)),
        }
    }
}
