// SPDX-License-Identifier: BSD-2-Clause
//! The two ends of a pipe as files.

use alloc::rc::Rc;
use core::cell::RefCell;

use vfs_hooks::pipe::{CAPACITY, Pipe, PipeError};
use vfs_hooks::source::SourceId;

use super::{File, OpenFile, empty_stat};
use crate::abi::{O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO, Stat};
use crate::errno::Errno;
use crate::platform::adopt;
use crate::poller::core;

/// The end to read from.
struct ReadEnd(Rc<RefCell<Pipe>>);

/// The end to write to.
struct WriteEnd(Rc<RefCell<Pipe>>);

/// Both ends of a new pipe.
pub fn open(flags: u32) -> [Rc<OpenFile>; 2] {
    let pipe = Rc::new(RefCell::new(Pipe::new(&mut *core())));
    let status = flags & O_NONBLOCK;
    [
        OpenFile::new(adopt(ReadEnd(pipe.clone())), O_RDONLY | status),
        OpenFile::new(adopt(WriteEnd(pipe)), O_WRONLY | status),
    ]
}

fn errno(error: PipeError) -> Errno {
    match error {
        PipeError::Again => Errno::EAGAIN,
        PipeError::Broken => Errno::EPIPE,
        PipeError::NoMemory => Errno::ENOMEM,
    }
}

fn stat() -> Stat {
    Stat {
        st_mode: S_IFIFO | 0o600,
        ..empty_stat()
    }
}

impl File for ReadEnd {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let result = self.0.borrow_mut().read(&mut *core(), buffer);
        result.map_err(errno)
    }

    fn stat(&self) -> Stat {
        stat()
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(self.0.borrow().available())
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> SourceId {
        self.0.borrow().reader()
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.borrow_mut().close_reader(&mut *core());
    }
}

impl File for WriteEnd {
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let result = self.0.borrow_mut().write(&mut *core(), bytes);
        result.map_err(errno)
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        stat()
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(self.0.borrow().available())
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> SourceId {
        self.0.borrow().writer()
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.0.borrow_mut().close_writer(&mut *core());
    }
}
