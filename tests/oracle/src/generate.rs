// SPDX-License-Identifier: BSD-2-Clause
//! Programs made of choices. They keep to what makes sense most of the time, and leave it often enough.
//!
//! Times are such that it does not matter when a call is made: already past, or a thousand seconds away; a call waits for nothing, for a
//! millisecond in which nothing can come, or without end: for what there is, or for what the call after it makes ready ([`waiting`](crate::waiting)).

use crate::choices::Choices;
use crate::op::{Call, Fd, Op, Param, Pointer, Program, Time, VARIABLES, Value};
use crate::waiting::is_endless;

/// Fewest and most calls of a program.
const CALLS: (u32, u32) = (4, 60);

/// What a variable holds, as far as the generator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Epoll,
    Event,
    Reader,
    Writer,
    Socket,
    Timer,
    Signals,
    Plain,
}

struct Generator<'a, C> {
    choices: &'a mut C,
    /// What each variable holds, oldest first; closed ones too.
    vars: Vec<Kind>,
    program: Program,
}

/// A program.
pub fn program(choices: &mut impl Choices) -> Program {
    let calls = CALLS.0 + choices.below(CALLS.1 - CALLS.0);
    let mut generator = Generator {
        choices,
        vars: Vec::new(),
        program: Vec::new(),
    };
    generator.make(Call::EpollCreate1);
    for _ in 1..calls {
        if generator.choices.is_over() {
            break;
        }
        generator.step();
    }
    generator.program
}

/// What is asked for, by poll(2)'s bits.
const INTEREST: &[u32] = &[
    0x1, 0x1, 0x1, 0x4, 0x4, 0x5, 0x5, 0x2001, 0x2005, 0x0, 0x2, 0x41, 0x100, 0x3c7, 0x2000, 0x8,
    0x10, 0x7, 0x7ff, 0x1000, 0x20, 0x2018,
];
const EXCLUSIVE: u32 = 1 << 28;
const WAKEUP: u32 = 1 << 29;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
const NONBLOCK: i64 = 0o4000;
const CLOEXEC: i64 = 0o2000000;

/// Calls that make fds, and how often of 100.
const MAKERS: &[(Call, u32)] = &[
    (Call::EventFd2, 24),
    (Call::Pipe2, 22),
    (Call::SocketPair, 18),
    (Call::EpollCreate1, 13),
    (Call::TimerCreate, 8),
    (Call::Dup, 7),
    (Call::Dup2, 2),
    (Call::Dup3, 2),
    (Call::DupFd, 3),
    (Call::Open, 3),
    (Call::SignalFd, 2),
    (Call::EventFd, 1),
    (Call::EpollCreate, 1),
];

/// Calls on what is there, and how often of 200.
const USERS: &[(Call, u32)] = &[
    (Call::EpollCtl, 46),
    (Call::EpollWait, 44),
    (Call::EpollPwait, 3),
    (Call::EpollPwait2, 3),
    (Call::Write, 24),
    (Call::Read, 20),
    (Call::Writev, 1),
    (Call::Readv, 1),
    (Call::Send, 3),
    (Call::Receive, 3),
    (Call::Close, 9),
    (Call::Poll, 9),
    (Call::Ppoll, 3),
    (Call::Select, 5),
    (Call::Pselect, 3),
    (Call::Shutdown, 6),
    (Call::Fcntl, 4),
    (Call::Ioctl, 4),
    (Call::TimerSet, 2),
    (Call::TimerGet, 1),
    (Call::TimerExpire, 3),
    (Call::Fill, 1),
    (Call::Drain, 3),
    (Call::SigMask, 1),
    (Call::Raise, 2),
    (Call::SigPending, 1),
];

/// Calls of another thread during a wait, and how often of 20.
const MEANWHILE: &[(Call, u32)] = &[
    (Call::Write, 9),
    (Call::EpollCtl, 4),
    (Call::Read, 2),
    (Call::Send, 1),
    (Call::Receive, 1),
    (Call::Shutdown, 1),
    (Call::Close, 2),
];

