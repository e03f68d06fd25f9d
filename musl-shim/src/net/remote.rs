// SPDX-License-Identifier: BSD-2-Clause
//! A connection at the net server, without a message for reading and writing: in a socket slot of the channel to it, or, once another process has it too, in a channel of its own.
//!
//! The net server is trusted with the device, not with our memory: a ring whose positions make no sense is a reset connection.

use alloc::boxed::Box;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use vfs_hooks::Events;
use vfs_hooks::channel::{Locked, READER};
use vfs_hooks::net::{Channel, SLOTS, SocketSlot, State, kind};
use vfs_hooks::process::NET_CHANNEL;
use vfs_hooks::ring::Ring;
use vfs_hooks::source::{self, Edges, Readiness, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;
use vfs_hooks::wire::net;

use crate::errno::Errno;
use crate::files::channel::{Kept, look_at, patiently};
use crate::net::address::Address;
use crate::platform::{channels, net as server, stats};
use crate::poller::core;

fn channel() -> Channel {
    let base = NonNull::new(NET_CHANNEL as *mut u8).expect("not null");
    // SAFETY: slots come from the net server only, and with one the root server mapped the control page there for good.
    unsafe { Channel::new(base) }
}

/// A slot that this process was given, or a channel's.
///
/// Who watches it must have stopped before it is closed: from then on the slot is the net server's to use for another socket.
pub struct Remote {
    /// A slot; from [`SLOTS`] on, the channel of that number above.
    place: Cell<u32>,
    kept: RefCell<Option<Kept>>,
    closed: Cell<bool>,
}

impl Remote {
    /// Takes over a slot that the net server named. ECONNABORTED if the number makes no sense.
    pub fn new(slot: u64) -> Result<Remote, Errno> {
        match u32::try_from(slot) {
            Ok(slot) if (slot as usize) < SLOTS => Ok(Remote {
                place: Cell::new(slot),
                kept: RefCell::new(None),
                closed: Cell::new(false),
            }),
            _ => Err(Errno::ECONNABORTED),
        }
    }

    /// One that a listener's accept gave.
    pub fn accepted(slot: u64) -> Result<Remote, Errno> {
        let remote = Remote::new(slot)?;
        match remote.header().kind.load(Ordering::Acquire) {
            kind::STREAM => Ok(remote),
            _ => Err(Errno::ECONNABORTED),
        }
    }

    /// One that lies in a channel.
    pub fn apart(kept: Kept) -> Remote {
        Remote {
            place: Cell::new((SLOTS + kept.channel) as u32),
            kept: RefCell::new(Some(kept)),
            closed: Cell::new(false),
        }
    }

    /// The channel that it lies in.
    pub fn channel(&self) -> Option<usize> {
        (self.place.get() as usize).checked_sub(SLOTS)
    }

    /// Moves it to where another process can have it as well. `true`: it was not there before, and who watches it must look there.
    pub fn share(&self) -> Result<bool, Errno> {
        if self.channel().is_some() {
            return Ok(false);
        }
        let number = channels::create(1 << READER)?;
        let kept = Kept::new(number, READER);
        let words = [self.place.get().into(), number as u64, 0];
        server::ask_net(net::SHARE_STREAM, words)?;
        *self.kept.borrow_mut() = Some(kept);
        self.place.set((SLOTS + number) as u32);
        Ok(true)
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> &'static SocketSlot {
        match self.channel() {
            // SAFETY: the net server named the slot to us, so its chunk is mapped.
            None => unsafe { channel().slot(self.place.get()) },
            Some(number) => channels::apart(number).header(),
        }
    }

    fn receive_ring(&self) -> Ring<'static> {
        match self.channel() {
            // SAFETY: as for `header`.
            None => unsafe { channel().rx(self.place.get()) },
            Some(number) => channels::apart(number).rx(),
        }
    }

    fn transmit_ring(&self) -> Ring<'static> {
        match self.channel() {
            // SAFETY: as for `header`.
            None => unsafe { channel().tx(self.place.get()) },
            Some(number) => channels::apart(number).tx(),
        }
    }

    /// Keeps other processes that have it from its rings.
    #[inline]
    fn lock(&self) -> Result<Option<Locked<'static>>, Errno> {
        let Some(number) = self.channel() else {
            return Ok(None);
        };
        // Whoever changes something must be able to tell the net server of it.
        server::open_net().map_err(|_| Errno::ENOBUFS)?;
        let own = channels::own();
        patiently(|| channels::header(number).try_lock(own)).map(Some)
    }

    /// Tells the net server that something changed here.
    pub fn mark(&self) {
        let must_ring = match self.channel() {
            None => channel().control().mark(self.place.get()),
            // Then this process has changed nothing.
            Some(_) if server::open_net().is_err() => return,
            Some(number) => channel().control().mark_channel(number),
        };
        if must_ring {
            server::ring_doorbell();
        } else {
            stats().doorbells_saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells those who watch it in other processes of what this one did.
    fn tell(&self) {
        if let Some(number) = self.channel() {
            channels::header(number).publish(READER, Events::all(), |watch| {
                channels::signal(number, watch);
            });
        }
    }

    /// Takes the pending error, as SO_ERROR does.
    pub fn take_error(&self) -> Option<Errno> {
        if self.header().error.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match self.header().error.swap(0, Ordering::AcqRel) {
            0 => None,
            errno => Some(Errno::claimed(errno)),
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
        let _lock = self.lock()?;
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
        if state.intersects(State::PEER_SHUT | State::BROKEN) || self.is_read_shut() {
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
        let lock = self.lock()?;
        let n = self
            .transmit_ring()
            .write(bytes)
            .map_err(|_| Errno::ECONNRESET)?;
        drop(lock);
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
        self.tell();
        self.mark();
    }

    /// Whether FIN has gone or is to go.
    pub fn is_shut(&self) -> bool {
        self.header().shut_write.load(Ordering::Relaxed) != 0
    }

    /// Reads nothing more than what is there.
    pub fn shut_read(&self) {
        self.header().shut_read.store(1, Ordering::Release);
        self.tell();
    }

    fn is_read_shut(&self) -> bool {
        self.header().shut_read.load(Ordering::Relaxed) != 0
    }

    /// Says whether the last close is to be a reset. Of a slot, closing it says so.
    pub fn set_aborts(&self, aborts: bool) {
        if self.channel().is_some() {
            let abort = &self.header().abort;
            abort.store(aborts.into(), Ordering::Release);
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

    /// Closes the socket; as a reset if `abort` says so or data are unread (RFC 2525, 2.17). Of a channel the last holder's end is that, of which the
    /// root server tells.
    pub fn close(&self, abort: bool) {
        if self.closed.replace(true) {
            return;
        }
        let header = self.header();
        if self.channel().is_some() {
            self.set_aborts(abort);
            drop(self.kept.take());
            return;
        }
        if abort || self.readable() > 0 {
            header.abort.store(1, Ordering::Relaxed);
        }
        header.closed.store(1, Ordering::Release);
        self.mark();
    }
}

impl Remote {
    /// From now on the event core looks at it. ENOBUFS: it has no room for all who watch the source.
    pub fn look_by(&self, source: SourceId) -> Result<(), Errno> {
        if let Some(number) = self.channel() {
            look_at(source, number, READER, look_apart);
            return Ok(());
        }
        let mut core = core();
        core.publish(source, self.level_here(), Events::empty());
        let look = Look {
            slot: self.place.get(),
        };
        core.set_remote(source, Some(Box::new(look)))
            .map_err(|_| Errno::ENOBUFS)
    }

    /// What holds besides, of which the net server does not know.
    pub fn level_here(&self) -> Events {
        level_here(self.header())
    }
}

fn level_here(header: &SocketSlot) -> Events {
    let mut events = Events::empty();
    if header.shut_read.load(Ordering::Relaxed) != 0 {
        events |= Events::READABLE | Events::RDHUP;
        if header.shut_write.load(Ordering::Relaxed) != 0 {
            events |= Events::HUP;
        }
    }
    events
}

/// A connection in a channel as the event core looks at it.
fn look_apart(number: usize, side: usize) -> Readiness {
    let apart = channels::apart(number);
    let counters = &apart.channel().sides[side];
    let edges = Edges {
        input: counters.input.load(Ordering::Acquire),
        output: counters.output.load(Ordering::Acquire),
    };
    Readiness {
        events: apart.header().level() | level_here(apart.header()),
        edges,
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

    fn told(&self) -> Option<u64> {
        Some(self.header().told.load(Ordering::Relaxed))
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.header().subscriptions)
    }
}
