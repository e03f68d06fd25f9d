// SPDX-License-Identifier: BSD-2-Clause
//! A UDP socket in a channel: side 0 is the socket, in whatever processes have it; side 1 is whoever sends to it, other processes and the net server.
//!
//! ```text
//! first page                 Header (its value: see [`Socket::routes`]), at CONNECTION: Udp (names, error, rings' positions)
//! DATA                       LOCAL bytes    what processes of this machine send it
//! DATA + LOCAL               INWARD bytes   what came from the network: the net server produces
//! DATA + LOCAL + INWARD      OUTWARD bytes  what is to go there: the net server consumes
//!
//! datagram    length u32 | port u16 | 0 u16 | address u32 | other address u32 | bytes, padded to 8
//! ```
//!
//! Port and address are the other end's; the other address is the socket's own one. Processes work under the channel's lock, the net server never takes it: of the
//! two rings that it shares it is the only producer, or the only consumer. A queue that is full loses what comes, and counts it.
//!
//! A channel is one trust group: who can send to a socket can spoil its queue, and say what they like of where a datagram comes from. A datagram that makes no sense
//! is thrown away with all that follows it.
#![forbid(unsafe_code)]

use crate::channel::{CONNECTION, DATA, Header, SPAN};
use crate::events::Events;
use crate::ring::{Ring, RingIndices};
use crate::source::{Edges, Readiness};
use crate::stream::Shutdown;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Grows when the layout changes.
pub const VERSION: u32 = 1;
/// Bytes of the queue of what processes send: four of the largest datagrams.
pub const LOCAL: u32 = 256 << 10;
/// Bytes of the queue of what came from the network: 88 full frames.
pub const INWARD: u32 = 128 << 10;
/// Bytes of the queue of what is to go there.
pub const OUTWARD: u32 = 32 << 10;
/// Where each of them lies in the channel.
pub const OFFSETS: [usize; 3] = [
    DATA,
    DATA + LOCAL as usize,
    DATA + LOCAL as usize + INWARD as usize,
];
/// End of all of them.
pub const END: usize = OFFSETS[2] + OUTWARD as usize;
/// Most bytes of a datagram (RFC 768 over RFC 791).
pub const LARGEST: usize = 65_507;
/// Most bytes of one that goes in one Ethernet frame: there is no fragmentation.
pub const LARGEST_FRAME: usize = 1472;
/// Bytes before a datagram's own.
const HEAD: usize = 16;

const SHUT_READ: u32 = 1;
const SHUT_WRITE: u32 = 2;

const WRITABLE: Events = Events::WRITABLE.union(Events::WRBAND);
const ARRIVED: Events = Events::READABLE.union(Events::PRI).union(Events::RDBAND);

const _: () = assert!(END <= SPAN);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(CONNECTION + size_of::<Udp>() <= DATA);

/// One end: an IPv4 address (most significant byte first in the number) and a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Address; 0: any.
    pub ip: u32,
    /// Port; 0: none.
    pub port: u16,
}

impl End {
    /// As a word of a message.
    pub const fn word(self) -> u64 {
        self.ip as u64 | (self.port as u64) << 32
    }

    /// The end that a word means.
    pub const fn of(word: u64) -> End {
        End {
            ip: word as u32,
            port: (word >> 32) as u16,
        }
    }
}

/// How a socket came to its name: what a disconnect keeps.
pub mod asked {
    /// bind(2) named the address.
    pub const ADDRESS: u32 = 1;
    /// bind(2) named the port.
    pub const PORT: u32 = 2;
}

/// What only these channels have. Zeroed memory is none yet: see [`Socket::start`].
#[repr(C)]
#[derive(Debug, Default)]
pub struct Udp {
    version: AtomicU32,
    shut: AtomicU32,
    /// Pending error (an errno), 0 for none.
    error: AtomicU32,
    /// 1: the net server takes part.
    joined: AtomicU32,
    /// Own name and the peer's, as words; a peer of 0: none.
    name: AtomicU64,
    peer: AtomicU64,
    /// [`asked`].
    asked: AtomicU32,
    /// Datagrams for which there was no room.
    lost: AtomicU32,
    /// 1: the last one received was from the network.
    turn: AtomicU32,
    reserved: AtomicU32,
    rings: [RingIndices; 3],
}

impl Udp {
    /// Positions of a queue, by its place in [`OFFSETS`].
    pub fn ring(&self, which: usize) -> &RingIndices {
        &self.rings[which]
    }
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another process is at work on it: give way and try again.
    Busy,
    /// There is none.
    Empty,
    /// There is no room.
    Full,
}

/// A datagram's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// Its length.
    pub len: usize,
    /// The other end: where it comes from, or goes.
    pub other: End,
    /// The socket's own address: where it was sent to, or what it comes from.
    pub own: u32,
}

impl Datagram {
    const fn size(&self) -> usize {
        HEAD + self.len.next_multiple_of(8)
    }

