// SPDX-License-Identifier: BSD-2-Clause
//! fifo(7): a pipe with a name, in a channel from the start. Each open file is a reader, a writer or both.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;

use libposix_poll::Deadline;
use vfs_hooks::Events;
use vfs_hooks::channel::{READER, SIDES, WRITER};
use vfs_hooks::fifo::{Place, opened, partner};
use vfs_hooks::pipe::CAPACITY;
use vfs_hooks::source::{Edges, Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;
use vfs_hooks::vfs::Attributes;

use super::channel::Held;
use super::pipe::{self, pipe};
use super::position::Position;
use super::{File, OpenFile, tree};
use crate::abi::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY, Stat};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::channels;
use crate::poller::core;
use crate::wait;

/// In place of a count: a reader that has seen a writer.
const MET: u64 = u64::MAX;

/// See the module.
struct Fifo {
    channel: usize,
    sides: u8,
    inode: u64,
    /// A reader that found no writer, and did not wait for one: how often it had been opened for writing. Until that moves, there is no end of file to tell of.
    since: u64,
    /// What was known of the inode when it was there last.
    attributes: Cell<Attributes>,
    source: SourceId,
    /// The sides, held for this file.
    _held: [Option<Held>; SIDES],
    /// Of no use as a position: its channel has the open file's flags.
    shared: Position,
}

/// An open FIFO as the event core sees it.
struct Watched {
    channel: usize,
    sides: u8,
    since: u64,
}

/// The other side as who waits for it to be opened sees it: input, once it has been.
struct Partner {
    channel: usize,
    /// The own side, by which the waiter is told.
    side: usize,
    since: u32,
}

/// Places at a side of a channel.
fn claim(channel: usize, side: usize, slot: u32) -> Option<Option<(usize, u32)>> {
    // The word in the cell is its own number: that is where its capability is.
    let cell = channels::watch(channel, side, slot).ok();
    Some(cell.map(|cell| (cell, cell as u32)))
}

impl Watched {
    /// The side at which it is told of both.
    fn side(&self) -> usize {
        if self.sides == 1 << WRITER {
            WRITER
        } else {
            READER
        }
    }
}

impl Remote for Watched {
    fn readiness(&self) -> Readiness {
        if partner(self.sides).is_none() {
            return pipe(self.channel).readiness_of_both();
        }
        let mut readiness = pipe(self.channel).readiness(self.side());
        let writers = opened(channels::header(self.channel), WRITER);
        if self.since == u64::from(writers) {
            readiness.events.remove(Events::HUP);
        }
        readiness
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&channels::header(self.channel).sides[self.side()].subscriptions)
    }

    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        claim(self.channel, self.side(), slot)
    }

    fn release(&self, cell: usize) {
        channels::unwatch(self.channel, self.side(), cell);
    }
}

impl Remote for Partner {
    fn readiness(&self) -> Readiness {
        let count = opened(channels::header(self.channel), 1 - self.side);
        let mut events = Events::empty();
        events.set(Events::IN, count != self.since);
        let edges = Edges {
            input: count,
            output: 0,
        };
        Readiness { events, edges }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&channels::header(self.channel).sides[self.side].subscriptions)
    }

    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        claim(self.channel, self.side, slot)
    }

    fn release(&self, cell: usize) {
        channels::unwatch(self.channel, self.side, cell);
    }
}

/// Waits until the other side has been opened. EINTR.
fn meet(channel: usize, side: usize, since: u32) -> Result<(), Errno> {
    let partner = Partner {
        channel,
        side,
        since,
    };
    let source = core().open(Events::empty());
    let _ = core().set_remote(source, Some(Box::new(partner)));
    let waited = wait::for_source(source, Events::IN, Deadline::NEVER);
    core().close(source);
    waited
}

/// open(2), after the servers have given the process the sides that it wants.
pub fn open(attributes: &Attributes, flags: u32) -> Result<Rc<OpenFile>, Errno> {
    let place = Place::of(attributes.place);
    let channel = place.channel as usize;
    let sides = match flags & O_ACCMODE {
        O_RDONLY => 1 << READER,
        O_WRONLY => 1 << WRITER,
        _ => 1 << READER | 1 << WRITER,
    };
    let mut fifo = Fifo {
        channel,
        sides,
        inode: attributes.inode,
        since: MET,
        attributes: Cell::new(Attributes {
            place: 0,
            ..*attributes
        }),
        source: SourceId::NONE,
        _held: held(channel, sides),
        shared: Position::default(),
    };
    if let Some(other) = partner(sides).filter(|_| !place.met) {
        // To write at once with nobody to read was refused by then.
        match flags & O_NONBLOCK {
            0 => meet(channel, 1 - other, place.since)?,
            _ => fifo.since = place.since.into(),
        }
    }
    fifo.watch();
    Ok(OpenFile::new(fifo, flags))
}

/// One that another process has passed on. `None`: there are no such sides.
pub fn inherited(
    [channel, sides]: [u32; 2],
    inode: u64,
    since: u64,
    shared: u32,
    flags: u32,
) -> Option<Rc<OpenFile>> {
    let sides = (1..1 << SIDES).contains(&sides).then_some(sides as u8)?;
    let channel = channel as usize;
    let attributes = Attributes {
        inode,
        mode: crate::abi::S_IFIFO,
        ..Attributes::default()
    };
    let mut fifo = Fifo {
        channel,
        sides,
        inode,
        since,
        attributes: Cell::new(attributes),
        source: SourceId::NONE,
        _held: held(channel, sides),
        shared: Position::inherited(shared),
    };
    fifo.watch();
    Some(OpenFile::new(fifo, flags))
}

fn held(channel: usize, sides: u8) -> [Option<Held>; SIDES] {
    core::array::from_fn(|side| (sides & 1 << side != 0).then(|| Held::new(channel, side)))
}

impl Fifo {
    /// Gives it a source.
    fn watch(&mut self) {
        let watched = Watched {
            channel: self.channel,
            sides: self.sides,
            since: self.since,
        };
        self.source = core().open(Events::empty());
        // Nobody watches it yet who could find no room.
        let _ = core().set_remote(self.source, Some(Box::new(watched)));
    }
}

impl File for Fifo {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        pipe::read(self.channel, buffer)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        pipe::write(self.channel, bytes)
    }

    fn write_packets(&self, bytes: &[u8]) -> Result<usize, Errno> {
        pipe::write_packets(self.channel, bytes)
    }

    fn has_packets(&self) -> bool {
        pipe(self.channel).has_packets()
    }

    fn peek(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        pipe::peek(self.channel, buffer)
    }

    fn pipe_room(&self) -> Result<usize, Errno> {
        pipe::room(self.channel)
    }

    fn pipe_identity(&self) -> Option<usize> {
        Some(self.channel)
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        let attributes = match tree::attributes(self.inode) {
            Ok(attributes) => attributes,
            // It has no name any longer.
            Err(_) => Attributes {
                links: 0,
                ..self.attributes.get()
            },
        };
        self.attributes.set(attributes);
        tree::stat(&attributes)
    }

    fn inode(&self) -> Option<u64> {
        Some(self.inode)
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(pipe(self.channel).available())
    }

    fn pipe_size(&self) -> Option<usize> {
        Some(CAPACITY)
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn share(&self) -> Result<(), Errno> {
        self.shared.share().map(drop)
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.shared.channel()?, 0))
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let place = [self.channel as u32, self.sides.into()];
        let shared = self.shared.share()?;
        Ok(Some(Heir::Fifo(place, self.inode, self.since, shared)))
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        core().close(self.source);
    }
}
