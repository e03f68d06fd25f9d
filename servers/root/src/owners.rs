// SPDX-License-Identifier: BSD-2-Clause
//! What the VFS server is told of, and has others told. Owners of locks and holders of inotify instances, of whose end it hears: OWNER_WATCH, OWNER_ENDED. Threads
//! that wait for a lock, and events that wait: KICK, CHANNEL_TELL, WATCHING. Locks and events themselves are that server's.

use alloc::collections::{BTreeSet, VecDeque};

use root_server::errno;
use vfs_hooks::Events;
use vfs_hooks::process::badge;
use vfs_hooks::sync::Ordering;
use vfs_hooks::wire::root::{OWNER_OPEN, OWNER_PROCESS};

use crate::system::System;

/// An owner: its kind << 32 | number.
type Owner = u64;

/// Those that are watched, and those that have ended and are not told of yet.
#[derive(Debug, Default)]
pub struct Owners {
    watched: BTreeSet<Owner>,
    ended: VecDeque<Owner>,
    /// Somebody watches files.
    pub watching: bool,
}

impl System {
    /// OWNER_WATCH. Answers with an errno.
    pub fn owner_watch(&mut self, number: usize, [process, kind, channel]: [u64; 3]) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        if !self.processes.contains_key(&(process as usize)) {
            return errno::ESRCH;
        }
        let owner = match kind {
            OWNER_PROCESS => process,
            OWNER_OPEN => {
                let found = self.channels.get(channel as usize);
                let found = found.and_then(Option::as_ref);
                if found.is_none_or(|found| found.sides(process as usize) & 1 == 0) {
                    return errno::EBADF;
                }
                channel
            }
            _ => return errno::EINVAL,
        };
        self.owners.watched.insert(kind << 32 | owner);
        errno::OK
    }

    /// OWNER_ENDED.
    pub fn next_ended(&mut self, number: usize) -> Result<[u64; 1], u64> {
        if number != badge::VFS_SERVER {
            return Err(errno::EPERM);
        }
        Ok([self.owners.ended.pop_front().unwrap_or(0)])
    }

    /// An owner has ended: the VFS server hears of it before it hears of any other of that number.
    pub fn owner_ended(&mut self, kind: u64, number: usize) {
        let owner = kind << 32 | number as u64;
        if self.owners.watched.remove(&owner) {
            self.owners.ended.push_back(owner);
            self.signal_vfs();
        }
    }

    /// CHANNEL_TELL. Answers with an errno.
    pub fn channel_tell(&mut self, number: usize, [channel, value, news]: [u64; 3]) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        let Some(Some(channel)) = self.channels.get(channel as usize) else {
            return errno::EINVAL;
        };
        channel.header().value.store(value, Ordering::Release);
        if news != 0 {
            channel.header().publish(0, Events::READABLE, |_| {});
            channel.kick();
        }
        errno::OK
    }

    /// WATCHING. Answers with an errno.
    pub fn set_watching(&mut self, number: usize, on: u64) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        self.owners.watching = on != 0;
        for process in self.processes.values() {
            let word = &process.info().watching;
            word.store(self.owners.watching.into(), Ordering::Release);
        }
        errno::OK
    }

    /// KICK. Answers with an errno.
    pub fn kick_thread(&mut self, number: usize, process: u64, thread: u64) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        let Some(process) = self.processes.get(&(process as usize)) else {
            return errno::ESRCH;
        };
        if let Some(thread) = process.threads.get(thread as usize) {
            thread.notification.kick();
            // On the unmodified kernel it may be the one that waits for the process's.
            if process.notification.whole != process.threads.first.notification.whole {
                process.notification.kick();
            }
        }
        errno::OK
    }
}
