// SPDX-License-Identifier: BSD-2-Clause
//! A socket slot of the channel to the net server: a connection or a listener, without a message for reading and writing.
//!
//! The net server is trusted with the device, not with our memory: a ring whose positions make no sense is a reset connection.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use vfs_hooks::Events;
use vfs_hooks::net::{Channel, SLOTS, SocketSlot, State, kind};
use vfs_hooks::process::NET_CHANNEL;
use vfs_hooks::ring::Ring;
use vfs_hooks::source::{self, Edges, Readiness};
use vfs_hooks::subscription::Subscriptions;

use crate::errno::Errno;
use crate::net::address::Address;
use crate::platform::{net as server, stats};

fn channel() -> Channel {
    let base = NonNull::new(NET_CHANNEL as *mut u8).expect("not null");
    // SAFETY: slots come from the net server only, and with one the root server mapped the control page there for good.
    unsafe { Channel::new(base) }
}

/// A slot that this process was given.
///
/// Who watches it must have stopped before it is closed: from then on the slot is the net server's to use for another socket.
pub struct Remote {
    slot: u32,
    /// shutdown(SHUT_RD), of which only this process knows.
    shut_read: Cell<bool>,
    closed: Cell<bool>,
}

impl Remote {
    /// Takes over a slot that the net server named. ECONNABORTED if the number makes no sense.
    pub fn new(slot: u64) -> Result<Remote, Errno> {
        match u32::try_from(slot) {
            Ok(slot) if (slot as usize) < SLOTS => Ok(Remote {
                slot,
                shut_read: Cell::new(false),
                closed: Cell::new(false),
            }),
            _ => Err(Errno::ECONNABORTED),
        }
    }

    /// The slot's number.
    pub fn number(&self) -> u32 {
        self.slot
    }

