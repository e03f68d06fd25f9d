// SPDX-License-Identifier: BSD-2-Clause
//! Where ours may answer otherwise than Linux, each with its reason and as narrow as it can be put.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::op::{Call, Op, Pointer};
use crate::run::Outcome;

/// One such place.
#[derive(Debug)]
pub struct Deviation {
    /// A few words.
    pub name: &'static str,
    /// Why it is so, and why it stays so.
    pub reason: &'static str,
    /// Whether the two sides can be compared after it.
    pub goes_on: bool,
    /// Whether it is this one: the program up to the call, the call, Linux's answer and ours.
    pub applies: fn(&[Op], &Op, &Outcome, &Outcome) -> bool,
}

const EAGAIN: i64 = -11;
const EFAULT: i64 = -14;
const EINVAL: i64 = -22;
const EPIPE: i64 = -32;

/// All of them.
pub static ALL: &[Deviation] = &[
    Deviation {
        name: "a bad pointer is EFAULT at once",
        reason: "Linux looks at the file first and faults when it copies; ours checks pointers before anything happens, so that nothing has to be undone",
        goes_on: true,
        applies: |_, op, linux, ours| {
            op.pointer() != Pointer::Good
                && transfers(op.call)
                && ours.result == EFAULT
                && (linux.result == 0 || [EAGAIN, EINVAL, EPIPE].contains(&linux.result))
        },
    },
    Deviation {
        name: "devices do not take bad memory",
        reason: "the same; Linux's null and zero devices never look at what is written to them",
        goes_on: true,
        applies: |before, op, linux, ours| {
            matches!(op.call, Call::Write | Call::Writev)
                && op.pointer() == Pointer::Null
                && ours.result == EFAULT
                && linux.result > 0
                && before.iter().any(|op| op.call == Call::Open)
        },
    },
    Deviation {
        name: "a bad pointer is EFAULT before a pending error",
        reason: "the same; on Linux the error is told, and gone",
        goes_on: false,
        applies: |_, op, linux, ours| {
            op.pointer() != Pointer::Good
                && transfers(op.call)
                && ours.result == EFAULT
                && linux.result < 0
                && linux.result != EFAULT
        },
    },
    Deviation {
        name: "a transfer with bad memory changes nothing",
        reason: "the same; on Linux an eventfd's or timerfd's value is lost, and a socket's writer gets an edge, although the call fails",
        goes_on: false,
        applies: |_, op, linux, ours| may_lose(op, linux) && ours.result == EFAULT,
    },
];

fn transfers(call: Call) -> bool {
    waits(call)
        || matches!(
            call,
            Call::Read | Call::Readv | Call::Write | Call::Writev | Call::Send | Call::Receive
        )
}

fn waits(call: Call) -> bool {
    matches!(call, Call::EpollWait | Call::EpollPwait | Call::EpollPwait2)
}

/// Whether this may have changed more on Linux than its answer tells.
fn may_lose(op: &Op, linux: &Outcome) -> bool {
    transfers(op.call) && !waits(op.call) && op.pointer() != Pointer::Good && linux.result == EFAULT
}

/// Whether two answers are the same, in what they tell and in what they hide.
pub fn equal(op: &Op, linux: &Outcome, ours: &Outcome) -> bool {
    linux == ours && !may_lose(op, linux)
}

/// What ours does not have yet: left out of programs on both sides. `probe` is a program that would not be refused if it were there.
#[derive(Debug)]
pub struct Missing {
    /// A few words; CAVEATS has it too.
    pub name: &'static str,
    /// Whether a call is of it.
    pub is: fn(&Op) -> bool,
    /// Succeeds on Linux, and fails on ours as long as it is missing.
    pub probe: &'static str,
}

/// All of it.
pub static MISSING: &[Missing] = &[Missing {
    name: "urgent data on AF_UNIX",
    is: |op| matches!(op.call, Call::Send | Call::Receive) && op.int(2) & 1 != 0,
    probe: "v0, v1 = socketpair(UNIX, STREAM, 0, 0)\nsend(v0, 1, OOB)",
}];

/// Whether the call is of something that is missing.
pub fn is_missing(op: &Op) -> bool {
    MISSING.iter().any(|missing| (missing.is)(op))
}

/// Set: defects are differences. So that a corpus file shows whether its defect is still there.
pub static STRICT: AtomicBool = AtomicBool::new(false);

impl Deviation {
    /// Not meant to be: it stands here until it is mended, so that the rest can be compared.
    pub fn is_defect(&self) -> bool {
        self.name.starts_with("defect: ")
    }
}

/// The deviation that explains a difference.
pub fn find(before: &[Op], op: &Op, linux: &Outcome, ours: &Outcome) -> Option<&'static Deviation> {
    let strict = STRICT.load(Relaxed);
    ALL.iter()
        .filter(|deviation| !(strict && deviation.is_defect()))
        .find(|deviation| (deviation.applies)(before, op, linux, ours))
}
