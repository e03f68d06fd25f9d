// SPDX-License-Identifier: BSD-2-Clause
//! The guest's only neighbour: a host with smoltcp at the gateway's address, and whoever else we pretend to be.
//!
//! Frames for the gateway's hardware and IP address go to smoltcp. TCP for any other address is kept
//! for [`Peer::take_segment`], the rest for [`Peer::take_stray`]. Off the guest's network there are as
//! many forged hosts as one likes: the guest sends to them through the gateway.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant as Time;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::segment::{End, IP, Mac, PAYLOAD, Segment};
use super::wire::{Faults, Wire};

/// The guest's hardware address: what QEMU gives the first card.
pub const GUEST_MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// Ours.
pub const MAC: Mac = [0x52, 0x55, 10, 0, 2, 2];
/// Our address: the guest's gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Where the demo listens.
pub const GUEST: End = End {
    address: Ipv4Addr::new(10, 0, 2, 15),
    port: 8080,
};

/// Most segments and strays that are kept for somebody to take.
const KEPT: usize = 8192;
/// smoltcp's receive buffer: the largest window that needs no scaling.
const WINDOW: usize = 65535;

#[derive(Default)]
struct Boxes {
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
}

struct In(Vec<u8>);
struct Out<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Boxes {
    type RxToken<'a> = In;
    type TxToken<'a> = Out<'a>;