    /// The slot's header.
    #[inline]
    pub fn header(&self) -> &'static SocketSlot {
        // SAFETY: the net server named the slot to us, so its chunk is mapped.
        unsafe { channel().slot(self.slot) }
    }

    fn receive_ring(&self) -> Ring<'static> {
        // SAFETY: as for `header`.
        unsafe { channel().rx(self.slot) }
    }

    fn transmit_ring(&self) -> Ring<'static> {
        // SAFETY: as for `header`.
        unsafe { channel().tx(self.slot) }
    }

    /// Tells the net server that something changed here.
    pub fn mark(&self) {
        if channel().control().mark(self.slot) {
            server::ring_doorbell();
        } else {
            stats().doorbells_saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the pending error, as SO_ERROR does.
    pub fn take_error(&self) -> Option<Errno> {
        if self.header().error.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match self.header().error.swap(0, Ordering::AcqRel) {
            0 => None,
            errno => Some(Errno::from_raw(errno as i32)),
        }
    }

    /// Own address, as the net server says.
    pub fn local(&self) -> Address {
        Address {
            ip: self.header().local_address.load(Ordering::Acquire),
            port: self.header().local_port.load(Ordering::Acquire) as u16,
        }
    }

    /// The peer's address.
    pub fn peer(&self) -> Address {
        Address {
            ip: self.header().peer_address.load(Ordering::Acquire),
            port: self.header().peer_port.load(Ordering::Acquire) as u16,
        }
    }

    /// Takes bytes, or looks at them; 0 is end of file.
    pub fn receive(&self, buffer: &mut [u8], peek: bool) -> Result<usize, Errno> {
        // Before the ring: once this says that the peer is done, the ring has all that it sent.
        let state = self.header().state();
        let ring = self.receive_ring();
        let n = if peek {
            ring.peek(0, buffer)
        } else {
            ring.read(buffer)
        };
        let n = n.map_err(|_| Errno::ECONNRESET)?;
        if n > 0 || buffer.is_empty() {
            if !peek && self.header().rx_wanted.load(Ordering::Acquire) != 0 {
                self.header().rx_wanted.store(0, Ordering::Release);
                self.mark();
            }
            return Ok(n);
        }
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        if state.intersects(State::PEER_SHUT | State::BROKEN) || self.shut_read.get() {
            return Ok(0);
        }
        Err(Errno::EAGAIN)
    }

    /// Puts bytes.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        let state = self.header().state();
        if state.contains(State::BROKEN) || self.header().shut_write.load(Ordering::Relaxed) != 0 {
            return Err(Errno::EPIPE);
        }
        if !state.contains(State::CONNECTED) {
            return Err(Errno::EAGAIN);
        }
        let n = self
            .transmit_ring()
            .write(bytes)
            .map_err(|_| Errno::ECONNRESET)?;
        if n > 0 {
            self.mark();
            Ok(n)
        } else if bytes.is_empty() {
            Ok(0)
        } else {
            Err(Errno::EAGAIN)
        }
    }

    /// Sends FIN after what has been put.
    pub fn shut_write(&self) {
        self.header().shut_write.store(1, Ordering::Release);
        self.mark();
    }

    /// Whether FIN has gone or is to go.
    pub fn is_shut(&self) -> bool {
        self.header().shut_write.load(Ordering::Relaxed) != 0
    }

    /// Reads nothing more than what is there.
    pub fn shut_read(&self) {
        self.shut_read.set(true);
    }

    /// A listener's oldest connection that nobody has accepted.
    pub fn accept(&self) -> Result<Remote, Errno> {
        match self.header().pop_accept() {
            Ok(Some(slot)) => {
                let connection = Remote::new(slot.into())?;
                match connection.header().kind.load(Ordering::Acquire) {
                    kind::STREAM => Ok(connection),
                    _ => Err(Errno::ECONNABORTED),
                }
            }
            Ok(None) => Err(Errno::EAGAIN),
            Err(_) => Err(Errno::ECONNABORTED),
        }
    }

    /// Bytes that can be read now.
    pub fn readable(&self) -> usize {
        self.receive_ring().len().unwrap_or(0) as usize
    }

    /// Bytes put but not yet taken by the net server.
    pub fn unsent(&self) -> usize {
        self.transmit_ring().len().unwrap_or(0) as usize
    }

    /// Sets switches that the net server reads.
    pub fn set_options(&self, no_delay: bool, keep_alive: bool) {
        let header = self.header();
        header
            .no_delay
            .store(u32::from(no_delay), Ordering::Relaxed);
        header
            .keep_alive
            .store(u32::from(keep_alive), Ordering::Relaxed);
        self.mark();
    }

    /// Closes the socket; as a reset if `abort` says so or data are unread (RFC 2525, 2.17).
    pub fn close(&self, abort: bool) {
        if self.closed.replace(true) {
            return;
        }
        let header = self.header();
        let is_stream = header.kind.load(Ordering::Relaxed) == kind::STREAM;
        if abort || (is_stream && self.readable() > 0) {
            header.abort.store(1, Ordering::Relaxed);
        }
        header.closed.store(1, Ordering::Release);
        self.mark();
    }
}

impl Remote {
    /// What the event core looks at.
    pub fn look(&self) -> Look {
        Look { slot: self.slot }
    }

    /// What holds besides, of which the net server does not know.
    pub fn level_here(&self) -> Events {
        let mut events = Events::empty();
        if self.shut_read.get() {
            events |= Events::READABLE | Events::RDHUP;
            if self.header().shut_write.load(Ordering::Relaxed) != 0 {
                events |= Events::HUP;
            }
        }
        events
    }
}

/// A slot as the event core looks at it: while the socket is open, as for [`Remote`].
#[derive(Debug)]
pub struct Look {
    slot: u32,
}

impl Look {
    fn header(&self) -> &'static SocketSlot {
        // SAFETY: the number came from a `Remote`, for which the net server named the slot to us, so its chunk is mapped.
        unsafe { channel().slot(self.slot) }
    }
}

impl source::Remote for Look {
    fn readiness(&self) -> Readiness {
        let header = self.header();
        // Edges before the level: a late edge costs a look, a missed one an event.
        let edges = Edges {
            input: header.input_edges.load(Ordering::Acquire),
            output: header.output_edges.load(Ordering::Acquire),
        };
        Readiness {
            events: header.level(),
            edges,
        }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.header().subscriptions)
    }
}
