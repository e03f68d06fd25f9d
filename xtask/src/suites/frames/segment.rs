// SPDX-License-Identifier: BSD-2-Clause
//! TCP segments by hand, right or wrong as wanted. Nothing of the code that is tested is in here.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

/// Flags of a segment.
pub mod flag {
    /// No more data follows.
    pub const FIN: u8 = 1;
    /// Begins a connection.
    pub const SYN: u8 = 2;
    /// Ends it at once.
    pub const RST: u8 = 4;
    /// Pushes data.
    pub const PSH: u8 = 8;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
}

/// An IPv4 protocol number.
pub const TCP: u8 = 6;
/// An IPv4 protocol number.
pub const ICMP: u8 = 1;
/// Where the IPv4 header begins in a frame.
pub const IP: usize = 14;
/// Where its payload begins, without options.
pub const PAYLOAD: usize = IP + 20;

/// A hardware address.
pub type Mac = [u8; 6];

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// IPv4 address.
    pub address: Ipv4Addr,
    /// TCP port.
    pub port: u16,
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Who sends it.
    pub from: End,
    /// Who shall have it.
    pub to: End,
    /// What [`flag`] lists.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledged: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Options, padded to four bytes.
    pub options: Vec<u8>,
    /// Data.
    pub payload: Vec<u8>,
}

impl Segment {
    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number after it.
    pub fn next(&self) -> u32 {
        let flags = u32::from(self.has(flag::SYN)) + u32::from(self.has(flag::FIN));
        self.sequence
            .wrapping_add(self.payload.len() as u32 + flags)
    }

    /// As a frame with right lengths and checksums.
    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.from.port.to_be_bytes());
        tcp.extend(self.to.port.to_be_bytes());
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledged.to_be_bytes());
        tcp.push((((20 + self.options.len()) / 4) << 4) as u8);
        tcp.push(self.flags);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(&self.payload);
        let mut frame = packet(from, to, self.from.address, self.to.address, TCP, &tcp);
        repair(&mut frame);
        frame
    }

    /// Reads a frame; `None` if there is no TCP in it, an error if it is not as it must be.
    pub fn parse(frame: &[u8]) -> Result<Option<Self>> {
        if frame.len() < PAYLOAD || frame[12..14] != [8, 0] || frame[IP + 9] != TCP {
            return Ok(None);
        }
        let total = usize::from(half(frame, IP + 2));
        ensure!(frame[IP] == 0x45, "an IPv4 header with options");
        ensure!(
            total >= 40 && IP + total <= frame.len(),
            "an IPv4 length of {total} in a frame of {} bytes",
            frame.len()
        );
        let frame = &frame[..IP + total];
        ensure!(sum(&frame[IP..PAYLOAD], 0) == 0, "a wrong IPv4 checksum");
        ensure!(tcp_sum(frame) == 0, "a wrong TCP checksum");
        let tcp = &frame[PAYLOAD..];
        let header = usize::from(tcp[12] >> 4) * 4;
        ensure!(
            (20..=tcp.len()).contains(&header),
            "a TCP header of {header} bytes in {}",
            tcp.len()
        );
        let end = |address: usize, port: usize| End {
            address: Ipv4Addr::from(word(frame, address)),
            port: half(tcp, port),
        };
        Ok(Some(Self {
            from: end(IP + 12, 0),
            to: end(IP + 16, 2),
            flags: tcp[13],
            sequence: word(tcp, 4),
            acknowledged: word(tcp, 8),
            window: half(tcp, 14),
            options: tcp[20..header].to_vec(),
            payload: tcp[header..].to_vec(),
        }))
    }
}

/// A frame with an IPv4 packet; its own checksum is left to [`repair`].
pub fn packet(
    from: Mac,
    to: Mac,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PAYLOAD + payload.len());
    frame.extend(to);
    frame.extend(from);
    frame.extend([8, 0, 0x45, 0]);
    // Longer ones cannot be told; those who make them want to know what happens then.
    frame.extend(((20 + payload.len()) as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(payload);
    frame
}

/// Makes the checksums of an IPv4 header and the TCP or ICMP in it right, as far as its lengths make sense.
pub fn repair(frame: &mut [u8]) {
    if frame.len() < PAYLOAD {
        return;
    }
    frame[IP + 10..IP + 12].fill(0);
    let header = usize::from(frame[IP] & 15) * 4;
    let end = (IP + header).min(frame.len());
    let ip = sum(&frame[IP..end], 0);
    frame[IP + 10..IP + 12].copy_from_slice(&ip.to_be_bytes());
    let (at, make): (usize, fn(&[u8]) -> u16) = match frame[IP + 9] {
        TCP => (PAYLOAD + 16, tcp_sum),
        ICMP => (PAYLOAD + 2, |frame| sum(&frame[PAYLOAD..], 0)),
        _ => return,
    };
    if frame.len() >= at + 2 {
        frame[at..at + 2].fill(0);
        let made = make(frame);
        frame[at..at + 2].copy_from_slice(&made.to_be_bytes());
    }
}

/// Two bytes of a header.
pub fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) << 16 | u32::from(half(bytes, at + 2))
}

/// RFC 1071's checksum; over bytes that contain their own it is 0.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let pairs = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(pair[0]) << 8 | u32::from(low)
    });
    let mut sum = start + pairs.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn tcp_sum(frame: &[u8]) -> u16 {
    let addresses = (IP + 12..PAYLOAD).step_by(2);
    let pseudo: u32 = addresses.map(|at| u32::from(half(frame, at))).sum();
    let tcp = &frame[PAYLOAD..];
    sum(tcp, pseudo + u32::from(TCP) + tcp.len() as u32)
}
