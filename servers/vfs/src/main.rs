// SPDX-License-Identifier: BSD-2-Clause
//! The VFS server's process: takes requests one after the other and gives them to the server (the library beside this).
#![no_std]
#![no_main]

extern crate alloc;

mod root;

use core::panic::PanicInfo;

use sel4_bindings::{CPtr, Message, MessageInfo, reply_recv, set_mr};
use vfs_hooks::process::{ARCHIVE, HEAP, slot};
use vfs_hooks::vfs::{MOST_STRINGS, REPLY_WORDS, REQUEST_WORDS};
use vfs_server::{Errno, Reply, Request, Server};

use root::Root;

guest_rt::server!(main);

/// Bytes of heap for an inode with its name, and something over.
const INODE: usize = 512;

/// What tells a notification from a request, as at the net server: it leaves the message info as it was, and every request has a label.
const NO_MESSAGE: MessageInfo = MessageInfo::new(0, 0, 0);

/// Registers in which a message's first words are.
const REGISTERS: usize = 4;

fn main() -> ! {
    guest_rt::set_panic_hook(panicked);
    let info = guest_rt::root::info();
    let len = info.heap_len as usize;
    // SAFETY: the root server mapped these bytes for our heap, and nothing else uses them.
    let heap = unsafe { guest_rt::heap::init(HEAP, len) };
    assert!(heap, "the root server gave no heap");
    let mut server = Server::new(Root, len / INODE, root::now());
    // SAFETY: the root server maps that many bytes there, read-only, for good; they never change.
    let archive =
        unsafe { core::slice::from_raw_parts(ARCHIVE as *const u8, info.archive_len as usize) };
    server.boot(archive, root::now());
    serve(server)
}

fn serve(mut server: Server<Root>) -> ! {
    let (mut info, mut words) = (NO_MESSAGE, [0; REGISTERS]);
    loop {
        // There is no caller at first, or after a notification, so nobody gets that reply.
        let message = reply_recv(CPtr(slot::VFS), info, words);
        (info, words) = match message.info.label() {
            0 => {
                server.sweep();
                server.sweep_owners();
                (NO_MESSAGE, [0; REGISTERS])
            }
            _ => {
                let mut bytes = [0; MOST_STRINGS];
                let result = read(&message, &mut bytes).and_then(|request| {
                    server.request(message.badge as usize, &request, root::now())
                });
                write(result)
            }
        };
    }
}

/// The request in a message, whose strings come to lie in `bytes`.
fn read<'a>(message: &Message, bytes: &'a mut [u8; MOST_STRINGS]) -> Result<Request<'a>, Errno> {
    let words = core::array::from_fn(|i| message.word(i));
    let lengths = message.word(REQUEST_WORDS);
    // Words beyond the message's end are 0.
    let used = message.info.length().saturating_sub(REQUEST_WORDS + 1);
    for (i, part) in bytes.chunks_exact_mut(8).enumerate().take(used) {
        part.copy_from_slice(&message.word(REQUEST_WORDS + 1 + i).to_le_bytes());
    }
    Request::parse(message.info.label(), words, lengths, bytes)
}

/// The message of an answer; all but the first words go to the message buffer.
fn write(result: Result<Reply, Errno>) -> (MessageInfo, [u64; REGISTERS]) {
    let mut first = [0; REGISTERS];
    let reply = match result {
        Ok(reply) => reply,
        Err(errno) => {
            first[0] = u64::from(errno.0);
            return (MessageInfo::new(0, 0, 1), first);
        }
    };
    let mut count = 1;
    let mut put = |word: u64| {
        match first.get_mut(count) {
            Some(register) => *register = word,
            None => set_mr(count, word),
        }
        count += 1;
    };
    reply.words.iter().for_each(|word| put(*word));
    put(reply.string.len() as u64);
    for part in reply.string.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        put(u64::from_le_bytes(word));
    }
    debug_assert!(count <= 2 + REPLY_WORDS + MOST_STRINGS / 8);
    (MessageInfo::new(0, 0, count), first)
}

fn panicked(info: &PanicInfo) {
    guest_rt::root::log(format_args!("VFS server panicked: {info}"));
}
