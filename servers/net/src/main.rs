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
mod transport;

use core::panic::PanicInfo;

use net_server::{Config, Errno, Server, WIRE_SIZE};
use sel4_bindings::{CPtr, MessageInfo, reply_recv};
use vfs_hooks::process::{notice, slot};

use clock::Alarm;
use nic::Nic;
use root::System;

guest_rt::server!(main);

/// Heap that is not for connections: tables, lists, TIME-WAIT.
const TABLES: usize = 6 << 20;

/// Notification badges and endpoint badges are both small numbers. What tells them apart is the message info: a
/// notification leaves it as it was when we began to wait, and every request has a label.
const NO_MESSAGE: MessageInfo = MessageInfo::new(0, 0, 0);

fn main() -> ! {
    guest_rt::set_panic_hook(panicked);
    let info = root::info();
    // SAFETY: the root server mapped these bytes for our heap, and nothing else uses them.
    let heap = unsafe { guest_rt::heap::init(vfs_hooks::process::HEAP, info.heap_len as usize) };
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
        connections: (info.heap_len as usize).saturating_sub(TABLES) / WIRE_SIZE,
    };
    serve(Server::new(nic, System, config, clock::now(info)))
}

fn serve(mut server: Server<Nic, System>) -> ! {
    let info = root::info();
    let mut alarm = Alarm::default();
    let mut answer = None;
    loop {
        // First the answer's own consequences (the SYN of a connect), so that they go out together with everything else.
        while server.turn(clock::now(info)) {}
        server.card().flush();
        server.card().enable_interrupts();
        // Both may have become busy while nobody would have told us.
        let mut message = None;
        if answer.is_some() || (server.may_sleep(clock::now(info)) && !server.card().has_frame()) {
            alarm.set(server.deadline());
            let (reply, words) = match answer.take() {
                Some(result) => words(result),
                None => (NO_MESSAGE, [0; 4]),
            };
            // Without a caller the reply goes nowhere.
            message = Some(reply_recv(CPtr(slot::NET), reply, words));
        }
        server.card().disable_interrupts();
        let Some(message) = message else {
            continue;
        };
        if message.info.label() == NO_MESSAGE.label() {
            if message.badge & notice::TIMER != 0 {
                alarm.rang();
            }
            // Card and doorbells: the next turn looks at both anyway.
        } else {
            let words = core::array::from_fn(|i| message.word(i));
            let client = message.badge as usize;
            let label = message.info.label();
            answer = Some(server.request(clock::now(info), client, label, words));
        }
    }
}

/// The words of an answer: errno, result.
fn words(result: Result<u64, Errno>) -> (MessageInfo, [u64; 4]) {
    let (errno, value) = match result {
        Ok(value) => (0, value),
        Err(errno) => (u64::from(errno.0), 0),
    };
    (MessageInfo::new(0, 0, 2), [errno, value, 0, 0])
}

fn panicked(info: &PanicInfo) {
    root::log(format_args!("net server panicked: {info}"));
}