    fn words(&self) -> [u64; 2] {
        [
            self.len as u64 | (self.other.port as u64) << 32,
            u64::from(self.other.ip) | u64::from(self.own) << 32,
        ]
    }

    /// The oldest in a ring. `Err`: there is something that is none.
    fn front(ring: &Ring) -> Result<Option<Datagram>, Nonsense> {
        if ring.is_empty() {
            return Ok(None);
        }
        let [first, second] = ring.peek_words(0).ok_or(Nonsense)?;
        let datagram = Datagram {
            len: first as u32 as usize,
            other: End {
                ip: second as u32,
                port: (first >> 32) as u16,
            },
            own: (second >> 32) as u32,
        };
        let there = ring.len().unwrap_or(0) as usize;
        match datagram.len <= LARGEST && datagram.size() <= there {
            true => Ok(Some(datagram)),
            false => Err(Nonsense),
        }
    }

    /// The same; what is none is thrown away.
    fn next(ring: &Ring) -> Option<Datagram> {
        Datagram::front(ring).unwrap_or_else(|Nonsense| {
            let _ = ring.consume(LOCAL as usize);
            None
        })
    }

    /// Puts it at a ring's end. `None`: no room, or the positions make no sense.
    fn put(&self, ring: &Ring, bytes: &[u8]) -> Option<()> {
        if self.size() > ring.space() as usize {
            return None;
        }
        ring.stage_words(self.words())?;
        ring.stage(HEAD as u32, bytes).ok()?;
        ring.publish(self.size()).ok()
    }

    /// Copies its bytes, as far as there is room for them; how many.
    fn copy(&self, ring: &Ring, out: &mut [u8]) -> usize {
        let n = out.len().min(self.len);
        ring.peek(HEAD as u32, &mut out[..n]).unwrap_or(0)
    }
}

/// Something in a ring that is no datagram.
struct Nonsense;

/// What a receive brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes that were copied.
    pub copied: usize,
    /// The datagram itself.
    pub datagram: Datagram,
}

/// A socket as one of its channel's holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct Socket<'a> {
    header: &'a Header,
    udp: &'a Udp,
    local: Ring<'a>,
    inward: Ring<'a>,
    outward: Ring<'a>,
}

