// SPDX-License-Identifier: BSD-2-Clause
//! Streams by behaviour. The expected levels, results and errors are what Linux 6.18 gave for the same calls.

use super::*;
use crate::recorder::Recorder;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

const CAPACITY: usize = 65536;
const READABLE: Events = Events::READABLE;
const WRITABLE: Events = Events::WRITABLE;
const HALF: Events = READABLE.union(Events::RDHUP);

fn tcp() -> (Handle, Handle) {
    pair(Kind::Tcp, CAPACITY)
}

fn unix() -> (Handle, Handle) {
    pair(Kind::Unix, CAPACITY)
}

fn read(stream: &Handle) -> Result<usize, StreamError> {
    stream.read(&mut [0; 16])
}

/// Everything that a test needs of one end.
#[derive(Clone)]
struct Handle {
    world: Rc<RefCell<(Recorder, Stream)>>,
    side: Side,
}

fn pair(kind: Kind, capacity: usize) -> (Handle, Handle) {
    let mut all = Recorder::default();
    let stream = Stream::pair(&mut all, kind, capacity);
    let world = Rc::new(RefCell::new((all, stream)));
    let handle = |side| Handle {
        world: world.clone(),
        side,
    };
    let ends = (handle(Side::First), handle(Side::Second));
    // What attaching told is no news to the tests.
    ends.0.news(Events::all());
    ends.1.news(Events::all());
    ends
}

/// Watches an end from now on.
fn watch(end: &Handle, events: Events) -> (Handle, Events) {
    end.news(events);
    (end.clone(), events)
}

impl Handle {
    fn with<R>(&self, act: impl FnOnce(&mut Stream, &mut Recorder, Side) -> R) -> R {
        let (all, stream) = &mut *self.world.borrow_mut();
        act(stream, all, self.side)
    }
    fn read(&self, out: &mut [u8]) -> Result<usize, StreamError> {
        self.with(|stream, all, side| stream.read(all, side, out))
    }
    fn peek(&self, out: &mut [u8]) -> Result<usize, StreamError> {
        self.with(|stream, all, side| stream.peek(all, side, out))
    }
    fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.with(|stream, all, side| stream.write(all, side, bytes))
    }
    fn shutdown(&self, how: Shutdown) -> Result<(), StreamError> {
        self.with(|stream, all, side| stream.shutdown(all, side, how))
    }
    fn take_error(&self) -> Option<StreamError> {
        self.with(|stream, all, side| stream.take_error(all, side))
    }
    fn close(&self) {
        self.with(|stream, all, side| stream.close(all, side));
    }
    fn abort(&self) {
        self.with(|stream, all, side| stream.abort(all, side));
    }
    fn available(&self) -> usize {
        self.with(|stream, _, side| stream.available(side))
    }
    fn is_connected(&self) -> bool {
        self.with(|stream, _, side| stream.is_connected(side))
    }
    /// Without WRBAND, which comes with OUT on AF_UNIX and never on TCP.
    fn level(&self) -> Events {
        self.with(|stream, all, side| {
            let level = all.level(stream.source(side));
            let band = stream.kind == Kind::Unix && level.contains(Events::OUT);
            assert_eq!(level.contains(Events::WRBAND), band);
            level - Events::WRBAND
        })
    }
    fn news(&self, events: Events) -> (bool, u32, u32) {
        self.with(|stream, all, side| all.news(stream.source(side), events))
    }
}

#[test]
fn bytes_go_both_ways_and_can_be_peeked_at() {
    for (a, b) in [tcp(), unix()] {
        assert_eq!(a.level(), WRITABLE);
        assert_eq!(read(&a), Err(StreamError::Again));
        assert_eq!(a.write(b"ping"), Ok(4));
        assert_eq!(b.write(b"po"), Ok(2));
        assert_eq!((a.available(), b.available()), (2, 4));
        let mut out = [0; 8];
        assert_eq!(b.peek(&mut out[..2]), Ok(2));
        assert_eq!(b.read(&mut out), Ok(4));
        assert_eq!(&out[..4], b"ping");
        assert_eq!((a.level(), b.level()), (READABLE | WRITABLE, WRITABLE));
    }
}

#[test]
fn an_idle_pair_holds_no_buffers() {
    let (a, _b) = pair(Kind::Tcp, usize::MAX);
    assert_eq!(a.write(b"x"), Ok(1));
}

#[test]
fn half_close_is_in_and_rdhup_and_the_other_half_goes_on() {
    for (a, b) in [tcp(), unix()] {
        a.write(b"last").unwrap();
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(b.level(), HALF | WRITABLE);
        assert_eq!(read(&b), Ok(4));
        assert_eq!(read(&b), Ok(0));
        assert_eq!(b.level(), HALF | WRITABLE);
        assert_eq!(a.write(b"x"), Err(StreamError::Broken));
        assert_eq!(a.level(), WRITABLE);
        assert_eq!(b.write(b"reply"), Ok(5));
        assert_eq!(read(&a), Ok(5));
    }
}

