// SPDX-License-Identifier: BSD-2-Clause
//! The two serial lines: the programs' terminal, and commands to the system.
//!
//! All programs read the one input; who asks first gets it. The terminal belongs to one session, at first init's, and tells one process group of it of keys that
//! send signals; the information page of each process of that session says which (tty(4), "job control").

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use root_server::errno;
use root_server::family::Pid;
use root_server::terminal::{Mode, Terminal};
use vfs_hooks::process::{CONSOLE_ENDED, badge, terminal};
use vfs_hooks::sync::Ordering;

use crate::log;
use crate::process::Process;
use crate::serial::{CONSOLE, CONTROL};
use crate::signals::{SIGCONT, Sent};
use crate::system::System;

/// Ends the input, where nobody sits.
const END: u8 = 4;
/// Longest command.
const COMMAND: usize = 256;
const SIGHUP: u32 = 1;
/// si_code of what no process has sent.
const SI_KERNEL: i32 = 0x80;

/// What came in and was not yet read, and whose it is.
pub struct Console {
    terminal: Terminal,
    /// Somebody sits there; else one byte ends the input.
    manned: bool,
    ended: bool,
    /// The driver knows that programs use it.
    used: bool,
    /// 0: nobody's.
    session: Pid,
    /// The process group in the foreground.
    foreground: Pid,
    /// Keys that send signals were pressed.
    signals: Vec<u32>,
    command: Vec<u8>,
}

impl Default for Console {
    fn default() -> Console {
        let init = badge::INIT as Pid;
        Console {
            terminal: Terminal::new(Mode::RAW),
            manned: false,
            ended: false,
            used: false,
            session: init,
            foreground: init,
            signals: Vec::new(),
            command: Vec::new(),
        }
    }
}

/// A command on the control line.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the counters.
    Stats,
    /// Print a table of the processes.
    Processes,
    /// Nanoseconds since 1970, as the driver says.
    Time {
        /// At the end of the line.
        time: u64,
        /// How long that was put off.
        waited: u64,
    },
    /// End as if the program had.
    Exit(u8),
    /// Anything else.
    Unknown(String),
}

impl Console {
    /// Somebody sits there.
    pub fn man(&mut self) {
        self.manned = true;
        self.terminal.set_mode(Mode::COOKED, false);
    }

    /// A program uses it: from now on its keys are the programs' (the driver's `type_stdin`).
    fn use_it(&mut self) {
        if self.manned && !self.used {
            self.used = true;
            log!("@terminal");
        }
    }

    /// Takes what the serial line has, as far as there is room. Whether there is anything to tell.
    fn fill(&mut self) -> bool {
        let before = (self.terminal.waiting(), self.ended);
        while self.terminal.has_room() {
            match CONSOLE.receive() {
                None => break,
                byte => self.take(byte),
            }
        }
        (self.terminal.waiting(), self.ended) != before || !self.signals.is_empty()
    }

    /// Takes a byte that was received.
    pub fn take(&mut self, byte: Option<u8>) {
        match byte {
            Some(END) if !self.manned => self.ended = true,
            Some(byte) if !self.ended => {
                let mut echo = Vec::new();
                self.signals.extend(self.terminal.take(byte, &mut echo));
                CONSOLE.send(&echo);
            }
            _ => {}
        }
    }

    /// Writes the program's information page.
    pub fn publish(&self, program: &Process) {
        let info = program.info();
        let ended = if self.ended { CONSOLE_ENDED } else { 0 };
        let input = self.terminal.waiting() as u64 | ended;
        info.console.store(input, Ordering::Release);
        let mode = self.terminal.mode();
        let mut word = 0;
        if self.session != 0 && info.session.load(Ordering::Relaxed) == self.session {
            word |= self.foreground | terminal::OWN;
        }
        if mode.stops_writers() {
            word |= terminal::STOPS_WRITERS;
        }
        if mode.never_waits() {
            word |= terminal::NEVER_WAITS;
        }
        info.terminal.store(word, Ordering::Release);
    }

    fn publish_all(&self, processes: &BTreeMap<usize, Process>) {
        processes.values().for_each(|process| self.publish(process));
    }

    /// What a program says, as the terminal's mode has it go out.
    pub fn write(&self, bytes: &[u8]) {
        self.terminal.output(bytes, |bytes| CONSOLE.send(bytes));
    }

    /// CONSOLE_READ: an errno and how many bytes were put into `bytes`.
    fn read(&mut self, processes: &BTreeMap<usize, Process>, bytes: &mut [u8]) -> (u64, usize) {
        self.use_it();
        if self.terminal.waiting() == 0 && !self.ended {
            return (errno::EAGAIN, 0);
        }
        let len = self.terminal.read(bytes);
        // There may be room again for what the line held back.
        self.fill();
        self.publish_all(processes);
        (errno::OK, len)
    }

