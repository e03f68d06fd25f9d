// SPDX-License-Identifier: BSD-2-Clause
//! What two connected ends of AF_UNIX have in common: in this process at first, in a channel once another process has an end or rights are sent.

use core::cell::RefCell;

use vfs_hooks::channel_socket::{Attached, ChannelSocket, Kind, Received, Refused};
use vfs_hooks::packets::{self, PacketError, Packets};
use vfs_hooks::source::{Readiness, SourceId};
use vfs_hooks::stream::{self, Shutdown, Stream, StreamError};

use crate::errno::Errno;
use crate::files::channel::{Look, Side, patiently};
use crate::net::socket::UNIX_BUFFER;
use crate::platform::channels;
use crate::poller::core;

/// Pieces of a stream that stay apart when it moves into a channel: more would not fit with their heads.
const PIECES: usize = 1024;

/// See the module. An end is 0 or 1.
pub enum Pair {
    /// SOCK_STREAM in this process.
    Stream(Stream),
    /// The others in this process.
    Packets(Packets),
    /// In a channel, by side; an end that is closed here, or never was open, is none.
    Shared([Option<Side>; 2]),
}

fn end(side: usize) -> stream::Side {
    match side {
        0 => stream::Side::First,
        _ => stream::Side::Second,
    }
}

fn stream_errno(error: StreamError) -> Errno {
    match error {
        StreamError::Again => Errno::EAGAIN,
        StreamError::Broken => Errno::EPIPE,
        StreamError::Reset => Errno::ECONNRESET,
        StreamError::NotConnected => Errno::ENOTCONN,
        StreamError::NoMemory => Errno::ENOMEM,
    }
}

fn packet_errno(kind: packets::Kind, error: PacketError) -> Errno {
    match error {
        PacketError::Again => Errno::EAGAIN,
        PacketError::Broken => Errno::EPIPE,
        PacketError::Refused if kind == packets::Kind::Seqpacket => Errno::ECONNRESET,
        PacketError::Refused => Errno::ECONNREFUSED,
        PacketError::NotConnected => Errno::ENOTCONN,
        PacketError::TooLarge => Errno::EMSGSIZE,
        PacketError::NoMemory => Errno::ENOMEM,
    }
}

/// Does something with a connection in a channel.
pub fn work_on<R>(
    side: &Side,
    kind: Kind,
    mut work: impl FnMut(ChannelSocket, &Side) -> Result<R, Refused>,
) -> Result<R, Errno> {
    patiently(|| {
        Some(match work(channels::socket(side.channel, kind), side) {
            Err(Refused::Busy) => return None,
            Err(Refused::Again) => Err(Errno::EAGAIN),
            Err(Refused::Broken) => Err(Errno::EPIPE),
            Err(Refused::Reset) => Err(Errno::ECONNRESET),
            Err(Refused::Gone) => Err(Errno::ECONNREFUSED),
            Err(Refused::TooLarge) => Err(Errno::EMSGSIZE),
            Ok(result) => Ok(result),
        })
    })?
}

/// How the event core looks at an end in a channel.
pub fn look_of(kind: Kind) -> Look {
    fn stream(channel: usize, side: usize) -> Readiness {
        channels::socket(channel, Kind::Stream).readiness(side)
    }
    fn datagram(channel: usize, side: usize) -> Readiness {
        channels::socket(channel, Kind::Datagram).readiness(side)
    }
    fn seqpacket(channel: usize, side: usize) -> Readiness {
        channels::socket(channel, Kind::Seqpacket).readiness(side)
    }
    match kind {
        Kind::Stream => stream,
        Kind::Datagram => datagram,
        Kind::Seqpacket => seqpacket,
    }
}

impl Pair {
    /// Two ends, each with its socket's source.
    pub fn new(kind: Kind, sources: [SourceId; 2]) -> Pair {
        let core = &mut *core();
        let kind = match kind {
            Kind::Stream => {
                let mut stream = Stream::new(stream::Kind::Unix, UNIX_BUFFER);
                for (side, source) in sources.into_iter().enumerate() {
                    stream.attach(core, end(side), source);
                }
                return Pair::Stream(stream);
            }
            Kind::Datagram => packets::Kind::Datagram,
            Kind::Seqpacket => packets::Kind::Seqpacket,
        };
        let mut packets = Packets::pair(core, kind, UNIX_BUFFER);
        for (side, source) in sources.into_iter().enumerate() {
            packets.attach(core, end(side), source);
        }
        Pair::Packets(packets)
    }

    /// The channel's side, if it is in one.
    pub fn shared(&self, side: usize) -> Option<&Side> {
        match self {
            Pair::Shared(sides) => sides[side].as_ref(),
            _ => None,
        }
    }

    fn side(sides: &[Option<Side>; 2], side: usize) -> Result<&Side, Errno> {
        sides[side].as_ref().ok_or(Errno::EBADF)
    }

    /// Sends; `control` only in a channel.
    pub fn send(
        &mut self,
        kind: Kind,
        side: usize,
        bytes: &[u8],
        control: &[u8],
    ) -> Result<usize, Errno> {
        match self {
            Pair::Stream(stream) => {
                let sent = stream.write(&mut *core(), end(side), bytes);
                sent.map_err(stream_errno)
            }
            Pair::Packets(packets) => {
                let sent = packets.write(&mut *core(), end(side), bytes);
                sent.map_err(|error| packet_errno(packets.kind(), error))
            }
            Pair::Shared(sides) => {
                let own = channels::own();
                let attached = Attached {
                    control,
                    sender: own,
                };
                work_on(Pair::side(sides, side)?, kind, |socket, held| {
                    socket.send(own, side, bytes, attached, |watch| held.signal(watch))
                })
            }
        }
    }

