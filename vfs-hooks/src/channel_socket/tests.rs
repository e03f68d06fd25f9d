// SPDX-License-Identifier: BSD-2-Clause
use super::*;
use crate::channel::watch_number;
use alloc::vec;
use core::ptr::NonNull;

const NONE: Attached = Attached {
    control: &[],
    sender: 0,
};

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

    fn socket(&mut self, kind: Kind) -> ChannelSocket<'_> {
        let [first, second] = &mut self.bytes;
        let data = [first, second].map(|bytes| NonNull::new(bytes.as_mut_ptr()).unwrap());
        let rings = [0, 1]
            .map(|side| crate::ring::tests_ring(self.connection.ring(side), data[side], RING));
        let socket = ChannelSocket::new(&self.header, &self.connection, rings, kind);
        socket.start();
        socket
    }
}

fn send(socket: &ChannelSocket, side: usize, bytes: &[u8]) -> Result<usize, Refused> {
    socket.send(1, side, bytes, NONE, |_| ())
}

fn receive(socket: &ChannelSocket, side: usize, len: usize) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0; len];
    let got = socket.receive(2, side, &mut out, false, |_| ())?;
    out.truncate(got.copied);
    Ok(out)
}

fn close(socket: &ChannelSocket, side: usize) {
    let holders = &socket.header.sides[side].holders;
    holders.store(0, Ordering::Relaxed);
}

#[test]
fn a_stream_reads_across_writes_and_packets_do_not() {
    for (kind, first) in [
        (Kind::Stream, &b"onetw"[..]),
        (Kind::Seqpacket, b"one"),
        (Kind::Datagram, b"one"),
    ] {
        let mut memory = Memory::new();
        let socket = memory.socket(kind);
        assert_eq!(receive(&socket, 1, 5), Err(Refused::Again));
        assert_eq!(send(&socket, 0, b"one"), Ok(3));
        assert_eq!(send(&socket, 0, b"two"), Ok(3));
        let all = if kind == Kind::Datagram { 3 } else { 6 };
        assert_eq!(socket.available(1), all);
        let mut out = [0; 5];
        let peeked = socket.receive(2, 1, &mut out, true, |_| ()).unwrap();
        assert_eq!(&out[..peeked.copied], first);
        assert_eq!(receive(&socket, 1, 5).unwrap(), first);
        let rest = if kind == Kind::Stream {
            &b"o"[..]
        } else {
            b"two"
        };
        assert_eq!(receive(&socket, 1, 5).unwrap(), rest);
        assert_eq!(receive(&socket, 1, 5), Err(Refused::Again));
    }
}

#[test]
fn a_packet_is_cut_and_its_length_told() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Seqpacket);
    send(&socket, 1, b"").unwrap();
    send(&socket, 1, b"longer").unwrap();
    assert_eq!(receive(&socket, 0, 4), Ok(vec![]));
    let mut out = [0; 4];
    let got = socket.receive(2, 0, &mut out, false, |_| ()).unwrap();
    assert_eq!((got.copied, got.len, &out), (4, 6, b"long"));
    assert_eq!(receive(&socket, 0, 4), Err(Refused::Again));
    let most = CAPACITY - RESERVE;
    assert_eq!(send(&socket, 1, &vec![0; most + 1]), Err(Refused::TooLarge));
    assert_eq!(send(&socket, 1, &vec![7; most]), Ok(most));
    assert_eq!(receive(&socket, 0, most), Ok(vec![7; most]));
}

#[test]
fn what_goes_with_a_write_comes_with_its_first_byte_and_ends_a_read() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Stream);
    send(&socket, 0, b"ab").unwrap();
    let attached = Attached {
        control: b"rights",
        sender: 9,
    };
    socket.send(1, 0, b"cd", attached, |_| ()).unwrap();
    send(&socket, 0, b"ef").unwrap();
    let take = |len: usize| {
        let mut out = vec![0; len];
        let got = socket.receive(2, 1, &mut out, false, |_| ()).unwrap();
        out.truncate(got.copied);
        (out, got.control, got.sender)
    };
    assert_eq!(take(3), (b"abc".to_vec(), b"rights".to_vec(), 0));
    assert_eq!(take(9), (b"def".to_vec(), vec![], 9));
    socket.send(1, 0, b"gh", attached, |_| ()).unwrap();
    send(&socket, 0, b"ij").unwrap();
    assert_eq!(take(9), (b"gh".to_vec(), b"rights".to_vec(), 9));
    assert_eq!(take(9), (b"ij".to_vec(), vec![], 0));
}

