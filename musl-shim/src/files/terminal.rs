// SPDX-License-Identifier: BSD-2-Clause
//! The console: the platform's line, as a terminal in Linux's sense. Its lines are edited, and its keys send signals, where it ends (the root server); who may
//! read and change it is decided here.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

use super::position::Position;
use super::{File, character_stat};
use crate::abi::*;
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::children;
use crate::platform::console::{self, has_ended, input, waiting};
use crate::poller::core;
use crate::shared::Shared;
use crate::signal::{self, bit};
use crate::user;

const SIGTTIN: usize = 21;
const SIGTTOU: usize = 22;

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

/// What [`input`] says as long as nothing new has come.
static EXPECTED: AtomicU64 = AtomicU64::new(0);

/// Tells watchers of input that came since the last time.
#[inline]
pub fn settle() {
    if input() != EXPECTED.load(Relaxed) {
        settle_news();
    }
}

#[cold]
fn settle_news() {
    EXPECTED.store(input(), Relaxed);
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

/// POSIX, "Terminal Access Control": a process in the background that does this gets `signal`, and its call is made again when it goes on. Who blocks or ignores that
/// signal may do it all the same, but for reading.
fn for_foreground(signal: usize) -> Result<(), Errno> {
    match console::foreground() {
        Some(group) if group != children::group() => {}
        _ => return Ok(()),
    }
    if (signal::mask() | signal::ignored()) & bit(signal) != 0 {
        return match signal {
            SIGTTIN => Err(Errno::EIO),
            _ => Ok(()),
        };
    }
    console::signal_background(signal)?;
    signal::fetch();
    Err(Errno::RESTART)
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
        for_foreground(SIGTTIN)?;
        if waiting() == 0 && !has_ended() {
            return match console::never_waits() {
                true => Ok(0),
                false => Err(Errno::EAGAIN),
            };
        }
        let n = console::read(buffer)?;
        // What came while it was read is news at the next look.
        let expected = EXPECTED.load(Relaxed);
        let left = (expected as u32).saturating_sub(n as u32);
        EXPECTED.store(expected >> 32 << 32 | u64::from(left), Relaxed);
        LINE.lock().publish(Events::empty());
        Ok(n)
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if console::stops_writers() {
            for_foreground(SIGTTOU)?;
        }
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
            TCGETS => {
                let mut mode = [0; size_of::<Termios>()];
                console::mode(&mut mode)?;
                user::write(argument, mode)?;
            }
            TCSETS | TCSETSW | TCSETSF => {
                let mode: [u8; size_of::<Termios>()] = user::read(argument)?;
                for_foreground(SIGTTOU)?;
                // What is written is out when its call returns: there is nothing to wait for.
                console::set_mode(&mode, request == TCSETSF)?;
            }
            // A serial line does not know its size.
            TIOCGWINSZ => user::write(argument, [0u8; 8])?,
            TIOCGPGRP => {
                let group = console::foreground().ok_or(Errno::ENOTTY)?;
                user::write(argument, group as i32)?;
            }
            TIOCSPGRP => {
                let group: i32 = user::read(argument)?;
                let group = usize::try_from(group).map_err(|_| Errno::EINVAL)?;
                console::foreground().ok_or(Errno::ENOTTY)?;
                for_foreground(SIGTTOU)?;
                console::set_foreground(group)?;
            }
            TIOCGSID => {
                console::foreground().ok_or(Errno::ENOTTY)?;
                let [.., session] = children::ids(0)?;
                user::write(argument, session as i32)?;
            }
            TIOCSCTTY => console::take(argument == 1)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}
