// SPDX-License-Identifier: BSD-2-Clause
//! The root server as the net server sees it: what it laid out, and what can be asked of it.

use core::fmt::{self, Write};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use net_server::Platform;
use sel4_bindings::{CPtr, MessageInfo, call as sel4_call, nb_signal, set_mr};
use vfs_hooks::net::{Channel, channel_base};
use vfs_hooks::process::{self, CLIENT_WATCHES, MAX_WATCHES, ProcessInfo, slot};
use vfs_hooks::wire::{self, MAX_BYTES};

/// What the root server wrote about this process.
pub fn info() -> &'static ProcessInfo {
    // SAFETY: mapped from the start and for good; what changes in it is atomic.
    unsafe { &*(process::INFO as *const ProcessInfo) }
}

/// Asks for something that takes up to two words and answers with an errno alone.
pub fn call(label: u64, first: u64, second: u64) -> u64 {
    let request = MessageInfo::new(label, 0, 2);
    sel4_call(CPtr(slot::ROOT), request, [first, second, 0, 0]).mrs[0]
}

/// A line that fits into one message; what is longer is cut.
struct Line {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let n = text.len().min(room.len());
        room[..n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Writes a line to the system log.
pub fn log(text: fmt::Arguments) {
    let mut line = Line {
        bytes: [0; MAX_BYTES],
        len: 0,
    };
    // `Line` never fails; a Display that does leaves a shorter line.
    let _ = line.write_fmt(text);
    let mut first = [line.len as u64, 0, 0, 0];
    let mut count = 1;
    for part in line.bytes[..line.len].chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        match first.get_mut(count) {
            Some(register) => *register = u64::from_le_bytes(word),
            None => set_mr(count, u64::from_le_bytes(word)),
        }
        count += 1;
    }
    let request = MessageInfo::new(wire::root::LOG, 0, count);
    sel4_call(CPtr(slot::ROOT), request, first);
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
