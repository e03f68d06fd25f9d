// SPDX-License-Identifier: BSD-2-Clause
//! Which connection a segment belongs to: the table of 4-tuples, and the connections that remain in it only as a memory
//! (TIME-WAIT).
//!
//! Our own address is the same for all, so a tuple is three numbers. The hash is seeded at boot: peers
//! choose their ports and must not be able to choose their place in the table.

use alloc::collections::VecDeque;
use core::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use smoltcp::time::{Duration, Instant};

use crate::connection::ConnectionKey;
use crate::frame::Sent;

/// Most connections in TIME-WAIT; beyond that the oldest is forgotten.
pub const MAX_TIME_WAIT: usize = 8192;
/// How long one stays there (as on Linux).
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// The peer's address and port, and our port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Peer's IPv4 address, most significant byte first in the number.
    pub peer: u32,
    /// Peer's port.
    pub peer_port: u16,
    /// Our port.
    pub port: u16,
}

impl Tuple {
    fn number(&self) -> u64 {
        u64::from(self.peer) << 32 | u64::from(self.peer_port) << 16 | u64::from(self.port)
    }
}

/// Multiplies and folds a number with two secret ones.
#[derive(Clone, Debug)]
struct Seed([u64; 2]);

struct Fold {
    seed: [u64; 2],
    hash: u64,
}

impl BuildHasher for Seed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold {
            seed: self.0,
            hash: 0,
        }
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        // Odd multipliers: a factor of zero would lose everything.
        let first = fold(self.hash ^ number ^ self.seed[0], self.seed[1] | 1);
        self.hash = fold(first ^ self.seed[1], 0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// What the table knows of a tuple.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A connection.
    Connection(ConnectionKey),
    /// A connection that has ended lately: how many were put there before it.
    TimeWait(u64),
}

#[derive(Debug)]
struct Ended {
    tuple: Tuple,
    sent: Sent,
    reuse: bool,
    until: Instant,
    /// Not forgotten, and its tuple not taken by a new connection.
    live: bool,
}

/// All tuples in use.
#[derive(Debug)]
pub struct Tuples {
    map: HashMap<u64, Entry, Seed>,
    /// In the order of their ends, which all lie equally far ahead.
    ended: VecDeque<Ended>,
    /// How many have left `ended` at its front.
    forgotten: u64,
}

impl Tuples {
    /// An empty table with a secret.
    pub fn new(seed: [u64; 2]) -> Tuples {
        Tuples {
            map: HashMap::with_hasher(Seed(seed)),
            ended: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// What is known of `tuple`.
    pub fn get(&self, tuple: &Tuple) -> Option<Entry> {
        self.map.get(&tuple.number()).copied()
    }

    /// Adds a connection.
    pub fn insert(&mut self, tuple: &Tuple, key: ConnectionKey) {
        self.map.insert(tuple.number(), Entry::Connection(key));
    }

    /// Removes a connection.
    pub fn remove(&mut self, tuple: &Tuple) {
        self.map.remove(&tuple.number());
    }

    /// Turns a connection into a memory of what it said last. Returns the port and reuse flag of one that had to make room.
    pub fn end(
        &mut self,
        tuple: &Tuple,
        sent: Sent,
        reuse: bool,
        now: Instant,
    ) -> Option<(u16, bool)> {
        let made_room = (self.ended.len() >= MAX_TIME_WAIT)
            .then(|| self.pop_oldest())
            .flatten();
        let number = self.forgotten + self.ended.len() as u64;
        self.map.insert(tuple.number(), Entry::TimeWait(number));
        self.ended.push_back(Ended {
            tuple: *tuple,
            sent,
            reuse,
            until: now + TIME_WAIT,
            live: true,
        });
        made_room
    }

    /// What an ended connection said last.
    pub fn last_words(&self, number: u64) -> Option<Sent> {
        let ended = self
            .ended
            .get(number.checked_sub(self.forgotten)? as usize)?;
        ended.live.then_some(ended.sent)
    }

    /// Forgets an ended connection: its tuple begins anew. Returns its port and reuse flag.
    pub fn forget(&mut self, number: u64) -> Option<(u16, bool)> {
        let index = number.checked_sub(self.forgotten)? as usize;
        let ended = self.ended.get_mut(index).filter(|ended| ended.live)?;
        ended.live = false;
        let (tuple, reuse) = (ended.tuple, ended.reuse);
        self.map.remove(&tuple.number());
        Some((tuple.port, reuse))
    }

    /// Forgets one whose time is over at `now`. Call it until it returns `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(u16, bool)> {
        while self.ended.front()?.until <= now || !self.ended.front()?.live {
            if let Some(left) = self.pop_oldest() {
                return Some(left);
            }
        }
        None
    }

    /// How many are in TIME-WAIT.
    #[cfg(test)]
    pub fn ended(&self) -> usize {
        self.ended.iter().filter(|ended| ended.live).count()
    }

    fn pop_oldest(&mut self) -> Option<(u16, bool)> {
        let ended = self.ended.pop_front()?;
        self.forgotten += 1;
        if !ended.live {
            return None;
        }
        self.map.remove(&ended.tuple.number());
        Some((ended.tuple.port, ended.reuse))
    }
}
