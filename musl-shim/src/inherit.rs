// SPDX-License-Identifier: BSD-2-Clause
//! What a program gets from the one that starts it: open files, working directory, signal mask, limits. One shim writes it, the next
//! reads it; the root server carries it unread.
//!
//! A file is passed on by what it takes to open it again ([`Heir`]). A kind that has none is closed in the new program.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use vfs_hooks::channel::MOST;
use vfs_hooks::file::{self, PASSED};
use vfs_hooks::vfs::{Attributes, REPLY_WORDS};

use crate::abi::Rlimit;
use crate::errno::Errno;
use crate::fd_table::FdTable;
use crate::files::OpenFile;
use crate::net::heir::Passed as PassedTcp;
use crate::net::unix::heir::Passed;
use crate::process::LIMITS;
use vfs_hooks::source::SourceId;
use watches::{Instances, Watched};

pub mod watches;

/// Grows when the format changes: both shims must be of one version.
const VERSION: u32 = 6;

/// What it takes to open a file again.
#[derive(Debug, PartialEq, Eq)]
pub enum Heir {
    /// The console, and the channel that has its flags.
    Terminal(u32),
    /// A device, by its number in `Device::ALL`.
    Device(u32),
    /// A file of the archive, and the channel that says where its next byte is read.
    Archived(Attributes, u32),
    /// A file in memory by its numbers (as a shared file, and as an inode), and the channel that says where it is read or written next.
    File(u32, u64, u32),
    /// A directory by its inode number, and the channel that says where its listing goes on.
    Directory(u64, u32),
    /// An inode (O_PATH).
    Path(u64),
    /// A side of a pipe: channel and side.
    Pipe(u32, u32),
    /// A FIFO: channel and sides, inode number, what it has seen of writers, and the channel that has its flags.
    Fifo([u32; 2], u64, u64, u32),
    /// An instance of inotify(7), by its channel.
    Inotify(u32),
    /// Something of /proc: its path there, and the channel that says where it is read next.
    Proc(Vec<u8>, u32),
    /// A timerfd: its channel, and whether it is of CLOCK_REALTIME.
    Timer(u32, bool),
    /// A pidfd: its channel, and the process.
    Process(u32, u32),
    /// A signalfd, by the channel that has its set.
    Signals(u32),
    /// An eventfd: its channel, and whether it is a semaphore.
    Event(u32, bool),
    /// An AF_UNIX socket.
    Unix(Passed),
    /// A TCP socket.
    Tcp(PassedTcp),
    /// A UDP socket: its channel as a word of SPAWN's, and its options.
    Udp(u32, u32),
    /// An epoll instance; its entries come apart.
    Epoll,
}

impl Heir {
    /// Channels and files that the new program must hold for it, as SPAWN has them.
    pub fn channels(&self) -> impl Iterator<Item = u32> {
        let words = match self {
            Heir::Device(_) | Heir::Path(_) | Heir::Epoll => [0; 2],
            Heir::Terminal(channel)
            | Heir::Timer(channel, _)
            | Heir::Archived(_, channel)
            | Heir::Directory(_, channel)
            | Heir::Event(channel, _)
            | Heir::Proc(_, channel)
            | Heir::Inotify(channel)
            | Heir::Signals(channel)
            | Heir::Process(channel, _) => [channel << 2 | 1, 0],
            Heir::File(number, _, channel) => [channel << 2 | 1, PASSED | number],
            Heir::Pipe(channel, side) => [channel << 2 | 1 << side, 0],
            Heir::Fifo([channel, sides], _, _, shared) => [channel << 2 | sides, shared << 2 | 1],
            Heir::Unix(passed) => passed.channels,
            Heir::Tcp(passed) => passed.channels,
            Heir::Udp(word, _) => [*word, 0],
        };
        words.into_iter().filter(|word| *word != 0)
    }
}

/// A program's legacy, apart from its files.
#[derive(Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Inode number of the working directory.
    pub directory: u64,
    /// umask(2).
    pub umask: u32,
    /// Blocked signals.
    pub mask: u64,
    /// Ignored signals.
    pub ignored: u64,
    /// Signals that wait.
    pub pending: u64,
    /// ITIMER_REAL: CLOCK_MONOTONIC nanoseconds (0: disarmed), period.
    pub alarm: [u64; 2],
    /// Resource limits.
    pub limits: [Rlimit; LIMITS],
    /// Inodes of which the process may have locks, and whether one of their fds was closed.
    pub locks: Vec<(u64, bool)>,
}

/// An open file to be: its flags, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    /// O_*.
    pub flags: u32,
    /// What it takes to open it.
    pub heir: Heir,
}

