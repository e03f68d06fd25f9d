// SPDX-License-Identifier: BSD-2-Clause
//! Who has which UDP port, and who of several receives a datagram. Pure bookkeeping, with Linux's rules.
//!
//! Two sockets conflict on a port if their addresses overlap, unless both set SO_REUSEADDR, or both SO_REUSEPORT. A datagram goes to the socket that says most of
//! where it goes and comes from (its own address, its peer); of several that say the same, to the one that came last.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use vfs_hooks::udp::End;

use crate::errno;

/// Ports that are chosen (net.ipv4.ip_local_port_range).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32768..=60999;

/// SO_REUSEADDR and SO_REUSEPORT, when the port was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    /// SO_REUSEADDR.
    pub address: bool,
    /// SO_REUSEPORT.
    pub port: bool,
}

/// A socket's hold on a port.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// The socket, by its channel.
    channel: usize,
    /// Own address; 0: any.
    ip: u32,
    /// From where alone it receives.
    peer: Option<End>,
    reuse: Reuse,
}

impl Hold {
    fn conflicts(&self, ip: u32, reuse: Reuse) -> bool {
        let overlap = self.ip == ip || self.ip == 0 || ip == 0;
        let both = self.reuse.address && reuse.address || self.reuse.port && reuse.port;
        overlap && !both
    }

    /// How well it fits a datagram; `None`: it does not receive it.
    fn score(&self, to: u32, from: End) -> Option<u32> {
        let own = match self.ip {
            0 => 0,
            ip if ip == to => 1,
            _ => return None,
        };
        match self.peer {
            None => Some(own),
            Some(peer) if peer == from => Some(own + 2),
            Some(_) => None,
        }
    }
}

/// The table.
#[derive(Debug)]
pub struct UdpPorts {
    ports: BTreeMap<u16, Vec<Hold>>,
    /// The port of each socket.
    of: BTreeMap<usize, u16>,
    next: u16,
}

impl Default for UdpPorts {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpPorts {
    /// Nobody has any.
    pub const fn new() -> UdpPorts {
        UdpPorts {
            ports: BTreeMap::new(),
            of: BTreeMap::new(),
            next: *EPHEMERAL.start(),
        }
    }

    /// Binds a socket to a port, or to one that is chosen if it is 0; the port. EINVAL: it is bound; EADDRINUSE.
    pub fn bind(&mut self, channel: usize, name: End, reuse: Reuse) -> Result<u16, u64> {
        if self.of.contains_key(&channel) {
            return Err(errno::EINVAL);
        }
        let port = match name.port {
            0 => self.choose().ok_or(errno::EADDRINUSE)?,
            port => port,
        };
        let holds = self.ports.entry(port).or_default();
        if holds.iter().any(|hold| hold.conflicts(name.ip, reuse)) {
            return Err(errno::EADDRINUSE);
        }
        holds.push(Hold {
            channel,
            ip: name.ip,
            peer: None,
            reuse,
        });
        self.of.insert(channel, port);
        Ok(port)
    }

    /// A port that nobody has.
    fn choose(&mut self) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = match port == *EPHEMERAL.end() {
                true => *EPHEMERAL.start(),
                false => port + 1,
            };
            if !self.ports.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }

    /// Changes a socket's own address and peer; its port. EINVAL: it is not bound.
    pub fn connect(&mut self, channel: usize, ip: u32, peer: Option<End>) -> Result<u16, u64> {
        let port = *self.of.get(&channel).ok_or(errno::EINVAL)?;
        let holds = self.ports.get_mut(&port).into_iter().flatten();
        for hold in holds.filter(|hold| hold.channel == channel) {
            (hold.ip, hold.peer) = (ip, peer);
        }
        Ok(port)
    }

    /// Ends a socket's hold; the port that it had.
    pub fn unbind(&mut self, channel: usize) -> Option<u16> {
        let port = self.of.remove(&channel)?;
        if let Some(holds) = self.ports.get_mut(&port) {
            holds.retain(|hold| hold.channel != channel);
            if holds.is_empty() {
                self.ports.remove(&port);
            }
        }
        Some(port)
    }

    /// What a socket is bound to.
    pub fn name(&self, channel: usize) -> Option<End> {
        let port = *self.of.get(&channel)?;
        let hold = self.on(port).find(|hold| hold.channel == channel)?;
        Some(End { ip: hold.ip, port })
    }

