// SPDX-License-Identifier: BSD-2-Clause
//! Requests to the servers: one message, one answer (see [`vfs_hooks::wire`]).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::errno::Errno;
use sel4_bindings::{CPtr, Message, MessageInfo, call, get_mr, set_mr};
use vfs_hooks::process::{OWN, cptr, slot};
use vfs_hooks::vfs::{MOST_STRINGS, REPLY_WORDS, REQUEST_WORDS};
use vfs_hooks::wire::{MAX_BYTES, net, root};

use super::info::stats;
use super::vfs::Reply;

const ROOT: CPtr = CPtr(cptr(OWN, slot::ROOT));
const NET: CPtr = CPtr(cptr(OWN, slot::NET));

/// An answer's words after the errno.
type Words = [u64; 3];

fn request(server: CPtr, label: u64, words: [u64; 4], len: usize) -> Result<Message, Errno> {
    stats().server_calls.fetch_add(1, Ordering::Relaxed);
    let reply = call(server, MessageInfo::new(label, 0, len), words);
    match reply.mrs[0] {
        0 => Ok(reply),
        errno => Err(Errno::from_raw(errno as i32)),
    }
}

/// Asks the root server.
pub fn ask_root(label: u64, words: [u64; 3]) -> Result<Words, Errno> {
    let [a, b, c] = words;
    let reply = request(ROOT, label, [a, b, c, 0], 3)?;
    Ok([reply.mrs[1], reply.mrs[2], reply.mrs[3]])
}

/// Asks the root server for an answer of more words.
pub fn ask_root_words<const N: usize>(label: u64, [a, b, c]: [u64; 3]) -> Result<[u64; N], Errno> {
    let reply = request(ROOT, label, [a, b, c, 0], 3)?;
    Ok(core::array::from_fn(|i| match reply.mrs.get(i + 1) {
        Some(register) => *register,
        None => get_mr(i + 1),
    }))
}

/// Asks the root server for bytes.
pub fn ask_root_packed(label: u64, [a, b, c]: [u64; 3]) -> Result<Vec<u8>, Errno> {
    let reply = request(ROOT, label, [a, b, c, 0], 3)?;
    let len = (reply.mrs[1] as usize).min(MAX_BYTES);
    let words = (0..len.div_ceil(8)).map(|i| match reply.mrs.get(i + 2) {
        Some(register) => *register,
        None => get_mr(i + 2),
    });
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    Ok(bytes)
}

/// Asks the root server with two words and some bytes, at most [`MAX_BYTES`] but two words.
pub fn ask_root_bytes(label: u64, [a, b]: [u64; 2], bytes: &[u8]) -> Result<Words, Errno> {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES - 16)];
    let mut mrs = [a, b, bytes.len() as u64, 0];
    for (i, chunk) in bytes.chunks(8).enumerate() {
        match mrs.get_mut(i + 3) {
            Some(register) => *register = word(chunk),
            None => set_mr(i + 3, word(chunk)),
        }
    }
    let reply = request(ROOT, label, mrs, 3 + bytes.len().div_ceil(8))?;
    Ok([reply.mrs[1], reply.mrs[2], reply.mrs[3]])
}

/// Tells the root server what has no answer: it comes back only if that was refused.
pub fn tell_root(label: u64, word: u64) {
    call(ROOT, MessageInfo::new(label, 0, 1), [word, 0, 0, 0]);
}

const VFS: CPtr = CPtr(cptr(OWN, slot::VFS));

