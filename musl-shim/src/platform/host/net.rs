// SPDX-License-Identifier: BSD-2-Clause
//! No net server: connections of our own kind stay in the process.

use crate::errno::Errno;

/// Own IPv4 address, most significant byte first; 0: no network.
pub fn address() -> u32 {
    0
}

/// Whether there is a net server.
pub fn has_net() -> bool {
    false
}

/// Asks the net server.
pub fn ask_net(_: u64, _: [u64; 3]) -> Result<[u64; 3], Errno> {
    Err(Errno::ENETUNREACH)
}

/// Makes this process a client of the net server.
pub fn open_net() -> Result<(), Errno> {
    Err(Errno::ENETUNREACH)
}

/// Rings the net server's doorbell.
pub fn ring_doorbell() {}

/// Gives a port back.
pub fn unbind(_: u16) {}
