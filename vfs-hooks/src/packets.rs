// SPDX-License-Identifier: BSD-2-Clause
//! A packet socket pair inside a process: AF_UNIX SOCK_SEQPACKET and SOCK_DGRAM (unix(7)). Each end is a source; boundaries are kept.
//!
//! A packet goes whole or not at all, and what a read has no room for is lost (MSG_TRUNC). Readiness is that of
//! Linux's `unix_poll`, as in [`stream`](crate::stream); an end of SOCK_DGRAM hangs up only by its own shutdown. While an end is writable, the largest
//! packet fits, so whoever waits for OUT never waits in vain. What the tests expect is what Linux 6.18 gave for the same calls.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::source::{SourceId, Sources};
use crate::stream::{Shutdown, Side};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SOCK_SEQPACKET: connected; closing one end is the end of the other.
    Seqpacket,
    /// SOCK_DGRAM: a pair that only knows where to send to.
    Datagram,
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// Nothing to read, or no room (EAGAIN, or wait for IN or OUT).
    Again,
    /// It can be written to no more (EPIPE, and SIGPIPE).
    Broken,
    /// SOCK_DGRAM: the peer is gone (ECONNREFUSED, once), or SOCK_SEQPACKET: it went with packets unread (ECONNRESET, once).
    Refused,
    /// SOCK_DGRAM: nobody is there any longer (ENOTCONN).
    NotConnected,
    /// A packet larger than the buffer will ever hold (EMSGSIZE).
    TooLarge,
    /// No memory to keep it in (ENOMEM).
    NoMemory,
}

#[derive(Debug)]
struct End {
    received: VecDeque<Vec<u8>>,
    bytes: usize,
    shut_read: bool,
    shut_write: bool,
    closed: bool,
    reset: bool,
    /// SOCK_DGRAM: a write has told that the peer is gone.
    disconnected: bool,
    source: SourceId,
}

/// Most packets that wait in one direction (net.unix.max_dgram_qlen, as Debian sets it).
pub const MOST: usize = 512;
/// Bytes of a socket's buffer that no packet fills (Linux's `unix_dgram_sendmsg`).
pub const RESERVE: usize = 32;
const WRITABLE: Events = Events::WRITABLE.union(Events::WRBAND);
/// What a packet that came is news of: as Linux has it for sockets.
const ARRIVED: Events = Events::READABLE.union(Events::PRI).union(Events::RDBAND);

/// A pair: both of its ends.
#[derive(Debug)]
pub struct Packets {
    kind: Kind,
    capacity: usize,
    ends: [End; 2],
}

impl Packets {
    /// Two ends, each of which can have `capacity` bytes waiting.
    pub fn pair(sources: &mut impl Sources, kind: Kind, capacity: usize) -> Self {
        let mut end = || End {
            received: VecDeque::new(),
            bytes: 0,
            shut_read: false,
            shut_write: false,
            closed: false,
            reset: false,
            disconnected: false,
            source: sources.open(Events::empty()),
        };
        let pair = Packets {
            kind,
            capacity,
            ends: [end(), end()],
        };
        for side in [Side::First, Side::Second] {
            pair.publish(sources, side, Events::empty());
        }
        pair
    }

    /// Lets `source`, a socket's, speak for this end from now on in place of its own.
    pub fn attach(&mut self, sources: &mut impl Sources, side: Side, source: SourceId) {
        sources.close(self.end(side).source);
        self.end_mut(side).source = source;
        self.publish(sources, side, Events::all());
    }

    /// Source of an end.
    pub fn source(&self, side: Side) -> SourceId {
        self.end(side).source
    }

    /// Whose rules hold.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the end is closed.
    pub fn is_closed(&self, side: Side) -> bool {
        self.end(side).closed
    }

    /// What of an end is shut: reading, writing.
    pub fn shut(&self, side: Side) -> (bool, bool) {
        (self.end(side).shut_read, self.end(side).shut_write)
    }

    /// Whether there is somebody to write to (getpeername(2)).
    pub fn is_connected(&self, side: Side) -> bool {
        !self.end(side).disconnected
    }

    /// Bytes to read: of SOCK_DGRAM the oldest packet's (FIONREAD).
    pub fn available(&self, side: Side) -> usize {
        match self.kind {
            Kind::Seqpacket => self.end(side).bytes,
            Kind::Datagram => self.end(side).received.front().map_or(0, Vec::len),
        }
    }

