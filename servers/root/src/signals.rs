// SPDX-License-Identifier: BSD-2-Clause
//! Signals on their way to a process: sent by others, taken by its shim one by one (TAKE_SIGNAL).

use alloc::collections::VecDeque;

use root_server::family::Pid;
use vfs_hooks::process::badge;
use vfs_hooks::sync::Ordering;

use crate::memory::can_remember;
use crate::process::Process;
use crate::system::System;

/// First real-time signal: these wait as often as they are sent, the others once (signal(7)).
const FIRST_REAL_TIME: u32 = 32;
/// Most that wait in one process.
const MOST: usize = 1024;
/// SIGCHLD, and what it says of the child (sigaction(2)).
const SIGCHLD: u32 = 17;
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_STOPPED: i32 = 5;
const CLD_CONTINUED: i32 = 6;
pub const SIGCONT: u32 = 18;
/// Stops; cannot be handled.
pub const SIGSTOP: u32 = 19;
/// SIGTTOU, the last of the four that stop.
const LAST_STOP: u32 = 22;
/// Of a child that goes on (wait(2)).
const CONTINUED: u32 = 0xffff;

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
    /// The news of a child that has this wait status.
    pub fn of_child(pid: u32, status: u32) -> Sent {
        let (code, value) = match status & 0x7f {
            _ if status == CONTINUED => (CLD_CONTINUED, SIGCONT),
            0 => (CLD_EXITED, status >> 8 & 0xff),
            0x7f => (CLD_STOPPED, status >> 8),
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
pub struct Signals {
    waiting: VecDeque<Sent>,
    /// It is stopped: bit SIGSTOP is in the word that its shim sees.
    stopped: bool,
    /// The wait status to tell of once all its threads rest; 0: told, or not stopped.
    untold: u32,
}

impl Signals {
    /// Whether the process is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What the shim sees: not 0 if it is to ask.
    fn word(&self) -> u64 {
        let stop = u64::from(self.stopped) << (SIGSTOP - 1);
        let waiting = self.waiting.iter();
        waiting.fold(stop, |set, s| set | 1 << (s.signal - 1))
    }
}

impl Process {
    /// Adds a signal to those that it is to take. `false`: too many wait.
    pub fn send_signal(&mut self, sent: Sent) -> bool {
        let waiting = &mut self.signals.waiting;
        // What stops and what continues take each other back (signal(7)).
        match sent.signal {
            SIGCONT => waiting.retain(|s| !(SIGSTOP..=LAST_STOP).contains(&s.signal)),
            SIGSTOP..=LAST_STOP => waiting.retain(|s| s.signal != SIGCONT),
            _ => {}
        }
        let waits = waiting.iter().any(|other| other.signal == sent.signal);
        if sent.signal >= FIRST_REAL_TIME || !waits {
            if waiting.len() >= MOST || sent.signal >= FIRST_REAL_TIME && !can_remember(1) {
                return false;
            }
            waiting.push_back(sent);
            let bit = 1 << (sent.signal - 1);
            self.info().signals.fetch_or(bit, Ordering::Release);
        }
        self.attend(1 << (sent.signal - 1));
        true
    }

    /// TAKE_SIGNAL: the one that waits longest; zeroes for none.
    pub fn take_signal(&mut self) -> [u64; 3] {
        let taken = self.signals.waiting.pop_front();
        let left = self.signals.word();
        self.info().signals.store(left, Ordering::Release);
        taken.map_or([0; 3], |sent| sent.words())
    }

    /// Its threads stop, each as soon as it leaves the shim or is interrupted, or go on. Whether that is news.
    fn set_stopped(&mut self, stopped: bool) -> bool {
        if self.signals.stopped == stopped {
            return false;
        }
        self.signals.stopped = stopped;
        let word = self.signals.word();
        self.info().signals.store(word, Ordering::Release);
        self.attend_all();
        true
    }
}

impl System {
    /// STOP, or SIGSTOP that was sent: process `number` stops by that signal.
    pub fn stop(&mut self, number: usize, signal: u32) {
        // Nobody could continue init.
        if number != badge::INIT
            && let Some(process) = self.processes.get_mut(&number)
            && process.set_stopped(true)
        {
            process.signals.untold = signal << 8 | 0x7f;
        }
    }

    /// STOP: process `number` stops as one of the terminal's signals does by default: not if nobody is there to let it go on (signal(7) of POSIX, "orphaned
    /// process group").
    pub fn stop_by(&mut self, number: usize, signal: u32) {
        let group = self.family.ids(number as Pid).map_or(0, |ids| ids[1]);
        if signal == SIGSTOP || !self.family.is_orphaned(group) {
            self.stop(number, signal);
        }
    }

    /// RESTS: a thread of a stopped process waits to go on. The parent is told with the last one.
    pub fn rests(&mut self, number: usize, thread: u64) {
        if let Some(process) = self.processes.get_mut(&number)
            && process.signals.stopped
        {
            process.threads.set_resting(thread as usize);
            self.tell_stop(number);
        }
    }

    /// Tells of a stop, if all threads rest and that is not told yet.
    pub fn tell_stop(&mut self, number: usize) {
        if let Some(process) = self.processes.get_mut(&number)
            && process.signals.untold != 0
            && process.threads.all_rest()
        {
            let status = core::mem::take(&mut process.signals.untold);
            self.tell_change(number, status);
        }
    }

    /// SIGCONT was sent to a process.
    pub fn go_on(&mut self, number: usize) {
        if let Some(process) = self.processes.get_mut(&number)
            && process.set_stopped(false)
        {
            process.signals.untold = 0;
            process.threads.clear_resting();
            self.tell_change(number, CONTINUED);
        }
    }

    fn tell_change(&mut self, number: usize, status: u32) {
        let parent = self.family.change(number as Pid, status);
        if let Some(parent) = parent.and_then(|pid| self.processes.get_mut(&(pid as usize))) {
            parent.info().ended.fetch_add(1, Ordering::Release);
            parent.send_signal(Sent::of_child(number as Pid, status));
        }
    }
}
