// SPDX-License-Identifier: BSD-2-Clause
//! Frames: each goes to its connection's socket, opens a connection, or is answered by smoltcp alone.

use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;

use crate::connection::{Connection, ConnectionKey};
use crate::errno::Errno;
use crate::frame::{Kind, Segment, after, classify};
use crate::link::Card;
use crate::listener::Admission;
use crate::server::{Platform, RETRY, Server};
use crate::tuple::{Entry, Tuple};

/// Where a segment goes.
enum Route {
    /// To this connection.
    Feed(ConnectionKey),
    /// To nobody: smoltcp answers with RST.
    Stray,
    /// Nowhere.
    Drop,
}

impl<C: Card, P: Platform> Server<C, P> {
    /// Takes in one frame. Returns whether there was one.
    pub(crate) fn take_frame(&mut self, now: Instant) -> bool {
        self.link.watch();
        let Some(frame) = self.link.receive() else {
            if self.link.watched().full {
                self.retry = Some(now + RETRY);
            }
            return false;
        };
        match classify(frame.as_ref(), self.config.address) {
            Kind::Tcp(segment) => {
                let sender = EthernetAddress::from_bytes(&frame.as_ref()[6..12]);
                match self.route(&segment, sender, now) {
                    Route::Feed(key) => {
                        self.link.offer(frame);
                        self.feed(key, &segment, now);
                    }
                    Route::Stray => self.answer(frame, now),
                    Route::Drop => self.link.recycle(frame),
                }
            }
            Kind::Ping => self.answer(frame, now),
            Kind::Arp => {
                self.hear_arp(frame.as_ref(), now);
                self.answer(frame, now);
                for key in core::mem::take(&mut self.stalled) {
                    self.touch(key);
                }
            }
            Kind::Unreachable {
                code,
                tuple,
                sequence,
            } => {
                self.link.recycle(frame);
                self.unreachable(code, &tuple, sequence);
            }
            Kind::Other => {
                self.take_datagram(frame.as_ref());
                self.link.recycle(frame);
            }
        }
        true
    }

    /// Lets smoltcp answer a frame by itself.
    fn answer(&mut self, frame: C::Buffer, now: Instant) {
        self.link.offer(frame);
        self.interface
            .poll_ingress_single(now, &mut self.link, &mut self.nobody);
        self.link.drop_frame();
    }

    fn route(&mut self, segment: &Segment, sender: EthernetAddress, now: Instant) -> Route {
        let own = self.config.address;
        match self.tuples.get(&segment.tuple) {
            Some(Entry::Connection(key)) => {
                // smoltcp would not answer; the peer, which has forgotten the connection, must hear that we have not (RFC 5961).
                let sent = self.connections.get(key).and_then(|c| c.sent);
                let state = self.connections.get(key).map(Connection::state);
                let handshake = matches!(state, Some(State::SynReceived | State::SynSent));
                match sent {
                    Some(sent) if segment.opens() && !handshake => {
                        self.link.repeat_ack(own, sender, &segment.tuple, &sent);
                        Route::Drop
                    }
                    _ => Route::Feed(key),
                }
            }
            Some(Entry::TimeWait(number)) => {
                let Some(sent) = self.tuples.last_words(number) else {
                    return Route::Drop;
                };
                let newer = segment.opens() && after(segment.sequence, sent.acknowledged);
                // What the peer answers to our ACK when it knows nothing of the connection; Linux believes it too.
                let reset = segment.is_reset() && segment.sequence == sent.acknowledged;
                if newer || reset {
                    if let Some((port, reuse)) = self.tuples.forget(number) {
                        self.ports.leave(port, reuse);
                    }
                    return if newer {
                        self.open(segment, now)
                    } else {
                        Route::Drop
                    };
                }
                // Not a bare ACK: two sides that only repeat theirs would never end.
                if !segment.is_reset() && segment.length() > 0 {
                    self.link.repeat_ack(own, sender, &segment.tuple, &sent);
                }
                Route::Drop
            }
            None if segment.opens() => self.open(segment, now),
            None => Route::Stray,
        }
    }