#[test]
fn both_directions_shut_is_hup_on_both_ends() {
    for (a, b) in [tcp(), unix()] {
        a.shutdown(Shutdown::Write).unwrap();
        b.shutdown(Shutdown::Write).unwrap();
        for end in [&a, &b] {
            assert_eq!(end.level(), HALF | WRITABLE | Events::HUP);
            assert_eq!(read(end), Ok(0));
            assert_eq!(end.take_error(), None);
        }
    }
}

#[test]
fn a_finished_tcp_connection_is_not_connected() {
    let (a, b) = tcp();
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.shutdown(Shutdown::Write), Ok(()));
    b.shutdown(Shutdown::Both).unwrap();
    assert_eq!(a.shutdown(Shutdown::Read), Err(StreamError::NotConnected));
    assert!(!a.is_connected() && !b.is_connected());
}

#[test]
fn shutting_the_reading_side_of_tcp_is_local() {
    let (a, b) = tcp();
    a.shutdown(Shutdown::Read).unwrap();
    assert_eq!(a.level(), HALF | WRITABLE);
    assert_eq!(read(&a), Ok(0));
    assert_eq!(b.level(), WRITABLE);
    assert_eq!(b.write(b"still"), Ok(5));
    assert_eq!(read(&a), Ok(5));
}

#[test]
fn shutting_the_reading_side_of_unix_breaks_the_writer() {
    let (a, b) = unix();
    a.shutdown(Shutdown::Read).unwrap();
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    assert_eq!(b.level(), WRITABLE);
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(b.level(), HALF | WRITABLE | Events::HUP);
}

#[test]
fn a_tcp_close_is_a_half_close_and_the_first_write_after_it_a_reset() {
    let (a, b) = tcp();
    a.write(b"bye").unwrap();
    a.close();
    assert_eq!(b.level(), HALF | WRITABLE);
    let probe = watch(&b, Events::ALWAYS);
    assert_eq!(b.write(b"x"), Ok(1));
    assert_eq!(probe.0.news(probe.1), (true, 1, 1));
    assert_eq!(b.level(), HALF | WRITABLE | Events::HUP | Events::ERR);
    assert_eq!(read(&b), Ok(3));
    assert_eq!(read(&b), Ok(0));
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    assert_eq!(b.level(), HALF | WRITABLE | Events::HUP);
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
}

#[test]
fn a_unix_close_is_hup_and_writes_break_at_once() {
    let (a, b) = unix();
    b.write(b"").unwrap();
    a.write(b"bye").unwrap();
    a.close();
    assert_eq!(b.level(), HALF | WRITABLE | Events::HUP);
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    assert_eq!((read(&b), read(&b)), (Ok(3), Ok(0)));
}

#[test]
fn closing_with_unread_bytes_resets_the_peer_once() {
    for (a, b) in [tcp(), unix()] {
        a.write(b"before").unwrap();
        b.write(b"unread").unwrap();
        a.close();
        let gone = HALF | WRITABLE | Events::HUP;
        assert_eq!(b.level(), gone | Events::ERR);
        assert_eq!(read(&b), Ok(6));
        assert_eq!(read(&b), Err(StreamError::Reset));
        assert_eq!(b.level(), gone);
        assert_eq!(read(&b), Ok(0));
        assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    }
}

#[test]
fn a_pending_error_goes_to_whoever_asks_first() {
    let (a, b) = tcp();
    a.abort();
    assert_eq!(b.take_error(), Some(StreamError::Reset));
    assert_eq!(b.take_error(), None);
    let (a, b) = tcp();
    a.abort();
    assert_eq!(b.write(b"x"), Err(StreamError::Reset));
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    let (a, b) = unix();
    a.abort();
    assert_eq!(b.write(b"x"), Err(StreamError::Broken));
    assert_eq!(b.take_error(), Some(StreamError::Reset));
}

#[test]
fn a_reset_after_the_peers_fin_is_broken() {
    let (a, b) = tcp();
    a.shutdown(Shutdown::Write).unwrap();
    b.write(b"unread").unwrap();
    a.close();
    assert_eq!(b.take_error(), Some(StreamError::Broken));
    assert_eq!(read(&b), Ok(0));
}

#[test]
fn a_finished_connection_is_not_reset() {
    let (a, b) = tcp();
    b.write(b"unread").unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    a.close();
    assert_eq!(b.take_error(), None);
    assert_eq!(read(&b), Ok(0));
}

#[test]
fn writable_means_that_a_third_is_free() {
    for (a, b) in [tcp(), unix()] {
        assert_eq!(a.write(&vec![0; CAPACITY + 10]), Ok(CAPACITY));
        assert_eq!(a.write(b"x"), Err(StreamError::Again));
        let probe = watch(&a, Events::OUT);
        assert_eq!(b.read(&mut vec![0; CAPACITY / 3 - 1]), Ok(CAPACITY / 3 - 1));
        assert_eq!(a.level(), Events::empty());
        assert_eq!(probe.0.news(probe.1), (false, 0, 0));
        assert_eq!(b.read(&mut [0; 1]), Ok(1));
        assert_eq!(a.level(), WRITABLE);
        assert_eq!(probe.0.news(probe.1), (true, 0, 1));
        assert_eq!(a.write(b"x"), Ok(1));
    }
}

