// SPDX-License-Identifier: BSD-2-Clause
//! Listeners: their backlog, the handshakes under way and the connections that wait for accept.
//!
//! A SYN takes a place in the backlog at once, so that a handshake that completes always finds room in the accept ring. When
//! all places are taken the SYN is dropped, as Linux does it, and the peer tries again; but a handshake that has been half open
//! for [`PATIENCE`] gives up its place first, so that a flood of SYNs nobody stands behind cannot close a port.

use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;

use smoltcp::time::{Duration, Instant};
use vfs_hooks::net::{ACCEPT_SIZE, SocketSlot};

use crate::connection::ConnectionKey;
use crate::joined::Joined;
use crate::ports::Bind;

slotmap::new_key_type! {
    /// Names a listener.
    pub struct ListenerKey;
}

/// A half-open handshake younger than this keeps its place.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long a handshake may take (Linux: 5 retransmissions).
pub const HANDSHAKE: Duration = Duration::from_secs(63);

/// Largest backlog: one connection more than the backlog may wait, as on Linux.
const MAX_BACKLOG: u32 = ACCEPT_SIZE - 1;

/// A listener.
#[derive(Debug)]
pub struct Listener {
    /// How it was bound; names the client.
    pub bind: Bind,
    /// Its port.
    pub port: u16,
    /// The channel that it lies in.
    pub joined: Joined,
    /// Several processes may hold it: connections wait here.
    pub shared: bool,
    /// Clients that are known to hold it.
    pub holders: u64,
    backlog: u32,
    /// Handshakes, oldest first, among them some that are over.
    handshakes: VecDeque<(ConnectionKey, Instant)>,
    half_open: u32,
    /// Slots of connections that were put into the accept ring and not yet seen taken out.
    queued: VecDeque<u32>,
    /// Connections that wait to be asked for.
    waiting: VecDeque<ConnectionKey>,
}

/// What to do with a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go ahead.
    Welcome,
    /// Go ahead after dropping this half-open connection.
    Instead(ConnectionKey),
    /// Drop the SYN.
    Full,
}

impl Listener {
    /// A listener with nothing waiting.
    pub fn new(bind: Bind, port: u16, joined: Joined, backlog: u64) -> Listener {
        let mut listener = Listener {
            bind,
            port,
            joined,
            shared: false,
            holders: 1 << bind.client,
            backlog: 0,
            handshakes: VecDeque::new(),
            half_open: 0,
            queued: VecDeque::new(),
            waiting: VecDeque::new(),
        };
        listener.set_backlog(backlog);
        listener
    }

    /// Sets how many connections may wait. Like Linux, takes a negative number for a very large one.
    pub fn set_backlog(&mut self, backlog: u64) {
        self.backlog = backlog.min(u64::from(MAX_BACKLOG)) as u32;
    }

    /// Forgets the connections that the client has accepted. The ring's positions are the client's word: they are only used to
    /// shorten our own list. `false`: they make no sense.
    fn trim(&mut self, header: &SocketSlot) -> bool {
        let waiting = header.accept.len(ACCEPT_SIZE);
        while waiting.is_ok_and(|waiting| self.queued.len() > waiting as usize) {
            self.queued.pop_front();
        }
        waiting.is_ok()
    }

    /// Whether a SYN may come in. `is_half_open` looks at a handshake's connection.
    pub fn admit(
        &mut self,
        now: Instant,
        is_half_open: impl Fn(ConnectionKey) -> bool,
    ) -> Admission {
        if !self.trim(self.header()) {
            return Admission::Full;
        }
        let waiting = (self.queued.len() + self.waiting.len()) as u32;
        if waiting + self.half_open <= self.backlog {
            return Admission::Welcome;
        }
        if self.half_open == 0 {
            return Admission::Full;
        }
        while let Some((key, since)) = self.handshakes.front().copied() {
            if !is_half_open(key) {
                self.handshakes.pop_front();
            } else if now >= since + PATIENCE {
                return Admission::Instead(key);
            } else {
                break;
            }
        }
        Admission::Full
    }

    /// A handshake begins.
    pub fn begin(
        &mut self,
        key: ConnectionKey,
        now: Instant,
        is_half_open: impl Fn(ConnectionKey) -> bool,
    ) {
        self.half_open += 1;
        if self.handshakes.len() as u32 > 2 * MAX_BACKLOG {
            self.handshakes.retain(|(key, _)| is_half_open(*key));
        }
        self.handshakes.push_back((key, now));
    }

    /// A handshake is over, well or not.
    pub fn end(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    fn header(&self) -> &'static SocketSlot {
        self.joined.shared().header
    }

    /// Adds to those that wait to be asked for.
    pub fn wait(&mut self, key: ConnectionKey) {
        self.waiting.push_back(key);
        self.count_waiting();
    }

    /// The one that has waited longest.
    pub fn next_waiting(&self) -> Option<ConnectionKey> {
        self.waiting.front().copied()
    }

    /// Takes it away.
    pub fn pop_waiting(&mut self) {
        self.waiting.pop_front();
        self.count_waiting();
    }

    /// Says how many wait.
    pub fn count_waiting(&self) {
        let count = self.waiting.len() as u32;
        self.header().waiting.store(count, Ordering::Release);
    }

    /// Takes away what the one process has not accepted.
    pub fn take_queued(&mut self) -> VecDeque<u32> {
        self.trim(self.header());
        core::mem::take(&mut self.queued)
    }

    /// Puts a connection into the accept ring. `false`: the client has broken the ring.
    pub fn queue(&mut self, slot: u32) -> bool {
        let header = self.header();
        if !self.trim(header) || !header.push_accept(slot) {
            return false;
        }
        self.queued.push_back(slot);
        true
    }

    /// Connections that nobody will accept any more: those half open, the slots of those in the ring, and those that wait to be asked for.
    pub fn close(
        mut self,
    ) -> (
        impl Iterator<Item = ConnectionKey>,
        impl Iterator<Item = u32>,
        impl Iterator<Item = ConnectionKey>,
    ) {
        self.trim(self.header());
        (
            self.handshakes.into_iter().map(|(key, _)| key),
            self.queued.into_iter(),
            self.waiting.into_iter(),
        )
    }
}
