// SPDX-License-Identifier: BSD-2-Clause
//! pipe(7): bytes one way inside a process; each end is a source.
//!
//! Readiness is Linux's (poll(2), pipe(7)): a reader has IN while there are bytes and HUP once no writer is left,
//! so HUP without IN when empty (trap 7); a writer has OUT while a page is free and ERR once no reader is left.
//! Every write is an input edge (trap 1). A read is an output edge only if it makes the pipe writable again.
#![forbid(unsafe_code)]

use crate::bytes::{Bytes, NoMemory};
use crate::events::Events;
use crate::notifier::{Again, Local, Notifier, READABLE, WRITABLE};
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

/// Bytes that a pipe holds (pipe(7), Pipe capacity).
pub const CAPACITY: usize = 65536;
/// Writes up to this size are not split (pipe(7), PIPE_BUF).
pub const PIPE_BUF: usize = 4096;

/// Why a write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeError {
    /// Not enough room (EAGAIN, or wait for OUT and write again).
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

#[derive(Debug)]
struct Pipe {
    bytes: RefCell<Bytes>,
    readers: Cell<u32>,
    writers: Cell<u32>,
    reader: Notifier,
    writer: Notifier,
}

impl Pipe {
    fn writable(&self) -> bool {
        self.bytes.borrow().space() >= PIPE_BUF
    }
}

/// The end to read from.
#[derive(Debug)]
pub struct PipeReader(Rc<Pipe>);

/// The end to write to.
#[derive(Debug)]
pub struct PipeWriter(Rc<Pipe>);

/// A new pipe, each end open once.
pub fn pipe() -> (Rc<PipeReader>, Rc<PipeWriter>) {
    let pipe = Rc::new(Pipe {
        bytes: RefCell::new(Bytes::new(CAPACITY)),
        readers: Cell::new(1),
        writers: Cell::new(1),
        reader: Notifier::default(),
        writer: Notifier::default(),
    });
    (Rc::new(PipeReader(pipe.clone())), Rc::new(PipeWriter(pipe)))
}

impl PipeReader {
    /// Takes up to `out.len()` bytes. `Ok(0)` for a non-empty `out` is the end: nothing is left and no writer.
    pub fn read(&self, out: &mut [u8]) -> Result<usize, Again> {
        let pipe = &*self.0;
        if out.is_empty() {
            return Ok(0);
        }
        let was_writable = pipe.writable();
        let n = pipe.bytes.borrow_mut().read(out);
        if n == 0 {
            return if pipe.writers.get() == 0 {
                Ok(0)
            } else {
                Err(Again)
            };
        }
        if !was_writable && pipe.writable() {
            pipe.writer.output(WRITABLE);
        }
        Ok(n)
    }

    /// Bytes to read (FIONREAD).
    pub fn available(&self) -> usize {
        self.0.bytes.borrow().len()
    }

    /// One more open file reads.
    pub fn open_reader(&self) {
        self.0.readers.set(self.0.readers.get() + 1);
    }

    /// An open file that reads is closed. With the last one the bytes are lost and writers get ERR.
    pub fn close_reader(&self) {
        let pipe = &*self.0;
        let readers = pipe.readers.get();
        pipe.readers.set(readers.saturating_sub(1));
        if readers == 1 {
            pipe.bytes.borrow_mut().free();
            pipe.writer.state();
        }
    }
}

impl Local for PipeReader {
    fn notifier(&self) -> &Notifier {
        &self.0.reader
    }

    fn level(&self) -> Events {
        let mut events = Events::empty();
        events.set(READABLE, !self.0.bytes.borrow().is_empty());
        events.set(Events::HUP, self.0.writers.get() == 0);
        events
    }
}

impl PipeWriter {
    /// Appends `bytes`: all or nothing up to [`PIPE_BUF`], beyond it what fits, at least 1. Returns how much.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, PipeError> {
        let pipe = &*self.0;
        if bytes.is_empty() {
            return Ok(0);
        }
        if pipe.readers.get() == 0 {
            return Err(PipeError::Broken);
        }
        let space = pipe.bytes.borrow().space();
        if space == 0 || (bytes.len() <= PIPE_BUF && bytes.len() > space) {
            return Err(PipeError::Again);
        }
        let n = pipe.bytes.borrow_mut().write(bytes)?;
        pipe.reader.input(READABLE);
        Ok(n)
    }

    /// Bytes not read yet (FIONREAD, which works on both ends).
    pub fn available(&self) -> usize {
        self.0.bytes.borrow().len()
    }

    /// One more open file writes.
    pub fn open_writer(&self) {
        self.0.writers.set(self.0.writers.get() + 1);
    }

    /// An open file that writes is closed. With the last one readers get HUP.
    pub fn close_writer(&self) {
        let writers = self.0.writers.get();
        self.0.writers.set(writers.saturating_sub(1));
        if writers == 1 {
            self.0.reader.state();
        }
    }
}

