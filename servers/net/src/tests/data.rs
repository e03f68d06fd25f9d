// SPDX-License-Identifier: BSD-2-Clause
//! Bytes and ends, both ways.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use std::vec::Vec;

use super::Rig;
use super::client::Program;
use super::segment::{Raw, flags};
use smoltcp::iface::SocketHandle;
use vfs_hooks::Events;
use vfs_hooks::net::{RX_SIZE, TX_SIZE};

/// A connection from the peer: program, its slot, the peer's socket.
pub fn accepted(rig: &mut Rig) -> (Program, u32, SocketHandle) {
    let program = rig.program(0);
    let listener = program.listen(rig, 80, 16);
    let peer = rig.peer.connect(80);
    rig.run();
    let slot = program.accept(listener).expect("a connection");
    (program, slot, peer)
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn a_request_and_its_answer() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    rig.peer.socket(peer).send_slice(b"GET /").unwrap();
    rig.run();
    assert!(program.level(slot).contains(Events::IN | Events::OUT));
    assert_eq!(program.read(slot, 100), b"GET /");
    assert!(!program.level(slot).contains(Events::IN));
    program.write(slot, b"200 OK");
    rig.run();
    assert_eq!(rig.peer.read(peer), b"200 OK");
}

#[test]
fn the_watcher_is_signalled_once_until_it_arms_again() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let subscriptions = &program.header(slot).subscriptions;
    subscriptions.put(0, 5, Events::IN);
    rig.peer.socket(peer).send_slice(b"a").unwrap();
    rig.run();
    assert_eq!(rig.signals(), [(0, 5)]);
    rig.peer.socket(peer).send_slice(b"b").unwrap();
    rig.run();
    assert_eq!(rig.signals(), []);
    subscriptions.arm(0);
    rig.peer.socket(peer).send_slice(b"c").unwrap();
    rig.run();
    assert_eq!(rig.signals(), [(0, 5)]);
    assert_eq!(program.read(slot, 9), b"abc");
}

#[test]
fn a_large_upload_waits_for_the_reader() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let data = pattern(500_000);
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        sent += rig.peer.socket(peer).send_slice(&data[sent..]).unwrap();
        rig.run();
        if sent < data.len() {
            assert_eq!(program.header(slot).rx.len(RX_SIZE), Ok(RX_SIZE));
        }
        got.extend(program.read(slot, 10_000));
        rig.pass(Duration::from_millis(20));
    }
    assert_eq!(got, data);
}

#[test]
fn a_large_download_makes_the_writer_wait_and_tells_it_when_to_go_on() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let subscriptions = &program.header(slot).subscriptions;
    subscriptions.put(0, 9, Events::OUT);
    let data = pattern(300_000);
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        let n = program.write(slot, &data[sent..]);
        sent += n;
        subscriptions.arm(0);
        rig.run();
        if n > 0 && !program.level(slot).contains(Events::OUT) {
            // The peer reads nothing: no further room may be announced.
            rig.signals();
            got.extend(rig.peer.read(peer));
            rig.pass(Duration::from_millis(50));
            assert!(!rig.signals().is_empty(), "after {sent} bytes");
        }
        got.extend(rig.peer.read(peer));
        rig.pass(Duration::from_millis(20));
    }
    assert_eq!(got, data);
}

#[test]
fn a_zero_window_is_survived() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let data = pattern(120_000);
    let mut sent = 0;
    for _ in 0..20 {
        sent += program.write(slot, &data[sent..]);
        rig.pass(Duration::from_millis(20));
    }
    assert!(sent < data.len(), "the peer's window is full");
    assert_eq!(program.header(slot).tx.len(TX_SIZE), Ok(TX_SIZE));
    rig.pass(Duration::from_secs(300));
    let mut got = Vec::new();
    while got.len() < data.len() {
        got.extend(rig.peer.read(peer));
        sent += program.write(slot, &data[sent..]);
        rig.pass(Duration::from_millis(500));
    }
    assert_eq!(got, data);
}

#[test]
fn lost_frames_are_sent_again() {
    for lose in [5, 10, 30] {
        let mut rig = Rig::new();
        let (program, slot, peer) = accepted(&mut rig);
        rig.peer.lose = lose;
        let data = pattern(60_000);
        let (mut up, mut down) = (0, 0);
        let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
        for _ in 0..10_000 {
            up += rig.peer.socket(peer).send_slice(&data[up..]).unwrap();
            down += program.write(slot, &data[down..]);
            rig.pass(Duration::from_millis(200));
            got_up.extend(program.read(slot, 8000));
            got_down.extend(rig.peer.read(peer));
            if got_up.len() + got_down.len() == 2 * data.len() {
                break;
            }
        }
        assert!(got_up == data && got_down == data, "lose one in {lose}");
    }
}

