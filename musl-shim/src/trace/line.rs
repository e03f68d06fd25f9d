// SPDX-License-Identifier: BSD-2-Clause
//! Text of one line, with what C's strings look like in it.

use core::fmt::{self, Write};

/// Bytes of a line, and those that its end may take.
const SIZE: usize = 640;
const END: usize = 80;
/// Bytes of a string that are shown (strace(1) has the same).
const SHOWN: usize = 32;

/// See the module. What does not fit is left out, but not the line's end.
pub struct Line {
    text: [u8; SIZE],
    len: usize,
    most: usize,
}

impl Line {
    /// Nothing yet.
    pub fn new() -> Line {
        Line {
            text: [0; SIZE],
            len: 0,
            most: SIZE - END,
        }
    }

    /// Adds text.
    pub fn put(&mut self, text: &str) {
        let n = text.len().min(self.most - self.len);
        self.text[self.len..self.len + n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes back what came after the first `len` bytes.
    pub fn cut(&mut self, len: usize) {
        self.len = len;
    }

    /// Adds text that is made.
    pub fn write(&mut self, text: fmt::Arguments) {
        // It does not fail.
        let _ = self.write_fmt(text);
    }

    /// Adds the last of it.
    pub fn end(&mut self, text: fmt::Arguments) {
        self.most = SIZE;
        self.write(text);
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Adds bytes as a string of C, which always works: `"…"`, with dots behind it if there are more of them. `whole`: a path, which is shown whole.
    pub fn string(&mut self, bytes: &[u8], whole: bool) -> Option<()> {
        let shown = match whole {
            true => bytes,
            false => &bytes[..bytes.len().min(SHOWN)],
        };
        self.put("\"");
        for byte in shown {
            match byte {
                b'"' => self.put("\\\""),
                b'\\' => self.put("\\\\"),
                b'\n' => self.put("\\n"),
                b'\r' => self.put("\\r"),
                b'\t' => self.put("\\t"),
                b' '..=b'~' => self.put(core::str::from_utf8(&[*byte]).unwrap_or("?")),
                _ => drop(write!(self, "\\{byte:o}")),
            }
        }
        self.put(if shown.len() < bytes.len() {
            "\"..."
        } else {
            "\""
        });
        Some(())
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_cs_and_ends_are_kept() {
        let mut line = Line::new();
        line.string(b"a\"\\\n\x01", false);
        line.string(&[b'x'; 40], false);
        assert_eq!(
            line.bytes(),
            [&b"\"a\\\"\\\\\\n\\1\"\""[..], &[b'x'; 32], b"\"..."].concat()
        );
        let mut line = Line::new();
        line.string(&[b'y'; 2000], true);
        line.end(format_args!(") = {}", 5));
        assert!(line.bytes().ends_with(b"y) = 5"));
    }
}
