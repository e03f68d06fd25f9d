// SPDX-License-Identifier: BSD-2-Clause
//! An eventfd as a file: reads and writes of eight bytes. In this process at first, in a channel once another one has it.

use core::cell::RefCell;

use vfs_hooks::channel_event::{ChannelEvent, EventRefused};
use vfs_hooks::eventfd::{EventFd, EventFdError};
use vfs_hooks::source::{Readiness, SourceId};

use super::channel::{Side, patiently};
use super::{File, OpenFile};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::channels;
use crate::poller::core;

enum Form {
    /// In this process.
    Local(EventFd),
    /// In a channel.
    Shared(Side),
}

/// What eventfd2(2) makes.
pub struct EventFile {
    form: RefCell<Form>,
    semaphore: bool,
}

impl EventFile {
    /// One that counts from `initial`.
    pub fn new(initial: u32, semaphore: bool) -> EventFile {
        let local = EventFd::new(&mut *core(), initial, semaphore);
        EventFile {
            form: RefCell::new(Form::Local(local)),
            semaphore,
        }
    }

    /// One that another process has passed on.
    pub fn inherited(channel: u32, semaphore: bool, flags: u32) -> alloc::rc::Rc<OpenFile> {
        let side = Side::inherited(channel as usize, 0, look);
        let form = RefCell::new(Form::Shared(side));
        OpenFile::new(EventFile { form, semaphore }, flags)
    }

    #[inline(never)]
    fn read_shared(&self, side: &Side) -> Result<u64, Errno> {
        shared(side, |event| {
            event.read(channels::own(), self.semaphore, |watch| side.signal(watch))
        })
    }

    /// Moves the counter into a channel.
    fn share_counter(&self) -> Result<u32, Errno> {
        let mut form = self.form.borrow_mut();
        let local = match &*form {
            Form::Shared(side) => return Ok(side.channel as u32),
            Form::Local(local) => local,
        };
        let channel = channels::create(1)?;
        ChannelEvent::new(channels::header(channel)).start(local.count());
        let side = Side::new(channel, 0, local.source(), look);
        *form = Form::Shared(side);
        Ok(channel as u32)
    }
}

fn look(channel: usize, _: usize) -> Readiness {
    ChannelEvent::new(channels::header(channel)).readiness()
}

#[inline]
fn errno(error: EventFdError) -> Errno {
    match error {
        EventFdError::Again => Errno::EAGAIN,
        EventFdError::Invalid => Errno::EINVAL,
    }
}

/// Does something with a counter in a channel.
fn shared<R>(
    side: &Side,
    mut work: impl FnMut(ChannelEvent) -> Result<R, EventRefused>,
) -> Result<R, Errno> {
    patiently(|| match work(ChannelEvent::new(side.header())) {
        Err(EventRefused::Busy) => None,
        Err(EventRefused::Error(error)) => Some(Err(errno(error))),
        Ok(result) => Some(Ok(result)),
    })?
}

#[inline(never)]
fn write_shared(side: &Side, value: u64) -> Result<(), Errno> {
    shared(side, |event| {
        event.write(channels::own(), value, |watch| side.signal(watch))
    })
}

impl File for EventFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(room) = buffer.first_chunk_mut() else {
            return Err(Errno::EINVAL);
        };
        let value = match &mut *self.form.borrow_mut() {
            Form::Local(local) => local.read(&mut *core()).map_err(errno)?,
            Form::Shared(side) => self.read_shared(side)?,
        };
        *room = value.to_ne_bytes();
        Ok(room.len())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        // Exactly as many; a read may offer more.
        let value: [u8; 8] = bytes.try_into().map_err(|_| Errno::EINVAL)?;
        let value = u64::from_ne_bytes(value);
        match &mut *self.form.borrow_mut() {
            Form::Local(local) => local.write(&mut *core(), value).map_err(errno)?,
            Form::Shared(side) => write_shared(side, value)?,
        }
        Ok(size_of::<u64>())
    }

    #[cfg(all(feature = "host", not(any(test, feature = "library"))))]
    fn drain(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut form = self.form.borrow_mut();
        let (Form::Local(local), Some(room)) = (&mut *form, buffer.first_chunk_mut()) else {
            return Err(Errno::EINVAL);
        };
        *room = match local.take(&mut *core()) {
            0 => return Err(Errno::EAGAIN),
            count => count.to_ne_bytes(),
        };
        Ok(room.len())
    }

    fn writes_records(&self) -> bool {
        true
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn source(&self) -> SourceId {
        match &*self.form.borrow() {
            Form::Local(local) => local.source(),
            Form::Shared(side) => side.source,
        }
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        match &*self.form.borrow() {
            Form::Local(_) => None,
            Form::Shared(side) => Some((side.channel, side.side)),
        }
    }

    fn share(&self) -> Result<(), Errno> {
        self.share_counter().map(drop)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.share_counter()?;
        Ok(Some(Heir::Event(channel, self.semaphore)))
    }
}