    /// The next whole command of the control line.
    pub fn command(&mut self) -> Option<Command> {
        while let Some(byte) = CONTROL.receive() {
            if byte == b'\n' {
                let line = core::mem::take(&mut self.command);
                return Some(Command::parse(&String::from_utf8_lossy(&line)));
            }
            if self.command.len() < COMMAND {
                self.command.push(byte);
            }
        }
        None
    }
}

impl System {
    /// Takes what the console's line has; tells the programs if that is anything.
    pub fn console_input(&mut self) {
        if self.console.fill() {
            for process in self.processes.values() {
                self.console.publish(process);
                process.kick();
            }
            self.press_keys();
        }
    }

    /// Tells the process group in the foreground of the keys that were pressed.
    fn press_keys(&mut self) {
        for signal in core::mem::take(&mut self.console.signals) {
            self.signal_group(self.console.foreground, signal);
        }
    }

    /// Sends a signal from the terminal to a process group.
    fn signal_group(&mut self, group: Pid, signal: u32) {
        for pid in self.family.members_of(group) {
            if signal == SIGCONT {
                self.go_on(pid as usize);
            }
            if let Some(process) = self.processes.get_mut(&(pid as usize)) {
                // Without room for one more it has enough to look at.
                process.send_signal(Sent {
                    signal,
                    code: SI_KERNEL,
                    pid: 0,
                    value: 0,
                });
            }
        }
    }

    /// CONSOLE_READ, of a program.
    pub fn read_console(&mut self, bytes: &mut [u8]) -> (u64, usize) {
        let result = self.console.read(&self.processes, bytes);
        self.press_keys();
        result
    }

    /// TERMINAL_MODE.
    pub fn terminal_mode(&self) -> [u8; root_server::terminal::MODE_BYTES] {
        self.console.terminal.mode().bytes()
    }

    /// TERMINAL_SET. Answers with an errno.
    pub fn set_terminal(&mut self, flushes: bool, mode: Option<&[u8]>) -> u64 {
        let Some(mode) = mode.and_then(Mode::from_bytes) else {
            return errno::EINVAL;
        };
        self.console.use_it();
        self.console.terminal.set_mode(mode, flushes);
        self.console.publish_all(&self.processes);
        errno::OK
    }

    /// TERMINAL_GROUP: tcsetpgrp(3).
    pub fn set_foreground(&mut self, number: usize, group: u64) -> Result<(), u64> {
        let [_, _, session] = self.family.ids(number as Pid)?;
        if session != self.console.session {
            return Err(errno::ENOTTY);
        }
        let group = Pid::try_from(group).map_err(|_| errno::EINVAL)?;
        match self.family.session_of_group(group) {
            None => Err(errno::ESRCH),
            Some(other) if other != session => Err(errno::EPERM),
            Some(_) => {
                self.console.foreground = group;
                self.console.use_it();
                self.console.publish_all(&self.processes);
                Ok(())
            }
        }
    }

    /// TERMINAL_TAKE: TIOCSCTTY of ioctl_tty(2).
    pub fn take_terminal(&mut self, number: usize, steals: bool) -> Result<(), u64> {
        let [_, group, session] = self.family.ids(number as Pid)?;
        if session == self.console.session {
            return Ok(());
        }
        if session != number as Pid || self.console.session != 0 && !steals {
            return Err(errno::EPERM);
        }
        (self.console.session, self.console.foreground) = (session, group);
        self.console.publish_all(&self.processes);
        Ok(())
    }

    /// TERMINAL_BACKGROUND: a signal to the caller's group, which is not in the foreground.
    pub fn signal_background(&mut self, number: usize, signal: u64) -> Result<(), u64> {
        let [_, group, _] = self.family.ids(number as Pid)?;
        if self.family.is_orphaned(group) {
            return Err(errno::EIO);
        }
        match signal {
            21 | 22 => self.signal_group(group, signal as u32),
            _ => return Err(errno::EINVAL),
        }
        Ok(())
    }

    /// A process has ended: if its session had the terminal and it was its leader, that is nobody's now (exit(3)).
    pub fn session_ended(&mut self, leader: usize) {
        if self.console.session != leader as Pid {
            return;
        }
        let group = core::mem::take(&mut self.console.foreground);
        self.console.session = 0;
        self.console.publish_all(&self.processes);
        self.signal_group(group, SIGHUP);
        self.signal_group(group, SIGCONT);
    }
}

impl Command {
    fn parse(line: &str) -> Command {
        let line = line.trim();
        match line {
            "stats" => return Command::Stats,
            "ps" => return Command::Processes,
            _ => {}
        }
        if let Some(words) = line.strip_prefix("time ")
            && let Some((time, waited)) = words.split_once(' ')
            && let (Ok(time), Ok(waited)) = (time.parse(), waited.parse())
        {
            return Command::Time { time, waited };
        }
        let status = line.strip_prefix("exit ").and_then(|n| n.parse().ok());
        match status {
            Some(status) => Command::Exit(status),
            None => Command::Unknown(line.into()),
        }
    }
}
