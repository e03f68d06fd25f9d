// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets. In host mode they are Linux's, and the library has no channels for them: `create` never gave a number.

use vfs_hooks::udp::{End, Socket};

use crate::errno::Errno;

/// There are none.
pub fn socket(_: usize) -> Socket<'static> {
    unreachable!("no channel was made")
}

/// There are none.
pub fn bind(_: usize, _: End, _: u64) -> Result<u16, Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn connect(_: usize, _: u32, _: Option<End>) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn unbind(_: usize) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn find(_: End, _: End) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn join(_: usize) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn mark(_: usize) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}
