// SPDX-License-Identifier: BSD-2-Clause
//! AF_UNIX sockets (unix(7)).
//!
//! | module | what it holds |
//! |---|---|
//! | here | the socket as a file, in all of its states |
//! | `pair` | what two connected ends have in common |
//! | `named` | bind, listen, connect, accept, datagrams to a name |
//! | `name` | sockaddr_un |
//! | `rights` | open files that go with a message |
//! | `heir` | sockets in another process |

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::channel_socket::{Kind, Received};
use vfs_hooks::source::{SourceId, Sources};
use vfs_hooks::stream::Shutdown;

use crate::abi::*;
use crate::errno::Errno;
use crate::files::channel::Side;
use crate::files::{File, OpenFile, empty_stat};
use crate::inherit::Heir;
use crate::net::options::Options;
use crate::net::socket::UNIX_BUFFER;
use crate::net::unix::name::Name;
use crate::net::unix::named::{SHUT_READ, SHUT_WRITE};
use crate::net::unix::pair::Pair;
use crate::platform::channels;
use crate::poller::core;
use crate::process::pid;

pub mod heir;
pub mod name;
pub mod named;
pub mod pair;
pub mod rights;

/// How far a socket has come.
pub enum State {
    /// Neither bound nor connected.
    Idle,
    /// Connected.
    Connected {
        /// Both ends.
        pair: Rc<RefCell<Pair>>,
        /// Which one is this.
        side: usize,
    },
    /// Listening: the root server counts in the channel what waits.
    Listening(Side),
    /// SOCK_DGRAM, apart from a pair.
    Datagrams {
        /// Where its datagrams come, once it is bound.
        own: Option<Side>,
        /// Where they go, once it is connected.
        peer: Option<Side>,
    },
}

/// See the module.
pub struct UnixSocket {
    /// Its type.
    pub kind: Kind,
    state: RefCell<State>,
    /// What setsockopt(2) keeps.
    pub options: RefCell<Options>,
    /// SO_PASSCRED.
    pub pass_credentials: Cell<bool>,
    /// Its source for all its life, whatever it is connected to.
    source: SourceId,
    /// What it is bound to.
    name: RefCell<Name>,
    /// The channel that the root server knows by that name, unless the socket listens or receives by it.
    bound: RefCell<Option<Side>>,
    /// What its peer is bound to.
    peer_name: RefCell<Name>,
    /// The process that its peer was when it was made (SO_PEERCRED); 0: no peer.
    peer: Cell<u32>,
    /// SOCK_DGRAM: a write has told that the peer is gone.
    disconnected: Cell<bool>,
    /// What was shut while it was not connected to a peer of its own.
    shut: Cell<u64>,
}

/// What holds of a socket that is not connected.
fn idle(kind: Kind) -> Events {
    let mut level = Events::WRITABLE | Events::WRBAND;
    level.set(Events::HUP, kind != Kind::Datagram);
    level
}

impl UnixSocket {
    /// An unconnected one.
    pub fn new(kind: Kind) -> UnixSocket {
        let buffer = UNIX_BUFFER as i32;
        UnixSocket {
            kind,
            state: RefCell::new(State::Idle),
            options: RefCell::new(Options::new(buffer, buffer)),
            pass_credentials: Cell::new(false),
            source: core().open(idle(kind)),
            name: RefCell::default(),
            bound: RefCell::new(None),
            peer_name: RefCell::default(),
            peer: Cell::new(0),
            disconnected: Cell::new(false),
            shut: Cell::new(0),
        }
    }

    /// Two ends of a socketpair(2).
    pub fn pair(kind: Kind) -> [UnixSocket; 2] {
        let sockets = [0, 1].map(|_| UnixSocket::new(kind));
        let pair = Pair::new(kind, [sockets[0].source, sockets[1].source]);
        let pair = Rc::new(RefCell::new(pair));
        for (side, socket) in sockets.iter().enumerate() {
            let pair = pair.clone();
            socket.peer.set(pid() as u32);
            *socket.state.borrow_mut() = State::Connected { pair, side };
        }
        sockets
    }

