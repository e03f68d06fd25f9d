// SPDX-License-Identifier: BSD-2-Clause
//! Peers and clients that do what they should not.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::IpProtocol;
use std::sync::atomic::Ordering;
use std::vec::Vec;

use super::segment::{Raw, flags, packet};
use super::{OWN, Rig};
use crate::Errno;
use crate::frame::{Kind, classify};
use vfs_hooks::Events;
use vfs_hooks::net::SLOTS;
use vfs_hooks::wire::net;

/// A small generator of numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

#[test]
fn garbage_frames_are_dropped() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program.listen(&mut rig, 80, 5);
    let mut dice = Dice(42);
    let good = Raw::new(9, 80).flags(flags::SYN).sequence(5).frame();
    for round in 0..10_000 {
        let mut frame: Vec<u8> = match round % 3 {
            0 => (0..dice.below(1600)).map(|_| dice.roll() as u8).collect(),
            1 => good[..dice.below(good.len() as u64 + 1) as usize].to_vec(),
            _ => good.clone(),
        };
        for _ in 0..dice.below(4) {
            if !frame.is_empty() {
                let at = dice.below(frame.len() as u64) as usize;
                frame[at] ^= 1 << dice.below(8);
            }
        }
        rig.exchange(frame);
    }
    let peer = rig.peer.connect(80);
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.peer.state(peer), State::Established);
}

#[test]
fn only_whole_packets_for_us_are_looked_at() {
    let syn = Raw::new(9, 80).flags(flags::SYN).frame();
    let kind = |at: usize, byte: u8| {
        let mut frame = syn.clone();
        frame[at] = byte;
        matches!(classify(&frame, OWN), Kind::Tcp(_))
    };
    assert!(kind(0, syn[0]));
    assert!(!kind(20, 0x20), "a fragment");
    assert!(!kind(33, 16), "for somebody else");
    assert!(!kind(26, 224), "from a multicast address");
    assert!(!kind(14, 0x4f), "a header longer than the packet");
    assert!(!kind(17, 41), "longer than the frame");
    assert!(!kind(46, 0x40), "a TCP header too short");
    assert!(!kind(23, 17), "UDP");
    for short in 0..syn.len() {
        assert!(matches!(
            classify(&syn[..short], OWN),
            Kind::Other | Kind::Arp
        ));
    }
}

#[test]
fn a_damaged_syn_opens_nothing() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program.listen(&mut rig, 80, 5);
    let mut frame = Raw::new(9, 80).flags(flags::SYN).sequence(5).frame();
    frame[50] ^= 0xff;
    assert!(rig.exchange(frame).is_empty());
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn pings_are_answered_and_other_protocols_are_not() {
    let mut rig = Rig::new();
    let mut echo = std::vec![8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4];
    smoltcp::wire::Icmpv4Packet::new_unchecked(&mut echo[..]).fill_checksum();
    let answer = rig.exchange(packet(IpProtocol::Icmp, &echo));
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0][34], 0, "echo reply");
    assert_eq!(answer[0][42..46], [1, 2, 3, 4]);
    assert!(rig.exchange(packet(IpProtocol::Udp, &[0; 20])).is_empty());
}

/// Whatever a peer sends with good checksums and likely numbers, the server goes on.
#[test]
fn a_peer_that_sends_anything_cannot_stop_the_server() {
    let mut dice = Dice(4711);
    for round in 0..200 {
        let mut rig = Rig::with(16);
        let program = rig.program(0);
        let listener = program.listen(&mut rig, 80, 8);
        let (mut mine, mut theirs) = (dice.roll() as u32, 0u32);
        let mut slot = None;
        for step in 0..60 {
            let near = |dice: &mut Dice, base: u32| match dice.below(8) {
                0 => base.wrapping_sub(dice.below(3) as u32),
                1 => base.wrapping_add(dice.below(20_000) as u32),
                2 => dice.roll() as u32,
                _ => base,
            };
            let bits = match (step, dice.below(12)) {
                (0, _) => flags::SYN,
                (1, 0..10) => flags::ACK,
                (_, 0) => dice.roll() as u8 & 0x3f,
                (_, 1) => flags::ACK | flags::FIN,
                (_, 2) if dice.below(8) == 0 => flags::RST,
                _ => flags::ACK,
            };
            let length = [0, 0, 1, 10, 536, 1400][dice.below(6) as usize];
            let length = if step < 2 { 0 } else { length };
            let mut raw = Raw::new(900 + (round % 7) as u16, 80)
                .flags(bits)
                .sequence(near(&mut dice, mine))
                .acknowledge(near(&mut dice, theirs))
                .payload(&std::vec![step as u8; length]);
            raw.window = [0, 1, 1000, 65535][dice.below(4) as usize];
            for answer in rig.exchange(raw.frame()) {
                if answer.len() >= 54 && answer[23] == 6 {
                    theirs = Raw::sequence_of(&answer)
                        .wrapping_add(answer.len() as u32 - 54)
                        .wrapping_add((Raw::flags_of(&answer) & 3 != 0) as u32);
                    mine = u32::from_be_bytes(answer[42..46].try_into().unwrap());
                }
            }
            slot = slot.or_else(|| program.accept(listener));
            if let Some(slot) = slot {
                match dice.below(12) {
                    0..5 => drop(program.read(slot, dice.below(40_000) as usize)),
                    5..9 => drop(program.write(slot, &std::vec![1; dice.below(20_000) as usize])),
                    9 if step > 30 => program.shut(slot),
                    10 if step > 40 => program.close(slot),
                    _ => {}
                }
            }
            if dice.below(6) == 0 {
                rig.now += Duration::from_millis(dice.below(3000));
            }
        }
        rig.run();
        rig.pass(Duration::from_secs(2));
        let peer = rig.peer.connect(80);
        rig.pass(Duration::from_secs(5));
        assert_eq!(rig.peer.state(peer), State::Established, "round {round}");
    }
}

