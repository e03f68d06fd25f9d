// SPDX-License-Identifier: BSD-2-Clause
//! Sockets that lie in channels of their own, so that several processes can have them: listeners, and connections that were handed on.
//!
//! Who holds side 0 of the channel has the socket. The root server says when nobody does any longer: that is its close, however it came about.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use smoltcp::time::Instant;
use vfs_hooks::Events;
use vfs_hooks::channel::MOST;
use vfs_hooks::net::{Apart, STREAM_PAGES, kind};

use crate::client::{Owner, Shared};
use crate::connection::{Connection, ConnectionKey};
use crate::errno::Errno;
use crate::link::Card;
use crate::listener::ListenerKey;
use crate::server::{Platform, Server};

/// A channel of which we hold side 1.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// Its number.
    pub number: usize,
    apart: Apart,
}

/// What lies in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resident {
    /// A listener.
    Listener(ListenerKey),
    /// A connection.
    Stream(ConnectionKey),
    /// A UDP socket, which is found by the channel.
    Datagrams,
}

impl Joined {
    /// The socket in it.
    pub fn shared(&self) -> Shared {
        Shared {
            header: self.apart.header(),
            rx: self.apart.rx(),
            tx: self.apart.tx(),
        }
    }

    /// Tells those who watch it.
    pub fn publish(&self, events: Events, platform: &mut impl Platform) {
        let number = self.number;
        self.apart.channel().publish(0, events, |watch| {
            platform.signal_channel(number, watch);
        });
    }
}

impl<C: Card, P: Platform> Server<C, P> {
    /// Joins a channel that the client holds.
    pub(crate) fn join(
        &mut self,
        client: usize,
        number: u64,
        pages: usize,
    ) -> Result<Joined, Errno> {
        let number = usize::try_from(number).map_err(|_| Errno::INVAL)?;
        if number >= MOST || self.residents.contains_key(&number) {
            return Err(Errno::INVAL);
        }
        let apart = self.platform.join(client, number, pages)?;
        Ok(Joined { number, apart })
    }

    /// Looks for sockets that nobody has any longer.
    pub(crate) fn take_hung(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(number) = self.platform.hung() {
            busy = true;
            match self.residents.get(&number) {
                Some(Resident::Listener(key)) => self.close_listener(*key, now),
                Some(Resident::Stream(key)) => {
                    let key = *key;
                    if let Some(joined) = self.connections.get(key).and_then(|c| c.apart) {
                        joined.shared().close_for_client();
                    }
                    self.touch(key);
                }
                Some(Resident::Datagrams) => self.close_udp(number, now),
                // We have left it meanwhile.
                None => {}
            }
        }
        busy
    }

    /// A process has marked a channel. Any may mark any: a false mark costs a look.
    pub(crate) fn marked_channel(&mut self, number: usize) {
        match self.residents.get(&number) {
            Some(Resident::Stream(key)) => self.touch(*key),
            Some(Resident::Datagrams) => self.udp.mark(number),
            Some(Resident::Listener(_)) | None => {}
        }
    }

    /// Nothing of ours lies in the channel any longer.
    pub(crate) fn leave(&mut self, number: usize) {
        self.residents.remove(&number);
        self.platform.leave(number);
    }

    /// The listener in a channel, if the client holds that.
    fn listener_of(&mut self, client: usize, channel: u64) -> Result<ListenerKey, Errno> {
        let number = usize::try_from(channel).map_err(|_| Errno::INVAL)?;
        let Some(Resident::Listener(key)) = self.residents.get(&number) else {
            return Err(Errno::INVAL);
        };
        let key = *key;
        let listener = self.listeners.get_mut(key).ok_or(Errno::INVAL)?;
        if listener.holders & 1 << client == 0 {
            if !self.platform.holds(client, number) {
                return Err(Errno::BADF);
            }
            // Asked for once: who has held it could have kept it.
            listener.holders |= 1 << client;
        }
        Ok(key)
    }

    /// SET_BACKLOG.
    pub(crate) fn set_backlog(
        &mut self,
        client: usize,
        channel: u64,
        backlog: u64,
    ) -> Result<u64, Errno> {
        let key = self.listener_of(client, channel)?;
        self.listeners[key].set_backlog(backlog);
        Ok(0)
    }

