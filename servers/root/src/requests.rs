// SPDX-License-Identifier: BSD-2-Clause
//! Requests of processes: what the labels of `wire::root` do.

use alloc::vec::Vec;

use root_server::errno;
use root_server::family::{Pid, Wanted};
use sel4_bindings::*;
use vfs_hooks::process::{PAGE, badge};
use vfs_hooks::wire::{self, root};

use crate::life::{exited, killed};
use crate::serial;
use crate::system::System;

/// An answer: an errno and results, or to a fault, nothing.
#[derive(Default)]
pub struct Answer {
    errno: u64,
    results: Vec<u64>,
    resume: bool,
}

impl Answer {
    fn error(errno: u64) -> Option<Answer> {
        Answer::with(errno, [])
    }

    fn with(errno: u64, results: impl Into<Vec<u64>>) -> Option<Answer> {
        Some(Answer {
            errno,
            results: results.into(),
            resume: false,
        })
    }

    /// What a request came to that has results.
    fn of<const N: usize>(result: Result<[u64; N], u64>) -> Option<Answer> {
        match result {
            Ok(results) => Answer::with(errno::OK, results),
            Err(errno) => Answer::error(errno),
        }
    }

    /// So many bytes, packed behind their number.
    fn packed(bytes: &[u8]) -> Option<Answer> {
        let mut results = Vec::from([bytes.len() as u64]);
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            results.push(u64::from_le_bytes(word));
        }
        Answer::with(errno::OK, results)
    }

    /// Lets a thread that faulted try again.
    pub fn resume() -> Answer {
        Answer {
            resume: true,
            ..Answer::default()
        }
    }

    /// Message info and first words; the others go to the message buffer, so no invocation may come before the reply.
    pub fn message(&self) -> (MessageInfo, [u64; 4]) {
        if self.resume {
            // Words would be the thread's new registers.
            return (MessageInfo::new(0, 0, 0), [0; 4]);
        }
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
        if adds(label) {
            self.memory.keep_pieces();
            if !self.may_remember(number) {
                return Answer::error(errno::ENOMEM);
            }
        }
        match label {
            root::EXIT => {
                let status = match b {
                    0 => exited(a),
                    signal => killed(signal),
                };
                self.program_ended(number, status);
                return None;
            }
            root::SPAWN => return Answer::of(self.spawn(number, a, b).map(|pid| [pid])),
            root::EXEC => {
                return match self.exec(number, a, b) {
                    Ok(()) => None,
                    Err(errno) => Answer::error(errno),
                };
            }
            root::FORK => return Answer::of(self.fork(number, a as usize).map(|pid| [pid])),
            root::WAIT => {
                let found = self.family.wait(number as Pid, a as i64, Wanted::of(b));
                let used = self.family.waited;
                return Answer::of(found.map(|(pid, status)| {
                    let peak = used.peak.min(u32::MAX.into());
                    [pid.into(), u64::from(status) | peak << 32, used.time]
                }));
            }
            root::KILL => {
                let killed = self.kill(number, a as i64, b, c);
                // The caller may be among the dead.
                self.processes.get(&number)?;
                return Answer::of(killed.map(|()| []));
            }
            root::SET_GROUP => return Answer::of(self.set_group(number, a, b).map(|()| [])),
            root::IDS => {
                let pid = if a == 0 { number as u64 } else { a };
                let ids = Pid::try_from(pid)
                    .map_err(|_| errno::ESRCH)
                    .and_then(|pid| self.family.ids(pid));
                return Answer::of(ids.map(|ids| ids.map(u64::from)));
            }
            root::NEW_SESSION => return Answer::of(self.new_session(number).map(|id| [id])),
            root::FORGET_CHILDREN => {
                self.family.forget_children(number as Pid, a != 0);
                return Answer::error(errno::OK);
            }
            root::USAGE => {
                let free = self.memory.available();
                let slots = self.memory.objects.used_slots() as u64;
                return Answer::with(errno::OK, [free, slots, self.family.count() as u64]);
            }
            root::CHANNEL_CREATE => {
                return Answer::of(self.channel_create(number, a).map(|channel| [channel]));
            }
            root::CHANNEL_OF_PROCESS => {
                return Answer::of(self.channel_of_process(number, a).map(|channel| [channel]));
            }
            root::CHANNEL_DROP => return Answer::error(self.channel_drop(number, a, b)),
            root::CHANNEL_WATCH => {
                return Answer::of(self.channel_watch(number, [a, b, c]).map(|cell| [cell]));
            }
            root::CHANNEL_UNWATCH => {
                return Answer::error(self.channel_unwatch(number, [a, b, c]));
            }
            root::CHANNEL_SEND => {
                return Answer::of(self.channel_send(number, [a, b, c]).map(|()| []));
            }
            root::CHANNEL_TAKE => {
                return Answer::of(self.channel_take(number, [a, b, c]).map(|()| []));
            }
            root::NAME_BIND => return Answer::of(self.name_bind(number, message).map(|()| [])),
            root::NAME_LISTEN => {
                return Answer::of(self.name_listen(number, [a, b, c]).map(|()| []));
            }
            root::NAME_CONNECT => {
                return Answer::of(self.name_connect(number, message).map(|pid| [pid]));
            }
            root::NAME_ACCEPT => return Answer::of(self.name_accept(number, a)),
            root::PORT_BIND => {
                return Answer::of(self.port_bind(number, [a, b, c]).map(|port| [port]));
            }
            root::PORT_CONNECT => {
                return Answer::of(self.port_connect(number, [a, b, c]).map(|port| [port]));
            }
            root::PORT_HOLD => return Answer::of(self.port_hold(number, [a, b, c]).map(|()| [])),
            root::PORT_LEASE => return Answer::of(self.port_lease(number).map(|port| [port])),
            root::CHANNEL_JOIN => return Answer::error(self.channel_join(number, [a, b, c])),
            root::CHANNEL_HOLDER => return Answer::error(self.channel_holder(number, [a, b, c])),
            root::CHANNEL_HUNG => {
                return Answer::of(self.channel_hung(number).map(|channel| [channel]));
            }
            root::NAME_FIND => return Answer::of(self.name_find(number, message).map(|c| [c])),
            root::NAME_REMOVE => return Answer::of(self.name_remove(message).map(|()| [])),
            root::UDP_BIND => return Answer::of(self.udp_bind(number, a, b).map(|port| [port])),
            root::UDP_PEER => return Answer::of(self.udp_peer(number, [a, b, c]).map(|()| [])),
            root::UDP_UNBIND => return Answer::of(self.udp_unbind(number, a).map(|()| [])),
            root::UDP_FIND => return Answer::of(self.udp_find(number, a, b).map(|c| [c])),
            root::UDP_JOIN => return Answer::of(self.udp_join(number, a, b).map(|name| [name])),
            root::STOP => {
                self.stop_by(number, a as u32 & 0x7f);
                return Answer::error(errno::OK);
            }
            root::RESTS => {
                self.rests(number, a);
                return Answer::error(errno::OK);
            }
            root::FILE_CREATE => {
                return Answer::of(self.file_create(number, [a, b, c]).map(|file| [file]));
            }
            root::FILE_GRANT => return Answer::error(self.file_grant(number, a, b)),
            root::FILE_END => return Answer::error(self.file_end(number, a)),
            root::FILE_DROP => return Answer::error(self.file_drop(number, a)),
            root::FILE_MAP => return Answer::error(self.file_map(number, [a, b, c])),
            root::FILE_TRIM => return Answer::error(self.file_trim(number, a, b)),
            root::FIFO_OPEN => {
                return Answer::of(self.fifo_open(number, [a, b, c]).map(|place| [place]));
            }
            root::FILE_USAGE => return Answer::with(errno::OK, self.file_usage()),
            root::OWNER_WATCH => return Answer::error(self.owner_watch(number, [a, b, c])),
            root::OWNER_ENDED => return Answer::of(self.next_ended(number)),
            root::KICK => return Answer::error(self.kick_thread(number, a, b)),
            root::FIGURES => return Answer::of(self.some_figures(number, a)),
            root::CHANNEL_TELL => return Answer::error(self.channel_tell(number, [a, b, c])),
            root::WATCHING => return Answer::error(self.set_watching(number, a)),
            root::PROCESS_NEXT => return Answer::with(errno::OK, [self.next_process(a)]),
            root::PROCESS_FACTS => return Answer::of(self.facts(number, a)),
            root::PROCESS_TEXT => {
                return match self.text(number, [a, b, c]) {
                    Ok(bytes) => Answer::packed(&bytes),
                    Err(errno) => Answer::error(errno),
                };
            }
            root::FUTEX_WAIT => {
                return Answer::of(self.futex_wait(number, [a, b, c]).map(|()| []));
            }
            root::FUTEX_WAKE => {
                return Answer::of(self.futex_wake(number, a, b).map(|count| [count]));
            }
            root::FUTEX_MOVE => {
                return Answer::of(self.futex_move(number, [a, b, c]).map(|count| [count]));
            }
            root::FUTEX_LEAVE => {
                self.waiters.leave((number, a as usize));
                return Answer::error(errno::OK);
            }
            root::NET_OPEN => return Answer::error(self.net_open(number)),
            root::CLIENT_GONE => return Answer::error(self.client_gone(number, a)),
            root::CONSOLE_WRITE => return self.console_write(message),
            root::CONSOLE_READ => return self.console_read(number, a),
            root::TERMINAL_MODE => return Answer::packed(&self.terminal_mode()),
            root::TERMINAL_SET => {
                return Answer::error(self.set_terminal(a != 0, bytes(message, 2).as_deref()));
            }
            root::TERMINAL_GROUP => return Answer::of(self.set_foreground(number, a).map(|()| [])),
            root::TERMINAL_TAKE => {
                return Answer::of(self.take_terminal(number, a != 0).map(|()| []));
            }
            root::TERMINAL_BACKGROUND => {
                return Answer::of(self.signal_background(number, a).map(|()| []));
            }
            root::LOG => return self.log(number, message),
            root::TRACE => return Answer::error(self.trace(number, [a, b], message)),
            root::MAP_SOCKETS => return Answer::error(self.map_sockets(number, a, b)),
            _ => {}
        }
        if matches!(label, root::MAP | root::PROTECT)
            && c != 0
            && !self.may_have(number, b as usize / PAGE)
        {
            return Answer::error(errno::ENOMEM);
        }
        let System {
            processes,
            memory,
            clients,
            endpoint,
            ..
        } = self;
        let Some(process) = processes.get_mut(&number) else {
            return Answer::error(errno::EPERM);
        };
        match label {
            root::TAKE_SIGNAL => Answer::with(errno::OK, process.take_signal()),
            root::MAP => Answer::error(process.space.map(memory, a, b, c)),
            root::UNMAP => Answer::error(process.space.unmap(memory, a, b)),
            root::PROTECT => Answer::error(process.space.protect(memory, a, b, c)),
            root::SET_TLS => Answer::error(process.set_tls(b, a)),
            root::SET_TIMER => {
                let errno = process.set_timer(b, (a != wire::NEVER).then_some(a));
                self.run_timers();
                Answer::error(errno)
            }
            root::THREAD_START => {
                let started = process.start_thread(memory, *endpoint, [a, b, c]);
                Answer::of(started.map(|number| [number]))
            }
            root::INTERRUPT => Answer::error(process.notify(a)),
            root::SET_ALARM => {
                process.alarm = (a != wire::NEVER).then_some(a);
                self.run_timers();
                Answer::error(errno::OK)
            }
            root::THREAD_END => {
                process.end_thread(a);
                self.waiters.leave((number, a as usize));
                self.tell_stop(number);
                None
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
                let client = process
                    .client
                    .and_then(|client| clients.get_mut(client)?.as_mut());
                let watches = client.map(|client| &mut client.watches);
                let (errno, count) = process.grow_watches(memory, watches);
                Answer::with(errno, [count])
            }
            _ => Answer::error(errno::ENOSYS),
        }
    }

    fn console_write(&self, message: &Message) -> Option<Answer> {
        match bytes(message, 0) {
            Some(bytes) => {
                self.console.write(&bytes);
                Answer::error(errno::OK)
            }
            None => Answer::error(errno::EINVAL),
        }
    }

    fn console_read(&mut self, number: usize, most: u64) -> Option<Answer> {
        if number >= badge::NET_SERVER {
            return Answer::error(errno::EPERM);
        }
        let mut bytes = [0; wire::MAX_BYTES];
        let most = (most as usize).min(bytes.len());
        let (errno, len) = self.read_console(&mut bytes[..most]);
        match errno {
            errno::OK => Answer::packed(&bytes[..len]),
            errno => Answer::error(errno),
        }
    }

    fn log(&self, number: usize, message: &Message) -> Option<Answer> {
        let Some(bytes) = bytes(message, 0) else {
            return Answer::error(errno::EINVAL);
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        // Only servers may speak to the driver.
        if number >= badge::NET_SERVER {
            serial::log_untrusted(format_args!(""), bytes);
        } else {
            serial::log_untrusted(format_args!("process {number}: "), bytes);
        }
        Answer::error(errno::OK)
    }
}