    fn receive(&mut self, _: Time) -> Option<(In, Out<'_>)> {
        Some((In(self.inbox.pop_front()?), Out(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Time) -> Option<Out<'_>> {
        Some(Out(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// All the hosts that the guest can see.
pub struct Peer {
    wire: Wire,
    boxes: Boxes,
    interface: Interface,
    sockets: SocketSet<'static>,
    segments: VecDeque<Segment>,
    strays: VecDeque<Vec<u8>>,
    /// What was wrong with a frame for a forged host.
    broken: Option<anyhow::Error>,
    faulty: bool,
    lossy: bool,
    begin: Instant,
    next_port: u16,
    next_host: u32,
}

impl Peer {
    /// A peer at one end of `wire`.
    pub fn new(wire: Wire) -> Self {
        let mac = HardwareAddress::Ethernet(EthernetAddress(MAC));
        let mut config = Config::new(mac);
        config.random_seed = 3;
        let mut boxes = Boxes::default();
        let mut interface = Interface::new(config, &mut boxes, Time::ZERO);
        interface.update_ip_addrs(|all| {
            // There is room for one at least.
            let _ = all.push(IpCidr::new(GATEWAY.into(), 24));
        });
        Self {
            wire,
            boxes,
            interface,
            sockets: SocketSet::new(Vec::new()),
            segments: VecDeque::new(),
            strays: VecDeque::new(),
            broken: None,
            faulty: false,
            lossy: false,
            begin: Instant::now(),
            next_port: 20_000,
            next_host: u32::from(Ipv4Addr::new(198, 18, 0, 0)),
        }
    }

    /// From now on frames meet these faults, decided by `seed`.
    pub fn set_faults(&mut self, faults: Faults, seed: u64) {
        let Faults {
            lose, flip, cut, ..
        } = faults;
        self.faulty = flip | cut != 0;
        self.lossy = self.faulty || lose != 0;
        self.wire.set_faults(faults, seed);
    }

    /// Whether frames may not arrive.
    pub fn is_lossy(&self) -> bool {
        self.lossy
    }

    /// Forgets what was kept for nobody.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.strays.clear();
    }

    /// A new smoltcp connection to the guest; its SYN goes out at the next turn.
    pub fn connect(&mut self) -> Result<SocketHandle> {
        let buffer = |size| SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(WINDOW), buffer(WINDOW));
        socket.set_nagle_enabled(false);
        self.next_port += 1;
        let target = (IpAddress::Ipv4(GUEST.address), GUEST.port);
        socket
            .connect(self.interface.context(), target, self.next_port)
            .context("smoltcp cannot connect")?;
        Ok(self.sockets.add(socket))
    }

    /// A connection made by [`Peer::connect`].
    pub fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Forgets a connection without a word.
    pub fn remove(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// A forged host that was not there before, with a port.
    pub fn stranger(&mut self) -> End {
        self.next_host += 1;
        End {
            address: Ipv4Addr::from(self.next_host),
            port: 1024 + (self.next_host % 50_000) as u16,
        }
    }

    /// Sends any frame.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.wire.send(frame);
    }

    /// Sends a forged segment.
    pub fn forge(&mut self, segment: &Segment) {
        self.send(segment.frame(MAC, GUEST_MAC));
    }

    /// The next segment for `host`.
    pub fn take_segment(&mut self, host: End) -> Option<Segment> {
        let index = self.segments.iter().position(|one| one.to == host)?;
        self.segments.remove(index)
    }

    /// The next segment for any forged host.
    pub fn take_any_segment(&mut self) -> Option<Segment> {
        self.segments.pop_front()
    }

    /// The next frame that is neither for smoltcp nor TCP.
    pub fn take_stray(&mut self) -> Option<Vec<u8>> {
        self.strays.pop_front()
    }

    /// Goes on until `done` says what came of it. `what` completes "... within N s".
    pub fn until<T>(
        &mut self,
        limit: Duration,
        what: &str,
        done: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        match self.at_most(limit, done)? {
            Some(result) => Ok(result),
            None => bail!("{what} within {} s", limit.as_secs()),
        }
    }

    /// Goes on until `done` says what came of it or the time is over.
    pub fn at_most<T>(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + limit;
        loop {
            let busy = self.turn()?;
            if let Some(result) = done(self)? {
                return Ok(Some(result));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // `done` may have given smoltcp something to send.
            if !busy && !self.turn()? {
                self.wait(deadline)?;
            }
        }
    }

    /// Moves all that can be moved now. Returns whether there was anything.
    fn turn(&mut self) -> Result<bool> {
        let mut busy = self.wire.exchange()?;
        while let Some(frame) = self.wire.receive() {
            self.sort(frame);
        }
        if let Some(error) = self.broken.take() {
            return Err(error.context("the guest sent a broken frame"));
        }
        let now = self.now();
        let polled = self.interface.poll(now, &mut self.boxes, &mut self.sockets);
        busy |= polled == PollResult::SocketStateChanged;
        while let Some(frame) = self.boxes.outbox.pop_front() {
            self.wire.send(frame);
            busy = true;
        }
        Ok(busy)
    }

    fn wait(&mut self, until: Instant) -> Result<()> {
        let now = self.now();
        let smoltcp = self.interface.poll_at(now, &self.sockets);
        let due = smoltcp.map(|at| self.begin + Duration::from_micros(at.total_micros() as u64));
        self.wire.wait(due.map_or(until, |due| due.min(until)))
    }

    fn now(&self) -> Time {
        Time::from_micros(self.begin.elapsed().as_micros() as i64)
    }

    /// Gives a frame from the guest to whom it is for.
    fn sort(&mut self, frame: Vec<u8>) {
        let ours = frame.starts_with(&MAC) || frame.starts_with(&[0xff; 6]);
        let routed = frame.len() >= PAYLOAD
            && frame[12..14] == [8, 0]
            && frame[IP + 16..IP + 20] != GATEWAY.octets();
        if ours && !routed {
            self.boxes.inbox.push_back(frame);
            return;
        }
        match Segment::parse(&frame) {
            Ok(Some(segment)) => {
                self.segments.push_back(segment);
                if self.segments.len() > KEPT {
                    self.segments.pop_front();
                }
            }
            Ok(None) => {
                self.strays.push_back(frame);
                if self.strays.len() > KEPT {
                    self.strays.pop_front();
                }
            }
            // The faults are ours.
            Err(_) if self.faulty => {}
            Err(error) => self.broken = Some(error),
        }
    }
}