#[test]
fn a_write_tells_who_waits_and_a_read_of_all_of_it_the_writer() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Stream);
    let subscriptions = |side: usize| &socket.header.sides[side].subscriptions;
    subscriptions(1).put(2, 2, Events::IN);
    subscriptions(0).put(3, 3, Events::OUT);
    let mut told = Vec::new();
    socket.send(1, 0, b"ab", NONE, |w| told.push(w)).unwrap();
    socket.send(1, 0, b"c", NONE, |w| told.push(w)).unwrap();
    assert_eq!(told, [watch_number(1, 2)], "armed once");
    assert_eq!(socket.readiness(1).edges.input, 2, "each write is an edge");
    told.clear();
    let mut out = [0; 1];
    socket
        .receive(2, 1, &mut out, false, |w| told.push(w))
        .unwrap();
    assert!(told.is_empty());
    socket
        .receive(2, 1, &mut out, false, |w| told.push(w))
        .unwrap();
    assert_eq!(told, [watch_number(0, 3)]);
}

#[test]
fn room_is_told_only_where_the_largest_packet_fits() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Datagram);
    while socket.readiness(0).events.contains(Events::OUT) {
        send(&socket, 0, &[0; 1000]).unwrap();
    }
    receive(&socket, 1, 1).unwrap();
    assert!(socket.readiness(0).events.contains(WRITABLE));
    let most = CAPACITY - RESERVE;
    assert_eq!(send(&socket, 0, &vec![0; most]), Ok(most));
    assert_eq!(send(&socket, 0, &vec![0; most]), Err(Refused::Again));
}

#[test]
fn a_full_stream_takes_what_fits_and_gives_it_back() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Stream);
    let pattern: Vec<u8> = (0..CAPACITY * 2).map(|i| (i * 31 / 8) as u8).collect();
    let mut sent = 0;
    loop {
        let end = pattern.len().min(sent + 50_001);
        match send(&socket, 0, &pattern[sent..end]) {
            Ok(n) => sent += n,
            refused => break assert_eq!(refused, Err(Refused::Again)),
        }
    }
    assert!(sent > CAPACITY - 200);
    assert!(!socket.readiness(0).events.intersects(Events::OUT));
    let mut got = Vec::new();
    while let Ok(part) = receive(&socket, 1, 7777) {
        got.extend(part);
    }
    assert_eq!(got, pattern[..sent]);
}

#[test]
fn closing_shutting_and_resets() {
    let gone = Events::READABLE | Events::RDHUP | Events::HUP | WRITABLE;
    for kind in [Kind::Stream, Kind::Seqpacket] {
        let mut memory = Memory::new();
        let socket = memory.socket(kind);
        send(&socket, 1, b"last").unwrap();
        send(&socket, 0, b"unread").unwrap();
        close(&socket, 1);
        assert_eq!(socket.readiness(0).events, gone | Events::ERR);
        if kind == Kind::Seqpacket {
            assert_eq!(receive(&socket, 0, 9), Err(Refused::Reset));
        }
        assert_eq!(receive(&socket, 0, 9).unwrap(), b"last");
        if kind == Kind::Stream {
            assert_eq!(receive(&socket, 0, 9), Err(Refused::Reset));
        }
        assert_eq!(receive(&socket, 0, 9), Ok(vec![]));
        assert_eq!(send(&socket, 0, b"x"), Err(Refused::Broken));
        assert_eq!(socket.readiness(0).events, gone);
        let mut memory = Memory::new();
        let socket = memory.socket(kind);
        socket.shut_down(0, Shutdown::Write, |_| ());
        assert_eq!(send(&socket, 0, b"x"), Err(Refused::Broken));
        assert_eq!(receive(&socket, 1, 9), Ok(vec![]));
        assert_eq!(send(&socket, 1, b"back"), Ok(4));
        let events = socket.readiness(1).events;
        assert_eq!(events, Events::READABLE | Events::RDHUP | WRITABLE);
    }
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Datagram);
    socket.shut_down(0, Shutdown::Write, |_| ());
    assert_eq!(socket.readiness(1).events, WRITABLE, "the peer is not told");
    assert_eq!(send(&socket, 0, b"x"), Err(Refused::Broken));
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Datagram);
    send(&socket, 1, b"lost").unwrap();
    close(&socket, 1);
    assert_eq!(socket.readiness(0).events, WRITABLE | Events::READABLE);
    assert_eq!(send(&socket, 0, b"x"), Err(Refused::Gone));
    assert_eq!(receive(&socket, 0, 9), Err(Refused::Again));
}

