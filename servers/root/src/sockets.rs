// SPDX-License-Identifier: BSD-2-Clause
//! AF_UNIX, and loopback TCP: who has which name, connections that nobody has accepted yet, and channels and files that are on their way from one process to another in a
//! message.
//!
//! What is on its way is held by the *carrying* channel, for the side that will take it. When nobody holds that side any longer, nobody will, and it is dropped.
//! A channel that no process holds lives as long as one that lives carries it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use root_server::errno;
use sel4_bindings::Message;
use vfs_hooks::Events;
use vfs_hooks::channel::SIDES;
use vfs_hooks::file::PASSED;
use vfs_hooks::sync::Ordering;
use vfs_hooks::wire::root::OWNER_OPEN;

use crate::channels::Channel;
use crate::requests::bytes;
use crate::system::System;

/// Most channels that one carries.
const MOST_CARRIED: usize = 4096;
/// Most names in the system.
const MOST_NAMES: usize = 1 << 16;
/// Longest name: a path from the root.
const LONGEST: usize = 512;
/// The side that a listener accepts.
const ACCEPTED: usize = 1;

type Result<T> = core::result::Result<T, u64>;

/// What is on its way.
pub struct Carried {
    /// The side whose holders may take it.
    to: usize,
    /// Who sent it; `None`: it waits to be accepted.
    sender: Option<usize>,
    /// As SPAWN has it: a channel's sides, or a shared file.
    word: u32,
}

impl Carried {
    /// Channel and sides; `None`: it is a file.
    fn channel(&self) -> Option<(usize, u8)> {
        let parts = ((self.word >> 2) as usize, (self.word & 3) as u8);
        (self.word & PASSED == 0).then_some(parts)
    }
}

/// What a channel is known by.
pub enum Key {
    /// A name of AF_UNIX.
    Name(Vec<u8>),
    /// A port of TCP.
    Port(u16),
}

/// A name's owner.
pub struct Named {
    /// The name.
    pub key: Key,
    /// Type of socket.
    kind: u32,
    /// The process that bound it.
    process: usize,
    /// How many more than one may wait, once it listens.
    pub backlog: Option<u32>,
    /// What was shut while it listened: 1 reading, so that nobody can connect any more, 2 writing.
    shut: u64,
    /// Those that wait to be accepted.
    waiting: VecDeque<Waiting>,
}

impl Named {
    /// What process `process` has bound.
    pub fn new(key: Key, kind: u32, process: usize) -> Named {
        Named {
            key,
            kind,
            process,
            backlog: None,
            shut: 0,
            waiting: VecDeque::new(),
        }
    }
}

/// A connection that nobody has accepted yet.
struct Waiting {
    channel: usize,
    /// What accept tells of it.
    told: [u64; 2],
}

/// Channels by name. A name goes with its socket, also that of a path: who finds the path's inode and no name here knows that nobody listens.
pub type Names = BTreeMap<Vec<u8>, usize>;

fn is_path(name: &[u8]) -> bool {
    name.first() == Some(&b'/')
}

impl Channel {
    /// Says how many wait to be accepted, and what is shut.
    fn count_waiting(&self, news: Events) {
        let named = self.named.as_ref();
        let value = named.map_or(0, |named| named.waiting.len() as u64 | named.shut << 32);
        self.header().value.store(value, Ordering::Release);
        if !news.is_empty() {
            self.header().publish(0, news, |_| {});
            self.kick();
        }
    }

    /// One more is on its way.
    fn fly(&mut self, sides: u8) {
        for side in 0..SIDES {
            self.flights[side] += u32::from(sides >> side & 1);
        }
        self.count();
    }

    /// One of those has arrived, or nobody will take it.
    fn land(&mut self, sides: u8) {
        for side in 0..SIDES {
            self.flights[side] -= u32::from(sides >> side & 1);
        }
        self.count();
        if (0..SIDES).any(|side| sides & 1 << side != 0 && self.is_unheld(side)) {
            self.hang_up();
        }
    }
}

impl System {
    /// A channel that there is. EBADF.
    pub fn channel(&mut self, index: u64) -> Result<&mut Channel> {
        let channel = self.channels.get_mut(index as usize);
        channel.and_then(Option::as_deref_mut).ok_or(errno::EBADF)
    }

