// SPDX-License-Identifier: BSD-2-Clause
//! The net server's state and its turn: marks of clients, frames, deadlines, then every connection that was touched.
//!
//! ```text
//! loop:  while turn(now) did something: go on
//!        enable the card's interrupts
//!        may_sleep? set a timer for deadline(), wait
//! ```
//!
//! No step looks at all connections: a frame finds its connection by the table of tuples, a mark by its slot, a
//! deadline by the heap.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use slotmap::SlotMap;
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketSet};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Address, Ipv4Cidr};
use vfs_hooks::net::{Apart, Channel};

use crate::client::{Client, Owner};
use crate::connection::{Connection, ConnectionKey, Overdue};
use crate::errno::Errno;
use crate::joined::Resident;
use crate::link::{Card, Link};
use crate::listener::{Listener, ListenerKey};
use crate::ports::Ports;
use crate::timers::Timers;
use crate::tuple::Tuples;
use crate::udp::{Sockets, UdpPlatform};
use crate::wire::Pool;

/// Most clients: their watches are mounted in as many places of the net server's CSpace.
pub const MAX_CLIENTS: usize = vfs_hooks::process::MOST_CLIENTS;
/// Frames that are taken in before their connections get a turn.
const BATCH: usize = 64;
/// When the card had no room, try again after this time.
pub(crate) const RETRY: Duration = Duration::from_millis(1);

/// What the server needs of the system around it.
pub trait Platform: UdpPlatform {
    /// The clients that there are, client `c` as bit `c`. Asked at each turn.
    fn clients(&mut self) -> u64;

    /// The channel of a client that was not there before.
    fn channel(&mut self, client: usize) -> Channel;

    /// Nothing here refers any more to the channel of a client that has ended: another may get its number.
    fn gone(&mut self, client: usize);

    /// Maps the socket slots of a chunk, zeroed, into the channel, for good. `false`: there is no memory.
    fn map_sockets(&mut self, client: usize, chunk: usize) -> bool;

    /// Signals a watch of a client.
    fn signal(&mut self, client: usize, watch: u32);

    /// Joins a channel of which the client holds side 0, as holder of side 1, with so many of its pages mapped until [`Platform::leave`].
    fn join(&mut self, client: usize, channel: usize, pages: usize) -> Result<Apart, Errno>;

    /// Whether the client holds side 0 of a channel.
    fn holds(&mut self, client: usize, channel: usize) -> bool;

    /// Leaves a channel.
    fn leave(&mut self, channel: usize);

    /// A channel that was joined and of which nobody holds side 0 any longer; each comes once. Asked at each turn.
    fn hung(&mut self) -> Option<usize>;

    /// Signals a watch of a channel.
    fn signal_channel(&mut self, channel: usize, watch: usize);

    /// A listener for the outside has started.
    fn listening(&mut self, port: u16);
}

/// Addresses and limits.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Our IPv4 address, most significant byte first in the number.
    pub address: u32,
    /// Bits of the network's prefix.
    pub prefix: u8,
    /// Router; 0: none.
    pub gateway: u32,
    /// Secrets, for sequence numbers and hashes.
    pub seed: [u64; 3],
    /// Most connections.
    pub connections: usize,
}

/// The net server.
pub struct Server<C: Card, P: Platform> {
    pub(crate) link: Link<C>,
    pub(crate) platform: P,
    pub(crate) config: Config,
    pub(crate) interface: Interface,
    /// For frames that belong to no connection: smoltcp answers ARP, pings and strays.
    pub(crate) nobody: SocketSet<'static>,
    pub(crate) pool: Pool,
    pub(crate) clients: Vec<Option<Client>>,
    /// Those in `clients`, as bits.
    known: u64,
    pub(crate) connections: SlotMap<ConnectionKey, Connection>,
    pub(crate) listeners: SlotMap<ListenerKey, Listener>,
    /// What lies in which channel.
    pub(crate) residents: BTreeMap<usize, Resident>,
    pub(crate) tuples: Tuples,
    pub(crate) ports: Ports,
    pub(crate) timers: Timers,
    /// Connections that are to have a turn, each at the place that it knows itself.
    pub(crate) touched: Vec<ConnectionKey>,
    /// Connections that wait for a neighbour's hardware address.
    pub(crate) stalled: Vec<ConnectionKey>,
    pub(crate) retry: Option<Instant>,
    pub(crate) udp: Sockets,
    /// Signals to watchers of slots so far.
    pub(crate) signals: u64,
    marks: Vec<(usize, u32)>,
    marked_channels: Vec<usize>,
}

