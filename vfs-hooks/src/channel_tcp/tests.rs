// SPDX-License-Identifier: BSD-2-Clause
use super::*;
use crate::channel::watch_number;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;

struct Memory {
    header: Header,
    connection: Connection,
    bytes: [Vec<u8>; SIDES],
}

impl Memory {
    fn new() -> Memory {
        let memory = Memory {
            header: Header::default(),
            connection: Connection::default(),
            bytes: [0; SIDES].map(|_| vec![0; RING as usize]),
        };
        for side in &memory.header.sides {
            side.holders.store(1, Ordering::Relaxed);
        }
        memory
    }

    fn tcp(&mut self) -> ChannelTcp<'_> {
        let [first, second] = &mut self.bytes;
        let data = [first, second].map(|bytes| NonNull::new(bytes.as_mut_ptr()).unwrap());
        let rings = [0, 1]
            .map(|side| crate::ring::tests_ring(self.connection.ring(side), data[side], RING));
        let tcp = ChannelTcp::new(&self.header, &self.connection, rings);
        assert!(!tcp.is_valid());
        tcp.start();
        assert!(tcp.is_valid());
        tcp
    }
}

fn send(tcp: &ChannelTcp, side: usize, bytes: &[u8]) -> Result<usize, Refused> {
    tcp.send(1, side, bytes, |_| ())
}

fn receive(tcp: &ChannelTcp, side: usize) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0; 1000];
    let n = tcp.receive(2, side, &mut out, false, |_| ())?;
    out.truncate(n);
    Ok(out)
}

fn close(tcp: &ChannelTcp, side: usize) {
    let holders = &tcp.header.sides[side].holders;
    holders.store(0, Ordering::Relaxed);
}

fn level(tcp: &ChannelTcp, side: usize) -> Events {
    tcp.readiness(side).events
}

const ENDED: Events = Events::READABLE.union(Events::RDHUP);
const OVER: Events = ENDED.union(Events::HUP).union(Events::WRITABLE);

#[test]
fn bytes_come_as_they_were_sent_and_can_be_looked_at() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    assert_eq!(level(&tcp, 1), Events::WRITABLE);
    assert_eq!(receive(&tcp, 1), Err(Refused::Again));
    assert_eq!(send(&tcp, 0, b"one"), Ok(3));
    assert_eq!(send(&tcp, 0, b"two"), Ok(3));
    assert_eq!(tcp.available(1), 6);
    assert_eq!(level(&tcp, 1), Events::WRITABLE | Events::READABLE);
    let mut out = [0; 4];
    assert_eq!(tcp.receive(2, 1, &mut out, true, |_| ()), Ok(4));
    assert_eq!(&out, b"onet");
    assert_eq!(receive(&tcp, 1).unwrap(), b"onetwo");
    assert_eq!(receive(&tcp, 0), Err(Refused::Again));
}

#[test]
fn shutting_the_writing_side_ends_the_peers_reading_alone() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    send(&tcp, 0, b"last").unwrap();
    tcp.shut_down(0, Shutdown::Write, |_| ()).unwrap();
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Broken));
    assert_eq!(level(&tcp, 0), Events::WRITABLE);
    assert_eq!(level(&tcp, 1), ENDED | Events::WRITABLE);
    assert_eq!(receive(&tcp, 1).unwrap(), b"last");
    assert_eq!(receive(&tcp, 1).unwrap(), b"");
    assert_eq!(send(&tcp, 1, b"still"), Ok(5));
    assert_eq!(receive(&tcp, 0).unwrap(), b"still");
    assert!(tcp.is_connected(0) && tcp.is_connected(1));
    tcp.shut_down(1, Shutdown::Write, |_| ()).unwrap();
    assert_eq!((level(&tcp, 0), level(&tcp, 1)), (OVER, OVER));
    assert_eq!(
        tcp.shut_down(0, Shutdown::Both, |_| ()),
        Err(Refused::NotConnected)
    );
    close(&tcp, 1);
    assert_eq!(level(&tcp, 0), OVER, "no reset after the end");
}

#[test]
fn shutting_the_reading_side_is_nobody_elses_business() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    tcp.shut_down(0, Shutdown::Read, |_| ()).unwrap();
    assert_eq!(level(&tcp, 0), ENDED | Events::WRITABLE);
    assert_eq!(level(&tcp, 1), Events::WRITABLE);
    assert_eq!(receive(&tcp, 0).unwrap(), b"");
    assert_eq!(send(&tcp, 1, b"late"), Ok(4));
    assert_eq!(receive(&tcp, 0).unwrap(), b"late");
}

