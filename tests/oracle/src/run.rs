// SPDX-License-Identifier: BSD-2-Clause
//! One program on one subject: variables, arguments in memory, and what came of each call.
//!
//! Nothing may block for ever. What could (reading or writing an fd without O_NONBLOCK) is left out if Linux would; Linux goes first, and ours leaves out
//! what it left out. What depends on the sizes of buffers, which are each system's own, is left out in the same way: ordinary traffic stays
//! where both have room, and only `fill` and `drain` go to the limit.

use crate::deviations;
use crate::meanwhile::{Both, Job};
use crate::memory::{Memory, at, pollfd, time};
use crate::op::{Call, Fd, Op, Pointer, Time, VARIABLES, Value};
use crate::subject::{SIGNALS, Subject, nr};
use crate::waiting::{Waited, is_endless};

/// Whether two outcomes of a call end the comparison.
fn ends(before: &[Op], op: &Op, linux: &Outcome, ours: &Outcome) -> bool {
    !deviations::equal(op, linux, ours)
        && deviations::find(before, op, linux, ours).is_none_or(|known| !known.goes_on)
}

/// What a call did, as far as its program can see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Left out: see the module.
    pub skipped: bool,
    /// The result, or a negated errno.
    pub result: i64,
    /// The memory of its arguments afterwards.
    pub memory: Vec<u8>,
    /// How often signal handlers ran.
    pub handled: u32,
    /// Whether it waited for the call after it.
    pub waited: Waited,
}

/// Outcomes of a program's calls.
pub type Trace = Vec<Outcome>;

const O_NONBLOCK: isize = 0o4000;
const POLLIN: u16 = 1;
const POLLOUT: u16 = 4;
/// Bytes of send buffer of a Unix socket that ordinary traffic leaves alone: half of Linux's default.
const UNIX_TRAFFIC: i32 = 106_496 / 4;
/// Names no open file.
const NO_FD: usize = u32::MAX as usize;
const EAGAIN: isize = -11;
const SIOCOUTQ: usize = 0x5411;

/// Runs programs on `S`.
#[derive(Debug)]
pub struct Runner<S> {
    /// Who answers.
    pub subject: S,
    pub(crate) memory: Memory,
    /// For the call of another thread.
    pub(crate) aside: Memory,
    /// What another thread is to do during the next call, and what came of it.
    pub(crate) other: Option<Job>,
    pub(crate) came: Option<Both>,
    /// Set: calls are noted here, not made.
    pub(crate) recorded: Option<Job>,
    vars: [i32; VARIABLES],
    /// The socket that `fill` filled: until it is drained nobody else reads.
    filled: Option<usize>,
    /// What ours does not have is not left out.
    pub complete: bool,
}

impl<S: Subject> Runner<S> {
    /// On a subject.
    pub fn new(subject: S) -> Self {
        Runner {
            subject,
            memory: Memory::default(),
            aside: Memory::default(),
            other: None,
            came: None,
            recorded: None,
            vars: [-1; VARIABLES],
            filled: None,
            complete: false,
        }
    }

    /// Runs a program from an empty fd table. `leader`: the other side's outcomes, whose omissions are followed. The run ends with the first
    /// outcome after which the two cannot be compared: what does not block on one side could then block on the other.
    pub fn run(&mut self, program: &[Op], leader: Option<&Trace>) -> Trace {
        self.vars = [-1; VARIABLES];
        self.filled = None;
        self.reset();
        let mut trace = Vec::with_capacity(program.len());
        let mut i = 0;
        while let Some(op) = program.get(i) {
            let next = program.get(i + 1);
            // Asked on both sides, since a look at an instance moves its ready list.
            let own = self.is_to_be_left_out(op, next);
            let skip = leader.map_or(own, |leader| leader[i].skipped);
            let waited = leader.map(|leader| leader[i].waited);
            match next {
                Some(next) if !skip && self.is_to_wait(op, waited) => {
                    trace.extend(match waited {
                        Some(Waited::InVain) => self.both_in_vain(op, next),
                        _ => self.both(op, next),
                    });
                }
                _ => {
                    self.note_closing(op);
                    trace.push(self.step(op, skip));
                }
            }
            let ended = |at: &usize| {
                let leader = leader?;
                ends(&program[..*at], &program[*at], &leader[*at], &trace[*at]).then_some(*at)
            };
            if let Some(at) = (i..trace.len()).find_map(|at| ended(&at)) {
                trace.truncate(at + 1);
                break;
            }
            i = trace.len();
        }
        trace
    }

