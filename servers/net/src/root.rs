// SPDX-License-Identifier: BSD-2-Clause
//! The root server as the net server sees it: what it laid out, and what can be asked of it.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use guest_rt::root::{info, log};
use net_server::Platform;
use sel4_bindings::{CPtr, MessageInfo, call as sel4_call, nb_signal};
use vfs_hooks::net::{Channel, channel_base};
use vfs_hooks::process::{self, CLIENT_WATCHES, MAX_WATCHES, slot};
use vfs_hooks::wire;

/// Asks for something that takes up to two words and answers with an errno alone.
pub fn call(label: u64, first: u64, second: u64) -> u64 {
    let request = MessageInfo::new(label, 0, 2);
    sel4_call(CPtr(slot::ROOT), request, [first, second, 0, 0]).mrs[0]
}

/// The system around the server.
#[derive(Debug)]
pub struct System;

impl Platform for System {
    fn clients(&mut self) -> u64 {
        info().clients.load(Ordering::Acquire)
    }

    fn gone(&mut self, client: usize) {
        call(wire::root::CLIENT_GONE, client as u64, 0);
    }

    fn channel(&mut self, client: usize) -> Channel {
        let base = NonNull::new(channel_base(client) as *mut u8);
        // SAFETY: the root server maps a client's control page there before the client can call us, and leaves it.
        unsafe { Channel::new(base.unwrap_unchecked()) }
    }

    fn map_sockets(&mut self, client: usize, chunk: usize) -> bool {
        call(wire::root::MAP_SOCKETS, client as u64, chunk as u64) == 0
    }

    fn signal(&mut self, client: usize, watch: u32) {
        // The watch is the client's word. It must stay in the client's own CNode; an empty slot there is no harm.
        if (watch as usize) < MAX_WATCHES {
            nb_signal(CPtr(process::cptr(CLIENT_WATCHES + client, watch as usize)));
        }
    }

    fn listening(&mut self, port: u16) {
        log(format_args!("@listening {port}"));
    }
}
