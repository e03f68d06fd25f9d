// SPDX-License-Identifier: BSD-2-Clause
//! A connection inside a process: loopback TCP (tcp(7)) and socketpair(2) of AF_UNIX (unix(7)). Each end is a source.
//!
//! Two byte queues; what one end writes is in the other's queue at once, so nothing is ever in flight. Readiness is that of Linux's
//! `tcp_poll` and `unix_poll`. Where the two families differ, [`Kind`] decides:
//!
//! | | TCP | AF_UNIX |
//! |---|---|---|
//! | shutdown of the reading side | the peer does not notice | the peer can write no more |
//! | first write after the peer closed | taken, and answered by a reset: EPIPE is pending | EPIPE |
//! | write with an error pending | that error, once | EPIPE |
//! | output edge | a read after the writer had found no room | each read that ends a write and leaves it writable |
#![forbid(unsafe_code)]

use crate::bytes::{Bytes, NoMemory};
use crate::channel_tcp::{Moved, Refused};
use crate::events::Events;
use crate::source::{SourceId, Sources};
use alloc::collections::VecDeque;

/// Whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Loopback TCP.
    Tcp,
    /// AF_UNIX, SOCK_STREAM.
    Unix,
}

/// Which directions to shut (shutdown(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// Nothing to read, or no room (EAGAIN, or wait for IN or OUT).
    Again,
    /// It can be written to no more (EPIPE, and SIGPIPE if a write says so).
    Broken,
    /// The peer went away with bytes unread, or aborted (ECONNRESET).
    Reset,
    /// The connection is over (ENOTCONN).
    NotConnected,
    /// No memory to keep the bytes in (ENOMEM).
    NoMemory,
}

impl From<NoMemory> for StreamError {
    fn from(_: NoMemory) -> Self {
        StreamError::NoMemory
    }
}

#[derive(Debug)]
struct End {
    /// What this end has still to read.
    received: Bytes,
    /// AF_UNIX: how much is left of each of the peer's writes, oldest first. Room is told when one has been read whole.
    pieces: VecDeque<u32>,
    shut_read: bool,
    shut_write: bool,
    /// TCP: the peer said that it will send no more.
    fin: bool,
    /// TCP: the peer's reset came.
    reset: bool,
    closed: bool,
    /// Told by the next call or SO_ERROR, once.
    error: Option<StreamError>,
    /// A write found no room: the next read that makes room is news.
    no_room: bool,
    source: SourceId,
}

impl End {
    /// Takes `n` bytes from the front; whether a piece ended.
    fn consume(&mut self, mut n: usize) -> bool {
        self.received.consume(n);
        let mut ended = false;
        while n > 0
            && let Some(left) = self.pieces.front_mut()
        {
            let part = n.min(*left as usize);
            *left -= part as u32;
            n -= part;
            if *left == 0 {
                self.pieces.pop_front();
                ended = true;
            }
        }
        ended
    }

    fn new(capacity: usize) -> Self {
        End {
            received: Bytes::new(capacity),
            pieces: VecDeque::new(),
            shut_read: false,
            shut_write: false,
            fin: false,
            reset: false,
            closed: false,
            error: None,
            no_room: false,
            source: SourceId::NONE,
        }
    }

    fn shut(&mut self, read: bool, write: bool) {
        self.shut_read |= read;
        self.shut_write |= write;
    }

    /// TCP: both directions are finished (state CLOSE).
    fn is_over(&self) -> bool {
        self.reset || (self.fin && self.shut_write)
    }