    /// Whether the wait is to be made while the next call is; as the other side did.
    fn is_to_wait(&mut self, op: &Op, leader: Option<Waited>) -> bool {
        match leader {
            Some(waited) => waited != Waited::No,
            None => is_endless(op) && !self.finds_something(op),
        }
    }

    /// Closes everything, unblocks all signals, lets those that are pending come.
    fn reset(&mut self) {
        self.memory.clear();
        let none = self.memory.put(&[0; 8]);
        const SETMASK: usize = 2;
        self.plain(nr::RT_SIGPROCMASK, &[SETMASK, none, 0, 8]);
        self.plain(nr::CLOSE_RANGE, &[0, u32::MAX as usize, 0]);
    }

    fn plain(&mut self, number: usize, args: &[usize]) -> isize {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        if let Some(recorded) = &mut self.recorded {
            *recorded = (number, all);
            return 0;
        }
        if let Some(job) = self.other.take() {
            // SAFETY: as below; the other call's pointers are to `aside`.
            let both = unsafe { self.subject.during((number, all), job) };
            self.came = Some(both);
            return both.waited;
        }
        // SAFETY: pointers are to `memory`, as large as the call needs, or to nothing that can be mapped.
        unsafe { self.subject.call(number, &all) }
    }

    pub(crate) fn number(&self, fd: Fd) -> usize {
        let number = match fd {
            Fd::Var(var) => self.vars[usize::from(var)],
            Fd::Number(number) => number,
        };
        number as u32 as usize
    }

    /// Whether poll(2) says so now.
    pub(crate) fn polls(&mut self, fd: usize, events: u16) -> bool {
        self.memory.clear();
        let entry = self.memory.put(&pollfd(fd, events));
        self.plain(nr::POLL, &[entry, 1, 0]) == 1
    }

    /// What a socket has sent that nobody has read, in its own measure; `None`: no socket.
    fn unread(&mut self, fd: usize) -> Option<i32> {
        self.memory.clear();
        let at = self.memory.put(&[0; 4]);
        let result = self.plain(nr::IOCTL, &[fd, SIOCOUTQ, at]);
        (result == 0).then(|| i32::from_ne_bytes(*self.memory.at(at)))
    }

    /// What `fill` wrote stays for the peer to read when its fd is closed: then sockets are left alone to the end.
    pub(crate) fn note_closing(&mut self, op: &Op) {
        let closed = match op.call {
            Call::Close => self.number(op.fd(0)),
            Call::Dup2 | Call::Dup3 => self.number(op.fd(1)),
            _ => return,
        };
        if self.filled == Some(closed) {
            self.filled = Some(NO_FD);
        }
    }