#[test]
fn the_peer_shuts_first() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    rig.peer.socket(peer).send_slice(b"last").unwrap();
    rig.peer.socket(peer).close();
    rig.run();
    rig.pass(Duration::from_millis(50));
    let level = program.level(slot);
    assert!(level.contains(Events::IN | Events::RDHUP | Events::OUT));
    assert!(!level.intersects(Events::HUP | Events::ERR));
    assert_eq!(program.read(slot, 100), b"last");
    assert!(program.level(slot).contains(Events::IN), "end of file");
    program.write(slot, b"still here");
    rig.run();
    assert_eq!(rig.peer.read(peer), b"still here");
    program.shut(slot);
    rig.run();
    assert!(program.level(slot).contains(Events::HUP));
    assert_eq!(program.error(slot), 0);
    rig.pass(Duration::from_millis(50));
    assert_eq!(rig.peer.state(peer), State::TimeWait);
    program.close(slot);
    rig.run();
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn the_program_shuts_first() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    program.write(slot, b"bye");
    program.shut(slot);
    rig.run();
    assert_eq!(rig.peer.read(peer), b"bye");
    assert_eq!(rig.peer.state(peer), State::CloseWait);
    rig.peer.socket(peer).send_slice(b"but wait").unwrap();
    rig.run();
    assert_eq!(program.read(slot, 100), b"but wait");
    assert!(!program.level(slot).contains(Events::HUP));
    rig.peer.socket(peer).close();
    rig.run();
    rig.pass(Duration::from_millis(50));
    let level = program.level(slot);
    assert!(level.contains(Events::IN | Events::RDHUP | Events::HUP));
    assert_eq!(program.error(slot), 0);
    // Its last ACK has gone; the memory of the connection is the only thing that remains.
    assert_eq!(rig.server.counts(), (1, 1));
    program.close(slot);
    rig.run();
    assert_eq!(rig.server.counts(), (0, 1));
    rig.pass(Duration::from_secs(61));
    assert_eq!(rig.server.counts(), (0, 0));
}

/// A server with several clients does first what was sent first, whatever else happens at their connections in the same round.
#[test]
fn what_came_first_is_told_first() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let clients = [1000, 1001, 1002].map(|port| {
        let syn = Raw::new(port, 80).flags(flags::SYN).sequence(1).frame();
        let first = Raw::sequence_of(&rig.exchange(syn)[0]) + 1;
        let ack = Raw::new(port, 80).flags(flags::ACK).sequence(2);
        let ack = ack.acknowledge(first);
        rig.exchange(ack.frame());
        let slot = program.accept(listener).expect("a connection");
        let watch = slot + 5;
        let subscriptions = &program.header(slot).subscriptions;
        subscriptions.put(0, watch, Events::IN);
        (slot, watch, ack)
    });
    let [(_, first, a), (_, second, b), (slot, third, c)] = clients;
    rig.signals();
    // The second acknowledges something, and the program has written to the third.
    program.mark(slot);
    let data = [&a, &b, &c].map(|ack| ack.clone().payload(b"x").frame());
    rig.server.card().to_server.push_back(b.frame());
    rig.server.card().to_server.extend(data);
    while rig.server.turn(rig.now) {}
    assert_eq!(rig.signals(), [(0, first), (0, second), (0, third)]);
}

#[test]
fn close_sends_what_was_written() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let data = pattern(TX_SIZE as usize);
    assert_eq!(program.write(slot, &data), data.len());
    rig.run();
    assert_eq!(program.write(slot, &data), data.len());
    program.close(slot);
    rig.run();
    let mut got = rig.peer.read(peer);
    for _ in 0..50 {
        rig.pass(Duration::from_millis(20));
        got.extend(rig.peer.read(peer));
    }
    assert_eq!(got.len(), 2 * data.len());
    assert_eq!(rig.peer.state(peer), State::CloseWait);
    rig.peer.socket(peer).close();
    rig.run();
    assert_eq!(rig.server.counts(), (0, 1));
}

