// SPDX-License-Identifier: BSD-2-Clause
//! inotify(7): instances, what they watch, and the events that wait in them. An instance is known by the channel of its fd.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;

use vfs_hooks::inotify::{HEADER, MOST_EVENTS, MOST_INSTANCES, MOST_WATCHES, mask, size};

use crate::errno::Errno;

/// Events of all instances together.
const MOST_IN_ALL: usize = 4 * MOST_EVENTS;
/// Flags of a watch that stay with it.
const KEPT: u32 = mask::ALL | mask::ONESHOT | mask::EXCL_UNLINK;

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Rc<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    inode: u64,
    mask: u32,
}

#[derive(Debug, Default)]
struct Instance {
    /// The number given last.
    last: i32,
    watches: BTreeMap<i32, Watch>,
    events: VecDeque<Event>,
    bytes: usize,
}

impl Instance {
    /// Whether there is something new to read. `false`: it is as the event before it.
    fn push(&mut self, event: Event, room: &mut usize) -> bool {
        let same = |last: &Event| {
            let Event {
                watch, mask, name, ..
            } = last;
            (watch, mask, name) == (&event.watch, &event.mask, &event.name)
        };
        if self.events.back().is_some_and(same) {
            return false;
        }
        let overflow = self.events.len() + 1 >= MOST_EVENTS || *room <= 1;
        let event = match overflow {
            false => event,
            true if self
                .events
                .back()
                .is_some_and(|e| e.mask == mask::Q_OVERFLOW) =>
            {
                return false;
            }
            true => Event {
                watch: -1,
                mask: mask::Q_OVERFLOW,
                cookie: 0,
                name: Rc::default(),
            },
        };
        *room = room.saturating_sub(1);
        self.bytes += size(event.name.len());
        self.events.push_back(event);
        true
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Watches {
    instances: BTreeMap<u32, Instance>,
    /// Instances and numbers of the watches of each inode.
    by_inode: BTreeMap<u64, Vec<(u32, i32)>>,
    watches: usize,
    events: usize,
    cookie: u32,
}

impl Watches {
    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.watches == 0
    }

    /// A number that ties two events together.
    pub fn cookie(&mut self) -> u32 {
        self.cookie = self.cookie.wrapping_add(1).max(1);
        self.cookie
    }

    /// A new instance. EMFILE; EINVAL: the channel is one already.
    pub fn open(&mut self, channel: u32) -> Result<(), Errno> {
        if self.instances.contains_key(&channel) {
            return Err(Errno::INVAL);
        }
        if self.instances.len() >= MOST_INSTANCES {
            return Err(Errno::MFILE);
        }
        self.instances.insert(channel, Instance::default());
        Ok(())
    }

    /// Watches an inode, or changes how it is watched: the watch's number. EINVAL, EEXIST, ENOSPC.
    pub fn add(&mut self, channel: u32, inode: u64, flags: u32) -> Result<i32, Errno> {
        let instance = self.instances.get_mut(&channel).ok_or(Errno::INVAL)?;
        let found = self.by_inode.get(&inode);
        let found = found.and_then(|all| all.iter().find(|(owner, _)| *owner == channel));
        if let Some((_, number)) = found {
            if flags & mask::MASK_CREATE != 0 {
                return Err(Errno::EXIST);
            }
            if let Some(watch) = instance.watches.get_mut(number) {
                let before = match flags & mask::MASK_ADD {
                    0 => 0,
                    _ => watch.mask,
                };
                watch.mask = before | flags & KEPT;
            }
            return Ok(*number);
        }
        if self.watches >= MOST_WATCHES {
            return Err(Errno::NOSPC);
        }
        instance.last = instance.last.checked_add(1).ok_or(Errno::NOSPC)?;
        let (number, mask) = (instance.last, flags & KEPT);
        instance.watches.insert(number, Watch { inode, mask });
        self.by_inode
            .entry(inode)
            .or_default()
            .push((channel, number));
        self.watches += 1;
        Ok(number)
    }

    /// Ends a watch, of which an event tells: the inode. EINVAL: there is none of that number.
    pub fn remove(&mut self, channel: u32, number: i32) -> Result<u64, Errno> {
        let instance = self.instances.get_mut(&channel).ok_or(Errno::INVAL)?;
        let watch = instance.watches.remove(&number).ok_or(Errno::INVAL)?;
        let ignored = Event {
            watch: number,
            mask: mask::IGNORED,
            cookie: 0,
            name: Rc::default(),
        };
        let mut room = MOST_IN_ALL.saturating_sub(self.events);
        let before = instance.events.len();
        instance.push(ignored, &mut room);
        self.events += instance.events.len() - before;
        self.drop_watch(watch.inode, channel, number);
        Ok(watch.inode)
    }

    fn drop_watch(&mut self, inode: u64, channel: u32, number: i32) {
        self.watches -= 1;
        if let Some(all) = self.by_inode.get_mut(&inode) {
            all.retain(|watch| *watch != (channel, number));
            if all.is_empty() {
                self.by_inode.remove(&inode);
            }
        }
    }

    /// An instance has ended: the inodes that it watched.
    pub fn close(&mut self, channel: u32) -> Vec<u64> {
        let Some(instance) = self.instances.remove(&channel) else {
            return Vec::new();
        };
        self.events -= instance.events.len();
        for (number, watch) in &instance.watches {
            self.drop_watch(watch.inode, channel, *number);
        }
        instance.watches.values().map(|watch| watch.inode).collect()
    }

    /// Something has happened to an inode, or to what has `name` in it: the instances that have something new to tell.
    pub fn event(&mut self, inode: u64, what: u32, cookie: u32, name: &[u8]) -> Vec<u32> {
        let mut told = Vec::new();
        let watches = self.by_inode.get(&inode).cloned().unwrap_or_default();
        let name: Rc<[u8]> = name.into();
        for (channel, number) in watches {
            let Some(instance) = self.instances.get_mut(&channel) else {
                continue;
            };
            let Some(watch) = instance.watches.get(&number).copied() else {
                continue;
            };
            if watch.mask & what & mask::ALL == 0 {
                continue;
            }
            let event = Event {
                watch: number,
                mask: what,
                cookie,
                name: name.clone(),
            };
            let mut room = MOST_IN_ALL.saturating_sub(self.events);
            let before = instance.events.len();
            let mut news = instance.push(event, &mut room);
            self.events += instance.events.len() - before;
            if watch.mask & mask::ONESHOT != 0 {
                news |= self.remove(channel, number).is_ok();
            }
            if news {
                told.push(channel);
            }
        }
        told
    }

    /// An inode is no more: its watches end. The instances to tell.
    pub fn gone(&mut self, inode: u64) -> Vec<u32> {
        let watches = self.by_inode.get(&inode).cloned().unwrap_or_default();
        let removed = watches
            .iter()
            .filter(|(channel, number)| self.remove(*channel, *number).is_ok());
        removed.map(|(channel, _)| *channel).collect()
    }

    /// What is of interest of an inode by watches of it alone.
    pub fn interest(&self, inode: u64) -> u32 {
        let watches = self.by_inode.get(&inode).into_iter().flatten();
        let masks = watches.filter_map(|(channel, number)| {
            Some(self.instances.get(channel)?.watches.get(number)?.mask)
        });
        masks.fold(0, |all, one| all | one) & mask::ALL
    }

    /// Inodes that are watched.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        self.by_inode.keys().copied()
    }

    /// Bytes that wait in an instance.
    pub fn bytes(&self, channel: u32) -> u64 {
        self.instances
            .get(&channel)
            .map_or(0, |instance| instance.bytes as u64)
    }

    /// Takes events, as many as `room` bytes hold, in the form in which read(2) gives them. EAGAIN: there are none; EINVAL: the first has no room.
    pub fn read(&mut self, channel: u32, room: usize) -> Result<Vec<u8>, Errno> {
        let instance = self.instances.get_mut(&channel).ok_or(Errno::INVAL)?;
        let first = instance.events.front().ok_or(Errno::AGAIN)?;
        if size(first.name.len()) > room {
            return Err(Errno::INVAL);
        }
        let mut bytes = Vec::new();
        while let Some(event) = instance.events.front() {
            let size = size(event.name.len());
            if bytes.len() + size > room {
                break;
            }
            let end = bytes.len() + size;
            bytes.extend_from_slice(&event.watch.to_le_bytes());
            for word in [event.mask, event.cookie, (size - HEADER) as u32] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&event.name);
            bytes.resize(end, 0);
            instance.events.pop_front();
            instance.bytes -= size;
            self.events -= 1;
        }
        Ok(bytes)
    }
}
