// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets that the outside reaches: each is a channel ([`vfs_hooks::udp`]) of which we hold the senders' side. What arrives goes to its socket's queue at once; what a process
//! wants to send lies in the socket's outward queue, and the process marks the channel.
//!
//! A socket is found by its port; of several the one that says most of where a datagram goes and comes from gets it, as the root server has it for datagrams in the machine.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use smoltcp::time::Instant;
use vfs_hooks::udp::{Datagram, End, LARGEST_FRAME, OUTWARD, Socket as Shared};

use crate::datagram::{
    ARP, EVERYBODY, Found, HEADERS, Own, UNREACHABLE, look, read_arp, write_arp, write_datagram,
    write_unreachable,
};
use crate::errno::Errno;
use crate::joined::Resident;
use crate::link::Card;
use crate::neighbours::{Neighbours, Outgoing};
use crate::server::{Platform, RETRY, Server};

/// Datagrams that a socket sends before others get a turn.
const BURST: usize = 64;

/// What UDP needs of the system.
pub trait UdpPlatform {
    /// Makes us a holder of a socket's channel until [`Platform::leave`], if the client has that socket open: what the socket is bound to.
    fn udp_join(&mut self, client: usize, channel: usize) -> Result<End, Errno>;

    /// The socket of a channel that we hold.
    fn udp_socket(&mut self, channel: usize) -> Shared<'static>;
}

struct Socket {
    /// As the root server said when we joined.
    name: End,
    shared: Shared<'static>,
    /// It is among those that are to be served.
    pending: bool,
}

/// The sockets.
#[derive(Default)]
pub struct Sockets {
    /// By channel.
    sockets: BTreeMap<usize, Socket>,
    /// Channels by port, in the order in which they came.
    ports: BTreeMap<u16, Vec<usize>>,
    /// Channels from which something is to go out; and those that wait for the card.
    pending: Vec<usize>,
    stalled: Vec<usize>,
    neighbours: Neighbours,
}

impl Sockets {
    /// A process says that something is to go out. Any number is a fair question.
    pub fn mark(&mut self, channel: usize) {
        if let Some(socket) = self.sockets.get_mut(&channel)
            && !socket.pending
        {
            socket.pending = true;
            self.pending.push(channel);
        }
    }

    /// The card may have room again.
    pub fn resume(&mut self) {
        self.pending.append(&mut self.stalled);
    }

    /// Whether a turn would do something.
    pub fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When it would even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.neighbours.deadline()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    fn remove(&mut self, channel: usize) {
        if let Some(socket) = self.sockets.remove(&channel)
            && let Some(channels) = self.ports.get_mut(&socket.name.port)
        {
            channels.retain(|other| *other != channel);
            if channels.is_empty() {
                self.ports.remove(&socket.name.port);
            }
        }
    }

    /// Those that receive a datagram: all if it is for everybody, else the one that fits best.
    fn receivers(&self, from: End, to: End, everybody: bool) -> Vec<usize> {
        let mut found = Vec::new();
        let mut best = 0;
        for channel in self.ports.get(&to.port).into_iter().flatten() {
            let Some(socket) = self.sockets.get(channel) else {
                continue;
            };
            let named = socket.name.ip != 0;
            let fits = !named || socket.name.ip == to.ip;
            if !fits || !socket.shared.is_open() || !socket.shared.accepts(from) {
                continue;
            }
            let connected = socket.shared.peer().is_some();
            let score = u32::from(named) + 2 * u32::from(connected);
            if !everybody && score >= best {
                found.clear();
                best = score;
            }
            if everybody || score >= best {
                found.push(*channel);
            }
        }
        found
    }
}

/// What Linux makes of an ICMP code; none: it is but a hint.
fn errno(code: u8) -> Option<u32> {
    Some(match code {
        2 => 92,
        3 => Errno::CONNREFUSED.0,
        6 | 9 => Errno::NETUNREACH.0,
        7 => 112,
        8 => 64,
        10 | 13..=15 => Errno::HOSTUNREACH.0,
        _ => return None,
    })
}

impl<C: Card, P: Platform> Server<C, P> {
    fn own(&mut self) -> Own {
        Own {
            mac: self.link.card().mac(),
            ip: self.config.address,
            prefix: self.config.prefix,
        }
    }

    /// UDP_OPEN.
    pub(crate) fn udp_open(&mut self, client: usize, channel: u64) -> Result<u64, Errno> {
        let channel = usize::try_from(channel).map_err(|_| Errno::INVAL)?;
        match self.residents.get(&channel) {
            None => {}
            Some(Resident::Datagrams) => return Ok(0),
            Some(_) => return Err(Errno::INVAL),
        }
        let name = self.platform.udp_join(client, channel)?;
        self.residents.insert(channel, Resident::Datagrams);
        let shared = self.platform.udp_socket(channel);
        let socket = Socket {
            name,
            shared,
            pending: false,
        };
        self.udp.sockets.insert(channel, socket);
        self.udp.ports.entry(name.port).or_default().push(channel);
        shared.set_joined();
        // What was put there before we knew.
        self.udp.mark(channel);
        Ok(0)
    }

    /// ARP: somebody may have become known.
    pub(crate) fn hear_arp(&mut self, frame: &[u8], now: Instant) {
        let own = self.own();
        let Some((ip, mac)) = read_arp(frame, &own) else {
            return;
        };
        for datagram in self.udp.neighbours.hear(ip, mac, now) {
            self.transmit(&own, mac, datagram.port, datagram.to, &datagram.bytes);
        }
    }

