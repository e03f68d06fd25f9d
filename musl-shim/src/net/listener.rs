// SPDX-License-Identifier: BSD-2-Clause
//! Listening: connections from this process come by a queue of ours, those from other processes by the root server, those from the network by the net
//! server, in turn if several have some.
//!
//! A listener lies in a channel from the start. While this process alone has it, the net server's accept ring there holds slots of this process; once others have it too
//! ([`Listener::share`]), its connections are asked for.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::Ordering;

use vfs_hooks::accept::AcceptQueue;
use vfs_hooks::channel::READER;
use vfs_hooks::source::{Readiness, SourceId};
use vfs_hooks::stream::Side;

use crate::errno::Errno;
use crate::files::channel::{Kept, look_at};
use crate::net::address::Address;
use crate::net::link::{self, Link};
use crate::net::remote::Remote;
use crate::net::unix::named;
use crate::platform::{channels, net as server};
use crate::poller::core;
use crate::shared::Shared;
use vfs_hooks::wire::net;

/// A connection from this process, as its server will see it.
pub struct Incoming {
    /// The connection, of which the server has the second end.
    pub link: Rc<RefCell<Link>>,
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
    /// From another one: the end that is ours, the address that was connected to, the client's.
    Channel(Kept, Address, Address),
    /// From the network.
    Remote(Rc<Remote>),
}

/// See the module.
pub struct Listener {
    /// Where it listens.
    pub address: Address,
    queue: RefCell<AcceptQueue<Incoming>>,
    pending: RefCell<VecDeque<Pending>>,
    /// Where it lies; none in host mode.
    kept: Option<Kept>,
    /// The net server listens, too.
    network: bool,
    /// Other processes have it, too, or may.
    shared: Cell<bool>,
    /// Where accept looks first.
    turn: Cell<usize>,
}

/// A listener as the event core looks at it: the root server counts those from other processes, the net server those from the network.
fn look(channel: usize, side: usize) -> Readiness {
    let mut found = named::look_listener(channel, side);
    found.events |= channels::apart(channel).header().level();
    found
}

/// The same without the net server.
fn look_here(channel: usize, side: usize) -> Readiness {
    named::look_listener(channel, side)
}

/// Listeners by port, for connections from this process.
static LISTENERS: Shared<BTreeMap<u16, Vec<Weak<Listener>>>> = Shared::new(BTreeMap::new());

