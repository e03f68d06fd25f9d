// SPDX-License-Identifier: BSD-2-Clause
//! Listening: connections from this process come by a queue of ours, those from the network by a slot of the net server.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::accept::AcceptQueue;
use vfs_hooks::source::{Readiness, Source, Watcher};
use vfs_hooks::stream::Stream;

use crate::errno::Errno;
use crate::net::address::Address;
use crate::net::remote::Remote;
use crate::net::switch::Switch;
use crate::platform::net as server;
use crate::shared::Shared;
use vfs_hooks::wire::net;

/// A connection from this process, as its server will see it.
pub struct Incoming {
    /// The server's end.
    pub stream: Rc<Stream>,
    /// The address that was connected to.
    pub local: Address,
    /// The client's.
    pub peer: Address,
}

/// A connection that found the backlog full: as on Linux its client waits until there is room.
struct Pending {
    incoming: Incoming,
    client: Rc<Stream>,
    source: Rc<Switch>,
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
    queue: Rc<AcceptQueue<Incoming>>,
    pending: RefCell<VecDeque<Pending>>,
    remote: Option<Remote>,
    watchers: RefCell<Vec<Option<Pair>>>,
}

/// Subscriptions at the queue and, if there is one, at the slot.
type Pair = (usize, Option<usize>);

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
    /// Listens at `address`; at the net server too if `network` says so.
    pub fn open(address: Address, backlog: i32, network: bool) -> Result<Rc<Listener>, Errno> {
        let remote = if network {
            let port = u64::from(address.port);
            let [slot, ..] = server::ask_net(net::LISTEN, [port, at_net_server(backlog), 0])?;
            Some(Remote::new(slot)?)
        } else {
            None
        };
        let listener = Rc::new(Listener {
            address,
            queue: Rc::new(AcceptQueue::new(backlog)),
            pending: RefCell::default(),
            remote,
            watchers: RefCell::default(),
        });
        LISTENERS
            .lock()
            .entry(address.port)
            .or_default()
            .push(Rc::downgrade(&listener));
        Ok(listener)
    }

    /// listen(2) once more.
    pub fn set_backlog(&self, backlog: i32) -> Result<(), Errno> {
        self.queue.set_backlog(backlog);
        if let Some(remote) = &self.remote {
            let slot = u64::from(remote.number());
            server::ask_net(net::SET_BACKLOG, [slot, at_net_server(backlog), 0])?;
        }
        Ok(())
    }

    /// Takes a connection from this process. `false`: there is no room yet; once there is, `connected` is set and `source` has `client`
    /// behind it.
    pub fn push(
        &self,
        incoming: Incoming,
        client: &Rc<Stream>,
        source: &Rc<Switch>,
        connected: &Rc<Cell<bool>>,
    ) -> bool {
        match self.queue.push(incoming) {
            Ok(()) => true,
            Err(incoming) => {
                self.pending.borrow_mut().push_back(Pending {
                    incoming,
                    client: client.clone(),
                    source: source.clone(),
                    connected: connected.clone(),
                });
                false
            }
        }
    }

    /// The oldest connection; EAGAIN if there is none.
    pub fn accept(&self) -> Result<Accepted, Errno> {
        if let Ok(incoming) = self.queue.pop() {
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
        while !self.queue.is_full() {
            let Some(next) = self.pending.borrow_mut().pop_front() else {
                return;
            };
            if self.queue.push(next.incoming).is_ok() {
                next.connected.set(true);
                // A stream has room for any number of watchers.
                let _ = next.source.replace(next.client);
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
        for incoming in self.queue.close() {
            incoming.stream.abort();
        }
        for pending in self.pending.take() {
            pending.incoming.stream.abort();
            pending.connected.set(true);
            let _ = pending.source.replace(pending.client);
        }
        if let Some(remote) = &self.remote {
            remote.close(false);
        }
    }
}

impl Source for Listener {
    fn readiness(&self) -> Readiness {
        let ours = self.queue.readiness();
        let Some(remote) = &self.remote else {
            return ours;
        };
        let theirs = remote.readiness();
        Readiness {
            events: ours.events | theirs.events,
            edges: vfs_hooks::source::Edges {
                input: ours.edges.input.wrapping_add(theirs.edges.input),
                output: ours.edges.output.wrapping_add(theirs.edges.output),
            },
        }
    }

    fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
        let theirs = match &self.remote {
            Some(remote) => Some(remote.subscribe(watcher, interest)?),
            None => None,
        };
        let ours = self.queue.subscribe(watcher, interest)?;
        let mut watchers = self.watchers.borrow_mut();
        let entry = Some((ours, theirs));
        match watchers.iter().position(Option::is_none) {
            Some(free) => {
                watchers[free] = entry;
                Some(free)
            }
            None => {
                watchers.push(entry);
                Some(watchers.len() - 1)
            }
        }
    }

    fn arm(&self, subscription: usize, interest: Events) {
        if let Some(&Some((ours, theirs))) = self.watchers.borrow().get(subscription) {
            self.queue.arm(ours, interest);
            if let (Some(remote), Some(theirs)) = (&self.remote, theirs) {
                remote.arm(theirs, interest);
            }
        }
    }

    fn unsubscribe(&self, subscription: usize) {
        let entry = self
            .watchers
            .borrow_mut()
            .get_mut(subscription)
            .and_then(Option::take);
        if let Some((ours, theirs)) = entry {
            self.queue.unsubscribe(ours);
            if let (Some(remote), Some(theirs)) = (&self.remote, theirs) {
                remote.unsubscribe(theirs);
            }
        }
    }
}
