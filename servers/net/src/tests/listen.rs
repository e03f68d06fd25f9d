// SPDX-License-Identifier: BSD-2-Clause
//! Ports, backlogs and accept.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use std::vec::Vec;

use super::segment::{Raw, flags};
use super::{OWN, Rig};
use crate::Errno;
use vfs_hooks::Events;
use vfs_hooks::net::{ACCEPT_SIZE, kind};
use vfs_hooks::wire::net;

#[test]
fn accept_tells_who_came() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 8080, 5);
    assert_eq!(rig.server.platform().listening, [8080]);
    let channel = program.channel_of(listener);
    let subscriptions = &program.apart(channel).channel().sides[0].subscriptions;
    subscriptions.put(0, 0, Events::IN);
    assert!(program.level(listener).is_empty());
    rig.peer.connect_from(5555, 8080);
    rig.run();
    assert_eq!(rig.signals(), [(1000 + channel, 0)]);
    assert!(program.level(listener).contains(Events::IN));
    let slot = program.accept(listener).unwrap();
    assert!(program.accept(listener).is_none());
    let header = program.header(slot);
    let load =
        |word: &std::sync::atomic::AtomicU32| word.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(load(&header.kind), kind::STREAM);
    assert_eq!(load(&header.local_address), OWN);
    assert_eq!(load(&header.local_port), 8080);
    assert_eq!(load(&header.peer_address), super::GATEWAY);
    assert_eq!(load(&header.peer_port), 5555);
    assert_eq!(program.level(slot), Events::OUT | Events::WRNORM);
}

#[test]
fn nobody_listens() {
    let mut rig = Rig::new();
    let peer = rig.peer.connect(81);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn ports_conflict_as_on_linux() {
    let mut rig = Rig::new();
    let (a, b) = (rig.program(0), rig.program(1));
    let rig = &mut rig;
    assert_eq!(a.bind(rig, 80, false), Ok(80));
    assert_eq!(b.bind(rig, 80, false), Err(Errno::ADDRINUSE));
    assert_eq!(b.bind(rig, 80, true), Err(Errno::ADDRINUSE));
    assert_eq!(a.call(rig, net::UNBIND, [80, 0, 0]), Ok(0));
    assert_eq!(a.call(rig, net::UNBIND, [80, 0, 0]), Err(Errno::INVAL));
    assert_eq!(a.bind(rig, 80, true), Ok(80));
    assert_eq!(b.bind(rig, 80, true), Ok(80), "both reuse, nobody listens");
    a.listen_at(rig, 80, 1);
    assert_eq!(b.call(rig, net::LISTEN, [80, 1, 0]), Err(Errno::ADDRINUSE));
    assert_eq!(b.bind(rig, 80, true), Err(Errno::ADDRINUSE));
    assert_eq!(b.call(rig, net::LISTEN, [81, 1, 0]), Err(Errno::INVAL));
    let chosen = b.bind(rig, 0, false).unwrap();
    assert!((49152..=65535).contains(&chosen));
    assert_ne!(a.bind(rig, 0, false), Ok(chosen));
    let elsewhere = a.call(rig, net::BIND, [0x0808_0808, 90, 0]);
    assert_eq!(elsewhere, Err(Errno::ADDRNOTAVAIL));
    assert_eq!(a.call(rig, net::BIND, [0, 1 << 16, 0]), Err(Errno::INVAL));
    assert_eq!(a.call(rig, 99, [0; 3]), Err(Errno::NOSYS));
}

#[test]
fn a_port_of_the_loopback_is_closed_to_the_outside() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program
        .call(&mut rig, net::BIND, [0x7f00_0001, 80, 0])
        .unwrap();
    program.listen_at(&mut rig, 80, 5);
    assert!(rig.server.platform().listening.is_empty());
    let peer = rig.peer.connect(80);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
}

