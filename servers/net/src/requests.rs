// SPDX-License-Identifier: BSD-2-Clause
//! The clients' requests: bind, listen, connect.

use core::sync::atomic::Ordering;

use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, Ipv4Address};
use vfs_hooks::net::{LISTENER_PAGES, kind};
use vfs_hooks::wire::net;

use crate::client::{Client, Owner, Shared};
use crate::connection::Connection;
use crate::errno::Errno;
use crate::joined::Resident;
use crate::link::Card;
use crate::listener::Listener;
use crate::ports::Bind;
use crate::server::{Platform, Server};
use crate::tuple::Tuple;

impl Shared {
    /// Tells the client the two ends of its connection.
    pub(crate) fn name(&self, own: u32, tuple: &Tuple) {
        let header = self.header;
        header.local_address.store(own, Ordering::Relaxed);
        header
            .local_port
            .store(u32::from(tuple.port), Ordering::Relaxed);
        header.peer_address.store(tuple.peer, Ordering::Relaxed);
        header
            .peer_port
            .store(u32::from(tuple.peer_port), Ordering::Relaxed);
    }
}

fn is_loopback(address: u32) -> bool {
    address >> 24 == 127
}

fn port(word: u64) -> Result<u16, Errno> {
    u16::try_from(word).map_err(|_| Errno::INVAL)
}

fn address(word: u64) -> Result<u32, Errno> {
    u32::try_from(word).map_err(|_| Errno::INVAL)
}

impl<C: Card, P: Platform> Server<C, P> {
    /// Answers a request: `label` and words of the message of client `number`. Takes another [`Server::turn`] to send
    /// what comes of it.
    pub fn request(
        &mut self,
        now: Instant,
        number: usize,
        label: u64,
        words: [u64; 4],
    ) -> Result<u64, Errno> {
        self.client(number).ok_or(Errno::NOBUFS)?;
        self.take_marks(now);
        let [first, second, third, _] = words;
        match label {
            net::BIND => self.bind(number, address(first)?, port(second)?, third),
            net::LISTEN => self.listen(number, port(first)?, second, third),
            net::CONNECT => {
                let (peer, peer_port) = (address(first)?, port(second)?);
                self.connect(number, peer, peer_port, port(third)?, now)
            }
            net::UNBIND => match self.ports.unbind(port(first)?, number) {
                true => Ok(0),
                false => Err(Errno::INVAL),
            },
            net::UDP_OPEN => self.udp_open(number, first),
            net::SET_BACKLOG => self.set_backlog(number, first, second),
            net::SHARE => self.share_listener(number, first),
            net::ACCEPT => self.give_connection(number, first, now),
            net::SHARE_STREAM => self.share_stream(number, first, second),
            _ => Err(Errno::NOSYS),
        }
    }

    fn bind(&mut self, client: usize, address: u32, port: u16, bits: u64) -> Result<u64, Errno> {
        if address != 0 && address != self.config.address && !is_loopback(address) {
            return Err(Errno::ADDRNOTAVAIL);
        }
        let bind = Bind {
            client,
            address,
            reuse: bits & 1 != 0,
            reuse_port: bits & 2 != 0,
        };
        self.ports.bind(port, bind).map(u64::from)
    }

    /// A free slot for the client, reset to `kind`.
    pub(crate) fn new_slot(&mut self, number: usize, kind: u32) -> Result<(u32, Shared), Errno> {
        let platform = &mut self.platform;
        let client = self.clients.get_mut(number).and_then(Option::as_mut);
        let client: &mut Client = client.ok_or(Errno::NOBUFS)?;
        let slot = client
            .reserve(|chunk| platform.map_sockets(number, chunk))
            .ok_or(Errno::NOBUFS)?;
        let shared = client.shared(slot);
        shared.header.reset(kind);
        Ok((slot, shared))
    }

    pub(crate) fn assign(&mut self, number: usize, slot: u32, owner: Owner) {
        if let Some(Some(client)) = self.clients.get_mut(number) {
            client.assign(slot, owner);
        }
    }

