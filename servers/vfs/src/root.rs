// SPDX-License-Identifier: BSD-2-Clause
//! The root server as the VFS server sees it: what it laid out, and what can be asked of it.

use core::fmt::{self, Write};

use sel4_bindings::{CPtr, MessageInfo, call as sel4_call, rdtsc, set_mr};
use vfs_hooks::file::{Header, address};
use vfs_hooks::process::{self, ProcessInfo, slot};
use vfs_hooks::wire::{self, MAX_BYTES};
use vfs_server::{Errno, Files};

/// What the root server wrote about this process.
pub fn info() -> &'static ProcessInfo {
    // SAFETY: mapped from the start and for good; what changes in it is atomic.
    unsafe { &*(process::INFO as *const ProcessInfo) }
}

/// CLOCK_REALTIME, nanoseconds.
pub fn now() -> u64 {
    let info = info();
    let ticks = rdtsc().wrapping_sub(info.tsc_base);
    let since = ((u128::from(ticks) * u128::from(info.tsc_scale)) >> 32) as u64;
    info.realtime_base.wrapping_add(since)
}

/// Asks for something; its result.
fn ask(label: u64, words: [u64; 3]) -> Result<u64, Errno> {
    let [a, b, c] = words;
    let reply = sel4_call(
        CPtr(slot::ROOT),
        MessageInfo::new(label, 0, 3),
        [a, b, c, 0],
    );
    match reply.mrs[0] {
        0 => Ok(reply.mrs[1]),
        errno => Err(Errno(errno as u32)),
    }
}

/// Shared files are the root server's.
#[derive(Debug)]
pub struct Root;

impl Files for Root {
    fn create(&mut self, (offset, len): (u64, u64), process: usize) -> Result<u32, Errno> {
        let words = [offset, len, process as u64];
        ask(wire::root::FILE_CREATE, words).map(|number| number as u32)
    }

    fn grant(&mut self, file: u32, process: usize) -> Result<(), Errno> {
        ask(wire::root::FILE_GRANT, [file.into(), process as u64, 0]).map(drop)
    }

    fn end(&mut self, file: u32) -> bool {
        ask(wire::root::FILE_END, [file.into(), 0, 0]).is_ok()
    }

    fn header(&self, file: u32) -> &Header {
        // SAFETY: FILE_CREATE mapped it there, and it stays until FILE_END, after which the server has no such number; it consists of atomics.
        unsafe { &*(address(file as usize) as *const Header) }
    }
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