/// smoltcp would stop its timer for a fast retransmission, in which it then finds nothing but the FIN and sends nothing.
#[test]
fn a_lost_fin_is_sent_again_whatever_is_acknowledged_meanwhile() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let syn = Raw::new(1000, 80).flags(flags::SYN).sequence(1).frame();
    let first = Raw::sequence_of(&rig.exchange(syn)[0]) + 1;
    let acknowledge = |number| {
        let ack = Raw::new(1000, 80).flags(flags::ACK).sequence(2);
        ack.acknowledge(number).frame()
    };
    rig.exchange(acknowledge(first));
    let slot = program.accept(listener).expect("a connection");
    program.write(slot, b"bye");
    program.close(slot);
    let mut sent = rig.exchange(acknowledge(first));
    sent.retain(|frame| Raw::flags_of(frame) & flags::FIN != 0);
    assert_eq!(sent.len(), 1, "the FIN");
    for _ in 0..5 {
        assert!(rig.exchange(acknowledge(first + 3)).is_empty());
    }
    let mut again = 0;
    for _ in 0..30 {
        rig.now += Duration::from_millis(100);
        while rig.server.turn(rig.now) {}
        let frames = rig.server.card().from_server.drain(..);
        again += frames
            .filter(|frame| Raw::flags_of(frame) & flags::FIN != 0)
            .count();
    }
    assert!(again > 0, "the FIN never comes again");
    rig.exchange(acknowledge(first + 4));
    let end = Raw::new(1000, 80)
        .flags(flags::FIN | flags::ACK)
        .sequence(2);
    rig.exchange(end.acknowledge(first + 4).frame());
    assert_eq!(rig.server.counts(), (0, 1));
}

#[test]
fn abort_sends_a_reset() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    program.abort(slot);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
    assert_eq!(rig.server.counts(), (0, 0));
}

/// As redis refuses nonsense: an answer, then a close with the rest unread.
#[test]
fn what_was_written_goes_out_before_the_reset_of_a_close() {
    for by_server in [false, true] {
        let mut rig = Rig::new();
        let (program, slot, peer) = accepted(&mut rig);
        let length = match by_server {
            true => RX_SIZE as usize + 5000,
            false => 100,
        };
        rig.peer.socket(peer).send_slice(&pattern(length)).unwrap();
        rig.run();
        rig.pass(Duration::from_millis(50));
        program.write(slot, b"that is no request");
        if by_server {
            program.close(slot);
        } else {
            program.abort(slot);
        }
        rig.run();
        let mut got = [0; 100];
        let count = rig.peer.socket(peer).recv_slice(&mut got).unwrap();
        assert_eq!(&got[..count], b"that is no request");
        assert_eq!(rig.peer.state(peer), State::Closed);
        assert_eq!(rig.server.counts(), (0, 0));
    }
}

#[test]
fn data_after_close_is_answered_by_a_reset() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    program.close(slot);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::CloseWait);
    rig.peer.socket(peer).send_slice(b"for nobody").unwrap();
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn a_reset_leaves_what_came_before_it() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    rig.peer.socket(peer).send_slice(b"precious").unwrap();
    rig.run();
    rig.peer.socket(peer).abort();
    rig.run();
    let all = Events::IN | Events::OUT | Events::ERR | Events::HUP | Events::RDHUP;
    assert!(program.level(slot).contains(all));
    assert_eq!(program.read(slot, 100), b"precious");
    assert_eq!(program.error(slot), crate::Errno::CONNRESET.0);
    program.close(slot);
    rig.run();
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn a_reset_waits_for_data_that_has_no_room_yet() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    let data = pattern(RX_SIZE as usize + 5000);
    rig.peer.socket(peer).send_slice(&data).unwrap();
    rig.run();
    rig.pass(Duration::from_millis(50));
    rig.peer.socket(peer).abort();
    rig.run();
    assert!(!program.level(slot).contains(Events::ERR));
    let mut got = program.read(slot, 10_000);
    rig.run();
    assert!(program.level(slot).contains(Events::ERR));
    got.extend(program.read(slot, 100_000));
    assert_eq!(got, data);
}

#[test]
fn a_reset_after_the_peers_end_is_a_broken_pipe() {
    let mut rig = Rig::new();
    let (program, slot, peer) = accepted(&mut rig);
    rig.peer.socket(peer).close();
    rig.run();
    rig.peer.socket(peer).abort();
    rig.run();
    assert_eq!(program.error(slot), crate::Errno::PIPE.0);
}