    /// Whether the writer into this end's queue should try: at least a third of it is free.
    fn has_room(&self) -> bool {
        self.received.space() > 0 && self.received.space() >= self.received.len() / 2
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first, of the client that connected.
    First = 0,
    /// The second.
    Second = 1,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

/// A connection: both of its ends.
#[derive(Debug)]
pub struct Stream {
    kind: Kind,
    capacity: usize,
    ends: [End; 2],
}

impl Stream {
    /// Two connected ends; each can have `capacity` bytes waiting to be read. They take memory as they fill. Nobody can watch
    /// an end until it is [attached](Stream::attach).
    pub fn new(kind: Kind, capacity: usize) -> Self {
        Stream {
            kind,
            capacity,
            ends: [End::new(capacity), End::new(capacity)],
        }
    }

    /// Two connected ends with sources of their own.
    pub fn pair(sources: &mut impl Sources, kind: Kind, capacity: usize) -> Self {
        let mut stream = Stream::new(kind, capacity);
        for side in [Side::First, Side::Second] {
            let source = sources.open(Events::empty());
            stream.attach(sources, side, source);
        }
        stream
    }

    /// Lets `source`, a socket's, speak for this end from now on; whatever holds is news to those who watch it.
    pub fn attach(&mut self, sources: &mut impl Sources, side: Side, source: SourceId) {
        self.end_mut(side).source = source;
        self.publish(sources, side, Events::all());
    }

    /// Ends speaking for it.
    pub fn detach(&mut self, side: Side) {
        self.end_mut(side).source = SourceId::NONE;
    }

    /// Source of an end.
    pub fn source(&self, side: Side) -> SourceId {
        self.end(side).source
    }

    fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// What can be written to is so for band data too, says Linux of AF_UNIX alone.
    fn writable(&self) -> Events {
        match self.kind {
            Kind::Tcp => Events::WRITABLE,
            Kind::Unix => Events::WRITABLE | Events::WRBAND,
        }
    }

    fn level(&self, side: Side) -> Events {
        let (end, peer) = (self.end(side), self.end(side.other()));
        let (read, write) = (end.shut_read, end.shut_write);
        let mut events = Events::empty();
        events.set(Events::READABLE, read || !end.received.is_empty());
        events.set(Events::RDHUP, read);
        events.set(Events::HUP, read && write);
        events.set(
            self.writable(),
            peer.has_room() || (write && self.kind == Kind::Tcp),
        );
        events.set(Events::ERR, end.error.is_some());
        events
    }

    fn publish(&self, sources: &mut impl Sources, side: Side, news: Events) {
        sources.publish(self.end(side).source, self.level(side), news);
    }

    /// Takes up to `out.len()` bytes. `Ok(0)` for a non-empty `out` is the end of the stream.
    pub fn read(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        out: &mut [u8],
    ) -> Result<usize, StreamError> {
        let n = self.peek(sources, side, out)?;
        if n > 0 {
            let had_room = self.end(side).has_room();
            // Room where there was none is always told: somebody may be waiting for it.
            let ended = self.end_mut(side).consume(n) || !had_room;
            self.publish(sources, side, Events::empty());
            self.tell_room(sources, side, ended);
        }
        Ok(n)
    }

    /// As [`Stream::read`], but leaves the bytes (MSG_PEEK). A pending error is told and cleared, as on Linux.
    pub fn peek(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        out: &mut [u8],
    ) -> Result<usize, StreamError> {
        let end = self.end_mut(side);
        if out.is_empty() {
            return Ok(0);
        }
        let n = end.received.peek(out);
        if n > 0 || end.fin {
            return Ok(n);
        }
        let shut = end.shut_read;
        match self.take_error(sources, side) {
            Some(error) => Err(error),
            None if shut => Ok(0),
            None => Err(StreamError::Again),
        }
    }

    /// After bytes were taken: the peer, who wrote them, may write again. AF_UNIX tells it when all of a write was taken or there was no room (`ended`), TCP only if
    /// it found no room, in a write or in a look.
    fn tell_room(&mut self, sources: &mut impl Sources, side: Side, ended: bool) {
        if !self.end(side).has_room() {
            return;
        }
        let (kind, peer) = (self.kind, self.end_mut(side.other()));
        let wanted = core::mem::take(&mut peer.no_room);
        let news = match kind {
            Kind::Unix => ended,
            Kind::Tcp => wanted || sources.missed(peer.source, Events::OUT),
        };
        if news {
            self.publish(sources, side.other(), self.writable());
        } else {
            self.publish(sources, side.other(), Events::empty());
        }
    }

    /// Sends as much of `bytes` as there is room for, at least 1; returns how much.
    pub fn write(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        bytes: &[u8],
    ) -> Result<usize, StreamError> {
        let peer = self.end(side.other());
        match self.kind {
            Kind::Tcp => {
                if let Some(error) = self.take_error(sources, side) {
                    return Err(error);
                }
            }
            Kind::Unix => {
                if peer.closed || peer.shut_read {
                    return Err(StreamError::Broken);
                }
            }
        }
        if self.end(side).shut_write {
            return Err(StreamError::Broken);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.end(side.other()).closed {
            self.take_reset(sources, side);
            return Ok(bytes.len().min(self.capacity));
        }
        let unix = self.kind == Kind::Unix;
        let peer = self.end_mut(side.other());
        let n = peer.received.write(bytes)?;
        if unix && n > 0 {
            peer.pieces.try_reserve(1).map_err(|_| NoMemory)?;
            peer.pieces.push_back(n as u32);
        }
        let room = peer.has_room();
        self.end_mut(side).no_room |= n < bytes.len();
        if n == 0 {
            return Err(StreamError::Again);
        }
        // News of all input, as Linux has it for sockets: who asked for one of them only is a candidate from now on.
        let news = Events::READABLE | Events::PRI | Events::RDBAND;
        self.publish(sources, side.other(), news);
        if !room {
            self.publish(sources, side, Events::empty());
        }
        Ok(n)
    }

    /// Gives away what an end has not read yet, in the pieces in which it was written, or in one if they are more than `most`.
    pub fn drain(&mut self, side: Side, most: usize, mut piece: impl FnMut(&[u8])) {
        let end = self.end_mut(side);
        let mut bytes = alloc::vec![0; end.received.len()];
        end.received.read(&mut bytes);
        let pieces = core::mem::take(&mut end.pieces);
        let mut rest = &bytes[..];
        if pieces.len() <= most {
            for len in pieces {
                let (first, others) = rest.split_at(rest.len().min(len as usize));
                piece(first);
                rest = others;
            }
        }
        if !rest.is_empty() {
            piece(rest);
        }
    }

    /// TCP: an end as it moves into a channel.
    pub fn moved(&self, side: Side) -> Moved {
        let end = self.end(side);
        Moved {
            shut: (end.shut_read, end.shut_write),
            fin: end.fin,
            reset: end.reset,
            error: end.error.map(|error| match error {
                StreamError::Broken => Refused::Broken,
                _ => Refused::Reset,
            }),
        }
    }

    /// Takes what an end has not read yet, and tells nobody: it moves elsewhere.
    pub fn take_all(&mut self, side: Side, out: &mut [u8]) -> usize {
        self.end_mut(side).received.read(out)
    }

    /// Whether the end is closed.
    pub fn is_closed(&self, side: Side) -> bool {
        self.end(side).closed
    }

    /// What of an end is shut: reading, writing.
    pub fn shut_down(&self, side: Side) -> (bool, bool) {
        (self.end(side).shut_read, self.end(side).shut_write)
    }

    /// Whether the peer went away with bytes unread, and nobody was told yet.
    pub fn has_error(&self, side: Side) -> bool {
        self.end(side).error.is_some()
    }

    /// Bytes to read (FIONREAD).
    pub fn available(&self, side: Side) -> usize {
        self.end(side).received.len()
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&mut self, sources: &mut impl Sources, side: Side) -> Option<StreamError> {
        let error = self.end_mut(side).error.take()?;
        self.publish(sources, side, Events::empty());
        Some(error)
    }

    /// Whether the connection has a peer still (getpeername(2), shutdown(2): else ENOTCONN).
    pub fn is_connected(&self, side: Side) -> bool {
        self.kind == Kind::Unix || !self.end(side).is_over()
    }

    /// TCP: whether this end has said, and whether it was told, that no more comes. `None`: the connection was reset.
    pub fn ends(&self, side: Side) -> Option<(bool, bool)> {
        let end = self.end(side);
        (!end.reset).then_some((end.shut_write, end.fin))
    }

    /// shutdown(2). What the peer sent before can still be read.
    pub fn shutdown(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        how: Shutdown,
    ) -> Result<(), StreamError> {
        if !self.is_connected(side) {
            return Err(StreamError::NotConnected);
        }
        let read = how != Shutdown::Write;
        let write = how != Shutdown::Read;
        let end = self.end_mut(side);
        let fin = write && !end.shut_write;
        end.shut(read, write);
        self.publish(sources, side, Events::all());
        let peer = side.other();
        if !self.end(peer).closed {
            match self.kind {
                Kind::Tcp if fin => self.take_fin(sources, peer),
                Kind::Tcp => {}
                Kind::Unix => {
                    self.end_mut(peer).shut(write, read);
                    self.publish(sources, peer, Events::all());
                }
            }
        }
        Ok(())
    }

    fn take_fin(&mut self, sources: &mut impl Sources, side: Side) {
        let end = self.end_mut(side);
        if !end.reset {
            end.fin = true;
            end.shut(true, false);
            self.publish(sources, side, Events::all());
        }
    }

    fn take_reset(&mut self, sources: &mut impl Sources, side: Side) {
        let end = self.end_mut(side);
        if !end.is_over() {
            end.error = Some(match end.fin {
                true => StreamError::Broken,
                false => StreamError::Reset,
            });
            end.reset = true;
            end.shut(true, true);
            self.publish(sources, side, Events::all());
        }
    }

    /// The last descriptor is closed. Bytes that this end has not read make it a reset for the peer (RFC 2525, 2.17).
    pub fn close(&mut self, sources: &mut impl Sources, side: Side) {
        let unread = self.available(side) > 0;
        self.leave(sources, side, unread);
    }

    /// Closes with a reset whatever is unread: SO_LINGER of 0 seconds, or a connection that nobody accepted.
    pub fn abort(&mut self, sources: &mut impl Sources, side: Side) {
        self.leave(sources, side, true);
    }

    fn leave(&mut self, sources: &mut impl Sources, side: Side, reset: bool) {
        let end = self.end_mut(side);
        if core::mem::replace(&mut end.closed, true) {
            return;
        }
        let over = end.is_over();
        let fin = !end.shut_write;
        end.received.free();
        end.shut(true, true);
        sources.close(end.source);
        end.source = SourceId::NONE;
        let peer = side.other();
        if self.end(peer).closed {
            return;
        }
        match self.kind {
            Kind::Tcp if reset && !over => self.take_reset(sources, peer),
            Kind::Tcp if fin => self.take_fin(sources, peer),
            Kind::Tcp => {}
            Kind::Unix => {
                if reset {
                    self.end_mut(peer).error = Some(StreamError::Reset);
                }
                self.end_mut(peer).shut(true, true);
                self.publish(sources, peer, Events::all());
            }
        }
    }
}

#[cfg(test)]
mod tests;