#[test]
fn a_client_that_breaks_a_ring_loses_that_connection_only() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let (one, two) = (rig.peer.connect(80), rig.peer.connect(80));
    rig.run();
    let (first, second) = (
        program.accept(listener).unwrap(),
        program.accept(listener).unwrap(),
    );
    let tail = &program.header(first).tx.tail;
    tail.store(0x4000_0000, Ordering::Relaxed);
    program.mark(first);
    rig.run();
    assert_eq!(rig.peer.state(one), State::Closed);
    assert_eq!(program.error(first), Errno::CONNRESET.0);
    program.write(second, b"fine");
    rig.run();
    assert_eq!(rig.peer.read(two), b"fine");
    program.header(second).rx.head.store(7, Ordering::Relaxed);
    rig.peer.socket(two).send_slice(b"x").unwrap();
    rig.run();
    assert_eq!(rig.peer.state(two), State::Closed);
}

#[test]
fn a_client_that_breaks_its_accept_ring_gets_no_more_connections() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let head = &program.header(listener).accept.head;
    head.store(0x8000_0000, Ordering::Relaxed);
    let peer = rig.peer.connect(80);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::SynSent);
    assert_eq!(rig.server.counts(), (0, 0));
    program.close(listener);
    rig.run();
    assert_eq!(program.bind(&mut rig, 80, false), Ok(80));
}

#[test]
fn marks_and_requests_of_any_kind_do_no_harm() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let peer = rig.peer.connect(80);
    rig.run();
    let mut dice = Dice(1);
    for _ in 0..SLOTS {
        program.mark(dice.roll() as u32);
    }
    rig.run();
    for channel in 0..vfs_hooks::channel::MOST {
        let _ = program.channel.control().mark_channel(channel);
    }
    rig.run();
    for label in (0..8).chain(net::SHARE - 1..net::SHARE_STREAM + 2) {
        for _ in 0..500 {
            let pick = |dice: &mut Dice| match dice.below(4) {
                0 => dice.below(100),
                1 => dice.roll(),
                2 => u64::from(OWN),
                _ => dice.below(65536),
            };
            let words = [pick(&mut dice), pick(&mut dice), pick(&mut dice)];
            // Those would be honest ones.
            let own = words[0] == program.channel_of(listener) as u64;
            if !own || !matches!(label, net::SET_BACKLOG | net::SHARE) {
                let _ = program.call(&mut rig, label, words);
            }
        }
    }
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Established);
    let slot = program.accept(listener).unwrap();
    // Kind and state in shared memory are for the client to read; what it writes there means nothing.
    program.header(slot).kind.store(2, Ordering::Relaxed);
    program.header(slot).state.store(0, Ordering::Relaxed);
    rig.peer.socket(peer).send_slice(b"x").unwrap();
    rig.run();
    assert_eq!(program.read(slot, 9), b"x");
    assert_eq!(
        rig.server.request(rig.now, 62, net::BIND, [0; 4]),
        Err(Errno::NOBUFS)
    );
}

#[test]
fn a_card_without_room_delays_and_loses_nothing() {
    let mut rig = Rig::new();
    let (program, slot, peer) = super::data::accepted(&mut rig);
    rig.server.card().full = true;
    program.write(slot, b"patience");
    rig.peer.socket(peer).send_slice(b"me too").unwrap();
    rig.run();
    assert!(rig.server.deadline().is_some());
    rig.pass(Duration::from_millis(10));
    assert!(!program.level(slot).contains(Events::IN));
    rig.server.card().full = false;
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.peer.read(peer), b"patience");
    assert_eq!(program.read(slot, 9), b"me too");
}
