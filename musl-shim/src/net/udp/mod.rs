// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets (udp(7)). What is sent to one lies in its channel ([`vfs_hooks::udp`]), which senders write to directly; the net server does so for what comes from outside.
//!
//! | module | what it holds |
//! |---|---|
//! | here | the socket as a file; receiving |
//! | `name` | bind, connect |
//! | `send` | sending |
//! | `routes` | where datagrams to an address go |

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::source::{Readiness, SourceId, Sources};
use vfs_hooks::stream::Shutdown;
use vfs_hooks::udp::{End, Received, Refused, Socket};

use crate::abi::*;
use crate::errno::Errno;
use crate::files::channel::{Side, patiently};
use crate::files::{File, OpenFile, empty_stat};
use crate::inherit::Heir;
use crate::net::options::Options;
use crate::net::socket::UNIX_BUFFER;
use crate::net::udp::routes::Routes;
use crate::platform::{channels, udp};
use crate::poller::core;

pub mod name;
pub mod routes;
pub mod send;

/// Bits of what a socket passes on.
const PACKET_INFO: u32 = 1;
const BROADCAST: u32 = 2;

/// See the module.
pub struct UdpSocket {
    /// Its source for all its life.
    source: SourceId,
    /// What setsockopt(2) keeps.
    pub options: RefCell<Options>,
    /// IP_PKTINFO.
    pub packet_info: Cell<bool>,
    /// Its side of its channel, once it has one: bound, or shared.
    own: RefCell<Option<Side>>,
    /// Where its datagrams went.
    routes: RefCell<Routes>,
}

fn look(channel: usize, _: usize) -> Readiness {
    udp::socket(channel).readiness()
}

impl Default for UdpSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpSocket {
    /// An unbound one.
    pub fn new() -> UdpSocket {
        let buffer = UNIX_BUFFER as i32;
        UdpSocket {
            source: core().open(Events::WRITABLE | Events::WRBAND),
            options: RefCell::new(Options::new(buffer, buffer)),
            packet_info: Cell::new(false),
            own: RefCell::new(None),
            routes: RefCell::default(),
        }
    }

    /// One that another process has passed on. `None`: it makes no sense.
    pub fn inherited(word: u32, bits: u32, flags: u32) -> Option<Rc<OpenFile>> {
        let socket = UdpSocket::new();
        let channel = (word >> 2) as usize;
        if word & 3 != 1 || !udp::socket(channel).is_valid() {
            return None;
        }
        socket.packet_info.set(bits & PACKET_INFO != 0);
        let broadcast = i32::from(bits & BROADCAST != 0);
        let set = socket
            .options
            .borrow_mut()
            .set(SOL_SOCKET, SO_BROADCAST, broadcast);
        set.ok()?;
        *socket.own.borrow_mut() = Some(Side::new(channel, 0, socket.source, look));
        Some(OpenFile::new(socket, flags))
    }

    /// Opens it as a file. `flags`: O_NONBLOCK.
    pub fn into_file(self, flags: u32) -> Rc<OpenFile> {
        OpenFile::new(self, O_RDWR | flags & O_NONBLOCK)
    }

    /// Its channel, which is made if there is none.
    fn channel(&self) -> Result<usize, Errno> {
        if let Some(own) = &*self.own.borrow() {
            return Ok(own.channel);
        }
        let channel = channels::create(1)?;
        udp::socket(channel).start();
        let own = Side::new(channel, 0, self.source, look);
        *self.own.borrow_mut() = Some(own);
        Ok(channel)
    }

    /// Its channel's socket, if it has one.
    fn socket(&self) -> Option<Socket<'static>> {
        let own = self.own.borrow();
        own.as_ref().map(|own| udp::socket(own.channel))
    }

    /// Signals a watch of its own.
    fn signal(&self, watch: usize) {
        if let Some(own) = &*self.own.borrow() {
            own.signal(watch);
        }
    }

    /// Nanoseconds after which a blocking call for `events` gives up; 0 for never.
    pub fn timeout(&self, events: Events) -> u64 {
        let options = self.options.borrow();
        match events.contains(Events::IN) {
            true => options.receive_timeout,
            false => options.send_timeout,
        }
    }

    /// What it is bound to.
    pub fn name(&self) -> End {
        self.socket().map_or(End::default(), |socket| socket.name())
    }

    /// What it is connected to.
    pub fn peer(&self) -> Option<End> {
        self.socket().and_then(|socket| socket.peer())
    }

    /// SO_ERROR: takes the pending error.
    pub fn take_error(&self) -> Option<Errno> {
        self.socket()?.take_error().map(Errno::claimed)
    }

    /// Keeps an error for the next call.
    pub fn fail(&self, errno: Errno) {
        if let Some(socket) = self.socket() {
            socket.fail(errno.raw() as u32, |watch| self.signal(watch));
        }
    }

    /// Receives a datagram, as much of it as there is room for.
    pub fn receive(&self, out: &mut [u8], peek: bool) -> Result<Received, Errno> {
        let Some(socket) = self.socket() else {
            return Err(Errno::EAGAIN);
        };
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        let own = channels::own();
        patiently(|| match socket.receive(own, out, peek) {
            Err(Refused::Busy) => None,
            result => Some(result.map_err(|_| Errno::EAGAIN)),
        })?
    }

    /// shutdown(2): of an unconnected one it has its effect, and fails all the same, as on Linux.
    pub fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        self.channel()?;
        if let Some(socket) = self.socket() {
            socket.shut_down(how, |watch| self.signal(watch));
        }
        match self.peer() {
            Some(_) => Ok(()),
            None => Err(Errno::ENOTCONN),
        }
    }

    /// Whether it can be read no more, once what came is read.
    pub fn is_read_shut(&self) -> bool {
        self.socket().is_some_and(|socket| socket.shut().0)
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        drop(self.own.get_mut().take());
        core().close(self.source);
    }
}

impl File for UdpSocket {
    fn gathers(&self) -> bool {
        true
    }

    fn has_packets(&self) -> bool {
        true
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // Of no bytes nothing is asked, as Linux has it.
        if buffer.is_empty() {
            return Ok(0);
        }
        self.receive(buffer, false).map(|got| got.copied)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.send(None, None, bytes)
    }

    fn stat(&self) -> Stat {
        Stat {
            st_mode: S_IFSOCK | 0o777,
            ..empty_stat()
        }
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(self.socket().map_or(0, |socket| socket.available()))
    }

    fn is_socket(&self) -> bool {
        true
    }

    fn udp(&self) -> Option<&UdpSocket> {
        Some(self)
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        let own = self.own.borrow();
        own.as_ref().map(|own| (own.channel, own.side))
    }

    /// An unbound one gets its channel, so that what one process binds is bound in the other.
    fn share(&self) -> Result<(), Errno> {
        self.channel().map(drop)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let word = (self.channel()? as u32) << 2 | 1;
        let broadcast = self.options.borrow_mut().get(SOL_SOCKET, SO_BROADCAST)?;
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let bits = bit(self.packet_info.get(), PACKET_INFO) | bit(broadcast != 0, BROADCAST);
        Ok(Some(Heir::Udp(word, bits)))
    }
}
