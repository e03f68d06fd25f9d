// SPDX-License-Identifier: BSD-2-Clause
//! A connection's turn: the end of its handshake, its slot, what it sends, its end, its next deadline.

use core::sync::atomic::Ordering;

use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};
use vfs_hooks::Events;
use vfs_hooks::net::kind;

use crate::client::{Client, Owner};
use crate::connection::ConnectionKey;
use crate::link::Card;
use crate::listener::ListenerKey;
use crate::pump::pump;
use crate::server::{Platform, RETRY, Server};

/// Most segments that one turn sends; the send buffer holds fewer full ones.
const BURST: usize = 64;
/// A connection in TIME-WAIT with nothing due before that has said all it has to.
const QUIET: Duration = Duration::from_secs(3);

impl<C: Card, P: Platform> Server<C, P> {
    /// Gives a connection its turn.
    pub(crate) fn serve(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        (connection.touched, connection.news) = (None, false);
        match (connection.listener, connection.state()) {
            (None, _) => self.serve_slot(key, now),
            (Some(_), State::SynReceived) => {}
            // Reset, never a good SYN, or given up.
            (Some(_), State::Closed | State::Listen) => return self.discard(key),
            (Some(listener), _) => {
                if !self.accept(key, listener, now) {
                    return self.discard(key);
                }
            }
        }
        self.send(key, now);
        self.settle(key, now);
    }

    /// The handshake of an incoming connection is done: hands it to the client. `false`: there is nobody to hand it to.
    fn accept(&mut self, key: ConnectionKey, listener_key: ListenerKey, now: Instant) -> bool {
        let connection = &mut self.connections[key];
        let (number, tuple) = (connection.client, connection.tuple);
        let listener = self.listeners.get_mut(listener_key);
        let client = self.clients.get_mut(number).and_then(Option::as_mut);
        if let Some(listener) = listener
            && connection.unclaimed
        {
            connection.listener = None;
            listener.end();
            listener.wait(key);
            let joined = listener.joined;
            joined.publish(Events::IN | Events::RDNORM, &mut self.platform);
            return true;
        }
        let listener = self.listeners.get_mut(listener_key);
        let (Some(listener), Some(client), Some(slot)) = (listener, client, connection.slot) else {
            return false;
        };
        connection.listener = None;
        listener.end();
        let shared = client.shared(slot);
        let joined = listener.joined;
        shared.header.reset(kind::STREAM);
        shared.name(self.config.address, &tuple);
        client.assign(slot, Owner::Stream(key));
        // All that there is to see of it must be there before the client can take it.
        self.serve_slot(key, now);
        let queued = match self.listeners.get_mut(listener_key) {
            Some(listener) => listener.queue(slot),
            None => false,
        };
        if queued {
            joined.publish(Events::IN | Events::RDNORM, &mut self.platform);
        } else {
            // The client broke its accept ring and will never see this connection.
            self.forsake(number, slot, now);
        }
        true
    }

    /// Resets the connection in a slot that the client will not use any more.
    fn forsake(&mut self, number: usize, slot: u32, now: Instant) {
        let Some(Some(client)) = self.clients.get_mut(number) else {
            return;
        };
        if let Owner::Stream(key) = client.owner(slot) {
            client.release(slot);
            if let Some(connection) = self.connections.get_mut(key) {
                connection.orphan(now);
                connection.abort();
            }
            self.touch(key);
        }
    }

    /// Moves bytes and states between the connection and its slot.
    pub(crate) fn serve_slot(&mut self, key: ConnectionKey, now: Instant) {
        let connection = &mut self.connections[key];
        let number = connection.client;
        if let Some(joined) = connection.apart {
            let pumped = pump(connection, &joined.shared(), now);
            if pumped.release {
                self.leave(joined.number);
            } else if !pumped.events.is_empty() {
                joined.publish(pumped.events, &mut self.platform);
            }
            return;
        }
        if connection.unclaimed {
            return;
        }
        let Some(slot) = connection.slot else {
            // Data for a connection that nobody holds: the peer must know that it is lost (RFC 2525, 2.17).
            if connection.socket().can_recv() {
                connection.abort();
            }
            return;
        };
        let Some(Some(client)) = self.clients.get_mut(number) else {
            return;
        };
        let shared = client.shared(slot);
        let pumped = pump(connection, &shared, now);
        if pumped.release {
            client.release(slot);
        } else if !pumped.events.is_empty() {
            let (platform, signals) = (&mut self.platform, &mut self.signals);
            let header = shared.header;
            header.publish(pumped.events, |watch| {
                *signals += 1;
                header.told.store(*signals, Ordering::Relaxed);
                platform.signal(number, watch);
            });
        }
    }

