// SPDX-License-Identifier: BSD-2-Clause
//! Names: bind, listen, connect, accept, and datagrams to a name. The root server knows who has which name and brings two processes together; what they
//! say to each other goes by their channel.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use vfs_hooks::Events;
use vfs_hooks::channel::{READER, WRITER};
use vfs_hooks::channel_socket::{Attached, Kind, Received};
use vfs_hooks::source::{Edges, Readiness, Sources};
use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::ROOT;

use crate::errno::Errno;
use crate::files::channel::Side;
use crate::files::tree::{self, At};
use crate::files::working_directory;
use crate::net::unix::heir::number;
use crate::net::unix::name::Name;
use crate::net::unix::pair::{Pair, look_of, work_on};
use crate::net::unix::rights::name_only;
use crate::net::unix::{State, UnixSocket};
use crate::platform::channels;
use crate::poller::core;
use crate::{process, random};

/// Both sides of a channel.
const BOTH: u32 = 3;
/// Names that autobind tries before it gives up (there are 2²⁰).
const TRIES: usize = 1000;

/// What shutdown(2) has shut of a socket that is not connected.
pub const SHUT_READ: u64 = 1;
/// See [`SHUT_READ`].
pub const SHUT_WRITE: u64 = 2;

/// A listener as the event core looks at it: the root server counts what waits.
pub fn look_listener(channel: usize, side: usize) -> Readiness {
    let header = channels::header(channel);
    let edges = Edges {
        input: header.sides[side].input.load(Ordering::Acquire),
        output: 0,
    };
    let value = header.value.load(Ordering::Acquire);
    let shut = value >> 32;
    let mut events = Events::empty();
    events.set(Events::READABLE, value as u32 != 0 || shut & SHUT_READ != 0);
    events.set(Events::RDHUP, shut & SHUT_READ != 0);
    events.set(Events::HUP, shut == SHUT_READ | SHUT_WRITE);
    Readiness { events, edges }
}

/// What the root server knows the socket with this inode number by.
pub fn key_of(inode: u64) -> Vec<u8> {
    alloc::format!("/{inode}").into_bytes()
}

/// Where a path that is a socket's name starts.
fn at(name: &Name) -> At<'_> {
    let base = match name.0.first() {
        Some(b'/') => ROOT,
        _ => working_directory(),
    };
    At {
        base,
        path: &name.0,
    }
}

/// What the root server knows a name by. ENOENT, ECONNREFUSED: no socket has it.
fn key(name: &Name) -> Result<Vec<u8>, Errno> {
    match name.is_path() {
        true => tree::find_socket(at(name)).map(key_of),
        false => Ok(name.0.clone()),
    }
}

/// What is told of a name that no socket has any longer.
fn refused(errno: Errno) -> Errno {
    match errno {
        Errno::ENOENT => Errno::ECONNREFUSED,
        errno => errno,
    }
}

impl UnixSocket {
    /// bind(2); an empty name chooses one.
    pub fn bind(&self, mut name: Name) -> Result<(), Errno> {
        if !self.name.borrow().is_empty() {
            return Err(Errno::EINVAL);
        }
        let channel = match &*self.state.borrow() {
            State::Listening(_) => return Err(Errno::EINVAL),
            _ => channels::create(1)?,
        };
        let bound = self.choose(&mut name, channel);
        if let Err(errno) = bound {
            channels::drop_sides(channel, 1);
            return Err(errno);
        }
        channels::socket(channel, self.kind).start();
        *self.name.borrow_mut() = name;
        if self.kind != Kind::Datagram {
            let own = Side::inherited(channel, READER, look_of(self.kind));
            *self.bound.borrow_mut() = Some(own);
            return Ok(());
        }
        let mut state = self.state.borrow_mut();
        if let State::Connected { .. } = &*state {
            // An end of a pair has a name, but what comes to it comes from its peer.
            let own = Side::inherited(channel, READER, look_of(self.kind));
            *self.bound.borrow_mut() = Some(own);
            return Ok(());
        }
        let own = Side::new(channel, READER, self.source, look_of(self.kind));
        match &mut *state {
            State::Datagrams { own: place, .. } => *place = Some(own),
            other => {
                *other = State::Datagrams {
                    own: Some(own),
                    peer: None,
                }
            }
        }
        Ok(())
    }

    fn choose(&self, name: &mut Name, channel: usize) -> Result<(), Errno> {
        let kind = number(self.kind);
        if !name.is_empty() {
            if !name.is_path() {
                return channels::bind(channel, kind, &name.0);
            }
            let mode = 0o777 & !process::umask();
            let made = tree::make_socket(at(name), mode).map_err(|errno| match errno {
                Errno::EEXIST => Errno::EADDRINUSE,
                errno => errno,
            })?;
            let bound = channels::bind(channel, kind, &key_of(made));
            if bound.is_err() {
                tree::unlink(at(name))?;
            }
            return bound;
        }
        for _ in 0..TRIES {
            let mut bytes = [0; 4];
            random::fill(&mut bytes);
            let number = u32::from_ne_bytes(bytes) & 0xf_ffff;
            name.0 = alloc::format!("\0{number:05x}").into_bytes();
            match channels::bind(channel, kind, &name.0) {
                Err(Errno::EADDRINUSE) => {}
                result => return result,
            }
        }
        Err(Errno::ENOSPC)
    }

