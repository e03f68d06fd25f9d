// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets as the root server shows them to the net server.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use guest_rt::root::info;
use net_server::{Errno, UdpPlatform};
use sel4_bindings::{CPtr, MessageInfo, call, nb_signal};
use vfs_hooks::channel::{CONNECTION, Header, address, watch_cptr};
use vfs_hooks::process::slot;
use vfs_hooks::ring::Ring;
use vfs_hooks::udp::{End, INWARD, LOCAL, OFFSETS, OUTWARD, Socket, Udp};
use vfs_hooks::wire::root;

use crate::root::System;

/// Asks the root server for what has one result.
fn ask(label: u64, words: [u64; 2]) -> Result<u64, Errno> {
    let [a, b] = words;
    let reply = call(
        CPtr(slot::ROOT),
        MessageInfo::new(label, 0, 2),
        [a, b, 0, 0],
    );
    match reply.mrs[0] {
        0 => Ok(reply.mrs[1]),
        errno => Err(Errno(errno as u32)),
    }
}

impl UdpPlatform for System {
    fn udp_join(&mut self, client: usize, channel: u32) -> Result<(End, usize), Errno> {
        let name = ask(root::UDP_JOIN, [client as u64, channel.into()])?;
        Ok((End::of(name), channel as usize))
    }

    fn udp_socket(&mut self, channel: u32) -> Socket<'static> {
        let base = address(channel as usize);
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

    fn udp_signal(&mut self, place: usize, watch: usize) {
        // The watch is checked by who says it (`Header::publish`); an empty slot is no harm.
        nb_signal(CPtr(watch_cptr(place, watch)));
    }

    fn udp_closed(&mut self) -> u32 {
        info().udp_closed.load(Ordering::Acquire)
    }

    fn udp_next_closed(&mut self) -> Option<u32> {
        ask(root::UDP_CLOSED, [0; 2])
            .ok()
            .map(|channel| channel as u32)
    }

    fn udp_leave(&mut self, channel: u32) {
        // Refused only if we do not hold it.
        let _ = ask(root::CHANNEL_DROP, [channel.into(), 2]);
    }
}