/// What the new program reads.
#[derive(Debug)]
pub struct Inheritance {
    /// All but the files.
    pub legacy: Legacy,
    /// Open files.
    pub descriptions: Vec<Description>,
    /// Numbers, each with the index of its open file.
    pub fds: Vec<(usize, usize)>,
    /// What the epoll instances among them watch.
    pub watches: Vec<Watched>,
}

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    fn heir(&mut self, heir: &Heir) {
        match heir {
            Heir::Terminal(channel) => {
                self.u32(0);
                self.u32(*channel);
            }
            Heir::Device(number) => {
                self.u32(1);
                self.u32(*number);
            }
            Heir::Archived(attributes, channel) => {
                self.u32(2);
                for word in attributes.words() {
                    self.u64(word);
                }
                self.u32(*channel);
            }
            Heir::Directory(inode, channel) => {
                self.u32(3);
                self.u64(*inode);
                self.u32(*channel);
            }
            Heir::File(number, inode, channel) => {
                self.u32(8);
                self.u32(*number);
                self.u64(*inode);
                self.u32(*channel);
            }
            Heir::Path(inode) => {
                self.u32(9);
                self.u64(*inode);
            }
            Heir::Pipe(channel, side) => {
                self.u32(4);
                self.u32(*channel);
                self.u32(*side);
            }
            Heir::Timer(channel, real) => {
                self.u32(11);
                self.u32(*channel);
                self.u32((*real).into());
            }
            Heir::Fifo([channel, sides], inode, since, shared) => {
                self.u32(10);
                self.u32(*channel);
                self.u32(*sides);
                self.u64(*inode);
                self.u64(*since);
                self.u32(*shared);
            }
            Heir::Epoll => self.u32(34),
            Heir::Inotify(channel) => {
                self.u32(33);
                self.u32(*channel);
            }
            Heir::Proc(path, channel) => {
                self.u32(32);
                self.bytes(path);
                self.u32(*channel);
            }
            Heir::Process(channel, pid) => {
                self.u32(6);
                self.u32(*channel);
                self.u32(*pid);
            }
            Heir::Signals(channel) => {
                self.u32(7);
                self.u32(*channel);
            }
            Heir::Udp(word, bits) => {
                self.u32(20);
                self.u32(*word);
                self.u32(*bits);
            }
            Heir::Event(channel, semaphore) => {
                self.u32(5);
                self.u32(*channel);
                self.u32(u32::from(*semaphore));
            }
            Heir::Unix(passed) => {
                let [first, second] = passed.channels;
                let Passed { kind, state, .. } = *passed;
                for word in [16, kind, state, first, second, passed.peer] {
                    self.u32(word);
                }
                self.u32(passed.pass_credentials);
                self.bytes(&passed.name);
                self.bytes(&passed.peer_name);
            }
            Heir::Tcp(passed) => {
                let [first, second] = passed.channels;
                for word in [17, passed.state, first, second, passed.flag] {
                    self.u32(word);
                }
                self.u64(passed.local);
                self.u64(passed.peer);
            }
        }
    }
}

