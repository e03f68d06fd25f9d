// SPDX-License-Identifier: BSD-2-Clause
//! TCP ports that this process's sockets hold, with the rules of bind(2) and SO_REUSEADDR. Pure bookkeeping.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Ports for loopback connections whose own end was not bound; the net server chooses above them.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32768..=49151;

/// How a socket holds a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Own address; 0 is all of them.
    pub address: u32,
    /// SO_REUSEADDR when it was bound.
    pub reuse: bool,
    /// It listens there.
    pub listening: bool,
}

impl Hold {
    fn overlaps(&self, address: u32) -> bool {
        self.address == 0 || address == 0 || self.address == address
    }
}

/// Who holds what.
#[derive(Debug)]
pub struct Ports {
    /// Holds of a port with the number of sockets that hold it alike: connections of a server are many.
    holds: BTreeMap<u16, Vec<(Hold, usize)>>,
    next: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl Ports {
    /// Nothing is held.
    pub const fn new() -> Ports {
        Ports {
            holds: BTreeMap::new(),
            next: *EPHEMERAL.start(),
        }
    }

    /// Whether a bind must fail (EADDRINUSE): an overlapping hold is there, unless both want reuse and it does not listen.
    pub fn conflicts(&self, port: u16, address: u32, reuse: bool) -> bool {
        self.of(port)
            .any(|hold| hold.overlaps(address) && !(reuse && hold.reuse && !hold.listening))
    }

    /// Whether a listen must fail: somebody listens there already.
    pub fn is_listened_on(&self, port: u16, address: u32) -> bool {
        self.of(port)
            .any(|hold| hold.listening && hold.overlaps(address))
    }

    fn of(&self, port: u16) -> impl Iterator<Item = &Hold> {
        let holds = self.holds.get(&port).into_iter().flatten();
        holds.map(|(hold, _)| hold)
    }

    /// Adds a socket's hold.
    pub fn add(&mut self, port: u16, hold: Hold) {
        let holds = self.holds.entry(port).or_default();
        match holds.iter_mut().find(|(other, _)| *other == hold) {
            Some((_, count)) => *count += 1,
            None => holds.push((hold, 1)),
        }
    }

    /// Takes a socket's hold back.
    pub fn remove(&mut self, port: u16, hold: Hold) {
        let Some(holds) = self.holds.get_mut(&port) else {
            return;
        };
        if let Some(at) = holds.iter().position(|(other, _)| *other == hold) {
            holds[at].1 -= 1;
            if holds[at].1 == 0 {
                holds.swap_remove(at);
            }
        }
        if holds.is_empty() {
            self.holds.remove(&port);
        }
    }

    /// A port that nobody holds; `None`: all are taken.
    pub fn choose(&mut self) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() {
                *EPHEMERAL.start()
            } else {
                port + 1
            };
            if !self.holds.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: u32 = 0x7f00_0001;

    fn hold(address: u32, reuse: bool, listening: bool) -> Hold {
        Hold {
            address,
            reuse,
            listening,
        }
    }

    #[test]
    fn reuse_only_if_both_want_it_and_none_listens() {
        for (theirs, ours, listening, conflict) in [
            (false, false, false, true),
            (true, false, false, true),
            (false, true, false, true),
            (true, true, false, false),
            (true, true, true, true),
        ] {
            let mut ports = Ports::new();
            ports.add(80, hold(0, theirs, listening));
            assert_eq!(ports.conflicts(80, LOOPBACK, ours), conflict);
            assert!(!ports.conflicts(81, LOOPBACK, ours));
        }
    }

    #[test]
    fn addresses_that_differ_do_not_conflict() {
        let mut ports = Ports::new();
        ports.add(80, hold(LOOPBACK, false, true));
        assert!(ports.conflicts(80, 0, true));
        assert!(!ports.conflicts(80, LOOPBACK + 1, false));
        assert!(ports.is_listened_on(80, LOOPBACK) && !ports.is_listened_on(80, LOOPBACK + 1));
    }

    #[test]
    fn holds_are_counted() {
        let mut ports = Ports::new();
        ports.add(80, hold(0, false, false));
        ports.add(80, hold(0, false, false));
        ports.remove(80, hold(0, false, false));
        assert!(ports.conflicts(80, 0, false));
        ports.remove(80, hold(0, false, false));
        assert!(!ports.conflicts(80, 0, false));
        ports.remove(80, hold(0, false, false));
    }

    #[test]
    fn chooses_free_ports_round_and_round() {
        let mut ports = Ports::new();
        let first = ports.choose().unwrap();
        ports.add(first + 1, hold(0, false, false));
        assert_eq!(ports.choose(), Some(first + 2));
        for port in EPHEMERAL {
            ports.add(port, hold(0, true, false));
        }
        assert_eq!(ports.choose(), None);
    }
}
