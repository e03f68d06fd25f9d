// SPDX-License-Identifier: BSD-2-Clause
//! The console: the root server's serial line, as a terminal in Linux's sense, but without line editing or job control.

use libposix_poll::errno::Errno;
use core::sync::atomic::Ordering;
use vfs_hooks::wire::root;

use super::{File, character_stat};
use crate::abi::*;
use crate::info::info;
use crate::{process, server, user};

/// fds 0, 1, 2, /dev/console, /dev/tty.
#[derive(Debug)]
pub struct Terminal;

/// Bytes that wait to be read.
pub fn waiting() -> usize {
    info().console.load(Ordering::Acquire) as usize
}

/// Whether no more will come.
pub fn has_ended() -> bool {
    info().console_eof.load(Ordering::Acquire) != 0
}

impl File for Terminal {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if waiting() == 0 && !has_ended() {
            return Err(Errno::EAGAIN);
        }
        server::console_read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        server::send_bytes(root::CONSOLE_WRITE, bytes)?;
        Ok(bytes.len())
    }

    fn gathers(&self) -> bool {
        true
    }

    fn stat(&self) -> Stat {
        character_stat(5, 1)
    }

    fn bytes_to_read(&self) -> Option<usize> {
        Some(waiting())
    }

    fn ioctl(&self, request: u32, argument: usize) -> Result<usize, Errno> {
        match request {
            TCGETS => user::write(argument, raw_mode())?,
            TCSETS | TCSETSW | TCSETSF => {
                // Read so that a bad pointer is noticed; there is nothing to set.
                user::read::<Termios>(argument)?;
            }
            // A serial line does not know its size.
            TIOCGWINSZ => user::write(argument, [0u8; 8])?,
            TIOCGPGRP => user::write(argument, process::pid() as i32)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

/// Bytes go through unchanged both ways.
fn raw_mode() -> Termios {
    const CS8: u32 = 0o60;
    const CREAD: u32 = 0o200;
    const B115200: u32 = 0o10002;
    const VMIN: usize = 6;
    let mut c_line_cc = [0; 20];
    c_line_cc[1 + VMIN] = 1;
    Termios {
        c_iflag: 0,
        c_oflag: 0,
        c_cflag: CS8 | CREAD | B115200,
        c_lflag: 0,
        c_line_cc,
    }
}
