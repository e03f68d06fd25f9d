// SPDX-License-Identifier: BSD-2-Clause
//! The language of programs: calls, their parameters, and values for them.

use crate::names::{self, Names};

/// Variables of a program: each holds an fd, -1 before it is set.
pub const VARIABLES: usize = 64;

/// An argument that names an fd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fd {
    /// What an earlier call made. It may be closed by now, and its number be another file's.
    Var(u8),
    /// A number.
    Number(i32),
}

/// An argument that is a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// To memory that the call may use.
    #[default]
    Good,
    /// Null.
    Null,
    /// To the kernel's half of the address space.
    Kernel,
}

/// A time as C has it: any two numbers, valid or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, or microseconds for select.
    pub fraction: i64,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A number, flags, one of several names.
    Int(i64),
    /// See [`Fd`].
    Fd(Fd),
    /// See [`Pointer`].
    Pointer(Pointer),
    /// An array of struct pollfd: fds and events.
    Polls(Vec<(Fd, u16)>),
    /// An fd_set; `None`: null.
    Set(Option<Vec<Fd>>),
    /// A timespec or timeval; `None`: null.
    Time(Option<Time>),
    /// A set of signals; `None`: null.
    Mask(Option<u64>),
}

/// What a parameter takes, and how it is written.
#[derive(Clone, Copy, Debug)]
pub enum Param {
    /// [`Value::Fd`]
    Fd,
    /// [`Value::Int`] as a number.
    Int,
    /// [`Value::Int`] as bits with names.
    Bits(Names),
    /// [`Value::Int`] as one of several names.
    One(Names),
    /// [`Value::Polls`]
    Polls,
    /// [`Value::Set`]
    Set,
    /// [`Value::Time`]
    Time,
    /// [`Value::Mask`]
    Mask,
    /// [`Value::Pointer`]. The last parameter; left out in text if good.
    Pointer,
}