    /// CHANNEL_SEND.
    pub fn channel_send(&mut self, number: usize, [carrier, to, word]: [u64; 3]) -> Result<()> {
        let (to, word) = (to as usize, word as u32);
        let holds = self.holds_all(number, &[word]);
        let carrying = self.channel(carrier)?;
        if to >= SIDES || carrying.sides(number) & 1 << (1 - to) == 0 || !holds {
            return Err(errno::EBADF);
        }
        if carrying.is_unheld(to) {
            return Err(errno::EPIPE);
        }
        if carrying.carried.len() >= MOST_CARRIED {
            return Err(errno::ETOOMANYREFS);
        }
        let carried = Carried {
            to,
            sender: Some(number),
            word,
        };
        let channel = carried.channel();
        carrying.carried.push(carried);
        match channel {
            Some((index, sides)) => self.channel(index as u64)?.fly(sides),
            None => self.files.fly(word & !PASSED),
        }
        Ok(())
    }

    /// CHANNEL_TAKE.
    pub fn channel_take(&mut self, number: usize, [carrier, to, word]: [u64; 3]) -> Result<()> {
        let (to, word) = (to as usize, word as u32);
        let carrying = self.channel(carrier)?;
        let receives = to < SIDES && carrying.sides(number) & 1 << to != 0;
        let found = carrying.carried.iter().position(|carried| {
            let mine = carried.sender.is_some() && receives || carried.sender == Some(number);
            mine && (carried.to, carried.word) == (to, word)
        });
        let at = found.ok_or(errno::EBADF)?;
        match carrying.carried[at].channel() {
            Some((index, sides)) => self.give(number, index, sides)?,
            None => self.give_file(number, word & !PASSED)?,
        }
        let carried = self.channel(carrier)?.carried.swap_remove(at);
        self.land(&carried);
        Ok(())
    }

    /// Something is on its way no longer; the channel, if it is one.
    fn land(&mut self, carried: &Carried) -> Option<usize> {
        let Some((index, sides)) = carried.channel() else {
            if self.files.land(carried.word & !PASSED) {
                self.signal_vfs();
            }
            return None;
        };
        let channel = self.channels.get_mut(index)?.as_mut()?;
        channel.land(sides);
        Some(index)
    }

    /// Makes a process a holder.
    pub fn give(&mut self, number: usize, index: usize, sides: u8) -> Result<()> {
        let System {
            channels,
            processes,
            memory,
            ..
        } = self;
        let process = processes.get_mut(&number).ok_or(errno::EPERM)?;
        let Some(Some(channel)) = channels.get_mut(index) else {
            return Err(errno::EBADF);
        };
        channel
            .add(memory, process, sides)
            .map_err(|_| errno::ENOMEM)
    }

    /// A channel with a name, if the process holds its receiving side.
    pub fn own_name(&mut self, number: usize, channel: u64) -> Result<&mut Channel> {
        let channel = self.channel(channel).map_err(|_| errno::EINVAL)?;
        match channel.sides(number) & 1 != 0 && channel.named.is_some() {
            true => Ok(channel),
            false => Err(errno::EINVAL),
        }
    }

    /// NAME_BIND.
    pub fn name_bind(&mut self, number: usize, message: &Message) -> Result<()> {
        let (channel, kind) = (message.word(0), message.word(1) as u32);
        let name = name(message)?;
        if self.names.contains_key(&name) {
            return Err(errno::EADDRINUSE);
        }
        if self.names.len() >= MOST_NAMES {
            return Err(errno::ENOSPC);
        }
        let owner = self.channel(channel)?;
        if owner.sides(number) & 1 == 0 || owner.named.is_some() {
            return Err(errno::EINVAL);
        }
        owner.named = Some(Named::new(Key::Name(name.clone()), kind, number));
        self.names.insert(name, channel as usize);
        Ok(())
    }

