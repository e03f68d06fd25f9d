// SPDX-License-Identifier: BSD-2-Clause
//! Outgoing connections and how they fail.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;

use super::segment::{Raw, flags};
use super::{GATEWAY, OWN, Rig};
use crate::Errno;
use vfs_hooks::Events;
use vfs_hooks::wire::net;

#[test]
fn connect_talk_close() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let peer = rig.peer.listen(25);
    let slot = program.connect(&mut rig, GATEWAY, 25).unwrap() as u32;
    assert!(!program.level(slot).contains(Events::OUT));
    program.write(slot, b"early");
    rig.run();
    assert!(program.level(slot).contains(Events::OUT));
    assert_eq!(rig.peer.read(peer), b"early");
    rig.peer.socket(peer).send_slice(b"hello").unwrap();
    rig.run();
    assert_eq!(program.read(slot, 9), b"hello");
    let port = program
        .header(slot)
        .local_port
        .load(super::super::server::ACQUIRE);
    assert!(port >= 49152);
    program.close(slot);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::CloseWait);
}

#[test]
fn refused() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let slot = program.connect(&mut rig, GATEWAY, 26).unwrap() as u32;
    rig.run();
    let all = Events::IN | Events::OUT | Events::ERR | Events::HUP;
    assert!(program.level(slot).contains(all));
    assert_eq!(program.error(slot), Errno::CONNREFUSED.0);
    program.close(slot);
    rig.run();
    assert_eq!(rig.server.counts(), (0, 0));
    for address in [OWN, 0x7f00_0001, 0] {
        let refused = program.connect(&mut rig, address, 80);
        assert_eq!(refused, Err(Errno::CONNREFUSED), "{address:x}");
    }
}

#[test]
fn no_answer_is_a_timeout() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    rig.peer.lose = 1;
    let slot = program.connect(&mut rig, GATEWAY, 25).unwrap() as u32;
    rig.run();
    rig.pass(Duration::from_secs(120));
    assert!(program.level(slot).is_empty());
    rig.pass(Duration::from_secs(8));
    assert_eq!(program.error(slot), Errno::TIMEDOUT.0);
    program.close(slot);
    rig.run();
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn an_unknown_neighbour_is_an_unreachable_host() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let slot = program.connect(&mut rig, 0x0a00_0263, 25).unwrap() as u32;
    rig.run();
    rig.pass(Duration::from_millis(2900));
    assert!(program.level(slot).is_empty());
    rig.pass(Duration::from_millis(200));
    assert_eq!(program.error(slot), Errno::HOSTUNREACH.0);
}

#[test]
fn icmp_tells_why() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    for (code, error) in [
        (0, Errno::NETUNREACH),
        (1, Errno::HOSTUNREACH),
        (3, Errno::CONNREFUSED),
    ] {
        // Through the gateway, which the server knows.
        let slot = program.connect(&mut rig, 0x0808_0808, 25).unwrap() as u32;
        while rig.server.turn(rig.now) {}
        let syn = rig.server.card().from_server.pop_back().unwrap();
        let mut forged = Raw::unreachable(code, &syn);
        forged[14 + 20 + 8 + 20 + 4] ^= 1;
        rig.exchange(Raw::unreachable_again(forged));
        assert!(program.level(slot).is_empty(), "another sequence number");
        rig.exchange(Raw::unreachable(code, &syn));
        assert_eq!(program.error(slot), error.0);
        program.close(slot);
    }
}

#[test]
fn no_route() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    for address in [0xe000_0001, 0xffff_ffff, 0x0a00_02ff] {
        let error = program.connect(&mut rig, address, 80);
        assert_eq!(error, Err(Errno::NETUNREACH), "{address:x}");
    }
}

#[test]
fn an_own_port_that_was_bound_before() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program.bind(&mut rig, 1234, false).unwrap();
    rig.peer.listen(25);
    let words = [GATEWAY.into(), 25, 1234];
    let slot = program.call(&mut rig, net::CONNECT, words).unwrap() as u32;
    rig.run();
    assert!(program.level(slot).contains(Events::OUT));
    assert_eq!(
        program.call(&mut rig, net::CONNECT, words),
        Err(Errno::INVAL)
    );
    assert_eq!(program.bind(&mut rig, 1234, false), Err(Errno::ADDRINUSE));
    program.abort(slot);
    assert_eq!(rig.server.card().from_server.len(), 0);
    rig.run();
    assert_eq!(program.bind(&mut rig, 1234, false), Ok(1234));
}

#[test]
fn closing_before_the_answer_says_nothing() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let slot = program.connect(&mut rig, GATEWAY, 25).unwrap() as u32;
    while rig.server.turn(rig.now) {}
    rig.server.card().from_server.clear();
    program.close(slot);
    while rig.server.turn(rig.now) {}
    assert_eq!(rig.server.card().from_server.len(), 0);
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn silence_ends_data_but_not_idleness() {
    let mut rig = Rig::new();
    let (program, slot, peer) = super::data::accepted(&mut rig);
    rig.pass(Duration::from_secs(5000));
    rig.peer.socket(peer).send_slice(b"still").unwrap();
    rig.run();
    assert_eq!(program.read(slot, 9), b"still");
    rig.peer.lose = 1;
    program.write(slot, b"anybody?");
    rig.pass(Duration::from_secs(920));
    assert_eq!(program.error(slot), 0);
    rig.pass(Duration::from_secs(10));
    assert_eq!(program.error(slot), Errno::TIMEDOUT.0);
}

#[test]
fn keep_alive_finds_a_dead_peer() {
    let mut rig = Rig::new();
    let (program, slot, _) = super::data::accepted(&mut rig);
    let on = &program.header(slot).keep_alive;
    on.store(1, std::sync::atomic::Ordering::Relaxed);
    program.mark(slot);
    rig.run();
    rig.pass(Duration::from_secs(3 * 7200));
    assert_eq!(program.error(slot), 0, "the peer answers probes");
    rig.peer.lose = 1;
    rig.pass(Duration::from_secs(7200 + 9 * 75 - 100));
    assert_eq!(program.error(slot), 0);
    rig.pass(Duration::from_secs(300));
    assert_eq!(program.error(slot), Errno::TIMEDOUT.0);
}

#[test]
fn a_closed_connection_whose_peer_vanished_is_forgotten() {
    let mut rig = Rig::new();
    let (program, slot, peer) = super::data::accepted(&mut rig);
    program.close(slot);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::CloseWait);
    rig.pass(Duration::from_secs(59));
    assert_eq!(rig.server.counts().0, 1);
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn an_old_connection_answers_a_new_syn() {
    let mut rig = Rig::new();
    let (_, _, peer) = super::data::accepted(&mut rig);
    let port = rig.peer.socket(peer).local_endpoint().unwrap().port;
    let syn = Raw::new(port, 80).flags(flags::SYN).sequence(77);
    let answer = rig.exchange(syn.frame());
    assert_eq!(answer.len(), 1);
    assert_eq!(Raw::flags_of(&answer[0]), flags::ACK);
}
