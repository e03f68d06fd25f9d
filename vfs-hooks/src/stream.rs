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
//! | output edge | a read after the writer had found no room | each read that leaves it writable |
#![forbid(unsafe_code)]

use crate::bytes::{Bytes, NoMemory};
use crate::events::Events;
use crate::notifier::{Local, Notifier, READABLE, WRITABLE};
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

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
    received: RefCell<Bytes>,
    shut_read: Cell<bool>,
    shut_write: Cell<bool>,
    /// TCP: the peer said that it will send no more.
    fin: Cell<bool>,
    /// TCP: the peer's reset came.
    reset: Cell<bool>,
    closed: Cell<bool>,
    /// Told by the next call or SO_ERROR, once.
    error: Cell<Option<StreamError>>,
    /// A write or a look found no room: the next read that makes room is an edge.
    no_room: Cell<bool>,
    notifier: Notifier,
}

impl End {
    fn new(capacity: usize) -> Self {
        End {
            received: RefCell::new(Bytes::new(capacity)),
            shut_read: Cell::new(false),
            shut_write: Cell::new(false),
            fin: Cell::new(false),
            reset: Cell::new(false),
            closed: Cell::new(false),
            error: Cell::new(None),
            no_room: Cell::new(false),
            notifier: Notifier::default(),
        }
    }

    fn shut(&self, read: bool, write: bool) {
        self.shut_read.set(self.shut_read.get() || read);
        self.shut_write.set(self.shut_write.get() || write);
    }

    /// TCP: both directions are finished (state CLOSE).
    fn is_over(&self) -> bool {
        self.reset.get() || (self.fin.get() && self.shut_write.get())
    }

    fn take_fin(&self) {
        if !self.reset.get() {
            self.fin.set(true);
            self.shut(true, false);
            self.notifier.state();
        }
    }

    fn take_reset(&self) {
        if !self.is_over() {
            let error = if self.fin.get() {
                StreamError::Broken
            } else {
                StreamError::Reset
            };
            self.error.set(Some(error));
            self.reset.set(true);
            self.shut(true, true);
            self.notifier.state();
        }
    }

    /// Whether the writer into this end's queue should try: at least a third of it is free.
    fn has_room(&self) -> bool {
        let received = self.received.borrow();
        received.space() > 0 && received.space() >= received.len() / 2
    }
}

#[derive(Debug)]
struct Connection {
    kind: Kind,
    capacity: usize,
    ends: [End; 2],
}

/// One end of a connection.
#[derive(Debug)]
pub struct Stream {
    connection: Rc<Connection>,
    side: usize,
}

impl Stream {
    /// Two connected ends; each can have `capacity` bytes waiting to be read. They take memory as they fill.
    pub fn pair(kind: Kind, capacity: usize) -> (Rc<Stream>, Rc<Stream>) {
        let connection = Rc::new(Connection {
            kind,
            capacity,
            ends: [End::new(capacity), End::new(capacity)],
        });
        let end = |side| {
            Rc::new(Stream {
                connection: connection.clone(),
                side,
            })
        };
        (end(0), end(1))
    }

    fn end(&self) -> &End {
        &self.connection.ends[self.side]
    }

    fn peer(&self) -> &End {
        &self.connection.ends[1 - self.side]
    }

    fn kind(&self) -> Kind {
        self.connection.kind
    }

    /// Takes up to `out.len()` bytes. `Ok(0)` for a non-empty `out` is the end of the stream.
    pub fn read(&self, out: &mut [u8]) -> Result<usize, StreamError> {
        let n = self.peek(out)?;
        if n > 0 {
            self.end().received.borrow_mut().consume(n);
            self.tell_room();
        }
        Ok(n)
    }

    /// As [`Stream::read`], but leaves the bytes (MSG_PEEK). A pending error is told and cleared, as on Linux.
    pub fn peek(&self, out: &mut [u8]) -> Result<usize, StreamError> {
        let end = self.end();
        if out.is_empty() {
            return Ok(0);
        }
        let n = end.received.borrow().peek(out);
        if n > 0 || end.fin.get() {
            return Ok(n);
        }
        match end.error.take() {
            Some(error) => Err(error),
            None if end.shut_read.get() => Ok(0),
            None => Err(StreamError::Again),
        }
    }

