// SPDX-License-Identifier: BSD-2-Clause
//! The console as a terminal: what becomes of the bytes that come in and go out (termios(3), the line discipline N_TTY). Only what is said here is done: no flow
//! control (IXON), no VTIME, no VLNEXT.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes kept for the programs; beyond them the serial line holds the sender back.
pub const CAPACITY: usize = 16 << 10;
/// Longest line that is edited (N_TTY_BUF_SIZE).
const LONGEST: usize = 4095;
/// Bytes of struct termios, as the kernel has it.
pub const MODE_BYTES: usize = 36;

// c_iflag
const INLCR: u32 = 0o100;
const IGNCR: u32 = 0o200;
const ICRNL: u32 = 0o400;
// c_oflag
const OPOST: u32 = 1;
const ONLCR: u32 = 4;
// c_cflag: 8 bits, receiver on, 115,200 baud
const CFLAG: u32 = 0o60 | 0o200 | 0o10002;
// c_lflag
const ISIG: u32 = 1;
const ICANON: u32 = 2;
const ECHO: u32 = 0o10;
const ECHOE: u32 = 0o20;
const ECHOK: u32 = 0o40;
const ECHONL: u32 = 0o100;
const NOFLSH: u32 = 0o200;
const TOSTOP: u32 = 0o400;
const ECHOCTL: u32 = 0o1000;
const ECHOKE: u32 = 0o4000;
const IEXTEN: u32 = 0o100000;
// c_cc
const VINTR: usize = 0;
const VQUIT: usize = 1;
const VERASE: usize = 2;
const VKILL: usize = 3;
const VEOF: usize = 4;
const VTIME: usize = 5;
const VMIN: usize = 6;
const VSUSP: usize = 10;
const VEOL: usize = 11;
const VWERASE: usize = 14;

const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGTSTP: u32 = 20;

/// In the input: an end of file (VEOF). What follows is for the next read.
const END: u16 = 0x100;

/// struct termios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    /// c_line, then c_cc.
    characters: [u8; 20],
}

impl Mode {
    /// Bytes go through unchanged both ways.
    pub const RAW: Mode = Mode {
        input: 0,
        output: 0,
        control: CFLAG,
        local: 0,
        characters: [
            0, 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
        ],
    };
    /// As a terminal is that somebody sits at.
    pub const COOKED: Mode = Mode {
        input: ICRNL,
        output: OPOST | ONLCR,
        local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        ..Mode::RAW
    };

    /// As a program has it in memory. What this terminal never does is taken out; speed and size of its bytes are as they are.
    pub fn from_bytes(bytes: &[u8]) -> Option<Mode> {
        let bytes: &[u8; MODE_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[4 * at..4 * at + 4]);
            u32::from_le_bytes(word)
        };
        let mut characters = [0; 20];
        characters.copy_from_slice(&bytes[16..]);
        Some(Mode {
            input: word(0) & (INLCR | IGNCR | ICRNL),
            output: word(1) & (OPOST | ONLCR),
            control: CFLAG,
            local: word(3) & (Mode::COOKED.local | ECHONL | NOFLSH | TOSTOP),
            characters,
        })
    }

    /// The same way.
    pub fn bytes(&self) -> [u8; MODE_BYTES] {
        let mut bytes = [0; MODE_BYTES];
        let words = [self.input, self.output, self.control, self.local];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes[16..].copy_from_slice(&self.characters);
        bytes
    }

    fn character(&self, which: usize) -> u8 {
        self.characters[1 + which]
    }

    /// Whether a byte is that key. 0: there is no such key (_POSIX_VDISABLE).
    fn is(&self, byte: u8, which: usize) -> bool {
        byte != 0 && byte == self.character(which)
    }

    fn has(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether writing to it stops who is in the background (TOSTOP).
    pub fn stops_writers(&self) -> bool {
        self.has(TOSTOP)
    }

    /// Whether a read that finds nothing says so at once (VMIN of 0).
    pub fn never_waits(&self) -> bool {
        !self.has(ICANON) && self.character(VMIN) == 0 && self.character(VTIME) == 0
    }
}

/// The terminal.
#[derive(Debug)]
pub struct Terminal {
    mode: Mode,
    /// What can be read: bytes, and ends of file.
    input: VecDeque<u16>,
    /// The line that is being edited.
    line: Vec<u8>,
}

