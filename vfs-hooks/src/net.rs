// SPDX-License-Identifier: BSD-2-Clause
//! The channel between the net server and one client process: a control page and socket slots.
//!
//! The root server maps it into both at [`channel_base`] (net server) and [`process::NET_CHANNEL`](crate::process::NET_CHANNEL) (client).
//! The control page lies at its start, slot `i` at `SLOTS_OFFSET + i * SLOT_SIZE`. Slots are mapped a chunk at a time
//! before the client hears of them. The net server owns the choice of slots: it fills in a slot, then names it to the client by an accept
//! ring or a reply; after the client has set [`SocketSlot::closed`] it does not touch the slot again, and the net server reuses it.
//! Every value that the other side can write is checked at use; a client that lies loses its own connections only.

use crate::channel::{DATA, Header, MOST};
use crate::events::Events;
#[cfg(not(any(loom, shuttle)))]
use crate::process::PAGE;
use crate::ring::{Corrupt, Ring, RingIndices};
use crate::subscription::Subscriptions;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use core::ptr::NonNull;

/// Most slots in a channel.
pub const SLOTS: usize = 4096;
/// Bytes of a slot: header, transmit bytes, receive bytes.
pub const SLOT_SIZE: usize = 64 << 10;
/// First slot in the channel; before it only the control page is mapped.
pub const SLOTS_OFFSET: usize = 2 << 20;
/// Slots are mapped in chunks of one 2 MiB frame.
pub const CHUNK_SIZE: usize = 2 << 20;
/// Slots in a chunk.
pub const CHUNK_SLOTS: usize = CHUNK_SIZE / SLOT_SIZE;
/// Address space that a channel takes.
pub const CHANNEL_SIZE: usize = 1 << 30;
/// Transmit ring (client → net server), at this offset in the slot.
pub const TX_OFFSET: usize = 16 << 10;
/// Bytes of the transmit ring.
pub const TX_SIZE: u32 = 16 << 10;
/// Receive ring (net server → client), at this offset in the slot.
pub const RX_OFFSET: usize = 32 << 10;
/// Bytes of the receive ring.
pub const RX_SIZE: u32 = 32 << 10;
/// Entries of an accept ring; the largest backlog.
pub const ACCEPT_SIZE: u32 = 1024;

/// Where the net server sees the channel of client number `client`.
pub const fn channel_base(client: usize) -> usize {
    crate::process::NET_CHANNEL + client * CHANNEL_SIZE
}

/// First page of a channel.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Control {
    /// One bit for each slot in which the client did something that the net server must see.
    dirty: [AtomicU64; SLOTS / 64],
    /// One bit for each word of `dirty`.
    dirty_words: AtomicU64,
    /// 1: the net server is about to sleep and wants a signal. Set by it, cleared by whoever signals.
    armed: AtomicU32,
    /// The same for channels that the client has network sockets in.
    dirty_channels: [AtomicU64; MOST / 64],
    /// One bit for each word of `dirty_channels`.
    dirty_channel_words: AtomicU64,
    /// 1: the client has ended; all its sockets are to be closed. Written by the root server.
    pub client_ended: AtomicU32,
}

