// SPDX-License-Identifier: BSD-2-Clause
//! The root server's serial line, and its log.

use core::sync::atomic::Ordering;

use vfs_hooks::process::{CONSOLE_ENDED, terminal};
use vfs_hooks::wire::root;

use super::clock::monotonic;
use super::info::info;
use super::server;
use super::threads::current;
use crate::errno::Errno;

/// Says something on the console; all of it.
pub fn write(bytes: &[u8]) -> Result<(), Errno> {
    server::send_bytes(root::CONSOLE_WRITE, bytes)
}

/// Says something in the system's log.
#[cfg(not(any(test, feature = "library")))]
pub fn log(bytes: &[u8]) -> Result<(), Errno> {
    server::send_bytes(root::LOG, bytes)
}

/// Says a line of the trace; the time and who says it are put before it.
pub fn trace(bytes: &[u8]) {
    let words = [monotonic(), current() as u64];
    // Nothing better can be done about a line that nobody takes.
    let _ = server::ask_root_bytes(root::TRACE, words, bytes);
}

/// Takes input; 0 is its end, EAGAIN none yet.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    server::console_read(buffer)
}

/// What [`waiting`] and [`has_ended`] say, in one word that is another when one of them does.
#[inline]
pub fn input() -> u64 {
    info().console.load(Ordering::Acquire)
}

/// Bytes of input that wait to be read.
pub fn waiting() -> usize {
    input() as u32 as usize
}

/// Whether no more input will come.
pub fn has_ended() -> bool {
    input() & CONSOLE_ENDED != 0
}

/// Its struct termios, of `bytes.len()` bytes.
pub fn mode(bytes: &mut [u8]) -> Result<(), Errno> {
    match server::ask_root_for_bytes(root::TERMINAL_MODE, 0, bytes)? {
        n if n == bytes.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// Sets it; `flushes`: input that came before is thrown away.
pub fn set_mode(bytes: &[u8], flushes: bool) -> Result<(), Errno> {
    server::ask_root_bytes(root::TERMINAL_SET, [flushes.into(), 0], bytes).map(drop)
}

fn word() -> u32 {
    info().terminal.load(Ordering::Acquire)
}

/// The process group in the foreground, if it is the terminal of this process's session.
pub fn foreground() -> Option<usize> {
    let word = word();
    (word & terminal::OWN != 0).then_some((word & terminal::GROUP) as usize)
}

/// Whether a process in the background may not write to it.
pub fn stops_writers() -> bool {
    word() & terminal::STOPS_WRITERS != 0
}

/// Whether a read that finds nothing says so at once.
pub fn never_waits() -> bool {
    word() & terminal::NEVER_WAITS != 0
}

/// tcsetpgrp(3).
pub fn set_foreground(group: usize) -> Result<(), Errno> {
    server::ask_root(root::TERMINAL_GROUP, [group as u64, 0, 0]).map(drop)
}

/// TIOCSCTTY.
pub fn take(steals: bool) -> Result<(), Errno> {
    server::ask_root(root::TERMINAL_TAKE, [steals.into(), 0, 0]).map(drop)
}

/// Sends this process's group a signal for being in the background. EIO: nobody would let it go on.
pub fn signal_background(signal: usize) -> Result<(), Errno> {
    server::ask_root(root::TERMINAL_BACKGROUND, [signal as u64, 0, 0]).map(drop)
}