    /// Opens it as a file. `flags`: O_NONBLOCK.
    pub fn into_file(self, flags: u32) -> Rc<OpenFile> {
        OpenFile::new(self, O_RDWR | flags & O_NONBLOCK)
    }

    /// Nanoseconds after which a blocking call for `events` gives up; 0 for never.
    pub fn timeout(&self, events: Events) -> u64 {
        let options = self.options.borrow();
        match events.contains(Events::IN) {
            true => options.receive_timeout,
            false => options.send_timeout,
        }
    }

    /// The source that tells of what a blocking call waits for: its own, or where its datagrams go.
    pub fn waits_on(&self, events: Events) -> SourceId {
        match &*self.state.borrow() {
            State::Datagrams {
                peer: Some(peer), ..
            } if events.contains(Events::OUT) => peer.source,
            _ => self.source,
        }
    }

    /// Whether its boundaries are those of packets.
    pub fn has_packets(&self) -> bool {
        self.kind != Kind::Stream
    }

    /// Sends to its peer. `control`: what [`rights::Rights`] wrote.
    pub fn send(&self, bytes: &[u8], control: &[u8]) -> Result<usize, Errno> {
        let sent = match &*self.state.borrow() {
            State::Connected { pair, side } => {
                let mut pair = pair.borrow_mut();
                pair.send(self.kind, *side, bytes, control)
            }
            State::Datagrams {
                peer: Some(peer), ..
            } => self.send_to(peer, bytes, control),
            _ => Err(Errno::ENOTCONN),
        };
        let gone = self.kind == Kind::Datagram && sent == Err(Errno::ECONNREFUSED);
        if gone && self.disconnected.replace(true) {
            return Err(Errno::ENOTCONN);
        }
        sent
    }

    /// Receives. Whatever came with it must be [opened](rights::open) or dropped.
    pub fn receive(&self, out: &mut [u8], peek: bool) -> Result<Received, Errno> {
        match &*self.state.borrow() {
            State::Connected { pair, side } => {
                let mut pair = pair.borrow_mut();
                pair.receive(self.kind, *side, out, peek)
            }
            State::Datagrams { own: Some(own), .. } => self.receive_own(own, out, peek),
            _ => Err(match self.kind {
                Kind::Stream => Errno::EINVAL,
                Kind::Seqpacket => Errno::ENOTCONN,
                Kind::Datagram => Errno::EAGAIN,
            }),
        }
    }

    /// Whether it can be read no more.
    pub fn is_read_shut(&self) -> bool {
        match &*self.state.borrow() {
            State::Connected { pair, side } => pair.borrow().is_read_shut(self.kind, *side),
            State::Datagrams { own: Some(own), .. } => {
                channels::socket(own.channel, self.kind).is_read_shut(own.side)
            }
            _ => self.shut.get() & SHUT_READ != 0,
        }
    }

