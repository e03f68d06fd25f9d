// SPDX-License-Identifier: BSD-2-Clause
//! Who has which hardware address in our network, for UDP, and datagrams that wait to learn it. smoltcp has such a table of its own for TCP, which it shows to nobody.
//!
//! Everything is bounded: addresses that are known, those that are asked for, datagrams that wait. What there is no room for is lost.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use smoltcp::time::{Duration, Instant};
use vfs_hooks::udp::End;

/// Most addresses that are known, and that are asked for at a time.
const MOST_KNOWN: usize = 256;
const MOST_ASKED: usize = 32;
/// Most datagrams that wait for one address.
const MOST_WAITING: usize = 16;
/// How long an answer counts.
const LIFE: Duration = Duration::from_secs(60);
/// How long an answer may take, and how often it is asked for.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Our port.
    pub port: u16,
    /// Where it goes.
    pub to: End,
    /// What it carries.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct Asked {
    tries: u32,
    again: Instant,
    waiting: VecDeque<Outgoing>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Neighbours {
    known: BTreeMap<u32, ([u8; 6], Instant)>,
    asked: BTreeMap<u32, Asked>,
}

impl Neighbours {
    /// The hardware address of a neighbour.
    pub fn mac(&self, ip: u32, now: Instant) -> Option<[u8; 6]> {
        let (mac, until) = self.known.get(&ip)?;
        (now < *until).then_some(*mac)
    }

    /// Keeps a datagram until the neighbour's address is known. Whether to ask for it now.
    pub fn wait(&mut self, ip: u32, datagram: Outgoing, now: Instant) -> bool {
        if let Some(asked) = self.asked.get_mut(&ip) {
            if asked.waiting.len() >= MOST_WAITING {
                asked.waiting.pop_front();
            }
            asked.waiting.push_back(datagram);
            return false;
        }
        if self.asked.len() >= MOST_ASKED {
            return false;
        }
        let asked = Asked {
            tries: 1,
            again: now + PATIENCE,
            waiting: VecDeque::from([datagram]),
        };
        self.asked.insert(ip, asked);
        true
    }

    /// Somebody said who they are. It counts if they were asked, or are known; the datagrams that waited for it.
    pub fn hear(&mut self, ip: u32, mac: [u8; 6], now: Instant) -> VecDeque<Outgoing> {
        let asked = self.asked.remove(&ip);
        if asked.is_some() || self.known.contains_key(&ip) {
            if self.known.len() >= MOST_KNOWN && !self.known.contains_key(&ip) {
                let oldest = self.known.iter().min_by_key(|(_, (_, until))| *until);
                if let Some(oldest) = oldest.map(|(ip, _)| *ip) {
                    self.known.remove(&oldest);
                }
            }
            self.known.insert(ip, (mac, now + LIFE));
        }
        asked.map(|asked| asked.waiting).unwrap_or_default()
    }

    /// Whom to ask again; for those who do not answer at all, what waited is lost.
    pub fn overdue(&mut self, now: Instant) -> Option<u32> {
        self.asked
            .retain(|_, asked| asked.again > now || asked.tries < TRIES);
        let (ip, asked) = self
            .asked
            .iter_mut()
            .find(|(_, asked)| asked.again <= now)?;
        asked.tries += 1;
        asked.again = now + PATIENCE;
        Some(*ip)
    }

    /// When [`Neighbours::overdue`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.again).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn datagram(port: u16) -> Outgoing {
        Outgoing {
            port,
            to: End { ip: 9, port: 53 },
            bytes: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn what_waits_goes_when_the_answer_comes() {
        let mut all = Neighbours::default();
        assert_eq!(all.mac(9, at(0)), None);
        assert!(all.wait(9, datagram(1), at(0)), "ask");
        assert!(!all.wait(9, datagram(2), at(0)), "asked already");
        assert_eq!(all.hear(8, MAC, at(0)), [], "nobody asked for that");
        assert_eq!(all.mac(8, at(0)), None);
        let gone = all.hear(9, MAC, at(1));
        assert_eq!(gone, [datagram(1), datagram(2)]);
        assert_eq!(all.mac(9, at(60)), Some(MAC));
        assert_eq!(all.mac(9, at(61)), None, "it has grown old");
        assert_eq!(all.hear(9, [4; 6], at(70)), [], "news of who is known");
        assert_eq!(all.mac(9, at(71)), Some([4; 6]));
    }

    #[test]
    fn who_does_not_answer_is_asked_three_times() {
        let mut all = Neighbours::default();
        all.wait(9, datagram(1), at(0));
        assert_eq!(all.deadline(), Some(at(1)));
        assert_eq!(all.overdue(at(0)), None);
        assert_eq!((all.overdue(at(1)), all.overdue(at(1))), (Some(9), None));
        assert_eq!(all.overdue(at(2)), Some(9));
        assert_eq!((all.overdue(at(3)), all.deadline()), (None, None));
        assert!(all.wait(9, datagram(2), at(4)), "a new try");
        assert_eq!(all.hear(9, MAC, at(4)), [datagram(2)]);
    }

    #[test]
    fn everything_is_bounded() {
        let mut all = Neighbours::default();
        for port in 0..1000 {
            all.wait(1, datagram(port), at(0));
        }
        for ip in 2..1000 {
            all.wait(ip, datagram(0), at(0));
        }
        assert_eq!(all.asked.len(), MOST_ASKED);
        let gone = all.hear(1, MAC, at(0));
        assert_eq!((gone.len(), gone[0].port), (MOST_WAITING, 1000 - 16));
        for ip in 0..1000 {
            all.wait(ip, datagram(0), at(ip.into()));
            all.hear(ip, MAC, at(ip.into()));
        }
        assert_eq!(all.known.len(), MOST_KNOWN);
        assert!(all.mac(999, at(1000)).is_some());
    }
}
