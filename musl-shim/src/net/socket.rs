// SPDX-License-Identifier: BSD-2-Clause
//! A socket of AF_INET, SOCK_STREAM. What it is connected to is here or at the net server; nobody can tell by the calls.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::channel::READER;
use vfs_hooks::net::State as RemoteState;
use vfs_hooks::source::{SourceId, Sources};
use vfs_hooks::stream::{Shutdown, Side};

use crate::abi::*;
use crate::errno::Errno;
use crate::files::channel::Kept;
use crate::files::{File, OpenFile, empty_stat};
use crate::inherit::Heir;
use crate::net::address::Address;
use crate::net::bind::Binding;
use crate::net::link::Link;
use crate::net::listener::Listener;
use crate::net::options::Options;
use crate::net::remote::Remote;
use crate::poller::core;
use crate::signal::{SIGPIPE, raise};

/// Bytes that wait in one direction of an AF_UNIX connection (net.core.wmem_default).
pub const UNIX_BUFFER: usize = 212_992;

/// How far a socket has come.
pub enum State {
    /// Not connected: new, bound, or after a connection that failed.
    Idle,
    /// Listening.
    Listening(Rc<Listener>),
    /// Connected in this machine once `connected` says so: until then it waits for room in a backlog.
    Local {
        /// The connection.
        link: Rc<RefCell<Link>>,
        /// Which end of it is this one.
        side: Side,
        /// Whether it got into the backlog.
        connected: Rc<Cell<bool>>,
    },
    /// A connection at the net server, which may still be on its way.
    Remote(Rc<Remote>),
}

/// See the module.
pub struct Socket {
    /// How far it has come.
    pub state: RefCell<State>,
    /// What setsockopt(2) keeps.
    pub options: RefCell<Options>,
    /// Its source for all its life, whatever it is connected to.
    pub source: SourceId,
    /// The port it holds.
    pub binding: RefCell<Option<Binding>>,
    /// Own address, unless the net server knows better.
    pub local: Cell<Address>,
    /// The peer's.
    pub peer: Cell<Address>,
    /// A connect(2) is under way whose success no call has told yet.
    pub connecting: Cell<bool>,
    /// A connection failed, and what SO_ERROR has not told of it.
    failed: Cell<bool>,
    error: Cell<Option<Errno>>,
    /// The side of a channel that has the open file's flags: held until the socket ends, whatever becomes of the connection.
    flags: RefCell<Option<Kept>>,
}

impl Socket {
    fn with(state: State, options: Options) -> Socket {
        Socket {
            state: RefCell::new(state),
            options: RefCell::new(options),
            // Writable and hung up: so Linux has it while nothing is connected.
            source: core().open(Events::WRITABLE | Events::HUP),
            binding: RefCell::new(None),
            local: Cell::default(),
            peer: Cell::default(),
            connecting: Cell::new(false),
            failed: Cell::new(false),
            error: Cell::new(None),
            flags: RefCell::default(),
        }
    }

    /// An unconnected TCP socket.
    pub fn tcp() -> Socket {
        Socket::with(State::Idle, Options::new(16_384, 131_072))
    }

    /// One end of a connection in this machine.
    pub fn of_link(link: Rc<RefCell<Link>>, side: Side, options: Options) -> Socket {
        let state = State::Local {
            link: link.clone(),
            side,
            connected: Rc::new(Cell::new(true)),
        };
        let socket = Socket::with(state, options);
        link.borrow_mut().attach(side, socket.source);
        link.borrow().set_aborts(side, options.aborts());
        socket
    }

    /// A connection that the net server accepted.
    pub fn of_remote(remote: Rc<Remote>, options: Options) -> Socket {
        if options.no_delay || options.keep_alive {
            remote.set_options(options.no_delay, options.keep_alive);
        }
        let socket = Socket::with(State::Remote(remote.clone()), options);
        // Nobody watches it yet, so there is room.
        let _ = socket.look_at(&remote);
        socket
    }

    /// From now on the event core looks at the connection at the net server. ENOBUFS: it has no room for all who watch the socket.
    pub fn look_at(&self, remote: &Remote) -> Result<(), Errno> {
        remote.look_by(self.source)
    }