    /// Receives.
    pub fn receive(
        &mut self,
        kind: Kind,
        side: usize,
        out: &mut [u8],
        peek: bool,
    ) -> Result<Received, Errno> {
        let of = |(copied, len)| Received {
            copied,
            len,
            ..Received::default()
        };
        match self {
            Pair::Stream(stream) => {
                let (core, side) = (&mut *core(), end(side));
                let result = if out.is_empty() {
                    // Of no bytes, but only when there are some, or the end.
                    stream.peek(core, side, &mut [0]).map(|_| 0)
                } else if peek {
                    stream.peek(core, side, out)
                } else {
                    stream.read(core, side, out)
                };
                result.map(|n| of((n, n))).map_err(stream_errno)
            }
            Pair::Packets(packets) => {
                let core = &mut *core();
                let result = if peek {
                    packets.peek(core, end(side), out)
                } else {
                    packets.read(core, end(side), out)
                };
                result
                    .map(of)
                    .map_err(|error| packet_errno(packets.kind(), error))
            }
            Pair::Shared(sides) => work_on(Pair::side(sides, side)?, kind, |socket, held| {
                let own = channels::own();
                socket.receive(own, side, out, peek, |watch| held.signal(watch))
            }),
        }
    }

    /// shutdown(2).
    pub fn shut_down(&mut self, kind: Kind, side: usize, how: Shutdown) -> Result<(), Errno> {
        match self {
            Pair::Stream(stream) => {
                let result = stream.shutdown(&mut *core(), end(side), how);
                result.map_err(stream_errno)
            }
            Pair::Packets(packets) => {
                packets.shutdown(&mut *core(), end(side), how);
                Ok(())
            }
            Pair::Shared(sides) => work_on(Pair::side(sides, side)?, kind, |socket, held| {
                socket.shut_down(side, how, |watch| held.signal(watch));
                Ok(())
            }),
        }
    }

    /// Whether the end can be read no more.
    pub fn is_read_shut(&self, kind: Kind, side: usize) -> bool {
        match self {
            Pair::Stream(stream) => stream.shut_down(end(side)).0,
            Pair::Packets(packets) => packets.shut(end(side)).0,
            Pair::Shared(sides) => sides[side]
                .as_ref()
                .is_none_or(|held| channels::socket(held.channel, kind).is_read_shut(side)),
        }
    }

    /// SO_ERROR: takes the pending error.
    pub fn take_error(&mut self, kind: Kind, side: usize) -> Option<Errno> {
        let reset = match self {
            Pair::Stream(stream) => {
                let error = stream.take_error(&mut *core(), end(side));
                return error.map(stream_errno);
            }
            Pair::Packets(packets) => packets.take_reset(&mut *core(), end(side)),
            Pair::Shared(sides) => sides[side]
                .as_ref()
                .is_some_and(|held| channels::socket(held.channel, kind).take_reset(side)),
        };
        reset.then_some(Errno::ECONNRESET)
    }

    /// FIONREAD.
    pub fn available(&self, kind: Kind, side: usize) -> usize {
        match self {
            Pair::Stream(stream) => stream.available(end(side)),
            Pair::Packets(packets) => packets.available(end(side)),
            Pair::Shared(sides) => sides[side].as_ref().map_or(0, |held| {
                channels::socket(held.channel, kind).available(side)
            }),
        }
    }

    /// The last descriptor of an end is closed. What must not be dropped while the pair is borrowed.
    pub fn close(&mut self, side: usize) -> Option<Side> {
        match self {
            Pair::Stream(stream) => stream.close(&mut *core(), end(side)),
            Pair::Packets(packets) => packets.close(&mut *core(), end(side)),
            Pair::Shared(sides) => return sides[side].take(),
        }
        None
    }
}

/// Moves a pair into a channel, with what is in it and who watches it; the channel.
pub fn share(pair: &RefCell<Pair>, kind: Kind) -> Result<usize, Errno> {
    let mut pair = pair.borrow_mut();
    let ends = match &*pair {
        Pair::Shared(sides) => {
            let mut held = sides.iter().flatten();
            return held.next().map(|side| side.channel).ok_or(Errno::EBADF);
        }
        Pair::Stream(stream) => [0, 1].map(|i| (!stream.is_closed(end(i)), stream.source(end(i)))),
        Pair::Packets(packets) => {
            [0, 1].map(|i| (!packets.is_closed(end(i)), packets.source(end(i))))
        }
    };
    let (open, sources) = (ends.map(|(open, _)| open), ends.map(|(_, source)| source));
    let channel = channels::create(u32::from(open[0]) | u32::from(open[1]) << 1)?;
    let socket = channels::socket(channel, kind);
    socket.start();
    for side in [0, 1] {
        let put = |bytes: &[u8]| socket.move_in(side, bytes);
        let (shut, error) = match &mut *pair {
            Pair::Stream(stream) => {
                stream.drain(end(side), PIECES, put);
                (stream.shut_down(end(side)), stream.has_error(end(side)))
            }
            Pair::Packets(packets) => {
                packets.drain(end(side), |packet| put(&packet));
                (packets.shut(end(side)), packets.has_reset(end(side)))
            }
            Pair::Shared(_) => return Err(Errno::EBADF),
        };
        if error {
            socket.reset();
        }
        socket.adopt(side, shut, !open[1 - side] && !error);
    }
    let look = look_of(kind);
    *pair = Pair::Shared(
        [0, 1].map(|side| open[side].then(|| Side::new(channel, side, sources[side], look))),
    );
    Ok(channel)
}
