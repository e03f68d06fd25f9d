// SPDX-License-Identifier: BSD-2-Clause
//! A packet socket pair inside a process: AF_UNIX SOCK_SEQPACKET and SOCK_DGRAM (unix(7)). Each end is a source; boundaries are kept.
//!
//! A packet goes whole or not at all, and what a read has no room for is lost (MSG_TRUNC). Readiness is that of
//! Linux's `unix_poll`, as in [`stream`](crate::stream); an end of SOCK_DGRAM hangs up only by its own shutdown. What the tests expect is
//! what Linux 6.18 gave for the same calls.
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
    /// SOCK_DGRAM: the peer is gone (ECONNREFUSED), or SOCK_SEQPACKET: it went with packets unread (ECONNRESET).
    Refused,
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
    source: SourceId,
}

/// Most packets that wait in one direction (net.unix.max_dgram_qlen, as Debian sets it).
const MOST: usize = 512;

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
            source: sources.open(Events::WRITABLE),
        };
        Packets {
            kind,
            capacity,
            ends: [end(), end()],
        }
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

    fn publish(&self, sources: &mut impl Sources, side: Side, news: Events) {
        let (end, peer) = (self.end(side), self.end(side.other()));
        let mut level = Events::empty();
        level.set(Events::READABLE, end.shut_read || !end.received.is_empty());
        level.set(Events::RDHUP, end.shut_read);
        level.set(Events::HUP, end.shut_read && end.shut_write);
        level.set(Events::ERR, end.reset);
        let room = peer.received.len() < MOST && peer.bytes <= self.capacity * 2 / 3;
        level.set(Events::WRITABLE, room || peer.closed);
        sources.publish(end.source, level, news);
    }

    /// Takes the oldest packet; as much of it as `out` has room for. Returns how much that is, and the packet's own length. `(0, 0)` may also
    /// be the end of SOCK_SEQPACKET.
    pub fn read(
        &mut self,
        sources: &mut impl Sources,
        side: Side,
        out: &mut [u8],
    ) -> Result<(usize, usize), PacketError> {
        let end = self.end_mut(side);
        let Some(packet) = end.received.pop_front() else {
            if core::mem::take(&mut end.reset) {
                self.publish(sources, side, Events::empty());
                return Err(PacketError::Refused);
            }
            return match end.shut_read {
                true => Ok((0, 0)),
                false => Err(PacketError::Again),
            };
        };
        end.bytes -= packet.len();
        let n = packet.len().min(out.len());
        out[..n].copy_from_slice(&packet[..n]);
        self.publish(sources, side, Events::empty());
        if !self.end(side.other()).closed {
            self.publish(sources, side.other(), Events::WRITABLE);
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
        let (kind, capacity) = (self.kind, self.capacity);
        let (shut, peer) = (self.end(side).shut_write, self.end_mut(side.other()));
        if shut || peer.shut_read && !(peer.closed && kind == Kind::Datagram) {
            return Err(PacketError::Broken);
        }
        if peer.closed {
            return Err(PacketError::Refused);
        }
        if packet.len() > capacity {
            return Err(PacketError::TooLarge);
        }
        if peer.received.len() >= MOST || peer.bytes + packet.len() > capacity {
            return Err(PacketError::Again);
        }
        let mut kept = Vec::new();
        kept.try_reserve_exact(packet.len())
            .map_err(|_| PacketError::NoMemory)?;
        kept.extend_from_slice(packet);
        peer.bytes += packet.len();
        peer.received.push_back(kept);
        self.publish(sources, side.other(), Events::READABLE);
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
        end.received = VecDeque::new();
        end.bytes = 0;
        (end.shut_read, end.shut_write) = (true, true);
        sources.close(end.source);
        end.source = SourceId::NONE;
        let (kind, peer) = (self.kind, self.end_mut(side.other()));
        if peer.closed {
            return;
        }
        if kind == Kind::Seqpacket {
            (peer.shut_read, peer.shut_write) = (true, true);
            peer.reset = unread;
        }
        self.publish(sources, side.other(), Events::all());
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
            assert_eq!(all.level(pair.source(B)), Events::WRITABLE);
        }
    }

    #[test]
    fn a_packet_goes_whole_or_not_at_all() {
        let (mut all, mut pair) = pair(Kind::Seqpacket);
        let too_large = pair.write(&mut all, A, &[0; 1001]);
        assert_eq!(too_large, Err(PacketError::TooLarge));
        assert_eq!(pair.write(&mut all, A, &[0; 700]), Ok(700));
        assert_eq!(all.level(pair.source(A)), Events::empty());
        assert_eq!(pair.write(&mut all, A, &[0; 301]), Err(PacketError::Again));
        all.news(pair.source(A), Events::OUT);
        pair.read(&mut all, B, &mut [0; 1]).unwrap();
        assert_eq!(all.news(pair.source(A), Events::OUT), (true, 0, 1));
        assert_eq!(all.level(pair.source(A)), Events::WRITABLE);
    }

    #[test]
    fn closing_one_end() {
        let (mut all, mut pair) = self::pair(Kind::Seqpacket);
        pair.write(&mut all, A, b"last").unwrap();
        pair.close(&mut all, A);
        let gone = Events::READABLE | Events::RDHUP | Events::HUP | Events::WRITABLE;
        assert_eq!(all.level(pair.source(B)), gone);
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((4, 4)));
        assert_eq!(pair.read(&mut all, B, &mut [0; 9]), Ok((0, 0)));
        assert_eq!(pair.write(&mut all, B, b"x"), Err(PacketError::Broken));
        let (mut all, mut pair) = self::pair(Kind::Datagram);
        pair.close(&mut all, A);
        assert_eq!(all.level(pair.source(B)), Events::WRITABLE);
        assert_eq!(pair.write(&mut all, B, b"x"), Err(PacketError::Refused));
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
        assert_eq!(all.level(pair.source(B)), Events::WRITABLE);
        let again = pair.read(&mut all, B, &mut [0; 1]);
        assert_eq!(again, Err(PacketError::Again));
    }
}
