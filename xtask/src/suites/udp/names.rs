// SPDX-License-Identifier: BSD-2-Clause
//! A name server (RFC 1035) on the cable: it answers ARP for its address, and A and AAAA queries for a few names.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use smoltcp::wire::{Ipv4Packet, UdpPacket};

/// Its address, as QEMU's user network has it.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 3];
const PORT: u16 = 53;
/// How often to look whether the machine has stopped.
const LOOK: Duration = Duration::from_millis(200);
/// Query types.
const A: u16 = 1;

/// What it knows.
const NAMES: &[(&str, &[[u8; 4]])] = &[
    ("guest.test", &[[192, 0, 2, 7]]),
    (
        "many.test",
        &[[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]],
    ),
];

/// Answers until the machine has stopped.
pub fn serve(socket: &UnixDatagram, over: &AtomicBool) -> Result<()> {
    socket.set_read_timeout(Some(LOOK))?;
    let mut buffer = vec![0; 1 << 16];
    // The first query is lost: the program has to ask again.
    let mut lost = false;
    loop {
        let frame = match socket.recv(&mut buffer) {
            Ok(n) => &buffer[..n],
            Err(_) if over.load(Ordering::Relaxed) => return Ok(()),
            Err(_) => continue,
        };
        let answer = match frame.get(12..14) {
            Some([8, 6]) => arp(frame),
            Some([8, 0]) => {
                let answer = packet(frame);
                if answer.is_some() && !std::mem::replace(&mut lost, true) {
                    continue;
                }
                answer
            }
            _ => None,
        };
        if let Some(answer) = answer {
            // It fails only if the machine has stopped.
            let _ = socket.send(&answer);
        }
    }
}

fn ethernet(frame: &[u8], kind: [u8; 2]) -> Vec<u8> {
    [&frame[6..12], &MAC, &kind].concat()
}

/// Who asks for our address?
fn arp(frame: &[u8]) -> Option<Vec<u8>> {
    let message = frame.get(14..42)?;
    if message[..8] != [0, 1, 8, 0, 6, 4, 0, 1] || message[24..28] != SERVER.octets() {
        return None;
    }
    let mut answer = ethernet(frame, [8, 6]);
    answer.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    answer.extend(MAC);
    answer.extend(SERVER.octets());
    answer.extend(&message[8..18]);
    Some(answer)
}

fn packet(frame: &[u8]) -> Option<Vec<u8>> {
    let ip = Ipv4Packet::new_checked(&frame[14..]).ok()?;
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    let ends = [ip.src_addr().into(), ip.dst_addr().into()];
    let ours = ip.dst_addr() == SERVER && udp.dst_port() == PORT;
    if !ours || !ip.verify_checksum() || !udp.verify_checksum(&ends[0], &ends[1]) {
        return None;
    }
    let reply = reply(udp.payload())?;
    let mut answer = ethernet(frame, [8, 0]);
    answer.extend(vec![0; 28]);
    answer.extend(&reply);
    let len = (answer.len() - 14) as u16;
    let mut out = Ipv4Packet::new_unchecked(&mut answer[14..]);
    out.set_version(4);
    out.set_header_len(20);
    out.set_total_len(len);
    out.set_hop_limit(64);
    out.set_next_header(ip.next_header());
    out.set_src_addr(ip.dst_addr());
    out.set_dst_addr(ip.src_addr());
    out.fill_checksum();
    let mut out = UdpPacket::new_unchecked(out.payload_mut());
    out.set_src_port(PORT);
    out.set_dst_port(udp.src_port());
    out.set_len(len - 20);
    out.fill_checksum(&ends[1], &ends[0]);
    Some(answer)
}

/// The answer to a query of one question.
fn reply(query: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = query.split_at_checked(12)?;
    let mut labels = Vec::new();
    loop {
        let (&len, after) = rest.split_first()?;
        if len == 0 {
            rest = after;
            break;
        }
        let (label, after) = after.split_at_checked(len.into())?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    let kind = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let question = &query[12..query.len() - (rest.len() - 4)];
    let known = NAMES.iter().find(|(name, _)| *name == labels.join("."));
    let addresses = match known {
        Some((_, addresses)) if kind == A => *addresses,
        _ => &[],
    };
    // Answer, recursion desired and available; no error, or no such name.
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let mut reply = [
        &head[..2],
        &[0x81, code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0],
    ]
    .concat();
    reply.extend(question);
    for address in addresses {
        // The name of the question, A, IN, a minute, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address);
    }
    Some(reply)
}
