// SPDX-License-Identifier: BSD-2-Clause
//! A loopback connection: in this process at first, if both of its ends are; in a channel if another process has one, or is to have it.

use alloc::vec;
use core::cell::RefCell;

use vfs_hooks::Events;
use vfs_hooks::channel_tcp::{ChannelTcp, Refused};
use vfs_hooks::source::{Readiness, SourceId, Sources};
use vfs_hooks::stream::{Kind, Shutdown, Side, Stream, StreamError};

use crate::errno::Errno;
use crate::files::channel::{Kept, look_at, patiently};
use crate::net::address::Address;
use crate::platform::channels;
use crate::poller::core;

/// Bytes that wait in one direction of a loopback connection.
const BUFFER: usize = vfs_hooks::channel_tcp::RING as usize;

/// See the module. The first end is that of the client.
pub enum Link {
    /// Both ends are in this process alone.
    Here(Stream),
    /// In a channel, by side; an end that is closed here, or never was open, is none.
    Moved([Option<Kept>; 2]),
}

fn errno(error: StreamError) -> Errno {
    match error {
        StreamError::Again => Errno::EAGAIN,
        StreamError::Broken => Errno::EPIPE,
        StreamError::Reset => Errno::ECONNRESET,
        StreamError::NotConnected => Errno::ENOTCONN,
        StreamError::NoMemory => Errno::ENOMEM,
    }
}

fn channel_errno(refused: Refused) -> Errno {
    match refused {
        Refused::Again | Refused::Busy => Errno::EAGAIN,
        Refused::Broken => Errno::EPIPE,
        Refused::Reset => Errno::ECONNRESET,
        Refused::NotConnected => Errno::ENOTCONN,
    }
}

/// How the event core looks at an end in a channel.
fn look(channel: usize, side: usize) -> Readiness {
    channels::tcp(channel).readiness(side)
}

impl Link {
    /// A connection within this process.
    pub fn here() -> Link {
        Link::Here(Stream::new(Kind::Tcp, BUFFER))
    }

    /// An end in a channel that this process holds.
    pub fn in_channel(kept: Kept) -> Link {
        let mut sides = [None, None];
        let side = kept.side;
        sides[side] = Some(kept);
        Link::Moved(sides)
    }

    fn kept(sides: &[Option<Kept>; 2], side: Side) -> Option<(&Kept, ChannelTcp<'static>)> {
        let kept = sides[side as usize].as_ref()?;
        Some((kept, channels::tcp(kept.channel)))
    }

    /// Does something with an end in a channel, once no other process is in the way.
    fn work<R>(
        sides: &[Option<Kept>; 2],
        side: Side,
        mut work: impl FnMut(ChannelTcp, &Kept) -> Result<R, Refused>,
    ) -> Result<R, Errno> {
        let (kept, tcp) = Link::kept(sides, side).ok_or(Errno::ENOTCONN)?;
        patiently(|| match work(tcp, kept) {
            Err(Refused::Busy) => None,
            result => Some(result.map_err(channel_errno)),
        })?
    }

    /// Takes bytes, or looks at them; 0 is end of file.
    #[inline]
    pub fn receive(&mut self, side: Side, out: &mut [u8], peek: bool) -> Result<usize, Errno> {
        match self {
            Link::Here(stream) => {
                let core = &mut *core();
                let result = match peek {
                    true => stream.peek(core, side, out),
                    false => stream.read(core, side, out),
                };
                result.map_err(errno)
            }
            Link::Moved(sides) => Link::work(sides, side, |tcp, kept| {
                let own = channels::own();
                tcp.receive(own, kept.side, out, peek, |watch| kept.signal(watch))
            }),
        }
    }

