// SPDX-License-Identifier: BSD-2-Clause
//! A connection of AF_UNIX in a channel (unix(7)): its ends in any number of processes, its data in their shared memory.
//!
//! Each direction is a ring of *records*: one for each send, with what was sent and what goes with it (rights, as bytes that only the
//! shims understand). SOCK_STREAM reads across them, SOCK_SEQPACKET and SOCK_DGRAM take one at a time. A record is staged behind the ring's end and
//! published by one store, so a writer that dies leaves none or a whole one; so is a read. Both hold the channel's lock.
//!
//! ```text
//! first page   Header, at CONNECTION: Connection (version, rings' positions, what is shut, names)
//! DATA         ring to be read by side 0, RING bytes
//! DATA + RING  ring to be read by side 1
//!
//! record       length u32 | control's length u32 | sender u32 | taken u32 | control, padded to 8 | bytes, padded to 8
//! ```
//!
//! Readiness, edges and errors are those of [`stream`](crate::stream) and [`packets`](crate::packets). That the peer is closed is told by the root
//! server's count of its holders; what it left unread is a reset (ECONNRESET). The other holders may scribble on everything here: a record that makes no
//! sense is thrown away with all that follows it.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

#[cfg(not(any(loom, shuttle)))]
use crate::channel::CONNECTION;
use crate::channel::{DATA, Header, SIDES, SPAN};
use crate::events::Events;
use crate::packets::RESERVE;
use crate::ring::{Ring, RingIndices};
use crate::source::{Edges, Readiness};
use crate::stream::Shutdown;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Grows when the layout changes.
pub const VERSION: u32 = 1;
/// Bytes of a direction's ring.
pub const RING: u32 = 256 << 10;
/// Bytes of a socket's buffer (net.core.wmem_default).
pub const CAPACITY: usize = 212_992;
/// Bytes of a record before its control data.
const RECORD: usize = 16;
/// Where `taken` lies in a record.
const TAKEN: u32 = 12;
/// Most bytes that go with a record.
pub const MOST_CONTROL: usize = 16 << 10;
/// Most bytes of a name (`sun_path`).
pub const MOST_NAME: usize = 108;
const NAME_WORDS: usize = MOST_NAME.div_ceil(8);

const SHUT_READ: u32 = 1;
const SHUT_WRITE: u32 = 2;
/// Until this much of a ring is used, a packet of any length fits with its record; Linux's own limit is close to it, a quarter of the buffer.
const PACKET_ROOM: usize = RING as usize - (CAPACITY + RECORD + MOST_CONTROL);

const WRITABLE: Events = Events::WRITABLE.union(Events::WRBAND);
const ARRIVED: Events = Events::READABLE.union(Events::PRI).union(Events::RDBAND);

const _: () = assert!(DATA + 2 * RING as usize <= SPAN);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(CONNECTION + size_of::<Connection>() <= DATA);

fn shut_bits(read: bool, write: bool) -> u32 {
    let bit = |shut: bool, bit: u32| if shut { bit } else { 0 };
    bit(read, SHUT_READ) | bit(write, SHUT_WRITE)
}

/// Which type of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Datagram,
    /// SOCK_SEQPACKET.
    Seqpacket,
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing to read, or not enough room (EAGAIN, or wait for IN or OUT and try again).
    Again,
    /// It can be written to no more (EPIPE, and SIGPIPE).
    Broken,
    /// The peer went with something unread (ECONNRESET, once).
    Reset,
    /// SOCK_DGRAM: the peer is gone (ECONNREFUSED).
    Gone,
    /// A packet larger than any buffer (EMSGSIZE).
    TooLarge,
    /// Another process is at work on it: give way and try again.
    Busy,
}

/// A name that a side is bound to, as it says itself.
#[repr(C)]
#[derive(Debug, Default)]
struct Name {
    len: AtomicU32,
    reserved: AtomicU32,
    words: [AtomicU64; NAME_WORDS],
}

