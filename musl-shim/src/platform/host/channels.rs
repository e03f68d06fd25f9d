// SPDX-License-Identifier: BSD-2-Clause
//! Channels. In host mode there is nobody to share one with, so none is ever made.

use vfs_hooks::channel::Header;
use vfs_hooks::channel_socket::{ChannelSocket, Kind};
use vfs_hooks::channel_tcp::ChannelTcp;
use vfs_hooks::net::Apart;
use vfs_hooks::ring::Ring;

use crate::errno::Errno;

/// Whether there are any.
pub const fn shared() -> bool {
    false
}

/// Not in host mode.
pub fn create(_: u32) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn of_process(_: usize) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn drop_sides(_: usize, _: u32) {}

/// There are none.
pub fn watch(_: usize, _: usize, _: u32) -> Result<usize, Errno> {
    Err(Errno::EINVAL)
}

/// There are none.
pub fn unwatch(_: usize, _: usize, _: usize) {}

/// There are none: `create` never gave a number.
pub fn header(_: usize) -> &'static Header {
    unreachable!("no channel was made")
}

/// There are none.
pub fn ring(_: usize) -> Ring<'static> {
    unreachable!("no channel was made")
}

/// There are none.
pub fn socket(_: usize, _: Kind) -> ChannelSocket<'static> {
    unreachable!("no channel was made")
}

/// There are none.
pub fn signal(_: usize, _: usize) {}

/// Nobody owns a lock.
pub fn own() -> u32 {
    0
}

/// There are none.
pub fn send(_: usize, _: usize, _: u32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn take(_: usize, _: usize, _: u32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn bind(_: usize, _: u32, _: &[u8]) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn listen(_: usize, _: u32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn shut_listener(_: usize, _: u64) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn connect(_: usize, _: u32, _: bool, _: &[u8]) -> Result<u32, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn accept(_: usize) -> Result<(usize, u32), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn find(_: u32, _: &[u8]) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn unlink(_: &[u8]) -> Result<(), Errno> {
    Err(Errno::ENOENT)
}

/// There are none.
pub fn tcp(_: usize) -> ChannelTcp<'static> {
    unreachable!("no channel was made")
}

/// There are none.
pub fn apart(_: usize) -> Apart {
    unreachable!("no channel was made")
}

/// Not in host mode.
pub fn port_bind(_: usize, _: u64) -> Result<u16, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn port_connect(_: usize, _: u64, _: u64) -> Result<u16, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn port_hold(_: usize, _: u64, _: u64) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn port_lease() -> Result<u16, Errno> {
    Err(Errno::ENOSYS)
}

/// Not in host mode.
pub fn accept_tcp(_: usize) -> Result<(usize, [u64; 2]), Errno> {
    Err(Errno::ENOSYS)
}
