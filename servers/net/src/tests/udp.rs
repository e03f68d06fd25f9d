// SPDX-License-Identifier: BSD-2-Clause
//! UDP: what goes in and out, and what outsiders and processes may do without harm.

use smoltcp::time::Duration;
use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Address, Ipv4Packet, UdpPacket};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::vec::Vec;

use super::segment::packet;
use super::{GATEWAY, HUNG, MAC, OWN, Rig, System};
use crate::datagram::{HEADERS, Own, write_datagram};
use crate::{Errno, MAX_CLIENTS, UdpPlatform};
use vfs_hooks::Events;
use vfs_hooks::channel::Header;
use vfs_hooks::ring::Ring;
use vfs_hooks::udp::{
    Datagram, End, INWARD, LARGEST_FRAME, LOCAL, OUTWARD, Received, Refused, Socket, Udp,
};
use vfs_hooks::wire::net;

/// Where the peer's datagrams come from.
const FROM: End = End {
    ip: GATEWAY,
    port: 5000,
};
const PEER_MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// A socket's channel.
#[derive(Clone, Copy)]
struct Memory {
    name: End,
    header: &'static Header,
    udp: &'static Udp,
    rings: [Ring<'static>; 3],
}

impl Memory {
    /// Memory that is never given back.
    fn new(name: End) -> Memory {
        let (header, udp): (&'static Header, &'static Udp) =
            (Box::leak(Box::default()), Box::leak(Box::default()));
        header.sides[0].holders.store(1, Ordering::Relaxed);
        let sizes = [LOCAL, INWARD, OUTWARD];
        let rings = std::array::from_fn(|which| {
            let bytes = std::vec![0u64; sizes[which] as usize / 8].into_boxed_slice();
            let data = NonNull::from(Box::leak(bytes)).cast();
            // SAFETY: leaked, so valid for good, and of this size; accessed by rings only.
            unsafe { Ring::new(udp.ring(which), data, sizes[which]) }
        });
        let memory = Memory {
            name,
            header,
            udp,
            rings,
        };
        memory.socket().start();
        memory.socket().set_name(name);
        memory
    }

    fn socket(&self) -> Socket<'static> {
        Socket::new(self.header, self.udp, self.rings)
    }
}

/// The root server's part.
#[derive(Default)]
pub struct Channels {
    all: BTreeMap<usize, Memory>,
}

impl UdpPlatform for System {
    fn udp_join(&mut self, client: usize, channel: usize) -> Result<End, Errno> {
        assert!(client < MAX_CLIENTS);
        let memory = self.udp.all.get(&channel).ok_or(Errno(9))?;
        Ok(memory.name)
    }

    fn udp_socket(&mut self, channel: usize) -> Socket<'static> {
        self.udp.all[&channel].socket()
    }
}

/// A bound socket of client 0.
fn open(rig: &mut Rig, channel: usize, ip: u32, port: u16) -> Socket<'static> {
    let memory = Memory::new(End { ip, port });
    rig.server.platform().udp.all.insert(channel, memory);
    let program = rig.program(0);
    assert_eq!(
        program.call(rig, net::UDP_OPEN, [channel as u64, 0, 0]),
        Ok(0)
    );
    memory.socket()
}

/// Gives a socket something to send, as the shim does.
fn send(rig: &mut Rig, channel: usize, to: End, bytes: &[u8]) -> Vec<Vec<u8>> {
    let socket = rig.server.platform().udp.all[&channel].socket();
    let datagram = Datagram {
        len: bytes.len(),
        other: to,
        own: OWN,
    };
    socket.give(1, datagram, bytes).unwrap();
    let program = rig.program(0);
    let _ = program.channel.control().mark_channel(channel);
    settle(rig)
}

fn settle(rig: &mut Rig) -> Vec<Vec<u8>> {
    while rig.server.turn(rig.now) || !rig.server.may_sleep(rig.now) {}
    rig.server.card().from_server.drain(..).collect()
}

fn receive(socket: &Socket) -> Result<(Received, Vec<u8>), Refused> {
    let mut bytes = std::vec![0; 2000];
    let got = socket.receive(1, &mut bytes, false)?;
    bytes.truncate(got.copied);
    Ok((got, bytes))
}