    /// Nothing is connected: what holds then, as news to all.
    pub fn publish_idle(&self) {
        let mut level = Events::WRITABLE | Events::HUP;
        if self.failed.get() {
            level |= Events::READABLE | Events::RDHUP;
        }
        level.set(Events::ERR, self.error.get().is_some());
        self.publish(level);
    }

    /// Something is on its way: nothing holds, as in Linux's SYN_SENT.
    pub fn publish_waiting(&self) {
        self.publish(Events::empty());
    }

    fn publish(&self, level: Events) {
        let mut core = core();
        // Taking away needs no room.
        let _ = core.set_remote(self.source, None);
        core.publish(self.source, level, Events::all());
    }

    /// Takes what SO_ERROR tells of a connection that failed.
    fn take_failure(&self) -> Option<Errno> {
        let error = self.error.take()?;
        let mut level = Events::WRITABLE | Events::HUP;
        if self.failed.get() {
            level |= Events::READABLE | Events::RDHUP;
        }
        core().publish(self.source, level, Events::empty());
        Some(error)
    }

    /// Opens it as a file. `flags`: O_NONBLOCK.
    pub fn into_file(self, flags: u32) -> Rc<OpenFile> {
        OpenFile::new(self, O_RDWR | flags & O_NONBLOCK)
    }

    /// Nanoseconds after which a blocking call for `events` gives up; 0 for never.
    pub fn timeout(&self, events: Events) -> u64 {
        let options = self.options.borrow();
        if events.contains(Events::IN) {
            options.receive_timeout
        } else {
            options.send_timeout
        }
    }

    /// Whether reading and writing can be meant: ENOTCONN otherwise (getpeername, shutdown).
    pub fn require_connected(&self) -> Result<(), Errno> {
        let connected = match &*self.state.borrow() {
            State::Local {
                link,
                side,
                connected,
            } => connected.get() && link.borrow().is_connected(*side),
            State::Remote(remote) => {
                let state = remote.header().state();
                state.contains(RemoteState::CONNECTED) && !state.contains(RemoteState::BROKEN)
            }
            _ => false,
        };
        if connected {
            Ok(())
        } else {
            Err(Errno::ENOTCONN)
        }
    }

    /// Own address.
    pub fn name(&self) -> Address {
        match &*self.state.borrow() {
            State::Remote(remote) => remote.local(),
            _ => self.local.get(),
        }
    }

    /// The peer's address; ENOTCONN without one.
    pub fn peer_name(&self) -> Result<Address, Errno> {
        self.require_connected()?;
        Ok(self.peer_name_or_any())
    }

    /// The peer's address, also of a connection that has ended in the backlog.
    pub fn peer_name_or_any(&self) -> Address {
        match &*self.state.borrow() {
            State::Remote(remote) => remote.peer(),
            _ => self.peer.get(),
        }
    }

    /// SO_ERROR: takes the pending error.
    pub fn take_error(&self) -> Option<Errno> {
        match &*self.state.borrow() {
            State::Local { link, side, .. } => link.borrow_mut().take_error(*side),
            State::Remote(remote) => remote.take_error(),
            _ => self.take_failure(),
        }
    }

    /// Back to unconnected, after a connection failed with `error`; that is kept for SO_ERROR if nobody was told.
    pub fn fail(&self, error: Option<Errno>) {
        self.failed.set(true);
        self.error.set(error);
        *self.state.borrow_mut() = State::Idle;
        self.publish_idle();
    }