impl Terminal {
    /// One with nothing in it.
    pub const fn new(mode: Mode) -> Terminal {
        Terminal {
            mode,
            input: VecDeque::new(),
            line: Vec::new(),
        }
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// tcsetattr(3); `flushes`: what came before is thrown away.
    pub fn set_mode(&mut self, mode: Mode, flushes: bool) {
        if flushes {
            self.flush();
        }
        if !mode.has(ICANON) {
            // Nobody edits it any longer. An end of file that nobody has read is none without lines.
            self.push_line();
            self.input.retain(|&byte| byte != END);
        }
        self.mode = mode;
    }

    fn flush(&mut self) {
        self.input.clear();
        self.line.clear();
    }

    fn push_line(&mut self) {
        self.input.extend(self.line.drain(..).map(u16::from));
    }

    /// How much can be read; not 0 if a read finds anything.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }

    /// Whether more is to be taken.
    pub fn has_room(&self) -> bool {
        self.input.len() + self.line.len() < CAPACITY
    }

    /// Takes a byte that came in; what is to be seen of it is added to `echo`. A signal: for the process group in the foreground.
    pub fn take(&mut self, byte: u8, echo: &mut Vec<u8>) -> Option<u32> {
        let mode = self.mode;
        let byte = match byte {
            b'\r' if mode.input & IGNCR != 0 => return None,
            b'\r' if mode.input & ICRNL != 0 => b'\n',
            b'\n' if mode.input & INLCR != 0 => b'\r',
            byte => byte,
        };
        if mode.has(ISIG) {
            let keys = [(VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)];
            if let Some((_, signal)) = keys.into_iter().find(|(key, _)| mode.is(byte, *key)) {
                if !mode.has(NOFLSH) {
                    self.flush();
                }
                self.show(byte, echo);
                return Some(signal);
            }
        }
        if !mode.has(ICANON) {
            self.show(byte, echo);
            self.input.push_back(byte.into());
            return None;
        }
        if mode.is(byte, VERASE) {
            self.erase(echo);
        } else if mode.is(byte, VKILL) {
            while self.erase(echo) {}
        } else if mode.is(byte, VWERASE) && mode.has(IEXTEN) {
            while self.line.last().is_some_and(u8::is_ascii_whitespace) {
                self.erase(echo);
            }
            while self.line.last().is_some_and(|b| !b.is_ascii_whitespace()) {
                self.erase(echo);
            }
        } else if mode.is(byte, VEOF) {
            // The line so far can be read; an empty one is the end of the file.
            self.push_line();
            self.input.push_back(END);
        } else if byte == b'\n' || mode.is(byte, VEOL) {
            if mode.has(ECHO) || (mode.has(ECHONL) && byte == b'\n') {
                self.output(&[byte], |bytes| echo.extend_from_slice(bytes));
            }
            self.line.push(byte);
            self.push_line();
        } else if self.line.len() < LONGEST {
            self.show(byte, echo);
            self.line.push(byte);
        }
        None
    }

    /// What is seen of a byte.
    fn show(&self, byte: u8, echo: &mut Vec<u8>) {
        match byte {
            _ if !self.mode.has(ECHO) => {}
            b'\n' => self.output(&[byte], |bytes| echo.extend_from_slice(bytes)),
            _ if !self.is_shown_in_two(byte) => echo.push(byte),
            _ => echo.extend([b'^', byte ^ 0x40]),
        }
    }

    fn is_shown_in_two(&self, byte: u8) -> bool {
        self.mode.has(ECHOCTL) && byte.is_ascii_control() && byte != b'\t' && byte != b'\n'
    }

    /// Takes back the last character of the line, all bytes of it. Whether there was one.
    fn erase(&mut self, echo: &mut Vec<u8>) -> bool {
        let Some(mut byte) = self.line.pop() else {
            return false;
        };
        // The bytes of UTF-8 after a character's first.
        while byte & 0xc0 == 0x80
            && let Some(before) = self.line.pop()
        {
            byte = before;
        }
        if self.mode.has(ECHO) && self.mode.has(ECHOE) {
            let columns = 1 + usize::from(self.is_shown_in_two(byte));
            (0..columns).for_each(|_| echo.extend_from_slice(b"\x08 \x08"));
        }
        true
    }

    /// read(2): at most a line, if lines are edited.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut count = 0;
        while count < out.len()
            && let Some(next) = self.input.pop_front()
        {
            if next == END {
                break;
            }
            out[count] = next as u8;
            count += 1;
            if self.mode.has(ICANON) && self.ends_line(next as u8) {
                return count;
            }
        }
        // The mark behind a line that was read to its last byte belongs to it.
        if count > 0 && count == out.len() && self.input.front() == Some(&END) {
            self.input.pop_front();
        }
        count
    }

    fn ends_line(&self, byte: u8) -> bool {
        byte == b'\n' || self.mode.is(byte, VEOL)
    }