    pub(crate) fn is_to_be_left_out(&mut self, op: &Op, next: Option<&Op>) -> bool {
        if !self.complete && deviations::is_missing(op) {
            return true;
        }
        if is_endless(op) {
            return self.cannot_wait(op, next);
        }
        let (reads, len, value) = match op.call {
            Call::Read | Call::Receive => (true, op.int(1), 0),
            Call::Readv => (true, op.int(1) + op.int(2), 0),
            Call::Write => (false, op.int(1), op.int(2)),
            Call::Writev => (false, op.int(1) + op.int(2), 2),
            Call::Send => (false, op.int(1), 0),
            Call::Fill | Call::Drain => (op.call == Call::Drain, 0, 0),
            Call::Ioctl => {
                let fd = self.number(op.fd(0));
                return self.filled.is_some() && self.unread(fd).is_some();
            }
            _ => return false,
        };
        let fd = self.number(op.fd(0));
        const F_GETFL: usize = 3;
        let flags = self.plain(nr::FCNTL, &[fd, F_GETFL, 0]);
        if flags < 0 {
            return false;
        }
        let nonblocking = flags & O_NONBLOCK != 0;
        if matches!(op.call, Call::Fill | Call::Drain) {
            return !nonblocking;
        }
        let unread = self.unread(fd);
        if let Some(filled) = self.filled {
            if self.unread(filled) == Some(0) {
                self.filled = None;
            } else if unread.is_some() {
                return true;
            }
        }
        if !reads && unread.is_some_and(|unread| unread + len as i32 > UNIX_TRAFFIC) {
            return true;
        }
        if nonblocking {
            return false;
        }
        // MSG_WAITALL waits for more than there is.
        const WAITALL: i64 = 0x100;
        if op.call == Call::Receive && op.int(2) & WAITALL != 0 {
            return true;
        }
        if reads {
            return !self.polls(fd, POLLIN);
        }
        len > 4096 || !matches!(value, 0 | 1) || !self.polls(fd, POLLOUT)
    }

    pub(crate) fn step(&mut self, op: &Op, skip: bool) -> Outcome {
        if skip {
            return Outcome {
                skipped: true,
                ..Outcome::default()
            };
        }
        self.memory.clear();
        let handled = self.subject.handled();
        let result = self.call(op);
        let memory = match op.call {
            // Made of several calls.
            Call::Fill | Call::Drain | Call::TimerExpire => Vec::new(),
            _ => self.memory.used().to_vec(),
        };
        Outcome {
            skipped: false,
            result: result as i64,
            memory,
            handled: self.subject.handled() - handled,
            waited: Waited::No,
        }
    }

    fn set_var(&mut self, var: u8, value: i32) {
        self.vars[usize::from(var)] = value;
    }

    /// A call whose result is an fd.
    fn make(&mut self, op: &Op, number: usize, args: &[usize]) -> isize {
        let result = self.plain(number, args);
        self.set_var(op.vars[0], result.max(-1) as i32);
        result
    }

    /// A call that writes two fds to `at`, an address of its arguments.
    fn make_two(&mut self, op: &Op, number: usize, args: &[usize], at: usize) -> isize {
        let result = self.plain(number, args);
        let mut fds = [-1; 2];
        if result == 0 {
            let bytes: [u8; 8] = *self.memory.at(at);
            fds = [&bytes[..4], &bytes[4..]].map(|b| i32::from_ne_bytes(b.try_into().unwrap()));
        } else if op.pointer() == Pointer::Good {
            // Linux writes the numbers before it knows whether they will be used.
            self.memory.at::<8>(at).fill(0);
        }
        self.set_var(op.vars[0], fds[0]);
        self.set_var(op.vars[1], fds[1]);
        result
    }

