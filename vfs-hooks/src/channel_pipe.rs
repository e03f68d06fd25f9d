// SPDX-License-Identifier: BSD-2-Clause
//! A pipe in a channel: its ends in any number of processes, its bytes in their shared memory.
//!
//! Readiness and edges are those of [`pipe`](crate::pipe). Reads and writes hold the channel's lock, so writes of up to [`PIPE_BUF`] bytes
//! are whole whoever else writes. The other holders may scribble on everything here: positions that make no sense are an empty
//! ring that takes nothing.
#![forbid(unsafe_code)]

use crate::channel::{Header, READER, WRITER};
use crate::channel_packets::Next;
use crate::events::Events;
use crate::pipe::PIPE_BUF;
use crate::ring::Ring;
use crate::source::{Edges, Readiness};
use crate::sync::Ordering;

const READABLE: Events = Events::IN.union(Events::RDNORM);
const WRITABLE: Events = Events::OUT.union(Events::WRNORM);

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing to read, or not enough room (EAGAIN, or wait for IN or OUT and try again).
    Again,
    /// No reader is left (EPIPE, and SIGPIPE).
    Broken,
    /// Another process is at work on it: give way and try again.
    Busy,
}

/// A pipe as one of its holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelPipe<'a> {
    header: &'a Header,
    ring: Ring<'a>,
}

impl<'a> ChannelPipe<'a> {
    /// The pipe of a channel.
    pub fn new(header: &'a Header, ring: Ring<'a>) -> Self {
        ChannelPipe { header, ring }
    }

    #[inline]
    fn is_writable(&self) -> bool {
        self.ring.space() as usize >= PIPE_BUF && !self.header.packets.is_full()
    }

    /// Takes up to `out.len()` bytes for process `own`. `Ok(0)` for a non-empty `out` is the end: nothing is left and no writer.
    #[inline]
    pub fn read(
        &self,
        own: u32,
        out: &mut [u8],
        mut signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        if out.is_empty() {
            return Ok(0);
        }
        // Before the bytes: a writer that ends after this look has written all that it ever will.
        let over = self.header.holders(WRITER) == 0;
        if self.ring.is_empty() {
            // Nobody need be kept out for that.
            return if over { Ok(0) } else { Err(Refused::Again) };
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let was_writable = self.is_writable();
        let n = match self.header.packets.is_empty() {
            true => self.ring.read(out).unwrap_or(0),
            false => self.read_packets(out),
        };
        let news = !was_writable && self.is_writable();
        drop(lock);
        if news {
            self.header.publish(WRITER, WRITABLE, &mut signal);
            // Who has a FIFO open for both watches it as a reader.
            self.header.tell(READER, WRITABLE, signal);
        }
        match n {
            0 if over => Ok(0),
            0 => Err(Refused::Again),
            n => Ok(n),
        }
    }

    /// Takes bytes while there are packets: up to the end of the first one, of which the rest is dropped.
    #[cold]
    fn read_packets(&self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let head = self.header.ring.head.load(Ordering::Relaxed);
            let next = self.header.packets.next(head, self.ring.len().unwrap_or(0));
            let (Next::Bytes(len) | Next::Packet(len)) = next;
            let n = len.min(out.len() - done);
            let n = self.ring.peek(0, &mut out[done..done + n]).unwrap_or(0);
            if n == 0 {
                break;
            }
            done += n;
            let packet = matches!(next, Next::Packet(_));
            // Of an empty ring nothing is taken.
            let _ = self.ring.consume(if packet { len } else { n });
            if packet {
                self.header.packets.took();
                break;
            }
        }
        done
    }

    /// Copies what a read would take, and takes nothing.
    pub fn peek(&self, out: &mut [u8]) -> Result<usize, Refused> {
        let over = self.header.holders(WRITER) == 0;
        match self.ring.peek(0, out).unwrap_or(0) {
            0 if !over => Err(Refused::Again),
            n => Ok(n),
        }
    }