/// What only connections have. Zeroed memory is none yet: see [`ChannelSocket::start`].
#[repr(C)]
#[derive(Debug, Default)]
pub struct Connection {
    version: AtomicU32,
    reserved: AtomicU32,
    rings: [RingIndices; SIDES],
    /// SHUT_READ and SHUT_WRITE of each side.
    shut: [AtomicU32; SIDES],
    /// 1: the side was told of the reset.
    told: [AtomicU32; SIDES],
    names: [Name; SIDES],
}

impl Connection {
    /// Positions of the ring that `side` reads.
    pub fn ring(&self, side: usize) -> &RingIndices {
        &self.rings[side]
    }
}

/// What a send takes with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attached<'a> {
    /// For the receiver's shim.
    pub control: &'a [u8],
    /// The sending process.
    pub sender: u32,
}

/// What a receive brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes that were copied.
    pub copied: usize,
    /// The packet's own length; of a stream the same as `copied`.
    pub len: usize,
    /// What came with it.
    pub control: Vec<u8>,
    /// Who sent the first of it, by its own account.
    pub sender: u32,
}

/// A record's head, checked against what is in the ring.
struct Record {
    len: usize,
    control: usize,
    sender: u32,
    taken: usize,
}

const fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

impl Record {
    /// Its head; nothing of it is taken yet.
    fn words(&self) -> [u64; 2] {
        [
            self.len as u64 | (self.control as u64) << 32,
            self.sender.into(),
        ]
    }

    /// The record `at` bytes into a ring. `None`: there is none, or it makes no sense.
    fn read(ring: &Ring, at: usize) -> Option<Record> {
        let [sizes, rest] = ring.peek_words(at as u32)?;
        let record = Record {
            len: sizes as u32 as usize,
            control: (sizes >> 32) as usize,
            sender: rest as u32,
            taken: (rest >> 32) as usize,
        };
        let sane = record.len <= RING as usize
            && record.control <= MOST_CONTROL
            && record.taken <= record.len
            && at + record.size() <= ring.len().ok()? as usize;
        sane.then_some(record)
    }

    /// Where its bytes begin, and behind them, where it ends.
    fn start(&self) -> usize {
        RECORD + padded(self.control)
    }

    fn size(&self) -> usize {
        self.start() + padded(self.len)
    }
}

/// A connection as one of its holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSocket<'a> {
    header: &'a Header,
    connection: &'a Connection,
    /// By the side that reads it.
    rings: [Ring<'a>; SIDES],
    kind: Kind,
}

