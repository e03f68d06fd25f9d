// SPDX-License-Identifier: BSD-2-Clause
//! The console: the platform's line, as a terminal in Linux's sense, but without line editing or job control.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

use super::position::Position;
use super::{File, character_stat};
use crate::abi::*;
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::children;
use crate::platform::console::{self, has_ended, waiting};
use crate::poller::core;
use crate::shared::Shared;
use crate::user;

/// fds 0, 1, 2, /dev/console, /dev/tty.
#[derive(Debug)]
pub struct Terminal {
    source: SourceId,
    /// Of no use as a position: its channel has the open file's flags.
    shared: Position,
}

/// The line, whose input all terminals share.
#[derive(Debug)]
struct Line {
    /// The terminals that are open.
    sources: Vec<SourceId>,
}

static LINE: Shared<Line> = Shared::new(Line {
    sources: Vec::new(),
});

/// What [`waiting`] and [`has_ended`] say as long as nothing new has come.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicBool = AtomicBool::new(false);

/// Tells watchers of input that came since the last time.
#[inline]
pub fn settle() {
    if waiting() != EXPECTED.load(Relaxed) || has_ended() != ENDED.load(Relaxed) {
        settle_news();
    }
}

#[cold]
fn settle_news() {
    EXPECTED.store(waiting(), Relaxed);
    ENDED.store(has_ended(), Relaxed);
    LINE.lock().publish(Events::READABLE);
}

fn level() -> Events {
    let mut events = Events::WRITABLE;
    events.set(Events::READABLE, waiting() > 0 || has_ended());
    events
}

impl Line {
    fn publish(&self, news: Events) {
        let mut core = core();
        for &source in &self.sources {
            core.publish(source, level(), news);
        }
    }
}

impl Terminal {
    /// One more open terminal.
    pub fn new() -> Terminal {
        Terminal::with(Position::default())
    }

    /// The same, which may be in a channel that another process has passed on.
    pub fn with(shared: Position) -> Terminal {
        let source = core().open(level());
        LINE.lock().sources.push(source);
        Terminal { source, shared }
    }

    /// What stat(2) says about any.
    pub fn stat() -> Stat {
        character_stat(5, 1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        LINE.lock().sources.retain(|&source| source != self.source);
    }
}

impl File for Terminal {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Terminal(self.shared.share()?)))
    }

    fn share(&self) -> Result<(), Errno> {
        self.shared.share().map(drop)
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.shared.channel()?, 0))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if waiting() == 0 && !has_ended() {
            return Err(Errno::EAGAIN);
        }
        let n = console::read(buffer)?;
        // What came while it was read is news at the next look.
        EXPECTED.store(EXPECTED.load(Relaxed).saturating_sub(n), Relaxed);
        LINE.lock().publish(Events::empty());
        Ok(n)
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        console::write(bytes)?;
        Ok(bytes.len())
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        Terminal::stat()
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
            // Every process group counts as the one in the foreground.
            TIOCGPGRP => user::write(argument, children::group() as i32)?,
            TIOCSPGRP => {
                if user::read::<i32>(argument)? < 0 {
                    return Err(Errno::EINVAL);
                }
            }
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
