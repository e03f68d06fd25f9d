// SPDX-License-Identifier: BSD-2-Clause
//! The net server's process: waits for the card, its clients and time, and gives the server (the library beside this) its turns.
//!
//! It is trusted with the card, and there is no IOMMU: whoever tells the card where to write can write everywhere.
//! What clients and peers send is not trusted.
#![no_std]
#![no_main]

extern crate alloc;

mod clock;
mod nic;
mod pci;
mod root;
mod root_udp;
mod transport;

use core::panic::PanicInfo;

use net_server::{Config, Errno, Server, WIRE_SIZE};
use sel4_bindings::{CPtr, MessageInfo, reply, reply_recv};
use vfs_hooks::process::{HEAP, notice, slot};

use clock::Alarm;
use nic::Nic;
use root::System;

guest_rt::server!(main);

/// Heap that is not for connections, but for tables, lists and TIME-WAIT: a quarter, and at most this.
const TABLES: usize = 6 << 20;

/// Notification badges and endpoint badges are both small numbers. What tells them apart is the message info: a
/// notification leaves it as it was when we began to wait, and every request has a label.
const NO_MESSAGE: MessageInfo = MessageInfo::new(0, 0, 0);

fn main() -> ! {
    guest_rt::set_panic_hook(panicked);
    let info = guest_rt::root::info();
    let len = info.heap_len as usize;
    // SAFETY: the root server mapped these bytes for our heap, and nothing else uses them.
    let heap = unsafe { guest_rt::heap::init(HEAP, len) };
    assert!(heap, "the root server gave no heap");
    let nic = match Nic::new(info) {
        Ok(nic) => nic,
        Err(why) => panic!("network card: {why}"),
    };
    let config = Config {
        address: info.address,
        prefix: info.prefix as u8,
        gateway: info.gateway,
        seed: [info.random[0], info.random[1], info.random[2]],
        connections: (len - TABLES.min(len / 4)) / WIRE_SIZE,
    };
    serve(Server::new(
        nic,
        System::default(),
        config,
        clock::now(info),
    ))
}

fn serve(mut server: Server<Nic, System>) -> ! {
    let info = guest_rt::root::info();
    let mut alarm = Alarm::default();
    loop {
        while server.turn(clock::now(info)) {}
        server.card().flush();
        server.card().enable_interrupts();
        // Both may have become busy while nobody would have told us.
        if !server.may_sleep(clock::now(info)) || server.card().has_frame() {
            server.card().disable_interrupts();
            continue;
        }
        alarm.set(server.deadline());
        // As `recv`, but with a message info of our choice; there is no caller, so nobody gets this reply.
        let message = reply_recv(CPtr(slot::NET), NO_MESSAGE, [0; 4]);
        server.card().disable_interrupts();
        if message.info.label() != NO_MESSAGE.label() {
            let request = core::array::from_fn(|i| message.word(i));
            let (client, label) = (message.badge as usize, message.info.label());
            let result = server.request(clock::now(info), client, label, request);
            let (info, words) = answer(result);
            reply(info, words);
        } else if message.badge & notice::TIMER != 0 {
            alarm.rang();
        }
        // Card and doorbells need no look at the badge: the next turn looks at both.
    }
}

/// The words of an answer: errno, result.
fn answer(result: Result<u64, Errno>) -> (MessageInfo, [u64; 4]) {
    let (errno, value) = match result {
        Ok(value) => (0, value),
        Err(errno) => (u64::from(errno.0), 0),
    };
    (MessageInfo::new(0, 0, 2), [errno, value, 0, 0])
}

fn panicked(info: &PanicInfo) {
    guest_rt::root::log(format_args!("net server panicked: {info}"));
}
