// SPDX-License-Identifier: BSD-2-Clause
//! A connection in a channel under loom: writer and reader in two processes, a close and a death in the middle. The code that ships.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p vfs-hooks --test loom_socket`. The bytes of the rings are plain memory, of which loom knows
//! nothing: what is checked is every order of steps on the positions, the lock and the holders. The mutants must be caught.
#![cfg(loom)]

use loom::sync::Arc;
use loom::thread;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Release;
use vfs_hooks::Events;
use vfs_hooks::channel::{Header, SIDES};
use vfs_hooks::channel_socket::{
    Attached, ChannelSocket, Connection, Kind, RING, Received, Refused, mutants,
};
use vfs_hooks::ring::Ring;

const READER: usize = 0;
const WRITER: usize = 1;
/// Processes.
const OWN: [u32; SIDES] = [7, 8];
const BYTES: &[u8] = b"twelve bytes";
const CONTROL: &[u8] = b"rights";

/// What the two processes share.
struct Channel {
    header: Header,
    connection: Connection,
    data: [NonNull<u8>; SIDES],
}

// SAFETY: all access to the data is by raw pointer, as between processes.
unsafe impl Send for Channel {}
// SAFETY: as above.
unsafe impl Sync for Channel {}

impl Channel {
    fn new() -> Arc<Channel> {
        let ring = || NonNull::new(vec![0u64; RING as usize / 8].leak().as_mut_ptr());
        let channel = Channel {
            header: Header::default(),
            connection: Connection::default(),
            data: [0; SIDES].map(|_| ring().unwrap().cast()),
        };
        for side in &channel.header.sides {
            side.holders.store(1, Release);
        }
        channel.socket().start();
        Arc::new(channel)
    }

    fn socket(&self) -> ChannelSocket<'_> {
        // SAFETY: RING bytes, aligned to a word, that are there until the channel is dropped.
        let rings = [0, 1]
            .map(|side| unsafe { Ring::new(self.connection.ring(side), self.data[side], RING) });
        ChannelSocket::new(&self.header, &self.connection, rings, Kind::Stream)
    }

    /// Sends [`BYTES`], with rights; waits for the reader to be done with the lock.
    fn send(&self) {
        let attached = Attached {
            control: CONTROL,
            sender: OWN[WRITER],
        };
        loop {
            match self
                .socket()
                .send(OWN[WRITER], WRITER, BYTES, attached, |_| ())
            {
                Err(Refused::Busy) => thread::yield_now(),
                sent => return assert_eq!(sent, Ok(BYTES.len())),
            }
        }
    }

    fn receive(&self) -> Result<Vec<u8>, Refused> {
        let mut out = [0; 64];
        let got = self
            .socket()
            .receive(OWN[READER], READER, &mut out, false, |_| ())?;
        if got.copied > 0 {
            let whole = Received {
                copied: BYTES.len(),
                len: BYTES.len(),
                control: got.control.clone(),
                sender: got.sender,
            };
            assert_eq!(got, whole);
        }
        Ok(out[..got.copied].to_vec())
    }

    /// The root server: a process has ended, by itself or in the middle of something.
    fn ended(&self, side: usize) {
        self.header.sides[side].holders.store(0, Release);
        self.header.recover(OWN[side]);
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        for data in self.data {
            let words =
                std::ptr::slice_from_raw_parts_mut(data.as_ptr().cast::<u64>(), RING as usize / 8);
            // SAFETY: leaked by `new`, from a box of as many words.
            drop(unsafe { Box::from_raw(words) });
        }
    }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

/// What is readable is a whole record, also for who only looks.
fn a_look_finds_a_record_or_none(send: fn(&Channel)) {
    model(move || {
        let channel = Channel::new();
        let other = channel.clone();
        let writer = thread::spawn(move || send(&other));
        let readable = channel
            .socket()
            .readiness(READER)
            .events
            .contains(Events::IN);
        let available = channel.socket().available(READER);
        assert!(available == 0 || available == BYTES.len());
        assert!(!readable || available == BYTES.len());
        writer.join().unwrap();
        assert_eq!(channel.receive().unwrap(), BYTES);
    });
}

#[test]
fn a_record_becomes_visible_by_one_store() {
    a_look_finds_a_record_or_none(Channel::send);
}

#[test]
#[should_panic]
fn mutant_a_record_shown_in_two_steps_is_caught() {
    a_look_finds_a_record_or_none(|channel| {
        mutants::send_in_two_steps(&channel.socket(), OWN[WRITER], WRITER, BYTES);
    });
}

/// The writer sends and goes; a reader that is told of the end has had the bytes.
fn the_end_comes_after_the_bytes(is_over: fn(&Channel, &mut Vec<u8>) -> bool) {
    model(move || {
        let channel = Channel::new();
        let other = channel.clone();
        let writer = thread::spawn(move || {
            other.send();
            other.ended(WRITER);
        });
        let mut got = Vec::new();
        for _ in 0..2 {
            if is_over(&channel, &mut got) {
                assert_eq!(got, BYTES, "the end, and the bytes are yet to come");
                break;
            }
            thread::yield_now();
        }
        writer.join().unwrap();
    });
}

#[test]
fn who_closes_has_sent_before() {
    the_end_comes_after_the_bytes(|channel, got| match channel.receive() {
        Ok(bytes) if bytes.is_empty() => true,
        Ok(bytes) => {
            *got = bytes;
            false
        }
        Err(refused) => {
            assert!(matches!(refused, Refused::Again | Refused::Busy));
            false
        }
    });
}

#[test]
#[should_panic]
fn mutant_looking_for_the_peer_after_the_data_is_caught() {
    the_end_comes_after_the_bytes(|channel, _| {
        mutants::is_over_looking_late(&channel.socket(), READER)
    });
}

/// The writer is killed inside of a send: the reader has all of it or nothing, then the end; and nobody is kept out by its lock.
#[test]
fn a_writer_that_dies_in_a_send_leaves_a_record_or_none() {
    for published in [false, true] {
        model(move || {
            let channel = Channel::new();
            let other = channel.clone();
            let writer = thread::spawn(move || {
                mutants::dies_in_send(&other.socket(), OWN[WRITER], WRITER, BYTES, published);
                other.ended(WRITER);
            });
            let mut early = channel.receive();
            writer.join().unwrap();
            if early.as_ref().is_ok_and(|bytes| !bytes.is_empty()) {
                assert!(published);
                assert_eq!(early.as_deref(), Ok(BYTES));
                early = channel.receive();
            }
            // Where the reader had the lock, the writer has died without having sent anything.
            let rest = match early {
                Ok(end) => end,
                Err(_) => channel.receive().unwrap(),
            };
            assert!(rest.is_empty() || (published && rest == BYTES));
            let end = if rest.is_empty() {
                rest
            } else {
                channel.receive().unwrap()
            };
            assert!(end.is_empty(), "then the end");
        });
    }
}
