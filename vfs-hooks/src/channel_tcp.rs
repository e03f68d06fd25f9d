// SPDX-License-Identifier: BSD-2-Clause
//! A loopback connection of TCP in a channel (tcp(7)): its ends in any number of processes, its bytes in their shared memory.
//!
//! ```text
//! first page         Header, at CONNECTION: Connection (version, rings' positions, state of both ends)
//! DATA               ring to be read by side 0, RING bytes
//! DATA + RING        ring to be read by side 1
//! ```
//!
//! The rules are those of [`stream`](crate::stream) for TCP. What is written lies in the peer's ring at once, so nothing is in flight, and FIN and reset
//! are marks on the end that they reach. A holder's end is seen by the root server alone, which knows no TCP: it counts down the holders. What that means is *settled* by whoever
//! looks next: a side that left bytes unread, was never accepted or lingers for no time is a reset, any other a FIN. That is kept, once, in one word.
//!
//! Reads and writes hold the channel's lock, for the sake of other processes with the same end. The other holders may scribble on everything here; a ring whose
//! positions make no sense is a reset.
#![forbid(unsafe_code)]

#[cfg(not(any(loom, shuttle)))]
use crate::channel::CONNECTION;
use crate::channel::{DATA, Header, SIDES, SPAN};
use crate::events::Events;
use crate::ring::{Ring, RingIndices};
use crate::source::{Edges, Readiness};
use crate::stream::Shutdown;
use crate::sync::{AtomicU32, Ordering, fence};

/// Grows when the layout changes; apart from those of AF_UNIX.
const VERSION: u32 = 0x7463_0001;
/// Bytes of a direction's ring: what waits in one direction of a connection.
pub const RING: u32 = 128 << 10;

// An end's state.
const SHUT_READ: u32 = 1;
const SHUT_WRITE: u32 = 2;
/// The peer will send no more.
const FIN: u32 = 4;
/// It was reset.
const RESET: u32 = 8;
/// The reset is to be told as ECONNRESET, or as EPIPE.
const TELL_RESET: u32 = 16;
const TELL_BROKEN: u32 = 32;
const TELL: u32 = TELL_RESET | TELL_BROKEN;

const ARRIVED: Events = Events::READABLE.union(Events::PRI).union(Events::RDBAND);

const _: () = assert!(DATA + 2 * RING as usize <= SPAN);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(CONNECTION + size_of::<Connection>() <= DATA);

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing to read, or no room (EAGAIN, or wait for IN or OUT and try again).
    Again,
    /// It can be written to no more (EPIPE).
    Broken,
    /// The peer went away with bytes unread, or aborted (ECONNRESET).
    Reset,
    /// The connection is over (ENOTCONN).
    NotConnected,
    /// Another process is at work on it: give way and try again.
    Busy,
}

#[repr(C)]
#[derive(Debug, Default)]
struct End {
    state: AtomicU32,
    /// 1: a write or a look found no room; the next read that makes room is news.
    no_room: AtomicU32,
    /// 1: closing it is a reset (SO_LINGER of 0 seconds).
    aborts: AtomicU32,
    reserved: AtomicU32,
}

/// What only connections have. Zeroed memory is none yet: see [`ChannelTcp::start`].
#[repr(C)]
#[derive(Debug, Default)]
pub struct Connection {
    version: AtomicU32,
    reserved: AtomicU32,
    rings: [RingIndices; SIDES],
    ends: [End; SIDES],
}

impl Connection {
    /// Positions of the ring that `side` reads.
    pub fn ring(&self, side: usize) -> &RingIndices {
        &self.rings[side]
    }
}

/// An end as it moves into a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Shut by itself: reading, writing.
    pub shut: (bool, bool),
    /// The peer sends no more.
    pub fin: bool,
    /// It was reset.
    pub reset: bool,
    /// What nobody was told of that yet.
    pub error: Option<Refused>,
}

/// A connection as one of its holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelTcp<'a> {
    header: &'a Header,
    connection: &'a Connection,
    /// By the side that reads it.
    rings: [Ring<'a>; SIDES],
}

fn has_room(space: u32) -> bool {
    space > 0 && space >= (RING - space) / 2
}

fn is_over(state: u32) -> bool {
    state & RESET != 0 || state & (FIN | SHUT_WRITE) == FIN | SHUT_WRITE
}