/// A datagram in its frame, with its checksum.
fn frame(from: u16, to: u16, bytes: &[u8]) -> Vec<u8> {
    let mut part = std::vec![0; 8];
    part[0..2].copy_from_slice(&from.to_be_bytes());
    part[2..4].copy_from_slice(&to.to_be_bytes());
    part[4..6].copy_from_slice(&(8 + bytes.len() as u16).to_be_bytes());
    part.extend(bytes);
    let ends = [GATEWAY, OWN].map(|ip| Ipv4Address::from(ip).into());
    UdpPacket::new_unchecked(&mut part[..]).fill_checksum(&ends[0], &ends[1]);
    packet(IpProtocol::Udp, &part)
}

/// The answer to a question who has an address.
fn arp_reply(ip: u32, mac: [u8; 6]) -> Vec<u8> {
    let mut frame = [&MAC[..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &mac].concat();
    frame.extend(ip.to_be_bytes());
    frame.extend(MAC);
    frame.extend(OWN.to_be_bytes());
    frame
}

/// Checks a frame that went out, by smoltcp's eyes: ends and bytes.
fn sent(frame: &[u8]) -> (u16, End, Vec<u8>) {
    assert_eq!(frame[6..14], [&MAC[..], &[8, 0]].concat());
    let ip = Ipv4Packet::new_checked(&frame[14..]).unwrap();
    assert!(ip.verify_checksum());
    assert_eq!(ip.next_header(), IpProtocol::Udp);
    assert_eq!(ip.total_len() as usize, frame.len() - 14);
    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!(ip.src_addr(), Ipv4Address::from(OWN));
    let to = End {
        ip: u32::from(ip.dst_addr()),
        port: udp.dst_port(),
    };
    (udp.src_port(), to, udp.payload().to_vec())
}

fn is_arp_request(frame: &[u8], ip: u32) -> bool {
    frame.len() == 42
        && frame[12..22] == [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]
        && frame[38..] == ip.to_be_bytes()
}

/// Lets the server know the gateway.
fn learn(rig: &mut Rig, channel: usize) {
    let asked = send(rig, channel, FROM, b"?");
    assert!(is_arp_request(&asked[0], GATEWAY));
    assert_eq!(rig.exchange(arp_reply(GATEWAY, PEER_MAC)).len(), 1);
}

#[test]
fn datagrams_of_every_size_arrive_and_tell() {
    let mut rig = Rig::new();
    let socket = open(&mut rig, 7, 0, 53);
    assert!(socket.is_joined());
    let header = rig.server.platform().udp.all[&7].header;
    header.sides[0].subscriptions.put(2, 2, Events::IN);
    for len in (0..=LARGEST_FRAME).step_by(7).chain([LARGEST_FRAME]) {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        assert!(rig.exchange(frame(FROM.port, 53, &bytes)).is_empty());
        let (got, read) = receive(&socket).unwrap();
        assert_eq!((got.datagram.other, got.datagram.own), (FROM, OWN));
        assert_eq!(read, bytes);
    }
    assert_eq!(
        rig.server.platform().signals,
        [(1007, 2)],
        "once, until it is armed again"
    );
    assert_eq!(socket.readiness().edges.input, 212);
}

#[test]
fn a_port_that_nobody_has_is_answered() {
    let mut rig = Rig::new();
    open(&mut rig, 7, 0, 53);
    let asked = frame(FROM.port, 54, b"hello");
    let answer = rig.exchange(asked.clone());
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0][..6], PEER_MAC);
    let ip = Ipv4Packet::new_checked(&answer[0][14..]).unwrap();
    assert!(ip.verify_checksum() && ip.dst_addr() == Ipv4Address::from(GATEWAY));
    let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    assert!(icmp.verify_checksum());
    assert_eq!(ip.payload()[..2], [3, 3]);
    assert_eq!(ip.payload()[8..], asked[14..42]);
}

#[test]
fn what_is_damaged_or_not_for_us_is_dropped() {
    let mut rig = Rig::new();
    let socket = open(&mut rig, 7, 0, 53);
    let good = frame(FROM.port, 53, b"some bytes");
    for at in 14..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let answers = rig.exchange(bad);
            // The checksum's own halves of 0 are none; no other flip goes unnoticed.
            assert!(receive(&socket).is_err(), "byte {at}, bit {bit}");
            assert!(answers.is_empty(), "byte {at}, bit {bit}");
        }
    }
    let mut other = good.clone();
    other[5] ^= 1;
    rig.exchange(other);
    let mut unchecked = good.clone();
    unchecked[40..42].copy_from_slice(&[0; 2]);
    assert!(receive(&socket).is_err(), "another's hardware address");
    rig.exchange(unchecked);
    assert!(receive(&socket).is_ok(), "without a checksum");
    for len in 0..good.len() {
        rig.exchange(good[..len].to_vec());
        assert!(receive(&socket).is_err(), "cut at {len}");
    }
    let mut short = good.clone();
    for claimed in [0u16, 7, 19, 100, 65535] {
        short[38..40].copy_from_slice(&claimed.to_be_bytes());
        short[40..42].copy_from_slice(&[0; 2]);
        rig.exchange(short.clone());
        assert!(receive(&socket).is_err(), "says {claimed} bytes");
    }
    rig.exchange(good);
    assert_eq!(receive(&socket).unwrap().1, b"some bytes");
}

