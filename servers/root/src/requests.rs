// SPDX-License-Identifier: BSD-2-Clause
//! Requests of processes: what the labels of `wire::root` do.

use alloc::vec::Vec;

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::process::badge;
use vfs_hooks::wire::{self, root};

use crate::serial::{self, CONSOLE};
use crate::system::System;

/// An answer: an errno and results.
#[derive(Default)]
pub struct Answer {
    errno: u64,
    results: Vec<u64>,
}

impl Answer {
    fn error(errno: u64) -> Option<Answer> {
        Some(Answer {
            errno,
            results: Vec::new(),
        })
    }

    fn with(errno: u64, results: impl Into<Vec<u64>>) -> Option<Answer> {
        Some(Answer {
            errno,
            results: results.into(),
        })
    }

    /// Message info and first words; the others go to the message buffer, so no invocation may come before the reply.
    pub fn message(&self) -> (MessageInfo, [u64; 4]) {
        let mut first = [self.errno, 0, 0, 0];
        for (i, word) in self.results.iter().enumerate() {
            match first.get_mut(i + 1) {
                Some(register) => *register = *word,
                None => set_mr(i + 1, *word),
            }
        }
        (MessageInfo::new(0, 0, 1 + self.results.len()), first)
    }
}

impl System {
    /// Does what process `number` asks for. `None`: no reply.
    pub fn request(&mut self, number: usize, message: &Message) -> Option<Answer> {
        let label = message.info.label();
        // Words beyond a message's end are 0; what lies in the message buffer is read before any invocation overwrites it.
        let [a, b, c] = [0, 1, 2].map(|i| message.word(i));
        match label {
            root::EXIT => {
                self.program_ended(number, a as u8);
                return None;
            }
            root::CONSOLE_WRITE => return self.console_write(message),
            root::CONSOLE_READ => return self.console_read(number, a),
            root::LOG => return self.log(number, message),
            root::MAP_SOCKETS => return Answer::error(self.map_sockets(number, a, b)),
            _ => {}
        }
        let System {
            processes,
            memory,
            clients,
            ..
        } = self;
        let Some(process) = processes.get_mut(number).and_then(Option::as_mut) else {
            return Answer::error(errno::EPERM);
        };
        match label {
            root::MAP => Answer::error(process.space.map(memory, a, b, c)),
            root::UNMAP => Answer::error(process.space.unmap(memory, a, b)),
            root::PROTECT => Answer::error(process.space.protect(memory, a, b, c)),
            root::SET_TLS => match process.set_tls(a) {
                Ok(()) => Answer::error(errno::OK),
                Err(_) => Answer::error(errno::EINVAL),
            },
            root::SET_TIMER => {
                process.deadline = (a != wire::NEVER).then_some(a);
                self.run_timers();
                Answer::error(errno::OK)
            }
            root::QUEUE_CREATE => {
                let (errno, queue) = process.create_queue(memory);
                Answer::with(errno, [queue])
            }
            root::QUEUE_RESIZE => {
                let (errno, (badge, position)) = process.resize_queue(memory, a);
                Answer::with(errno, [badge, position])
            }
            root::QUEUE_DESTROY => Answer::error(process.destroy_queue(memory, a)),
            root::WATCHES_GROW => {
                let client = number
                    .checked_sub(badge::FIRST_PROGRAM)
                    .and_then(|client| clients.get_mut(client));
                let watches = client.map(|client| &mut client.watches);
                let (errno, count) = process.grow_watches(memory, watches);
                Answer::with(errno, [count])
            }
            _ => Answer::error(errno::ENOSYS),
        }
    }

    fn console_write(&self, message: &Message) -> Option<Answer> {
        match bytes(message) {
            Some(bytes) => {
                CONSOLE.send(&bytes);
                Answer::error(errno::OK)
            }
            None => Answer::error(errno::EINVAL),
        }
    }

    fn console_read(&mut self, number: usize, most: u64) -> Option<Answer> {
        let Some(Some(process)) = self.processes.get(number) else {
            return Answer::error(errno::EPERM);
        };
        if number < badge::FIRST_PROGRAM {
            return Answer::error(errno::EPERM);
        }
        let mut bytes = [0; wire::MAX_BYTES];
        let most = (most as usize).min(bytes.len());
        let (errno, len) = self.console.read(process, &mut bytes[..most]);
        let mut results = Vec::from([len as u64]);
        for part in bytes[..len].chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            results.push(u64::from_le_bytes(word));
        }
        Answer::with(errno, results)
    }

    fn log(&self, number: usize, message: &Message) -> Option<Answer> {
        let Some(bytes) = bytes(message) else {
            return Answer::error(errno::EINVAL);
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        // Only servers may speak to the driver.
        if number < badge::FIRST_PROGRAM {
            serial::log_untrusted(format_args!(""), bytes);
        } else {
            serial::log_untrusted(format_args!("process {number}: "), bytes);
        }
        Answer::error(errno::OK)
    }

    fn map_sockets(&mut self, number: usize, client: u64, chunk: u64) -> u64 {
        if number != badge::NET_SERVER {
            return errno::EPERM;
        }
        let Some(client) = self.clients.get_mut(client as usize) else {
            return errno::EINVAL;
        };
        let program = badge::FIRST_PROGRAM + client.number();
        match (self.processes.get(program), self.processes.get(number)) {
            (Some(Some(program)), Some(Some(net))) => {
                client.map_sockets(&mut self.memory, program, net, chunk)
            }
            _ => errno::EINVAL,
        }
    }
}

/// The bytes that a message carries: MR0 says how many, they follow packed. `None`: more than fit or than were sent.
fn bytes(message: &Message) -> Option<Vec<u8>> {
    let len = message.word(0) as usize;
    let words = message.info.length().saturating_sub(1);
    if len > wire::MAX_BYTES || len.div_ceil(8) > words {
        return None;
    }
    let mut bytes: Vec<u8> = (1..=len.div_ceil(8))
        .flat_map(|i| message.word(i).to_le_bytes())
        .collect();
    bytes.truncate(len);
    Some(bytes)
}