#[test]
fn a_peer_that_closes_with_nothing_unread_says_fin() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    send(&tcp, 1, b"bye").unwrap();
    close(&tcp, 1);
    assert_eq!(level(&tcp, 0), ENDED | Events::WRITABLE);
    assert_eq!(receive(&tcp, 0).unwrap(), b"bye");
    assert_eq!(receive(&tcp, 0).unwrap(), b"");
    assert_eq!(send(&tcp, 0, b"anyone?"), Ok(7), "answered by a reset");
    assert_eq!(level(&tcp, 0), OVER | Events::ERR);
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Broken));
    assert_eq!(level(&tcp, 0), OVER);
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Broken));
    assert_eq!(receive(&tcp, 0).unwrap(), b"");
    assert!(!tcp.is_connected(0));
}

#[test]
fn a_peer_that_leaves_bytes_unread_resets() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    send(&tcp, 1, b"read").unwrap();
    send(&tcp, 0, b"never read").unwrap();
    close(&tcp, 1);
    assert_eq!(level(&tcp, 0), OVER | Events::ERR);
    assert_eq!(receive(&tcp, 0).unwrap(), b"read", "it came before");
    assert_eq!(receive(&tcp, 0), Err(Refused::Reset));
    assert_eq!(receive(&tcp, 0).unwrap(), b"");
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Broken));
    assert_eq!(tcp.ends(0), None);
}

#[test]
fn a_reset_after_fin_is_a_broken_pipe() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    tcp.shut_down(1, Shutdown::Write, |_| ()).unwrap();
    send(&tcp, 0, b"never read").unwrap();
    close(&tcp, 1);
    assert_eq!(tcp.take_error(0), Some(Refused::Broken));
    assert_eq!(tcp.take_error(0), None);
}

#[test]
fn who_was_never_accepted_or_aborts_is_reset() {
    for aborts in [false, true] {
        let mut memory = Memory::new();
        let tcp = memory.tcp();
        match aborts {
            true => tcp.set_aborts(1, true),
            false => tcp.header.value.store(1, Ordering::Relaxed),
        }
        close(&tcp, 1);
        assert_eq!(receive(&tcp, 0), Err(Refused::Reset));
    }
}

#[test]
fn room_is_news_only_to_who_missed_it() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    let heard = core::cell::RefCell::new(Vec::new());
    let take = |most: usize| {
        let mut out = vec![0; most];
        let signal = |watch| heard.borrow_mut().push(watch);
        tcp.receive(2, 1, &mut out, false, signal).unwrap()
    };
    tcp.header.sides[0].subscriptions.put(3, 3, Events::OUT);
    send(&tcp, 0, b"little").unwrap();
    take(100);
    assert!(heard.borrow().is_empty(), "there always was room");
    assert_eq!(send(&tcp, 0, &vec![7; 200_000]), Ok(RING as usize));
    assert!(!level(&tcp, 0).contains(Events::OUT));
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Again));
    take(1000);
    assert!(heard.borrow().is_empty(), "less than a third is free");
    take(60_000);
    assert_eq!(*heard.borrow(), [watch_number(0, 3)]);
    assert!(level(&tcp, 0).contains(Events::OUT));
}

#[test]
fn each_write_is_an_edge_of_input() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    let before = tcp.readiness(1).edges.input;
    send(&tcp, 0, b"a").unwrap();
    send(&tcp, 0, b"b").unwrap();
    assert_eq!(tcp.readiness(1).edges.input, before + 2);
}

#[test]
fn what_moves_here_stays_as_it_was() {
    for (end, expected) in [
        (Moved::default(), Events::WRITABLE | Events::READABLE),
        (
            Moved {
                fin: true,
                ..Moved::default()
            },
            ENDED | Events::WRITABLE,
        ),
        (
            Moved {
                reset: true,
                error: Some(Refused::Reset),
                ..Moved::default()
            },
            OVER | Events::ERR,
        ),
    ] {
        let mut memory = Memory::new();
        let tcp = memory.tcp();
        tcp.move_in(0, end, b"waits");
        assert_eq!(level(&tcp, 0), expected);
        assert_eq!(receive(&tcp, 0).unwrap(), b"waits");
    }
}

#[test]
fn nonsense_spoils_that_connection_alone() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    memory_tail(&tcp, 1).store(1 << 30, Ordering::Relaxed);
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Reset));
    assert!(receive(&tcp, 1).is_err());
    assert_eq!(tcp.available(1), 0);
    let _ = level(&tcp, 0);
}

fn memory_tail<'a>(tcp: &ChannelTcp<'a>, side: usize) -> &'a AtomicU32 {
    &tcp.connection.rings[side].tail
}

#[test]
fn a_lock_that_another_has_is_waited_for() {
    let mut memory = Memory::new();
    let tcp = memory.tcp();
    send(&tcp, 1, b"x").unwrap();
    let lock = tcp.header.try_lock(7);
    assert_eq!(send(&tcp, 0, b"x"), Err(Refused::Busy));
    assert_eq!(receive(&tcp, 0), Err(Refused::Busy));
    drop(lock);
    assert_eq!(receive(&tcp, 0).unwrap(), b"x");
}
