// SPDX-License-Identifier: BSD-2-Clause
//! The two ends of a pipe as files.

use alloc::rc::Rc;

use vfs_hooks::pipe::{CAPACITY, PipeError, PipeReader, PipeWriter, pipe};
use vfs_hooks::source::{Readiness, Source};

use super::{File, OpenFile, empty_stat};
use crate::abi::{O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO, Stat};
use crate::errno::Errno;

/// The end to read from.
struct ReadEnd(Rc<PipeReader>);

/// The end to write to.
struct WriteEnd(Rc<PipeWriter>);

/// Both ends of a new pipe.
pub fn open(flags: u32) -> [Rc<OpenFile>; 2] {
    let (reader, writer) = pipe();
    let status = flags & O_NONBLOCK;
    [
        OpenFile::new(ReadEnd(reader), O_RDONLY | status),
        OpenFile::new(WriteEnd(writer), O_WRONLY | status),
    ]
}

fn stat() -> Stat {
    Stat {
        st_mode: S_IFIFO | 0o600,
        ..empty_stat()
    }
}

impl File for ReadEnd {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(buffer).map_err(|_| Errno::EAGAIN)
    }

    fn stat(&self) -> Stat {
        stat()
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(self.0.available())
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(self.0.clone())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(self.0.readiness())
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.close_reader();
    }
}

impl File for WriteEnd {
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.0.write(bytes).map_err(|error| match error {
            PipeError::Again => Errno::EAGAIN,
            PipeError::Broken => Errno::EPIPE,
            PipeError::NoMemory => Errno::ENOMEM,
        })
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        stat()
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(self.0.available())
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(self.0.clone())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(self.0.readiness())
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.0.close_writer();
    }
}
