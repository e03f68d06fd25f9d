// SPDX-License-Identifier: BSD-2-Clause
//! FIFOs (`vfs_hooks::fifo`): the channel of each that anybody has open. Which of them a path names is the VFS server's business.

use alloc::collections::BTreeMap;

use root_server::errno;
use vfs_hooks::Events;
use vfs_hooks::channel::{READER, SIDES};
use vfs_hooks::fifo::{NEEDS_READER, Place, count, opened, partner};
use vfs_hooks::process::badge;

use crate::system::System;

/// Channels by inode number.
pub type Fifos = BTreeMap<u64, usize>;

impl System {
    /// FIFO_OPEN.
    pub fn fifo_open(&mut self, number: usize, words: [u64; 3]) -> Result<u64, u64> {
        let [inode, process, how] = words;
        let (sides, process) = (how & (NEEDS_READER - 1), process as usize);
        if number != badge::VFS_SERVER {
            return Err(errno::EPERM);
        }
        if sides == 0 || how > NEEDS_READER | sides {
            return Err(errno::EINVAL);
        }
        let found = self.fifos.get(&inode).copied();
        let unheld: [bool; SIDES] = match found.and_then(|at| self.channels.get(at)?.as_ref()) {
            Some(channel) => core::array::from_fn(|side| channel.is_unheld(side)),
            None => [true; SIDES],
        };
        if how & NEEDS_READER != 0 && unheld[READER] {
            return Err(errno::ENXIO);
        }
        if !self.processes.contains_key(&process) {
            return Err(errno::ESRCH);
        }
        let index = match found {
            Some(index) => {
                self.give(process, index, sides as u8)?;
                index
            }
            None => {
                let index = self.channel_create(process, sides)? as usize;
                self.fifos.insert(inode, index);
                index
            }
        };
        let channel = self.channel(index as u64)?;
        channel.fifo = Some(inode);
        let header = channel.header();
        let partner = partner(sides as u8);
        let place = Place {
            channel: index as u32,
            met: partner.is_none_or(|side| !unheld[side]),
            since: partner.map_or(0, |side| opened(header, side)),
        };
        count(header, sides as u8);
        if (0..SIDES).any(|side| sides & 1 << side != 0 && unheld[side]) {
            // Those who wait for it look, and readers, who no longer see the end of file.
            header.publish(READER, Events::READABLE, |_| {});
            channel.kick();
        }
        Ok(place.word())
    }
}