#[test]
fn a_flood_is_lost_and_counted() {
    let mut rig = Rig::new();
    let (full, other) = (open(&mut rig, 7, 0, 53), open(&mut rig, 8, 0, 54));
    for _ in 0..5000 {
        rig.exchange(frame(FROM.port, 53, &[1; 1000]));
    }
    rig.exchange(frame(FROM.port, 54, b"fine"));
    let mut there = 0;
    while receive(&full).is_ok() {
        there += 1;
    }
    assert_eq!(there + full.lost(), 5000);
    assert_eq!(there, INWARD / 1016);
    assert_eq!(receive(&other).unwrap().1, b"fine");
    rig.exchange(frame(FROM.port, 53, b"again"));
    assert_eq!(receive(&full).unwrap().1, b"again");
}

#[test]
fn the_socket_that_says_most_receives() {
    let mut rig = Rig::new();
    let (any, own, friend) = (
        open(&mut rig, 1, 0, 53),
        open(&mut rig, 2, OWN, 53),
        open(&mut rig, 3, 0, 53),
    );
    friend.set_peer(Some(FROM));
    rig.exchange(frame(FROM.port, 53, b"known"));
    assert_eq!(receive(&friend).unwrap().1, b"known");
    rig.exchange(frame(6000, 53, b"unknown"));
    assert_eq!(receive(&own).unwrap().1, b"unknown");
    rig.server.platform().udp.all[&2].header.sides[0]
        .holders
        .store(0, Ordering::Relaxed);
    rig.exchange(frame(6000, 53, b"closed"));
    assert_eq!(receive(&any).unwrap().1, b"closed");
}

#[test]
fn everybody_receives_a_broadcast() {
    let mut rig = Rig::new();
    let sockets = [
        open(&mut rig, 1, 0, 67),
        open(&mut rig, 2, 0, 67),
        open(&mut rig, 3, OWN, 67),
    ];
    for to in [u32::MAX, OWN | 0xff] {
        let mut cast = frame(FROM.port, 67, b"all");
        cast[..6].copy_from_slice(&[0xff; 6]);
        cast[30..34].copy_from_slice(&to.to_be_bytes());
        cast[40..42].copy_from_slice(&[0; 2]);
        Ipv4Packet::new_unchecked(&mut cast[14..34]).fill_checksum();
        assert!(rig.exchange(cast).is_empty());
        assert_eq!(receive(&sockets[0]).unwrap().1, b"all");
        assert_eq!(receive(&sockets[1]).unwrap().0.datagram.own, to);
        assert!(receive(&sockets[2]).is_err());
    }
}

#[test]
fn sending_asks_for_the_neighbour_first() {
    let mut rig = Rig::new();
    open(&mut rig, 7, 0, 53);
    let near = End {
        ip: 0x0a00_0209,
        port: 99,
    };
    let asked = send(&mut rig, 7, near, b"one");
    assert_eq!(asked.len(), 1);
    assert!(is_arp_request(&asked[0], near.ip));
    assert!(send(&mut rig, 7, near, b"two").is_empty());
    let out = rig.exchange(arp_reply(near.ip, [2, 0, 0, 0, 0, 9]));
    assert_eq!(out.len(), 2);
    assert_eq!(out[0][..6], [2, 0, 0, 0, 0, 9]);
    assert_eq!(sent(&out[0]), (53, near, b"one".to_vec()));
    assert_eq!(sent(&out[1]), (53, near, b"two".to_vec()));
    let out = send(&mut rig, 7, near, b"");
    assert_eq!(sent(&out[0]), (53, near, Vec::new()));
}

