// SPDX-License-Identifier: BSD-2-Clause
//! TCP ports of the machine, and who holds which, by the rules of Linux's `inet_csk_get_port`: a bind conflicts with a hold of an overlapping address, unless
//! both want SO_REUSEADDR and nobody listens, or both want SO_REUSEPORT. Connections hold their ports, too. The net server has a table of its own for what comes from
//! outside; ports from [`OUTSIDE`] on are its to choose.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::errno;

/// Ports for connections within a process are given out in blocks of this many.
pub const BLOCK: u16 = vfs_hooks::wire::PORT_BLOCK;
/// Where these blocks come from.
const LEASED: core::ops::Range<u16> = 32768..40960;
/// Ports that are chosen one by one.
const CHOSEN: core::ops::Range<u16> = LEASED.end..OUTSIDE;
/// From here on the net server chooses.
pub const OUTSIDE: u16 = 49152;

/// An address and a port.
pub type End = (u32, u16);

/// How a port is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Own address; 0 is all of them.
    pub address: u32,
    /// SO_REUSEADDR.
    pub reuse: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
}

#[derive(Debug)]
struct Hold {
    claim: Claim,
    /// The channel that holds it.
    channel: usize,
    listening: bool,
    /// Whom it is connected to.
    peer: Option<End>,
}

/// Who holds what.
#[derive(Debug)]
pub struct Ports {
    holds: BTreeMap<u16, Vec<Hold>>,
    next: u16,
    /// First ports of blocks, and the processes that have them.
    leases: BTreeMap<u16, usize>,
    /// Whose turn it is among those that listen at one port (SO_REUSEPORT).
    turn: usize,
}

impl Default for Ports {
    fn default() -> Self {
        Ports {
            holds: BTreeMap::new(),
            next: CHOSEN.start,
            leases: BTreeMap::new(),
            turn: 0,
        }
    }
}

fn overlap(a: u32, b: u32) -> bool {
    a == b || a == 0 || b == 0
}

impl Hold {
    fn conflicts(&self, claim: &Claim) -> bool {
        let own = &self.claim;
        let may_share = own.reuse && claim.reuse && !self.listening;
        overlap(own.address, claim.address) && !may_share && !(own.reuse_port && claim.reuse_port)
    }
}

impl Ports {
    fn of(&self, port: u16) -> &[Hold] {
        self.holds.get(&port).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, port: u16, claim: Claim, channel: usize, peer: Option<End>) {
        self.holds.entry(port).or_default().push(Hold {
            claim,
            channel,
            listening: false,
            peer,
        });
    }