impl System {
    /// TRACE. Answers with an errno.
    fn trace(&self, number: usize, [time, thread]: [u64; 2], message: &Message) -> u64 {
        if self.programs.traced.is_empty() {
            return errno::EPERM;
        }
        let Some(bytes) = bytes(message, 2) else {
            return errno::EINVAL;
        };
        let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000 / 1000);
        let head = format_args!("[{seconds:4}.{rest:06}] {number}/{thread} ");
        serial::log_untrusted(head, &bytes);
        errno::OK
    }
}

/// Requests after which there is more to remember: those that may be refused when there is no heap for it.
fn adds(label: u64) -> bool {
    matches!(
        label,
        root::SPAWN
            | root::EXEC
            | root::FORK
            | root::THREAD_START
            | root::QUEUE_CREATE
            | root::WATCHES_GROW
            | root::CHANNEL_CREATE
            | root::CHANNEL_OF_PROCESS
            | root::CHANNEL_WATCH
            | root::CHANNEL_SEND
            | root::CHANNEL_TAKE
            | root::NAME_BIND
            | root::NAME_CONNECT
            | root::NAME_ACCEPT
            | root::NAME_FIND
            | root::NET_OPEN
            | root::MAP
            | root::FILE_CREATE
            | root::FILE_GRANT
            | root::FILE_MAP
            | root::FIFO_OPEN
            | root::FUTEX_WAIT
            | root::PORT_BIND
            | root::PORT_CONNECT
            | root::PORT_HOLD
            | root::PORT_LEASE
            | root::CHANNEL_JOIN
            | root::UDP_BIND
            | root::UDP_FIND
            | root::UDP_JOIN
            | root::OWNER_WATCH
    )
}

/// The bytes that a message carries from word `at` on: it says how many, they follow packed. `None`: more than fit or than were sent.
pub fn bytes(message: &Message, at: usize) -> Option<Vec<u8>> {
    let len = message.word(at) as usize;
    let words = message.info.length().saturating_sub(at + 1);
    if len > wire::MAX_BYTES || len.div_ceil(8) > words {
        return None;
    }
    let mut bytes: Vec<u8> = (1..=len.div_ceil(8))
        .flat_map(|i| message.word(at + i).to_le_bytes())
        .collect();
    bytes.truncate(len);
    Some(bytes)
}
