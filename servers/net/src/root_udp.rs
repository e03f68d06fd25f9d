// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets as the root server shows them to the net server.

use core::ptr::NonNull;

use net_server::{Errno, UdpPlatform};
use sel4_bindings::{CPtr, MessageInfo, call};
use vfs_hooks::channel::{CONNECTION, Header, address};
use vfs_hooks::process::slot;
use vfs_hooks::ring::Ring;
use vfs_hooks::udp::{End, INWARD, LOCAL, OFFSETS, OUTWARD, Socket, Udp};
use vfs_hooks::wire::root;

use crate::root::System;

impl UdpPlatform for System {
    fn udp_join(&mut self, client: usize, channel: usize) -> Result<End, Errno> {
        let reply = call(
            CPtr(slot::ROOT),
            MessageInfo::new(root::UDP_JOIN, 0, 2),
            [client as u64, channel as u64, 0, 0],
        );
        match reply.mrs[0] {
            0 => Ok(End::of(reply.mrs[1])),
            errno => Err(Errno(errno as u32)),
        }
    }

    fn udp_socket(&mut self, channel: usize) -> Socket<'static> {
        let base = address(channel);
        // SAFETY: we joined, so the root server has mapped the first page for us, until we leave; both consist of atomics there, and the server uses neither afterwards.
        let (header, udp) = unsafe {
            (
                &*(base as *const Header),
                &*((base + CONNECTION) as *const Udp),
            )
        };
        let sizes = [LOCAL, INWARD, OUTWARD];
        let rings = core::array::from_fn(|which| {
            let data = NonNull::new((base + OFFSETS[which]) as *mut u8).expect("not null");
            // SAFETY: so it has the pages of the inward and outward queues; the local one we never touch. All access is by raw pointer.
            unsafe { Ring::new(udp.ring(which), data, sizes[which]) }
        });
        Socket::new(header, udp, rings)
    }
}