    /// Whether the peer's reset is still to be told.
    pub fn has_reset(&self, side: Side) -> bool {
        self.end(side).reset
    }

    /// Whether the peer's reset is still to be told, and taken with it (SO_ERROR).
    pub fn take_reset(&mut self, sources: &mut impl Sources, side: Side) -> bool {
        let reset = core::mem::take(&mut self.end_mut(side).reset);
        if reset {
            self.publish(sources, side, Events::empty());
        }
        reset
    }

    /// Gives away what an end has not read yet: for one that goes on elsewhere.
    pub fn drain(&mut self, side: Side, packet: impl FnMut(Vec<u8>)) {
        self.end_mut(side).bytes = 0;
        core::mem::take(&mut self.end_mut(side).received)
            .into_iter()
            .for_each(packet);
    }

    /// Bytes that may wait in one direction: while an end is writable, the largest packet fits.
    fn limit(&self) -> usize {
        self.capacity + self.capacity / 8
    }

    fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    fn publish(&self, sources: &mut impl Sources, side: Side, news: Events) {
        let (end, peer) = (self.end(side), self.end(side.other()));
        let mut level = Events::empty();
        level.set(Events::READABLE, end.shut_read || !end.received.is_empty());
        level.set(Events::RDHUP, end.shut_read);
        level.set(Events::HUP, end.shut_read && end.shut_write);
        level.set(Events::ERR, end.reset);
        let room = peer.received.len() < MOST && peer.bytes <= self.limit() - self.capacity;
        level.set(WRITABLE, room || peer.closed);
        sources.publish(end.source, level, news);
    }

    /// As [`Packets::read`], but leaves the packet (MSG_PEEK).
    pub fn peek(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        out: &mut [u8],
    ) -> Result<(usize, usize), PacketError> {
        match self.end(side).received.front() {
            Some(packet) if !self.end(side).reset => {
                let n = packet.len().min(out.len());
                out[..n].copy_from_slice(&packet[..n]);
                Ok((n, packet.len()))
            }
            _ => self.read(sources, side, out),
        }
    }

    /// Takes the oldest packet; as much of it as `out` has room for. Returns how much that is, and the packet's own length. `(0, 0)` may also
    /// be the end of SOCK_SEQPACKET.
    pub fn read(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        out: &mut [u8],
    ) -> Result<(usize, usize), PacketError> {
        // Before the packets, as Linux has it here, and not for streams.
        if self.take_reset(sources, side) {
            return Err(PacketError::Refused);
        }
        let end = self.end_mut(side);
        let Some(packet) = end.received.pop_front() else {
            let over = end.shut_read;
            return match over && self.kind == Kind::Seqpacket {
                true => Ok((0, 0)),
                false => Err(PacketError::Again),
            };
        };
        end.bytes -= packet.len();
        let n = packet.len().min(out.len());
        out[..n].copy_from_slice(&packet[..n]);
        self.publish(sources, side, Events::empty());
        if !self.end(side.other()).closed {
            self.publish(sources, side.other(), WRITABLE);
        }
        Ok((n, packet.len()))
    }

    /// Sends one packet, whole.
    pub fn write(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        packet: &[u8],
    ) -> Result<usize, PacketError> {
        let (kind, limit) = (self.kind, self.limit());
        // In Linux's order.
        if kind == Kind::Seqpacket && self.take_reset(sources, side) {
            return Err(PacketError::Refused);
        }
        if packet.len() > self.capacity - RESERVE {
            return Err(PacketError::TooLarge);
        }
        if self.end(side).shut_write {
            return Err(PacketError::Broken);
        }
        let peer = self.end_mut(side.other());
        if peer.closed || peer.shut_read {
            let closed = peer.closed;
            let end = self.end_mut(side);
            let error = match kind {
                Kind::Datagram if end.disconnected => PacketError::NotConnected,
                Kind::Datagram if closed => {
                    // What the peer left is lost with it (Linux's `unix_dgram_disconnected`).
                    end.received = VecDeque::new();
                    end.bytes = 0;
                    end.disconnected = true;
                    PacketError::Refused
                }
                _ => PacketError::Broken,
            };
            // Linux has made the packet by then, and its end is news of room.
            self.publish(sources, side, WRITABLE);
            return Err(error);
        }
        if peer.received.len() >= MOST || peer.bytes + packet.len() > limit {
            return Err(PacketError::Again);
        }
        let mut kept = Vec::new();
        kept.try_reserve_exact(packet.len())
            .map_err(|_| PacketError::NoMemory)?;
        kept.extend_from_slice(packet);
        peer.bytes += packet.len();
        peer.received.push_back(kept);
        self.publish(sources, side.other(), ARRIVED);
        self.publish(sources, side, Events::empty());
        Ok(packet.len())
    }

