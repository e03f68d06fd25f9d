// SPDX-License-Identifier: BSD-2-Clause
//! Locks of files: who has them, who waits for them.
//!
//! A lock ends with its owner: a process, or an open file description, which is known by the channel that its holders share. The root server tells
//! of the end of both, so a holder may die at any time. Waiters are threads; they are kicked when nothing is in their way any longer, and ask again,
//! so a waiter that has gone costs a kick.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use vfs_hooks::file_lock::{Asked, END, FREE, Kind, NO_PROCESS, What, number};
use vfs_hooks::vfs::REPLY_WORDS;

use crate::errno::Errno;
use crate::ranges::{Owner, Range, Ranges};
use crate::requests::Reply;
use crate::server::{Files, Server};

/// Most locks of one owner.
const MOST_OF_OWNER: usize = 2048;
/// Most locks in all.
const MOST: usize = 16 * MOST_OF_OWNER;
/// So many waits for each other are followed to find a deadlock.
const DEPTH: usize = 64;

/// Locks of a file: both kinds know nothing of each other.
#[derive(Debug, Default)]
struct FileLocks {
    /// Of fcntl(2).
    records: Ranges,
    /// Of flock(2).
    wholes: Ranges,
}

/// A thread that waits.
#[derive(Clone, Debug)]
struct Waiter {
    process: usize,
    thread: u16,
    inode: u64,
    whole: bool,
    wanted: Range,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Locks {
    files: BTreeMap<u64, FileLocks>,
    /// Owners of whose end the root server will tell, and how many locks each has.
    owners: BTreeMap<Owner, usize>,
    waiters: Vec<Waiter>,
    count: usize,
}

impl FileLocks {
    fn ranges(&mut self, whole: bool) -> &mut Ranges {
        match whole {
            false => &mut self.records,
            true => &mut self.wholes,
        }
    }
}

impl Locks {
    fn in_the_way(&self, inode: u64, whole: bool, wanted: &Range) -> Option<Range> {
        let file = self.files.get(&inode)?;
        let ranges = if whole { &file.wholes } else { &file.records };
        ranges.in_the_way(wanted).copied()
    }

    /// Changes what an owner has of a file. ENOLCK: too many locks.
    fn set(
        &mut self,
        (inode, whole): (u64, bool),
        kind: Option<Kind>,
        range: &Range,
    ) -> Result<(), Errno> {
        let owner = range.owner;
        let of_owner = self.owners.get(&owner).copied().unwrap_or(0);
        // A range in the middle of another makes two more.
        let full = of_owner + 2 > MOST_OF_OWNER || self.count + 2 > MOST;
        if kind.is_some() && full {
            return Err(Errno::NOLCK);
        }
        let file = self.files.entry(inode).or_default();
        let ranges = file.ranges(whole);
        let before = ranges.count(owner);
        ranges.set(owner, kind, range.start, range.end);
        let after = ranges.count(owner);
        if file.records.is_empty() && file.wholes.is_empty() {
            self.files.remove(&inode);
        }
        self.count = self.count + after - before;
        if let Some(count) = self.owners.get_mut(&owner) {
            *count = *count + after - before;
        }
        Ok(())
    }

    /// An owner has ended: its locks are gone. The files that it had some of.
    fn forget(&mut self, owner: Owner) -> Vec<u64> {
        if let Owner::Process(number) = owner {
            self.waiters.retain(|waiter| waiter.process != number);
        }
        if self.owners.remove(&owner).unwrap_or(0) == 0 {
            return Vec::new();
        }
        let mut touched = Vec::new();
        let count = &mut self.count;
        self.files.retain(|inode, file| {
            let FileLocks { records, wholes } = file;
            for ranges in [&mut *records, &mut *wholes] {
                let had = ranges.count(owner);
                if had != 0 {
                    ranges.set(owner, None, 0, END);
                    *count -= had;
                    touched.push(*inode);
                }
            }
            !records.is_empty() || !wholes.is_empty()
        });
        touched
    }

    fn gives_up(&mut self, process: usize, thread: u16) {
        let is = |waiter: &Waiter| waiter.process == process && waiter.thread == thread;
        self.waiters.retain(|waiter| !is(waiter));
    }

    /// Whether `owner` would wait for itself if it waited for `other`: each waits for the next one's lock.
    fn would_deadlock(&self, owner: Owner, mut other: Owner) -> bool {
        for _ in 0..DEPTH {
            if other == owner {
                return true;
            }
            let next = self.waiters.iter().find_map(|waiter| {
                let waits = !waiter.whole && waiter.wanted.owner == other;
                let held = waits.then(|| self.in_the_way(waiter.inode, false, &waiter.wanted))?;
                held.map(|range| range.owner)
            });
            match next {
                Some(next) => other = next,
                None => return false,
            }
        }
        false
    }