    /// Lets the socket send what it wants.
    fn send(&mut self, key: ConnectionKey, now: Instant) {
        let connection = &mut self.connections[key];
        connection.note_progress(now);
        if !connection.attached || connection.silent {
            return;
        }
        self.link.watch();
        loop {
            for _ in 0..BURST {
                let set = &mut connection.wire.set;
                if self.interface.poll_egress(now, &mut self.link, set) == PollResult::None {
                    break;
                }
            }
            if !core::mem::take(&mut connection.reset_follows) {
                break;
            }
            connection.abort();
        }
        let watched = self.link.watched();
        if watched.sent.is_some() {
            connection.sent = watched.sent;
        }
        if watched.stalled {
            self.stalled.push(key);
        }
    }

    /// Ends the connection if it is over, else sets its deadline.
    fn settle(&mut self, key: ConnectionKey, now: Instant) {
        let connection = &mut self.connections[key];
        if connection.attached {
            let set = &connection.wire.set;
            let due = self.interface.poll_at(now, set);
            match connection.state() {
                State::Closed => {
                    connection.attached = false;
                    let (tuple, reuse) = (connection.tuple, connection.reuse);
                    self.tuples.remove(&tuple);
                    self.ports.leave(tuple.port, reuse);
                }
                State::TimeWait if due.is_none_or(|at| at > now + QUIET) => {
                    connection.attached = false;
                    let (tuple, reuse) = (connection.tuple, connection.reuse);
                    let sent = connection.sent.unwrap_or_default();
                    if let Some((port, reuse)) = self.tuples.end(&tuple, sent, reuse, now) {
                        self.ports.leave(port, reuse);
                    }
                }
                _ => {
                    // Due now, and the card had no room for it.
                    let due = due.map(|at| if at <= now { now + RETRY } else { at });
                    let patience = connection.deadline();
                    if let Some(at) = [due, patience].into_iter().flatten().min() {
                        self.timers.set(key, &mut connection.armed, at);
                    }
                }
            }
        }
        let connection = &self.connections[key];
        if !connection.attached && connection.is_orphan() {
            self.free(key);
        }
    }

    fn free(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.remove(key) {
            self.pool.give(connection.wire);
        }
    }

    /// Forgets a connection whose handshake was not done.
    pub(crate) fn discard(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(listener) = connection.listener.take() else {
            return;
        };
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.end();
        }
        let client = self.clients.get_mut(connection.client);
        if let (Some(Some(client)), Some(slot)) = (client, connection.slot) {
            Client::release(client, slot);
        }
        let (tuple, reuse) = (connection.tuple, connection.reuse);
        self.tuples.remove(&tuple);
        self.ports.leave(tuple.port, reuse);
        self.free(key);
    }

    /// Closes a listener: half-open connections are forgotten, those that wait for accept are reset.
    pub(crate) fn close_listener(&mut self, key: ListenerKey, now: Instant) {
        let Some(listener) = self.listeners.remove(key) else {
            return;
        };
        self.ports.stop_listening(listener.port, key);
        let number = listener.bind.client;
        let channel = listener.joined.number;
        // It looks into the channel for the last time.
        let (half_open, queued, waiting) = listener.close();
        self.leave(channel);
        for slot in queued {
            self.forsake(number, slot, now);
        }
        for key in waiting {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.orphan(now);
                connection.abort();
            }
            self.touch(key);
        }
        for half_open in half_open {
            let ours = |c: &crate::connection::Connection| c.listener == Some(key);
            if self.connections.get(half_open).is_some_and(ours) {
                self.discard(half_open);
            }
        }
    }
}
