// SPDX-License-Identifier: BSD-2-Clause
//! The root server as the net server sees it: what it laid out, and what can be asked of it.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use guest_rt::root::{info, log};
use net_server::{Errno, Platform};
use sel4_bindings::{CPtr, Message, MessageInfo, call as sel4_call, nb_signal};
use vfs_hooks::channel::{address, watch_cptr};
use vfs_hooks::net::{Apart, Channel, channel_base};
use vfs_hooks::process::{self, MAX_WATCHES, client_watches, slot};
use vfs_hooks::wire;

/// Asks for something that takes up to two words and answers with an errno alone.
pub fn call(label: u64, first: u64, second: u64) -> u64 {
    let request = MessageInfo::new(label, 0, 2);
    sel4_call(CPtr(slot::ROOT), request, [first, second, 0, 0]).mrs[0]
}

fn ask(label: u64, [a, b, c]: [usize; 3]) -> Message {
    let request = MessageInfo::new(label, 0, 3);
    sel4_call(CPtr(slot::ROOT), request, [a as u64, b as u64, c as u64, 0])
}

/// The system around the server.
#[derive(Debug, Default)]
pub struct System {
    /// Of [`ProcessInfo::hung`](vfs_hooks::process::ProcessInfo::hung), as far as it was asked about.
    hung: u32,
}

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
            nb_signal(CPtr(process::cptr(client_watches(client), watch as usize)));
        }
    }

    fn join(&mut self, client: usize, channel: usize, pages: usize) -> Result<Apart, Errno> {
        let label = wire::root::CHANNEL_JOIN;
        match ask(label, [client, channel, pages]).mrs[0] {
            0 => {
                let base = NonNull::new(address(channel) as *mut u8).ok_or(Errno::INVAL)?;
                // SAFETY: the root server has mapped the channel there, with these pages, until we drop our side.
                Ok(unsafe { Apart::new(base) })
            }
            // ENOMEM
            12 => Err(Errno::NOBUFS),
            _ => Err(Errno::INVAL),
        }
    }

    fn holds(&mut self, client: usize, channel: usize) -> bool {
        ask(wire::root::CHANNEL_HOLDER, [client, channel, 0]).mrs[0] == 0
    }

    fn leave(&mut self, channel: usize) {
        call(wire::root::CHANNEL_DROP, channel as u64, 1 << 1);
    }

    fn hung(&mut self) -> Option<usize> {
        // Before the question: what comes after the answer changes it.
        let count = info().hung.load(Ordering::Acquire);
        if count == self.hung {
            return None;
        }
        let answer = ask(wire::root::CHANNEL_HUNG, [0; 3]);
        match answer.mrs[0] {
            0 => Some(answer.mrs[1] as usize),
            _ => {
                self.hung = count;
                None
            }
        }
    }

    fn signal_channel(&mut self, channel: usize, watch: usize) {
        nb_signal(CPtr(watch_cptr(channel, watch)));
    }

    fn listening(&mut self, port: u16) {
        log(format_args!("@listening {port}"));
    }
}