    /// shutdown(2). What was sent before can still be read.
    pub fn shutdown(&mut self, sources: &mut impl Sources, own: Side, how: Shutdown) {
        let (read, write) = (how != Shutdown::Write, how != Shutdown::Read);
        for (side, read, write) in [(own, read, write), (own.other(), write, read)] {
            // The peer of a datagram pair is not told.
            if self.end(side).closed || (self.kind == Kind::Datagram && side != own) {
                continue;
            }
            let end = self.end_mut(side);
            end.shut_read |= read;
            end.shut_write |= write;
            self.publish(sources, side, Events::all());
        }
    }

    /// The last descriptor is closed.
    pub fn close(&mut self, sources: &mut impl Sources, side: Side) {
        let end = self.end_mut(side);
        if core::mem::replace(&mut end.closed, true) {
            return;
        }
        let unread = !end.received.is_empty();
        // An empty packet alone is not missed: Linux takes it for what urgent data leave behind.
        let empty = end.received.front().is_some_and(Vec::is_empty);
        let missed = end.received.len() > usize::from(empty);
        end.received = VecDeque::new();
        end.bytes = 0;
        (end.shut_read, end.shut_write) = (true, true);
        sources.close(end.source);
        end.source = SourceId::NONE;
        let (kind, peer) = (self.kind, self.end_mut(side.other()));
        if peer.closed {
            return;
        }
        let mut news = Events::all();
        if kind == Kind::Seqpacket {
            (peer.shut_read, peer.shut_write) = (true, true);
            peer.reset = missed;
        } else {
            // The end of the peer's own packets makes room; it is not told of anything else.
            news = if unread { WRITABLE } else { Events::empty() };
        }
        self.publish(sources, side.other(), news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    const A: Side = Side::First;
    const B: Side = Side::Second;

    fn pair(kind: Kind) -> (Recorder, Packets) {
        let mut all = Recorder::default();
        let pair = Packets::pair(&mut all, kind, 1000);
        (all, pair)
    }

    #[test]
    fn boundaries_are_kept_and_what_does_not_fit_is_lost() {
        for kind in [Kind::Seqpacket, Kind::Datagram] {
            let (mut all, mut pair) = pair(kind);
            assert_eq!(pair.write(&mut all, A, b"first"), Ok(5));
            assert_eq!(pair.write(&mut all, A, b""), Ok(0));
            assert_eq!(pair.write(&mut all, A, b"third"), Ok(5));
            assert_eq!(all.news(pair.source(B), Events::IN), (true, 3, 0));
            let mut out = [0; 3];
            assert_eq!(pair.read(&mut all, B, &mut out), Ok((3, 5)));
            assert_eq!(&out, b"fir");
            assert_eq!(pair.read(&mut all, B, &mut out), Ok((0, 0)));
            assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((5, 5)));
            assert_eq!(pair.read(&mut all, B, &mut out), Err(PacketError::Again));
            assert_eq!(all.level(pair.source(B)), WRITABLE);
        }
    }

    #[test]
    fn a_packet_goes_whole_or_not_at_all() {
        let (mut all, mut pair) = pair(Kind::Seqpacket);
        let too_large = pair.write(&mut all, A, &[0; 1001 - RESERVE]);
        assert_eq!(too_large, Err(PacketError::TooLarge));
        assert_eq!(pair.write(&mut all, A, &[0; 125]), Ok(125));
        assert_eq!(all.level(pair.source(A)), WRITABLE);
        let largest = 1000 - RESERVE;
        assert_eq!(pair.write(&mut all, A, &[0; 1000 - RESERVE]), Ok(largest));
        assert_eq!(all.level(pair.source(A)), Events::empty());
        assert_eq!(pair.write(&mut all, A, &[0; 33]), Err(PacketError::Again));
        pair.read(&mut all, B, &mut [0; 1]).unwrap();
        all.news(pair.source(A), Events::OUT);
        pair.read(&mut all, B, &mut [0; 1]).unwrap();
        assert_eq!(all.news(pair.source(A), Events::OUT), (true, 0, 1));
        assert_eq!(all.level(pair.source(A)), WRITABLE);
    }

    #[test]
    fn closing_one_end() {
        let (mut all, mut pair) = self::pair(Kind::Seqpacket);
        pair.write(&mut all, A, b"last").unwrap();
        pair.close(&mut all, A);
        let gone = Events::READABLE | Events::RDHUP | Events::HUP | WRITABLE;
        assert_eq!(all.level(pair.source(B)), gone);
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((4, 4)));
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((0, 0)));
        assert_eq!(pair.write(&mut all, B, b"x"), Err(PacketError::Broken));
        let (mut all, mut pair) = self::pair(Kind::Datagram);
        pair.close(&mut all, A);
        assert_eq!(all.level(pair.source(B)), WRITABLE);
        assert_eq!(pair.write(&mut all, B, b"x"), Err(PacketError::Refused));
        let after = pair.write(&mut all, B, b"x");
        assert_eq!(after, Err(PacketError::NotConnected));
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Err(PacketError::Again));
    }

    #[test]
    fn closing_with_unread_packets_resets_the_peer_once() {
        let (mut all, mut pair) = pair(Kind::Seqpacket);
        pair.write(&mut all, B, b"unread").unwrap();
        pair.close(&mut all, A);
        assert!(all.level(pair.source(B)).contains(Events::ERR));
        assert_eq!(
            pair.read(&mut all, B, &mut [0; 9]),
            Err(PacketError::Refused)
        );
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((0, 0)));
        pair.close(&mut all, B);
    }

    #[test]
    fn shutdown_tells_both_ends_of_a_connection() {
        let (mut all, mut pair) = pair(Kind::Seqpacket);
        pair.shutdown(&mut all, A, Shutdown::Write);
        assert_eq!(pair.write(&mut all, A, b"x"), Err(PacketError::Broken));
        assert!(all.level(pair.source(B)).contains(Events::RDHUP));
        assert_eq!(pair.read(&mut all, B, &mut [0; 1]), Ok((0, 0)));
        assert_eq!(pair.write(&mut all, B, b"back"), Ok(4));
        assert_eq!(pair.read(&mut all, A, &mut [0; 9]), Ok((4, 4)));
        let (mut all, mut pair) = self::pair(Kind::Datagram);
        pair.shutdown(&mut all, A, Shutdown::Write);
        assert_eq!(all.level(pair.source(B)), WRITABLE);
        let again = pair.read(&mut all, B, &mut [0; 1]);
        assert_eq!(again, Err(PacketError::Again));
    }

    #[test]
    fn an_end_that_moves_elsewhere_takes_its_packets_and_its_reset_along() {
        let (mut all, mut pair) = pair(Kind::Seqpacket);
        assert_eq!(pair.kind(), Kind::Seqpacket);
        pair.write(&mut all, A, b"one").unwrap();
        pair.write(&mut all, A, b"").unwrap();
        pair.write(&mut all, B, b"unread").unwrap();
        assert_eq!((pair.available(B), pair.available(A)), (3, 6));
        pair.shutdown(&mut all, B, Shutdown::Write);
        assert_eq!(pair.shut(B), (false, true));
        pair.close(&mut all, A);
        assert!(pair.is_closed(A) && !pair.is_closed(B));
        assert!(pair.has_reset(B));
        assert!(pair.take_reset(&mut all, B));
        assert!(!pair.take_reset(&mut all, B), "told once");
        assert!(!all.level(pair.source(B)).contains(Events::ERR));
        let mut moved = Vec::new();
        pair.drain(B, |packet| moved.push(packet));
        assert_eq!(moved, [&b"one"[..], b""]);
        assert_eq!(pair.available(B), 0);
    }

    #[test]
    fn a_datagram_pair_counts_the_oldest_packet() {
        let (mut all, mut pair) = pair(Kind::Datagram);
        pair.write(&mut all, A, b"first").unwrap();
        pair.write(&mut all, A, b"2nd").unwrap();
        assert_eq!(pair.available(B), 5);
        pair.read(&mut all, B, &mut [0; 1]).unwrap();
        assert_eq!(pair.available(B), 3);
        pair.close(&mut all, B);
        assert!(pair.is_connected(A), "it has not noticed yet");
        assert_eq!(pair.write(&mut all, A, b"x"), Err(PacketError::Refused));
        assert!(!pair.is_connected(A));
    }
}