impl<C: Card, P: Platform> Server<C, P> {
    /// A server without clients.
    pub fn new(card: C, platform: P, config: Config, now: Instant) -> Self {
        let mac = EthernetAddress(card.mac());
        let mut settings = InterfaceConfig::new(HardwareAddress::Ethernet(mac));
        settings.random_seed = config.seed[0];
        let mut link = Link::new(card);
        let mut interface = Interface::new(settings, &mut link, now);
        let own = Ipv4Cidr::new(Ipv4Address::from(config.address), config.prefix);
        // Both tables have room for one entry at least, whatever smoltcp was built for.
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::Ipv4(own));
        });
        if config.gateway != 0 {
            let gateway = Ipv4Address::from(config.gateway);
            let _ = interface.routes_mut().add_default_ipv4_route(gateway);
        }
        Server {
            link,
            platform,
            interface,
            nobody: SocketSet::new(Vec::new()),
            pool: Pool::new(config.connections),
            clients: Vec::new(),
            known: 0,
            connections: SlotMap::with_key(),
            listeners: SlotMap::with_key(),
            residents: BTreeMap::new(),
            tuples: Tuples::new([config.seed[1], config.seed[2]]),
            ports: Ports::new(config.address, config.seed[1] as u16),
            timers: Timers::default(),
            touched: Vec::new(),
            stalled: Vec::new(),
            retry: None,
            udp: Sockets::default(),
            signals: 0,
            marks: Vec::new(),
            marked_channels: Vec::new(),
            config,
        }
    }

    /// The card.
    pub fn card(&mut self) -> &mut C {
        self.link.card()
    }

    /// The system around it.
    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Connections, and those in TIME-WAIT.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.connections.len(), self.tuples.ended())
    }

    /// One round of everything. Returns whether there was anything to do; if so, call it again.
    pub fn turn(&mut self, now: Instant) -> bool {
        let mut busy = self.take_marks(now);
        for _ in 0..BATCH {
            if !self.take_frame(now) {
                break;
            }
            busy = true;
        }
        busy |= self.take_deadlines(now);
        busy |= self.serve_udp(now);
        busy | self.serve_touched(now)
    }

    /// Asks all clients for a doorbell at their next mark and looks once more. `false`: take another turn.
    pub fn may_sleep(&mut self, now: Instant) -> bool {
        for client in self.clients.iter().flatten() {
            client.control().arm();
        }
        !self.take_marks(now) && self.touched.is_empty() && !self.udp.is_busy()
    }

    /// When [`Server::turn`] must be called even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        let all = [self.timers.next(), self.retry, self.udp.deadline()];
        all.into_iter().flatten().min()
    }

    /// Gives the connection a turn at the end of the round.
    pub(crate) fn touch(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.touched.is_none()
        {
            connection.touched = Some(self.touched.len());
            self.touched.push(key);
        }
    }

    /// The same after something came that a client may read: clients are told in the order of that, whatever else the connection was touched for before.
    pub(crate) fn bring_news(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.news
        {
            connection.news = true;
            connection.touched = Some(self.touched.len());
            self.touched.push(key);
        }
    }

    /// The client, known from now on. `None`: there can be no such client.
    pub(crate) fn client(&mut self, number: usize) -> Option<&mut Client> {
        if number >= MAX_CLIENTS {
            return None;
        }
        if self.clients.len() <= number {
            self.clients.resize_with(number + 1, || None);
        }
        let platform = &mut self.platform;
        self.known |= 1 << number;
        Some(self.clients[number].get_or_insert_with(|| {
            // SAFETY: the root server mapped the control page before it gave the client a cap to us, and keeps it
            // mapped until `Platform::gone`; so for chunks, which `Platform::map_sockets` maps.
            unsafe { Client::new(platform.channel(number)) }
        }))
    }

    /// Looks at what clients marked, and for clients that have ended.
    pub(crate) fn take_marks(&mut self, now: Instant) -> bool {
        let mut busy = self.take_hung(now);
        // A client that ends before it ever called is here, too.
        let mut new = self.platform.clients() & !self.known;
        while new != 0 {
            self.client(new.trailing_zeros() as usize);
            new &= new - 1;
        }
        for number in 0..self.clients.len() {
            let Some(client) = &mut self.clients[number] else {
                continue;
            };
            let marks = &mut self.marks;
            client.control().take(|slot| marks.push((number, slot)));
            let channels = &mut self.marked_channels;
            client
                .control()
                .take_channels(|channel| channels.push(channel));
            let ended = client.control().client_ended.load(ACQUIRE) != 0;
            if ended != client.ended {
                client.ended = ended;
                busy = true;
                if ended {
                    self.end_client(number, now);
                }
            } else if ended && client.is_empty() {
                self.clients[number] = None;
                self.known &= !(1 << number);
                self.platform.gone(number);
            }
        }
        busy |= !self.marks.is_empty();
        let mut marks = core::mem::take(&mut self.marks);
        for (number, slot) in marks.drain(..) {
            self.marked(number, slot);
        }
        self.marks = marks;
        if !self.marked_channels.is_empty() {
            busy = true;
            for channel in core::mem::take(&mut self.marked_channels) {
                self.marked_channel(channel);
            }
        }
        busy
    }

    fn marked(&mut self, number: usize, slot: u32) {
        let Some(client) = &self.clients[number] else {
            return;
        };
        match client.owner(slot) {
            Owner::Stream(key) => self.touch(key),
            // A mark of before its release, or of a client that makes them up.
            Owner::Free | Owner::Reserved => {}
        }
    }

    /// Closes all that an ended client had, as the kernel of a Unix does.
    fn end_client(&mut self, number: usize, now: Instant) {
        // Listeners that it alone had: what lies in their rings are its slots.
        let listeners = self.listeners.iter_mut();
        let own: Vec<ListenerKey> = listeners
            .filter_map(|(key, listener)| {
                listener.holders &= !(1 << number);
                (listener.bind.client == number && !listener.shared).then_some(key)
            })
            .collect();
        for key in own {
            self.close_listener(key, now);
        }
        let Some(client) = &self.clients[number] else {
            return;
        };
        let owned: Vec<(u32, Owner)> = client.owned().collect();
        self.ports.unbind_all(number);
        for (slot, owner) in owned {
            match owner {
                Owner::Stream(key) => {
                    if let Some(client) = &self.clients[number] {
                        client.shared(slot).close_for_client();
                    }
                    self.touch(key);
                }
                Owner::Free | Owner::Reserved => {}
            }
        }
    }

    fn take_deadlines(&mut self, now: Instant) -> bool {
        let mut busy = false;
        if self.retry.is_some_and(|at| at <= now) {
            self.retry = None;
            self.udp.resume();
            busy = true;
        }
        while let Some((port, reuse)) = self.tuples.expire(now) {
            self.ports.leave(port, reuse);
        }
        let connections = &mut self.connections;
        while let Some(key) = self.timers.pop(now, |key, at| {
            let connection = connections.get_mut(key);
            connection.is_some_and(|c| c.armed.fires(at))
        }) {
            busy = true;
            let connection = &mut connections[key];
            if connection.deadline().is_some_and(|at| at <= now) {
                match connection.overdue() {
                    Overdue::Fail(error) => connection.fail(error),
                    Overdue::Drop => connection.abort(),
                    Overdue::Probe => {}
                }
            }
            if connection.touched.is_none() {
                connection.touched = Some(self.touched.len());
                self.touched.push(key);
            }
        }
        if self.timers.len() > 4 * connections.len() + 1024 {
            self.timers
                .prune(|key, at| connections.get(key).is_some_and(|c| c.armed.is(at)));
        }
        busy
    }

    fn serve_touched(&mut self, now: Instant) -> bool {
        let mut touched = core::mem::take(&mut self.touched);
        let busy = !touched.is_empty();
        for (place, key) in touched.drain(..).enumerate() {
            // One to which news came after it had been touched has its turn later.
            let connection = self.connections.get(key);
            if connection.is_some_and(|connection| connection.touched == Some(place)) {
                self.serve(key, now);
            }
        }
        // Serving one connection may touch another; keep those, and the vector's memory.
        touched.append(&mut self.touched);
        self.touched = touched;
        busy
    }
}

pub(crate) const ACQUIRE: core::sync::atomic::Ordering = core::sync::atomic::Ordering::Acquire;
