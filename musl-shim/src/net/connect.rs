// SPDX-License-Identifier: BSD-2-Clause
//! bind, listen, connect, accept: what leads from an idle socket to a connected one.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use vfs_hooks::net::State as RemoteState;
use vfs_hooks::stream::Side;
use vfs_hooks::wire::net;

use crate::errno::Errno;
use crate::files::channel::Kept;
use crate::net::address::{Address, LOOPBACK, is_loopback};
use crate::net::bind::{Binding, Reuse};
use crate::net::link::{self, Link};
use crate::net::listener::{Accepted, Incoming, Listener, find};
use crate::net::remote::Remote;
use crate::net::socket::{Socket, State};
use crate::platform::channels;
use crate::platform::net::{ask_net, has_net};

/// Both sides of a channel.
const BOTH: u32 = 3;

/// How far a connect(2) got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Connected.
    Done,
    /// On its way: wait until the socket is writable, then ask [`Socket::finish_connect`].
    Begun,
}

impl Socket {
    /// bind(2).
    pub fn bind(&self, address: Address) -> Result<(), Errno> {
        if self.binding.borrow().is_some() || !matches!(*self.state.borrow(), State::Idle) {
            return Err(Errno::EINVAL);
        }
        let (local, binding) = Binding::new(address, self.reuse())?;
        self.local.set(local);
        *self.binding.borrow_mut() = Some(binding);
        Ok(())
    }

    fn reuse(&self) -> Reuse {
        let options = self.options.borrow();
        Reuse {
            address: options.reuse,
            port: options.reuse_port,
        }
    }

    /// After a listener's end, or where it could not begin: the socket still has its port, unless somebody was quicker.
    pub fn bind_again(&self) {
        if let Some(binding) = self.binding.take() {
            let reuse = self.reuse();
            match binding.kept.is_none() && channels::shared() {
                true => {
                    binding.release();
                    let bound = Binding::new(self.local.get(), reuse).ok();
                    *self.binding.borrow_mut() = bound.map(|(_, binding)| binding);
                }
                false => *self.binding.borrow_mut() = Some(binding),
            }
        }
    }

