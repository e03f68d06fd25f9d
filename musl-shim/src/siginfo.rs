// SPDX-License-Identifier: BSD-2-Clause
//! What is known about a signal (siginfo_t), and the signals that wait with it.
//!
//! A standard signal waits at most once for each target, a real-time signal as often as it was sent, in order (signal(7)). A timer's waits
//! whatever else does.

use alloc::vec::Vec;

use crate::process::{UID, pid};
use crate::shared::Shared;

/// Sent by kill(2).
pub const SI_USER: i32 = 0;
/// Sent by tgkill(2).
pub const SI_TKILL: i32 = -6;
/// A timer of timer_create(2).
pub const SI_TIMER: i32 = -2;
/// First real-time signal.
const FIRST_REAL_TIME: usize = 32;
/// Most that wait (compare RLIMIT_SIGPENDING).
const MOST: usize = 4096;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its number.
    pub signal: usize,
    /// SI_* or what the signal's own codes say.
    pub code: i32,
    /// The union's first word: process and user id, timer and overrun, or an address.
    pub first: u64,
    /// Its second: the sender's value, or a child's status.
    pub second: u64,
}

impl Info {
    /// One that a process has sent.
    pub fn from(sender: usize, signal: usize, code: i32, second: u64) -> Info {
        Info {
            signal,
            code,
            first: sender as u64 & 0xffff_ffff | (UID as u64) << 32,
            second,
        }
    }

    /// One of this process's own.
    pub fn own(signal: usize, code: i32) -> Info {
        Info::from(pid(), signal, code, 0)
    }

    /// As siginfo_t.
    pub fn siginfo(&self) -> [i32; 32] {
        let mut words = [0; 32];
        words[0] = self.signal as i32;
        words[2] = self.code;
        for (at, word) in [(4, self.first), (6, self.second)] {
            words[at] = word as i32;
            words[at + 1] = (word >> 32) as i32;
        }
        words
    }

    /// As struct signalfd_siginfo.
    pub fn signalfd_siginfo(&self) -> [u8; 128] {
        let mut bytes = [0; 128];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &(self.signal as u32).to_ne_bytes());
        put(8, &self.code.to_ne_bytes());
        let [low, high] = [self.first as u32, (self.first >> 32) as u32].map(u32::to_ne_bytes);
        let value = self.second.to_ne_bytes();
        match (self.code, self.signal) {
            (SI_TIMER, _) => {
                put(24, &low);
                put(32, &high);
                put(44, &value[..4]);
                put(48, &value);
            }
            // SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV of the processor: an address.
            (1.., 4 | 5 | 7 | 8 | 11) => put(72, &self.first.to_ne_bytes()),
            // SIGCHLD: a status.
            (1.., 17) => {
                put(12, &low);
                put(16, &high);
                put(40, &value[..4]);
            }
            (code, _) => {
                put(12, &low);
                put(16, &high);
                if code < 0 && code != SI_TKILL {
                    put(44, &value[..4]);
                    put(48, &value);
                }
            }
        }
        bytes
    }
}

/// For whom a signal waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any thread.
    Process,
    /// The thread of this number.
    Thread(usize),
}

static QUEUE: Shared<Vec<(Target, Info)>> = Shared::new(Vec::new());

/// Adds one. `false`: it waits already, or too many do.
pub fn add(target: Target, info: Info) -> bool {
    let mut queue = QUEUE.lock();
    let waits = |&(to, other): &(Target, Info)| to == target && other.signal == info.signal;
    let once = info.signal < FIRST_REAL_TIME && info.code != SI_TIMER;
    if queue.len() >= MOST || (once && queue.iter().any(waits)) {
        return false;
    }
    queue.push((target, info));
    true
}

/// Takes the one of this number that came first, and says whether more of them wait.
pub fn take(target: Target, signal: usize) -> Option<(Info, bool)> {
    let mut queue = QUEUE.lock();
    let is = |&(to, info): &(Target, Info)| to == target && info.signal == signal;
    let at = queue.iter().position(is)?;
    let (_, info) = queue.remove(at);
    Some((info, queue.iter().any(is)))
}

/// Whether one of this number waits.
pub fn waits(target: Target, signal: usize) -> bool {
    let queue = QUEUE.lock();
    queue
        .iter()
        .any(|(to, info)| *to == target && info.signal == signal)
}

/// Forgets those that `forget` picks.
pub fn forget(pick: impl Fn(Target, &Info) -> bool) {
    QUEUE.lock().retain(|(to, info)| !pick(*to, info));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::locked;

    #[test]
    fn standard_signals_wait_once_and_real_time_ones_in_order() {
        locked(|| {
            let of = |signal, value| Info::from(7, signal, -1, value);
            let here = Target::Thread(200);
            assert!(add(here, of(10, 1)));
            assert!(!add(here, of(10, 2)));
            assert!(add(here, of(40, 3)) && add(here, of(40, 4)));
            assert_eq!(take(here, 10), Some((of(10, 1), false)));
            assert_eq!(take(here, 10), None);
            assert_eq!(take(here, 40), Some((of(40, 3), true)));
            assert_eq!(take(here, 40), Some((of(40, 4), false)));
            add(here, of(40, 5));
            forget(|to, info| to == here && info.signal == 40);
            assert_eq!(take(here, 40), None);
        });
    }

    #[test]
    fn layouts_are_linuxs() {
        let info = Info::from(0x1234, 35, -1, 0x1_0000_0002);
        let words = info.siginfo();
        assert_eq!((words[0], words[2]), (35, -1));
        assert_eq!((words[4], words[5]), (0x1234, UID as i32));
        assert_eq!((words[6], words[7]), (2, 1));
        let bytes = info.signalfd_siginfo();
        assert_eq!(bytes[12..16], 0x1234u32.to_ne_bytes());
        assert_eq!(bytes[44..48], 2u32.to_ne_bytes());
        assert_eq!(bytes[48..56], 0x1_0000_0002u64.to_ne_bytes());
    }
}
