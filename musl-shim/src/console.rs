// SPDX-License-Identifier: BSD-2-Clause
//! The shim's own words: on the console, where the program's user sees them, or in the system's log.

use core::fmt::{self, Write};

use crate::errno::Errno;
use crate::platform::console;

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

fn send(to: fn(&[u8]) -> Result<(), Errno>, text: fmt::Arguments) {
    let mut line = Line {
        text: [0; Line::SIZE],
        len: 0,
    };
    // Nothing better can be done about text that does not fit, or that nobody takes.
    let _ = line.write_fmt(text);
    let _ = to(&line.text[..line.len]);
}

/// Says something on the console.
pub fn message(text: fmt::Arguments) {
    send(console::write, text);
}

/// Says something in the system's log.
#[cfg(not(any(test, feature = "library")))]
pub fn log(text: fmt::Arguments) {
    send(console::log, text);
}