impl<'a> Socket<'a> {
    /// The socket of a channel. Its rings are those over [`Udp::ring`], in the order of [`OFFSETS`].
    pub fn new(header: &'a Header, udp: &'a Udp, rings: [Ring<'a>; 3]) -> Self {
        let [local, inward, outward] = rings;
        Socket {
            header,
            udp,
            local,
            inward,
            outward,
        }
    }

    /// Makes a new channel a socket.
    pub fn start(&self) {
        self.udp.version.store(VERSION, Ordering::Release);
    }

    /// Whether it is a socket of this version.
    pub fn is_valid(&self) -> bool {
        self.udp.version.load(Ordering::Acquire) == VERSION
    }

    /// What it is bound to.
    pub fn name(&self) -> End {
        End::of(self.udp.name.load(Ordering::Acquire))
    }

    /// Says what it is bound to.
    pub fn set_name(&self, name: End) {
        self.udp.name.store(name.word(), Ordering::Release);
    }

    /// How it came to its name: bits of [`asked`].
    pub fn asked(&self) -> u32 {
        self.udp.asked.load(Ordering::Acquire)
    }

    /// Says so.
    pub fn set_asked(&self, bits: u32) {
        self.udp.asked.store(bits, Ordering::Release);
    }

    /// What it is connected to.
    pub fn peer(&self) -> Option<End> {
        match self.udp.peer.load(Ordering::Acquire) {
            0 => None,
            word => Some(End::of(word)),
        }
    }

    /// Says what it is connected to.
    pub fn set_peer(&self, peer: Option<End>) {
        let word = peer.map_or(0, End::word);
        self.udp.peer.store(word, Ordering::Release);
    }

    /// Whether it takes datagrams from there.
    pub fn accepts(&self, from: End) -> bool {
        let peer = self.udp.peer.load(Ordering::Acquire);
        peer == 0 || peer == from.word()
    }

    /// Whether the net server takes part.
    pub fn is_joined(&self) -> bool {
        self.udp.joined.load(Ordering::Acquire) != 0
    }

    /// The net server takes part from now on.
    pub fn set_joined(&self) {
        self.udp.joined.store(1, Ordering::Release);
    }

    /// Whether some process has the socket open.
    pub fn is_open(&self) -> bool {
        self.header.holders(0) != 0
    }

    /// Changes when datagrams that came here may have to go to another socket: the root server counts it.
    pub fn routes(&self) -> u64 {
        self.header.value.load(Ordering::Acquire)
    }

    /// How many datagrams were lost because there was no room.
    pub fn lost(&self) -> u32 {
        self.udp.lost.load(Ordering::Relaxed)
    }

    fn lose(&self) -> Refused {
        self.udp.lost.fetch_add(1, Ordering::Relaxed);
        Refused::Full
    }

    /// A process, `own`, sends it a datagram.
    pub fn deliver(
        &self,
        own: u32,
        datagram: Datagram,
        bytes: &[u8],
        signal: impl FnMut(usize),
    ) -> Result<(), Refused> {
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        self.local.repair();
        let put = datagram.put(&self.local, bytes);
        drop(lock);
        put.ok_or_else(|| self.lose())?;
        self.header.publish(0, ARRIVED, signal);
        Ok(())
    }

    /// The net server brings it one.
    pub fn bring(
        &self,
        datagram: Datagram,
        bytes: &[u8],
        signal: impl FnMut(usize),
    ) -> Result<(), Refused> {
        datagram
            .put(&self.inward, bytes)
            .ok_or_else(|| self.lose())?;
        self.header.publish(0, ARRIVED, signal);
        Ok(())
    }

    /// The ring that the next datagram is in: they take turns, so that neither side starves the other.
    fn next(&self) -> Option<(&Ring<'a>, Datagram)> {
        let from_net = self.udp.turn.load(Ordering::Relaxed) == 0;
        let (first, second) = match from_net {
            true => (&self.inward, &self.local),
            false => (&self.local, &self.inward),
        };
        let datagram = Datagram::next(first).map(|datagram| (first, datagram));
        datagram.or_else(|| Datagram::next(second).map(|datagram| (second, datagram)))
    }

    /// A process, `own`, takes the next datagram, as much of it as there is room for; with `peek` it stays.
    pub fn receive(&self, own: u32, out: &mut [u8], peek: bool) -> Result<Received, Refused> {
        let _lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        self.local.repair();
        let (ring, datagram) = self.next().ok_or(Refused::Empty)?;
        let copied = datagram.copy(ring, out);
        if !peek {
            let from_net = core::ptr::eq(ring, &self.inward);
            self.udp.turn.store(from_net.into(), Ordering::Relaxed);
            let _ = ring.consume(datagram.size());
            if !from_net {
                self.local.rewind();
            }
        }
        Ok(Received { copied, datagram })
    }

    /// Length of the next datagram (FIONREAD).
    pub fn available(&self) -> usize {
        self.next().map_or(0, |(_, datagram)| datagram.len)
    }

    /// A process, `own`, gives one to the net server, which is to be told.
    pub fn give(&self, own: u32, datagram: Datagram, bytes: &[u8]) -> Result<(), Refused> {
        let _lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        datagram.put(&self.outward, bytes).ok_or(Refused::Full)
    }

    /// The net server takes what is to go out; `out` gets its bytes. Longer ones than `out` are thrown away.
    pub fn take(&self, out: &mut [u8]) -> Option<Datagram> {
        // A limit, since whoever puts them there could do so as fast.
        for _ in 0..OUTWARD as usize / HEAD {
            let datagram = Datagram::next(&self.outward)?;
            let copied = datagram.copy(&self.outward, out);
            let _ = self.outward.consume(datagram.size());
            if copied == datagram.len {
                return Some(datagram);
            }
            self.lose();
        }
        None
    }

    /// Whether something is to go out.
    pub fn has_outward(&self) -> bool {
        !self.outward.is_empty()
    }

    /// A datagram has left: news of room, as Linux has it.
    pub fn sent(&self, signal: impl FnMut(usize)) {
        self.header.publish(0, WRITABLE, signal);
    }

    /// Something that was sent did not arrive: an errno for the next call.
    pub fn fail(&self, errno: u32, signal: impl FnMut(usize)) {
        self.udp.error.store(errno, Ordering::Release);
        self.header.publish(0, Events::ERR, signal);
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&self) -> Option<u32> {
        if self.udp.error.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(self.udp.error.swap(0, Ordering::AcqRel)).filter(|errno| *errno != 0)
    }

    /// shutdown(2).
    pub fn shut_down(&self, how: Shutdown, signal: impl FnMut(usize)) {
        let bits = match how {
            Shutdown::Read => SHUT_READ,
            Shutdown::Write => SHUT_WRITE,
            Shutdown::Both => SHUT_READ | SHUT_WRITE,
        };
        self.udp.shut.fetch_or(bits, Ordering::AcqRel);
        self.header.publish(0, Events::all(), signal);
    }

    /// Whether it can be read no more, once what came is read; and written no more.
    pub fn shut(&self) -> (bool, bool) {
        let bits = self.udp.shut.load(Ordering::Acquire);
        (bits & SHUT_READ != 0, bits & SHUT_WRITE != 0)
    }

    /// Level and edges.
    pub fn readiness(&self) -> Readiness {
        let counters = &self.header.sides[0];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let (read, write) = self.shut();
        let there = !self.local.is_empty() || !self.inward.is_empty();
        let mut events = WRITABLE;
        events.set(Events::READABLE, read || there);
        events.set(Events::RDHUP, read);
        events.set(Events::HUP, read && write);
        let error = self.udp.error.load(Ordering::Acquire) != 0;
        events.set(Events::ERR, error);
        Readiness { events, edges }
    }
}

#[cfg(test)]
mod tests;