    /// SHARE of a listener: what its one process has not accepted waits here from now on.
    pub(crate) fn share_listener(&mut self, client: usize, channel: u64) -> Result<u64, Errno> {
        let key = self.listener_of(client, channel)?;
        let listener = &mut self.listeners[key];
        if core::mem::replace(&mut listener.shared, true) {
            return Ok(0);
        }
        let owner = listener.bind.client;
        let header = listener.joined.shared().header;
        let queued = listener.take_queued();
        header.accept.reset();
        let mut waiting = Vec::new();
        if let Some(Some(client)) = self.clients.get_mut(owner) {
            for slot in queued {
                let Owner::Stream(connection) = client.owner(slot) else {
                    continue;
                };
                if let Some(unclaimed) = self.connections.get_mut(connection) {
                    unclaimed.park(&client.shared(slot));
                    waiting.push(connection);
                }
                client.release(slot);
            }
        }
        let listener = &mut self.listeners[key];
        waiting.into_iter().for_each(|key| listener.wait(key));
        Ok(0)
    }

    /// ACCEPT: a slot of the client for the connection that has waited longest.
    pub(crate) fn give_connection(
        &mut self,
        client: usize,
        channel: u64,
        now: Instant,
    ) -> Result<u64, Errno> {
        let key = self.listener_of(client, channel)?;
        loop {
            let Some(next) = self.listeners[key].next_waiting() else {
                // Somebody has written there that one waits: whoever believed it would ask again and again.
                self.listeners[key].count_waiting();
                return Err(Errno::AGAIN);
            };
            if !self.connections.contains_key(next) {
                self.listeners[key].pop_waiting();
                continue;
            }
            let (slot, shared) = self.new_slot(client, kind::STREAM)?;
            self.listeners[key].pop_waiting();
            let own = self.config.address;
            let connection = &mut self.connections[next];
            connection.claim(client, slot);
            shared.name(own, &connection.tuple);
            let _ = shared.rx.write(&core::mem::take(&mut connection.parked));
            self.assign(client, slot, Owner::Stream(next));
            // All that there is to see of it must be there before the client looks.
            self.serve_slot(next, now);
            return Ok(u64::from(slot));
        }
    }

    /// SHARE_STREAM: a connection moves from the client's slot into a channel.
    pub(crate) fn share_stream(
        &mut self,
        number: usize,
        slot: u64,
        channel: u64,
    ) -> Result<u64, Errno> {
        let slot = u32::try_from(slot).map_err(|_| Errno::INVAL)?;
        let client = self.clients.get(number).and_then(Option::as_ref);
        let Some(Owner::Stream(key)) = client.map(|client| client.owner(slot)) else {
            return Err(Errno::INVAL);
        };
        let joined = self.join(number, channel, STREAM_PAGES)?;
        let (Some(connection), Some(Some(client))) =
            (self.connections.get_mut(key), self.clients.get_mut(number))
        else {
            self.platform.leave(joined.number);
            return Err(Errno::INVAL);
        };
        move_slot(connection, &client.shared(slot), &joined.shared());
        client.release(slot);
        connection.move_apart(joined);
        self.residents.insert(joined.number, Resident::Stream(key));
        self.touch(key);
        Ok(0)
    }
}

/// What is in a ring; nothing if its positions make no sense.
fn contents(ring: &vfs_hooks::ring::Ring) -> Vec<u8> {
    let mut bytes = vec![0; ring.len().unwrap_or(0) as usize];
    let n = ring.read(&mut bytes).unwrap_or(0);
    bytes.truncate(n);
    bytes
}

fn move_slot(connection: &Connection, from: &Shared, to: &Shared) {
    to.header.reset(kind::STREAM);
    let (old, new) = (from.header, to.header);
    for (old, new) in [
        (&old.error, &new.error),
        (&old.shut_write, &new.shut_write),
        (&old.shut_read, &new.shut_read),
        (&old.abort, &new.abort),
        (&old.no_delay, &new.no_delay),
        (&old.keep_alive, &new.keep_alive),
        (&old.local_address, &new.local_address),
        (&old.local_port, &new.local_port),
        (&old.peer_address, &new.peer_address),
        (&old.peer_port, &new.peer_port),
    ] {
        new.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    let _ = to.rx.write(&contents(&from.rx));
    let _ = to.tx.write(&contents(&from.tx));
    new.state
        .store(connection.published.bits(), Ordering::Release);
}

impl Connection {
    /// Takes it out of the slot of a process that has not accepted it: it waits here again.
    fn park(&mut self, shared: &Shared) {
        self.parked = contents(&shared.rx);
        self.published = vfs_hooks::net::State::empty();
        self.slot = None;
        self.unclaimed = true;
    }

    /// A client has it from now on.
    fn claim(&mut self, client: usize, slot: u32) {
        self.client = client;
        self.slot = Some(slot);
        self.unclaimed = false;
    }

    fn move_apart(&mut self, joined: Joined) {
        self.slot = None;
        self.apart = Some(joined);
    }
}