/// Asks the VFS server (see [`vfs_hooks::vfs`]).
pub fn ask_vfs(label: u64, words: [u64; 3], strings: [&[u8]; 2]) -> Result<Reply, Errno> {
    let lengths = strings.map(|string| string.len());
    if lengths[0] + lengths[1] > MOST_STRINGS {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut bytes = [0; MOST_STRINGS];
    bytes[..lengths[0]].copy_from_slice(strings[0]);
    bytes[lengths[0]..lengths[0] + lengths[1]].copy_from_slice(strings[1]);
    let used = &bytes[..lengths[0] + lengths[1]];
    for (i, part) in used.chunks(8).enumerate() {
        set_mr(REQUEST_WORDS + 1 + i, word(part));
    }
    let [a, b, c] = words;
    let both = lengths[0] as u64 | (lengths[1] as u64) << 16;
    let len = REQUEST_WORDS + 1 + used.len().div_ceil(8);
    let message = request(VFS, label, [a, b, c, both], len)?;
    let count = message.info.length();
    let word = |i: usize| match message.mrs.get(i) {
        _ if i >= count => 0,
        Some(register) => *register,
        None => get_mr(i),
    };
    let len = (word(1 + REPLY_WORDS) as usize).min(MOST_STRINGS);
    let mut string = Vec::with_capacity(len.next_multiple_of(8));
    for i in 0..len.div_ceil(8) {
        string.extend_from_slice(&word(2 + REPLY_WORDS + i).to_le_bytes());
    }
    string.truncate(len);
    Ok(Reply {
        words: core::array::from_fn(|i| word(1 + i)),
        string,
    })
}

/// This process is a client of the net server.
static CLIENT: AtomicBool = AtomicBool::new(false);

/// In the child after fork(2): it is not yet a client.
pub fn after_fork() {
    CLIENT.store(false, Ordering::Relaxed);
}

/// Makes this process a client of the net server, if it is none.
pub fn open_net() -> Result<(), Errno> {
    if !CLIENT.load(Ordering::Relaxed) {
        ask_root(root::NET_OPEN, [0; 3])?;
        CLIENT.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Asks the net server.
pub fn ask_net(label: u64, words: [u64; 3]) -> Result<Words, Errno> {
    let [a, b, c] = words;
    open_net()?;
    let reply = request(NET, label, [a, b, c, 0], 3)?;
    Ok([reply.mrs[1], reply.mrs[2], reply.mrs[3]])
}

/// The number made of up to eight bytes.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Sends bytes to the console, or to the system's log.
pub fn send_bytes(label: u64, bytes: &[u8]) -> Result<(), Errno> {
    debug_assert!(label == root::CONSOLE_WRITE || label == root::LOG);
    for part in bytes.chunks(MAX_BYTES) {
        let mut mrs = [part.len() as u64, 0, 0, 0];
        for (i, chunk) in part.chunks(8).enumerate() {
            match mrs.get_mut(i + 1) {
                Some(register) => *register = word(chunk),
                None => set_mr(i + 1, word(chunk)),
            }
        }
        request(ROOT, label, mrs, 1 + part.len().div_ceil(8))?;
    }
    Ok(())
}

/// Takes console input; 0 is its end, EAGAIN none yet.
pub fn console_read(buffer: &mut [u8]) -> Result<usize, Errno> {
    let most = buffer.len().min(MAX_BYTES);
    ask_root_for_bytes(root::CONSOLE_READ, most as u64, &mut buffer[..most])
}

/// Asks the root server for bytes, at most [`MAX_BYTES`]; how many it gave.
pub fn ask_root_for_bytes(label: u64, word: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let reply = request(ROOT, label, [word, 0, 0, 0], 1)?;
    let len = (reply.mrs[1] as usize).min(buffer.len());
    for (i, chunk) in buffer[..len].chunks_mut(8).enumerate() {
        let word = match reply.mrs.get(i + 2) {
            Some(register) => *register,
            None => get_mr(i + 2),
        };
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    Ok(len)
}

/// Ends the process.
pub fn exit(status: u8) -> ! {
    end(u64::from(status), 0)
}

/// Ends the process with a status, or by a signal.
pub fn end(status: u64, signal: u64) -> ! {
    loop {
        call(
            ROOT,
            MessageInfo::new(root::EXIT, 0, 2),
            [status, signal, 0, 0],
        );
    }
}

/// Whether there is a net server.
pub fn has_net() -> bool {
    super::info::info().address != 0
}

/// Rings the net server's doorbell.
pub fn ring_doorbell() {
    // What a child inherited by fork(2) it only throws away.
    if !CLIENT.load(Ordering::Relaxed) {
        return;
    }
    stats().doorbells.fetch_add(1, Ordering::Relaxed);
    sel4_bindings::signal(CPtr(cptr(OWN, slot::DOORBELL)));
}

/// Gives a port back.
pub fn unbind(port: u16) {
    if !CLIENT.load(Ordering::Relaxed) {
        return;
    }
    // The net server refuses only a port that is not ours; then there is nothing to give back.
    let _ = ask_net(net::UNBIND, [u64::from(port), 0, 0]);
}