impl<'a> ChannelSocket<'a> {
    /// The connection of a channel. Its rings are those over [`Connection::ring`].
    pub fn new(
        header: &'a Header,
        connection: &'a Connection,
        rings: [Ring<'a>; SIDES],
        kind: Kind,
    ) -> Self {
        ChannelSocket {
            header,
            connection,
            rings,
            kind,
        }
    }

    /// Makes a new channel a connection.
    pub fn start(&self) {
        self.connection.version.store(VERSION, Ordering::Release);
    }

    /// Whether it is a connection of this version.
    pub fn is_valid(&self) -> bool {
        self.connection.version.load(Ordering::Acquire) == VERSION
    }

    /// Takes over what was shut, and that a reset is or is not to be told yet, from a pair that moves here. Nobody else holds it yet.
    pub fn adopt(&self, side: usize, (read, write): (bool, bool), told: bool) {
        let bits = shut_bits(read, write);
        self.connection.shut[side].store(bits, Ordering::Release);
        self.connection.told[side].store(told.into(), Ordering::Release);
    }

    /// Puts something in the way of `side`, of a pair that moves here and that nobody else holds yet. There is room: a ring is larger than what may wait.
    pub fn move_in(&self, side: usize, bytes: &[u8]) {
        let record = Record {
            len: bytes.len(),
            control: 0,
            sender: 0,
            taken: 0,
        };
        let ring = &self.rings[side];
        let _ = ring.stage_words(record.words()).and_then(|()| {
            ring.stage(RECORD as u32, bytes).ok()?;
            ring.publish(record.size()).ok()
        });
    }

    /// A pair moves here of which one end is gone, with something unread, and the other does not know.
    pub fn reset(&self) {
        self.header.value.store(1, Ordering::Release);
    }

    /// Says what a side is bound to.
    pub fn set_name(&self, side: usize, name: &[u8]) {
        let place = &self.connection.names[side];
        let name = &name[..name.len().min(MOST_NAME)];
        for (word, part) in place.words.iter().zip(name.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        place.len.store(name.len() as u32, Ordering::Release);
    }

    /// What a side says that it is bound to; empty: to nothing.
    pub fn name(&self, side: usize) -> Vec<u8> {
        let place = &self.connection.names[side];
        let len = (place.len.load(Ordering::Acquire) as usize).min(MOST_NAME);
        let words = place.words.iter();
        let mut name: Vec<u8> = words
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect();
        name.truncate(len);
        name
    }

    fn is_stream(&self) -> bool {
        self.kind == Kind::Stream
    }

    /// Whether nobody holds the side any longer.
    pub fn is_closed(&self, side: usize) -> bool {
        self.header.holders(side) == 0
    }

    /// What of a side is shut, reading and writing: by itself, or by its peer.
    fn shut(&self, side: usize) -> (bool, bool) {
        let bits = self.connection.shut[side].load(Ordering::Acquire);
        let over = self.kind != Kind::Datagram && self.is_closed(1 - side);
        (
            bits & SHUT_READ != 0 || over,
            bits & SHUT_WRITE != 0 || over,
        )
    }

    /// Whether the side's peer is gone and has left something unread, of which nobody was told. `value` is not 0 while nobody has accepted it.
    fn is_reset(&self, side: usize) -> bool {
        if self.kind == Kind::Datagram || !self.is_closed(1 - side) {
            return false;
        }
        let left = &self.rings[1 - side];
        // An empty packet alone is not missed: Linux takes it for what urgent data leave behind.
        let empty = match self.kind {
            Kind::Stream => 0,
            _ => Record::read(left, 0)
                .filter(|r| r.len == 0)
                .map_or(0, |r| r.size()),
        };
        let unread = left.len().is_ok_and(|len| len as usize > empty)
            || self.header.value.load(Ordering::Acquire) != 0;
        unread && self.connection.told[side].load(Ordering::Acquire) == 0
    }

    /// Takes the reset, if there is one to be told (also SO_ERROR).
    pub fn take_reset(&self, side: usize) -> bool {
        self.is_reset(side) && self.connection.told[side].swap(1, Ordering::AcqRel) == 0
    }

    /// Bytes of the ring that `side` writes which are in use; all if it makes no sense.
    fn used(&self, side: usize) -> usize {
        self.rings[1 - side].len().unwrap_or(RING) as usize
    }

    fn has_room(&self, side: usize) -> bool {
        let used = self.used(side);
        match self.kind {
            Kind::Stream => used <= CAPACITY * 2 / 3,
            _ => used <= PACKET_ROOM,
        }
    }

    /// Sends `bytes` from `side` for process `own`: a packet whole, of a stream what fits, at least 1. Returns how much.
    pub fn send(
        &self,
        own: u32,
        side: usize,
        bytes: &[u8],
        attached: Attached,
        signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        if self.kind == Kind::Seqpacket && self.take_reset(side) {
            return Err(Refused::Reset);
        }
        if !self.is_stream() && bytes.len() > CAPACITY - RESERVE {
            return Err(Refused::TooLarge);
        }
        if self.shut(side).1 {
            return Err(Refused::Broken);
        }
        if self.kind == Kind::Datagram && self.is_closed(1 - side) {
            // What the peer left is lost with it (Linux's `unix_dgram_disconnected`).
            let _lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
            let _ = self.rings[side].consume(RING as usize);
            return Err(Refused::Gone);
        }
        if self.shut(1 - side).0 {
            return Err(Refused::Broken);
        }
        if bytes.is_empty() && self.is_stream() {
            return Ok(0);
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let ring = &self.rings[1 - side];
        ring.repair();
        let mut record = Record {
            len: bytes.len(),
            control: attached.control.len().min(MOST_CONTROL),
            sender: attached.sender,
            taken: 0,
        };
        let room = ring.space() as usize;
        if self.is_stream() {
            let most = room.min(CAPACITY.saturating_sub(self.used(side)));
            // A multiple of 8: the padding fits as well.
            let most = most.saturating_sub(record.start()) & !7;
            record.len = record.len.min(most);
        }
        if record.size() > room || (record.len == 0 && self.is_stream()) {
            return Err(Refused::Again);
        }
        // The other side may do to the positions what it likes, at any time: then less is there than was said, or nothing.
        let start = record.start() as u32;
        let control = &attached.control[..record.control];
        let staged = ring.stage_words(record.words()).and_then(|()| {
            if !control.is_empty() {
                ring.stage(RECORD as u32, control).ok()?;
            }
            ring.stage(start, &bytes[..record.len]).ok()?;
            ring.publish(record.size()).ok()
        });
        drop(lock);
        staged.ok_or(Refused::Again)?;
        self.header.publish(1 - side, ARRIVED, signal);
        Ok(record.len)
    }

    /// Takes what came to `side` into `out`, for process `own`; with `peek` it stays there, and what came with it is not given.
    pub fn receive(
        &self,
        own: u32,
        side: usize,
        out: &mut [u8],
        peek: bool,
        signal: impl FnMut(usize),
    ) -> Result<Received, Refused> {
        // Before the packets, as Linux has it, and not for streams.
        if self.kind == Kind::Seqpacket && self.take_reset(side) {
            return Err(Refused::Reset);
        }
        // Before the data: who closes after this look has sent all that they ever will.
        let (over, _) = self.shut(side);
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let ring = &self.rings[side];
        let had_room = self.has_room(1 - side);
        let mut got = Received::default();
        let (mut at, mut ended, mut found) = (0, false, false);
        while let Some(record) = Record::read(ring, at) {
            // A read ends with what rights came with (unix(7), Ancillary messages).
            let new = record.taken == 0 && record.control > 0;
            if !found {
                got.sender = record.sender;
            }
            found = true;
            let from = at + record.start() + record.taken;
            let room = &mut out[got.copied..];
            let n = room.len().min(record.len - record.taken);
            if self.is_stream() && n == 0 {
                break;
            }
            let n = ring.peek(from as u32, &mut room[..n]).unwrap_or(0);
            got.copied += n;
            got.len += if self.is_stream() { n } else { record.len };
            if new && !peek {
                got.control.resize(record.control, 0);
                let _ = ring.peek((at + RECORD) as u32, &mut got.control);
            }
            let whole = !self.is_stream() || record.taken + n == record.len;
            if !peek && whole {
                let _ = ring.consume(record.size());
                ended = true;
            } else if !peek {
                let taken = (record.taken + n) as u32;
                let _ = ring.amend(TAKEN, &taken.to_le_bytes());
            } else {
                at += record.size();
            }
            if !whole || !self.is_stream() || new {
                break;
            }
        }
        let mut left = !ring.is_empty();
        if !found && left {
            // Nothing that can be read: it was made up.
            let _ = ring.consume(RING as usize);
            left = false;
        }
        if !peek {
            ring.rewind();
        }
        let news = (ended || !had_room) && self.has_room(1 - side);
        drop(lock);
        if news {
            self.header.publish(1 - side, WRITABLE, signal);
        }
        match found {
            true => Ok(got),
            false if self.take_reset(side) => Err(Refused::Reset),
            false if over && !left && self.kind != Kind::Datagram => Ok(got),
            false => Err(Refused::Again),
        }
    }

    /// shutdown(2) of a side.
    pub fn shut_down(&self, side: usize, how: Shutdown, mut signal: impl FnMut(usize)) {
        let (read, write) = (how != Shutdown::Write, how != Shutdown::Read);
        for (at, read, write) in [(side, read, write), (1 - side, write, read)] {
            // The peer of a datagram pair is not told.
            if at == side || self.kind != Kind::Datagram {
                let bits = shut_bits(read, write);
                self.connection.shut[at].fetch_or(bits, Ordering::AcqRel);
                self.header.publish(at, Events::all(), &mut signal);
            }
        }
    }

    /// Whether the side can be read no more.
    pub fn is_read_shut(&self, side: usize) -> bool {
        self.shut(side).0
    }

    /// Bytes to read: all of a connection, of datagrams the first (FIONREAD).
    pub fn available(&self, side: usize) -> usize {
        let (mut at, mut sum) = (0, 0);
        while let Some(record) = Record::read(&self.rings[side], at) {
            sum += record.len - record.taken;
            at += record.size();
            if self.kind == Kind::Datagram {
                break;
            }
        }
        sum
    }

    /// Level and edges of a side.
    pub fn readiness(&self, side: usize) -> Readiness {
        let counters = &self.header.sides[side];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let (read, write) = self.shut(side);
        let mut events = Events::empty();
        events.set(Events::READABLE, read || !self.rings[side].is_empty());
        events.set(Events::RDHUP, read);
        events.set(Events::HUP, read && write);
        events.set(WRITABLE, self.has_room(side) || self.is_closed(1 - side));
        events.set(Events::ERR, self.is_reset(side));
        Readiness { events, edges }
    }
}

/// Steps left out or in another order: for the models, which must catch them; and a death in the middle.
#[cfg(loom)]
pub mod mutants {
    use super::*;

    /// Process `own` begins [`ChannelSocket::send`] and is no more before it publishes, or (`published`) before it frees the lock.
    pub fn dies_in_send(
        socket: &ChannelSocket,
        own: u32,
        side: usize,
        bytes: &[u8],
        published: bool,
    ) {
        let Some(lock) = socket.header.try_lock(own) else {
            return;
        };
        core::mem::forget(lock);
        let size = stage(socket, side, bytes);
        if published {
            let _ = socket.rings[1 - side].publish(size);
        }
    }

    fn stage(socket: &ChannelSocket, side: usize, bytes: &[u8]) -> usize {
        let record = Record {
            len: bytes.len(),
            control: 0,
            sender: 0,
            taken: 0,
        };
        let ring = &socket.rings[1 - side];
        let _ = ring.stage_words(record.words());
        let _ = ring.stage(record.start() as u32, bytes);
        record.size()
    }

    /// [`ChannelSocket::send`] that shows a record's head by one store, and the rest by another.
    pub fn send_in_two_steps(socket: &ChannelSocket, own: u32, side: usize, bytes: &[u8]) {
        if let Some(_lock) = socket.header.try_lock(own) {
            let size = stage(socket, side, bytes);
            let ring = &socket.rings[1 - side];
            let _ = ring.publish(RECORD);
            let _ = ring.publish(size - RECORD);
        }
        socket.header.publish(1 - side, ARRIVED, |_| ());
    }

    /// Whether [`ChannelSocket::receive`] would tell of the end, if it looked whether the peer is there after it looked for data.
    pub fn is_over_looking_late(socket: &ChannelSocket, side: usize) -> bool {
        let empty = socket.rings[side].is_empty();
        empty && socket.shut(side).0
    }
}

#[cfg(test)]
mod tests;