#[test]
fn what_is_far_goes_by_the_gateway() {
    let mut rig = Rig::new();
    open(&mut rig, 7, 0, 53);
    learn(&mut rig, 7);
    let far = End {
        ip: 0x0808_0808,
        port: 53,
    };
    for len in [1, 2, 3, 4, 1471, LARGEST_FRAME] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let out = send(&mut rig, 7, far, &bytes);
        assert_eq!(out[0][..6], PEER_MAC);
        assert_eq!(sent(&out[0]), (53, far, bytes));
    }
    let everybody = End {
        ip: u32::MAX,
        port: 67,
    };
    assert_eq!(send(&mut rig, 7, everybody, b"all")[0][..6], [0xff; 6]);
}

/// A checksum of 0 would mean that there is none (RFC 768).
#[test]
fn a_checksum_that_comes_to_nothing_is_written_as_all_ones() {
    let own = Own {
        mac: MAC,
        ip: OWN,
        prefix: 24,
    };
    let mut seen = 0;
    for value in 0..=u16::MAX {
        let mut frame = [0; HEADERS + 2];
        write_datagram(&mut frame, &own, PEER_MAC, 53, FROM, &value.to_be_bytes());
        assert_ne!(frame[40..42], [0; 2]);
        if frame[40..42] == [0xff; 2] {
            sent(&frame);
            seen += 1;
        }
    }
    assert_eq!(seen, 1);
}

#[test]
fn a_neighbour_that_does_not_answer_costs_three_questions() {
    let mut rig = Rig::new();
    open(&mut rig, 7, 0, 53);
    let mut questions = send(&mut rig, 7, FROM, b"?").len();
    while let Some(at) = rig.server.deadline() {
        assert!(at > rig.now);
        rig.now = at;
        questions += settle(&mut rig).len();
    }
    assert_eq!(questions, 3);
    // Later answers count for nothing.
    assert!(rig.exchange(arp_reply(GATEWAY, PEER_MAC)).is_empty());
}

#[test]
fn a_card_without_room_delays_what_goes_out() {
    let mut rig = Rig::new();
    open(&mut rig, 7, 0, 53);
    learn(&mut rig, 7);
    rig.server.card().full = true;
    assert!(send(&mut rig, 7, FROM, b"patience").is_empty());
    let at = rig.server.deadline().unwrap();
    rig.server.card().full = false;
    rig.now = at;
    assert_eq!(sent(&settle(&mut rig)[0]).2, b"patience");
}

#[test]
fn icmp_tells_who_is_connected_there() {
    let mut rig = Rig::new();
    let (connected, other) = (open(&mut rig, 7, 0, 53), open(&mut rig, 8, 0, 53));
    connected.set_peer(Some(FROM));
    learn(&mut rig, 7);
    let out = send(&mut rig, 7, FROM, b"x");
    for (code, errno) in [(3, Some(111)), (1, None), (13, Some(113))] {
        let mut icmp = std::vec![3, code, 0, 0, 0, 0, 0, 0];
        icmp.extend(&out[0][14..42]);
        Icmpv4Packet::new_unchecked(&mut icmp[..]).fill_checksum();
        rig.exchange(packet(IpProtocol::Icmp, &icmp));
        assert_eq!((connected.take_error(), other.take_error()), (errno, None));
        icmp[30] ^= 1;
        rig.exchange(packet(IpProtocol::Icmp, &icmp));
        assert_eq!(connected.take_error(), None, "damaged");
    }
}

#[test]
fn closed_sockets_send_their_last_and_are_left() {
    let mut rig = Rig::new();
    let socket = open(&mut rig, 7, 0, 53);
    learn(&mut rig, 7);
    let datagram = Datagram {
        len: 4,
        other: FROM,
        own: OWN,
    };
    socket.give(1, datagram, b"last").unwrap();
    let platform = rig.server.platform();
    platform.udp.all[&7].header.sides[0]
        .holders
        .store(0, Ordering::Relaxed);
    HUNG.with_borrow_mut(|hung| hung.push_back(7));
    let out = settle(&mut rig);
    assert_eq!(sent(&out[0]).2, b"last");
    assert_eq!(rig.server.platform().left, [7]);
    assert_eq!(rig.server.udp.len(), 0);
    assert_eq!(
        rig.exchange(frame(FROM.port, 53, b"x")).len(),
        1,
        "nobody has the port"
    );
}

