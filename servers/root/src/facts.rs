// SPDX-License-Identifier: BSD-2-Clause
//! What processes are told of each other: PROCESS_NEXT, PROCESS_FACTS, PROCESS_TEXT; and the table of all of them for the system's log.

use alloc::vec;
use alloc::vec::Vec;

use root_server::errno;
use root_server::family::{NAME, Pid};
use vfs_hooks::facts::{Facts, Text, WORDS};
use vfs_hooks::process::{PAGE, badge};
use vfs_hooks::sync::Ordering;
use vfs_hooks::wire::MAX_BYTES;

use crate::log;
use crate::process::Process;
use crate::serial;
use crate::system::System;

impl Process {
    /// Name of its first thread: the program's, unless it was given another. Zeroes follow it.
    pub fn name(&self) -> [u8; NAME] {
        let mut name = [0; NAME];
        let words = &self.threads.first.state().name;
        for (half, word) in name.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *half = word.load(Ordering::Relaxed).to_le_bytes();
        }
        name
    }

    /// Names its first thread; of the name the first 16 bytes count.
    pub fn set_name(&self, name: &[u8]) {
        let mut padded = [0; NAME];
        let len = name.len().min(NAME);
        padded[..len].copy_from_slice(&name[..len]);
        let words = &self.threads.first.state().name;
        for (half, word) in padded.as_chunks::<8>().0.iter().zip(words) {
            word.store(u64::from_le_bytes(*half), Ordering::Relaxed);
        }
    }

    /// `R`, `S` or `T`. Which thread runs only the kernel knows; those that are in the program's code, and not in a call, say so.
    fn state(&self, asks: bool) -> u8 {
        let runs =
            |thread: &crate::threads::Thread| thread.state().outside.load(Ordering::Relaxed) != 0;
        if self.signals.is_stopped() {
            b'T'
        } else if asks || self.threads.running().any(|(_, thread)| runs(thread)) {
            b'R'
        } else {
            b'S'
        }
    }
}

impl System {
    /// PROCESS_NEXT: the lowest number above this one, 0: none.
    pub fn next_process(&self, after: u64) -> u64 {
        let after = Pid::try_from(after).unwrap_or(Pid::MAX);
        self.family.following(after).unwrap_or(0).into()
    }

    /// PROCESS_FACTS, for process `number`.
    pub fn facts(&self, number: usize, pid: u64) -> Result<[u64; WORDS], u64> {
        self.facts_of(number, pid).map(|facts| facts.words())
    }

    fn facts_of(&self, number: usize, pid: u64) -> Result<Facts, u64> {
        let pid = if pid == 0 { number as u64 } else { pid };
        let member = Pid::try_from(pid).map_err(|_| errno::ESRCH)?;
        let ids = self.family.ids(member)?.map(u64::from);
        let (used, children, status) = self.family.usage(member);
        let now = self.clock.now();
        let Some(process) = self.processes.get(&(pid as usize)) else {
            return Ok(Facts {
                pid,
                ids,
                state: b'Z',
                threads: 1,
                started: now.saturating_sub(used.time),
                peak: used.peak,
                status: status.unwrap_or(0).into(),
                time: used.time,
                children_time: children.time,
                children_peak: children.peak,
                ..Facts::default()
            });
        };
        Ok(Facts {
            pid,
            ids,
            state: process.state(pid == number as u64),
            threads: process.threads.running().count() as u64,
            started: process.started,
            resident: process.space.resident() as u64,
            peak: process.space.peak() as u64,
            size: process.space.size() as u64,
            faults: process.page_faults,
            status: 0,
            time: now.saturating_sub(process.started),
            children_time: children.time,
            children_peak: children.peak,
        })
    }

    /// PROCESS_TEXT: at most a message's worth of it from an offset on.
    pub fn text(&mut self, number: usize, [pid, which, offset]: [u64; 3]) -> Result<Vec<u8>, u64> {
        let pid = if pid == 0 { number } else { pid as usize };
        let text = Text::of(which).ok_or(errno::EINVAL)?;
        if pid >= badge::NET_SERVER {
            return Err(errno::ESRCH);
        }
        let Some(process) = self.processes.get(&pid) else {
            // One that has ended has no memory any longer, but a name.
            let name = self.family.name(pid as Pid)?;
            return Ok(match text {
                Text::Name => part(plain(&name), offset),
                _ => Vec::new(),
            });
        };
        let range = match text {
            Text::Path => return Ok(part(process.path.as_bytes(), offset)),
            Text::Name => return Ok(part(plain(&process.name()), offset)),
            Text::Arguments => process.strings[0].clone(),
            Text::Environment => process.strings[1].clone(),
        };
        let start = range.start.saturating_add(offset as usize).min(range.end);
        let mut bytes = vec![0; (range.end - start).min(MAX_BYTES)];
        match process.space.read(&mut self.memory, start, &mut bytes) {
            true => Ok(bytes),
            false => Err(errno::EFAULT),
        }
    }

    /// Prints a table of all processes to the system's log.
    pub fn print_processes(&self) {
        log!("  PID  PPID  PGRP S THR   RSS(KiB) CHANNELS FILES WATCHES PROGRAM");
        let mut after = 0;
        while let Some(pid) = self.family.following(after) {
            after = pid;
            if let Ok(facts) = self.facts_of(0, pid.into()) {
                self.print_process(&facts);
            }
        }
        for (number, process) in self.processes.range(badge::NET_SERVER..) {
            let facts = Facts {
                pid: *number as u64,
                state: process.state(false),
                threads: process.threads.running().count() as u64,
                resident: process.space.resident() as u64,
                ..Facts::default()
            };
            self.print_process(&facts);
        }
    }

    fn print_process(&self, facts: &Facts) {
        let process = self.processes.get(&(facts.pid as usize));
        let held = |count: fn(&Process) -> usize| process.map_or(0, count);
        let [parent, group, _] = facts.ids;
        serial::log_untrusted(
            format_args!(
                "{:5} {parent:5} {group:5} {} {:3} {:10} {:8} {:5} {:7} ",
                facts.pid,
                char::from(facts.state),
                facts.threads,
                facts.resident * (PAGE as u64 / 1024),
                held(|process| process.channels.len()),
                held(|process| process.files.len()),
                held(|process| process.watches),
            ),
            process.map_or(b"(ended)", |process| process.path.as_bytes()),
        );
    }
}

/// A name without the zeroes behind it.
fn plain(name: &[u8]) -> &[u8] {
    let end = name.iter().position(|byte| *byte == 0);
    &name[..end.unwrap_or(name.len())]
}

/// What a reply has room for of some bytes from `offset` on.
fn part(bytes: &[u8], offset: u64) -> Vec<u8> {
    let rest = bytes.get(offset as usize..).unwrap_or(&[]);
    rest[..rest.len().min(MAX_BYTES)].to_vec()
}
