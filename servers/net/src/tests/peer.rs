// SPDX-License-Identifier: BSD-2-Clause
//! The other side of the wire: a host with smoltcp, which can lose frames.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Address};
use std::collections::VecDeque;
use std::vec::Vec;

use super::{GATEWAY, OWN};

#[derive(Default)]
struct Wire {
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
}

struct In(Vec<u8>);
struct Out<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = std::vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = In;
    type TxToken<'a> = Out<'a>;

    fn receive(&mut self, _: Instant) -> Option<(In, Out<'_>)> {
        Some((In(self.inbox.pop_front()?), Out(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
        Some(Out(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub struct Peer {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    next_port: u16,
    /// Loses one frame in so many, by chance, both ways together; 0: none.
    pub lose: u32,
    chance: u32,
}

impl Peer {
    pub fn new(now: Instant) -> Peer {
        let mac = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);
        let mut config = Config::new(HardwareAddress::Ethernet(mac));
        config.random_seed = 99;
        let mut wire = Wire::default();
        let mut interface = Interface::new(config, &mut wire, now);
        interface.update_ip_addrs(|all| {
            all.push(IpCidr::new(Ipv4Address::from(GATEWAY).into(), 24))
                .unwrap();
        });
        Peer {
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            next_port: 40000,
            lose: 0,
            chance: 1,
        }
    }

    fn lost(&mut self) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.lose != 0 && (self.chance >> 16).is_multiple_of(self.lose)
    }

    pub fn deliver(&mut self, frame: Vec<u8>) {
        if !self.lost() {
            self.wire.inbox.push_back(frame);
        }
    }

    pub fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let frame = self.wire.outbox.pop_front()?;
            if !self.lost() {
                return Some(frame);
            }
        }
    }

    pub fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(now, &self.sockets)
    }

    /// Lets the server learn our hardware address.
    pub fn learn(&mut self, now: Instant) {
        self.connect_from(39999, 1);
        self.poll(now);
    }

    fn add(&mut self, size: usize) -> SocketHandle {
        let buffer = || SocketBuffer::new(std::vec![0; size]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        self.sockets.add(socket)
    }

    pub fn connect(&mut self, port: u16) -> SocketHandle {
        self.next_port += 1;
        self.connect_from(self.next_port, port)
    }

    pub fn connect_from(&mut self, from: u16, port: u16) -> SocketHandle {
        let handle = self.add(65535);
        let target = (IpAddress::Ipv4(Ipv4Address::from(OWN)), port);
        let socket: &mut Socket = self.sockets.get_mut(handle);
        socket
            .connect(self.interface.context(), target, from)
            .unwrap();
        handle
    }

    pub fn listen(&mut self, port: u16) -> SocketHandle {
        let handle = self.add(4096);
        self.socket(handle).listen(port).unwrap();
        handle
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub fn state(&mut self, handle: SocketHandle) -> State {
        self.socket(handle).state()
    }

    pub fn read(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut bytes = std::vec![0; 65536];
        let n = self.socket(handle).recv_slice(&mut bytes).unwrap_or(0);
        bytes.truncate(n);
        bytes
    }
}
