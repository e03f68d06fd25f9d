// SPDX-License-Identifier: BSD-2-Clause
//! A first look at a received frame, before smoltcp sees it: is it for us, and which connection does it belong to?
//!
//! Nothing here is trusted: every length is checked, and checksums are left to smoltcp, which drops what is damaged before it
//! changes any state.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use crate::tuple::Tuple;

const ETHERNET: usize = 14;
/// Ethernet, IPv4 and TCP headers without options.
pub const BARE_SEGMENT: usize = ETHERNET + 20 + 20;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What a TCP header says.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Connection it belongs to.
    pub tuple: Tuple,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; means something only if the flag says so.
    pub acknowledged: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: u32,
    flags: u8,
}

impl Segment {
    /// Asks for a new connection.
    pub fn opens(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN
    }

    /// RST is set.
    pub fn is_reset(&self) -> bool {
        self.flags & RST != 0
    }

    /// Sequence numbers that it takes up.
    pub fn length(&self) -> u32 {
        self.payload + u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0)
    }
}

/// What a frame is to us.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A ping: smoltcp answers.
    Ping,
    /// ARP: some neighbour may have become known.
    Arp,
    /// A TCP segment for our address.
    Tcp(Segment),
    /// Some router or host could not deliver a segment of ours.
    Unreachable {
        /// ICMP code.
        code: u8,
        /// Connection of the segment.
        tuple: Tuple,
        /// Sequence number of the segment.
        sequence: u32,
    },
    /// To be dropped.
    Other,
}

/// Two bytes as a number.
pub(crate) fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes as a number.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// IPv4 packet: source, destination, protocol, payload. `None`: broken, or a fragment.
pub(crate) fn ipv4(packet: &[u8], truncated: bool) -> Option<(u32, u32, u8, &[u8])> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    let header = (packet[0] & 15) as usize * 4;
    let total = half(packet, 2) as usize;
    let end = if truncated {
        total.min(packet.len())
    } else {
        total
    };
    let fragment = half(packet, 6) & 0x3fff != 0;
    if header < 20 || end < header || end > packet.len() || fragment {
        return None;
    }
    let payload = &packet[header..end];
    Some((word(packet, 12), word(packet, 16), packet[9], payload))
}

/// Looks at `frame`, received by the host with address `own`.
pub fn classify(frame: &[u8], own: u32) -> Kind {
    if frame.len() < ETHERNET {
        return Kind::Other;
    }
    match half(frame, 12) {
        0x0806 => return Kind::Arp,
        0x0800 => {}
        _ => return Kind::Other,
    }
    let Some((source, destination, protocol, payload)) = ipv4(&frame[ETHERNET..], false) else {
        return Kind::Other;
    };
    // A source of 0, multicast or broadcast cannot be answered; our own would make us talk to ourselves.
    if destination != own || source == own || source == 0 || source >= 224 << 24 {
        return Kind::Other;
    }
    match protocol {
        1 => icmp(payload, own),
        6 => tcp(payload, source),
        _ => Kind::Other,
    }
}

fn tcp(payload: &[u8], source: u32) -> Kind {
    if payload.len() < 20 {
        return Kind::Other;
    }
    let header = (payload[12] >> 4) as usize * 4;
    let (peer_port, port) = (half(payload, 0), half(payload, 2));
    if header < 20 || header > payload.len() || peer_port == 0 || port == 0 {
        return Kind::Other;
    }
    Kind::Tcp(Segment {
        tuple: Tuple {
            peer: source,
            peer_port,
            port,
        },
        sequence: word(payload, 4),
        acknowledged: word(payload, 8),
        window: half(payload, 14),
        payload: (payload.len() - header) as u32,
        flags: payload[13],
    })
}

fn icmp(payload: &[u8], own: u32) -> Kind {
    match payload {
        [8, 0, ..] => return Kind::Ping,
        [3, ..] if payload.len() >= 8 + 20 + 8 => {}
        _ => return Kind::Other,
    }
    if !Icmpv4Packet::new_unchecked(payload).verify_checksum() {
        return Kind::Other;
    }
    // What follows is the start of the packet that we sent: its addresses and ports are the other way round.
    match ipv4(&payload[8..], true) {
        Some((source, destination, 6, segment)) if source == own && segment.len() >= 8 => {
            Kind::Unreachable {
                code: payload[1],
                tuple: Tuple {
                    peer: destination,
                    peer_port: half(segment, 2),
                    port: half(segment, 0),
                },
                sequence: word(segment, 4),
            }
        }
        _ => Kind::Other,
    }
}

/// What the last segment that we sent on a connection said: enough to say it again when the connection's own state is gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Sequence number of the segment.
    pub first: u32,
    /// Sequence number after it.
    pub next: u32,
    /// What it acknowledged.
    pub acknowledged: u32,
    /// The window it offered.
    pub window: u16,
}

impl Sent {
    /// Reads it from a frame that is being sent. `None`: not TCP.
    pub fn of(frame: &[u8]) -> Option<Sent> {
        if frame.len() < BARE_SEGMENT || half(frame, 12) != 0x0800 {
            return None;
        }
        let (_, destination, protocol, payload) = ipv4(&frame[ETHERNET..], false)?;
        match (protocol, tcp(payload, destination)) {
            (6, Kind::Tcp(segment)) => Some(Sent {
                first: segment.sequence,
                next: segment.sequence.wrapping_add(segment.length()),
                acknowledged: segment.acknowledged,
                window: segment.window,
            }),
            _ => None,
        }
    }
}

/// Whether sequence number `a` comes after `b`.
pub fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Addresses of the two ends of a segment that is made by hand.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Our MAC and IPv4 address.
    pub own: (EthernetAddress, u32),
    /// Where the frame goes.
    pub peer_mac: EthernetAddress,
}

/// Writes a bare ACK that repeats `sent` into `frame`, which has [`BARE_SEGMENT`] bytes.
pub fn write_ack(frame: &mut [u8], ends: &Ends, tuple: &Tuple, sent: &Sent) {
    let checksums = ChecksumCapabilities::default();
    let (source, destination) = (Ipv4Address::from(ends.own.1), Ipv4Address::from(tuple.peer));
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    ethernet.set_src_addr(ends.own.0);
    ethernet.set_dst_addr(ends.peer_mac);
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let segment = TcpRepr {
        src_port: tuple.port,
        dst_port: tuple.peer_port,
        control: TcpControl::None,
        seq_number: TcpSeqNumber(sent.next as i32),
        ack_number: Some(TcpSeqNumber(sent.acknowledged as i32)),
        window_len: sent.window,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let packet = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Tcp,
        payload_len: segment.buffer_len(),
        hop_limit: 64,
    };
    let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    packet.emit(&mut ip, &checksums);
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    segment.emit(&mut tcp, &source.into(), &destination.into(), &checksums);
}