#[test]
fn a_connection_holds_its_port() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program.bind(&mut rig, 80, false).unwrap();
    let listener = program.listen_at(&mut rig, 80, 5);
    let peer = rig.peer.connect(80);
    rig.run();
    let slot = program.accept(listener).unwrap();
    program.close(listener);
    rig.run();
    assert_eq!(program.bind(&mut rig, 80, true), Err(Errno::ADDRINUSE));
    program.close(slot);
    rig.peer.socket(peer).close();
    rig.run();
    assert_eq!(rig.server.counts(), (0, 1));
    assert_eq!(program.bind(&mut rig, 80, false), Err(Errno::ADDRINUSE));
    rig.pass(Duration::from_secs(61));
    assert_eq!(program.bind(&mut rig, 80, false), Ok(80));
}

#[test]
fn a_server_that_restarts_takes_its_port_again() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    rig.peer.connect(80);
    rig.run();
    let slot = program.accept(listener).unwrap();
    program.close(slot);
    program.close(listener);
    // No turn in between: the request looks at the marks first.
    assert_eq!(program.bind(&mut rig, 80, true), Ok(80));
}

#[test]
fn the_backlog_fills_and_empties() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 2);
    let peers: Vec<_> = (0..5).map(|_| rig.peer.connect(80)).collect();
    rig.run();
    let states: Vec<_> = peers.iter().map(|p| rig.peer.state(*p)).collect();
    let established = |states: &[State]| {
        let count = states.iter().filter(|s| **s == State::Established);
        count.count()
    };
    // One more than the backlog, as on Linux; the SYNs of the others are dropped and come again.
    assert_eq!(established(&states), 3, "{states:?}");
    assert!(!states.contains(&State::Closed), "{states:?}");
    for _ in 0..3 {
        assert!(program.accept(listener).is_some());
    }
    rig.pass(Duration::from_secs(8));
    let states: Vec<_> = peers.iter().map(|p| rig.peer.state(*p)).collect();
    assert_eq!(established(&states), 5);
    assert!(program.accept(listener).is_some() && program.accept(listener).is_some());
}

#[test]
fn set_backlog_counts_from_the_next_connection() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 0);
    let (one, two) = (rig.peer.connect(80), rig.peer.connect(80));
    rig.run();
    assert_eq!(rig.peer.state(one), State::Established);
    assert_eq!(rig.peer.state(two), State::SynSent);
    let words = [program.channel_of(listener) as u64, u64::MAX, 0];
    assert_eq!(program.call(&mut rig, net::SET_BACKLOG, words), Ok(0));
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.peer.state(two), State::Established);
    let stranger = program.call(&mut rig, net::SET_BACKLOG, [9, 1, 0]);
    assert_eq!(stranger, Err(Errno::INVAL));
}

#[test]
fn closing_a_listener_resets_those_that_wait() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let (first, second) = (rig.peer.connect(80), rig.peer.connect(80));
    rig.run();
    let kept = program.accept(listener).unwrap();
    program.close(listener);
    rig.run();
    assert_eq!(rig.peer.state(first), State::Established);
    assert_eq!(rig.peer.state(second), State::Closed);
    program.close(kept);
    rig.peer.socket(first).close();
    rig.run();
    assert_eq!(rig.server.counts(), (0, 1));
}

#[test]
fn a_flood_of_syns_does_not_close_the_port() {
    let mut rig = Rig::with(ACCEPT_SIZE as usize);
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 8);
    for port in 1000..3000 {
        let syn = Raw::new(port, 80).flags(flags::SYN).sequence(1);
        rig.exchange(syn.frame());
    }
    assert_eq!(rig.server.counts().0, 9);
    rig.pass(Duration::from_secs(4));
    let peer = rig.peer.connect(80);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Established);
    assert!(program.accept(listener).is_some());
    rig.pass(Duration::from_secs(64));
    assert_eq!(rig.server.counts().0, 1, "half-open ones are gone");
}

#[test]
fn a_reset_during_the_handshake_leaves_nothing() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    program.listen(&mut rig, 80, 8);
    let syn = Raw::new(1000, 80).flags(flags::SYN).sequence(1);
    assert_eq!(rig.exchange(syn.frame()).len(), 1);
    assert_eq!(rig.server.counts().0, 1);
    let reset = Raw::new(1000, 80).flags(flags::RST).sequence(2);
    rig.exchange(reset.frame());
    assert_eq!(rig.server.counts(), (0, 0));
}