    /// A frame that is neither TCP nor anything that smoltcp answers.
    pub(crate) fn take_datagram(&mut self, frame: &[u8]) {
        let own = self.own();
        match look(frame, &own) {
            Found::Datagram { from, to, bytes } => {
                let everybody = own.is_broadcast(to.ip);
                let receivers = self.udp.receivers(from, to, everybody);
                if receivers.is_empty() && !everybody && self.link.card().can_transmit() {
                    let card = self.link.card();
                    card.transmit(UNREACHABLE, |out| write_unreachable(out, &own, frame));
                }
                for channel in receivers {
                    self.bring(channel, from, to.ip, bytes);
                }
            }
            Found::Unreachable { code, port, to } => self.udp_unreachable(code, port, to),
            Found::Nothing => {}
        }
    }

    fn bring(&mut self, channel: usize, other: End, own: u32, bytes: &[u8]) {
        if let Some(socket) = self.udp.sockets.get(&channel) {
            let datagram = Datagram {
                len: bytes.len(),
                other,
                own,
            };
            let platform = &mut self.platform;
            // Full: the socket counts what it loses.
            let _ = socket.shared.bring(datagram, bytes, |watch| {
                platform.signal_channel(channel, watch);
            });
        }
    }

    /// ICMP: the socket that is connected there is told.
    fn udp_unreachable(&mut self, code: u8, port: u16, to: End) {
        let Some(errno) = errno(code) else {
            return;
        };
        for &channel in self.udp.ports.get(&port).into_iter().flatten() {
            if let Some(socket) = self.udp.sockets.get(&channel)
                && socket.shared.peer() == Some(to)
            {
                let platform = &mut self.platform;
                socket
                    .shared
                    .fail(errno, |watch| platform.signal_channel(channel, watch));
            }
        }
    }

    /// UDP's part of a turn. Whether there was anything to do.
    pub(crate) fn serve_udp(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(ip) = self.udp.neighbours.overdue(now) {
            busy = true;
            self.ask(ip);
        }
        for channel in core::mem::take(&mut self.udp.pending) {
            busy = true;
            self.drain(channel, now);
        }
        busy
    }

    /// Nobody has the socket open any longer.
    pub(crate) fn close_udp(&mut self, channel: usize, now: Instant) {
        self.drain_all(channel, now);
        self.udp.remove(channel);
        self.leave(channel);
    }

    /// Sends what a socket has for the outside, up to a burst.
    fn drain(&mut self, channel: usize, now: Instant) {
        let Some(socket) = self.udp.sockets.get_mut(&channel) else {
            return;
        };
        let (shared, port) = (socket.shared, socket.name.port);
        // Before the look: a mark that comes later counts anew.
        socket.pending = false;
        let mut bytes = [0; LARGEST_FRAME];
        for _ in 0..BURST {
            if !self.link.card().can_transmit() {
                self.retry = Some(now + RETRY);
                self.wait_for_card(channel);
                return;
            }
            let Some(datagram) = shared.take(&mut bytes) else {
                return;
            };
            self.send_udp(port, datagram.other, &bytes[..datagram.len], now);
        }
        self.udp.mark(channel);
    }

    /// What a process that has ended wanted to send, as far as the card takes it.
    fn drain_all(&mut self, channel: usize, now: Instant) {
        // A limit, since a process that sends to the socket may put more there.
        for _ in 0..OUTWARD as usize / 16 / BURST {
            self.drain(channel, now);
        }
    }

    fn wait_for_card(&mut self, channel: usize) {
        if let Some(socket) = self.udp.sockets.get_mut(&channel) {
            socket.pending = true;
            self.udp.stalled.push(channel);
        }
    }

    /// Sends one datagram, now or when its next hop is known. What cannot go anywhere is lost.
    fn send_udp(&mut self, port: u16, to: End, bytes: &[u8], now: Instant) {
        let own = self.own();
        let everybody = own.is_broadcast(to.ip);
        let nobody = matches!(to.ip >> 24, 0 | 127) || to.ip == own.ip;
        let group = to.ip >= 224 << 24 && !everybody;
        if nobody || group || to.port == 0 {
            return;
        }
        let hop = match own.is_near(to.ip) {
            true => to.ip,
            false => self.config.gateway,
        };
        if everybody {
            self.transmit(&own, EVERYBODY, port, to, bytes);
        } else if let Some(mac) = self.udp.neighbours.mac(hop, now) {
            self.transmit(&own, mac, port, to, bytes);
        } else if hop != 0 {
            let datagram = Outgoing {
                port,
                to,
                bytes: bytes.to_vec(),
            };
            if self.udp.neighbours.wait(hop, datagram, now) {
                self.ask(hop);
            }
        }
    }

    fn transmit(&mut self, own: &Own, mac: [u8; 6], port: u16, to: End, bytes: &[u8]) {
        let card = self.link.card();
        if card.can_transmit() {
            card.transmit(HEADERS + bytes.len(), |frame| {
                write_datagram(frame, own, mac, port, to, bytes);
            });
        }
    }

    fn ask(&mut self, ip: u32) {
        let own = self.own();
        let card = self.link.card();
        if card.can_transmit() {
            card.transmit(ARP, |frame| write_arp(frame, &own, ip));
        }
    }
}