#[test]
fn processes_that_make_things_up_harm_only_themselves() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    for channel in [7u64, 4096, u64::from(u32::MAX), u64::MAX] {
        let refused = program.call(&mut rig, net::UDP_OPEN, [channel, 0, 0]);
        assert!(refused.is_err());
    }
    let (bad, good) = (open(&mut rig, 7, 0, 53), open(&mut rig, 8, 0, 54));
    learn(&mut rig, 8);
    // To nobody, to this machine, to a group, to no port: not one frame.
    for (ip, port) in [
        (0, 1),
        (OWN, 1),
        (0x7f00_0001, 1),
        (0xe000_0001, 1),
        (GATEWAY, 0),
    ] {
        assert!(send(&mut rig, 7, End { ip, port }, b"x").is_empty());
    }
    let mut roll = 99u64;
    let mut dice = || {
        roll ^= roll << 13;
        roll ^= roll >> 7;
        roll ^= roll << 17;
        roll
    };
    let memory = rig.server.platform().udp.all[&7];
    for round in 0..2000 {
        let which = 1 + (dice() % 2) as usize;
        match dice() % 4 {
            0 => memory
                .udp
                .ring(which)
                .head
                .store(dice() as u32, Ordering::Relaxed),
            1 => memory
                .udp
                .ring(which)
                .tail
                .store(dice() as u32, Ordering::Relaxed),
            2 => drop(memory.rings[which].stage_words([dice() & 0xfff, dice()])),
            _ => drop(memory.rings[which].publish((dice() % 3000) as usize & !7)),
        }
        let _ = program.channel.control().mark_channel(dice() as usize);
        let _ = program.channel.control().mark_channel(7);
        settle(&mut rig);
        rig.exchange(frame(FROM.port, 53, b"in"));
        let _ = receive(&bad);
        if round % 500 == 0 {
            rig.exchange(frame(FROM.port, 54, b"in"));
            assert_eq!(receive(&good).unwrap().1, b"in");
            let out = send(&mut rig, 8, FROM, b"out");
            assert_eq!(sent(out.last().unwrap()).2, b"out");
            rig.now += Duration::from_millis(100);
        }
    }
}

/// Frames that look like UDP, ICMP or ARP in most of their bytes.
#[test]
fn garbage_is_dropped() {
    let mut rig = Rig::new();
    let socket = open(&mut rig, 7, 0, 53);
    let mut icmp = std::vec![3, 3, 0, 0, 0, 0, 0, 0];
    icmp.extend(&frame(53, 9, b"")[14..42]);
    Icmpv4Packet::new_unchecked(&mut icmp[..]).fill_checksum();
    let seeds = [
        frame(FROM.port, 53, &[7; 40]),
        packet(IpProtocol::Icmp, &icmp),
        arp_reply(GATEWAY, PEER_MAC),
    ];
    let mut roll = 7u64;
    let mut dice = || {
        roll ^= roll << 13;
        roll ^= roll >> 7;
        roll ^= roll << 17;
        roll
    };
    for _ in 0..20_000 {
        let mut bytes = seeds[(dice() % 3) as usize].clone();
        bytes.truncate((dice() % (2 * bytes.len() as u64)) as usize);
        for _ in 0..dice() % 5 {
            if !bytes.is_empty() {
                let at = (dice() % bytes.len() as u64) as usize;
                bytes[at] = dice() as u8;
            }
        }
        rig.exchange(bytes);
        while receive(&socket).is_ok() {}
    }
    rig.exchange(frame(FROM.port, 53, b"still"));
    assert_eq!(receive(&socket).unwrap().1, b"still");
}

#[test]
fn a_channel_is_a_socket_of_one_kind() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let tcp = program.new_channel(&mut rig);
    let both = program.new_channel(&mut rig);
    for port in [80, 81] {
        program.bind(&mut rig, port, true).unwrap();
    }
    // What leaving one of two would unmap under the other.
    assert_eq!(
        program.call(&mut rig, net::LISTEN, [80, 4, tcp as u64]),
        Ok(0)
    );
    let memory = Memory::new(End { ip: 0, port: 53 });
    let channels = &mut rig.server.platform().udp.all;
    channels.insert(tcp, memory);
    assert_eq!(
        program.call(&mut rig, net::UDP_OPEN, [tcp as u64, 0, 0]),
        Err(Errno::INVAL)
    );
    let socket = open(&mut rig, both, 0, 54);
    assert_eq!(
        program.call(&mut rig, net::LISTEN, [81, 4, both as u64]),
        Err(Errno::INVAL)
    );
    rig.exchange(frame(FROM.port, 54, b"in"));
    assert_eq!(receive(&socket).unwrap().1, b"in");
}
