// SPDX-License-Identifier: BSD-2-Clause
//! Waits without a timeout. One that finds something is a call like others. One that does not is made while the next call of the program is made by
//! another thread, once the first is seen to be blocked: so an event becomes ready during the wait. If that does not end it on Linux, the answer is
//! that nothing is ready then. It is left out if the next call can be none of the other thread's.

use crate::meanwhile::Job;
use crate::op::{Call, Fd, Op, Pointer, Value};
use crate::run::{Outcome, Runner};
use crate::subject::Subject;

/// How a call waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waited {
    /// It did not, or it found something at once.
    #[default]
    No,
    /// While the next call was made.
    Meanwhile,
    /// The next call was made meanwhile and did not end the wait.
    InVain,
}

/// Whether a call may wait for ever.
pub fn is_endless(op: &Op) -> bool {
    match op.call {
        Call::EpollWait | Call::EpollPwait => op.int(2) < 0,
        Call::EpollPwait2 => op.time(2).is_none(),
        Call::Poll => op.int(1) < 0,
        Call::Ppoll => op.time(1).is_none(),
        Call::Select | Call::Pselect => op.time(4).is_none(),
        _ => false,
    }
}

/// The call with a timeout of nothing, and without letting signals in.
fn at_once(op: &Op) -> Op {
    let now = Value::Time(Some(crate::op::Time {
        seconds: 0,
        fraction: 0,
    }));
    let mut op = op.clone();
    match op.call {
        Call::EpollWait | Call::EpollPwait => op.args[2] = Value::Int(0),
        Call::EpollPwait2 => op.args[2] = now,
        Call::Poll => op.args[1] = Value::Int(0),
        Call::Ppoll => (op.args[1], op.args[2]) = (now, Value::Mask(None)),
        Call::Select => op.args[4] = now,
        Call::Pselect => (op.args[4], op.args[5]) = (now, Value::Mask(None)),
        _ => {}
    }
    op
}

/// Whether another thread can make this call: one system call, which makes no fds and is about no thread.
fn can_be_anothers(op: &Op) -> bool {
    matches!(
        op.call,
        Call::Write
            | Call::Read
            | Call::Send
            | Call::Receive
            | Call::Shutdown
            | Call::EpollCtl
            | Call::Close
    ) && op.pointer() == Pointer::Good
}

/// The fds that a call waits for or in.
fn waits_for(op: &Op) -> Vec<Fd> {
    let of = |value: &Value| match value {
        Value::Fd(fd) => vec![*fd],
        Value::Polls(polls) => polls.iter().map(|(fd, _)| *fd).collect(),
        Value::Set(Some(fds)) => fds.clone(),
        _ => Vec::new(),
    };
    op.args.iter().flat_map(of).collect()
}

impl<S: Subject> Runner<S> {
    /// Whether an endless wait, of which `next` comes after, has to be left out; asked on both sides, since a look moves the ready list.
    pub(crate) fn cannot_wait(&mut self, op: &Op, next: Option<&Op>) -> bool {
        let found = self.finds_something(op);
        if op.pointer() != Pointer::Good {
            return true;
        }
        if found {
            return false;
        }
        let Some(next) = next else {
            return true;
        };
        // A file that is closed while a thread waits for it: each system has its own idea of when it is gone.
        let closes = |runner: &Self| {
            let closed = runner.number(next.fd(0));
            waits_for(op).iter().any(|&fd| runner.number(fd) == closed)
        };
        !can_be_anothers(next)
            || self.is_to_be_left_out(next, None)
            || (next.call == Call::Close && closes(self))
    }

    /// Whether the wait would end at once.
    pub(crate) fn finds_something(&mut self, op: &Op) -> bool {
        match op.call {
            // What a wait in an instance finds is gone afterwards; poll(2) only says that there is something.
            Call::EpollWait | Call::EpollPwait | Call::EpollPwait2 => {
                let epoll = self.number(op.fd(0));
                self.polls(epoll, 1)
            }
            _ => self.step(&at_once(op), false).result != 0,
        }
    }

    /// A wait, and a call that another thread makes meanwhile.
    pub(crate) fn both(&mut self, wait: &Op, other: &Op) -> [Outcome; 2] {
        let job = self.prepare(other);
        self.other = Some(job);
        let mut waited = self.step(wait, false);
        let both = self.came.take().expect("a wait is one system call");
        waited.waited = Waited::Meanwhile;
        if both.in_vain {
            waited = Outcome {
                waited: Waited::InVain,
                ..Outcome::default()
            };
        }
        self.note_closing(other);
        let made = Outcome {
            result: both.other as i64,
            memory: self.aside.used().to_vec(),
            ..Outcome::default()
        };
        [waited, made]
    }

    /// The same where the other side waited in vain: nothing is ready after the other call.
    pub(crate) fn both_in_vain(&mut self, wait: &Op, other: &Op) -> [Outcome; 2] {
        self.note_closing(other);
        let made = self.step(other, false);
        let found = self.step(&at_once(wait), false);
        let waited = Outcome {
            result: found.result,
            waited: Waited::InVain,
            ..Outcome::default()
        };
        [waited, made]
    }

    /// The system call that `op` is, with its memory aside.
    fn prepare(&mut self, op: &Op) -> Job {
        std::mem::swap(&mut self.memory, &mut self.aside);
        self.memory.clear();
        self.recorded = Some((0, [0; 6]));
        self.call(op);
        std::mem::swap(&mut self.memory, &mut self.aside);
        self.recorded.take().expect("set above")
    }
}