impl<C: Choices> Generator<'_, C> {
    fn step(&mut self) {
        let few = self.vars.len() < 4;
        let many = self.vars.len() + 2 > VARIABLES;
        if !many && (self.choices.one_in(if few { 2 } else { 6 })) {
            let call = self.weighted(MAKERS);
            return self.make(call);
        }
        let call = self.weighted(USERS);
        let args = self.arguments(call);
        let op = Op::new(call, args);
        let waits = is_endless(&op);
        self.program.push(op);
        // What may happen while it waits.
        if waits && !self.choices.one_in(6) {
            let call = self.weighted(MEANWHILE);
            let args = self.arguments(call);
            self.program.push(Op::new(call, args));
        }
    }

    fn weighted(&mut self, table: &[(Call, u32)]) -> Call {
        let total = table.iter().map(|(_, weight)| weight).sum();
        let mut at = self.choices.below(total);
        for &(call, weight) in table {
            if at < weight {
                return call;
            }
            at -= weight;
        }
        table[0].0
    }

    fn make(&mut self, call: Call) {
        let args = self.arguments(call);
        let kinds: &[Kind] = match call {
            Call::EpollCreate | Call::EpollCreate1 => &[Kind::Epoll],
            Call::EventFd | Call::EventFd2 => &[Kind::Event],
            Call::Pipe2 => &[Kind::Reader, Kind::Writer],
            Call::SocketPair => &[Kind::Socket, Kind::Socket],
            Call::TimerCreate => &[Kind::Timer],
            Call::SignalFd => &[Kind::Signals],
            Call::Open => &[Kind::Plain],
            _ => &[match args[0] {
                Value::Fd(Fd::Var(var)) => self.vars[usize::from(var)],
                _ => Kind::Plain,
            }],
        };
        let mut op = Op::new(call, args);
        for (slot, &kind) in op.vars.iter_mut().zip(kinds) {
            *slot = self.vars.len() as u8;
            self.vars.push(kind);
        }
        self.program.push(op);
    }

    /// A variable of one of these kinds, the later the likelier; now and then any fd at all.
    fn fd(&mut self, kinds: &[Kind]) -> Fd {
        if self.choices.one_in(12) {
            return self.any_fd();
        }
        let fitting: Vec<u8> = (0..self.vars.len() as u8)
            .filter(|&var| kinds.contains(&self.vars[usize::from(var)]))
            .collect();
        match fitting.len() as u32 {
            0 => self.any_fd(),
            n => {
                // Two tries, the later one taken: what is old is more often closed.
                let at = self.choices.below(n).max(self.choices.below(n));
                Fd::Var(fitting[at as usize])
            }
        }
    }

    fn any_fd(&mut self) -> Fd {
        if self.vars.is_empty() || self.choices.one_in(4) {
            return Fd::Number(
                self.choices
                    .pick(&[-1, 0, 1, 5, 20, 63, 64, 1000, i32::MAX]),
            );
        }
        Fd::Var(self.choices.below(self.vars.len() as u32) as u8)
    }

    fn watchable(&mut self) -> Fd {
        use Kind::*;
        self.fd(&[Event, Reader, Writer, Socket, Socket, Timer, Signals, Epoll])
    }

    fn epoll(&mut self) -> Fd {
        self.fd(&[Kind::Epoll])
    }

    fn pointer(&mut self) -> Value {
        Value::Pointer(match self.choices.below(150) {
            148 => Pointer::Null,
            149 => Pointer::Kernel,
            _ => Pointer::Good,
        })
    }

    /// Flags of what is made: mostly without blocking.
    fn flags(&mut self) -> i64 {
        match self.choices.below(40) {
            0..30 => NONBLOCK,
            30..33 => NONBLOCK | CLOEXEC,
            33..36 => 0,
            36 => CLOEXEC,
            37 => NONBLOCK | 2,
            38 => 1 << 30 | NONBLOCK,
            _ => 0o100 | NONBLOCK,
        }
    }

    /// Events and flags of epoll_ctl.
    fn epoll_events(&mut self) -> i64 {
        let mut events = self.choices.pick(INTEREST);
        events |= match self.choices.below(24) {
            0..12 => 0,
            12..18 => EDGE,
            18..20 => ONE_SHOT,
            20 => EDGE | ONE_SHOT,
            21 => EXCLUSIVE,
            22 => EXCLUSIVE | EDGE,
            _ => 0,
        };
        match self.choices.below(60) {
            57 => events |= WAKEUP,
            58 => events |= 1 << 27 | 1 << 14,
            59 => events = !events,
            _ => {}
        }
        i64::from(events)
    }

    fn poll_events(&mut self) -> u16 {
        let events = self.choices.pick(INTEREST) as u16;
        if self.choices.one_in(30) {
            !events
        } else {
            events
        }
    }

    /// A list of at most a few fds, with duplicates.
    fn fds(&mut self) -> Vec<Fd> {
        let n = self.choices.pick(&[0, 1, 1, 2, 2, 3, 5]);
        (0..n).map(|_| self.watchable()).collect()
    }

    /// How many bytes to move.
    fn len(&mut self) -> i64 {
        match self.choices.below(60) {
            0..12 => 1,
            12..46 => 8,
            46..48 => 0,
            48..50 => 7,
            50..52 => 100,
            52..55 => 4096,
            55 => 4097,
            56 => 65536,
            57 => 65537,
            _ => 9,
        }
    }

    /// Milliseconds of a wait.
    fn timeout(&mut self) -> i64 {
        match self.choices.below(400) {
            399 => 1,
            388..399 => -1,
            _ => 0,
        }
    }

    /// The same as a time; now and then one that is none.
    fn wait_time(&mut self, fraction: i64) -> Value {
        let time = |seconds, fraction| Value::Time(Some(Time { seconds, fraction }));
        match self.choices.below(400) {
            0..379 => time(0, 0),
            379..390 => Value::Time(None),
            390 => time(0, fraction),
            391..394 => time(-1, 0),
            394..397 => time(0, -1),
            397 => time(i64::MIN, 0),
            _ => time(-1, -1),
        }
    }

    /// A timer's time: off, or far away; now and then none.
    fn timer_time(&mut self) -> Value {
        let (seconds, fraction) = match self.choices.below(24) {
            0..5 => (0, 0),
            5..18 => (5_000_000_000, 0),
            18 => (5_000_000_000, 999_999_999),
            19 => (-1, 0),
            20 => (0, 1_000_000_000),
            21 => (5_000_000_000, -1),
            _ => (4_000_000_000, 0),
        };
        Value::Time(Some(Time { seconds, fraction }))
    }

    fn mask(&mut self) -> Value {
        Value::Mask(match self.choices.below(8) {
            0..5 => None,
            5 => Some(0),
            6 => Some(1 << 9),
            _ => Some(1 << 9 | 1 << 11),
        })
    }

    fn set_size(&mut self) -> Value {
        Value::Int(match self.choices.below(20) {
            18 => 16,
            19 => 0,
            _ => 8,
        })
    }

    fn arguments(&mut self, call: Call) -> Vec<Value> {
        use Kind::*;
        let mut args: Vec<Value> = match call {
            Call::EpollCreate => vec![Value::Int(self.choices.pick(&[1, 100, 0, -1]))],
            Call::EpollCreate1 => vec![Value::Int(match self.choices.below(20) {
                0..15 => 0,
                15..18 => CLOEXEC,
                18 => NONBLOCK,
                _ => 1,
            })],
            Call::EventFd => vec![self.initial()],
            Call::EventFd2 => {
                let semaphore = i64::from(self.choices.one_in(4));
                vec![self.initial(), Value::Int(self.flags() | semaphore)]
            }
            Call::Pipe2 => vec![Value::Int(self.flags())],
            Call::SocketPair => {
                let family = self.choices.pick(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 77]);
                let kind = self.choices.pick(&[1, 1, 1, 1, 1, 2, 5, 1, 1, 11, 0]);
                // 1 for INET would be ICMP, whose use is a matter of rights.
                let protocol = match family {
                    1 => self.choices.pick(&[0, 0, 0, 0, 0, 0, 0, 1, 6]),
                    _ => self.choices.pick(&[0, 6, 17]),
                };
                vec![
                    Value::Int(family),
                    Value::Int(kind),
                    // Bit 1 is a part of the type.
                    Value::Int(self.flags() & !2),
                    Value::Int(protocol),
                ]
            }
            Call::TimerCreate => {
                let clock = self.choices.pick(&[1, 1, 1, 0, 0, 7, 2, 99]);
                vec![Value::Int(clock), Value::Int(self.flags())]
            }
            Call::TimerSet => vec![
                Value::Fd(self.fd(&[Timer])),
                Value::Int(self.choices.pick(&[0, 0, 0, 1, 1, 2, 3, 4])),
                self.timer_time(),
                self.timer_time(),
            ],
            Call::TimerGet => vec![Value::Fd(self.fd(&[Timer]))],
            Call::TimerExpire => vec![
                Value::Fd(self.fd(&[Timer])),
                Value::Int(self.choices.pick(&[0, 0, 1])),
                self.interval(),
            ],
            Call::SignalFd => {
                let fd = match self.choices.below(4) {
                    0 => self.fd(&[Signals]),
                    _ => Fd::Number(-1),
                };
                vec![
                    Value::Fd(fd),
                    self.mask(),
                    self.set_size(),
                    Value::Int(self.flags()),
                ]
            }
            Call::Open => {
                let path = self.choices.pick(&[0, 1, 1, 2]);
                let flags = self.choices.pick(&[0, 2, 0o4002, 0o200000, 0o2000]);
                vec![Value::Int(path), Value::Int(flags)]
            }
            Call::Dup => vec![Value::Fd(self.watchable())],
            Call::Dup2 => vec![Value::Fd(self.watchable()), Value::Fd(self.any_fd())],
            Call::Dup3 => {
                let flags = self.choices.pick(&[0, CLOEXEC, CLOEXEC, NONBLOCK]);
                vec![
                    Value::Fd(self.watchable()),
                    Value::Fd(self.any_fd()),
                    Value::Int(flags),
                ]
            }
            Call::DupFd => vec![
                Value::Fd(self.watchable()),
                Value::Int(self.choices.pick(&[0, 0, 1030])),
                Value::Int(self.choices.pick(&[0, 0, 3, 10, 62, 63, 64, -1])),
            ],
            Call::Fcntl => {
                let command = self.choices.pick(&[4, 4, 4, 3, 3, 1, 2, 1032, 4000]);
                let argument = self
                    .choices
                    .pick(&[NONBLOCK, NONBLOCK, 0, NONBLOCK | 0o2000, 1, 2]);
                vec![
                    Value::Fd(self.watchable()),
                    Value::Int(command),
                    Value::Int(argument),
                ]
            }
            Call::Close => vec![Value::Fd(self.watchable())],
            Call::Write | Call::Writev => {
                let fd = Value::Fd(self.fd(&[Event, Writer, Writer, Socket, Timer]));
                let second = match call {
                    Call::Write => self.choices.pick(&[1, 1, 1, 1, 2, 0, -1, -2, 5, i64::MAX]),
                    _ => self.choices.pick(&[0, 1, 8, 100]),
                };
                vec![fd, Value::Int(self.len()), Value::Int(second)]
            }
            Call::Read => {
                let fd = self.fd(&[Event, Reader, Reader, Socket, Timer, Signals]);
                vec![Value::Fd(fd), Value::Int(self.len())]
            }
            Call::Readv => {
                let fd = self.fd(&[Event, Reader, Socket, Timer]);
                vec![
                    Value::Fd(fd),
                    Value::Int(self.len()),
                    Value::Int(self.choices.pick(&[0, 1, 8, 100])),
                ]
            }
            Call::Send | Call::Receive => vec![
                Value::Fd(self.fd(&[Socket])),
                Value::Int(self.len()),
                Value::Int(self.choices.pick(&[0x4000, 0x40, 0, 2, 0x42, 1, 0x100])),
            ],
            Call::Shutdown => vec![
                Value::Fd(self.fd(&[Socket])),
                Value::Int(self.choices.pick(&[0, 1, 1, 2, 3, -1])),
            ],
            Call::Ioctl => vec![
                Value::Fd(self.watchable()),
                Value::Int(
                    self.choices
                        .pick(&[0x541b, 0x541b, 0x541b, 0x5421, 0x5450, 0x5451, 1]),
                ),
                Value::Int(self.choices.pick(&[1, 1, 0])),
            ],
            Call::Fill => vec![Value::Fd(self.fd(&[Writer, Socket]))],
            Call::Drain => vec![Value::Fd(self.fd(&[Reader, Socket, Event]))],
            Call::EpollCtl => vec![
                Value::Fd(self.epoll()),
                Value::Int(match self.choices.below(20) {
                    0..12 => 1,
                    12..16 => 3,
                    16..19 => 2,
                    _ => self.choices.pick(&[0, 4, -1]),
                }),
                Value::Fd(self.watchable()),
                Value::Int(self.epoll_events()),
                Value::Int(i64::from(self.choices.below(100))),
            ],
            Call::EpollWait => vec![
                Value::Fd(self.epoll()),
                self.most(),
                Value::Int(self.timeout()),
            ],
            Call::EpollPwait => vec![
                Value::Fd(self.epoll()),
                self.most(),
                Value::Int(self.timeout()),
                self.mask(),
                self.set_size(),
            ],
            Call::EpollPwait2 => vec![
                Value::Fd(self.epoll()),
                self.most(),
                self.wait_time(1_000_000),
                self.mask(),
                self.set_size(),
            ],
            Call::Poll => vec![self.polls(), Value::Int(self.timeout())],
            Call::Ppoll => vec![
                self.polls(),
                self.wait_time(1_000_000),
                self.mask(),
                self.set_size(),
            ],
            Call::Select | Call::Pselect => {
                let most = self.choices.pick(&[64, 64, 64, 10, 5, 63, 1024, 0, -1]);
                let mut args = vec![Value::Int(most)];
                for _ in 0..3 {
                    let set = (!self.choices.one_in(3)).then(|| self.fds());
                    args.push(Value::Set(set));
                }
                if call == Call::Select {
                    args.push(self.wait_time(1_000));
                } else {
                    args.push(self.wait_time(1_000_000));
                    args.push(self.mask());
                    args.push(self.set_size());
                }
                args
            }
            Call::SigMask => vec![
                Value::Int(self.choices.pick(&[0, 0, 1, 2, 2, 3])),
                self.mask(),
            ],
            Call::SigPending => vec![],
            Call::Raise => vec![Value::Int(self.choices.pick(&[10, 12]))],
        };
        if matches!(call.spec().params.last(), Some(Param::Pointer)) {
            args.push(self.pointer());
        }
        args
    }

    fn initial(&mut self) -> Value {
        Value::Int(self.choices.pick(&[0, 0, 0, 0, 1, 3, 0xffff_ffff]))
    }

    /// A timer's interval: none, or so long that it does not come.
    fn interval(&mut self) -> Value {
        let seconds = self.choices.pick(&[0, 0, 5_000_000_000]);
        Value::Time(Some(Time {
            seconds,
            fraction: 0,
        }))
    }

    /// maxevents.
    fn most(&mut self) -> Value {
        Value::Int(match self.choices.below(40) {
            0..20 => 64,
            20..28 => 1,
            28..32 => 2,
            32..36 => 3,
            36 => 0,
            37 => -1,
            38 => i64::from(i32::MAX),
            _ => i64::from(i32::MAX) / 12,
        })
    }

    fn polls(&mut self) -> Value {
        if self.choices.one_in(200) {
            // More entries than there may be open files.
            let entry = (self.watchable(), 1);
            return Value::Polls(vec![entry; 65]);
        }
        let fds = self.fds();
        Value::Polls(fds.into_iter().map(|fd| (fd, self.poll_events())).collect())
    }
}
