// SPDX-License-Identifier: BSD-2-Clause
//! Who holds which of our TCP ports.
//!
//! Linux's rules: two sockets conflict on a port if their addresses overlap, unless both set `SO_REUSEADDR` and neither
//! listens. Connections (those in TIME-WAIT included) hold their port too, with the flag of the socket they came from.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::listener::ListenerKey;

/// First port of those that we choose.
pub const EPHEMERAL: u16 = 49152;
/// Most ports that a client may hold by bind alone.
const MAX_BOUND: u32 = 4096;

/// Who binds what.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// The client.
    pub client: usize,
    /// Address; 0 for any.
    pub address: u32,
    /// `SO_REUSEADDR`.
    pub reuse: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
}

#[derive(Debug)]
struct Holder {
    bind: Bind,
    listener: Option<ListenerKey>,
}

#[derive(Debug, Default)]
struct Port {
    holders: Vec<Holder>,
    /// Connections from or to it, and how many of those lack `SO_REUSEADDR`.
    connections: u32,
    strict: u32,
}

/// The table of ports.
#[derive(Debug)]
pub struct Ports {
    own: u32,
    ports: BTreeMap<u16, Port>,
    bound: Vec<u32>,
    next: u16,
    turn: usize,
}

fn overlap(a: u32, b: u32) -> bool {
    a == b || a == 0 || b == 0
}

impl Port {
    fn conflicts(&self, own: u32, bind: &Bind) -> bool {
        let holder = self.holders.iter().any(|held| {
            overlap(held.bind.address, bind.address)
                && (held.listener.is_some() || !(held.bind.reuse && bind.reuse))
                && !(held.bind.reuse_port && bind.reuse_port)
        });
        let connection =
            overlap(bind.address, own) && self.connections > 0 && (!bind.reuse || self.strict > 0);
        holder || connection
    }

    fn is_free(&self) -> bool {
        self.holders.is_empty() && self.connections == 0
    }
}

impl Ports {
    /// No port is held. `own` is our address, `seed` where the choice of ports starts.
    pub fn new(own: u32, seed: u16) -> Ports {
        Ports {
            own,
            ports: BTreeMap::new(),
            bound: Vec::new(),
            next: EPHEMERAL | seed,
            turn: 0,
        }
    }

    fn count(&mut self, client: usize) -> &mut u32 {
        if self.bound.len() <= client {
            self.bound.resize(client + 1, 0);
        }
        &mut self.bound[client]
    }

    /// Goes once round the ephemeral ports until `fits`.
    fn choose(&mut self, mut fits: impl FnMut(Option<&Port>, u16) -> bool) -> Option<u16> {
        for _ in EPHEMERAL..=u16::MAX {
            let port = self.next;
            self.next = port.checked_add(1).unwrap_or(EPHEMERAL);
            if fits(self.ports.get(&port), port) {
                return Some(port);
            }
        }
        None
    }

    /// Binds `port`, or one that we choose if it is 0.
    pub fn bind(&mut self, port: u16, bind: Bind) -> Result<u16, Errno> {
        if *self.count(bind.client) >= MAX_BOUND {
            return Err(Errno::NOBUFS);
        }
        let port = if port == 0 {
            self.choose(|held, _| held.is_none_or(Port::is_free))
                .ok_or(Errno::ADDRINUSE)?
        } else {
            port
        };
        let own = self.own;
        let held = self.ports.entry(port).or_default();
        if held.conflicts(own, &bind) {
            return Err(Errno::ADDRINUSE);
        }
        held.holders.push(Holder {
            bind,
            listener: None,
        });
        *self.count(bind.client) += 1;
        Ok(port)
    }

    /// The bind of `client` on `port` that nothing was made of yet.
    pub fn bound(&self, port: u16, client: usize) -> Option<Bind> {
        let held = self.ports.get(&port)?;
        held.holders
            .iter()
            .find(|held| held.listener.is_none() && held.bind.client == client)
            .map(|held| held.bind)
    }

    /// Whether a listener with this bind would get in another's way.
    pub fn may_listen(&self, port: u16, bind: &Bind) -> bool {
        self.ports.get(&port).is_some_and(|held| {
            !held.holders.iter().any(|other| {
                other.listener.is_some()
                    && overlap(other.bind.address, bind.address)
                    && !(other.bind.reuse_port && bind.reuse_port)
            })
        })
    }

    /// Turns the bind into a listener's.
    pub fn listen(&mut self, port: u16, client: usize, key: ListenerKey) {
        let held = self.ports.get_mut(&port).and_then(|held| {
            held.holders
                .iter_mut()
                .find(|held| held.listener.is_none() && held.bind.client == client)
        });
        if let Some(held) = held {
            held.listener = Some(key);
            *self.count(client) -= 1;
        }
    }

    /// The listener for a connection to our address and this port; in turn if several share it (SO_REUSEPORT).
    pub fn listener(&mut self, port: u16) -> Option<ListenerKey> {
        let held = self.ports.get(&port)?;
        let own = self.own;
        let mut all = held.holders.iter();
        let mut next =
            || all.find(|held| held.listener.is_some() && overlap(held.bind.address, own));
        let first = next()?.listener;
        let others = core::iter::from_fn(next).count();
        if others == 0 {
            return first;
        }
        self.turn = self.turn.wrapping_add(1);
        let listening = held.holders.iter();
        let mut listening = listening.filter(|held| overlap(held.bind.address, own));
        let nth = self.turn % (others + 1);
        let mut keys = core::iter::from_fn(|| listening.next()).filter_map(|held| held.listener);
        keys.nth(nth)
    }

    /// Ends a listener's hold.
    pub fn stop_listening(&mut self, port: u16, key: ListenerKey) {
        self.release(port, |held| held.listener == Some(key));
    }

    /// Gives up a bind that nothing was made of. `false`: there is none.
    pub fn unbind(&mut self, port: u16, client: usize) -> bool {
        let found = self.release(port, |held| {
            held.listener.is_none() && held.bind.client == client
        });
        if found {
            *self.count(client) -= 1;
        }
        found
    }

    /// Gives up all binds of a client that nothing was made of.
    pub fn unbind_all(&mut self, client: usize) {
        self.ports.retain(|_, held| {
            held.holders
                .retain(|held| held.listener.is_some() || held.bind.client != client);
            !held.is_free()
        });
        *self.count(client) = 0;
    }

    fn release(&mut self, port: u16, which: impl FnMut(&Holder) -> bool) -> bool {
        let Some(held) = self.ports.get_mut(&port) else {
            return false;
        };
        let Some(index) = held.holders.iter().position(which) else {
            return false;
        };
        held.holders.remove(index);
        if held.is_free() {
            self.ports.remove(&port);
        }
        true
    }

    /// Chooses a port for an outgoing connection; `taken` says whether the connection exists already.
    pub fn choose_for_connection(&mut self, mut taken: impl FnMut(u16) -> bool) -> Option<u16> {
        self.choose(|held, port| held.is_none_or(|held| held.holders.is_empty()) && !taken(port))
    }

    /// A connection takes hold of the port.
    pub fn join(&mut self, port: u16, reuse: bool) {
        let held = self.ports.entry(port).or_default();
        held.connections += 1;
        held.strict += u32::from(!reuse);
    }

    /// A connection lets go of the port.
    pub fn leave(&mut self, port: u16, reuse: bool) {
        if let Some(held) = self.ports.get_mut(&port) {
            held.connections = held.connections.saturating_sub(1);
            held.strict = held.strict.saturating_sub(u32::from(!reuse));
            if held.is_free() {
                self.ports.remove(&port);
            }
        }
    }
}
