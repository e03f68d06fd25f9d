// SPDX-License-Identifier: BSD-2-Clause
use super::*;
use crate::ring::tests_ring;
use core::ptr::NonNull;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

const FROM: End = End {
    ip: 0x7f00_0001,
    port: 4000,
};

/// A socket with memory of its own, which is never given back.
fn socket() -> Socket<'static> {
    let header: &'static Header = Box::leak(Box::default());
    let udp: &'static Udp = Box::leak(Box::default());
    let ring = |which: usize, size: u32| {
        let data: &'static mut [u64] = Box::leak(vec![0u64; size as usize / 8].into_boxed_slice());
        tests_ring(udp.ring(which), NonNull::from(data).cast(), size)
    };
    let socket = Socket::new(
        header,
        udp,
        [ring(0, LOCAL), ring(1, INWARD), ring(2, OUTWARD)],
    );
    socket.start();
    socket
}

fn datagram(bytes: &[u8]) -> Datagram {
    Datagram {
        len: bytes.len(),
        other: FROM,
        own: 9,
    }
}

fn receive(socket: &Socket) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0; LARGEST];
    let got = socket.receive(1, &mut out, false)?;
    assert_eq!(got.copied, got.datagram.len);
    assert_eq!((got.datagram.other, got.datagram.own), (FROM, 9));
    out.truncate(got.copied);
    Ok(out)
}

#[test]
fn datagrams_keep_their_boundaries_and_ends() {
    let socket = socket();
    let mut told = 0;
    socket.header.sides[0].subscriptions.put(3, 3, Events::IN);
    for bytes in [&b"first"[..], b"", b"a third one"] {
        let watch = |watch| told += usize::from(watch == 3);
        socket.deliver(1, datagram(bytes), bytes, watch).unwrap();
    }
    assert_eq!(told, 1, "told once, not armed again");
    assert_eq!(socket.readiness().edges.input, 3);
    assert!(socket.readiness().events.contains(Events::READABLE));
    assert_eq!(socket.available(), 5);
    let mut out = [0; 3];
    let got = socket.receive(1, &mut out, true).unwrap();
    assert_eq!((got.copied, got.datagram.len, &out), (3, 5, b"fir"));
    assert_eq!(receive(&socket).unwrap(), b"first");
    assert_eq!(receive(&socket).unwrap(), b"");
    assert_eq!(socket.receive(1, &mut out, false).unwrap().copied, 3);
    assert_eq!(receive(&socket), Err(Refused::Empty));
    assert_eq!(socket.readiness().events, WRITABLE);
}

#[test]
fn a_full_queue_loses_and_counts() {
    let socket = socket();
    let large = vec![7; LARGEST];
    let mut sent = 0;
    while socket.deliver(1, datagram(&large), &large, |_| {}).is_ok() {
        sent += 1;
    }
    assert_eq!((sent, socket.lost()), (4, 1));
    let full = vec![1; LARGEST_FRAME];
    sent = 0;
    while socket.bring(datagram(&full), &full, |_| {}).is_ok() {
        sent += 1;
    }
    assert_eq!((sent, socket.lost()), (88, 2));
    for _ in 0..4 + 88 {
        receive(&socket).unwrap();
    }
    assert_eq!(receive(&socket), Err(Refused::Empty));
}

#[test]
fn processes_and_the_network_take_turns() {
    let socket = socket();
    for _ in 0..3 {
        socket
            .deliver(1, datagram(b"here"), b"here", |_| {})
            .unwrap();
        socket.bring(datagram(b"away"), b"away", |_| {}).unwrap();
    }
    let mut last = Vec::new();
    for _ in 0..6 {
        let peeked = socket.available();
        let got = receive(&socket).unwrap();
        assert_eq!(peeked, got.len());
        assert_ne!(got, last);
        last = got;
    }
}

#[test]
fn what_is_to_go_out_is_taken_in_order() {
    let socket = socket();
    let mut out = [0; LARGEST_FRAME];
    assert_eq!(socket.take(&mut out), None);
    socket.give(1, datagram(b"one"), b"one").unwrap();
    let long = [0; LARGEST_FRAME + 1];
    socket.give(1, datagram(&long), &long).unwrap();
    socket.give(1, datagram(b"three"), b"three").unwrap();
    assert_eq!(socket.take(&mut out).unwrap().len, 3);
    assert_eq!(
        socket.take(&mut out).unwrap().len,
        5,
        "too long for a frame"
    );
    assert_eq!(&out[..5], b"three");
    assert!(!socket.has_outward());
}

#[test]
fn a_lock_that_another_process_has_is_busy() {
    let socket = socket();
    let lock = socket.header.try_lock(2).unwrap();
    assert_eq!(
        socket.deliver(1, datagram(b"x"), b"x", |_| {}),
        Err(Refused::Busy)
    );
    assert_eq!(socket.receive(1, &mut [], false), Err(Refused::Busy));
    // The net server needs none.
    socket.bring(datagram(b"x"), b"x", |_| {}).unwrap();
    drop(lock);
    assert_eq!(receive(&socket).unwrap(), b"x");
}

#[test]
fn errors_shutdown_and_names() {
    let socket = socket();
    assert_eq!((socket.peer(), socket.name()), (None, End::default()));
    assert!(socket.accepts(FROM));
    socket.set_peer(Some(End { port: 1, ..FROM }));
    assert!(!socket.accepts(FROM));
    socket.set_peer(Some(FROM));
    assert!(socket.accepts(FROM));
    assert_eq!(End::of(FROM.word()), FROM);
    socket.fail(111, |_| {});
    assert!(socket.readiness().events.contains(Events::ERR));
    assert_eq!(
        (socket.take_error(), socket.take_error()),
        (Some(111), None)
    );
    socket.shut_down(Shutdown::Read, |_| {});
    assert_eq!(socket.shut(), (true, false));
    let events = socket.readiness().events;
    assert!(events.contains(Events::READABLE | Events::RDHUP) && !events.contains(Events::HUP));
    socket.shut_down(Shutdown::Write, |_| {});
    assert!(socket.readiness().events.contains(Events::HUP));
}

