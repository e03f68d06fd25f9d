// SPDX-License-Identifier: BSD-2-Clause
//! The console: the platform's line, as a terminal in Linux's sense, but without line editing or job control.

use alloc::rc::Rc;
use core::cell::Cell;

use vfs_hooks::Events;
use vfs_hooks::notifier::{Local, Notifier, READABLE, WRITABLE};
use vfs_hooks::source::{Readiness, Source};

use super::{File, character_stat};
use crate::abi::*;
use crate::errno::Errno;
use crate::platform::console::{self, has_ended, waiting};
use crate::shared::Shared;
use crate::{process, user};

/// fds 0, 1, 2, /dev/console, /dev/tty.
#[derive(Debug)]
pub struct Terminal;

/// The serial line as a source: the one behind all terminals.
#[derive(Debug, Default)]
struct Line {
    /// Bytes read so far, and bytes known to have come in.
    taken: Cell<usize>,
    arrived: Cell<usize>,
    ended: Cell<bool>,
    notifier: Notifier,
}

static LINE: Shared<Option<Rc<Line>>> = Shared::new(None);

fn line() -> Rc<Line> {
    LINE.lock().get_or_insert_default().clone()
}

/// Tells watchers of input that came since the last time. Nothing to do until somebody watches.
#[inline]
pub fn settle() {
    if let Some(line) = &*LINE.lock() {
        line.settle();
    }
}

impl Line {
    fn settle(&self) {
        let arrived = self.taken.get() + waiting();
        if arrived != self.arrived.get() || has_ended() != self.ended.get() {
            self.arrived.set(arrived);
            self.ended.set(has_ended());
            self.notifier.input(READABLE);
        }
    }
}

impl Local for Line {
    fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    fn level(&self) -> Events {
        let mut events = WRITABLE;
        events.set(READABLE, waiting() > 0 || has_ended());
        events
    }
}

impl File for Terminal {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if waiting() == 0 && !has_ended() {
            return Err(Errno::EAGAIN);
        }
        let n = console::read(buffer)?;
        if let Some(line) = &*LINE.lock() {
            line.taken.set(line.taken.get() + n);
        }
        Ok(n)
    }

    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(line())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(line().readiness())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        console::write(bytes)?;
        Ok(bytes.len())
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        character_stat(5, 1)
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(waiting())
    }

    fn ioctl(&self, request: u32, argument: usize) -> Result<usize, Errno> {
        match request {
            TCGETS => user::write(argument, raw_mode())?,
            TCSETS | TCSETSW | TCSETSF => {
                // Read so that a bad pointer is noticed; there is nothing to set.
                user::read::<Termios>(argument)?;
            }
            // A serial line does not know its size.
            TIOCGWINSZ => user::write(argument, [0u8; 8])?,
            TIOCGPGRP => user::write(argument, process::pid() as i32)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

/// Bytes go through unchanged both ways.
fn raw_mode() -> Termios {
    const CS8: u32 = 0o60;
    const CREAD: u32 = 0o200;
    const B115200: u32 = 0o10002;
    const VMIN: usize = 6;
    let mut c_line_cc = [0; 20];
    c_line_cc[1 + VMIN] = 1;
    Termios {
        c_iflag: 0,
        c_oflag: 0,
        c_cflag: CS8 | CREAD | B115200,
        c_lflag: 0,
        c_line_cc,
    }
}