/// A call: its name in text, its parameters, and how many fds it makes.
#[derive(Debug)]
pub struct Spec {
    /// Linux's name, or ours for what is made of several calls.
    pub name: &'static str,
    /// In order.
    pub params: &'static [Param],
    /// 0, 1 or 2.
    pub makes: usize,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident = $name:literal ($($param:expr),*) $makes:literal;)*) => {
        /// The calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are Linux's")]
        pub enum Call { $($(#[$doc])* $call),* }

        impl Call {
            /// All of them.
            pub const ALL: &[Call] = &[$(Call::$call),*];

            /// See [`Spec`].
            pub fn spec(self) -> &'static Spec {
                #[allow(unused_imports)]
                use Param::*;
                match self {
                    $(Call::$call => {
                        const SPEC: &Spec = &Spec { name: $name, params: &[$($param),*], makes: $makes };
                        SPEC
                    })*
                }
            }
        }
    };
}

calls! {
    EpollCreate = "epoll_create" (Int) 1;
    EpollCreate1 = "epoll_create1" (Bits(names::FLAGS)) 1;
    EventFd = "eventfd" (Int) 1;
    EventFd2 = "eventfd2" (Int, Bits(names::EVENTFD)) 1;
    Pipe2 = "pipe2" (Bits(names::FLAGS), Pointer) 2;
    SocketPair = "socketpair" (One(names::FAMILY), One(names::SOCKET), Bits(names::FLAGS), Int, Pointer) 2;
    TimerCreate = "timerfd_create" (One(names::CLOCK), Bits(names::FLAGS)) 1;
    TimerSet = "timerfd_settime" (Fd, Bits(names::TIMER), Time, Time, Pointer) 0;
    TimerGet = "timerfd_gettime" (Fd, Pointer) 0;
    /// Sets the timer to a time that is past, and waits until it has expired.
    TimerExpire = "timerfd_expire" (Fd, Bits(names::TIMER), Time) 0;
    SignalFd = "signalfd4" (Fd, Mask, Int, Bits(names::FLAGS)) 1;
    Open = "open" (One(names::PATH), Bits(names::FLAGS)) 1;
    Dup = "dup" (Fd) 1;
    Dup2 = "dup2" (Fd, Fd) 1;
    Dup3 = "dup3" (Fd, Fd, Bits(names::FLAGS)) 1;
    DupFd = "dupfd" (Fd, One(names::FCNTL), Int) 1;
    Fcntl = "fcntl" (Fd, One(names::FCNTL), Bits(names::FLAGS)) 0;
    Close = "close" (Fd) 0;
    /// Bytes; then the value of the first eight.
    Write = "write" (Fd, Int, Int, Pointer) 0;
    Read = "read" (Fd, Int, Pointer) 0;
    /// In pieces of the given lengths.
    Writev = "writev" (Fd, Int, Int, Pointer) 0;
    Readv = "readv" (Fd, Int, Int, Pointer) 0;
    Send = "send" (Fd, Int, Bits(names::MESSAGE), Pointer) 0;
    Receive = "recv" (Fd, Int, Bits(names::MESSAGE), Pointer) 0;
    Shutdown = "shutdown" (Fd, One(names::SHUTDOWN)) 0;
    Ioctl = "ioctl" (Fd, One(names::IOCTL), Int, Pointer) 0;
    /// Writes until nothing more fits; how much is not compared.
    Fill = "fill" (Fd) 0;
    /// Reads until nothing is left; how much is not compared.
    Drain = "drain" (Fd) 0;
    EpollCtl = "epoll_ctl" (Fd, One(names::CONTROL), Fd, Bits(names::EVENTS), Int, Pointer) 0;
    EpollWait = "epoll_wait" (Fd, Int, Int, Pointer) 0;
    EpollPwait = "epoll_pwait" (Fd, Int, Int, Mask, Int, Pointer) 0;
    EpollPwait2 = "epoll_pwait2" (Fd, Int, Time, Mask, Int, Pointer) 0;
    Poll = "poll" (Polls, Int, Pointer) 0;
    Ppoll = "ppoll" (Polls, Time, Mask, Int, Pointer) 0;
    Select = "select" (Int, Set, Set, Set, Time) 0;
    Pselect = "pselect6" (Int, Set, Set, Set, Time, Mask, Int) 0;
    SigMask = "sigprocmask" (One(names::MASKING), Mask) 0;
    SigPending = "sigpending" () 0;
    Raise = "raise" (One(names::SIGNAL)) 0;
}

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// Which.
    pub call: Call,
    /// As many as it has parameters, of their kinds.
    pub args: Vec<Value>,
    /// Variables for the fds that it makes: the first as many as it makes.
    pub vars: [u8; 2],
}

/// A program.
pub type Program = Vec<Op>;

impl Op {
    /// A call that makes no fds.
    pub fn new(call: Call, args: Vec<Value>) -> Op {
        debug_assert_eq!(args.len(), call.spec().params.len(), "{call:?}");
        Op {
            call,
            args,
            vars: [0; 2],
        }
    }

    /// Argument `i`, a number.
    pub fn int(&self, i: usize) -> i64 {
        match self.args[i] {
            Value::Int(value) => value,
            _ => panic!("argument {i} of {:?} is no number", self.call),
        }
    }

    /// Argument `i`, an fd.
    pub fn fd(&self, i: usize) -> Fd {
        match self.args[i] {
            Value::Fd(fd) => fd,
            _ => panic!("argument {i} of {:?} is no fd", self.call),
        }
    }

    /// Argument `i`, a time.
    pub fn time(&self, i: usize) -> Option<Time> {
        match self.args[i] {
            Value::Time(time) => time,
            _ => panic!("argument {i} of {:?} is no time", self.call),
        }
    }

    /// Argument `i`, a set of signals.
    pub fn mask(&self, i: usize) -> Option<u64> {
        match self.args[i] {
            Value::Mask(mask) => mask,
            _ => panic!("argument {i} of {:?} is no set of signals", self.call),
        }
    }

    /// The last argument, a pointer.
    pub fn pointer(&self) -> Pointer {
        match self.args.last() {
            Some(Value::Pointer(pointer)) => *pointer,
            _ => Pointer::Good,
        }
    }
}