    /// listen(2).
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        if let State::Listening(own) = &*self.state.borrow() {
            return channels::listen(own.channel, backlog as u32);
        }
        let idle = matches!(&*self.state.borrow(), State::Idle);
        let bound = self.bound.borrow_mut().take().filter(|_| idle);
        let bound = bound.ok_or(Errno::EINVAL)?;
        channels::listen(bound.channel, backlog as u32)?;
        let own = Side::new(bound.channel, READER, self.source, look_listener);
        *self.state.borrow_mut() = State::Listening(own);
        Ok(())
    }

    /// accept(2): the new socket; EAGAIN if no connection waits.
    pub fn accept(&self) -> Result<UnixSocket, Errno> {
        let (channel, peer) = match &*self.state.borrow() {
            _ if self.kind == Kind::Datagram => return Err(Errno::EOPNOTSUPP),
            State::Listening(own) => channels::accept(own.channel)?,
            _ => return Err(Errno::EINVAL),
        };
        let socket = UnixSocket::new(self.kind);
        let connection = channels::socket(channel, self.kind);
        *socket.name.borrow_mut() = self.name();
        *socket.peer_name.borrow_mut() = Name(connection.name(0));
        let side = Side::new(channel, WRITER, socket.source, look_of(self.kind));
        socket.connected_by(side, peer);
        // Whoever connected has started it. If not, it is an empty one from now on.
        connection.start();
        Ok(socket)
    }

    fn connected_by(&self, held: Side, peer: u32) {
        let side = held.side;
        let mut sides = [None, None];
        sides[side] = Some(held);
        self.peer.set(peer);
        *self.state.borrow_mut() = State::Connected {
            pair: Rc::new(RefCell::new(Pair::Shared(sides))),
            side,
        };
    }

    /// connect(2). EAGAIN: the backlog is full; `wait`: then it is made longer.
    pub fn connect(&self, to: Name, wait: bool) -> Result<(), Errno> {
        if to.is_empty() {
            return Err(Errno::EINVAL);
        }
        let key = key(&to)?;
        if self.kind == Kind::Datagram {
            let peer = self.find_peer(&to)?;
            self.disconnected.set(false);
            let mut state = self.state.borrow_mut();
            match &mut *state {
                State::Idle => {
                    *state = State::Datagrams {
                        own: None,
                        peer: Some(peer),
                    }
                }
                State::Datagrams { peer: place, .. } => *place = Some(peer),
                _ => return Err(Errno::EISCONN),
            }
            *self.peer_name.borrow_mut() = to;
            return Ok(());
        }
        match &*self.state.borrow() {
            State::Idle => {}
            State::Connected { .. } => return Err(Errno::EISCONN),
            _ => return Err(Errno::EINVAL),
        }
        let channel = channels::create(BOTH)?;
        let connection = channels::socket(channel, self.kind);
        connection.start();
        connection.set_name(0, &self.name.borrow().0);
        let peer = match channels::connect(channel, number(self.kind), wait, &key) {
            Ok(peer) => peer,
            Err(errno) => {
                channels::drop_sides(channel, BOTH);
                return Err(refused(errno));
            }
        };
        let side = Side::new(channel, READER, self.source, look_of(self.kind));
        self.connected_by(side, peer);
        *self.peer_name.borrow_mut() = to;
        // Everything is news to those who watch it.
        core().publish(self.source, Events::empty(), Events::all());
        Ok(())
    }

    /// connect(2) with AF_UNSPEC: datagrams go nowhere any longer.
    pub fn disconnect(&self) -> Result<(), Errno> {
        match &mut *self.state.borrow_mut() {
            State::Datagrams { peer, .. } => *peer = None,
            State::Idle if self.kind == Kind::Datagram => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Where datagrams to a name go.
    pub fn find_peer(&self, to: &Name) -> Result<Side, Errno> {
        let channel = channels::find(number(self.kind), &key(to)?);
        let channel = channel.map_err(refused)?;
        Ok(Side::inherited(channel, WRITER, look_of(self.kind)))
    }

    /// Sends a datagram to where another socket receives. `control`: what goes with it; none: its own name.
    pub fn send_to(&self, peer: &Side, bytes: &[u8], control: &[u8]) -> Result<usize, Errno> {
        if self.shut.get() & SHUT_WRITE != 0 {
            return Err(Errno::EPIPE);
        }
        let own = channels::own();
        let name = match control {
            [] => name_only(&self.name.borrow()),
            _ => Vec::new(),
        };
        let control = if control.is_empty() { &name } else { control };
        let attached = Attached {
            control,
            sender: own,
        };
        work_on(peer, self.kind, |socket, held| {
            socket.send(own, WRITER, bytes, attached, |watch| held.signal(watch))
        })
    }

    /// Receives a datagram.
    pub fn receive_own(&self, own: &Side, out: &mut [u8], peek: bool) -> Result<Received, Errno> {
        work_on(own, self.kind, |socket, held| {
            let process = channels::own();
            socket.receive(process, READER, out, peek, |watch| held.signal(watch))
        })
    }
}
