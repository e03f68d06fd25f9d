// SPDX-License-Identifier: BSD-2-Clause
//! Sockets of several processes.

use smoltcp::socket::tcp::State;
use std::sync::atomic::Ordering;

use super::Rig;
use super::client::Program;
use super::data::accepted;
use crate::Errno;
use vfs_hooks::Events;
use vfs_hooks::wire::net;

fn share(program: &Program, rig: &mut Rig, listener: u32) -> u64 {
    let channel = program.channel_of(listener) as u64;
    assert_eq!(program.call(rig, net::SHARE, [channel, 0, 0]), Ok(0));
    channel
}

fn take(program: &Program, rig: &mut Rig, channel: u64) -> Result<u32, Errno> {
    let slot = program.call(rig, net::ACCEPT, [channel, 0, 0]);
    slot.map(|slot| slot as u32)
}

#[test]
fn whoever_holds_a_listener_may_take_its_connections() {
    let mut rig = Rig::new();
    let (a, b) = (rig.program(0), rig.program(1));
    let rig = &mut rig;
    let listener = a.listen(rig, 80, 5);
    let first = rig.peer.connect(80);
    rig.run();
    rig.peer.socket(first).send_slice(b"early").unwrap();
    rig.run();
    let channel = share(&a, rig, listener);
    assert_eq!(a.accept(listener), None, "it waits at the server again");
    assert!(a.level(listener).contains(Events::IN));
    let second = rig.peer.connect(80);
    rig.run();
    assert_eq!(take(&b, rig, channel), Err(Errno::BADF));
    rig.server.platform().holders[channel as usize] |= 1 << 1;
    let slot = take(&b, rig, channel).unwrap();
    assert_eq!(b.read(slot, 99), b"early");
    b.write(slot, b"answer");
    let slot = take(&a, rig, channel).unwrap();
    assert_eq!(take(&b, rig, channel), Err(Errno::AGAIN));
    assert!(!a.level(listener).contains(Events::IN));
    a.write(slot, b"other");
    rig.run();
    assert_eq!(rig.peer.read(first), b"answer");
    assert_eq!(rig.peer.read(second), b"other");
    assert_eq!(take(&a, rig, 77), Err(Errno::INVAL));
}

#[test]
fn a_count_that_somebody_made_up_is_put_right_when_it_is_believed() {
    let mut rig = Rig::new();
    let a = rig.program(0);
    let rig = &mut rig;
    let listener = a.listen(rig, 80, 5);
    let channel = share(&a, rig, listener);
    a.header(listener).waiting.store(3, Ordering::Relaxed);
    assert!(a.level(listener).contains(Events::IN));
    assert_eq!(take(&a, rig, channel), Err(Errno::AGAIN));
    assert!(!a.level(listener).contains(Events::IN));
}

#[test]
fn a_shared_listener_outlives_the_process_that_made_it() {
    let mut rig = Rig::new();
    let (a, b) = (rig.program(0), rig.program(1));
    let rig = &mut rig;
    let listener = a.listen(rig, 80, 5);
    let channel = share(&a, rig, listener);
    rig.server.platform().holders[channel as usize] = 1 << 1;
    let first = rig.peer.connect(80);
    rig.run();
    a.channel.control().client_ended.store(1, Ordering::Relaxed);
    rig.run();
    assert_eq!(rig.server.platform().gone, [0]);
    let second = rig.peer.connect(80);
    rig.run();
    assert_eq!(take(&a, rig, channel), Err(Errno::BADF));
    for peer in [first, second] {
        let slot = take(&b, rig, channel).unwrap();
        b.write(slot, b"x");
        rig.run();
        assert_eq!(rig.peer.read(peer), b"x");
    }
    let third = rig.peer.connect(80);
    rig.run();
    b.close(listener);
    rig.run();
    assert_eq!(rig.peer.state(third), State::Closed, "nobody took it");
    assert_eq!(rig.server.platform().left, [channel as usize]);
    assert_eq!(b.bind(rig, 80, true), Ok(80));
}

#[test]
fn a_connection_that_died_waiting_is_told_of() {
    let mut rig = Rig::new();
    let a = rig.program(0);
    let rig = &mut rig;
    let listener = a.listen(rig, 80, 5);
    let channel = share(&a, rig, listener);
    let peer = rig.peer.connect(80);
    rig.run();
    rig.peer.socket(peer).abort();
    rig.run();
    let slot = take(&a, rig, channel).unwrap();
    assert!(a.level(slot).contains(Events::ERR | Events::HUP));
    assert_eq!(a.error(slot), Errno::CONNRESET.0);
    a.close(slot);
    rig.run();
    assert_eq!(rig.server.counts().0, 0);
}

