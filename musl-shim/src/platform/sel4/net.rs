// SPDX-License-Identifier: BSD-2-Clause
//! The net server.

pub use super::server::{ask_net, has_net, open_net, ring_doorbell, unbind};

/// Own IPv4 address, most significant byte first; 0: no network.
pub fn address() -> u32 {
    super::info::info().address
}
