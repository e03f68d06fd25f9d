// SPDX-License-Identifier: BSD-2-Clause
//! Frames made by hand.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::*;
use std::vec::Vec;

use super::{GATEWAY, MAC, OWN};

pub mod flags {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
}

const PEER_MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// A segment from the gateway's address.
#[derive(Clone)]
pub struct Raw {
    ports: (u16, u16),
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    pub window: u16,
    payload: Vec<u8>,
}

impl Raw {
    pub fn new(from: u16, to: u16) -> Raw {
        Raw {
            ports: (from, to),
            flags: 0,
            sequence: 0,
            acknowledged: 0,
            window: 65535,
            payload: Vec::new(),
        }
    }

    pub fn flags(mut self, flags: u8) -> Raw {
        self.flags = flags;
        self
    }

    pub fn sequence(mut self, number: u32) -> Raw {
        self.sequence = number;
        self
    }

    pub fn acknowledge(mut self, number: u32) -> Raw {
        self.acknowledged = number;
        self
    }

    pub fn payload(mut self, bytes: &[u8]) -> Raw {
        self.payload = bytes.to_vec();
        self
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut tcp = std::vec![0; 20];
        tcp[0..2].copy_from_slice(&self.ports.0.to_be_bytes());
        tcp[2..4].copy_from_slice(&self.ports.1.to_be_bytes());
        tcp[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.acknowledged.to_be_bytes());
        tcp[12] = 5 << 4;
        tcp[13] = self.flags;
        tcp[14..16].copy_from_slice(&self.window.to_be_bytes());
        tcp.extend(&self.payload);
        let (source, destination) = (Ipv4Address::from(GATEWAY), Ipv4Address::from(OWN));
        TcpPacket::new_unchecked(&mut tcp[..]).fill_checksum(&source.into(), &destination.into());
        packet(IpProtocol::Tcp, &tcp)
    }

    /// Flags of a segment in a frame.
    pub fn flags_of(frame: &[u8]) -> u8 {
        frame[47]
    }

    /// Sequence number of a segment in a frame.
    pub fn sequence_of(frame: &[u8]) -> u32 {
        u32::from_be_bytes(frame[38..42].try_into().unwrap())
    }

    /// The ICMP message that says that the segment in `frame` did not arrive.
    pub fn unreachable(code: u8, frame: &[u8]) -> Vec<u8> {
        let mut icmp = std::vec![3, code, 0, 0, 0, 0, 0, 0];
        icmp.extend(&frame[14..14 + 28]);
        Icmpv4Packet::new_unchecked(&mut icmp[..]).fill_checksum();
        packet(IpProtocol::Icmp, &icmp)
    }

    /// Mends the checksum of such a message.
    pub fn unreachable_again(frame: Vec<u8>) -> Vec<u8> {
        let mut icmp = frame[34..].to_vec();
        Icmpv4Packet::new_unchecked(&mut icmp[..]).fill_checksum();
        packet(IpProtocol::Icmp, &icmp)
    }
}

/// An IPv4 packet from the gateway to the server, in its frame.
pub fn packet(protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: Ipv4Address::from(GATEWAY),
        dst_addr: Ipv4Address::from(OWN),
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut frame = std::vec![0; 34];
    frame[0..6].copy_from_slice(&MAC);
    frame[6..12].copy_from_slice(&PEER_MAC);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame.extend(payload);
    repr.emit(
        &mut Ipv4Packet::new_unchecked(&mut frame[14..]),
        &ChecksumCapabilities::default(),
    );
    frame
}