    /// What goes out for what a program writes.
    pub fn output(&self, bytes: &[u8], mut send: impl FnMut(&[u8])) {
        if self.mode.output & (OPOST | ONLCR) != OPOST | ONLCR {
            return send(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                None => send(line),
                Some(line) => {
                    send(line);
                    send(b"\r\n");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen, what can be read at once, and the signals, after these bytes came in.
    fn typed(mode: Mode, bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u32>) {
        let mut terminal = Terminal::new(mode);
        let (mut echo, mut signals, mut read) = (Vec::new(), Vec::new(), Vec::new());
        for byte in bytes {
            signals.extend(terminal.take(*byte, &mut echo));
        }
        let mut out = [0; 8];
        while terminal.waiting() > 0 {
            let n = terminal.read(&mut out);
            read.extend_from_slice(&out[..n]);
            read.push(b'|');
        }
        (echo, read, signals)
    }

    fn check(mode: Mode, bytes: &[u8], seen: &[u8], read: &[u8], signals: &[u32]) {
        let got = typed(mode, bytes);
        assert_eq!((&got.0[..], &got.1[..], &got.2[..]), (seen, read, signals));
    }

    #[test]
    fn raw_bytes_go_through() {
        check(
            Mode::RAW,
            b"a\r\x03\x04\n\x7f",
            b"",
            b"a\r\x03\x04\n\x7f|",
            &[],
        );
    }

    #[test]
    fn lines_are_edited_and_read_one_by_one() {
        check(Mode::COOKED, b"ab\rcd", b"ab\r\ncd", b"ab\n|", &[]);
        check(
            Mode::COOKED,
            b"ax\x7fb\n",
            b"ax\x08 \x08b\r\n",
            b"ab\n|",
            &[],
        );
        check(Mode::COOKED, b"\x7f\n", b"\r\n", b"\n|", &[]);
        let wiped = b"one two\x08 \x08\x08 \x08\x08 \x083\r\n";
        check(Mode::COOKED, b"one two\x173\n", wiped, b"one 3\n|", &[]);
        let (_, read, _) = typed(Mode::COOKED, b"one two\x153\n");
        assert_eq!(read, b"3\n|");
        let (_, read, _) = typed(Mode::COOKED, "a\u{e9}\u{7f}b\n".as_bytes());
        assert_eq!(read, b"ab\n|", "a whole character");
        // Longer than the reader's room.
        check(
            Mode::COOKED,
            b"0123456789\n",
            b"0123456789\r\n",
            b"01234567|89\n|",
            &[],
        );
    }

    #[test]
    fn ends_of_file_are_read_once() {
        check(Mode::COOKED, b"\x04", b"", b"|", &[]);
        check(Mode::COOKED, b"ab\x04\x04c\n", b"abc\r\n", b"ab||c\n|", &[]);
        check(
            Mode::COOKED,
            b"01234567\x04",
            b"01234567",
            b"01234567|",
            &[],
        );
    }

    #[test]
    fn keys_send_signals_and_throw_away_what_was_typed() {
        check(
            Mode::COOKED,
            b"ab\ncd\x03e\n",
            b"ab\r\ncd^Ce\r\n",
            b"e\n|",
            &[2],
        );
        check(Mode::COOKED, b"\x1a\x1c", b"^Z^\\", b"", &[20, 3]);
        let keeps = Mode {
            local: Mode::COOKED.local | NOFLSH,
            ..Mode::COOKED
        };
        check(keeps, b"a\x03\n", b"a^C\r\n", b"a\n|", &[2]);
        let mut none = Mode::COOKED;
        none.characters[1 + VINTR] = 0;
        check(none, b"\x03\x00\n", b"^C^@\r\n", b"\x03\x00\n|", &[]);
    }

    #[test]
    fn a_line_begun_can_be_read_once_nobody_edits_it() {
        let mut terminal = Terminal::new(Mode::COOKED);
        let mut echo = Vec::new();
        for byte in b"a\x04b" {
            terminal.take(*byte, &mut echo);
        }
        terminal.set_mode(Mode::RAW, false);
        let mut out = [0; 8];
        assert_eq!(terminal.read(&mut out), 2);
        assert_eq!(&out[..2], b"ab");
        terminal.take(b'x', &mut echo);
        terminal.set_mode(Mode::COOKED, true);
        assert_eq!(terminal.waiting(), 0);
    }

    #[test]
    fn modes_come_back_as_they_were_but_for_what_is_never_done() {
        assert_eq!(Mode::from_bytes(&Mode::COOKED.bytes()), Some(Mode::COOKED));
        let all = Mode::from_bytes(&[0xff; MODE_BYTES]).unwrap();
        assert_eq!((all.input, all.control), (0o700, CFLAG));
        assert!(all.stops_writers() && !all.never_waits());
        assert_eq!(Mode::from_bytes(&[0; 35]), None);
    }

    #[test]
    fn newlines_go_out_with_returns() {
        let mut out = Vec::new();
        Terminal::new(Mode::COOKED).output(b"a\n\nb", |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"a\r\n\r\nb");
        out.clear();
        Terminal::new(Mode::RAW).output(b"a\n", |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"a\n");
    }
}