    /// Threads that wait for a lock of this file which could be theirs now.
    fn unblocked(&self, inode: u64) -> Vec<(usize, u16)> {
        let waiters = self.waiters.iter().filter(|waiter| {
            let blocker = self.in_the_way(inode, waiter.whole, &waiter.wanted);
            waiter.inode == inode && blocker.is_none()
        });
        waiters
            .map(|waiter| (waiter.process, waiter.thread))
            .collect()
    }
}

impl<F: Files> Server<F> {
    /// Does what a thread of `process` asks for with a file's locks. EAGAIN: not now. EDEADLK, ENOLCK, EBADF.
    pub fn lock(&mut self, process: usize, inode: u64, asked: &Asked) -> Result<Reply, Errno> {
        if asked.what == What::GiveUp {
            self.locks.gives_up(process, asked.thread);
            return Ok(Reply::default());
        }
        let owner = self.owner(process, asked)?;
        let kind = match asked.what {
            What::Test(kind) | What::Set(kind) | What::Wait(kind) => Some(kind),
            What::Unlock | What::GiveUp => None,
        };
        let wanted = Range {
            owner,
            kind: kind.unwrap_or(Kind::Shared),
            start: asked.start,
            end: asked.end,
        };
        let whole = asked.whole;
        if let What::Test(_) = asked.what {
            let blocker = self.locks.in_the_way(inode, whole, &wanted);
            return Ok(answer(blocker));
        }
        if whole {
            self.unlock_other_kind(inode, kind, &wanted)?;
        }
        let blocker = kind.and_then(|_| self.locks.in_the_way(inode, whole, &wanted));
        if let What::Wait(_) = asked.what {
            self.locks.gives_up(process, asked.thread);
            if let Some(blocker) = blocker {
                let by_process = matches!(owner, Owner::Process(_));
                if by_process && !whole && self.locks.would_deadlock(owner, blocker.owner) {
                    return Err(Errno::DEADLK);
                }
                self.know(process, Owner::Process(process))?;
                self.locks.waiters.push(Waiter {
                    process,
                    thread: asked.thread,
                    inode,
                    whole,
                    wanted,
                });
            }
        }
        if blocker.is_some() {
            return Err(Errno::AGAIN);
        }
        self.locks.set((inode, whole), kind, &wanted)?;
        // It has shrunk, or become one that others may share.
        if kind != Some(Kind::Exclusive) {
            self.wake(inode);
        }
        Ok(Reply::default())
    }

    /// Who is to have the lock: one of whose end the root server tells.
    fn owner(&mut self, process: usize, asked: &Asked) -> Result<Owner, Errno> {
        let owner = match asked.open {
            Some(channel) => {
                // Asked each time: it must be the caller's.
                let owner = Owner::Open(channel);
                self.files.watch_owner(process, owner)?;
                self.locks.owners.entry(owner).or_insert(0);
                return Ok(owner);
            }
            None => Owner::Process(process),
        };
        self.know(process, owner)?;
        Ok(owner)
    }

    fn know(&mut self, process: usize, owner: Owner) -> Result<(), Errno> {
        if !self.locks.owners.contains_key(&owner) {
            self.files.watch_owner(process, owner)?;
            self.locks.owners.insert(owner, 0);
        }
        Ok(())
    }

    /// flock(2) to another kind of lock gives up the one that there is first, whatever comes then.
    fn unlock_other_kind(
        &mut self,
        inode: u64,
        kind: Option<Kind>,
        wanted: &Range,
    ) -> Result<(), Errno> {
        let file = self.locks.files.get(&inode);
        let other = file.is_some_and(|file| file.wholes.has_other(wanted.owner, kind));
        if other {
            self.locks.set((inode, true), None, wanted)?;
            self.wake(inode);
        }
        Ok(())
    }

    fn wake(&mut self, inode: u64) {
        for (process, thread) in self.locks.unblocked(inode) {
            self.files.kick(process, thread);
        }
    }

    /// Locks of owners that have ended are free, and what they watched is watched no longer.
    pub fn sweep_owners(&mut self) {
        while let Some(owner) = self.files.ended_owner() {
            if let Owner::Open(channel) = owner {
                self.watcher_ended(channel);
            }
            for inode in self.locks.forget(owner) {
                self.wake(inode);
            }
        }
    }
}

/// What F_GETLK says.
fn answer(blocker: Option<Range>) -> Reply {
    let mut words = [0; REPLY_WORDS];
    words[0] = FREE;
    if let Some(range) = blocker {
        let process = match range.owner {
            Owner::Process(number) => number as u64,
            Owner::Open(_) => NO_PROCESS,
        };
        words[..4].copy_from_slice(&[number(range.kind), range.start, range.end, process]);
    }
    Reply {
        words,
        ..Reply::default()
    }
}
