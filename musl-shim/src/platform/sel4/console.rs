// SPDX-License-Identifier: BSD-2-Clause
//! The root server's serial line, and its log.

use core::sync::atomic::Ordering;

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

/// Bytes of input that wait to be read.
#[inline]
pub fn waiting() -> usize {
    info().console.load(Ordering::Acquire) as usize
}

/// Whether no more input will come.
#[inline]
pub fn has_ended() -> bool {
    info().console_eof.load(Ordering::Acquire) != 0
}
