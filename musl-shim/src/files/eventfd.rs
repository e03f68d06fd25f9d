// SPDX-License-Identifier: BSD-2-Clause
//! An eventfd as a file: reads and writes of eight bytes.

use alloc::rc::Rc;

use vfs_hooks::eventfd::{EventFd, EventFdError};
use vfs_hooks::source::{Readiness, Source};

use super::File;
use crate::errno::Errno;

/// What eventfd2(2) makes.
pub struct EventFile(Rc<EventFd>);

impl EventFile {
    /// One that counts from `initial`.
    pub fn new(initial: u32, semaphore: bool) -> EventFile {
        EventFile(Rc::new(EventFd::new(initial, semaphore)))
    }
}

impl File for EventFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(room) = buffer.first_chunk_mut() else {
            return Err(Errno::EINVAL);
        };
        *room = self.0.read().map_err(|_| Errno::EAGAIN)?.to_ne_bytes();
        Ok(room.len())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(value) = bytes.first_chunk() else {
            return Err(Errno::EINVAL);
        };
        match self.0.write(u64::from_ne_bytes(*value)) {
            Ok(()) => Ok(value.len()),
            Err(EventFdError::Again) => Err(Errno::EAGAIN),
            Err(EventFdError::Invalid) => Err(Errno::EINVAL),
        }
    }

    fn writes_records(&self) -> bool {
        true
    }

    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(self.0.clone())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(self.0.readiness())
    }
}