    /// How many bytes it takes now, if nobody else writes.
    pub fn room(&self) -> Result<usize, Refused> {
        if self.header.holders(READER) == 0 {
            return Err(Refused::Broken);
        }
        match self.is_writable() {
            true => Ok(self.ring.space() as usize),
            false => Ok(0),
        }
    }

    /// Whether a packet waits, as a guess.
    pub fn has_packets(&self) -> bool {
        !self.header.packets.is_empty()
    }

    /// As [`ChannelPipe::write`], in packets of up to [`PIPE_BUF`] bytes.
    pub fn write_packets(
        &self,
        own: u32,
        bytes: &[u8],
        signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.header.holders(READER) == 0 {
            return Err(Refused::Broken);
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let packets = bytes.chunks(PIPE_BUF);
        let n = packets.map_while(|packet| self.put_packet(packet)).sum();
        drop(lock);
        if n == 0 {
            return Err(Refused::Again);
        }
        self.header.publish(READER, READABLE, signal);
        Ok(n)
    }

    /// Appends a packet if there is room for it; its size. The caller has the lock, or the pipe for itself.
    pub fn put_packet(&self, bytes: &[u8]) -> Option<usize> {
        let packets = &self.header.packets;
        let tail = self.header.ring.tail.load(Ordering::Relaxed);
        packets.repair(tail);
        if (self.ring.space() as usize) < bytes.len() {
            return None;
        }
        self.ring.stage(0, bytes).ok()?;
        if !packets.enter(tail, bytes.len()) {
            return None;
        }
        self.ring.publish(bytes.len()).ok()?;
        Some(bytes.len())
    }

    /// Appends `bytes` for process `own`: all or nothing up to [`PIPE_BUF`], beyond it what fits, at least 1. Returns how much.
    pub fn write(
        &self,
        own: u32,
        bytes: &[u8],
        signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.header.holders(READER) == 0 {
            return Err(Refused::Broken);
        }
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let space = self.ring.space() as usize;
        if space == 0 || (bytes.len() <= PIPE_BUF && bytes.len() > space) {
            return Err(Refused::Again);
        }
        let n = self.ring.write(bytes).unwrap_or(0);
        drop(lock);
        self.header.publish(READER, READABLE, signal);
        Ok(n)
    }

    /// Bytes not read yet.
    pub fn available(&self) -> usize {
        self.ring.len().unwrap_or(0) as usize
    }

    /// Level and edges of a side.
    #[inline]
    pub fn readiness(&self, side: usize) -> Readiness {
        let counters = &self.header.sides[side];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let mut events = Events::empty();
        if side == READER {
            events.set(READABLE, !self.ring.is_empty());
            events.set(Events::HUP, self.header.holders(WRITER) == 0);
        } else {
            events.set(WRITABLE, self.is_writable());
            events.set(Events::ERR, self.header.holders(READER) == 0);
        }
        Readiness { events, edges }
    }

    /// The same of both sides together: of who has a FIFO open for reading and writing.
    pub fn readiness_of_both(&self) -> Readiness {
        let [reader, writer] = [READER, WRITER].map(|side| self.readiness(side));
        Readiness {
            events: reader.events | writer.events,
            edges: Edges {
                input: reader.edges.input,
                output: writer.edges.output,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{PIPE_SIZE, watch_number};
    use alloc::vec;
    use alloc::vec::Vec;
    use core::ptr::NonNull;

    struct Memory {
        header: Header,
        bytes: Vec<u8>,
    }

    impl Memory {
        fn new() -> Memory {
            let memory = Memory {
                header: Header::default(),
                bytes: vec![0; PIPE_SIZE as usize],
            };
            for side in &memory.header.sides {
                side.holders.store(1, Ordering::Relaxed);
            }
            memory
        }

        fn pipe(&mut self) -> ChannelPipe<'_> {
            let bytes = NonNull::new(self.bytes.as_mut_ptr()).unwrap();
            ChannelPipe::new(
                &self.header,
                crate::ring::tests_ring(&self.header.ring, bytes, PIPE_SIZE),
            )
        }
    }

    fn told(watch: &mut Vec<usize>) -> impl FnMut(usize) + '_ {
        |number| watch.push(number)
    }

    #[test]
    fn bytes_come_out_in_order_and_tell_who_waits() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        let mut out = [0; 4];
        assert_eq!(pipe.read(1, &mut out, |_| ()), Err(Refused::Again));
        // Nothing asked is nothing done, even while another process is at work.
        let held = pipe.header.try_lock(9);
        assert_eq!(pipe.read(1, &mut [], |_| ()), Ok(0));
        assert_eq!(pipe.write(1, &[], |_| ()), Ok(0));
        drop(held);
        pipe.header.sides[READER]
            .subscriptions
            .put(3, 3, Events::IN);
        let mut watches = Vec::new();
        assert_eq!(pipe.write(2, b"hello", told(&mut watches)), Ok(5));
        assert_eq!(pipe.write(2, b"!", told(&mut watches)), Ok(1));
        assert_eq!(watches, [watch_number(READER, 3)], "armed once");
        assert_eq!(pipe.readiness(READER).edges.input, 2);
        assert_eq!(pipe.readiness(READER).events, READABLE);
        assert_eq!(pipe.read(1, &mut out, |_| ()), Ok(4));
        assert_eq!((&out, pipe.available()), (b"hell", 2));
    }

    #[test]
    fn hang_up_and_broken_pipe_go_by_the_holders() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        pipe.write(1, b"x", |_| ()).unwrap();
        pipe.header.sides[WRITER]
            .holders
            .store(0, Ordering::Relaxed);
        assert_eq!(pipe.readiness(READER).events, READABLE | Events::HUP);
        let mut out = [0; 4];
        assert_eq!(pipe.read(1, &mut out, |_| ()), Ok(1));
        assert_eq!(pipe.readiness(READER).events, Events::HUP);
        assert_eq!(pipe.read(1, &mut out, |_| ()), Ok(0));
        pipe.header.sides[READER]
            .holders
            .store(0, Ordering::Relaxed);
        assert_eq!(pipe.write(1, b"x", |_| ()), Err(Refused::Broken));
        assert_eq!(pipe.readiness(WRITER).events, WRITABLE | Events::ERR);
    }