#[test]
fn a_new_syn_reuses_a_tuple_in_time_wait() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    for round in 0..20 {
        let peer = rig.peer.connect_from(7000, 80);
        rig.pass(Duration::from_millis(1500));
        assert_eq!(rig.peer.state(peer), State::Established, "round {round}");
        let slot = program.accept(listener).unwrap();
        program.close(slot);
        rig.run();
        rig.peer.socket(peer).close();
        rig.run();
        assert_eq!(rig.server.counts(), (0, 1));
        rig.pass(Duration::from_secs(1));
    }
}

#[test]
fn no_slot_and_no_wire_is_a_dropped_syn() {
    let mut rig = Rig::with(2);
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 50);
    let peers: Vec<_> = (0..4).map(|_| rig.peer.connect(80)).collect();
    rig.run();
    assert_eq!(rig.server.counts().0, 2);
    let waiting = peers
        .iter()
        .filter(|p| rig.peer.state(**p) == State::SynSent);
    assert_eq!(waiting.count(), 2);
    rig.server.platform().chunks = 1;
    let mut given = 0;
    while program.connect(&mut rig, super::GATEWAY, 1).is_ok() {
        given += 1;
    }
    assert_eq!(given, 0, "no wires");
    assert!(program.accept(listener).is_some());
}

#[test]
fn an_ended_client_leaves_nothing_behind() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let (one, two) = (rig.peer.connect(80), rig.peer.connect(80));
    rig.run();
    program.accept(listener).unwrap();
    program.bind(&mut rig, 90, false).unwrap();
    let control = program.channel.control();
    control
        .client_ended
        .store(1, std::sync::atomic::Ordering::Release);
    rig.run();
    assert_eq!(rig.peer.state(one), State::CloseWait);
    assert_eq!(rig.peer.state(two), State::Closed);
    rig.peer.socket(one).close();
    rig.run();
    assert_eq!(rig.server.counts().0, 0);
    assert_eq!(rig.server.platform().gone, [0]);
    let other = rig.program(1);
    assert_eq!(other.bind(&mut rig, 90, false), Ok(90));
}

#[test]
fn a_client_that_never_called_is_gone_as_well() {
    let mut rig = Rig::new();
    rig.server.platform().open = 2;
    rig.run();
    assert!(rig.server.platform().gone.is_empty());
    let control = rig.program(1).channel.control();
    let ended = &control.client_ended;
    ended.store(1, std::sync::atomic::Ordering::Release);
    rig.run();
    assert_eq!(rig.server.platform().gone, [1]);
    // The next with its number is another one.
    ended.store(0, std::sync::atomic::Ordering::Release);
    let program = rig.program(1);
    assert_eq!(program.bind(&mut rig, 90, false), Ok(90));
    ended.store(1, std::sync::atomic::Ordering::Release);
    rig.run();
    assert_eq!(rig.server.platform().gone, [1, 1]);
}

#[test]
fn a_client_is_gone_only_when_its_last_bytes_are_sent() {
    let mut rig = Rig::new();
    let program = rig.program(0);
    let listener = program.listen(&mut rig, 80, 5);
    let one = rig.peer.connect(80);
    rig.run();
    let slot = program.accept(listener).unwrap();
    // More than the peer's window and the socket's buffer take: it stays in the slot's ring.
    let mut sent = 0;
    loop {
        let n = program.write(slot, &[7; 8192]);
        rig.run();
        sent += n;
        if n == 0 {
            break;
        }
    }
    let ended = &program.channel.control().client_ended;
    ended.store(1, std::sync::atomic::Ordering::Release);
    rig.run();
    assert!(rig.server.platform().gone.is_empty());
    let mut got = 0;
    while got < sent {
        let n = rig.peer.read(one).len();
        assert!(n > 0, "{got} of {sent} bytes came");
        got += n;
        rig.run();
    }
    assert_eq!(rig.server.platform().gone, [0]);
}