#[test]
fn a_tcp_read_is_an_output_edge_only_after_the_writer_found_no_room() {
    let (a, b) = tcp();
    let probe = watch(&a, Events::OUT);
    a.write(b"ab").unwrap();
    read(&b).unwrap();
    assert_eq!(probe.0.news(probe.1), (false, 0, 0));
    let (a, b) = unix();
    let probe = watch(&a, Events::OUT);
    a.write(b"ab").unwrap();
    read(&b).unwrap();
    assert_eq!(probe.0.news(probe.1), (true, 0, 1));
}

#[test]
fn a_look_that_finds_no_room_asks_for_the_edge() {
    let (a, b) = tcp();
    a.write(&vec![0; CAPACITY - 1]).unwrap();
    let probe = watch(&a, Events::OUT);
    assert_eq!(a.level(), Events::empty());
    b.read(&mut vec![0; CAPACITY]).unwrap();
    assert_eq!(probe.0.news(probe.1), (true, 0, 1));
}

#[test]
fn each_write_is_an_edge_drained_or_not() {
    for (a, b) in [tcp(), unix()] {
        let probe = watch(&b, Events::IN);
        a.write(b"a").unwrap();
        assert_eq!(probe.0.news(probe.1), (true, 1, 0));
        a.write(b"b").unwrap();
        assert_eq!(probe.0.news(probe.1), (true, 1, 0));
        a.write(b"").unwrap();
        assert_eq!(probe.0.news(probe.1), (false, 0, 0));
    }
}

#[test]
fn shutdown_and_close_tell_both_ends() {
    for (a, b) in [tcp(), unix()] {
        let (own, other) = (watch(&a, Events::RDHUP), watch(&b, Events::RDHUP));
        a.shutdown(Shutdown::Write).unwrap();
        assert!(own.0.news(own.1).0);
        assert!(other.0.news(other.1).0);
    }
    let (a, b) = tcp();
    let probe = watch(&b, Events::RDHUP);
    a.close();
    assert_eq!(probe.0.news(probe.1), (true, 1, 1));
    a.close();
    assert_eq!(probe.0.news(probe.1), (false, 0, 0));
}

/// As a pair does that moves to where another process has it too.
#[test]
fn what_waits_is_given_away_in_the_pieces_in_which_it_was_written() {
    let given = |most: usize| {
        let (a, b) = unix();
        for bytes in [&b"one"[..], b"two!", b"three"] {
            a.write(bytes).unwrap();
        }
        // Of the first a part is read already.
        assert_eq!(b.read(&mut [0; 1]), Ok(1));
        let mut pieces = Vec::new();
        b.with(|stream, _, side| stream.drain(side, most, |piece| pieces.push(piece.to_vec())));
        assert_eq!(b.available(), 0);
        assert_eq!(read(&b), Err(StreamError::Again));
        pieces
    };
    assert_eq!(given(3), [&b"ne"[..], b"two!", b"three"]);
    assert_eq!(given(2), [b"netwo!three"]);
}

#[test]
fn what_an_end_is_told_of_itself() {
    let shut = |end: &Handle| end.with(|stream, _, side| stream.shut_down(side));
    let closed = |end: &Handle| end.with(|stream, _, side| stream.is_closed(side));
    let error = |end: &Handle| end.with(|stream, _, side| stream.has_error(side));
    let (a, b) = unix();
    assert_eq!((shut(&a), shut(&b)), ((false, false), (false, false)));
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!((shut(&a), shut(&b)), ((false, true), (true, false)));
    b.write(b"unread").unwrap();
    a.close();
    assert_eq!((closed(&a), closed(&b)), (true, false));
    assert!(error(&b));
    assert_eq!(b.take_error(), Some(StreamError::Reset));
    assert!(!error(&b));
}

#[test]
fn a_tcp_end_knows_what_was_said_of_the_end() {
    let ends = |end: &Handle| end.with(|stream, _, side| stream.ends(side));
    let (a, b) = tcp();
    assert_eq!(
        (ends(&a), ends(&b)),
        (Some((false, false)), Some((false, false)))
    );
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        (ends(&a), ends(&b)),
        (Some((true, false)), Some((false, true)))
    );
    b.abort();
    assert_eq!(ends(&a), None);
}

#[test]
fn an_end_that_moves_into_a_channel_takes_its_state_along() {
    let (a, b) = tcp();
    a.write(b"unread").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    let moved = |end: &Handle| end.with(|stream, _, side| stream.moved(side));
    assert_eq!(moved(&a).shut, (false, true));
    let there = moved(&b);
    assert_eq!((there.fin, there.reset, there.error), (true, false, None));
    let mut out = [0; 16];
    let n = b.with(|stream, _, side| stream.take_all(side, &mut out));
    assert_eq!(&out[..n], b"unread");
    a.abort();
    let there = moved(&b);
    assert_eq!((there.reset, there.error), (true, Some(Refused::Broken)));
    let (a, b) = tcp();
    a.abort();
    assert_eq!(moved(&b).error, Some(Refused::Reset));
}