    /// Puts bytes.
    #[inline]
    pub fn send(&mut self, side: Side, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Link::Here(stream) => stream.write(&mut *core(), side, bytes).map_err(errno),
            Link::Moved(sides) => Link::work(sides, side, |tcp, kept| {
                let own = channels::own();
                tcp.send(own, kept.side, bytes, |watch| kept.signal(watch))
            }),
        }
    }

    /// shutdown(2).
    pub fn shut_down(&mut self, side: Side, how: Shutdown) -> Result<(), Errno> {
        match self {
            Link::Here(stream) => stream.shutdown(&mut *core(), side, how).map_err(errno),
            Link::Moved(sides) => Link::work(sides, side, |tcp, kept| {
                tcp.shut_down(kept.side, how, |watch| kept.signal(watch))
            }),
        }
    }

    /// SO_ERROR: takes the pending error.
    pub fn take_error(&mut self, side: Side) -> Option<Errno> {
        match self {
            Link::Here(stream) => stream.take_error(&mut *core(), side).map(errno),
            Link::Moved(sides) => {
                let (kept, tcp) = Link::kept(sides, side)?;
                tcp.take_error(kept.side).map(channel_errno)
            }
        }
    }

    /// Whether the connection has a peer still.
    pub fn is_connected(&self, side: Side) -> bool {
        match self {
            Link::Here(stream) => stream.is_connected(side),
            Link::Moved(sides) => {
                Link::kept(sides, side).is_some_and(|(kept, tcp)| tcp.is_connected(kept.side))
            }
        }
    }

    /// Whether this end has said, and whether it was told, that no more comes. `None`: the connection was reset.
    pub fn ends(&self, side: Side) -> Option<(bool, bool)> {
        match self {
            Link::Here(stream) => stream.ends(side),
            Link::Moved(sides) => Link::kept(sides, side)?.1.ends(side as usize),
        }
    }

    /// Bytes to read.
    pub fn available(&self, side: Side) -> usize {
        match self {
            Link::Here(stream) => stream.available(side),
            Link::Moved(sides) => {
                let found = Link::kept(sides, side);
                found.map_or(0, |(kept, tcp)| tcp.available(kept.side))
            }
        }
    }

    /// Lets a socket's source speak for an end from now on; whatever holds is news to those who watch it.
    pub fn attach(&mut self, side: Side, source: SourceId) {
        match self {
            Link::Here(stream) => stream.attach(&mut *core(), side, source),
            Link::Moved(sides) => {
                if let Some(kept) = &sides[side as usize] {
                    look_at(source, kept.channel, kept.side, look);
                }
            }
        }
    }

    /// Says whether the last close of an end is to reset the connection.
    pub fn set_aborts(&self, side: Side, aborts: bool) {
        if let Link::Moved(sides) = self
            && let Some((kept, tcp)) = Link::kept(sides, side)
        {
            tcp.set_aborts(kept.side, aborts);
        }
    }

    /// An end is closed here. What must be dropped after its source.
    pub fn close(&mut self, side: Side, abort: bool) -> Option<Kept> {
        match self {
            Link::Here(stream) => match abort {
                true => stream.abort(&mut *core(), side),
                false => stream.close(&mut *core(), side),
            },
            Link::Moved(_) => {
                self.set_aborts(side, abort);
                if let Link::Moved(sides) = self {
                    return sides[side as usize].take();
                }
            }
        }
        None
    }

    /// Takes an end away that another process is to have.
    pub fn hand_on(&mut self, side: Side) -> Option<Kept> {
        match self {
            Link::Here(_) => None,
            Link::Moved(sides) => sides[side as usize].take(),
        }
    }

    /// The channel and the side by which an end is held, if it is in one.
    pub fn held(&self, side: Side) -> Option<(usize, usize)> {
        match self {
            Link::Here(_) => None,
            Link::Moved(sides) => {
                let kept = sides[side as usize].as_ref()?;
                Some((kept.channel, kept.side))
            }
        }
    }
}

/// Moves a connection into a channel, with what is in it and who watches it. `from`: the client's address. The channel; whoever watches stays.
pub fn share(link: &RefCell<Link>, from: Address, to: Address) -> Result<usize, Errno> {
    let mut link = link.borrow_mut();
    let stream = match &mut *link {
        Link::Here(stream) => stream,
        Link::Moved(sides) => {
            let mut held = sides.iter().flatten();
            return held.next().map(|kept| kept.channel).ok_or(Errno::EBADF);
        }
    };
    const BOTH: [Side; 2] = [Side::First, Side::Second];
    let open = BOTH.map(|side| !stream.is_closed(side));
    let channel = channels::create(u32::from(open[0]) | u32::from(open[1]) << 1)?;
    // Refused only if there is such a connection already, which then holds the ports as well.
    let _ = channels::port_hold(channel, to.word(), from.word());
    let tcp = channels::tcp(channel);
    tcp.start();
    for side in BOTH {
        let end = stream.moved(side);
        let mut bytes = vec![0; stream.available(side)];
        // A pending error, which stays, does not come before what is there.
        let n = stream.take_all(side, &mut bytes);
        tcp.move_in(side as usize, end, &bytes[..n]);
    }
    let sources = BOTH.map(|side| stream.source(side));
    *link = Link::Moved(
        BOTH.map(|side| open[side as usize].then(|| Kept::new(channel, side as usize))),
    );
    for side in BOTH {
        let source = sources[side as usize];
        if open[side as usize] && source != SourceId::NONE {
            look_at(source, channel, side as usize, look);
        }
    }
    Ok(channel)
}

/// Tells all who watch a socket that it has become an end of a connection.
pub fn tell(source: SourceId) {
    core().publish(source, Events::empty(), Events::all());
}