    /// shutdown(2). Of one that has no peer of its own it is for the socket alone.
    pub fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        let bits = match how {
            Shutdown::Read => SHUT_READ,
            Shutdown::Write => SHUT_WRITE,
            Shutdown::Both => SHUT_READ | SHUT_WRITE,
        };
        match &*self.state.borrow() {
            State::Connected { pair, side } => {
                let mut pair = pair.borrow_mut();
                return pair.shut_down(self.kind, *side, how);
            }
            State::Listening(own) => return channels::shut_listener(own.channel, bits),
            State::Datagrams { own: Some(own), .. } => {
                let socket = channels::socket(own.channel, self.kind);
                socket.shut_down(own.side, how, |watch| own.signal(watch));
            }
            State::Datagrams { .. } | State::Idle => {}
        }
        self.shut.set(self.shut.get() | bits);
        if let State::Idle = &*self.state.borrow() {
            let shut = self.shut.get();
            let mut level = idle(self.kind);
            if shut & SHUT_READ != 0 {
                level |= Events::READABLE | Events::RDHUP;
            }
            if shut == SHUT_READ | SHUT_WRITE {
                level |= Events::HUP;
            }
            core().publish(self.source, level, Events::all());
        }
        Ok(())
    }

    /// SO_ERROR: takes the pending error.
    pub fn take_error(&self) -> Option<Errno> {
        match &*self.state.borrow() {
            State::Connected { pair, side } => pair.borrow_mut().take_error(self.kind, *side),
            _ => None,
        }
    }

    /// Whether it listens (SO_ACCEPTCONN).
    pub fn is_listening(&self) -> bool {
        matches!(&*self.state.borrow(), State::Listening(_))
    }

    /// What it is bound to.
    pub fn name(&self) -> Name {
        self.name.borrow().clone()
    }

    /// What its peer is bound to; ENOTCONN without one.
    pub fn peer_name(&self) -> Result<Name, Errno> {
        let connected = match &*self.state.borrow() {
            State::Connected { .. } => true,
            State::Datagrams { peer, .. } => peer.is_some(),
            _ => false,
        };
        match connected && !self.disconnected.get() {
            true => Ok(self.peer_name.borrow().clone()),
            false => Err(Errno::ENOTCONN),
        }
    }

    /// The process that its peer was (SO_PEERCRED); 0: no peer.
    pub fn peer(&self) -> u32 {
        self.peer.get()
    }

    /// Moves it into a channel, if it is connected: the side that rights are sent by.
    pub fn share_end(&self) -> Result<Option<(usize, usize)>, Errno> {
        Ok(match &*self.state.borrow() {
            State::Connected { pair, side } => Some((pair::share(pair, self.kind)?, *side)),
            State::Datagrams {
                peer: Some(peer), ..
            } => Some((peer.channel, peer.side)),
            _ => None,
        })
    }

    /// The channel and side by which it receives, if it is in one.
    pub fn receiving_end(&self) -> Option<(usize, usize)> {
        match &*self.state.borrow() {
            State::Connected { pair, side } => {
                let pair = pair.borrow();
                pair.shared(*side).map(|held| (held.channel, held.side))
            }
            State::Datagrams { own: Some(own), .. } => Some((own.channel, own.side)),
            _ => None,
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let state = core::mem::replace(self.state.get_mut(), State::Idle);
        if let State::Connected { pair, side } = &state {
            let gone = pair.borrow_mut().close(*side);
            drop(gone);
        }
        drop(state);
        core().close(self.source);
    }
}

impl File for UnixSocket {
    /// A vectored write is one piece, or packet.
    fn gathers(&self) -> bool {
        true
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // Of no bytes nothing is asked, as Linux has it.
        if buffer.is_empty() {
            return Ok(0);
        }
        let got = self.receive(buffer, false)?;
        rights::discard(self, &got.control);
        Ok(got.copied)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.send(bytes, &[])
    }

    fn stat(&self) -> Stat {
        Stat {
            st_mode: S_IFSOCK | 0o777,
            ..empty_stat()
        }
    }

    fn bytes_to_read(&self) -> Option<usize> {
        match &*self.state.borrow() {
            State::Connected { pair, side } => Some(pair.borrow().available(self.kind, *side)),
            State::Datagrams { own: Some(own), .. } => {
                Some(channels::socket(own.channel, self.kind).available(own.side))
            }
            _ => Some(0),
        }
    }

    fn is_socket(&self) -> bool {
        true
    }

    fn unix(&self) -> Option<&UnixSocket> {
        Some(self)
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        // Of others the channel may change yet, or stands for several.
        match &*self.state.borrow() {
            State::Connected { pair, side } if self.kind != Kind::Datagram => {
                let pair = pair.borrow();
                pair.shared(*side).map(|held| (held.channel, held.side))
            }
            State::Listening(own) => Some((own.channel, own.side)),
            _ => None,
        }
    }

    fn share(&self) -> Result<(), Errno> {
        match &*self.state.borrow() {
            State::Connected { pair, .. } => pair::share(pair, self.kind).map(drop),
            _ => Ok(()),
        }
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        self.heir().map(Some)
    }
}