    #[test]
    fn small_writes_are_whole_and_large_ones_partial() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        let size = PIPE_SIZE as usize;
        assert_eq!(pipe.write(1, &vec![1; size - 100], |_| ()), Ok(size - 100));
        assert_eq!(pipe.write(1, &[2; 101], |_| ()), Err(Refused::Again));
        assert_eq!(pipe.readiness(WRITER).events, Events::empty());
        assert_eq!(pipe.write(1, &[2; PIPE_BUF + 1], |_| ()), Ok(100));
        pipe.header.sides[WRITER]
            .subscriptions
            .put(0, 0, Events::OUT);
        let mut watches = Vec::new();
        let mut out = vec![0; PIPE_BUF - 1];
        pipe.read(1, &mut out, told(&mut watches)).unwrap();
        assert!(watches.is_empty(), "not a page yet");
        pipe.read(1, &mut out[..1], |n| watches.push(n)).unwrap();
        assert_eq!(watches, [watch_number(WRITER, 0)]);
    }

    #[test]
    fn a_read_ends_with_a_packet_and_drops_its_rest() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        let mut out = vec![0; 3 * PIPE_BUF];
        assert_eq!(pipe.write(1, b"bytes", |_| ()), Ok(5));
        let long = vec![1; PIPE_BUF + 2];
        assert_eq!(pipe.write_packets(1, &long, |_| ()), Ok(PIPE_BUF + 2));
        assert_eq!(pipe.write(1, b"more", |_| ()), Ok(4));
        assert_eq!(pipe.read(2, &mut out[..3], |_| ()), Ok(3));
        assert_eq!(pipe.read(2, &mut out[..8], |_| ()), Ok(8));
        assert_eq!(&out[..3], b"es\x01");
        assert!(pipe.has_packets());
        assert_eq!(
            (pipe.available(), pipe.read(2, &mut out, |_| ())),
            (6, Ok(2))
        );
        assert_eq!(pipe.read(2, &mut out, |_| ()), Ok(4));
        assert!(!pipe.has_packets());
        assert_eq!(pipe.read(2, &mut out, |_| ()), Err(Refused::Again));
    }

    #[test]
    fn a_look_takes_nothing() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        let mut out = [0; 9];
        assert_eq!(pipe.peek(&mut out), Err(Refused::Again));
        pipe.write(1, b"seen", |_| ()).unwrap();
        assert_eq!((pipe.peek(&mut out), pipe.available()), (Ok(4), 4));
        assert_eq!(pipe.room(), Ok(PIPE_SIZE as usize - 4));
        pipe.header.sides[READER]
            .holders
            .store(0, Ordering::Relaxed);
        assert_eq!(pipe.room(), Err(Refused::Broken));
    }

    #[test]
    fn as_many_packets_as_pages_fill_it() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        for _ in 0..16 {
            assert_eq!(pipe.readiness(WRITER).events, WRITABLE);
            assert_eq!(pipe.write_packets(1, b"p", |_| ()), Ok(1));
        }
        assert_eq!(pipe.readiness(WRITER).events, Events::empty());
        assert_eq!(pipe.write_packets(1, b"q", |_| ()), Err(Refused::Again));
        let edges = pipe.readiness(WRITER).edges;
        assert_eq!(pipe.read(2, &mut [0; 9], |_| ()), Ok(1));
        assert_eq!(pipe.readiness(WRITER).events, WRITABLE);
        assert_ne!(pipe.readiness(WRITER).edges, edges);
    }

    #[test]
    fn the_lock_is_held_by_one_and_freed_for_the_dead() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        let held = pipe.header.try_lock(7);
        assert!(held.is_some());
        assert_eq!(pipe.write(8, b"x", |_| ()), Err(Refused::Busy));
        // Process 7 dies there.
        core::mem::forget(held);
        pipe.header.recover(9);
        assert_eq!(pipe.write(8, b"x", |_| ()), Err(Refused::Busy));
        pipe.header.recover(7);
        assert_eq!(pipe.write(8, b"x", |_| ()), Ok(1));
    }

    #[test]
    fn a_lock_that_names_its_finder_was_made_up() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        core::mem::forget(pipe.header.try_lock(8));
        assert_eq!(pipe.write(8, b"x", |_| ()), Ok(1));
        assert!(pipe.header.try_lock(9).is_some(), "free afterwards");
    }

    #[test]
    fn scribbled_positions_are_an_empty_pipe_that_takes_nothing() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        pipe.header.ring.tail.store(1 << 30, Ordering::Relaxed);
        let mut out = [0; 4];
        assert_eq!(pipe.read(1, &mut out, |_| ()), Err(Refused::Again));
        assert_eq!(pipe.write(1, b"x", |_| ()), Err(Refused::Again));
        assert_eq!(
            (pipe.available(), pipe.readiness(READER).events),
            (0, Events::empty())
        );
    }

    #[test]
    fn who_has_both_ends_sees_both() {
        let mut memory = Memory::new();
        let pipe = memory.pipe();
        assert_eq!(pipe.readiness_of_both().events, WRITABLE);
        pipe.write(1, &vec![0; PIPE_SIZE as usize], |_| ()).unwrap();
        pipe.read(1, &mut [0; 1], |_| ()).unwrap();
        let both = pipe.readiness_of_both();
        assert_eq!(both.events, READABLE);
        let each = [READER, WRITER].map(|side| pipe.readiness(side).edges);
        assert_eq!(both.edges.input, each[0].input);
        assert_eq!(both.edges.output, each[1].output);
        assert_ne!(both.edges.input, each[1].input, "not the other side's");
    }

    #[test]
    fn a_lock_that_nobody_who_holds_the_channel_has_is_freed() {
        let memory = Memory::new();
        core::mem::forget(memory.header.try_lock(9));
        memory.header.recover_from_strangers(|owner| owner == 9);
        assert!(memory.header.try_lock(1).is_none(), "9 is a holder");
        memory.header.recover_from_strangers(|owner| owner == 8);
        assert!(memory.header.try_lock(1).is_some());
        memory.header.recover_from_strangers(|_| false);
    }
}
