// SPDX-License-Identifier: BSD-2-Clause
//! The two sides beside each other: Linux in a thread of its own, ours in the caller's.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::compare::{Verdict, compare};
use crate::op::Program;
use crate::run::{Runner, Trace};
use crate::subject::{Linux, Ours, Subject};

/// Programs and their traces on Linux.
type Batch = Vec<(Program, Trace)>;

/// A Linux side: takes programs, gives them back with their traces, in order.
#[derive(Debug)]
pub struct LinuxSide {
    programs: SyncSender<Vec<Program>>,
    traces: Receiver<Batch>,
}

impl LinuxSide {
    /// Starts its thread. It ends with the value.
    pub fn start() -> LinuxSide {
        let (programs, inbox) = sync_channel::<Vec<Program>>(4);
        let (outbox, traces) = sync_channel(4);
        thread::spawn(move || {
            let mut linux = Runner::new(Linux::new());
            for batch in inbox {
                let run = |program: Program| {
                    let trace = linux.run(&program, None);
                    (program, trace)
                };
                if outbox.send(batch.into_iter().map(run).collect()).is_err() {
                    break;
                }
            }
        });
        LinuxSide { programs, traces }
    }

    /// Hands over programs; as many batches may be under way as the channels have room for.
    pub fn send(&self, batch: Vec<Program>) {
        self.programs.send(batch).expect("the Linux thread runs");
    }

    /// The oldest batch that is under way.
    pub fn receive(&self) -> Batch {
        self.traces.recv().expect("the Linux thread runs")
    }

    /// One program now. No batch may be under way.
    pub fn run(&self, program: &Program) -> Trace {
        self.send(vec![program.clone()]);
        self.receive().remove(0).1
    }
}

/// Both sides.
#[derive(Debug)]
pub struct Pair<S> {
    /// The one that is right.
    pub linux: LinuxSide,
    /// The one that is tested.
    pub tested: Runner<S>,
}

impl Pair<Ours> {
    /// Linux and ours. Once in a process, in a thread that makes no other use of either.
    pub fn start() -> Self {
        Linux::limit_files();
        Pair::new(Ours::start())
    }
}

impl<S: Subject> Pair<S> {
    /// Linux and another.
    pub fn new(tested: S) -> Self {
        Pair {
            linux: LinuxSide::start(),
            tested: Runner::new(tested),
        }
    }

    /// Runs a program on both.
    pub fn check(&mut self, program: &Program) -> (Verdict, Trace, Trace) {
        let linux = self.linux.run(program);
        let ours = self.tested.run(program, Some(&linux));
        (compare(program, &linux, &ours), linux, ours)
    }
}
