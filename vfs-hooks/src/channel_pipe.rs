// SPDX-License-Identifier: BSD-2-Clause
//! A pipe in a channel: its ends in any number of processes, its bytes in their shared memory.
//!
//! Readiness and edges are those of [`pipe`](crate::pipe). Reads and writes hold the channel's lock, so writes of up to [`PIPE_BUF`] bytes
//! are whole whoever else writes. The other holders may scribble on everything here: positions that make no sense are an empty
//! ring that takes nothing.
#![forbid(unsafe_code)]

use crate::channel::{Header, READER, WRITER};
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

    fn is_writable(&self) -> bool {
        self.ring.space() as usize >= PIPE_BUF
    }

    /// Takes up to `out.len()` bytes for process `own`. `Ok(0)` for a non-empty `out` is the end: nothing is left and no writer.
    pub fn read(
        &self,
        own: u32,
        out: &mut [u8],
        signal: impl FnMut(usize),
    ) -> Result<usize, Refused> {
        if out.is_empty() {
            return Ok(0);
        }
        // Before the bytes: a writer that ends after this look has written all that it ever will.
        let over = self.header.holders(WRITER) == 0;
        let lock = self.header.try_lock(own).ok_or(Refused::Busy)?;
        let was_writable = self.is_writable();
        let n = self.ring.read(out).unwrap_or(0);
        let news = !was_writable && self.is_writable();
        drop(lock);
        if news {
            self.header.publish(WRITER, WRITABLE, signal);
        }
        match n {
            0 if over => Ok(0),
            0 => Err(Refused::Again),
            n => Ok(n),
        }
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
}