/// Takes the bits of a two-level set.
fn take_bits(words: &AtomicU64, bits: &[AtomicU64], mut take: impl FnMut(u32)) {
    let mut words = words.swap(0, Ordering::AcqRel);
    while words != 0 {
        let word = words.trailing_zeros() as usize;
        words &= words - 1;
        let mut bits = bits[word].swap(0, Ordering::AcqRel);
        while bits != 0 {
            take((word * 64) as u32 + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}

impl Control {
    /// Client's side, after changing `slot`: marks it, and says whether the doorbell must be rung (signal the net server).
    #[must_use]
    pub fn mark(&self, slot: u32) -> bool {
        let slot = slot as usize % SLOTS;
        self.dirty[slot / 64].fetch_or(1 << (slot % 64), Ordering::AcqRel);
        self.dirty_words
            .fetch_or(1 << (slot / 64), Ordering::AcqRel);
        self.must_ring()
    }

    /// As [`Control::mark`], for a socket that lies in a channel of its own.
    #[must_use]
    pub fn mark_channel(&self, channel: usize) -> bool {
        let channel = channel % MOST;
        self.dirty_channels[channel / 64].fetch_or(1 << (channel % 64), Ordering::AcqRel);
        self.dirty_channel_words
            .fetch_or(1 << (channel / 64), Ordering::AcqRel);
        self.must_ring()
    }

    /// After a mark: whether whoever made it has to ring.
    #[inline]
    fn must_ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.armed.load(Ordering::Relaxed) != 0 && self.armed.swap(0, Ordering::AcqRel) != 0
    }

    /// Net server's side: takes all marks. Call [`Control::arm`] first when about to sleep.
    pub fn take(&self, slot: impl FnMut(u32)) {
        take_bits(&self.dirty_words, &self.dirty, slot);
    }

    /// The same for channels.
    pub fn take_channels(&self, mut channel: impl FnMut(usize)) {
        if self.dirty_channel_words.load(Ordering::Relaxed) != 0 {
            let (words, bits) = (&self.dirty_channel_words, &self.dirty_channels);
            take_bits(words, bits, |number| channel(number as usize));
        }
    }

    /// Net server's side: asks for a signal at the next mark. Take once more afterwards, then sleep.
    pub fn arm(&self) {
        self.armed.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

/// What a slot is; in [`SocketSlot::kind`].
pub mod kind {
    /// Nobody's.
    pub const FREE: u32 = 0;
    /// A TCP connection.
    pub const STREAM: u32 = 1;
    /// A TCP listener.
    pub const LISTENER: u32 = 2;
}

bitflags::bitflags! {
    /// State of a connection, as the net server publishes it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct State: u32 {
        /// The handshake is done (stays set).
        const CONNECTED = 1;
        /// The peer sent FIN: after what is in the receive ring comes end of file.
        const PEER_SHUT = 2;
        /// Reset, refused or timed out: no further data either way (`error` tells which, once).
        const BROKEN = 4;
        /// Our FIN went out.
        const SHUT = 8;
    }
}

/// Header of a slot. "net" writes what the net server writes, "client" what the client writes.
#[repr(C)]
#[derive(Debug)]
pub struct SocketSlot {
    /// [`kind`]. net
    pub kind: AtomicU32,
    /// [`State`] bits. net
    pub state: AtomicU32,
    /// Pending error for SO_ERROR (an errno), 0 for none. net sets, client swaps to 0.
    pub error: AtomicU32,
    /// Edges of the input direction: data, FIN, a connection to accept, errors. net
    pub input_edges: AtomicU32,
    /// Edges of the output direction: connected, transmit ring drained, errors. net
    pub output_edges: AtomicU32,
    /// Receive ring. net produces.
    pub rx: RingIndices,
    /// Transmit ring. client produces.
    pub tx: RingIndices,
    /// 1: net has more data than the receive ring takes; mark the slot after reading. net sets, client clears.
    pub rx_wanted: AtomicU32,
    /// 1: shutdown(SHUT_WR): send FIN after the transmit ring's bytes. client
    pub shut_write: AtomicU32,
    /// 1: shutdown(SHUT_RD), of which the net server need not know. client
    pub shut_read: AtomicU32,
    /// 1: the client is done with the slot. Graceful: what is in the transmit ring is still sent. client
    pub closed: AtomicU32,
    /// 1 with `closed`: send RST (SO_LINGER 0, or unread data at close). client
    pub abort: AtomicU32,
    /// 1: TCP_NODELAY. client
    pub no_delay: AtomicU32,
    /// 1: SO_KEEPALIVE. client
    pub keep_alive: AtomicU32,
    /// Own IPv4 address, most significant byte first in the number. net
    pub local_address: AtomicU32,
    /// Own port. net
    pub local_port: AtomicU32,
    /// Peer's IPv4 address. net
    pub peer_address: AtomicU32,
    /// Peer's port. net
    pub peer_port: AtomicU32,
    /// Watchers of this socket. client subscribes, net notifies.
    pub subscriptions: Subscriptions,
    /// When one was signalled last: a number that grows with each signal of the net server's. net
    pub told: AtomicU64,
    /// Listener of several processes: connections that wait to be asked for, beside those in the ring. net
    pub waiting: AtomicU32,
    /// Accept ring of a listener: slots of connections, in the order of their handshakes. net produces.
    pub accept: RingIndices,
    accept_slots: [AtomicU32; ACCEPT_SIZE as usize],
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Control>() == PAGE);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<SocketSlot>() <= TX_OFFSET);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(RX_OFFSET + RX_SIZE as usize == SLOT_SIZE);

impl SocketSlot {
    /// Net server: makes the slot new. Only while the client does not use it.
    pub fn reset(&self, kind: u32) {
        self.subscriptions.reset();
        self.told.store(0, Ordering::Relaxed);
        for word in [
            &self.state,
            &self.error,
            &self.input_edges,
            &self.output_edges,
            &self.rx_wanted,
            &self.shut_write,
            &self.shut_read,
            &self.closed,
            &self.abort,
            &self.no_delay,
            &self.keep_alive,
            &self.waiting,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        self.rx.reset();
        self.tx.reset();
        self.accept.reset();
        self.kind.store(kind, Ordering::Release);
    }

    /// Published state.
    pub fn state(&self) -> State {
        State::from_bits_truncate(self.state.load(Ordering::Acquire))
    }

    /// Listener, net server: queues a connection. `false`: full.
    pub fn push_accept(&self, slot: u32) -> bool {
        let tail = self.accept.tail.load(Ordering::Relaxed);
        if self.accept.space(ACCEPT_SIZE) == 0 {
            return false;
        }
        self.accept_slots[(tail % ACCEPT_SIZE) as usize].store(slot, Ordering::Relaxed);
        self.accept
            .tail
            .store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Listener, client: takes the oldest connection.
    pub fn pop_accept(&self) -> Result<Option<u32>, Corrupt> {
        if self.accept.len(ACCEPT_SIZE)? == 0 {
            return Ok(None);
        }
        let head = self.accept.head.load(Ordering::Relaxed);
        let slot = self.accept_slots[(head % ACCEPT_SIZE) as usize].load(Ordering::Relaxed);
        self.accept
            .head
            .store(head.wrapping_add(1), Ordering::Release);
        if (slot as usize) < SLOTS {
            Ok(Some(slot))
        } else {
            Err(Corrupt)
        }
    }

    /// Events that hold now, as tcp_poll of Linux derives them.
    pub fn level(&self) -> Events {
        let mut events = Events::empty();
        if self.kind.load(Ordering::Relaxed) == kind::LISTENER {
            if !self.accept.is_empty(ACCEPT_SIZE) || self.waiting.load(Ordering::Acquire) != 0 {
                events |= Events::IN | Events::RDNORM;
            }
            return events;
        }
        let state = self.state();
        let readable = !self.rx.is_empty(RX_SIZE);
        let shut = self.shut_write.load(Ordering::Relaxed) != 0;
        if readable || state.intersects(State::PEER_SHUT | State::BROKEN) {
            events |= Events::IN | Events::RDNORM;
        }
        if state.intersects(State::PEER_SHUT | State::BROKEN) {
            events |= Events::RDHUP;
        }
        if state.contains(State::BROKEN) || (shut && state.contains(State::PEER_SHUT)) {
            events |= Events::HUP;
        }
        // Linux calls a socket writable while at least a third of its buffer is free.
        let writable = state.contains(State::CONNECTED) && self.tx.space(TX_SIZE) >= TX_SIZE / 3;
        if writable || shut || state.contains(State::BROKEN) {
            events |= Events::OUT | Events::WRNORM;
        }
        if self.error.load(Ordering::Relaxed) != 0 {
            events |= Events::ERR;
        }
        events
    }

    /// Net server: publishes a change that `events` tell of: bumps the edge counters, then signals the watch slots of armed, interested watchers.
    pub fn publish(&self, events: Events, signal: impl FnMut(u32)) {
        if events.intersects(Events::INPUT) {
            self.input_edges.fetch_add(1, Ordering::Release);
        }
        if events.intersects(Events::OUTPUT) {
            self.output_edges.fetch_add(1, Ordering::Release);
        }
        self.subscriptions.notify(events, signal);
    }
}

/// A socket that lies in a channel of its own ([`crate::channel`]), behind that one's header: laid out as a slot, so that several processes can have it.
/// The channel's side 0 is the sockets' side, side 1 the net server's; watchers are those of the channel.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    base: NonNull<u8>,
}

/// Pages of a channel that a listener takes.
pub const LISTENER_PAGES: usize = (DATA + size_of::<SocketSlot>()).div_ceil(4096);
/// Pages of a channel that a connection takes.
pub const STREAM_PAGES: usize = (DATA + SLOT_SIZE) / 4096;

impl Apart {
    /// The socket in the channel at `base`.
    ///
    /// # Safety
    /// The channel's pages must be mapped there, or come when they are touched, for as long as the value or anything that it returned is used.
    pub const unsafe fn new(base: NonNull<u8>) -> Self {
        Apart { base }
    }

    /// The channel's header.
    pub fn channel(&self) -> &'static Header {
        // SAFETY: mapped by `new`'s contract; it consists of atomics, for which any bytes are valid.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: stays inside the channel's addresses.
        unsafe { self.base.add(DATA + offset) }
    }

    /// The socket's header.
    pub fn header(&self) -> &'static SocketSlot {
        // SAFETY: as for `channel`.
        unsafe { self.at(0).cast::<SocketSlot>().as_ref() }
    }

    /// Its receive ring.
    pub fn rx(&self) -> Ring<'static> {
        // SAFETY: the bytes lie in the channel and are accessed only through rings.
        unsafe { Ring::new(&self.header().rx, self.at(RX_OFFSET), RX_SIZE) }
    }

    /// Its transmit ring.
    pub fn tx(&self) -> Ring<'static> {
        // SAFETY: as for `rx`.
        unsafe { Ring::new(&self.header().tx, self.at(TX_OFFSET), TX_SIZE) }
    }
}