    /// The socket that receives a datagram.
    pub fn find(&self, to: End, from: End) -> Option<usize> {
        // Of equals `max_by_key` takes the last.
        let fitting = self
            .on(to.port)
            .filter_map(|hold| Some((hold.score(to.ip, from)?, hold.channel)));
        fitting
            .max_by_key(|(score, _)| *score)
            .map(|(_, channel)| channel)
    }

    fn on(&self, port: u16) -> impl Iterator<Item = &Hold> {
        self.ports.get(&port).into_iter().flatten()
    }

    /// All sockets on a port.
    pub fn sockets(&self, port: u16) -> impl Iterator<Item = usize> {
        self.on(port).map(|hold| hold.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u32 = 0x7f00_0001;
    const NONE: Reuse = Reuse {
        address: false,
        port: false,
    };
    const ADDRESS: Reuse = Reuse {
        address: true,
        port: false,
    };
    const PORT: Reuse = Reuse {
        address: false,
        port: true,
    };

    fn end(ip: u32, port: u16) -> End {
        End { ip, port }
    }

    #[test]
    fn overlapping_names_conflict_unless_both_want_to_share() {
        for (theirs, ours, shared) in [
            (NONE, NONE, false),
            (ADDRESS, NONE, false),
            (NONE, ADDRESS, false),
            (ADDRESS, PORT, false),
            (ADDRESS, ADDRESS, true),
            (PORT, PORT, true),
        ] {
            for (first, second) in [(ONE, ONE), (0, ONE), (ONE, 0)] {
                let mut ports = UdpPorts::new();
                ports.bind(1, end(first, 53), theirs).unwrap();
                let bound = ports.bind(2, end(second, 53), ours);
                assert_eq!(bound.is_ok(), shared);
                assert_eq!(ports.name(2).is_some(), shared);
            }
        }
        let mut ports = UdpPorts::new();
        ports.bind(1, end(ONE, 53), NONE).unwrap();
        ports.bind(2, end(ONE + 1, 53), NONE).unwrap();
        assert_eq!(ports.bind(2, end(9, 54), NONE), Err(errno::EINVAL));
        assert_eq!(ports.unbind(1), Some(53));
        assert_eq!(ports.unbind(1), None);
        ports.bind(3, end(ONE, 53), NONE).unwrap();
    }

    #[test]
    fn who_says_most_receives_and_of_equals_the_last() {
        let mut ports = UdpPorts::new();
        let (peer, other) = (end(ONE, 9), end(ONE, 8));
        ports.bind(1, end(ONE, 53), ADDRESS).unwrap();
        assert_eq!(ports.connect(1, ONE, Some(peer)), Ok(53));
        ports.bind(2, end(ONE, 53), ADDRESS).unwrap();
        ports.bind(3, end(0, 53), ADDRESS).unwrap();
        assert_eq!(ports.find(end(ONE, 53), peer), Some(1));
        assert_eq!(ports.find(end(ONE, 53), other), Some(2));
        assert_eq!(ports.find(end(ONE + 1, 53), peer), Some(3));
        assert_eq!(ports.find(end(ONE, 54), peer), None);
        ports.bind(4, end(ONE, 53), ADDRESS).unwrap();
        assert_eq!(ports.find(end(ONE, 53), other), Some(4));
        assert_eq!(ports.sockets(53).collect::<Vec<_>>(), [1, 2, 3, 4]);
        ports.connect(4, ONE, Some(other)).unwrap();
        ports.unbind(2);
        ports.unbind(3);
        assert_eq!(ports.find(end(ONE, 53), end(ONE, 7)), None);
        assert_eq!(ports.connect(7, 0, None), Err(errno::EINVAL));
    }

    #[test]
    fn free_ports_are_chosen_until_there_are_none() {
        let mut ports = UdpPorts::new();
        for channel in 0..EPHEMERAL.len() {
            ports.bind(channel, end(0, 0), NONE).unwrap();
        }
        let none = ports.bind(99_999, end(0, 0), NONE);
        assert_eq!(none, Err(errno::EADDRINUSE));
        ports.unbind(7);
        assert_eq!(ports.bind(99_999, end(0, 0), NONE), Ok(32768 + 7));
    }
}