    /// A SYN for no connection that we know: begins one, if somebody listens.
    fn open(&mut self, segment: &Segment, now: Instant) -> Route {
        let tuple = segment.tuple;
        let Some(key) = self.ports.listener(tuple.port) else {
            return Route::Stray;
        };
        let Some(listener) = self.listeners.get_mut(key) else {
            return Route::Stray;
        };
        let connections = &self.connections;
        let half_open = |key| {
            let connection: Option<&Connection> = connections.get(key);
            connection.is_some_and(|c| c.listener.is_some())
        };
        match listener.admit(now, half_open) {
            Admission::Welcome => {}
            Admission::Instead(oldest) => self.discard(oldest),
            Admission::Full => return Route::Drop,
        }
        match self.begin(key, tuple, now) {
            Some(key) => Route::Feed(key),
            None => Route::Drop,
        }
    }

    /// Takes all that an incoming connection needs. `None`: something is exhausted.
    fn begin(
        &mut self,
        listener_key: crate::listener::ListenerKey,
        tuple: Tuple,
        now: Instant,
    ) -> Option<ConnectionKey> {
        let listener = self.listeners.get_mut(listener_key)?;
        let number = listener.bind.client;
        let shared = listener.shared;
        let mut wire = self.pool.take()?;
        let platform = &mut self.platform;
        let client = self.clients.get_mut(number).and_then(Option::as_mut);
        // Who will have it is not known yet, if several may.
        let slot = match client {
            Some(client) if !shared => client.reserve(|chunk| platform.map_sockets(number, chunk)),
            _ => None,
        };
        if slot.is_none() && !shared || wire.socket().listen(tuple.port).is_err() {
            if let (Some(slot), Some(Some(client))) = (slot, self.clients.get_mut(number)) {
                client.release(slot);
            }
            self.pool.give(wire);
            return None;
        }
        let mut connection = Connection::new(wire, tuple, number, slot, now);
        connection.unclaimed = shared;
        connection.listener = Some(listener_key);
        connection.reuse = listener.bind.reuse;
        let reuse = connection.reuse;
        let key = self.connections.insert(connection);
        let connections = &self.connections;
        listener.begin(key, now, |key| {
            connections.get(key).is_some_and(|c| c.listener.is_some())
        });
        self.tuples.insert(&tuple, key);
        self.ports.join(tuple.port, reuse);
        Some(key)
    }

    /// Gives the offered frame to the connection's socket.
    fn feed(&mut self, key: ConnectionKey, segment: &Segment, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else {
            self.link.drop_frame();
            return;
        };
        connection.before_segment(now);
        if connection.only_fin_is_due(segment) {
            self.link.drop_frame();
            return;
        }
        self.link.watch();
        self.interface
            .poll_ingress_single(now, &mut self.link, &mut connection.wire.set);
        self.link.drop_frame();
        connection.after_segment(segment.is_reset(), now);
        if let Some(sent) = self.link.watched().sent {
            connection.sent = Some(sent);
        }
        if segment.length() > 0 || segment.is_reset() {
            self.bring_news(key);
        } else {
            self.touch(key);
        }
    }

    /// ICMP said that a segment did not arrive. It ends only a handshake of ours, as on Linux; elsewhere it is but a hint.
    fn unreachable(&mut self, code: u8, tuple: &Tuple, sequence: u32) {
        let Some(Entry::Connection(key)) = self.tuples.get(tuple) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let ours = connection.sent.is_some_and(|sent| sent.first == sequence);
        if connection.state() != State::SynSent || !ours {
            return;
        }
        connection.fail(match code {
            0 | 6 | 9 | 11 => Errno::NETUNREACH,
            2 => Errno::NOPROTOOPT,
            3 => Errno::CONNREFUSED,
            _ => Errno::HOSTUNREACH,
        });
        self.touch(key);
    }
}