    /// NAME_LISTEN, PORT_LISTEN.
    pub fn name_listen(&mut self, number: usize, [channel, backlog, _]: [u64; 3]) -> Result<()> {
        let own = self.own_name(number, channel)?;
        if let Some(Key::Port(port)) = own.named.as_ref().map(|named| &named.key) {
            let port = *port;
            self.ports.listen(port, channel as usize)?;
        }
        let channel = self.own_name(number, channel)?;
        let shut = backlog >> 32 & 3;
        if let Some(named) = &mut channel.named {
            match shut {
                0 => named.backlog = Some((backlog as u32).min(MOST_CARRIED as u32 - 1)),
                _ => named.shut |= shut,
            }
        }
        if shut != 0 {
            channel.count_waiting(Events::all());
        }
        Ok(())
    }

    /// The channel of a name, for sockets of a type.
    fn named(&mut self, name: &[u8], kind: u32) -> Result<usize> {
        let index = *self.names.get(name).ok_or(errno::ENOENT)?;
        let found = self
            .channel(index as u64)
            .map_err(|_| errno::ECONNREFUSED)?;
        match &found.named {
            Some(named) if named.kind == kind => Ok(index),
            Some(_) => Err(errno::EPROTOTYPE),
            None => Err(errno::ECONNREFUSED),
        }
    }

    /// NAME_CONNECT: the process that listens.
    pub fn name_connect(&mut self, number: usize, message: &Message) -> Result<u64> {
        let (channel, kind) = (message.word(0), message.word(1) as u32);
        let wait = message.word(1) >> 32 & 1 != 0;
        let name = name(message)?;
        if self.channel(channel)?.sides(number) != 3 {
            return Err(errno::EINVAL);
        }
        let index = self.named(&name, kind)?;
        self.deliver(number, channel, index, wait, [number as u64, 0])
    }

    /// Side 1 of a channel waits from now on to be accepted by who listens at channel `index`: the process that bound it.
    pub fn deliver(
        &mut self,
        number: usize,
        channel: u64,
        index: usize,
        wait: bool,
        told: [u64; 2],
    ) -> Result<u64> {
        let listening = self.channel(index as u64)?;
        let Some(Named {
            backlog: Some(backlog),
            waiting,
            process,
            shut: 0 | 2,
            ..
        }) = &mut listening.named
        else {
            return Err(errno::ECONNREFUSED);
        };
        let full = waiting.len() > *backlog as usize && !wait;
        if full || listening.carried.len() >= MOST_CARRIED {
            return Err(errno::EAGAIN);
        }
        if index as u64 == channel {
            return Err(errno::EINVAL);
        }
        let process = *process as u64;
        waiting.push_back(Waiting {
            channel: channel as usize,
            told,
        });
        listening.carried.push(Carried {
            to: 0,
            sender: None,
            word: (channel as u32) << 2 | 1 << ACCEPTED,
        });
        let connection = self.channel(channel)?;
        connection.fly(1 << ACCEPTED);
        connection.header().value.store(1, Ordering::Release);
        self.release(number, channel as usize, 1 << ACCEPTED);
        let news = Events::READABLE | Events::PRI | Events::RDBAND;
        self.channel(index as u64)?.count_waiting(news);
        Ok(process)
    }

    /// NAME_ACCEPT: the channel, and what is to be told of it.
    pub fn name_accept(&mut self, number: usize, listener: u64) -> Result<[u64; 3]> {
        let listening = self.own_name(number, listener)?;
        let named = listening.named.as_mut().ok_or(errno::EINVAL)?;
        named.backlog.ok_or(errno::EINVAL)?;
        let none = if named.shut & 1 == 0 {
            errno::EAGAIN
        } else {
            errno::EINVAL
        };
        let Some(waiting) = named.waiting.front() else {
            // Somebody has written there that one waits: whoever believed it would ask again and again.
            listening.count_waiting(Events::empty());
            return Err(none);
        };
        let (index, [first, second]) = (waiting.channel, waiting.told);
        self.give(number, index, 1 << ACCEPTED)?;
        let listening = self.channel(listener)?;
        if let Some(named) = &mut listening.named {
            named.waiting.pop_front();
        }
        let carried = &mut listening.carried;
        let waits = |c: &Carried| {
            c.sender.is_none() && c.channel().is_some_and(|(channel, _)| channel == index)
        };
        if let Some(at) = carried.iter().position(waits) {
            carried.swap_remove(at);
        }
        listening.count_waiting(Events::empty());
        let connection = self.channel(index as u64)?;
        connection.header().value.store(0, Ordering::Release);
        connection.land(1 << ACCEPTED);
        Ok([index as u64, first, second])
    }

