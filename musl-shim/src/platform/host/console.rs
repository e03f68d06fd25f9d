// SPDX-License-Identifier: BSD-2-Clause
//! Standard error. There is no input by this way: it has ended.

use super::raw::{self, nr};
use crate::errno::Errno;

/// Says something; all of it.
pub fn write(mut bytes: &[u8]) -> Result<(), Errno> {
    const STANDARD_ERROR: usize = 2;
    while !bytes.is_empty() {
        // SAFETY: the kernel reads these bytes.
        let written = unsafe {
            raw::call(
                nr::WRITE,
                [STANDARD_ERROR, bytes.as_ptr() as usize, bytes.len()],
            )
        };
        match written {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Says something to whoever looks after the system.
#[cfg(not(any(test, feature = "library")))]
pub fn log(bytes: &[u8]) -> Result<(), Errno> {
    write(bytes)?;
    write(b"\n")
}

/// End of file.
pub fn read(_: &mut [u8]) -> Result<usize, Errno> {
    Ok(0)
}

/// What the two below say, in one word.
#[inline]
pub fn input() -> u64 {
    vfs_hooks::process::CONSOLE_ENDED
}

/// Bytes of input that wait to be read.
pub fn waiting() -> usize {
    0
}

/// Whether no more input will come.
pub fn has_ended() -> bool {
    true
}

/// Says a line of the trace: Linux has its own.
pub fn trace(_: &[u8]) {}

/// There is no terminal by this way.
pub fn mode(_: &mut [u8]) -> Result<(), Errno> {
    Err(Errno::ENOTTY)
}

/// There is none.
pub fn set_mode(_: &[u8], _: bool) -> Result<(), Errno> {
    Err(Errno::ENOTTY)
}

/// There is none.
pub fn foreground() -> Option<usize> {
    None
}

/// There is none.
pub fn stops_writers() -> bool {
    false
}

/// There is none.
pub fn never_waits() -> bool {
    false
}

/// There is none.
pub fn set_foreground(_: usize) -> Result<(), Errno> {
    Err(Errno::ENOTTY)
}

/// There is none.
pub fn take(_: bool) -> Result<(), Errno> {
    Err(Errno::ENOTTY)
}

/// There is none.
pub fn signal_background(_: usize) -> Result<(), Errno> {
    Err(Errno::EIO)
}