    pub(crate) fn call(&mut self, op: &Op) -> isize {
        let int = |i| op.int(i) as usize;
        let pointer = op.pointer();
        match op.call {
            Call::EpollCreate => self.make(op, nr::EPOLL_CREATE, &[int(0)]),
            Call::EpollCreate1 => self.make(op, nr::EPOLL_CREATE1, &[int(0)]),
            Call::EventFd => self.make(op, nr::EVENTFD, &[int(0)]),
            Call::EventFd2 => self.make(op, nr::EVENTFD2, &[int(0), int(1)]),
            Call::Pipe2 => {
                let at = self.memory.room_at(pointer, 8);
                self.make_two(op, nr::PIPE2, &[at, int(0)], at)
            }
            Call::SocketPair => {
                let at = self.memory.room_at(pointer, 8);
                let args = [int(0), int(1) | int(2), int(3), at];
                self.make_two(op, nr::SOCKETPAIR, &args, at)
            }
            Call::TimerCreate => self.make(op, nr::TIMERFD_CREATE, &[int(0), int(1)]),
            Call::TimerSet => {
                let new = [time(op.time(3)), time(op.time(2))].concat();
                let new = self.memory.put_at(pointer, &new);
                let old = self.memory.room(32);
                let fd = self.number(op.fd(0));
                let result = self.plain(nr::TIMERFD_SETTIME, &[fd, int(1), new, old]);
                self.hide_remaining(old, result);
                result
            }
            Call::TimerGet => {
                let at = self.memory.room_at(pointer, 32);
                let fd = self.number(op.fd(0));
                let result = self.plain(nr::TIMERFD_GETTIME, &[fd, at]);
                if pointer == Pointer::Good {
                    self.hide_remaining(at, result);
                }
                result
            }
            Call::TimerExpire => self.expire(op),
            Call::SignalFd => {
                let mask = self.mask(op.mask(1));
                let fd = self.number(op.fd(0));
                let args = [fd, mask, int(2), int(3)];
                self.make(op, nr::SIGNALFD4, &args)
            }
            Call::Open => {
                let path: &[u8] = match op.int(0) {
                    0 => b"/\0",
                    1 => b"/dev/null\0",
                    _ => b"/dev/zero\0",
                };
                let at = self.memory.put(path);
                self.make(op, nr::OPEN, &[at, int(1), 0])
            }
            Call::Dup => self.make(op, nr::DUP, &[self.number(op.fd(0))]),
            Call::Dup2 | Call::Dup3 => {
                let (from, to) = (self.number(op.fd(0)), self.number(op.fd(1)));
                match op.call {
                    Call::Dup2 => self.make(op, nr::DUP2, &[from, to]),
                    _ => self.make(op, nr::DUP3, &[from, to, int(2)]),
                }
            }
            Call::DupFd => self.make(op, nr::FCNTL, &[self.number(op.fd(0)), int(1), int(2)]),
            Call::Fcntl => self.plain(nr::FCNTL, &[self.number(op.fd(0)), int(1), int(2)]),
            Call::Close => self.plain(nr::CLOSE, &[self.number(op.fd(0))]),
            Call::Write | Call::Read | Call::Send | Call::Receive => self.transfer(op),
            Call::Writev | Call::Readv => self.transfer_vector(op),
            Call::Fill | Call::Drain => self.fill_or_drain(op),
            Call::Shutdown => self.plain(nr::SHUTDOWN, &[self.number(op.fd(0)), int(1)]),
            Call::Ioctl => {
                let at = self
                    .memory
                    .put_at(pointer, &(op.int(2) as i32).to_ne_bytes());
                self.plain(nr::IOCTL, &[self.number(op.fd(0)), int(1), at])
            }
            Call::EpollCtl => {
                let mut event = (op.int(3) as u32).to_ne_bytes().to_vec();
                event.extend_from_slice(&op.int(4).to_ne_bytes());
                let at = self.memory.put_at(pointer, &event);
                let (epoll, fd) = (self.number(op.fd(0)), self.number(op.fd(2)));
                self.plain(nr::EPOLL_CTL, &[epoll, int(1), fd, at])
            }
            Call::EpollWait | Call::EpollPwait | Call::EpollPwait2 => self.epoll_wait(op),
            Call::Poll | Call::Ppoll => self.poll(op),
            Call::Select | Call::Pselect => self.select(op),
            Call::SigMask => {
                let new = self.mask(op.mask(1));
                let old = self.memory.room(8);
                self.plain(nr::RT_SIGPROCMASK, &[int(0), new, old, 8])
            }
            Call::SigPending => {
                let at = self.memory.room(8);
                self.plain(nr::RT_SIGPENDING, &[at, 8])
            }
            Call::Raise => {
                let known = SIGNALS.contains(&(op.int(0) as i32));
                let signal = if known { int(0) } else { 0 };
                self.subject.raise(signal)
            }
        }
    }