    /// A port that nobody holds.
    fn choose(&mut self) -> Option<u16> {
        for _ in CHOSEN {
            let port = self.next;
            self.next = match port + 1 {
                next if next < CHOSEN.end => next,
                _ => CHOSEN.start,
            };
            if !self.holds.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }

    /// bind(2) for a channel; port 0: one that is chosen. The port, or EADDRINUSE.
    pub fn bind(&mut self, port: u16, claim: Claim, channel: usize) -> Result<u16, u64> {
        let port = match port {
            0 => self.choose().ok_or(errno::EADDRINUSE)?,
            port => port,
        };
        if self.of(port).iter().any(|hold| hold.conflicts(&claim)) {
            return Err(errno::EADDRINUSE);
        }
        self.add(port, claim, channel, None);
        Ok(port)
    }

    /// listen(2). EADDRINUSE: another does, there.
    pub fn listen(&mut self, port: u16, channel: usize) -> Result<(), u64> {
        let holds = self.holds.get_mut(&port).ok_or(errno::EINVAL)?;
        let own = holds.iter().position(|hold| hold.channel == channel);
        let own = own.ok_or(errno::EINVAL)?;
        let claim = holds[own].claim;
        let conflicts = |hold: &Hold| {
            hold.listening
                && hold.channel != channel
                && overlap(hold.claim.address, claim.address)
                && !(hold.claim.reuse_port && claim.reuse_port)
        };
        if holds.iter().any(conflicts) {
            return Err(errno::EADDRINUSE);
        }
        holds[own].listening = true;
        Ok(())
    }

    /// The channel of the listener that a connection to `to` reaches: one on just that address before one on all, in turn if several share it.
    pub fn listener(&mut self, (address, port): End) -> Option<usize> {
        let on = |own: u32| -> Vec<usize> {
            let holds = self.of(port).iter();
            let found = holds.filter(|hold| hold.listening && hold.claim.address == own);
            found.map(|hold| hold.channel).collect()
        };
        let mut found = on(address);
        if found.is_empty() {
            found = on(0);
        }
        match found.len() {
            0 => None,
            count => {
                self.turn = self.turn.wrapping_add(1);
                Some(found[self.turn % count])
            }
        }
    }

    /// A connection of a channel holds the ports of both its ends; `from` with port 0: one that is chosen. The port of that end; EADDRNOTAVAIL: there is none, or there is
    /// such a connection already.
    pub fn connect(&mut self, from: End, to: End, channel: usize) -> Result<u16, u64> {
        let port = match from.1 {
            0 => self.choose().ok_or(errno::EADDRNOTAVAIL)?,
            port => port,
        };
        let same = |hold: &Hold| hold.peer == Some(to) && hold.claim.address == from.0;
        if self.of(port).iter().any(same) {
            return Err(errno::EADDRNOTAVAIL);
        }
        // A server's connections stand in the way of a new bind as the server's own does.
        let listens = |hold: &&Hold| hold.listening && overlap(hold.claim.address, to.0);
        let server = self.of(to.1).iter().find(listens).map(|hold| hold.claim);
        let own = Claim {
            address: from.0,
            // A port that was chosen is this connection's alone.
            reuse: from.1 != 0,
            reuse_port: false,
        };
        self.add(port, own, channel, Some(to));
        let server = server.unwrap_or(own);
        let server = Claim {
            address: to.0,
            ..server
        };
        self.add(to.1, server, channel, Some((from.0, port)));
        Ok(port)
    }

    /// A channel gives up its holds of a port.
    pub fn release(&mut self, port: u16, channel: usize) {
        if let Some(holds) = self.holds.get_mut(&port) {
            holds.retain(|hold| hold.channel != channel);
            if holds.is_empty() {
                self.holds.remove(&port);
            }
        }
    }

    /// A block of ports for connections within a process; the first one.
    pub fn lease(&mut self, process: usize) -> Option<u16> {
        let blocks = LEASED.step_by(BLOCK.into());
        let free = |first: &u16| {
            let held = self.holds.range(*first..*first + BLOCK).next().is_some();
            !held && !self.leases.contains_key(first)
        };
        let first = blocks.into_iter().find(free)?;
        self.leases.insert(first, process);
        Some(first)
    }

    /// A process has ended.
    pub fn end_leases(&mut self, process: usize) {
        self.leases.retain(|_, owner| *owner != process);
    }

    /// Ports that are held.
    pub fn count(&self) -> usize {
        self.holds.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: u32 = 0x7f00_0001;

    fn claim(address: u32, reuse: bool, reuse_port: bool) -> Claim {
        Claim {
            address,
            reuse,
            reuse_port,
        }
    }

    const PLAIN: Claim = Claim {
        address: 0,
        reuse: false,
        reuse_port: false,
    };

    #[test]
    fn binds_conflict_as_on_linux() {
        let taken = Err(errno::EADDRINUSE);
        for (first, second, listens, expected) in [
            (PLAIN, PLAIN, false, taken),
            (claim(0, true, false), PLAIN, false, taken),
            (PLAIN, claim(0, true, false), false, taken),
            (claim(0, true, false), claim(0, true, false), false, Ok(80)),
            (claim(0, true, false), claim(0, true, false), true, taken),
            (claim(0, false, true), claim(0, false, true), true, Ok(80)),
            (claim(0, false, true), claim(0, true, false), false, taken),
            (claim(LOOPBACK, false, false), PLAIN, false, taken),
            (
                claim(LOOPBACK, false, false),
                claim(LOOPBACK + 1, false, false),
                true,
                Ok(80),
            ),
        ] {
            let mut ports = Ports::default();
            assert_eq!(ports.bind(80, first, 1), Ok(80));
            if listens {
                ports.listen(80, 1).unwrap();
            }
            assert_eq!(ports.bind(80, second, 2), expected, "{first:?} {second:?}");
            ports.release(80, 1);
            ports.release(80, 2);
            assert_eq!(ports.count(), 0);
        }
    }

    #[test]
    fn one_listens_unless_they_share() {
        for (shares, second) in [(false, Err(errno::EADDRINUSE)), (true, Ok(()))] {
            let mut ports = Ports::default();
            let both = claim(0, true, shares);
            ports.bind(80, both, 1).unwrap();
            ports.bind(80, both, 2).unwrap();
            assert_eq!(ports.listener((LOOPBACK, 80)), None);
            ports.listen(80, 1).unwrap();
            assert_eq!(ports.listen(80, 1), Ok(()), "once more");
            assert_eq!(ports.listen(80, 2), second);
            assert_eq!(ports.listen(81, 1), Err(errno::EINVAL));
            assert_eq!(ports.listen(80, 9), Err(errno::EINVAL));
            let found: Vec<_> = (0..4).map(|_| ports.listener((LOOPBACK, 80))).collect();
            assert_eq!(found.contains(&Some(2)), shares);
            assert!(found.contains(&Some(1)));
        }
    }

    #[test]
    fn the_nearer_address_is_reached_first() {
        let mut ports = Ports::default();
        let shared = |address| claim(address, false, true);
        ports.bind(80, shared(0), 1).unwrap();
        ports.bind(80, shared(LOOPBACK), 2).unwrap();
        ports.listen(80, 1).unwrap();
        ports.listen(80, 2).unwrap();
        assert_eq!(ports.listener((LOOPBACK, 80)), Some(2));
        assert_eq!(ports.listener((LOOPBACK + 7, 80)), Some(1));
        assert_eq!(ports.listener((LOOPBACK, 81)), None);
    }

    #[test]
    fn a_connection_has_a_port_of_its_own_and_holds_the_servers() {
        let mut ports = Ports::default();
        ports.bind(80, claim(0, true, false), 1).unwrap();
        ports.listen(80, 1).unwrap();
        let (from, to) = ((LOOPBACK, 0), (LOOPBACK, 80));
        let first = ports.connect(from, to, 2).unwrap();
        let second = ports.connect(from, to, 3).unwrap();
        assert_ne!(first, second);
        assert!(CHOSEN.contains(&first));
        assert_eq!(ports.bind(first, PLAIN, 4), Err(errno::EADDRINUSE));
        assert_eq!(
            ports.connect((LOOPBACK, first), to, 5),
            Err(errno::EADDRNOTAVAIL),
            "there is such a connection"
        );
        ports.release(80, 1);
        assert_eq!(ports.bind(80, PLAIN, 6), Err(errno::EADDRINUSE));
        assert_eq!(ports.bind(80, claim(0, true, false), 6), Ok(80));
        ports.release(80, 6);
        for (port, channel) in [(first, 2), (80, 2), (second, 3), (80, 3)] {
            ports.release(port, channel);
        }
        assert_eq!(ports.count(), 0);
    }

    #[test]
    fn chooses_free_ports_until_there_are_none() {
        let mut ports = Ports::default();
        for channel in 0..CHOSEN.len() {
            ports.bind(0, PLAIN, channel).unwrap();
        }
        assert_eq!(ports.bind(0, PLAIN, 9), Err(errno::EADDRINUSE));
        let connected = ports.connect((LOOPBACK, 0), (LOOPBACK, 80), 9);
        assert_eq!(connected, Err(errno::EADDRNOTAVAIL));
    }

    #[test]
    fn blocks_are_nobody_elses_until_their_process_ends() {
        let mut ports = Ports::default();
        ports.bind(LEASED.start + 3, PLAIN, 1).unwrap();
        let first = ports.lease(7).unwrap();
        assert_eq!(first, LEASED.start + BLOCK, "the first has a port in use");
        let count = LEASED.len() / usize::from(BLOCK) - 2;
        for _ in 0..count {
            let next = ports.lease(8).unwrap();
            assert_ne!(next, first);
        }
        assert_eq!(ports.lease(9), None);
        ports.end_leases(7);
        assert_eq!(ports.lease(9), Some(first));
    }
}