/// The listener of this process alone that a connection to `to` reaches: one on just that address before one on all.
pub fn find(to: Address) -> Option<Rc<Listener>> {
    let listeners = LISTENERS.lock();
    let on = |ip: u32| {
        let mut all = listeners.get(&to.port)?.iter().filter_map(Weak::upgrade);
        all.find(|listener| listener.address.ip == ip && !listener.shared.get())
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
    /// Listens at `address`, which `kept` holds; at the net server too if `network` says so. `source` is the socket's.
    pub fn open(
        address: Address,
        backlog: i32,
        network: bool,
        source: SourceId,
        kept: &mut Option<Kept>,
    ) -> Result<Rc<Listener>, Errno> {
        let mut failed = None;
        if let Some(kept) = kept {
            channels::listen(kept.channel, backlog as u32)?;
            if network {
                let words = [
                    u64::from(address.port),
                    at_net_server(backlog),
                    kept.channel as u64,
                ];
                failed = server::ask_net(net::LISTEN, words).err();
            }
        }
        if let Some(errno) = failed {
            // At the root server it listens already: that ends with the channel, and the port is to be bound again.
            drop(kept.take());
            return Err(errno);
        }
        let listener = Listener::with(address, backlog, kept.take(), network, source);
        LISTENERS
            .lock()
            .entry(address.port)
            .or_default()
            .push(Rc::downgrade(&listener));
        Ok(listener)
    }

    fn with(
        address: Address,
        backlog: i32,
        kept: Option<Kept>,
        network: bool,
        source: SourceId,
    ) -> Rc<Listener> {
        let queue = AcceptQueue::new(&mut *core(), source, backlog);
        if let Some(kept) = &kept {
            let look = if network { look } else { look_here };
            look_at(source, kept.channel, READER, look);
        }
        Rc::new(Listener {
            address,
            queue: RefCell::new(queue),
            pending: RefCell::default(),
            kept,
            network,
            shared: Cell::new(false),
            turn: Cell::new(0),
        })
    }

    /// One that another process has passed on.
    pub fn inherited(
        address: Address,
        kept: Kept,
        network: bool,
        source: SourceId,
    ) -> Rc<Listener> {
        let listener = Listener::with(address, 0, Some(kept), network, source);
        listener.shared.set(true);
        listener
    }

    /// The channel that it lies in.
    pub fn channel(&self) -> Option<usize> {
        self.kept.as_ref().map(|kept| kept.channel)
    }

    /// Whether the net server listens, too.
    pub fn is_network(&self) -> bool {
        self.network
    }

    /// listen(2) once more.
    pub fn set_backlog(&self, backlog: i32) -> Result<(), Errno> {
        self.queue.borrow_mut().set_backlog(backlog);
        if let Some(channel) = self.channel() {
            channels::listen(channel, backlog as u32)?;
            if self.network {
                let words = [channel as u64, at_net_server(backlog), 0];
                server::ask_net(net::SET_BACKLOG, words)?;
            }
        }
        Ok(())
    }

    /// Other processes are to have it as well: what waits is moved to where they find it.
    pub fn share(&self) -> Result<(), Errno> {
        let Some(channel) = self.channel() else {
            return Ok(());
        };
        if self.shared.get() {
            return Ok(());
        }
        if self.network {
            server::ask_net(net::SHARE, [channel as u64, 0, 0])?;
        }
        self.shared.set(true);
        let mut waiting = Vec::new();
        while let Ok(incoming) = self.queue.borrow_mut().pop(&mut *core()) {
            waiting.push(incoming);
        }
        for pending in self.pending.take() {
            let link = pending.incoming.link.clone();
            waiting.push(pending.incoming);
            pending.connected.set(true);
            link.borrow_mut().attach(Side::First, pending.client);
        }
        for incoming in waiting {
            let Incoming { link, local, peer } = incoming;
            let moved = link::share(&link, peer, local);
            let end = link.borrow_mut().hand_on(Side::Second);
            match (moved, end) {
                (Ok(moved), Some(end)) => {
                    match channels::port_connect(moved, local.word(), peer.word()) {
                        Ok(_) => end.handed_on(),
                        Err(_) => {
                            // Nobody will accept it.
                            channels::tcp(moved).set_aborts(end.side, true);
                            drop(end);
                        }
                    }
                }
                _ => drop(link.borrow_mut().close(Side::Second, true)),
            }
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

    /// The oldest connection of those from one place, after the last one's; EAGAIN if there is none.
    pub fn accept(&self) -> Result<Accepted, Errno> {
        const PLACES: usize = 3;
        let first = self.turn.get();
        for place in (first..first + PLACES).map(|at| at % PLACES) {
            let found = match place {
                0 => self.accept_here(),
                1 => self.accept_from_others(),
                _ => self.accept_from_network(),
            };
            if !matches!(found, Err(Errno::EAGAIN)) {
                self.turn.set((place + 1) % PLACES);
                return found;
            }
        }
        Err(Errno::EAGAIN)
    }

    fn accept_here(&self) -> Result<Accepted, Errno> {
        let popped = self.queue.borrow_mut().pop(&mut *core());
        let incoming = popped.map_err(|_| Errno::EAGAIN)?;
        self.admit();
        Ok(Accepted::Local(incoming))
    }

    fn accept_from_others(&self) -> Result<Accepted, Errno> {
        let channel = self.channel().ok_or(Errno::EAGAIN)?;
        if channels::header(channel).value.load(Ordering::Acquire) == 0 {
            return Err(Errno::EAGAIN);
        }
        let (channel, ends) = channels::accept_tcp(channel)?;
        let [local, peer] = ends.map(Address::from_word);
        // Whoever connected has started it. If not, it is an empty one from now on.
        channels::tcp(channel).start();
        let kept = Kept::new(channel, Side::Second as usize);
        Ok(Accepted::Channel(kept, local, peer))
    }

    fn accept_from_network(&self) -> Result<Accepted, Errno> {
        let channel = self.channel().filter(|_| self.network);
        let channel = channel.ok_or(Errno::EAGAIN)?;
        let header = channels::apart(channel).header();
        let slot = if !self.shared.get() {
            let popped = header.pop_accept().map_err(|_| Errno::ECONNABORTED)?;
            u64::from(popped.ok_or(Errno::EAGAIN)?)
        } else if header.waiting.load(Ordering::Acquire) != 0 {
            let [slot, ..] = server::ask_net(net::ACCEPT, [channel as u64, 0, 0])?;
            slot
        } else {
            return Err(Errno::EAGAIN);
        };
        Ok(Accepted::Remote(Rc::new(Remote::accepted(slot)?)))
    }

    /// Lets those in for whom there is room now.
    fn admit(&self) {
        let mut queue = self.queue.borrow_mut();
        while !queue.is_full() {
            let Some(next) = self.pending.borrow_mut().pop_front() else {
                return;
            };
            let link = next.incoming.link.clone();
            if queue.push(&mut *core(), next.incoming).is_ok() {
                next.connected.set(true);
                link.borrow_mut().attach(Side::First, next.client);
            }
        }
    }

    /// Ends listening here; connections of this process that nobody accepted are reset. What it lies in goes with it.
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
        let waiting = self.queue.borrow_mut().close(&mut *core());
        for incoming in waiting {
            drop(incoming.link.borrow_mut().close(Side::Second, true));
        }
        for pending in self.pending.take() {
            let mut link = pending.incoming.link.borrow_mut();
            drop(link.close(Side::Second, true));
            pending.connected.set(true);
            link.attach(Side::First, pending.client);
        }
    }
}
