// SPDX-License-Identifier: BSD-2-Clause
//! A connection: smoltcp's socket on one side, a slot of shared memory on the other, and what happened to it.

use alloc::vec::Vec;

use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::{Duration, Instant};

use crate::errno::Errno;
use crate::frame::{Segment, Sent};
use crate::joined::Joined;
use crate::listener::{HANDSHAKE, ListenerKey};
use crate::timers::Armed;
use crate::tuple::Tuple;
use crate::wire::Wire;
use vfs_hooks::net as channel;

slotmap::new_key_type! {
    /// Names a connection.
    pub struct ConnectionKey;
}

// Linux's default times.
/// How long an outgoing handshake may take (6 retransmissions of the SYN).
const CONNECT: Duration = Duration::from_secs(127);
/// How long the neighbour may stay unknown meanwhile (3 ARP requests).
const NEIGHBOUR: Duration = Duration::from_secs(3);
/// How long data may stay without any answer (15 retransmissions).
const ANSWER: Duration = Duration::from_secs(924);
/// How long a closed connection waits for the peer.
const ORPHAN: Duration = Duration::from_secs(60);
/// Silence after which a connection with `SO_KEEPALIVE` is probed, how often, and how many probes stay unanswered.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(7200);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(75);
const KEEP_ALIVE_PROBES: u32 = 9;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// Its socket.
    pub wire: Wire,
    /// The two ends.
    pub tuple: Tuple,
    /// Whose it is.
    pub client: usize,
    /// Its slot; `None` once the client has closed it, and while it is not in one.
    pub slot: Option<u32>,
    /// The channel that it lies in instead, if several processes can have it.
    pub apart: Option<Joined>,
    /// It waits at a listener of several processes, and belongs to none of them yet.
    pub unclaimed: bool,
    /// What had come to a slot that it was taken out of.
    pub parked: Vec<u8>,
    /// While the handshake of an incoming connection is under way.
    pub listener: Option<ListenerKey>,
    /// `SO_REUSEADDR` of the socket that it came from.
    pub reuse: bool,
    /// It is in the table of tuples: segments still come and go.
    pub attached: bool,
    /// It waits for its turn.
    pub touched: Option<usize>,
    /// Something came since its last turn that a client may read.
    pub news: bool,
    /// Its entry among the timers.
    pub armed: Armed,
    /// The last segment sent; `None` before the first.
    pub sent: Option<Sent>,
    /// What the client was told.
    pub published: channel::State,
    /// What ended it, if it did not end well.
    pub error: Option<Errno>,
    /// `SO_KEEPALIVE`.
    pub keep_alive: bool,
    /// It ended before the peer answered: no RST is due.
    pub silent: bool,
    /// The client closed it with something unread: a reset follows what it had written.
    pub reset_follows: bool,
    /// The peer's FIN has come.
    pub peer_done: bool,
    /// smoltcp's state at the last look: what it was before the next segment.
    state: State,
    /// When it began; when the client closed it.
    since: Instant,
    /// When the peer was last heard.
    heard: Instant,
    /// When something began to be waited for, or the wait last made progress.
    progress: Instant,
    waiting: bool,
    queued: usize,
}

impl Connection {
    /// A connection whose handshake begins.
    pub fn new(wire: Wire, tuple: Tuple, client: usize, slot: Option<u32>, now: Instant) -> Self {
        Connection {
            wire,
            tuple,
            client,
            slot,
            apart: None,
            unclaimed: false,
            parked: Vec::new(),
            listener: None,
            reuse: false,
            attached: true,
            touched: None,
            news: false,
            armed: Armed::default(),
            sent: None,
            published: channel::State::empty(),
            error: None,
            keep_alive: false,
            silent: false,
            reset_follows: false,
            peer_done: false,
            state: State::Closed,
            since: now,
            heard: now,
            progress: now,
            waiting: false,
            queued: 0,
        }
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.wire.socket()
    }

    /// smoltcp's state.
    pub fn state(&self) -> State {
        self.wire.peek().state()
    }

    /// Nobody will ever hold it: the client has closed it.
    pub fn is_orphan(&self) -> bool {
        self.slot.is_none() && self.apart.is_none() && !self.unclaimed
    }

    /// Before a segment goes to smoltcp.
    pub fn before_segment(&mut self, now: Instant) {
        self.state = self.state();
        self.heard = now;
        if self.wire.peek().keep_alive().is_some() {
            self.socket().set_keep_alive(None);
        }
    }