impl Local for PipeWriter {
    fn notifier(&self) -> &Notifier {
        &self.0.writer
    }

    fn level(&self) -> Events {
        let mut events = Events::empty();
        events.set(WRITABLE, self.0.writable());
        events.set(Events::ERR, self.0.readers.get() == 0);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::probe::Probe;
    use alloc::vec;

    #[test]
    fn bytes_come_out_in_order() {
        let (reader, writer) = pipe();
        assert_eq!(reader.read(&mut [0; 4]), Err(Again));
        assert_eq!(writer.write(b"hello"), Ok(5));
        assert_eq!((reader.available(), writer.available()), (5, 5));
        let mut out = [0; 3];
        assert_eq!(reader.read(&mut out), Ok(3));
        assert_eq!(&out, b"hel");
        assert_eq!(reader.read(&mut out), Ok(2));
        assert_eq!(&out[..2], b"lo");
    }

    #[test]
    fn an_empty_pipe_without_writers_is_hup_without_in() {
        let (reader, writer) = pipe();
        assert_eq!(reader.level(), Events::empty());
        writer.write(b"x").unwrap();
        writer.close_writer();
        assert_eq!(reader.level(), READABLE | Events::HUP);
        assert_eq!(reader.read(&mut [0; 4]), Ok(1));
        assert_eq!(reader.level(), Events::HUP);
        assert_eq!(reader.read(&mut [0; 4]), Ok(0));
    }

    #[test]
    fn only_the_last_close_counts() {
        let (reader, writer) = pipe();
        writer.open_writer();
        writer.close_writer();
        assert_eq!(reader.level(), Events::empty());
        writer.close_writer();
        assert_eq!(reader.level(), Events::HUP);
        reader.open_reader();
        reader.close_reader();
        assert_eq!(writer.level(), WRITABLE);
    }

    #[test]
    fn without_readers_a_write_is_broken() {
        let (reader, writer) = pipe();
        let probe = Probe::new(&*writer, Events::ALWAYS);
        writer.write(&[0; CAPACITY]).unwrap();
        reader.close_reader();
        assert_eq!(probe.news(), (true, 1, 1));
        assert_eq!(writer.level(), WRITABLE | Events::ERR);
        assert_eq!(writer.write(b"x"), Err(PipeError::Broken));
        assert_eq!(writer.write(b""), Ok(0));
    }

    #[test]
    fn small_writes_are_whole_and_large_ones_partial() {
        let (reader, writer) = pipe();
        assert_eq!(writer.write(&vec![1; CAPACITY - 100]), Ok(CAPACITY - 100));
        assert_eq!(writer.write(&[2; 101]), Err(PipeError::Again));
        assert_eq!(writer.write(&[2; PIPE_BUF]), Err(PipeError::Again));
        assert_eq!(writer.write(&[2; PIPE_BUF + 1]), Ok(100));
        assert_eq!(writer.write(&[2; PIPE_BUF + 1]), Err(PipeError::Again));
        assert_eq!(reader.available(), CAPACITY);
    }

    #[test]
    fn writable_means_that_a_page_is_free() {
        let (reader, writer) = pipe();
        let probe = Probe::new(&*writer, Events::OUT);
        writer.write(&vec![0; CAPACITY - PIPE_BUF]).unwrap();
        assert_eq!(writer.level(), WRITABLE);
        writer.write(b"x").unwrap();
        assert_eq!(writer.level(), Events::empty());
        writer.write(&[0; PIPE_BUF - 1]).unwrap();
        reader.read(&mut [0; PIPE_BUF - 1]).unwrap();
        assert_eq!(
            (writer.level(), probe.news()),
            (Events::empty(), (false, 0, 0))
        );
        reader.read(&mut [0; 1]).unwrap();
        assert_eq!((writer.level(), probe.news()), (WRITABLE, (true, 0, 1)));
        reader.read(&mut [0; 1]).unwrap();
        assert_eq!(probe.news(), (false, 0, 0));
    }

    #[test]
    fn each_write_is_an_edge_drained_or_not() {
        let (reader, writer) = pipe();
        let probe = Probe::new(&*reader, Events::IN);
        writer.write(b"a").unwrap();
        assert_eq!(probe.news(), (true, 1, 0));
        writer.write(b"b").unwrap();
        assert_eq!(probe.news(), (true, 1, 0));
        writer.write(b"").unwrap();
        assert_eq!(probe.news(), (false, 0, 0));
    }

    #[test]
    fn the_last_writer_tells_everybody() {
        let (reader, writer) = pipe();
        let probe = Probe::new(&*reader, Events::ALWAYS);
        writer.close_writer();
        assert_eq!(probe.news(), (true, 1, 1));
    }
}