#[test]
fn a_connection_moves_with_all_that_is_in_it() {
    let mut rig = Rig::new();
    let (a, slot, peer) = accepted(&mut rig);
    let b = rig.program(1);
    let rig = &mut rig;
    rig.peer.socket(peer).send_slice(b"before").unwrap();
    rig.run();
    // Not yet seen by the server when it moves.
    a.write(slot, b"unsent ");
    let apart = a.share(rig, slot);
    assert_eq!(a.channel_of(apart), 1);
    let owned = rig.server.clients[0].as_ref().unwrap().is_empty();
    assert!(owned, "the slot is free again");
    let subscriptions = &a.apart(1).channel().sides[0].subscriptions;
    subscriptions.put(2, 2, Events::IN);
    rig.signals();
    b.write(apart, b"and sent");
    rig.peer.socket(peer).send_slice(b" after").unwrap();
    rig.run();
    assert_eq!(rig.signals(), [(1001, 2)]);
    assert_eq!(b.read(apart, 99), b"before after");
    assert_eq!(rig.peer.read(peer), b"unsent and sent");
    assert!(b.level(apart).contains(Events::OUT));
    b.close(apart);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::CloseWait, "a FIN");
    assert_eq!(rig.server.platform().left, [1]);
}

#[test]
fn the_last_holder_that_goes_with_something_unread_resets() {
    let mut rig = Rig::new();
    let (a, slot, peer) = accepted(&mut rig);
    let rig = &mut rig;
    let apart = a.share(rig, slot);
    rig.peer.socket(peer).send_slice(b"unread").unwrap();
    rig.run();
    // The end of a client is not the end of what others may have.
    a.channel.control().client_ended.store(1, Ordering::Relaxed);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Established);
    a.close(apart);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
    assert_eq!(rig.server.counts().0, 0);
}

#[test]
fn what_cannot_be_shared_stays_as_it_was() {
    let mut rig = Rig::new();
    let (a, slot, peer) = accepted(&mut rig);
    let rig = &mut rig;
    let channel = a.new_channel(rig) as u64;
    let words = [slot.into(), channel, 0];
    rig.server.platform().exhausted = true;
    let refused = a.call(rig, net::SHARE_STREAM, words);
    assert_eq!(refused, Err(Errno::NOBUFS));
    rig.server.platform().exhausted = false;
    for words in [
        [slot.into(), 9, 0],
        [slot.into(), u64::MAX, 0],
        [4095, channel, 0],
        [u64::MAX, channel, 0],
        // The listener's.
        [slot.into(), 0, 0],
    ] {
        let refused = a.call(rig, net::SHARE_STREAM, words);
        assert_eq!(refused, Err(Errno::INVAL), "{words:?}");
    }
    a.write(slot, b"still here");
    rig.run();
    assert_eq!(rig.peer.read(peer), b"still here");
}

#[test]
fn a_channel_with_broken_rings_is_one_connection_reset() {
    let mut rig = Rig::new();
    let (a, slot, peer) = accepted(&mut rig);
    let rig = &mut rig;
    let apart = a.share(rig, slot);
    a.header(apart).tx.tail.store(1 << 30, Ordering::Relaxed);
    a.mark(apart);
    rig.run();
    assert_eq!(rig.peer.state(peer), State::Closed);
    let other = rig.peer.connect(80);
    rig.run();
    assert_eq!(rig.peer.state(other), State::Established);
}

#[test]
fn listeners_that_share_a_port_take_turns() {
    let mut rig = Rig::new();
    let (a, b) = (rig.program(0), rig.program(1));
    let rig = &mut rig;
    let listen = |program: &Program, rig: &mut Rig| {
        assert_eq!(program.call(rig, net::BIND, [0, 80, 2]), Ok(80));
        program.listen_at(rig, 80, 9)
    };
    let listeners = [(a, listen(&a, rig)), (b, listen(&b, rig))];
    assert_eq!(a.bind(rig, 80, true), Err(Errno::ADDRINUSE));
    for _ in 0..4 {
        rig.peer.connect(80);
    }
    rig.run();
    for (program, listener) in listeners {
        assert!(program.accept(listener).is_some() && program.accept(listener).is_some());
        assert!(program.accept(listener).is_none());
    }
}
