// SPDX-License-Identifier: BSD-2-Clause
//! Frames that no network card sends.

use anyhow::{Result, ensure};

use super::chance::Chance;
use super::fetch::{self, Fetch, Files, PATIENCE};
use super::forged::Forged;
use super::peer::{GUEST, GUEST_MAC, MAC, Peer};
use super::segment::{ICMP, IP, PAYLOAD, TCP, flag, packet, repair};

/// Frames of each kind.
const MANY: usize = 3000;
/// How many go out before the guest is let to work: QEMU's card drops what finds no buffer.
const AT_ONCE: usize = 50;

/// An echo request is answered with its own bytes (RFC 1122, 3.2.2.6).
pub fn ping(peer: &mut Peer, _: &Files) -> Result<()> {
    let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    message.extend(Chance::new(20).bytes(1000));
    let from = peer.stranger().address;
    let mut frame = packet(MAC, GUEST_MAC, from, GUEST.address, ICMP, &message);
    repair(&mut frame);
    peer.send(frame);
    let answer = peer.until(super::forged::ANSWER, "no answer to a ping", |peer| {
        Ok(peer.take_stray())
    })?;
    ensure!(
        answer[IP + 16..PAYLOAD] == from.octets() && answer[PAYLOAD] == 0,
        "not an echo reply"
    );
    ensure!(
        answer[PAYLOAD + 4..] == message[4..],
        "the reply is not what was sent"
    );
    Ok(())
}

/// Every byte of the headers set to the values that break parsers, with checksums that are right otherwise.
pub fn fields(peer: &mut Peer, files: &Files) -> Result<()> {
    let forged = Forged::open(peer, 65535)?;
    let good = forged.segment(flag::ACK | flag::PSH, b"GET / HTTP/1.1\r\n");
    let good = good.frame(MAC, GUEST_MAC);
    let mut sent = 0;
    for at in 0..PAYLOAD + 20 {
        for value in [0, 1, 4, 0x0f, 0x45, 0x4f, 0x50, 0x7f, 0xf0, 0xff] {
            // Its own hardware address: QEMU would not deliver another.
            if at < 6 {
                continue;
            }
            let mut frame = good.clone();
            frame[at] = value;
            if !matches!(at, 24 | 25 | 50 | 51) {
                repair(&mut frame);
            }
            peer.send(frame);
            sent += 1;
            if sent % AT_ONCE == 0 {
                alive(peer, files)?;
            }
        }
    }
    for length in 1..good.len() {
        peer.send(good[..length].to_vec());
        if length % AT_ONCE == 0 {
            alive(peer, files)?;
        }
    }
    alive(peer, files)
}

/// Random bytes behind an Ethernet header, an IPv4 header, a TCP or ICMP header.
pub fn random(peer: &mut Peer, files: &Files) -> Result<()> {
    let mut chance = Chance::new(21);
    for number in 0..MANY {
        let length = chance.below(1480);
        let bytes = chance.bytes(length);
        let from = peer.stranger().address;
        let frame = match number % 5 {
            0 => {
                let mut frame = [&GUEST_MAC[..], &MAC[..]].concat();
                frame.extend(&bytes);
                frame
            }
            1 => {
                let mut frame = [&GUEST_MAC[..], &MAC[..], &[8, 6]].concat();
                frame.extend(&bytes[..length.min(60)]);
                frame
            }
            2 => {
                let mut frame = [&GUEST_MAC[..], &MAC[..], &[8, 0, 0x45]].concat();
                frame.extend(&bytes);
                repair(&mut frame);
                frame
            }
            kind => {
                let protocol = if kind == 3 { TCP } else { ICMP };
                let mut frame = packet(MAC, GUEST_MAC, from, GUEST.address, protocol, &bytes);
                repair(&mut frame);
                frame
            }
        };
        peer.send(frame);
        if number % AT_ONCE == 0 {
            alive(peer, files)?;
        }
    }
    alive(peer, files)
}

/// Whatever flags, numbers, windows, options and data on connections that exist.
pub fn random_segments(peer: &mut Peer, files: &Files) -> Result<()> {
    let mut chance = Chance::new(22);
    for _ in 0..30 {
        let forged = Forged::open(peer, chance.number() as u16)?;
        for _ in 0..40 {
            let length = chance.below(200);
            let bytes = chance.bytes(length);
            let mut segment = forged.segment(chance.number() as u8, &bytes);
            let near = |chance: &mut Chance| match chance.below(3) {
                0 => 0,
                1 => chance.below(4000) as u32,
                _ => chance.number() as u32,
            };
            segment.sequence = segment.sequence.wrapping_add(near(&mut chance));
            segment.acknowledged = forged.expected.wrapping_sub(near(&mut chance));
            segment.window = chance.number() as u16;
            let options = chance.below(11) * 4;
            segment.options = chance.bytes(options);
            let mut frame = segment.frame(MAC, GUEST_MAC);
            if chance.one_in(4) {
                frame[IP + 8] = chance.number() as u8;
                repair(&mut frame);
            }
            peer.send(frame);
        }
        peer.forge(&forged.segment(flag::RST, &[]));
        alive(peer, files)?;
    }
    Ok(())
}

/// An honest client is served meanwhile.
fn alive(peer: &mut Peer, files: &Files) -> Result<()> {
    let result = fetch::all(peer, vec![Fetch::new(&files[0])], PATIENCE);
    peer.clear();
    result
}
