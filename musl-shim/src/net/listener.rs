// SPDX-License-Identifier: BSD-2-Clause
//! Listening: connections from this process come by a queue of ours, those from the network by a slot of the net server.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use vfs_hooks::accept::AcceptQueue;
use vfs_hooks::source::SourceId;
use vfs_hooks::stream::{Side, Stream};

use crate::errno::Errno;
use crate::net::address::Address;
use crate::net::remote::Remote;
use crate::platform::net as server;
use crate::poller::core;
use crate::shared::Shared;
use vfs_hooks::wire::net;

/// A connection from this process, as its server will see it.
pub struct Incoming {
    /// The connection, of which the server has the second end.
    pub stream: Rc<RefCell<Stream>>,
    /// The address that was connected to.
    pub local: Address,
    /// The client's.
    pub peer: Address,
}

/// A connection that found the backlog full: as on Linux its client waits until there is room.
struct Pending {
    incoming: Incoming,
    /// The client's socket.
    client: SourceId,
    connected: Rc<Cell<bool>>,
}

/// What accept(2) found.
pub enum Accepted {
    /// From this process.
    Local(Incoming),
    /// From the network.
    Remote(Rc<Remote>),
}

/// See the module.
pub struct Listener {
    /// Where it listens.
    pub address: Address,
    queue: RefCell<AcceptQueue<Incoming>>,
    pending: RefCell<VecDeque<Pending>>,
    remote: Option<Remote>,
}

/// Listeners by port, for connections from this process.
static LISTENERS: Shared<BTreeMap<u16, Vec<Weak<Listener>>>> = Shared::new(BTreeMap::new());

/// The listener that a connection to `to` reaches: one on just that address before one on all.
pub fn find(to: Address) -> Option<Rc<Listener>> {
    let listeners = LISTENERS.lock();
    let on = |ip: u32| {
        let mut all = listeners.get(&to.port)?.iter().filter_map(Weak::upgrade);
        all.find(|listener| listener.address.ip == ip)
    };
    on(to.ip).or_else(|| on(0))
}

/// The net server's largest backlog.
const MOST: u32 = vfs_hooks::net::ACCEPT_SIZE;

/// A backlog as the net server takes it.
fn at_net_server(backlog: i32) -> u64 {
    // As unsigned, as Linux takes it: a negative one is the longest.
    u64::from((backlog as u32).clamp(1, MOST))
}

impl Listener {
    /// Listens at `address`; at the net server too if `network` says so. `source` is the socket's.
    pub fn open(
        address: Address,
        backlog: i32,
        network: bool,
        source: SourceId,
    ) -> Result<Rc<Listener>, Errno> {
        let remote = if network {
            let port = u64::from(address.port);
            let [slot, ..] = server::ask_net(net::LISTEN, [port, at_net_server(backlog), 0])?;
            Some(Remote::new(slot)?)
        } else {
            None
        };
        let listener = Rc::new(Listener {
            address,
            queue: RefCell::new(AcceptQueue::new(&mut *core(), source, backlog)),
            pending: RefCell::default(),
            remote,
        });
        if let Some(remote) = &listener.remote {
            let looked = core().set_remote(source, Some(Box::new(remote.look())));
            if let Err(errno) = looked {
                listener.close();
                return Err(errno.into());
            }
        }
        LISTENERS
            .lock()
            .entry(address.port)
            .or_default()
            .push(Rc::downgrade(&listener));
        Ok(listener)
    }

    /// listen(2) once more.
    pub fn set_backlog(&self, backlog: i32) -> Result<(), Errno> {
        self.queue.borrow_mut().set_backlog(backlog);
        if let Some(remote) = &self.remote {
            let slot = u64::from(remote.number());
            server::ask_net(net::SET_BACKLOG, [slot, at_net_server(backlog), 0])?;
        }
        Ok(())
    }

    /// Takes a connection from this process. `false`: there is no room yet; once there is, `connected` is set and `client`, the
    /// source of its socket, speaks for the first end.
    pub fn push(&self, incoming: Incoming, client: SourceId, connected: &Rc<Cell<bool>>) -> bool {
        let pushed = self.queue.borrow_mut().push(&mut *core(), incoming);
        match pushed {
            Ok(()) => true,
            Err(incoming) => {
                self.pending.borrow_mut().push_back(Pending {
                    incoming,
                    client,
                    connected: connected.clone(),
                });
                false
            }
        }
    }

    /// The oldest connection; EAGAIN if there is none.
    pub fn accept(&self) -> Result<Accepted, Errno> {
        let popped = self.queue.borrow_mut().pop(&mut *core());
        if let Ok(incoming) = popped {
            self.admit();
            return Ok(Accepted::Local(incoming));
        }
        match &self.remote {
            Some(remote) => remote.accept().map(|new| Accepted::Remote(Rc::new(new))),
            None => Err(Errno::EAGAIN),
        }
    }

    /// Lets those in for whom there is room now.
    fn admit(&self) {
        let mut queue = self.queue.borrow_mut();
        while !queue.is_full() {
            let Some(next) = self.pending.borrow_mut().pop_front() else {
                return;
            };
            let stream = next.incoming.stream.clone();
            let mut core = core();
            if queue.push(&mut *core, next.incoming).is_ok() {
                next.connected.set(true);
                let mut stream = stream.borrow_mut();
                stream.attach(&mut *core, Side::First, next.client);
            }
        }
    }

    /// Ends listening; connections that nobody accepted are reset.
    pub fn close(&self) {
        let port = self.address.port;
        let mut listeners = LISTENERS.lock();
        if let Some(on_port) = listeners.get_mut(&port) {
            on_port.retain(|other| !core::ptr::eq(other.as_ptr(), self));
            if on_port.is_empty() {
                listeners.remove(&port);
            }
        }
        drop(listeners);
        let mut core = core();
        for incoming in self.queue.borrow_mut().close(&mut *core) {
            let mut stream = incoming.stream.borrow_mut();
            stream.abort(&mut *core, Side::Second);
        }
        for pending in self.pending.take() {
            let mut stream = pending.incoming.stream.borrow_mut();
            stream.abort(&mut *core, Side::Second);
            pending.connected.set(true);
            stream.attach(&mut *core, Side::First, pending.client);
        }
        drop(core);
        if let Some(remote) = &self.remote {
            remote.close(false);
        }
    }
}
