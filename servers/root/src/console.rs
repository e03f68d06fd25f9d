// SPDX-License-Identifier: BSD-2-Clause
//! Input of the two serial lines: the programs' standard input, and commands to the system.
//!
//! All programs read the one input; who asks first gets it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use root_server::errno;
use vfs_hooks::sync::Ordering;

use crate::process::Process;
use crate::serial::{CONSOLE, CONTROL};

/// Bytes kept for the program; beyond them the serial line holds the sender back.
const CAPACITY: usize = 16 << 10;
/// Ends the input.
const END: u8 = 4;
/// Longest command.
const COMMAND: usize = 256;

/// What came in and was not yet read.
#[derive(Default)]
pub struct Console {
    input: VecDeque<u8>,
    ended: bool,
    command: Vec<u8>,
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
    /// Takes what the serial line has; tells the programs if that is anything.
    pub fn receive(&mut self, processes: &BTreeMap<usize, Process>) {
        if self.fill() {
            for process in processes.values() {
                self.publish(process);
                process.kick();
            }
        }
    }

    /// Takes what the serial line has, as far as there is room. Whether that is anything.
    fn fill(&mut self) -> bool {
        let before = (self.input.len(), self.ended);
        while self.input.len() < CAPACITY {
            match CONSOLE.receive() {
                None => break,
                byte => self.take(byte),
            }
        }
        (self.input.len(), self.ended) != before
    }

    /// Takes a byte that was received.
    pub fn take(&mut self, byte: Option<u8>) {
        match byte {
            Some(END) => self.ended = true,
            Some(byte) if !self.ended => self.input.push_back(byte),
            _ => {}
        }
    }

    /// Writes the program's information page.
    pub fn publish(&self, program: &Process) {
        let info = program.info();
        let len = self.input.len() as u32;
        info.console.store(len, Ordering::Release);
        info.console_eof.store(self.ended as u32, Ordering::Release);
    }

    /// CONSOLE_READ: an errno and how many bytes were put into `bytes`.
    pub fn read(&mut self, processes: &BTreeMap<usize, Process>, bytes: &mut [u8]) -> (u64, usize) {
        if self.input.is_empty() && !self.ended {
            return (errno::EAGAIN, 0);
        }
        let len = bytes.len().min(self.input.len());
        for (to, from) in bytes.iter_mut().zip(self.input.drain(..len)) {
            *to = from;
        }
        // There may be room again for what the line held back.
        self.fill();
        for process in processes.values() {
            self.publish(process);
        }
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