/// Whatever is written into the shared memory: no panic, no loop without end, nothing longer than a datagram.
#[test]
fn a_holder_that_scribbles_spoils_only_the_queue() {
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut roll = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let socket = socket();
    let mut out = vec![0; LARGEST];
    for _ in 0..20_000 {
        let which = (roll() % 3) as usize;
        let ring = [&socket.local, &socket.inward, &socket.outward][which];
        match roll() % 6 {
            0 => socket.udp.rings[which]
                .head
                .store(roll() as u32, Ordering::Relaxed),
            1 => socket.udp.rings[which]
                .tail
                .store(roll() as u32, Ordering::Relaxed),
            2 => {
                let len = roll() as u32 as u64 & if roll() % 2 == 0 { 0xff } else { u64::MAX };
                let _ = ring.stage_words([len | roll() << 32, roll()]);
                let _ = ring.publish((roll() % 200) as usize & !7);
            }
            3 => {
                let head = socket.udp.rings[which].head.load(Ordering::Relaxed);
                socket.udp.rings[which].tail.store(head, Ordering::Relaxed);
            }
            4 => socket.udp.turn.store(roll() as u32, Ordering::Relaxed),
            _ => {}
        }
        let _ = socket.deliver(1, datagram(b"abc"), b"abc", |_| {});
        let _ = socket.bring(datagram(b"abc"), b"abc", |_| {});
        let _ = socket.give(1, datagram(b"abc"), b"abc");
        let _ = (socket.available(), socket.readiness());
        if let Ok(got) = socket.receive(1, &mut out, roll() % 2 == 0) {
            assert!(got.datagram.len <= LARGEST && got.copied <= got.datagram.len);
        }
        if let Some(taken) = socket.take(&mut out[..LARGEST_FRAME]) {
            assert!(taken.len <= LARGEST_FRAME);
        }
    }
}

#[test]
fn nothing_is_longer_than_a_datagram_can_be() {
    let socket = socket();
    for (len, there) in [(LARGEST + 1, 66_000), (5, 16), (usize::MAX, 4096)] {
        socket.local.stage_words([len as u64, 0]).unwrap();
        socket.local.publish(there).unwrap();
        assert_eq!(receive(&socket), Err(Refused::Empty));
        socket
            .deliver(1, datagram(b"good"), b"good", |_| {})
            .unwrap();
        assert_eq!(receive(&socket).unwrap(), b"good");
    }
}

#[test]
fn names_peers_and_errors_are_in_the_socket_for_all_who_have_it() {
    let socket = socket();
    assert!(socket.is_valid());
    assert_eq!((socket.name().word(), socket.asked()), (0, 0));
    assert_eq!((socket.peer(), socket.is_joined()), (None, false));
    assert!(socket.accepts(FROM), "from anybody while it has no peer");
    socket.set_name(FROM);
    socket.set_asked(3);
    socket.set_peer(Some(FROM));
    socket.set_joined();
    assert_eq!((socket.name(), socket.asked()), (FROM, 3));
    assert_eq!((socket.peer(), socket.is_joined()), (Some(FROM), true));
    let other = End { port: 4001, ..FROM };
    assert!(socket.accepts(FROM) && !socket.accepts(other));
    socket.set_peer(None);
    assert!(socket.accepts(other));

    assert!(!socket.is_open());
    socket.header.sides[0].holders.store(2, Ordering::Relaxed);
    assert!(socket.is_open());
    socket.header.value.store(7, Ordering::Relaxed);
    assert_eq!(socket.routes(), 7);

    socket.header.sides[0].subscriptions.put(3, 3, Events::ERR);
    let mut told = Vec::new();
    socket.fail(111, |watch| told.push(watch));
    assert_eq!(told, [3]);
    assert!(socket.readiness().events.contains(Events::ERR));
    assert_eq!(
        (socket.take_error(), socket.take_error()),
        (Some(111), None)
    );
    assert!(!socket.readiness().events.contains(Events::ERR));
}

#[test]
fn what_goes_out_is_an_edge_of_room_when_it_has_left() {
    let socket = socket();
    assert!(!socket.has_outward());
    socket.give(1, datagram(b"out"), b"out").unwrap();
    assert!(socket.has_outward());
    // One that is longer than the net server has room for is lost, not cut.
    assert_eq!(socket.take(&mut [0; 2]), None);
    assert_eq!((socket.lost(), socket.has_outward()), (1, false));
    socket.give(1, datagram(b"out"), b"out").unwrap();
    let mut out = [0; 8];
    assert_eq!(socket.take(&mut out).map(|taken| taken.len), Some(3));
    socket.header.sides[0].subscriptions.put(5, 5, Events::OUT);
    let before = socket.readiness().edges.output;
    let mut told = Vec::new();
    socket.sent(|watch| told.push(watch));
    assert_eq!(told, [5]);
    assert_eq!(socket.readiness().edges.output, before + 1);
}

#[test]
fn each_half_is_shut_by_itself() {
    for (how, shut) in [
        (Shutdown::Read, (true, false)),
        (Shutdown::Write, (false, true)),
        (Shutdown::Both, (true, true)),
    ] {
        let socket = socket();
        assert_eq!(socket.shut(), (false, false));
        socket.shut_down(how, |_| {});
        assert_eq!(socket.shut(), shut);
    }
}
