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