    fn mask(&mut self, mask: Option<u64>) -> usize {
        mask.map_or(0, |mask| self.memory.put(&mask.to_ne_bytes()))
    }

    /// What is left of a timer depends on when one asks; whether it runs does not.
    fn hide_remaining(&mut self, at: usize, result: isize) {
        if result == 0 {
            let setting: &mut [u8; 32] = self.memory.at(at);
            let runs = setting[16..].iter().any(|&byte| byte != 0);
            setting[16..].fill(u8::from(runs));
        }
    }

    fn expire(&mut self, op: &Op) -> isize {
        let first = Time {
            seconds: 0,
            fraction: 1,
        };
        let new = [time(op.time(2)), time(Some(first))].concat();
        let new = self.memory.put(&new);
        let fd = self.number(op.fd(0));
        let result = self.plain(nr::TIMERFD_SETTIME, &[fd, op.int(1) as usize, new, 0]);
        if result == 0 {
            let entry = self.memory.put(&pollfd(fd, POLLIN));
            return self.plain(nr::POLL, &[entry, 1, 10_000]);
        }
        result
    }

    fn transfer(&mut self, op: &Op) -> isize {
        let (fd, len) = (self.number(op.fd(0)), op.int(1) as usize);
        match op.call {
            Call::Write | Call::Send => {
                let mut bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
                if op.call == Call::Write {
                    let value = op.int(2).to_ne_bytes();
                    let n = len.min(8);
                    bytes[..n].copy_from_slice(&value[..n]);
                }
                let at = self.memory.put_at(op.pointer(), &bytes);
                match op.call {
                    Call::Write => self.plain(nr::WRITE, &[fd, at, len]),
                    _ => self.plain(nr::SENDTO, &[fd, at, len, op.int(2) as usize, 0, 0]),
                }
            }
            Call::Read => {
                let at = self.memory.room_at(op.pointer(), len);
                self.plain(nr::READ, &[fd, at, len])
            }
            _ => {
                let at = self.memory.room_at(op.pointer(), len);
                self.plain(nr::RECVFROM, &[fd, at, len, op.int(2) as usize, 0, 0])
            }
        }
    }

    fn transfer_vector(&mut self, op: &Op) -> isize {
        let writes = op.call == Call::Writev;
        let mut vector = Vec::new();
        for i in [1, 2] {
            let len = op.int(i) as usize;
            let piece = match writes {
                true => self.memory.put(&vec![i as u8; len]),
                false => self.memory.room(len),
            };
            vector.extend_from_slice(&piece.to_ne_bytes());
            vector.extend_from_slice(&len.to_ne_bytes());
        }
        let good = self.memory.put(&vector);
        let at = at(op.pointer(), good);
        let number = if writes { nr::WRITEV } else { nr::READV };
        let result = self.plain(number, &[self.number(op.fd(0)), at, 2]);
        // The addresses in it are each side's own.
        self.memory.at::<32>(good).fill(0);
        result
    }

    /// `fill` and `drain`: the error at which it ends, or 0 for the end of the data.
    fn fill_or_drain(&mut self, op: &Op) -> isize {
        const STEP: usize = 4096;
        /// More than any buffer holds.
        const MOST: usize = 4096;
        let fd = self.number(op.fd(0));
        let writes = op.call == Call::Fill;
        for _ in 0..MOST {
            self.memory.clear();
            let at = self.memory.put(&[1; STEP]);
            let result = match writes {
                true => self.plain(nr::WRITE, &[fd, at, STEP]),
                false => self.plain(nr::READ, &[fd, at, STEP]),
            };
            if result <= 0 {
                if writes && result == EAGAIN && self.unread(fd).is_some() {
                    self.filled = Some(fd);
                }
                return result;
            }
        }
        // A source without an end, as /dev/zero or an eventfd.
        1
    }

