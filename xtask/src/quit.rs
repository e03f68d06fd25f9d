// SPDX-License-Identifier: BSD-2-Clause
//! Ctrl-\ (SIGQUIT): a table of the guest's processes instead of our end.

use std::io::Write;
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};

/// SIGQUIT is blocked in this thread and in those that it starts from now on, so that one of them can wait for it.
pub struct Quit(libc::sigset_t);

impl Quit {
    /// Blocks it: before there are other threads.
    pub fn hold() -> Result<Quit> {
        // SAFETY: an empty set is made before it is used; all pointers are to it.
        let (set, result) = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGQUIT);
            let none = std::ptr::null_mut();
            (
                set,
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, none),
            )
        };
        ensure!(result == 0, "cannot block SIGQUIT");
        Ok(Quit(set))
    }

    /// Has the guest print the table at each.
    pub fn print_processes(self, mut control: UnixStream) {
        std::thread::spawn(move || {
            let mut signal = 0;
            // SAFETY: both pointers are to variables of this thread.
            while unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } == 0 {
                if writeln!(control, "ps").is_err() {
                    return;
                }
            }
        });
    }
}

/// In a child between fork and exec: Ctrl-\ is not for it.
pub fn ignore() {
    // SAFETY: sets a disposition; async-signal-safe.
    unsafe { libc::signal(libc::SIGQUIT, libc::SIG_IGN) };
}