    fn listen(
        &mut self,
        number: usize,
        port: u16,
        backlog: u64,
        channel: u64,
    ) -> Result<u64, Errno> {
        let bind = self.ports.bound(port, number).ok_or(Errno::INVAL)?;
        if !self.ports.may_listen(port, &bind) {
            return Err(Errno::ADDRINUSE);
        }
        let joined = self.join(number, channel, LISTENER_PAGES)?;
        let shared = joined.shared();
        shared.header.reset(kind::LISTENER);
        let own = if bind.address == 0 { 0 } else { bind.address };
        let nobody = Tuple {
            peer: 0,
            peer_port: 0,
            port,
        };
        shared.name(own, &nobody);
        let key = self
            .listeners
            .insert(Listener::new(bind, port, joined, backlog));
        self.ports.listen(port, number, key);
        self.residents
            .insert(joined.number, Resident::Listener(key));
        if !is_loopback(bind.address) {
            self.platform.listening(port);
        }
        Ok(0)
    }

    fn connect(
        &mut self,
        number: usize,
        peer: u32,
        peer_port: u16,
        own_port: u16,
        now: Instant,
    ) -> Result<u64, Errno> {
        let tuple = |port| Tuple {
            peer,
            peer_port,
            port,
        };
        let bind = match own_port {
            0 => None,
            port => Some(self.ports.bound(port, number).ok_or(Errno::INVAL)?),
        };
        // Connections to ourselves do not come here: the client joins them itself, and found no listener.
        if peer == 0 || peer == self.config.address || is_loopback(peer) || peer_port == 0 {
            return Err(Errno::CONNREFUSED);
        }
        if !self.is_reachable(peer) || bind.is_some_and(|bind| is_loopback(bind.address)) {
            return Err(Errno::NETUNREACH);
        }
        let tuples = &self.tuples;
        let port = match own_port {
            0 => self
                .ports
                .choose_for_connection(|port| tuples.get(&tuple(port)).is_some())
                .ok_or(Errno::ADDRNOTAVAIL)?,
            port if tuples.get(&tuple(port)).is_some() => return Err(Errno::ADDRNOTAVAIL),
            port => port,
        };
        let mut wire = self.pool.take().ok_or(Errno::NOBUFS)?;
        let (slot, shared) = match self.new_slot(number, kind::STREAM) {
            Ok(slot) => slot,
            Err(error) => {
                self.pool.give(wire);
                return Err(error);
            }
        };
        let target = (IpAddress::Ipv4(Ipv4Address::from(peer)), peer_port);
        let context = self.interface.context();
        if wire.socket().connect(context, target, port).is_err() {
            self.pool.give(wire);
            if let Some(Some(client)) = self.clients.get_mut(number) {
                client.release(slot);
            }
            return Err(Errno::ADDRNOTAVAIL);
        }
        shared.name(self.config.address, &tuple(port));
        let mut connection = Connection::new(wire, tuple(port), number, Some(slot), now);
        connection.reuse = bind.is_some_and(|bind| bind.reuse);
        // The connection holds the port from now on.
        self.ports.join(port, connection.reuse);
        if bind.is_some() {
            self.ports.unbind(port, number);
        }
        let key = self.connections.insert(connection);
        self.tuples.insert(&tuple(port), key);
        self.assign(number, slot, Owner::Stream(key));
        self.touch(key);
        Ok(u64::from(slot))
    }

    /// Whether there is a route, and a single host at its end.
    fn is_reachable(&self, peer: u32) -> bool {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.config.prefix.clamp(1, 32)))
            .unwrap_or(u32::MAX);
        let near = (peer ^ self.config.address) & mask == 0;
        let broadcast = near && self.config.prefix < 31 && peer & !mask == !mask;
        let unicast = peer >> 24 != 0 && peer < 224 << 24;
        unicast && !broadcast && (near || self.config.gateway != 0)
    }
}