/// A channel as one side sees it.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    base: NonNull<u8>,
}

impl Channel {
    /// The channel at `base`.
    ///
    /// # Safety
    /// The control page must be mapped read-write at `base` for as long as the value or anything it returned is used.
    pub const unsafe fn new(base: NonNull<u8>) -> Self {
        Channel { base }
    }

    /// The control page.
    pub fn control(&self) -> &'static Control {
        // SAFETY: mapped by `new`'s contract; `Control` consists of atomics, for which any bytes are valid.
        unsafe { self.base.cast::<Control>().as_ref() }
    }

    /// Header of slot `index`.
    ///
    /// # Safety
    /// The slot's chunk must be mapped: the client knows that of slots it was given, the net server of chunks it asked for.
    pub unsafe fn slot(&self, index: u32) -> &'static SocketSlot {
        // SAFETY: inside a mapped chunk by contract; the header consists of atomics, for which any bytes are valid.
        unsafe { self.at(index, 0).cast::<SocketSlot>().as_ref() }
    }

    /// Receive ring of slot `index`.
    ///
    /// # Safety
    /// As for [`Channel::slot`].
    pub unsafe fn rx(&self, index: u32) -> Ring<'static> {
        // SAFETY: the receive bytes lie inside the mapped slot (asserted above) and are accessed only through rings.
        unsafe { Ring::new(&self.slot(index).rx, self.at(index, RX_OFFSET), RX_SIZE) }
    }

    /// Transmit ring of slot `index`.
    ///
    /// # Safety
    /// As for [`Channel::slot`].
    pub unsafe fn tx(&self, index: u32) -> Ring<'static> {
        // SAFETY: as for `rx`.
        unsafe { Ring::new(&self.slot(index).tx, self.at(index, TX_OFFSET), TX_SIZE) }
    }

    fn at(&self, index: u32, offset: usize) -> NonNull<u8> {
        let index = index as usize % SLOTS;
        // SAFETY: stays inside CHANNEL_SIZE bytes of address space that belong to the channel alone.
        unsafe { self.base.add(SLOTS_OFFSET + index * SLOT_SIZE + offset) }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
