// SPDX-License-Identifier: BSD-2-Clause
//! An eventfd as a file: reads and writes of eight bytes.

use core::cell::RefCell;

use vfs_hooks::eventfd::{EventFd, EventFdError};
use vfs_hooks::source::SourceId;

use super::File;
use crate::errno::Errno;
use crate::poller::core;

/// What eventfd2(2) makes.
pub struct EventFile(RefCell<EventFd>);

impl EventFile {
    /// One that counts from `initial`.
    pub fn new(initial: u32, semaphore: bool) -> EventFile {
        EventFile(RefCell::new(EventFd::new(&mut *core(), initial, semaphore)))
    }
}

fn errno(error: EventFdError) -> Errno {
    match error {
        EventFdError::Again => Errno::EAGAIN,
        EventFdError::Invalid => Errno::EINVAL,
    }
}

impl File for EventFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(room) = buffer.first_chunk_mut() else {
            return Err(Errno::EINVAL);
        };
        let value = self.0.borrow_mut().read(&mut *core());
        *room = value.map_err(errno)?.to_ne_bytes();
        Ok(room.len())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        // Exactly as many; a read may offer more.
        let value: [u8; 8] = bytes.try_into().map_err(|_| Errno::EINVAL)?;
        let value = u64::from_ne_bytes(value);
        let written = self.0.borrow_mut().write(&mut *core(), value);
        written.map_err(errno)?;
        Ok(size_of::<u64>())
    }

    fn writes_records(&self) -> bool {
        true
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn source(&self) -> SourceId {
        self.0.borrow().source()
    }
}