    /// listen(2).
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        match &*self.state.borrow() {
            State::Listening(listener) => return listener.set_backlog(backlog),
            State::Idle => {}
            _ => return Err(Errno::EINVAL),
        }
        if self.binding.borrow().is_none() {
            self.bind(Address::default())?;
        }
        let mut bound = self.binding.borrow_mut();
        let binding = bound.as_mut().ok_or(Errno::EINVAL)?;
        let network = binding.listen()?;
        let opened = Listener::open(
            self.local.get(),
            backlog,
            network,
            self.source,
            &mut binding.kept,
        );
        let listener = match opened {
            Ok(listener) => listener,
            Err(errno) => {
                binding.unlisten();
                drop(bound);
                self.bind_again();
                return Err(errno);
            }
        };
        if network {
            binding.used();
        }
        *self.state.borrow_mut() = State::Listening(listener);
        Ok(())
    }

    /// accept(2): the new socket; EAGAIN if no connection waits.
    pub fn accept(&self) -> Result<Socket, Errno> {
        let accepted = match &*self.state.borrow() {
            State::Listening(listener) => listener.accept()?,
            _ => return Err(Errno::EINVAL),
        };
        let options = *self.options.borrow();
        let socket = match accepted {
            Accepted::Remote(remote) => Socket::of_remote(remote, options),
            Accepted::Local(incoming) => {
                let socket = Socket::of_link(incoming.link, Side::Second, options);
                socket.local.set(incoming.local);
                socket.peer.set(incoming.peer);
                let binding = Binding::of_connection(incoming.local, options.reuse);
                *socket.binding.borrow_mut() = Some(binding);
                socket
            }
            Accepted::Channel(kept, local, peer) => {
                let link = Rc::new(RefCell::new(Link::in_channel(kept)));
                let socket = Socket::of_link(link, Side::Second, options);
                socket.local.set(local);
                socket.peer.set(peer);
                socket
            }
        };
        Ok(socket)
    }

    /// The first step of connect(2). `blocking` decides who is told of a refusal: the caller, or SO_ERROR.
    pub fn begin_connect(&self, to: Address, blocking: bool) -> Result<Progress, Errno> {
        match &*self.state.borrow() {
            State::Idle => {}
            State::Listening(_) => return Err(Errno::EISCONN),
            _ if self.connecting.get() => {}
            _ => return Err(Errno::EISCONN),
        }
        if self.connecting.get() {
            return match self.finish_connect() {
                Err(Errno::EAGAIN) if blocking => Ok(Progress::Begun),
                Err(Errno::EAGAIN) => Err(Errno::EALREADY),
                result => result.map(|()| Progress::Done),
            };
        }
        if to.port == 0 {
            return Err(Errno::ECONNREFUSED);
        }
        if to.is_local() {
            self.connect_here(to, blocking)
        } else {
            self.connect_remote(to)
        }
    }

    fn connect_here(&self, to: Address, blocking: bool) -> Result<Progress, Errno> {
        let to = Address {
            ip: if to.ip == 0 { LOOPBACK } else { to.ip },
            ..to
        };
        let from = if is_loopback(to.ip) { LOOPBACK } else { to.ip };
        let Some(listener) = find(to) else {
            return self.connect_to_other(to, from, blocking);
        };
        if self.binding.borrow().is_none() {
            let Some((local, binding)) = Binding::ephemeral(from) else {
                return self.connect_to_other(to, from, blocking);
            };
            self.local.set(local);
            *self.binding.borrow_mut() = Some(binding);
        } else if self.local.get().ip == 0 {
            let port = self.local.get().port;
            self.local.set(Address { ip: from, port });
        }
        let link = Rc::new(RefCell::new(Link::here()));
        let incoming = Incoming {
            link: link.clone(),
            local: to,
            peer: self.local.get(),
        };
        self.peer.set(to);
        self.connecting.set(true);
        let connected = Rc::new(Cell::new(false));
        let room = listener.push(incoming, self.source, &connected);
        connected.set(room);
        *self.state.borrow_mut() = State::Local {
            link: link.clone(),
            side: Side::First,
            connected,
        };
        if room {
            link.borrow_mut().attach(Side::First, self.source);
        } else {
            self.publish_waiting();
        }
        Ok(Progress::Begun)
    }

    /// Connects to a listener that other processes have, if there is one.
    fn connect_to_other(&self, to: Address, from: u32, blocking: bool) -> Result<Progress, Errno> {
        let refused = || {
            if blocking {
                return Err(Errno::ECONNREFUSED);
            }
            self.connecting.set(true);
            self.fail(Some(Errno::ECONNREFUSED));
            Ok(Progress::Begun)
        };
        if !channels::shared() {
            return refused();
        }
        let mut own = Address { ip: from, port: 0 };
        if self.binding.borrow().is_some() {
            own.port = self.local.get().port;
            if self.local.get().ip != 0 {
                own.ip = self.local.get().ip;
            }
        }
        let channel = channels::create(BOTH).map_err(|_| Errno::ENOBUFS)?;
        let tcp = channels::tcp(channel);
        tcp.start();
        tcp.set_aborts(Side::First as usize, self.options.borrow().aborts());
        match channels::port_connect(channel, to.word(), own.word()) {
            Ok(port) => own.port = port,
            Err(errno) => {
                channels::drop_sides(channel, BOTH);
                return match errno {
                    // Too many wait: the client would try until it gives up.
                    Errno::EAGAIN | Errno::ECONNREFUSED => refused(),
                    errno => Err(errno),
                };
            }
        }
        self.local.set(own);
        self.peer.set(to);
        self.connecting.set(true);
        let mut link = Link::in_channel(Kept::new(channel, Side::First as usize));
        link.attach(Side::First, self.source);
        *self.state.borrow_mut() = State::Local {
            link: Rc::new(RefCell::new(link)),
            side: Side::First,
            connected: Rc::new(Cell::new(true)),
        };
        link::tell(self.source);
        Ok(Progress::Begun)
    }

    fn connect_remote(&self, to: Address) -> Result<Progress, Errno> {
        if !has_net() {
            return Err(Errno::ENETUNREACH);
        }
        let mut binding = self.binding.borrow_mut();
        let own = match &*binding {
            // Only this process can see a port on a loopback address.
            Some(_) if is_loopback(self.local.get().ip) => return Err(Errno::EINVAL),
            Some(binding) => binding.reserved_port(),
            None => 0,
        };
        let [slot, ..] = ask_net(net::CONNECT, [to.ip.into(), to.port.into(), own.into()])?;
        let remote = Rc::new(Remote::new(slot)?);
        if let Some(binding) = &mut *binding {
            binding.used();
        }
        drop(binding);
        self.connecting.set(true);
        *self.state.borrow_mut() = State::Remote(remote.clone());
        self.apply_options();
        self.look_at(&remote)?;
        Ok(Progress::Begun)
    }

    /// What came of a connect(2) that was begun: EAGAIN if it is still on its way, its error if it failed.
    pub fn finish_connect(&self) -> Result<(), Errno> {
        let failed = match &*self.state.borrow() {
            State::Local { connected, .. } if connected.get() => None,
            State::Local { .. } => return Err(Errno::EAGAIN),
            State::Remote(remote) => {
                let state = remote.header().state();
                if state.contains(RemoteState::BROKEN) {
                    // Told already, by SO_ERROR: as Linux has it.
                    Some(remote.take_error().unwrap_or(Errno::ECONNABORTED))
                } else if state.contains(RemoteState::CONNECTED) {
                    None
                } else {
                    return Err(Errno::EAGAIN);
                }
            }
            State::Idle | State::Listening(_) => None,
        };
        self.connecting.set(false);
        match failed {
            None if matches!(*self.state.borrow(), State::Idle) => {
                Err(self.take_error().unwrap_or(Errno::ECONNABORTED))
            }
            None => Ok(()),
            Some(errno) => {
                if let State::Remote(remote) = &*self.state.borrow() {
                    let remote = remote.clone();
                    // Its watchers go before the slot does.
                    self.retire(remote);
                }
                self.fail(None);
                Err(errno)
            }
        }
    }

    /// Closes a slot once nothing refers to it.
    fn retire(&self, remote: Rc<Remote>) {
        self.publish_waiting();
        remote.close(true);
    }
}
