// SPDX-License-Identifier: BSD-2-Clause
//! pipe(7): bytes one way inside a process; each end is a source.
//!
//! Readiness is Linux's (poll(2), pipe(7)): a reader has IN while there are bytes and HUP once no writer is left,
//! so HUP without IN when empty (trap 7); a writer has OUT while a page is free and ERR once no reader is left.
//! Every write is an input edge (trap 1). A read is an output edge only if it makes the pipe writable again.
#![forbid(unsafe_code)]

use crate::bytes::{Bytes, NoMemory};
use crate::events::Events;
use crate::pages::{PAGE, Pages};
use crate::source::{SourceId, Sources};

/// Bytes that a pipe holds (pipe(7), Pipe capacity).
pub const CAPACITY: usize = 65536;
/// Writes up to this size are not split (pipe(7), PIPE_BUF).
pub const PIPE_BUF: usize = 4096;

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeError {
    /// Nothing to read, or not enough room (EAGAIN, or wait for IN or OUT and try again).
    Again,
    /// No reader is left (EPIPE, and SIGPIPE).
    Broken,
    /// No memory to keep the bytes in (ENOMEM).
    NoMemory,
}

impl From<NoMemory> for PipeError {
    fn from(_: NoMemory) -> Self {
        PipeError::NoMemory
    }
}

/// A pipe: both ends, each open once at first.
#[derive(Debug)]
pub struct Pipe {
    bytes: Bytes,
    pages: Pages,
    readers: u32,
    writers: u32,
    /// Sources of the two ends.
    reader: SourceId,
    writer: SourceId,
}

impl Pipe {
    /// An empty one.
    pub fn new(sources: &mut impl Sources) -> Self {
        Pipe {
            bytes: Bytes::new(CAPACITY),
            pages: Pages::default(),
            readers: 1,
            writers: 1,
            reader: sources.open(Events::empty()),
            writer: sources.open(Events::WRITABLE),
        }
    }

    /// Source of the end to read from.
    pub fn reader(&self) -> SourceId {
        self.reader
    }

    /// Source of the end to write to.
    pub fn writer(&self) -> SourceId {
        self.writer
    }

    #[inline]
    fn is_writable(&self) -> bool {
        !self.pages.is_full()
    }

    #[inline]
    fn publish_reader(&self, sources: &mut impl Sources, news: Events) {
        let mut level = Events::empty();
        level.set(Events::READABLE, !self.bytes.is_empty());
        level.set(Events::HUP, self.writers == 0);
        sources.publish(self.reader, level, news);
    }

    #[inline]
    fn publish_writer(&self, sources: &mut impl Sources, news: Events) {
        let mut level = Events::empty();
        level.set(Events::WRITABLE, self.is_writable());
        level.set(Events::ERR, self.readers == 0);
        sources.publish(self.writer, level, news);
    }