    /// NAME_FIND.
    pub fn name_find(&mut self, number: usize, message: &Message) -> Result<u64> {
        let kind = message.word(1) as u32;
        let index = self.named(&name(message)?, kind)?;
        self.give(number, index, 2)?;
        Ok(index as u64)
    }

    /// NAME_REMOVE.
    pub fn name_remove(&mut self, message: &Message) -> Result<()> {
        let name = name(message)?;
        if !is_path(&name) {
            return Err(errno::ENOENT);
        }
        self.names.remove(&name).map(drop).ok_or(errno::ENOENT)
    }

    /// A side of the channel has lost a holder: what nobody can take any longer, or reach, goes.
    pub fn sweep(&mut self, index: usize) {
        let mut work = vec![index];
        while let Some(index) = work.pop() {
            let Some(Some(channel)) = self.channels.get_mut(index) else {
                continue;
            };
            let unheld: [bool; SIDES] = core::array::from_fn(|side| channel.is_unheld(side));
            let mut dropped: Vec<Carried> = Vec::new();
            if unheld.contains(&true) {
                let all = core::mem::take(&mut channel.carried);
                (dropped, channel.carried) = all.into_iter().partition(|c| unheld[c.to]);
            }
            if unheld[0] {
                self.forget_name(index);
                self.udp_unheld(index);
            }
            self.tell_net(index, unheld[0]);
            let unheld = self.channels[index].as_ref().is_some_and(|channel| {
                channel.holders.is_empty()
                    && (channel.flights == [0; SIDES] || !self.is_carried(index))
            });
            if unheld {
                // A listener that is on its way in a circle has a name still.
                self.forget_name(index);
                self.release_ports(index);
                self.udp_unheld(index);
            }
            if unheld && let Some(mut channel) = self.channels[index].take() {
                if let Some(inode) = channel.fifo {
                    self.fifos.remove(&inode);
                }
                dropped.append(&mut channel.carried);
                // Never seen to fail: all that is deleted is the root server's own.
                let _ = channel.end(&mut self.memory);
                // Much looks at all there are: no longer a list than that, however many there once were.
                while let Some(None) = self.channels.last() {
                    self.channels.pop();
                }
                self.owner_ended(OWNER_OPEN, index);
            }
            for carried in dropped {
                work.extend(self.land(&carried));
            }
        }
    }

    /// The channel's socket is closed: it has no name any longer.
    fn forget_name(&mut self, index: usize) {
        let channel = self.channels.get_mut(index).and_then(Option::as_mut);
        match channel.and_then(|channel| channel.named.take()) {
            // A path may have been removed while the socket was open.
            Some(Named {
                key: Key::Name(name),
                ..
            }) if self.names.get(&name) == Some(&index) => drop(self.names.remove(&name)),
            Some(Named {
                key: Key::Port(_), ..
            }) => self.release_ports(index),
            _ => {}
        }
    }

    /// Whether a channel that a process holds carries this one, or one that carries it.
    fn is_carried(&self, index: usize) -> bool {
        let mut seen = vec![false; self.channels.len()];
        let channels = self.channels.iter().enumerate();
        let held = channels.filter(|(_, c)| c.as_ref().is_some_and(|c| !c.holders.is_empty()));
        let mut work: Vec<usize> = held.map(|(at, _)| at).collect();
        while let Some(at) = work.pop() {
            if at == index {
                return true;
            }
            match seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                // Looked at already, or no more.
                _ => continue,
            }
            let carried = self.channels.get(at).into_iter().flatten();
            let carried = carried.flat_map(|c| &c.carried);
            work.extend(carried.filter_map(|carried| Some(carried.channel()?.0)));
        }
        false
    }
}

/// The name that a message carries. Abstract ones are apart for each type of socket, as on Linux, so that is added.
fn name(message: &Message) -> Result<Vec<u8>> {
    let mut name = bytes(message, 2).ok_or(errno::EINVAL)?;
    if !(1..=LONGEST).contains(&name.len()) {
        return Err(errno::EINVAL);
    }
    if !is_path(&name) {
        name.push(message.word(1) as u8);
    }
    Ok(name)
}