    /// After bytes were taken: the peer, who wrote them, may write again.
    fn tell_room(&self) {
        let writer = self.peer();
        if self.end().has_room() && (self.kind() == Kind::Unix || writer.no_room.get()) {
            writer.no_room.set(false);
            writer.notifier.output(WRITABLE);
        }
    }

    /// Sends as much of `bytes` as there is room for, at least 1; returns how much.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        let (end, peer) = (self.end(), self.peer());
        match self.kind() {
            Kind::Tcp => {
                if let Some(error) = end.error.take() {
                    return Err(error);
                }
            }
            Kind::Unix => {
                if peer.closed.get() || peer.shut_read.get() {
                    return Err(StreamError::Broken);
                }
            }
        }
        if end.shut_write.get() {
            return Err(StreamError::Broken);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if peer.closed.get() {
            end.take_reset();
            return Ok(bytes.len().min(self.connection.capacity));
        }
        let n = peer.received.borrow_mut().write(bytes)?;
        end.no_room.set(end.no_room.get() || n < bytes.len());
        if n == 0 {
            return Err(StreamError::Again);
        }
        peer.notifier.input(READABLE);
        Ok(n)
    }

    /// Bytes to read (FIONREAD).
    pub fn available(&self) -> usize {
        self.end().received.borrow().len()
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&self) -> Option<StreamError> {
        self.end().error.take()
    }

    /// Whether the connection has a peer still (getpeername(2), shutdown(2): else ENOTCONN).
    pub fn is_connected(&self) -> bool {
        self.kind() == Kind::Unix || !self.end().is_over()
    }

    /// shutdown(2). What the peer sent before can still be read.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), StreamError> {
        if !self.is_connected() {
            return Err(StreamError::NotConnected);
        }
        let (end, peer) = (self.end(), self.peer());
        let read = how != Shutdown::Write;
        let write = how != Shutdown::Read;
        let fin = write && !end.shut_write.get();
        end.shut(read, write);
        end.notifier.state();
        if !peer.closed.get() {
            match self.kind() {
                Kind::Tcp if fin => peer.take_fin(),
                Kind::Tcp => {}
                Kind::Unix => {
                    peer.shut(write, read);
                    peer.notifier.state();
                }
            }
        }
        Ok(())
    }

    /// The last descriptor is closed. Bytes that this end has not read make it a reset for the peer (RFC 2525, 2.17).
    pub fn close(&self) {
        let unread = self.available() > 0;
        self.leave(unread);
    }

    /// Closes with a reset whatever is unread: SO_LINGER of 0 seconds, or a connection that nobody accepted.
    pub fn abort(&self) {
        self.leave(true);
    }

    fn leave(&self, reset: bool) {
        let (end, peer) = (self.end(), self.peer());
        if end.closed.replace(true) {
            return;
        }
        let over = end.is_over();
        let fin = !end.shut_write.get();
        end.received.borrow_mut().free();
        end.shut(true, true);
        if peer.closed.get() {
            return;
        }
        match self.kind() {
            Kind::Tcp if reset && !over => peer.take_reset(),
            Kind::Tcp if fin => peer.take_fin(),
            Kind::Tcp => {}
            Kind::Unix => {
                if reset {
                    peer.error.set(Some(StreamError::Reset));
                }
                peer.shut(true, true);
                peer.notifier.state();
            }
        }
    }
}

impl Drop for Stream {
    /// A connection that is forgotten is closed: its peer must not wait for ever.
    fn drop(&mut self) {
        self.close();
    }
}

impl Local for Stream {
    fn notifier(&self) -> &Notifier {
        &self.end().notifier
    }

    fn level(&self) -> Events {
        let end = self.end();
        let (read, write) = (end.shut_read.get(), end.shut_write.get());
        let mut events = Events::empty();
        events.set(READABLE, read || self.available() > 0);
        events.set(Events::RDHUP, read);
        events.set(Events::HUP, read && write);
        if self.peer().has_room() || (write && self.kind() == Kind::Tcp) {
            events |= WRITABLE;
        } else {
            end.no_room.set(true);
        }
        if let error @ Some(_) = end.error.take() {
            end.error.set(error);
            events |= Events::ERR;
        }
        events
    }
}

#[cfg(test)]
mod tests;