    /// Whether a segment says no more than that our FIN, with all before it acknowledged, has not come. It must not go to smoltcp 0.14:
    /// the third of them stops its retransmission timer, and its fast retransmission sends data only, so the FIN would never go out again.
    pub fn only_fin_is_due(&self, segment: &Segment) -> bool {
        let Some(sent) = self.sent else { return false };
        matches!(
            self.state,
            State::FinWait1 | State::Closing | State::LastAck
        ) && self.wire.peek().send_queue() == 0
            && segment.length() == 0
            && !segment.is_reset()
            && segment.acknowledged == sent.next.wrapping_sub(1)
            && segment.sequence == sent.acknowledged
    }

    /// After it; `reset`: it carried RST. Derives from the former state what a reset means, as tcp_reset of Linux does.
    pub fn after_segment(&mut self, reset: bool, now: Instant) {
        let state = self.state();
        if reset && state == State::Closed && self.error.is_none() {
            self.error = match self.state {
                State::Closed | State::TimeWait => None,
                State::SynSent => Some(Errno::CONNREFUSED),
                State::CloseWait => Some(Errno::PIPE),
                _ => Some(Errno::CONNRESET),
            };
        }
        let came = matches!(
            state,
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        self.peer_done |= came;
        if !self.is_orphan() || state != self.state {
            self.progress = now;
        }
        self.state = state;
    }

    /// Ends it with an error. The socket sends RST if the peer knows the connection.
    pub fn fail(&mut self, error: Errno) {
        self.error.get_or_insert(error);
        self.abort();
    }

    /// Ends it at once: by RST, or without a word if the peer has never answered.
    pub fn abort(&mut self) {
        self.silent |= self.state() == State::SynSent;
        self.socket().abort();
    }

    /// The client has closed it.
    pub fn orphan(&mut self, now: Instant) {
        self.slot = None;
        self.apart = None;
        self.unclaimed = false;
        self.since = now;
        self.progress = now;
    }

    /// Keeps the times of what is waited for. Call it when the socket has had its turn.
    pub fn note_progress(&mut self, now: Instant) {
        let socket = self.wire.peek();
        let queued = socket.send_queue();
        let waiting = queued > 0
            || matches!(
                socket.state(),
                State::FinWait1 | State::Closing | State::LastAck
            );
        if waiting && (!self.waiting || queued < self.queued) {
            self.progress = now;
        }
        self.waiting = waiting;
        self.queued = queued;
        if self.keep_alive && !self.is_orphan() && now >= self.heard + KEEP_ALIVE_IDLE {
            self.socket().set_keep_alive(Some(KEEP_ALIVE_INTERVAL));
        }
    }

    /// When patience ends, beside smoltcp's own timers.
    pub fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        let neighbour = self.sent.is_none().then_some(self.since + NEIGHBOUR);
        let handshake = if self.listener.is_some() {
            Some(self.since + HANDSHAKE)
        } else if state == State::SynSent {
            neighbour.or(Some(self.since + CONNECT))
        } else {
            None
        };
        let patience = if self.is_orphan() { ORPHAN } else { ANSWER };
        let answer = self.waiting.then_some(self.progress + patience);
        let fin = (self.is_orphan() && state == State::FinWait2).then_some(self.since + ORPHAN);
        let silence = (self.keep_alive && !self.is_orphan() && !self.waiting).then(|| {
            let probing = self.wire.peek().keep_alive().is_some();
            let probes = if probing { KEEP_ALIVE_PROBES } else { 0 };
            self.heard + KEEP_ALIVE_IDLE + KEEP_ALIVE_INTERVAL * probes
        });
        [handshake, answer, fin, silence]
            .into_iter()
            .flatten()
            .min()
    }

    /// What it means that [`Connection::deadline`] has passed.
    pub fn overdue(&self) -> Overdue {
        if self.listener.is_some() {
            Overdue::Drop
        } else if self.state() == State::SynSent && self.sent.is_none() {
            Overdue::Fail(Errno::HOSTUNREACH)
        } else if self.keep_alive
            && !self.is_orphan()
            && !self.waiting
            && self.state() != State::SynSent
            && self.wire.peek().keep_alive().is_none()
        {
            Overdue::Probe
        } else {
            Overdue::Fail(Errno::TIMEDOUT)
        }
    }
}

/// What to do when a connection's patience has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// Forget it; nobody knows of it.
    Drop,
    /// Begin to probe the peer.
    Probe,
    /// It has failed.
    Fail(Errno),
}