    fn epoll_wait(&mut self, op: &Op) -> isize {
        let fd = self.number(op.fd(0));
        let most = op.int(1) as usize;
        // No program registers more.
        let room = op.int(1).clamp(0, 100) as usize * 12;
        let events = self.memory.room_at(op.pointer(), room);
        match op.call {
            Call::EpollWait => self.plain(nr::EPOLL_WAIT, &[fd, events, most, op.int(2) as usize]),
            _ => {
                let mask = self.mask(op.mask(3));
                let size = op.int(4) as usize;
                if op.call == Call::EpollPwait {
                    let timeout = op.int(2) as usize;
                    return self.plain(nr::EPOLL_PWAIT, &[fd, events, most, timeout, mask, size]);
                }
                let timeout = op.time(2).map_or(0, |t| self.memory.put(&time(Some(t))));
                self.plain(nr::EPOLL_PWAIT2, &[fd, events, most, timeout, mask, size])
            }
        }
    }

    fn poll(&mut self, op: &Op) -> isize {
        let Value::Polls(polls) = &op.args[0] else {
            panic!("the first argument of poll is a list");
        };
        let mut bytes = Vec::new();
        for &(fd, events) in polls {
            bytes.extend_from_slice(&pollfd(self.number(fd), events));
        }
        let at = self.memory.put_at(op.pointer(), &bytes);
        if op.call == Call::Poll {
            return self.plain(nr::POLL, &[at, polls.len(), op.int(1) as usize]);
        }
        let timeout = op.time(1).map_or(0, |t| self.memory.put(&time(Some(t))));
        let mask = self.mask(op.mask(2));
        let args = [at, polls.len(), timeout, mask, op.int(3) as usize];
        let result = self.plain(nr::PPOLL, &args);
        self.hide_rest(timeout, op.time(1));
        result
    }

    fn select(&mut self, op: &Op) -> isize {
        let mut sets = [0; 3];
        for (i, set) in sets.iter_mut().enumerate() {
            if let Value::Set(Some(fds)) = &op.args[1 + i] {
                let mut words = [0u64; 16];
                for &fd in fds {
                    let fd = self.number(fd);
                    if let Some(word) = words.get_mut(fd / 64) {
                        *word |= 1 << (fd % 64);
                    }
                }
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                *set = self.memory.put(&bytes);
            }
        }
        let timeout = op.time(4).map_or(0, |t| self.memory.put(&time(Some(t))));
        let [read, write, except] = sets;
        let mut args = [op.int(0) as usize, read, write, except, timeout, 0];
        if op.call == Call::Pselect {
            let mask = self.mask(op.mask(5));
            let argument = [mask.to_ne_bytes(), (op.int(6) as usize).to_ne_bytes()].concat();
            args[5] = self.memory.put(&argument);
            let result = self.plain(nr::PSELECT6, &args);
            // The address in it is each side's own.
            self.memory.at::<8>(args[5]).fill(0);
            self.hide_rest(timeout, op.time(4));
            return result;
        }
        let result = self.plain(nr::SELECT, &args);
        self.hide_rest(timeout, op.time(4));
        result
    }

    /// How much of a timeout is left depends on when one looks: all that is not more than was asked for is alike.
    fn hide_rest(&mut self, at: usize, asked: Option<Time>) {
        let Some(asked) = asked.filter(|asked| asked.seconds >= 0) else {
            return;
        };
        let bytes: &mut [u8; 16] = self.memory.at(at);
        let [seconds, fraction] =
            [0, 8].map(|i| i64::from_ne_bytes(bytes[i..i + 8].try_into().unwrap()));
        let positive = seconds >= 0 && fraction >= 0;
        if positive && (seconds, fraction) <= (asked.seconds, asked.fraction) {
            bytes.fill(0);
        }
    }
}
