// SPDX-License-Identifier: BSD-2-Clause
//! The two ends of a pipe as files: in this process at first, in a channel once another one has an end.

use alloc::rc::Rc;
use core::cell::RefCell;

use vfs_hooks::channel::{READER, WRITER};
use vfs_hooks::channel_pipe::{ChannelPipe, Refused};
use vfs_hooks::pipe::{CAPACITY, Pipe, PipeError};
use vfs_hooks::source::{Readiness, SourceId};

use super::channel::{Side, patiently};
use super::{File, OpenFile, empty_stat};
use crate::abi::{O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO, Stat};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::{adopt, channels};
use crate::poller::core;

/// What the ends have in common.
enum Form {
    /// In this process.
    Local(Pipe),
    /// In a channel, by side; an end that is closed here, or never was open, is none.
    Shared([Option<Side>; 2]),
}

/// One end.
struct End {
    form: Rc<RefCell<Form>>,
    side: usize,
}

/// Both ends of a new pipe.
pub fn open(flags: u32) -> [Rc<OpenFile>; 2] {
    let pipe = Pipe::new(&mut *core());
    let form = Rc::new(RefCell::new(Form::Local(pipe)));
    let end = |side: usize, flags: u32| {
        let form = form.clone();
        OpenFile::new(adopt(End { form, side }), flags)
    };
    [
        end(READER, O_RDONLY | flags & O_NONBLOCK),
        end(WRITER, O_WRONLY | flags & (O_NONBLOCK | O_DIRECT)),
    ]
}

/// An end that another process has passed on. `None`: there is no such side.
pub fn inherited(channel: u32, side: u32, flags: u32) -> Option<Rc<OpenFile>> {
    let side = (side as usize <= WRITER).then_some(side as usize)?;
    let mut sides = [None, None];
    sides[side] = Some(Side::inherited(channel as usize, side, look));
    let form = Rc::new(RefCell::new(Form::Shared(sides)));
    Some(OpenFile::new(End { form, side }, flags))
}

/// The pipe in a channel that this process holds.
pub fn pipe(channel: usize) -> ChannelPipe<'static> {
    ChannelPipe::new(channels::header(channel), channels::ring(channel))
}

fn look(channel: usize, side: usize) -> Readiness {
    pipe(channel).readiness(side)
}

fn errno(error: PipeError) -> Errno {
    match error {
        PipeError::Again => Errno::EAGAIN,
        PipeError::Broken => Errno::EPIPE,
        PipeError::NoMemory => Errno::ENOMEM,
    }
}

/// What came of a try; `None`: another process is in the way.
fn settled(result: Result<usize, Refused>) -> Option<Result<usize, Errno>> {
    match result {
        Err(Refused::Busy) => None,
        Err(Refused::Again) => Some(Err(Errno::EAGAIN)),
        Err(Refused::Broken) => Some(Err(Errno::EPIPE)),
        Ok(n) => Some(Ok(n)),
    }
}

/// Reads from a pipe in a channel.
pub fn read(channel: usize, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (pipe, own) = (pipe(channel), channels::own());
    patiently(|| settled(pipe.read(own, buffer, |watch| channels::signal(channel, watch))))?
}

/// Writes to a pipe in a channel.
pub fn write(channel: usize, bytes: &[u8]) -> Result<usize, Errno> {
    let (pipe, own) = (pipe(channel), channels::own());
    patiently(|| settled(pipe.write(own, bytes, |watch| channels::signal(channel, watch))))?
}

/// The same in packets.
pub fn write_packets(channel: usize, bytes: &[u8]) -> Result<usize, Errno> {
    let (pipe, own) = (pipe(channel), channels::own());
    let signal = |watch| channels::signal(channel, watch);
    patiently(|| settled(pipe.write_packets(own, bytes, signal)))?
}

/// Looks at what is in a pipe in a channel.
pub fn peek(channel: usize, buffer: &mut [u8]) -> Result<usize, Errno> {
    settled(pipe(channel).peek(buffer)).unwrap_or(Err(Errno::EAGAIN))
}

/// How much a pipe in a channel takes.
pub fn room(channel: usize) -> Result<usize, Errno> {
    settled(pipe(channel).room()).unwrap_or(Err(Errno::EAGAIN))
}

