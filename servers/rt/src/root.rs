// SPDX-License-Identifier: BSD-2-Clause
//! The root server as every server sees it: what it laid out, and its log.

use core::fmt::{self, Write};

use sel4_bindings::{CPtr, MessageInfo, call, set_mr};
use vfs_hooks::process::{self, ProcessInfo, slot};
use vfs_hooks::wire::{self, MAX_BYTES};

/// What the root server wrote about this process.
pub fn info() -> &'static ProcessInfo {
    // SAFETY: mapped from the start and for good; what changes in it is atomic.
    unsafe { &*(process::INFO as *const ProcessInfo) }
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
    call(CPtr(slot::ROOT), request, first);
}