    /// Takes up to `out.len()` bytes. `Ok(0)` for a non-empty `out` is the end: nothing is left and no writer.
    pub fn read(&mut self, sources: &mut impl Sources, out: &mut [u8]) -> Result<usize, PipeError> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.pages.has_packets() {
            return Ok(self.read_packets(sources, out));
        }
        let was_writable = self.is_writable();
        let n = self.bytes.read(out);
        if n == 0 {
            return if self.writers == 0 {
                Ok(0)
            } else {
                Err(PipeError::Again)
            };
        }
        self.pages.take(n);
        self.has_read(sources, was_writable);
        Ok(n)
    }

    /// Tells of what a read has changed.
    #[inline]
    fn has_read(&self, sources: &mut impl Sources, was_writable: bool) {
        if self.bytes.is_empty() {
            self.publish_reader(sources, Events::empty());
        }
        if !was_writable && self.is_writable() {
            self.publish_writer(sources, Events::WRITABLE);
        }
    }

    /// [`Pipe::read`] while there are packets: up to the end of the first one, of which the rest is dropped.
    #[cold]
    fn read_packets(&mut self, sources: &mut impl Sources, out: &mut [u8]) -> usize {
        let was_writable = self.is_writable();
        let mut done = 0;
        while let Some((len, packet)) = self.pages.next()
            && done < out.len()
        {
            let n = len.min(out.len() - done);
            self.bytes.peek(&mut out[done..done + n]);
            done += n;
            let gone = if packet { len } else { n };
            self.bytes.consume(gone);
            self.pages.take(gone);
            if packet {
                break;
            }
        }
        self.has_read(sources, was_writable);
        done
    }

    /// Copies what [`Pipe::read`] would take, and takes nothing.
    pub fn peek(&self, out: &mut [u8]) -> Result<usize, PipeError> {
        match self.bytes.peek(out) {
            0 if self.writers > 0 => Err(PipeError::Again),
            n => Ok(n),
        }
    }

    /// How many bytes it takes now, whatever came before.
    pub fn room(&self) -> Result<usize, PipeError> {
        match self.readers {
            0 => Err(PipeError::Broken),
            _ => Ok(self.pages.room()),
        }
    }

    /// Whether a packet waits.
    pub fn has_packets(&self) -> bool {
        self.pages.has_packets()
    }

    /// Appends `bytes`: all or nothing up to [`PIPE_BUF`], beyond it what fits, at least 1. Returns how much.
    pub fn write(&mut self, sources: &mut impl Sources, bytes: &[u8]) -> Result<usize, PipeError> {
        self.put(sources, bytes, Pages::add)
    }

    /// The same in packets of up to [`PIPE_BUF`] bytes (pipe(2), O_DIRECT).
    pub fn write_packets(
        &mut self,
        sources: &mut impl Sources,
        bytes: &[u8],
    ) -> Result<usize, PipeError> {
        self.put(sources, bytes, Pages::add_packets)
    }

    #[inline]
    fn put(
        &mut self,
        sources: &mut impl Sources,
        bytes: &[u8],
        add: impl Fn(&mut Pages, usize) -> usize,
    ) -> Result<usize, PipeError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.readers == 0 {
            return Err(PipeError::Broken);
        }
        let n = self.pages.fits(bytes.len());
        if n == 0 {
            // Linux wakes the readers even so: an edge for those that take edges.
            self.publish_reader(sources, Events::READABLE);
            return Err(PipeError::Again);
        }
        self.bytes.write(&bytes[..n])?;
        add(&mut self.pages, n);
        self.publish_reader(sources, Events::READABLE);
        if !self.is_writable() {
            self.publish_writer(sources, Events::empty());
        }
        Ok(n)
    }

    /// Whether any open file reads.
    pub fn has_reader(&self) -> bool {
        self.readers > 0
    }

    /// Whether any open file writes.
    pub fn has_writer(&self) -> bool {
        self.writers > 0
    }

    /// Takes all bytes, for a pipe that moves, and says of each part whether it is a packet; its watchers are told nothing.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8], bool)) {
        let mut part = [0; PAGE];
        while let Some((len, packet)) = self.pages.next() {
            let n = self.bytes.read(&mut part[..len.min(PAGE)]);
            take(&part[..n], packet);
            self.pages.take(len);
        }
    }

    /// Bytes not read yet (FIONREAD, which works on both ends).
    pub fn available(&self) -> usize {
        self.bytes.len()
    }

    /// One more open file reads.
    pub fn open_reader(&mut self) {
        self.readers += 1;
    }

    /// One more open file writes.
    pub fn open_writer(&mut self) {
        self.writers += 1;
    }

    /// An open file that reads is closed. With the last one its source ends and writers get ERR. The bytes stay, as on Linux (FIONREAD; a full pipe is
    /// not writable).
    pub fn close_reader(&mut self, sources: &mut impl Sources) {
        self.readers = self.readers.saturating_sub(1);
        if self.readers == 0 {
            sources.close(self.reader);
            self.reader = SourceId::NONE;
            self.publish_writer(sources, Events::all());
        }
    }

    /// An open file that writes is closed. With the last one its source ends, and readers get HUP.
    pub fn close_writer(&mut self, sources: &mut impl Sources) {
        self.writers = self.writers.saturating_sub(1);
        if self.writers == 0 {
            sources.close(self.writer);
            self.writer = SourceId::NONE;
            self.publish_reader(sources, Events::all());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;
    use alloc::{vec, vec::Vec};

    #[test]
    fn bytes_come_out_in_order() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);

        assert_eq!(pipe.read(&mut all, &mut [0; 4]), Err(PipeError::Again));
        assert_eq!(pipe.write(&mut all, b"hello"), Ok(5));
        assert_eq!((pipe.available(), pipe.available()), (5, 5));
        let mut out = [0; 3];
        assert_eq!(pipe.read(&mut all, &mut out), Ok(3));
        assert_eq!(&out, b"hel");
        assert_eq!(pipe.read(&mut all, &mut out), Ok(2));
        assert_eq!(&out[..2], b"lo");
    }

    #[test]
    fn what_moves_elsewhere_comes_out_whole_and_is_no_news() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let bytes: Vec<u8> = (0..3000u32).map(|n| n as u8).collect();
        pipe.write(&mut all, &bytes).unwrap();
        all.news(pipe.reader(), Events::all());
        let mut moved = vec![];
        pipe.write_packets(&mut all, &[7; PIPE_BUF]).unwrap();
        let mut parts = vec![];
        all.news(pipe.reader(), Events::all());
        pipe.drain(|part, packet| {
            moved.extend_from_slice(part);
            parts.push((part.len(), packet));
        });
        assert_eq!(moved[..3000], bytes);
        assert_eq!(parts, [(3000, false), (PIPE_BUF, true)]);
        assert_eq!(pipe.available(), 0);
        assert_eq!(all.news(pipe.reader(), Events::all()), (false, 0, 0));
        assert!(pipe.has_reader() && pipe.has_writer());
        pipe.close_writer(&mut all);
        assert!(pipe.has_reader() && !pipe.has_writer());
        pipe.close_reader(&mut all);
        assert!(!pipe.has_reader());
    }

    #[test]
    fn a_look_takes_nothing_and_room_is_counted_in_pages() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        assert_eq!(pipe.peek(&mut [0; 4]), Err(PipeError::Again));
        assert_eq!(pipe.room(), Ok(CAPACITY));
        pipe.write(&mut all, b"seen").unwrap();
        let mut out = [0; 9];
        assert_eq!((pipe.peek(&mut out), &out[..4]), (Ok(4), &b"seen"[..]));
        assert_eq!(
            (pipe.available(), pipe.room()),
            (4, Ok(CAPACITY - PIPE_BUF))
        );
        let room = CAPACITY - PIPE_BUF;
        assert_eq!(pipe.write(&mut all, &vec![0; room]), Ok(room));
        assert_eq!(pipe.room(), Ok(0));
        pipe.close_reader(&mut all);
        assert_eq!(pipe.room(), Err(PipeError::Broken));
        pipe.close_writer(&mut all);
        pipe.drain(|_, _| {});
        assert_eq!(pipe.peek(&mut out), Ok(0));
    }

    #[test]
    fn a_read_ends_with_a_packet_and_drops_its_rest() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let writer = pipe.writer();
        pipe.write(&mut all, b"bytes").unwrap();
        pipe.write_packets(&mut all, &[1; PIPE_BUF + 1]).unwrap();
        // The odd byte went first, as on Linux.
        let mut out = [0; 2 * PIPE_BUF];
        assert_eq!(pipe.read(&mut all, &mut out[..4]), Ok(4));
        assert_eq!(pipe.read(&mut all, &mut out[..10]), Ok(10));
        assert_eq!(&out[..3], b"s\x01\x01");
        assert_eq!(pipe.available(), 0);
        for _ in 0..16 {
            assert_eq!(pipe.write_packets(&mut all, b"p"), Ok(1));
        }
        assert_eq!(all.level(writer), Events::empty());
        assert_eq!(pipe.write(&mut all, b"b"), Err(PipeError::Again));
        assert!(pipe.has_packets());
        assert_eq!(pipe.read(&mut all, &mut out), Ok(1));
        assert_eq!(all.level(writer), Events::WRITABLE);
        pipe.close_writer(&mut all);
        for _ in 1..16 {
            assert_eq!(pipe.read(&mut all, &mut out), Ok(1));
        }
        assert!(!pipe.has_packets());
        assert_eq!(pipe.read(&mut all, &mut out), Ok(0));
    }

    #[test]
    fn an_empty_pipe_without_writers_is_hup_without_in() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let reader = pipe.reader();
        assert_eq!(all.level(reader), Events::empty());
        pipe.write(&mut all, b"x").unwrap();
        pipe.close_writer(&mut all);
        assert_eq!(all.level(reader), Events::READABLE | Events::HUP);
        assert_eq!(pipe.read(&mut all, &mut [0; 4]), Ok(1));
        assert_eq!(all.level(reader), Events::HUP);
        assert_eq!(pipe.read(&mut all, &mut [0; 4]), Ok(0));
    }

    #[test]
    fn only_the_last_close_counts() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let (reader, writer) = (pipe.reader(), pipe.writer());
        pipe.open_writer();
        pipe.close_writer(&mut all);
        assert_eq!(all.level(reader), Events::empty());
        pipe.close_writer(&mut all);
        assert_eq!(all.level(reader), Events::HUP);
        pipe.open_reader();
        pipe.close_reader(&mut all);
        assert_eq!(all.level(writer), Events::WRITABLE);
    }

    #[test]
    fn without_readers_a_write_is_broken() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let writer = pipe.writer();
        let (end, interest) = (writer, Events::ALWAYS);
        pipe.write(&mut all, &[0; CAPACITY]).unwrap();
        pipe.close_reader(&mut all);
        assert_eq!(all.news(end, interest), (true, 1, 1));
        assert_eq!(all.level(writer), Events::ERR);
        assert_eq!(pipe.available(), CAPACITY);
        assert_eq!(pipe.write(&mut all, b"x"), Err(PipeError::Broken));
        assert_eq!(pipe.write(&mut all, b""), Ok(0));
    }

    #[test]
    fn small_writes_are_whole_and_large_ones_partial() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);

        let most = CAPACITY - PIPE_BUF;
        assert_eq!(pipe.write(&mut all, &vec![1; most]), Ok(most));
        assert_eq!(
            pipe.write(&mut all, &[2; PIPE_BUF - 100]),
            Ok(PIPE_BUF - 100)
        );
        assert_eq!(pipe.write(&mut all, &[2; 101]), Err(PipeError::Again));
        assert_eq!(pipe.write(&mut all, &[2; PIPE_BUF]), Err(PipeError::Again));
        assert_eq!(pipe.write(&mut all, &[2; PIPE_BUF + 100]), Ok(100));
        assert_eq!(
            pipe.write(&mut all, &[2; PIPE_BUF + 1]),
            Err(PipeError::Again)
        );
        assert_eq!(pipe.available(), CAPACITY);
    }

    #[test]
    fn writable_means_that_a_page_is_free() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let writer = pipe.writer();
        let (end, interest) = (writer, Events::OUT);
        pipe.write(&mut all, &vec![0; CAPACITY - PIPE_BUF]).unwrap();
        assert_eq!(all.level(writer), Events::WRITABLE);
        pipe.write(&mut all, b"x").unwrap();
        assert_eq!(all.level(writer), Events::empty());
        pipe.write(&mut all, &[0; PIPE_BUF - 1]).unwrap();
        pipe.read(&mut all, &mut [0; PIPE_BUF - 1]).unwrap();
        assert_eq!(
            (all.level(writer), all.news(end, interest)),
            (Events::empty(), (false, 0, 0))
        );
        pipe.read(&mut all, &mut [0; 1]).unwrap();
        assert_eq!(
            (all.level(writer), all.news(end, interest)),
            (Events::WRITABLE, (true, 0, 1))
        );
        pipe.read(&mut all, &mut [0; 1]).unwrap();
        assert_eq!(all.news(end, interest), (false, 0, 0));
    }

    #[test]
    fn each_write_is_an_edge_drained_or_not() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let reader = pipe.reader();
        let (end, interest) = (reader, Events::IN);
        pipe.write(&mut all, b"a").unwrap();
        assert_eq!(all.news(end, interest), (true, 1, 0));
        pipe.write(&mut all, b"b").unwrap();
        assert_eq!(all.news(end, interest), (true, 1, 0));
        pipe.write(&mut all, b"").unwrap();
        assert_eq!(all.news(end, interest), (false, 0, 0));
    }

    #[test]
    fn the_last_writer_tells_everybody() {
        let mut all = Recorder::default();
        let mut pipe = Pipe::new(&mut all);
        let reader = pipe.reader();
        let (end, interest) = (reader, Events::ALWAYS);
        pipe.close_writer(&mut all);
        assert_eq!(all.news(end, interest), (true, 1, 1));
    }
}