fn told(state: u32) -> Option<Refused> {
    match state & TELL {
        0 => None,
        TELL_BROKEN => Some(Refused::Broken),
        _ => Some(Refused::Reset),
    }
}

impl<'a> ChannelTcp<'a> {
    /// The connection of a channel. Its rings are those over [`Connection::ring`].
    pub fn new(header: &'a Header, connection: &'a Connection, rings: [Ring<'a>; SIDES]) -> Self {
        ChannelTcp {
            header,
            connection,
            rings,
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

    /// Takes over an end of a connection that moves here, with what it has still to read. Nobody else holds the channel yet; `bytes` fit.
    pub fn move_in(&self, side: usize, end: Moved, bytes: &[u8]) {
        let bit = |holds: bool, bit: u32| if holds { bit } else { 0 };
        let tell = match end.error {
            None => 0,
            Some(Refused::Broken) => TELL_BROKEN,
            Some(_) => TELL_RESET,
        };
        let state = bit(end.shut.0, SHUT_READ)
            | bit(end.shut.1, SHUT_WRITE)
            | bit(end.fin, FIN)
            | bit(end.reset, RESET)
            | tell;
        self.connection.ends[side]
            .state
            .store(state, Ordering::Release);
        let _ = self.rings[side].write(bytes);
    }

    /// Says whether closing a side is a reset.
    pub fn set_aborts(&self, side: usize, aborts: bool) {
        let word = &self.connection.ends[side].aborts;
        word.store(aborts.into(), Ordering::Release);
    }

    /// Whether nobody holds the side any longer.
    fn is_closed(&self, side: usize) -> bool {
        self.header.holders(side) == 0
    }

    /// The state of a side, in which a peer that is gone has been taken account of.
    fn settled(&self, side: usize) -> u32 {
        let word = &self.connection.ends[side].state;
        let mut state = word.load(Ordering::Acquire);
        while state & RESET == 0 && self.is_closed(1 - side) {
            let peer = &self.connection.ends[1 - side];
            // Whatever it wrote, or shut, is to be seen: it is gone since before this look.
            let fin = peer.state.load(Ordering::Acquire) & SHUT_WRITE != 0;
            let left = !self.rings[1 - side].is_empty()
                || self.header.value.load(Ordering::Acquire) != 0
                || peer.aborts.load(Ordering::Acquire) != 0;
            let over = fin && state & SHUT_WRITE != 0;
            let new = match (left && !over, fin) {
                // A FIN that was seen stays one, whatever comes to lie in the ring.
                _ if state & FIN != 0 && !fin => state,
                (true, true) => state | RESET | TELL_BROKEN,
                (true, false) => state | RESET | TELL_RESET,
                (false, _) => state | FIN,
            };
            if new == state {
                break;
            }
            match word.compare_exchange(state, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return new,
                Err(now) => state = now,
            }
        }
        state
    }

    /// Takes what SO_ERROR, or the next call, tells.
    pub fn take_error(&self, side: usize) -> Option<Refused> {
        let state = self.settled(side);
        told(state)?;
        let word = &self.connection.ends[side].state;
        told(word.fetch_and(!TELL, Ordering::AcqRel))
    }

    /// Whether the connection has a peer still (getpeername(2), shutdown(2): else ENOTCONN).
    pub fn is_connected(&self, side: usize) -> bool {
        !is_over(self.settled(side))
    }

    /// Whether this end has said, and whether it was told, that no more comes. `None`: the connection was reset.
    pub fn ends(&self, side: usize) -> Option<(bool, bool)> {
        let state = self.settled(side);
        (state & RESET == 0).then_some((state & SHUT_WRITE != 0, state & FIN != 0))
    }

    /// Sends as much of `bytes` from `side` as there is room for, at least 1, for process `own`; returns how much.
    pub fn send(
        &self,
        own: u32,
        side: usize,
        bytes: &[u8],
        mut signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        let state = self.settled(side);
        if state & TELL != 0
            && let Some(error) = self.take_error(side)
        {
            return Err(error);
        }
        if state & (SHUT_WRITE | RESET) != 0 {
            return Err(Refused::Broken);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.is_closed(1 - side) {
            // It is taken, and answered by a reset.
            let word = &self.connection.ends[side].state;
            word.fetch_or(FIN | RESET | TELL_BROKEN, Ordering::AcqRel);
            self.header.publish(side, Events::all(), signal);
            return Ok(bytes.len().min(RING as usize));
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let ring = &self.rings[1 - side];
        ring.repair();
        let mut sent = ring.write(bytes);
        if sent != Ok(bytes.len()) {
            self.connection.ends[side]
                .no_room
                .store(1, Ordering::Relaxed);
            // Either a reader sees that, or we see the room that it made.
            fence(Ordering::SeqCst);
            if sent == Ok(0) {
                sent = ring.write(bytes);
            }
        }
        drop(lock);
        match sent {
            Ok(0) => Err(Refused::Again),
            Ok(n) => {
                self.header.publish(1 - side, ARRIVED, &mut signal);
                Ok(n)
            }
            Err(_) => Err(Refused::Reset),
        }
    }

    /// Takes what came to `side` into `out`, for process `own`; with `peek` it stays there. Of no bytes at the end of the stream.
    pub fn receive(
        &self,
        own: u32,
        side: usize,
        out: &mut [u8],
        peek: bool,
        signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        // Before the bytes: after a FIN that this sees, no more come.
        let state = self.settled(side);
        if out.is_empty() {
            return Ok(0);
        }
        let ring = &self.rings[side];
        if ring.is_empty() {
            if state & FIN != 0 {
                return Ok(0);
            }
            return match self.take_error(side) {
                Some(error) => Err(error),
                None if state & (SHUT_READ | RESET) != 0 => Ok(0),
                None => Err(Refused::Again),
            };
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let taken = match peek {
            true => ring.peek(0, out),
            false => ring.read(out),
        };
        if !peek {
            ring.rewind();
        }
        drop(lock);
        match taken {
            // Another process was quicker.
            Ok(0) => Err(Refused::Busy),
            Ok(n) => {
                if !peek {
                    self.tell_room(side, signal);
                }
                Ok(n)
            }
            Err(_) => Err(Refused::Reset),
        }
    }

    /// After bytes of `side`'s ring were taken: the peer may be waiting to write.
    fn tell_room(&self, side: usize, signal: impl FnMut(usize)) {
        let wanted = &self.connection.ends[1 - side].no_room;
        fence(Ordering::SeqCst);
        if wanted.load(Ordering::Relaxed) != 0
            && has_room(self.rings[side].space())
            && wanted.swap(0, Ordering::AcqRel) != 0
        {
            self.header.publish(1 - side, Events::WRITABLE, signal);
        }
    }

    /// shutdown(2). What the peer sent before can still be read.
    pub fn shut_down(
        &self,
        side: usize,
        how: Shutdown,
        mut signal: impl FnMut(usize),
    ) -> Result<(), Refused> {
        if is_over(self.settled(side)) {
            return Err(Refused::NotConnected);
        }
        let bits = match how {
            Shutdown::Read => SHUT_READ,
            Shutdown::Write => SHUT_WRITE,
            Shutdown::Both => SHUT_READ | SHUT_WRITE,
        };
        let word = &self.connection.ends[side].state;
        let before = word.fetch_or(bits, Ordering::AcqRel);
        self.header.publish(side, Events::all(), &mut signal);
        if bits & !before & SHUT_WRITE != 0 {
            let peer = &self.connection.ends[1 - side].state;
            peer.fetch_or(FIN, Ordering::AcqRel);
            self.header.publish(1 - side, Events::all(), &mut signal);
        }
        Ok(())
    }

    /// Bytes to read (FIONREAD).
    pub fn available(&self, side: usize) -> usize {
        self.rings[side].len().unwrap_or(0) as usize
    }

    /// Level and edges of a side.
    pub fn readiness(&self, side: usize) -> Readiness {
        let counters = &self.header.sides[side];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let state = self.settled(side);
        let read = state & (SHUT_READ | FIN | RESET) != 0;
        let write = state & (SHUT_WRITE | RESET) != 0;
        let mut room = has_room(self.rings[1 - side].space());
        if !room && !write {
            self.connection.ends[side]
                .no_room
                .store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            room = has_room(self.rings[1 - side].space());
        }
        let mut events = Events::empty();
        events.set(Events::READABLE, read || !self.rings[side].is_empty());
        events.set(Events::RDHUP, read);
        events.set(Events::HUP, read && write);
        events.set(Events::WRITABLE, room || write);
        events.set(Events::ERR, state & TELL != 0);
        Readiness { events, edges }
    }
}

#[cfg(test)]
mod tests;