/// Writes the legacy and those of the table's files that can be passed on, and says which channels they need.
pub fn write(table: &FdTable<Rc<OpenFile>>, legacy: &Legacy) -> Result<(Vec<u8>, Vec<u32>), Errno> {
    let instances = Instances::of(table);
    let (mut files, mut sources) = (Vec::<*const ()>::new(), BTreeMap::new());
    let (mut descriptions, mut fds) = (Writer(Vec::new()), Writer(Vec::new()));
    let (mut count, mut channels) = (0, Vec::new());
    for (fd, file) in table.iter() {
        let Some(heir) = file.file.inherit()? else {
            continue;
        };
        file.share_flags(false);
        let identity = Rc::as_ptr(file).cast::<()>();
        let index = match files.iter().position(|&f| f == identity) {
            Some(index) => index,
            None => {
                files.push(identity);
                if file.source() != SourceId::NONE {
                    sources.insert(file.source().0, files.len() - 1);
                }
                channels.extend(heir.channels());
                descriptions.u32(file.flags());
                descriptions.heir(&heir);
                files.len() - 1
            }
        };
        fds.u32(fd as u32);
        fds.u32(index as u32);
        count += 1;
    }
    let mut out = Writer(Vec::new());
    out.u32(VERSION);
    out.u64(legacy.directory);
    out.u32(legacy.umask);
    out.u64(legacy.mask);
    out.u64(legacy.ignored);
    out.u64(legacy.pending);
    legacy.alarm.iter().for_each(|&word| out.u64(word));
    for limit in &legacy.limits {
        out.u64(limit.rlim_cur);
        out.u64(limit.rlim_max);
    }
    out.u32(legacy.locks.len() as u32);
    for (inode, closed) in &legacy.locks {
        out.u64(*inode);
        out.u32((*closed).into());
    }
    out.u32(files.len() as u32);
    out.0.append(&mut descriptions.0);
    out.u32(count);
    out.0.append(&mut fds.0);
    instances.write(&sources, &mut out);
    Ok((out.0, channels))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn part(&mut self, len: usize) -> Option<&[u8]> {
        let (part, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(part)
    }

    fn u32(&mut self) -> Option<u32> {
        self.part(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.part(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.u32()? as usize;
        self.part(len).map(Vec::from)
    }

    /// A channel's number: one that there can be.
    fn channel(&mut self) -> Option<u32> {
        self.u32().filter(|channel| (*channel as usize) < MOST)
    }

    fn heir(&mut self) -> Option<Heir> {
        Some(match self.u32()? {
            0 => Heir::Terminal(self.channel()?),
            1 => Heir::Device(self.u32()?),
            2 => {
                let mut words = [0; REPLY_WORDS];
                for word in &mut words {
                    *word = self.u64()?;
                }
                Heir::Archived(Attributes::from_words(&words), self.channel()?)
            }
            3 => Heir::Directory(self.u64()?, self.channel()?),
            8 => {
                let number = self.u32().filter(|file| (*file as usize) < file::MOST)?;
                Heir::File(number, self.u64()?, self.channel()?)
            }
            9 => Heir::Path(self.u64()?),
            11 => Heir::Timer(self.channel()?, self.u32()? != 0),
            10 => {
                let channel = self.channel()?;
                let sides = self.u32().filter(|sides| (1..=3).contains(sides))?;
                Heir::Fifo([channel, sides], self.u64()?, self.u64()?, self.channel()?)
            }
            4 => Heir::Pipe(self.channel()?, self.u32().filter(|side| *side <= 1)?),
            6 => Heir::Process(self.channel()?, self.u32()?),
            34 => Heir::Epoll,
            33 => Heir::Inotify(self.channel()?),
            32 => Heir::Proc(self.bytes()?, self.channel()?),
            5 => Heir::Event(self.channel()?, self.u32()? != 0),
            7 => Heir::Signals(self.channel()?),
            20 => {
                let word = self.u32().filter(|word| (*word >> 2) < MOST as u32)?;
                Heir::Udp(word, self.u32()?)
            }
            16 => Heir::Unix(Passed {
                kind: self.u32()?,
                state: self.u32()?,
                channels: [self.u32()?, self.u32()?],
                peer: self.u32()?,
                pass_credentials: self.u32()?,
                name: self.bytes()?,
                peer_name: self.bytes()?,
            }),
            17 => Heir::Tcp(PassedTcp {
                state: self.u32()?,
                channels: [self.u32()?, self.u32()?],
                flag: self.u32()?,
                local: self.u64()?,
                peer: self.u64()?,
            }),
            _ => return None,
        })
    }
}

/// What goes with a message of AF_UNIX: the sender's name, and open files.
pub fn write_message(name: &[u8], files: &[Description]) -> Vec<u8> {
    let mut out = Writer(Vec::new());
    out.bytes(name);
    out.u32(files.len() as u32);
    for file in files {
        out.u32(file.flags);
        out.heir(&file.heir);
    }
    out.0
}

/// Reads what [`write_message`] wrote; `None`: something else did.
pub fn read_message(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Description>)> {
    let mut reader = Reader(bytes);
    let name = reader.bytes()?;
    let mut files = Vec::new();
    for _ in 0..reader.u32()? {
        let (flags, heir) = (reader.u32()?, reader.heir()?);
        files.push(Description { flags, heir });
    }
    reader.0.is_empty().then_some((name, files))
}

/// Reads what [`write`] wrote. `None`: it was another version's, or somebody made it up.
pub fn read(bytes: &[u8]) -> Option<Inheritance> {
    let mut reader = Reader(bytes);
    if reader.u32()? != VERSION {
        return None;
    }
    let (directory, umask) = (reader.u64()?, reader.u32()?);
    let [mask, ignored, pending] = [reader.u64()?, reader.u64()?, reader.u64()?];
    let alarm = [reader.u64()?, reader.u64()?];
    let nothing = Rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let mut limits = [nothing; LIMITS];
    for limit in &mut limits {
        (limit.rlim_cur, limit.rlim_max) = (reader.u64()?, reader.u64()?);
    }
    let mut locks = Vec::new();
    for _ in 0..reader.u32()? {
        locks.push((reader.u64()?, reader.u32()? != 0));
    }
    let mut descriptions = Vec::new();
    for _ in 0..reader.u32()? {
        let (flags, heir) = (reader.u32()?, reader.heir()?);
        descriptions.push(Description { flags, heir });
    }
    let mut fds = Vec::new();
    for _ in 0..reader.u32()? {
        let (fd, index) = (reader.u32()? as usize, reader.u32()? as usize);
        if index >= descriptions.len() || fd >= 1 << 20 {
            return None;
        }
        fds.push((fd, index));
    }
    let watches = watches::read(&mut reader, descriptions.len())?;
    let legacy = Legacy {
        directory,
        umask,
        mask,
        ignored,
        pending,
        alarm,
        limits,
        locks,
    };
    reader.0.is_empty().then_some(Inheritance {
        legacy,
        descriptions,
        fds,
        watches,
    })
}

#[cfg(test)]
mod tests;
