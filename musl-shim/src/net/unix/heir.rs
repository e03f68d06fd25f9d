// SPDX-License-Identifier: BSD-2-Clause
//! AF_UNIX sockets in another process: what it takes to open one again.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use vfs_hooks::channel::{MOST, SIDES};
use vfs_hooks::channel_socket::Kind;

use crate::abi::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use crate::errno::Errno;
use crate::files::OpenFile;
use crate::files::channel::Side;
use crate::inherit::Heir;
use crate::net::unix::name::Name;
use crate::net::unix::pair::{Pair, look_of};
use crate::net::unix::{State, UnixSocket, named};
use crate::platform::channels;

/// A socket as it is passed on. Words are as SPAWN has them: channel × 4 + sides, 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// SOCK_*.
    pub kind: u32,
    /// One of this module's numbers.
    pub state: u32,
    /// What it is connected or listens by, or receives datagrams by; and where they go, or what keeps its name.
    pub channels: [u32; 2],
    /// SO_PEERCRED.
    pub peer: u32,
    /// SO_PASSCRED.
    pub pass_credentials: u32,
    /// What it is bound to.
    pub name: Vec<u8>,
    /// What its peer is bound to.
    pub peer_name: Vec<u8>,
}

const IDLE: u32 = 0;
const CONNECTED: u32 = 1;
const LISTENING: u32 = 2;
const DATAGRAMS: u32 = 3;

/// SOCK_STREAM and the like, and back.
pub fn number(kind: Kind) -> u32 {
    match kind {
        Kind::Stream => SOCK_STREAM,
        Kind::Datagram => SOCK_DGRAM,
        Kind::Seqpacket => SOCK_SEQPACKET,
    }
}

/// The type that a number stands for.
pub fn kind(number: u32) -> Option<Kind> {
    [Kind::Stream, Kind::Datagram, Kind::Seqpacket]
        .into_iter()
        .find(|kind| self::number(*kind) == number)
}

fn word(side: &Side) -> u32 {
    (side.channel as u32) << 2 | 1 << side.side
}

/// Channel and side of a word that names one of each.
fn parts(word: u32) -> Option<(usize, usize)> {
    let channel = (word >> 2) as usize;
    let side = (0..SIDES).find(|side| word & 3 == 1 << side)?;
    (channel < MOST).then_some((channel, side))
}

/// A side that is passed on in a word.
fn side(word: u32, socket: &UnixSocket, own_source: bool) -> Option<Side> {
    let (channel, side) = parts(word)?;
    let look = look_of(socket.kind);
    Some(match own_source {
        true => Side::inherited(channel, side, look),
        false => Side::new(channel, side, socket.source, look),
    })
}

impl UnixSocket {
    /// What it takes to open it in another process; a connection moves into a channel for that.
    pub fn heir(&self) -> Result<Heir, Errno> {
        self.share_end()?;
        let bound = self.bound.borrow();
        let bound = bound.as_ref().map_or(0, word);
        let (state, channels) = match &*self.state.borrow() {
            State::Idle => (IDLE, [0, bound]),
            State::Connected { pair, side } => {
                let pair = pair.borrow();
                let held = pair.shared(*side).ok_or(Errno::EBADF)?;
                (CONNECTED, [word(held), bound])
            }
            State::Listening(own) => (LISTENING, [word(own), 0]),
            State::Datagrams { own, peer } => {
                let words = [own, peer].map(|side| side.as_ref().map_or(0, word));
                (DATAGRAMS, words)
            }
        };
        Ok(Heir::Unix(Passed {
            kind: number(self.kind),
            state,
            channels,
            peer: self.peer.get(),
            pass_credentials: self.pass_credentials.get().into(),
            name: self.name.borrow().0.clone(),
            peer_name: self.peer_name.borrow().0.clone(),
        }))
    }
}

/// A socket that another process has passed on. `None`: it makes no sense.
pub fn inherited(passed: &Passed, flags: u32) -> Option<Rc<OpenFile>> {
    let socket = UnixSocket::new(kind(passed.kind)?);
    socket.peer.set(passed.peer);
    socket.pass_credentials.set(passed.pass_credentials != 0);
    *socket.name.borrow_mut() = Name(passed.name.clone());
    *socket.peer_name.borrow_mut() = Name(passed.peer_name.clone());
    let [first, second] = passed.channels;
    match passed.state {
        IDLE => {}
        CONNECTED => {
            let held = side(first, &socket, false)?;
            if !channels::socket(held.channel, socket.kind).is_valid() {
                return None;
            }
            let at = held.side;
            let mut sides = [None, None];
            sides[at] = Some(held);
            *socket.state.borrow_mut() = State::Connected {
                pair: Rc::new(RefCell::new(Pair::Shared(sides))),
                side: at,
            };
        }
        LISTENING => {
            let (channel, side) = parts(first)?;
            let own = Side::new(channel, side, socket.source, named::look_listener);
            *socket.state.borrow_mut() = State::Listening(own);
        }
        DATAGRAMS => {
            let own = side(first, &socket, false);
            let peer = side(second, &socket, true);
            *socket.state.borrow_mut() = State::Datagrams { own, peer };
            return Some(OpenFile::new(socket, flags));
        }
        _ => return None,
    }
    *socket.bound.borrow_mut() = side(second, &socket, true);
    Some(OpenFile::new(socket, flags))
}
