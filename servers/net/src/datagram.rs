// SPDX-License-Identifier: BSD-2-Clause
//! UDP in Ethernet frames (RFC 768), what ICMP says of it (RFC 792), and ARP (RFC 826): read and written by hand, a few fields each.
//!
//! Nothing here is trusted: every length is checked, and every checksum, before anybody is told. Fragments are dropped.

use vfs_hooks::udp::End;

use crate::frame::{half, ipv4, word};

/// Ethernet's header.
const ETHERNET: usize = 14;
/// Ethernet, IPv4 and UDP headers.
pub const HEADERS: usize = ETHERNET + 20 + 8;
/// An ARP request in its frame.
pub const ARP: usize = ETHERNET + 28;
/// An ICMP message that says that a datagram did not arrive, in its frame: with the datagram's IPv4 header, without options, and 8 bytes.
pub const UNREACHABLE: usize = ETHERNET + 20 + 8 + 20 + 8;
/// Everybody's hardware address.
pub const EVERYBODY: [u8; 6] = [0xff; 6];
/// 255.255.255.255.
pub const BROADCAST: u32 = u32::MAX;

const IPV4: u16 = 0x0800;
const ARP_TYPE: u16 = 0x0806;
const ICMP_PROTOCOL: u8 = 1;
const UDP_PROTOCOL: u8 = 17;
const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;

/// Who we are.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Hardware address.
    pub mac: [u8; 6],
    /// IPv4 address.
    pub ip: u32,
    /// Bits of the network's prefix.
    pub prefix: u8,
}

impl Own {
    /// The network's bits of an address.
    fn mask(&self) -> u32 {
        let host = 32 - u32::from(self.prefix.clamp(1, 32));
        u32::MAX.checked_shl(host).unwrap_or(u32::MAX)
    }

    /// Whether an address is in our network.
    pub fn is_near(&self, ip: u32) -> bool {
        (ip ^ self.ip) & self.mask() == 0
    }

    /// Whether an address is everybody's.
    pub fn is_broadcast(&self, ip: u32) -> bool {
        let all = self.prefix < 31 && self.is_near(ip) && ip | self.mask() == u32::MAX;
        ip == BROADCAST || all
    }
}

/// What a frame is to UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A datagram for us, or for everybody.
    Datagram {
        /// Its sender.
        from: End,
        /// Where it goes.
        to: End,
        /// What it carries.
        bytes: &'a [u8],
    },
    /// Somebody says that a datagram of ours did not arrive.
    Unreachable {
        /// ICMP code.
        code: u8,
        /// Our port.
        port: u16,
        /// Where the datagram went.
        to: End,
    },
    /// Nothing of ours.
    Nothing,
}

/// Sum of 16-bit words in one's complement, as in RFC 1071; what checks itself sums up to 0xffff.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = u64::from(start);
    let mut words = bytes.chunks_exact(4);
    for part in &mut words {
        sum += u64::from(word(part, 0));
    }
    match *words.remainder() {
        [a] => sum += u64::from(a) << 8,
        [a, b] => sum += u64::from(u16::from_be_bytes([a, b])),
        [a, b, c] => sum += u64::from(u16::from_be_bytes([a, b])) + (u64::from(c) << 8),
        _ => {}
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What of the IPv4 header UDP's checksum covers.
fn pseudo(from: u32, to: u32, len: usize) -> u32 {
    let halves = |ip: u32| (ip >> 16) + (ip & 0xffff);
    halves(from) + halves(to) + u32::from(UDP_PROTOCOL) + len as u32
}

/// Whether somebody can have this address and send from it.
fn is_sender(ip: u32, own: &Own) -> bool {
    let network = ip >> 24;
    !matches!(network, 0 | 127 | 224..) && ip != own.ip && !own.is_broadcast(ip)
}

/// Looks at a frame that is neither TCP nor ARP.
pub fn look<'a>(frame: &'a [u8], own: &Own) -> Found<'a> {
    packet(frame, own).unwrap_or(Found::Nothing)
}

fn packet<'a>(frame: &'a [u8], own: &Own) -> Option<Found<'a>> {
    let (head, packet) = frame.split_at_checked(ETHERNET)?;
    let for_us = head[..6] == own.mac || head[..6] == EVERYBODY;
    if half(head, 12) != IPV4 || !for_us {
        return None;
    }
    let (source, destination, protocol, payload) = ipv4(packet, false)?;
    let header = (packet[0] & 15) as usize * 4;
    if sum(&packet[..header], 0) != 0xffff || !is_sender(source, own) {
        return None;
    }
    match protocol {
        UDP_PROTOCOL if destination == own.ip || own.is_broadcast(destination) => {
            datagram(source, destination, payload)
        }
        ICMP_PROTOCOL if destination == own.ip => unreachable(payload, own),
        _ => None,
    }
}

