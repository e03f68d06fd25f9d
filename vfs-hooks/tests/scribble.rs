// SPDX-License-Identifier: BSD-2-Clause
//! The first page of a channel, and a file's header, with any bytes in any place at any time: whoever shares them gets an answer from each call, and lengths that fit.
//!
//! The bytes are those that somebody who means ill would try: indices near the ring's size, counts near their ends, holders and locks of nobody.
#![cfg(not(any(loom, shuttle)))]

use core::mem::size_of;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use vfs_hooks::Events;
use vfs_hooks::channel::{Header, PIPE_SIZE, SIDES};
use vfs_hooks::channel_event::ChannelEvent;
use vfs_hooks::channel_pipe::ChannelPipe;
use vfs_hooks::channel_socket::{Attached, ChannelSocket, Connection, Kind, RING};
use vfs_hooks::file::{self, MOST_BYTES};
use vfs_hooks::ring::Ring;
use vfs_hooks::subscription::SUBSCRIPTIONS;

const ROUNDS: usize = 400;
const STEPS: usize = 150;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn odd(&mut self) -> u32 {
        let any = self.next();
        let some = [
            0,
            1,
            2,
            7,
            PIPE_SIZE,
            PIPE_SIZE - 1,
            RING,
            RING + 1,
            1 << 31,
        ];
        match self.below(some.len() + 3) {
            0 => any,
            1 => u32::MAX,
            2 => u32::MAX - any % 9,
            at => some[at - 3],
        }
    }
}

/// The words of what consists of atomics alone.
fn words<T>(of: &T) -> &[AtomicU32] {
    // SAFETY: the types given here are repr(C), consist of atomics and reserved ones without padding, and are aligned to 8 bytes; atomics may be written through a
    // shared reference, and tests have one thread.
    unsafe { core::slice::from_raw_parts((of as *const T).cast(), size_of::<T>() / 4) }
}

fn scribble<T>(random: &mut Random, of: &T) {
    let words = words(of);
    for _ in 0..1 + random.below(4) {
        words[random.below(words.len())].store(random.odd(), Ordering::Relaxed);
    }
    if random.below(20) == 0 {
        for word in words {
            word.store(random.odd(), Ordering::Relaxed);
        }
    }
}

fn watch(number: usize) {
    assert!(
        number < SIDES * SUBSCRIPTIONS,
        "no watch has number {number}"
    );
}

#[test]
fn pipes_and_eventfds_answer_whatever_is_in_their_page() {
    let mut random = Random(3);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let header = Header::default();
        let mut bytes = vec![0; PIPE_SIZE as usize];
        let data = NonNull::new(bytes.as_mut_ptr()).unwrap();
        // SAFETY: the memory has that many bytes and outlives the ring; nothing else refers to it meanwhile.
        let ring = unsafe { Ring::new(&header.ring, data, PIPE_SIZE) };
        let (pipe, event) = (ChannelPipe::new(&header, ring), ChannelEvent::new(&header));
        let mut out = vec![0; 3000];
        for _ in 0..STEPS {
            if random.below(3) == 0 {
                scribble(&mut random, &header);
            }
            let len = random.below(out.len());
            match pipe.read(7, &mut out[..len], watch) {
                Ok(n) => {
                    done += 1;
                    assert!(n <= len);
                }
                Err(_) => refused += 1,
            }
            if let Ok(n) = pipe.write(7, &out[..len], watch) {
                assert!(n <= len);
            }
            let _ = event.write(7, random.odd().into(), watch);
            let _ = event.read(7, random.below(2) == 0, watch);
            let _ = (pipe.available(), pipe.readiness(random.below(2)));
            let _ = event.readiness();
            header.publish(random.below(2), Events::all(), watch);
            header.recover(random.odd());
            let stranger = random.below(2) == 0;
            header.recover_from_strangers(|_| stranger);
        }
    }
    assert!(done > 1000 && refused > 1000, "{done} {refused}");
}

#[test]
fn connections_answer_whatever_is_in_their_page_and_rings() {
    let mut random = Random(5);
    let kinds = [Kind::Stream, Kind::Seqpacket, Kind::Datagram];
    let (mut done, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let (header, connection) = (Header::default(), Connection::default());
        let mut bytes = [0, 1].map(|_| vec![0u32; RING as usize / 4]);
        let data = [0, 1].map(|i: usize| NonNull::new(bytes[i].as_mut_ptr().cast()).unwrap());
        // SAFETY: as above.
        let rings =
            [0, 1].map(|side| unsafe { Ring::new(connection.ring(side), data[side], RING) });
        let socket = ChannelSocket::new(&header, &connection, rings, kinds[round % 3]);
        socket.start();
        for side in &header.sides {
            side.holders.store(1, Ordering::Relaxed);
        }
        let mut out = vec![0; 4000];
        for _ in 0..STEPS {
            match random.below(6) {
                0 => scribble(&mut random, &header),
                1 => scribble(&mut random, &connection),
                2 => {
                    let word = random.odd().to_le_bytes();
                    let _ = rings[random.below(2)].amend(random.next() % RING, &word);
                }
                _ => {}
            }
            let (side, len) = (random.below(2), random.below(out.len()));
            let control = [1; 20];
            let attached = Attached {
                control: &control[..random.below(20)],
                sender: 7,
            };
            if let Ok(n) = socket.send(7, side, &out[..len], attached, watch) {
                assert!(n <= len);
            }
            match socket.receive(7, side, &mut out[..len], random.below(3) == 0, watch) {
                Ok(got) => {
                    done += 1;
                    assert!(got.copied <= len);
                }
                Err(_) => refused += 1,
            }
            let _ = (socket.readiness(side), socket.available(side));
            let _ = (socket.name(side), socket.is_closed(side), socket.is_valid());
            let _ = (socket.take_reset(side), socket.is_read_shut(side));
        }
    }
    assert!(done > 1000 && refused > 1000, "{done} {refused}");
}

#[test]
fn a_files_header_says_no_size_that_no_file_has() {
    let mut random = Random(9);
    let header = file::Header::default();
    for _ in 0..100_000 {
        scribble(&mut random, &header);
        assert!(header.size() <= MOST_BYTES);
        drop(header.try_lock(random.odd() | 1));
        header.wrote(u64::from(random.odd()) << random.below(33), 5);
        header.recover(random.odd());
    }
}