#[test]
fn names_are_kept_and_cut() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Stream);
    assert_eq!(socket.name(0), b"");
    socket.set_name(0, b"\0abc");
    socket.set_name(1, &[b'x'; 200]);
    assert_eq!(socket.name(0), b"\0abc");
    assert_eq!(socket.name(1), [b'x'; MOST_NAME]);
    socket.connection.names[0]
        .len
        .store(u32::MAX, Ordering::Relaxed);
    assert_eq!(socket.name(0).len(), MOST_NAME);
}

/// Whatever the other holders write, and whenever: every call answers, and nothing outside of the channel is touched (the rings check that; under Miri
/// or an address sanitizer too). What one direction has does not spoil the other.
#[test]
fn scribbled_memory_never_panics_and_spoils_one_direction_only() {
    let mut seed = 7u64;
    let mut random = move || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as u32
    };
    let kinds = [Kind::Stream, Kind::Seqpacket, Kind::Datagram];
    let (mut worked, mut refused) = (0, 0);
    for round in 0..300 {
        let kind = kinds[round % 3];
        let mut memory = Memory::new();
        let socket = memory.socket(kind);
        let mut out = vec![0; 5000];
        for _ in 0..100 {
            // Ring 0, which side 0 reads, is the hostile one's.
            let ring = &socket.rings[0];
            let odd = [0, 1, 7, 16, RING, RING - 1, u32::MAX, random()];
            match random() % 8 {
                0 => {
                    let word = odd[random() as usize % odd.len()].to_le_bytes();
                    let _ = ring.amend(random() % 64, &word);
                }
                1 => {
                    let word = odd[random() as usize % odd.len()];
                    let indices = socket.connection.ring(0);
                    let place = if random() % 2 == 0 {
                        &indices.head
                    } else {
                        &indices.tail
                    };
                    place.store(word, Ordering::Relaxed);
                }
                2 => {
                    let garbage: Vec<u8> = (0..random() % 100).map(|_| random() as u8).collect();
                    let _ = ring.write(&garbage);
                }
                3 => {
                    let _ = ring.amend(random() % RING, &random().to_le_bytes());
                }
                _ => {
                    let _ = send(&socket, 1, &out[..random() as usize % 5000]);
                }
            }
            let (peek, len) = (random() % 3 == 0, random() as usize % out.len());
            let got = socket.receive(2, 0, &mut out[..len], peek, |_| ());
            match got {
                Ok(got) => {
                    worked += 1;
                    assert!(got.copied <= len && got.control.len() <= MOST_CONTROL);
                }
                Err(_) => refused += 1,
            }
            let _ = (socket.readiness(0), socket.available(0), socket.name(1));
            assert_eq!(send(&socket, 0, b"good"), Ok(4));
            assert_eq!(receive(&socket, 1, 4).unwrap(), b"good");
        }
    }
    assert!(worked > 1000 && refused > 1000, "{worked} {refused}");
}

/// A pair of one process moves here: what waits in it, what was shut, and a reset that is to be told.
#[test]
fn a_pair_moves_in_with_all_that_it_has() {
    let mut memory = Memory::new();
    let socket = memory.socket(Kind::Stream);
    assert!(socket.is_valid());
    socket.move_in(0, b"one");
    socket.move_in(0, b"two!");
    socket.adopt(1, (false, true), false);
    assert_eq!(socket.available(0), 7);
    assert_eq!(send(&socket, 1, b"x"), Err(Refused::Broken));
    let mut out = [0; 5];
    let got = socket.receive(2, 0, &mut out, true, |_| ()).unwrap();
    assert_eq!((got.copied, &out), (5, b"onetw"), "only looked at");
    assert_eq!(receive(&socket, 0, 9).unwrap(), b"onetwo!");

    for told in [false, true] {
        let mut memory = Memory::new();
        let socket = memory.socket(Kind::Stream);
        socket.adopt(0, (false, false), told);
        socket.reset();
        close(&socket, 1);
        assert_eq!(socket.readiness(0).events.contains(Events::ERR), !told);
        let first = receive(&socket, 0, 9);
        assert_eq!(
            first,
            if told {
                Ok(vec![])
            } else {
                Err(Refused::Reset)
            }
        );
        assert_eq!(receive(&socket, 0, 9), Ok(vec![]));
    }
}