fn datagram(source: u32, destination: u32, payload: &[u8]) -> Option<Found<'_>> {
    let len = half(payload.get(..8)?, 4) as usize;
    let payload = payload.get(..len).filter(|payload| payload.len() >= 8)?;
    let (from, to, check) = (half(payload, 0), half(payload, 2), half(payload, 6));
    // A checksum of 0 is none (RFC 768).
    if to == 0 || check != 0 && sum(payload, pseudo(source, destination, len)) != 0xffff {
        return None;
    }
    let end = |ip, port| End { ip, port };
    Some(Found::Datagram {
        from: end(source, from),
        to: end(destination, to),
        bytes: &payload[8..],
    })
}

fn unreachable<'a>(payload: &[u8], own: &Own) -> Option<Found<'a>> {
    if *payload.first()? != 3 || sum(payload, 0) != 0xffff {
        return None;
    }
    // What follows is the start of the packet that we sent.
    let (source, destination, protocol, sent) = ipv4(payload.get(8..)?, true)?;
    if source != own.ip || protocol != UDP_PROTOCOL || sent.len() < 8 {
        return None;
    }
    Some(Found::Unreachable {
        code: payload[1],
        port: half(sent, 0),
        to: End {
            ip: destination,
            port: half(sent, 2),
        },
    })
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_ethernet(frame: &mut [u8], own: &Own, to: [u8; 6], kind: u16) {
    put(frame, 0, &to);
    put(frame, 6, &own.mac);
    put(frame, 12, &kind.to_be_bytes());
}

/// Writes Ethernet and IPv4 headers; the frame's length is right.
fn put_packet(frame: &mut [u8], own: &Own, mac: [u8; 6], to: u32, protocol: u8) {
    put_ethernet(frame, own, mac, IPV4);
    let len = (frame.len() - ETHERNET) as u16;
    let head = &mut frame[ETHERNET..ETHERNET + 20];
    head.fill(0);
    head[0] = 0x45;
    put(head, 2, &len.to_be_bytes());
    put(head, 6, &DO_NOT_FRAGMENT.to_be_bytes());
    head[8] = HOPS;
    head[9] = protocol;
    put(head, 12, &own.ip.to_be_bytes());
    put(head, 16, &to.to_be_bytes());
    let check = !sum(head, 0);
    put(head, 10, &check.to_be_bytes());
}

/// Writes a datagram from our port into a frame of [`HEADERS`] bytes and its own.
pub fn write_datagram(frame: &mut [u8], own: &Own, mac: [u8; 6], port: u16, to: End, bytes: &[u8]) {
    put_packet(frame, own, mac, to.ip, UDP_PROTOCOL);
    let part = &mut frame[ETHERNET + 20..];
    let len = part.len();
    put(part, 0, &port.to_be_bytes());
    put(part, 2, &to.port.to_be_bytes());
    put(part, 4, &(len as u16).to_be_bytes());
    put(part, 6, &[0; 2]);
    put(part, 8, bytes);
    let check = match !sum(part, pseudo(own.ip, to.ip, len)) {
        0 => 0xffff,
        check => check,
    };
    put(part, 6, &check.to_be_bytes());
}

/// Writes to the sender of `datagram`, a frame that [`look`] found one in, that nobody has the port. The frame has [`UNREACHABLE`] bytes.
pub fn write_unreachable(frame: &mut [u8], own: &Own, datagram: &[u8]) {
    const PORT: [u8; 2] = [3, 3];
    let mut mac = [0; 6];
    mac.copy_from_slice(&datagram[6..12]);
    let packet = &datagram[ETHERNET..];
    let header = (packet[0] & 15) as usize * 4;
    put_packet(frame, own, mac, word(packet, 12), ICMP_PROTOCOL);
    let message = &mut frame[ETHERNET + 20..];
    message[..8].fill(0);
    put(message, 0, &PORT);
    put(message, 8, &packet[..20]);
    // Without its options the header is shorter than it says.
    message[8] = 0x45;
    put(message, 28, &packet[header..header + 8]);
    let check = !sum(message, 0);
    put(message, 2, &check.to_be_bytes());
}

/// Writes the question who has an address into a frame of [`ARP`] bytes.
pub fn write_arp(frame: &mut [u8], own: &Own, whom: u32) {
    put_ethernet(frame, own, EVERYBODY, ARP_TYPE);
    // Ethernet, IPv4, lengths of both addresses, request.
    put(frame, ETHERNET, &[0, 1, 8, 0, 6, 4, 0, 1]);
    put(frame, ETHERNET + 8, &own.mac);
    put(frame, ETHERNET + 14, &own.ip.to_be_bytes());
    put(frame, ETHERNET + 18, &[0; 6]);
    put(frame, ETHERNET + 24, &whom.to_be_bytes());
}

/// Who sent an ARP message to us: address and hardware address.
pub fn read_arp(frame: &[u8], own: &Own) -> Option<(u32, [u8; 6])> {
    let message = frame.get(ETHERNET..ARP)?;
    if half(frame, 12) != ARP_TYPE || message[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let mac: [u8; 6] = message[8..14].try_into().ok()?;
    let ip = word(message, 14);
    let fits = word(message, 24) == own.ip && is_sender(ip, own) && own.is_near(ip);
    (fits && mac[0] & 1 == 0 && mac != [0; 6]).then_some((ip, mac))
}