/// The channel of an end that is open here.
fn channel_of(side: &Option<Side>) -> Result<usize, Errno> {
    side.as_ref().map(|side| side.channel).ok_or(Errno::EBADF)
}

impl End {
    /// Moves the pipe into a channel, with what is in it and who watches it.
    fn share(&self) -> Result<u32, Errno> {
        let mut form = self.form.borrow_mut();
        let local = match &mut *form {
            Form::Shared(sides) => {
                return Ok(channel_of(&sides[self.side])? as u32);
            }
            Form::Local(local) => local,
        };
        let open = [local.has_reader(), local.has_writer()];
        let held = u32::from(open[READER]) | u32::from(open[WRITER]) << 1;
        let channel = channels::create(held)?;
        let sources = [local.reader(), local.writer()];
        local.drain(|bytes, packet| {
            // A new ring is empty and as large as a pipe.
            match packet {
                true => drop(pipe(channel).put_packet(bytes)),
                false => drop(channels::ring(channel).write(bytes)),
            }
        });
        let side =
            |number: usize| open[number].then(|| Side::new(channel, number, sources[number], look));
        *form = Form::Shared([side(READER), side(WRITER)]);
        Ok(channel as u32)
    }
}

impl File for End {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match &mut *self.form.borrow_mut() {
            Form::Local(local) => local.read(&mut *core(), buffer).map_err(errno),
            Form::Shared(sides) => read(channel_of(&sides[READER])?, buffer),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match &mut *self.form.borrow_mut() {
            Form::Local(local) => local.write(&mut *core(), bytes).map_err(errno),
            Form::Shared(sides) => write(channel_of(&sides[WRITER])?, bytes),
        }
    }

    fn write_packets(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match &mut *self.form.borrow_mut() {
            Form::Local(local) => local.write_packets(&mut *core(), bytes).map_err(errno),
            Form::Shared(sides) => write_packets(channel_of(&sides[WRITER])?, bytes),
        }
    }

    fn has_packets(&self) -> bool {
        match &*self.form.borrow() {
            Form::Local(local) => local.has_packets(),
            Form::Shared(sides) => {
                channel_of(&sides[self.side]).is_ok_and(|channel| pipe(channel).has_packets())
            }
        }
    }

    fn peek(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match &*self.form.borrow() {
            Form::Local(local) => local.peek(buffer).map_err(errno),
            Form::Shared(sides) => peek(channel_of(&sides[self.side])?, buffer),
        }
    }

    fn pipe_room(&self) -> Result<usize, Errno> {
        match &*self.form.borrow() {
            Form::Local(local) => local.room().map_err(errno),
            Form::Shared(sides) => room(channel_of(&sides[self.side])?),
        }
    }

    fn pipe_identity(&self) -> Option<usize> {
        match &*self.form.borrow() {
            Form::Local(_) => Some(Rc::as_ptr(&self.form) as usize),
            Form::Shared(sides) => channel_of(&sides[self.side]).ok(),
        }
    }

    fn gathers(&self) -> bool {
        self.side == WRITER
    }

    fn stat(&self) -> Stat {
        Stat {
            st_mode: S_IFIFO | 0o600,
            ..empty_stat()
        }
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(match &*self.form.borrow() {
            Form::Local(local) => local.available(),
            Form::Shared(sides) => {
                let side = sides[self.side].as_ref()?;
                pipe(side.channel).available()
            }
        })
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> SourceId {
        match &*self.form.borrow() {
            Form::Local(local) if self.side == READER => local.reader(),
            Form::Local(local) => local.writer(),
            Form::Shared(sides) => match &sides[self.side] {
                Some(side) => side.source,
                None => SourceId::NONE,
            },
        }
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        match &*self.form.borrow() {
            Form::Local(_) => None,
            Form::Shared(sides) => Some((sides[self.side].as_ref()?.channel, self.side)),
        }
    }

    fn share(&self) -> Result<(), Errno> {
        End::share(self).map(drop)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = End::share(self)?;
        Ok(Some(Heir::Pipe(channel, self.side as u32)))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let gone = match &mut *self.form.borrow_mut() {
            Form::Local(local) if self.side == READER => {
                local.close_reader(&mut *core());
                None
            }
            Form::Local(local) => {
                local.close_writer(&mut *core());
                None
            }
            Form::Shared(sides) => sides[self.side].take(),
        };
        // Dropped when nothing is borrowed.
        drop(gone);
    }
}
