// SPDX-License-Identifier: BSD-2-Clause
//! Booting for a test: the console's output kept, the guest's words kept for a failure.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::paths::Paths;
use crate::qemu::{Event, Guest, Machine};

/// What a boot that ended has left.
#[derive(Debug)]
pub struct Outcome {
    /// The console's bytes.
    pub console: Vec<u8>,
    /// The program's status, if the root server reported one.
    pub status: Option<u8>,
    /// QEMU's own exit code: what a root task wrote to isa-debug-exit, twice, plus one.
    pub code: Option<i32>,
    /// The lines that the system logged.
    pub log: Vec<String>,
}

/// Memory that the console's thread fills and the test reads.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Boots and waits for the end, at most `limit`.
pub fn boot(paths: &Paths, machine: &Machine, limit: Duration) -> Result<Outcome> {
    boot_typed(paths, machine, limit, b"")
}

/// The same, with something typed on the console.
pub fn boot_typed(
    paths: &Paths,
    machine: &Machine,
    limit: Duration,
    typed: &[u8],
) -> Result<Outcome> {
    let buffer = Buffer::default();
    let deadline = Instant::now() + limit;
    let mut guest = Guest::boot(paths, machine, buffer.clone())?;
    let mut outcome = Outcome {
        console: Vec::new(),
        status: None,
        code: None,
        log: Vec::new(),
    };
    let mut typed = Some(typed).filter(|typed| !typed.is_empty());
    loop {
        let event = guest.next(Some(deadline))?;
        // What comes before the guest's first word, it does not hear.
        if let Some(typed) = typed.take() {
            guest.console()?.write_all(typed)?;
        }
        match event {
            Event::Exit(status) => outcome.status = Some(status),
            Event::Log(line) => outcome.log.push(line),
            Event::Listening(_) | Event::Stats(_) | Event::Terminal | Event::ConsoleClosed => {}
            Event::Stopped(code) => {
                outcome.code = code;
                if code.is_none_or(|code| code % 2 == 0) {
                    bail!(
                        "QEMU ended by itself ({code:?}): {} {}",
                        guest.complaints(),
                        outcome.log.join("; ")
                    );
                }
                break;
            }
            Event::Late => {
                guest.stop();
                let text = buffer
                    .0
                    .lock()
                    .unwrap_or_else(|poison| poison.into_inner())
                    .clone();
                let tail: Vec<String> = String::from_utf8_lossy(&text)
                    .lines()
                    .rev()
                    .take(5)
                    .map(str::to_owned)
                    .collect();
                bail!(
                    "still running after {} s; its last lines, newest first: {}; log: {}",
                    limit.as_secs(),
                    tail.join(" | "),
                    outcome.log.join("; ")
                );
            }
        }
    }
    drop(guest);
    outcome.console =
        std::mem::take(&mut *buffer.0.lock().unwrap_or_else(|poison| poison.into_inner()));
    Ok(outcome)
}