    /// Takes bytes, or looks at them. 0 is end of file.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8], peek: bool) -> Result<usize, Errno> {
        match &*self.state.borrow() {
            State::Local { connected, .. } if !connected.get() => Err(Errno::EAGAIN),
            State::Local { link, side, .. } => link.borrow_mut().receive(*side, buffer, peek),
            State::Remote(remote) => remote.receive(buffer, peek),
            State::Listening(_) => Err(Errno::ENOTCONN),
            State::Idle => match self.take_failure() {
                Some(error) => Err(error),
                None if self.failed.get() => Ok(0),
                None => Err(Errno::ENOTCONN),
            },
        }
    }

    /// Puts bytes.
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match &*self.state.borrow() {
            State::Local { connected, .. } if !connected.get() => Err(Errno::EAGAIN),
            State::Local { link, side, .. } => link.borrow_mut().send(*side, bytes),
            State::Remote(remote) => remote.send(bytes),
            _ => Err(self.take_failure().unwrap_or(Errno::EPIPE)),
        }
    }

    /// shutdown(2).
    pub fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        let listening = match &*self.state.borrow() {
            State::Listening(listener) if how != Shutdown::Write => Some(listener.clone()),
            State::Listening(_) => return Err(Errno::ENOTCONN),
            _ => None,
        };
        if let Some(listener) = listening {
            // Its channel goes with it.
            let _ = core().set_remote(self.source, None);
            listener.close();
            *self.state.borrow_mut() = State::Idle;
            drop(listener);
            self.bind_again();
            self.publish_idle();
            return Ok(());
        }
        self.require_connected()?;
        match &*self.state.borrow() {
            State::Local { link, side, .. } => link.borrow_mut().shut_down(*side, how),
            State::Remote(remote) => {
                if how != Shutdown::Write {
                    remote.shut_read();
                }
                if how != Shutdown::Read {
                    remote.shut_write();
                }
                // The net server does not tell of what this end did.
                core().publish(self.source, remote.level_here(), Events::all());
                Ok(())
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// Applies options to a connection.
    pub fn apply_options(&self) {
        let options = self.options.borrow();
        match &*self.state.borrow() {
            State::Remote(remote) => {
                remote.set_aborts(options.aborts());
                remote.set_options(options.no_delay, options.keep_alive);
            }
            State::Local { link, side, .. } => link.borrow().set_aborts(*side, options.aborts()),
            _ => {}
        }
    }

    /// Bytes written that have not left (SIOCOUTQ).
    fn unsent(&self) -> usize {
        match &*self.state.borrow() {
            State::Remote(remote) => remote.unsent(),
            _ => 0,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let abort = self.options.borrow().aborts();
        match &*self.state.borrow() {
            State::Idle => {}
            State::Listening(listener) => {
                let _ = core().set_remote(self.source, None);
                listener.close();
            }
            State::Local { link, side, .. } => {
                let gone = link.borrow_mut().close(*side, abort);
                core().close(self.source);
                drop(gone);
            }
            State::Remote(remote) => {
                // The slot is the net server's from then on: nobody may look any longer.
                let _ = core().set_remote(self.source, None);
                remote.close(abort);
            }
        }
        core().close(self.source);
        if let Some(binding) = self.binding.take() {
            binding.release();
        }
    }
}

impl File for Socket {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.receive(buffer, false)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.send(bytes)
    }

    fn stat(&self) -> Stat {
        Stat {
            st_mode: S_IFSOCK | 0o777,
            ..empty_stat()
        }
    }

    fn ioctl(&self, request: u32, argument: usize) -> Result<usize, Errno> {
        const SIOCOUTQ: u32 = 0x5411;
        match request {
            SIOCOUTQ => {
                crate::user::write(argument, self.unsent() as i32)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn bytes_to_read(&self) -> Option<usize> {
        match &*self.state.borrow() {
            State::Local { link, side, .. } => Some(link.borrow().available(*side)),
            State::Remote(remote) => Some(remote.readable()),
            State::Idle => Some(0),
            State::Listening(_) => None,
        }
    }

    fn share(&self) -> Result<(), Errno> {
        self.share_all()
    }

    /// Of a connection. A listener that is shut down gives up its channel at once, so that has none.
    fn flags_side(&self) -> Option<(usize, usize)> {
        let (channel, side) = match &*self.state.borrow() {
            State::Local { link, side, .. } => link.borrow().held(*side)?,
            State::Remote(remote) => (remote.channel()?, READER),
            State::Idle | State::Listening(_) => return None,
        };
        let mut flags = self.flags.borrow_mut();
        let kept = flags.get_or_insert_with(|| Kept::new(channel, side));
        Some((kept.channel, kept.side))
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        self.heir().map(Some)
    }

    fn is_socket(&self) -> bool {
        true
    }

    fn socket(&self) -> Option<&Socket> {
        Some(self)
    }

    fn source(&self) -> SourceId {
        self.source
    }
}

/// EPIPE comes with SIGPIPE unless `quietly`.
pub fn signal_broken_pipe(error: Errno, quietly: bool) -> Errno {
    if error == Errno::EPIPE && !quietly {
        raise(SIGPIPE);
    }
    error
}
