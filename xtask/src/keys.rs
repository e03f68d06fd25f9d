// SPDX-License-Identifier: BSD-2-Clause
//! Our terminal, once it is the guest's: its keys go there one by one, and the guest says what is seen of them. As in QEMU, Ctrl-A and then x ends the machine.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Begins a command to us.
const ESCAPE: u8 = 1;
/// End of input on the console: ^D.
const END_OF_INPUT: u8 = 4;

/// Whether somebody sits at our standard input and output.
pub fn is_manned() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The terminal as it was, which it is again when this is dropped.
#[derive(Clone, Default)]
pub struct Keys(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Every key is the guest's.
    given: AtomicBool,
    before: std::sync::Mutex<Option<libc::termios>>,
}

impl Keys {
    /// Gives the guest every key but Ctrl-\. Output is as before, since the system's log goes there as well.
    pub fn give(&self) {
        // SAFETY: tcgetattr fills what is there for it; both calls take nothing else.
        let before = unsafe {
            let mut mode: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(0, &raw mut mode) != 0 {
                return;
            }
            let before = mode;
            mode.c_iflag &= !(libc::ICRNL | libc::INLCR | libc::IGNCR | libc::IXON);
            mode.c_lflag &= !(libc::ICANON | libc::ECHO | libc::IEXTEN);
            for key in [libc::VINTR, libc::VSUSP] {
                mode.c_cc[key] = 0;
            }
            (mode.c_cc[libc::VMIN], mode.c_cc[libc::VTIME]) = (1, 0);
            if libc::tcsetattr(0, libc::TCSANOW, &raw const mode) != 0 {
                return;
            }
            before
        };
        if let Ok(mut kept) = self.0.before.lock() {
            kept.get_or_insert(before);
        }
        self.0.given.store(true, Ordering::Relaxed);
    }

    /// As it was.
    pub fn take_back(&self) {
        let kept = self.0.before.lock().ok().and_then(|mut kept| kept.take());
        if let Some(mode) = kept {
            self.0.given.store(false, Ordering::Relaxed);
            // SAFETY: the mode is one that tcgetattr gave.
            unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const mode) };
        }
    }

    /// Copies our stdin to the guest's console, and its end; `manned`: that is a key like others.
    pub fn type_stdin(&self, mut console: UnixStream, manned: bool) {
        let mut stdin = io::stdin().lock();
        let (mut buffer, mut escaped) = ([0; 4096], false);
        while let Ok(count) = stdin.read(&mut buffer) {
            let mut typed = Vec::new();
            for &byte in &buffer[..count] {
                if !self.0.given.load(Ordering::Relaxed) {
                    typed.push(byte);
                } else if std::mem::take(&mut escaped) {
                    match byte {
                        b'x' | b'X' => self.end(),
                        ESCAPE => typed.push(byte),
                        _ => {}
                    }
                } else if byte == ESCAPE {
                    escaped = true;
                } else {
                    typed.push(byte);
                }
            }
            if count == 0 {
                typed.push(END_OF_INPUT);
            }
            if console.write_all(&typed).is_err() || count == 0 && !manned {
                return;
            }
        }
        let _ = console.write_all(&[END_OF_INPUT]);
    }

    /// Ends us as Ctrl-C did before.
    fn end(&self) {
        self.take_back();
        // SAFETY: raises a signal in this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.take_back();
    }
}
