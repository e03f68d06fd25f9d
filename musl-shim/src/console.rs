// SPDX-License-Identifier: BSD-2-Clause
//! The shim's own words: on the console, where the program's user sees them, or in the system's log.

use core::fmt::{self, Write};

use vfs_hooks::wire::root;

use crate::server;

/// Gathers text up to a message's size.
struct Line {
    text: [u8; Line::SIZE],
    len: usize,
}

impl Line {
    const SIZE: usize = 400;
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let n = text.len().min(Line::SIZE - self.len);
        self.text[self.len..self.len + n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

fn send(label: u64, text: fmt::Arguments) {
    let mut line = Line {
        text: [0; Line::SIZE],
        len: 0,
    };
    // Nothing better can be done about text that does not fit, or that nobody takes.
    let _ = line.write_fmt(text);
    let _ = server::send_bytes(label, &line.text[..line.len]);
}

/// Says something on the console.
pub fn message(text: fmt::Arguments) {
    send(root::CONSOLE_WRITE, text);
}

/// Says something in the system's log.
pub fn log(text: fmt::Arguments) {
    send(root::LOG, text);
}
