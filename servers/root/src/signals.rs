// SPDX-License-Identifier: BSD-2-Clause
//! Signals on their way to a process: sent by others, taken by its shim one by one (TAKE_SIGNAL).

use alloc::collections::VecDeque;

use vfs_hooks::sync::Ordering;

use crate::process::Process;

/// First real-time signal: these wait as often as they are sent, the others once (signal(7)).
const FIRST_REAL_TIME: u32 = 32;
/// Most that wait in one process.
const MOST: usize = 1024;
/// SIGCHLD, and what it says of the child (sigaction(2)).
const SIGCHLD: u32 = 17;
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub signal: u32,
    /// si_code.
    pub code: i32,
    /// Who sent it, or the child.
    pub pid: u32,
    /// si_value, or the child's status.
    pub value: u64,
}

impl Sent {
    /// The news that a child has ended with this wait status.
    pub fn of_child(pid: u32, status: u32) -> Sent {
        let (code, value) = match status & 0x7f {
            0 => (CLD_EXITED, status >> 8 & 0xff),
            signal => (CLD_KILLED, signal),
        };
        Sent {
            signal: SIGCHLD,
            code,
            pid,
            value: value.into(),
        }
    }

    /// As TAKE_SIGNAL answers.
    pub fn words(&self) -> [u64; 3] {
        let code = u64::from(self.code as u32) << 32;
        [code | u64::from(self.signal), self.pid.into(), self.value]
    }
}

/// Those that a process has not taken yet.
#[derive(Debug, Default)]
pub struct Signals(VecDeque<Sent>);

impl Process {
    /// Adds a signal to those that it is to take. `false`: too many wait.
    pub fn send_signal(&mut self, sent: Sent) -> bool {
        let waiting = &mut self.signals.0;
        let waits = waiting.iter().any(|other| other.signal == sent.signal);
        if sent.signal >= FIRST_REAL_TIME || !waits {
            if waiting.len() >= MOST {
                return false;
            }
            waiting.push_back(sent);
            self.info()
                .signals
                .fetch_or(1 << (sent.signal - 1), Ordering::Release);
        }
        self.attend(1 << (sent.signal - 1));
        true
    }

    /// TAKE_SIGNAL: the one that waits longest; zeroes for none.
    pub fn take_signal(&mut self) -> [u64; 3] {
        let waiting = &mut self.signals.0;
        let taken = waiting.pop_front();
        let left = waiting.iter().fold(0, |set, s| set | 1 << (s.signal - 1));
        self.info().signals.store(left, Ordering::Release);
        taken.map_or([0; 3], |sent| sent.words())
    }
}
