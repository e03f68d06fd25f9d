// SPDX-License-Identifier: BSD-2-Clause
//! bind, listen, connect, accept: what leads from an idle socket to a connected one.

use alloc::rc::Rc;
use core::cell::Cell;

use vfs_hooks::net::State as RemoteState;
use vfs_hooks::stream::Side;
use vfs_hooks::wire::net;

use crate::errno::Errno;
use crate::net::address::{Address, LOOPBACK, is_loopback};
use crate::net::bind::Binding;
use crate::net::listener::{Accepted, Incoming, Listener, find};
use crate::net::remote::Remote;
use crate::net::socket::{Socket, State, tcp_stream};
use crate::platform::net::{ask_net, has_net};
use crate::poller::core;

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
        let reuse = self.options.borrow().reuse;
        let (local, binding) = Binding::new(address, reuse)?;
        self.local.set(local);
        *self.binding.borrow_mut() = Some(binding);
        Ok(())
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
        let mut binding = self.binding.borrow_mut();
        let binding = binding.as_mut().ok_or(Errno::EINVAL)?;
        let network = binding.listen()?;
        let listener = match Listener::open(self.local.get(), backlog, network, self.source) {
            Ok(listener) => listener,
            Err(errno) => {
                binding.unlisten();
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
                let socket = Socket::of_stream(incoming.stream, Side::Second, options);
                socket.local.set(incoming.local);
                socket.peer.set(incoming.peer);
                socket
            }
        };
        let binding = Binding::of_connection(socket.name(), options.reuse);
        *socket.binding.borrow_mut() = Some(binding);
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
        let Some(listener) = find(to) else {
            if blocking {
                return Err(Errno::ECONNREFUSED);
            }
            self.connecting.set(true);
            self.fail(Some(Errno::ECONNREFUSED));
            return Ok(Progress::Begun);
        };
        let from = if is_loopback(to.ip) { LOOPBACK } else { to.ip };
        if self.binding.borrow().is_none() {
            let (local, binding) = Binding::ephemeral(from)?;
            self.local.set(local);
            *self.binding.borrow_mut() = Some(binding);
        } else if self.local.get().ip == 0 {
            let port = self.local.get().port;
            self.local.set(Address { ip: from, port });
        }
        let stream = tcp_stream();
        let incoming = Incoming {
            stream: stream.clone(),
            local: to,
            peer: self.local.get(),
        };
        self.peer.set(to);
        self.connecting.set(true);
        let connected = Rc::new(Cell::new(false));
        let room = listener.push(incoming, self.source, &connected);
        connected.set(room);
        *self.state.borrow_mut() = State::Local {
            stream: stream.clone(),
            side: Side::First,
            connected,
        };
        if room {
            let mut stream = stream.borrow_mut();
            stream.attach(&mut *core(), Side::First, self.source);
        } else {
            self.publish_waiting();
        }
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
