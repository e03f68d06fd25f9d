// SPDX-License-Identifier: BSD-2-Clause
//! The operations, and how to draw them. An operation makes sense in any state:
//! so any part of a sequence is one, too, and a failing one can be shortened.

use super::objects::{FRAMES, NOTIFICATIONS, QUEUES, THREADS};
use super::{Call, Command, Source};

/// One of the capabilities that an object can have.
///
/// | | of a notification | of a queue |
/// |---|---|---|
/// | Original | all rights, badge 0 | all rights |
/// | Copy | all rights, a badge | all rights |
/// | First | receive only, a badge | wait only |
/// | Second | send only, a badge | manage only |
#[allow(missing_docs, reason = "the table says it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapSlot {
    Original,
    Copy,
    First,
    Second,
}

pub(super) const SLOTS: usize = 4;

/// An operation. Numbers are below those of [`super::objects`].
#[allow(missing_docs, reason = "each names its object and capability")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Signal(u8, CapSlot),
    /// So often: signals to all that adds entries, then collections.
    Rounds(u8),
    Take(u8, CapSlot),
    Collect(u8, CapSlot),
    Attach(u8, CapSlot, u8, CapSlot, u16),
    Detach(u8, CapSlot, u8, CapSlot),
    SetBuffer(u8, CapSlot, u8, bool),
    Fill(u8, u8),
    Empty,
    Start(u8, Command),
    Suspend(u8),
    Resume(u8),
    Run,
    Bind(u8, Source),
    Unbind(u8),
    MakeThread(u8),
    DeleteThread(u8),
    MakeNotification(u8),
    CopyNotification(u8, CapSlot),
    DeleteNotification(u8, CapSlot),
    RevokeNotification(u8),
    WipeNotification(u8),
    MakeQueue(u8),
    CopyQueue(u8, CapSlot),
    DeleteQueue(u8, CapSlot),
    RevokeQueue(u8),
    WipeQueue(u8),
    RevokeFrame(u8),
}

/// xorshift64*: the same numbers everywhere. For a while it prefers one queue, one
/// thread and two notifications, so that operations meet.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    state: u64,
    queue: u8,
    thread: u8,
    notifications: [u8; 2],
    /// What comes next in any case, last first.
    planned: [Op; PLAN],
    plans: usize,
}

/// Operations of a plan, at most.
const PLAN: usize = 10;

impl Random {
    /// Different seeds give different sequences; all are good.
    pub const fn new(seed: u64) -> Random {
        Random {
            state: seed.wrapping_mul(2).wrapping_add(1),
            queue: 0,
            thread: 0,
            notifications: [0, 1],
            planned: [Op::Run; PLAN],
            plans: 0,
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn index(&mut self, bound: usize) -> u8 {
        self.below(bound) as u8
    }

    /// Now and then it turns to others.
    fn turn(&mut self) {
        if self.below(16) == 0 {
            self.queue = self.index(QUEUES);
            self.thread = self.index(THREADS);
            self.notifications = [self.index(NOTIFICATIONS), self.index(NOTIFICATIONS)];
        }
    }

    fn notification(&mut self) -> u8 {
        match self.below(3) {
            0 => self.index(NOTIFICATIONS),
            either => self.notifications[either - 1],
        }
    }

    fn queue(&mut self) -> u8 {
        match self.below(4) {
            0 => self.index(QUEUES),
            _ => self.queue,
        }
    }

    fn thread(&mut self) -> u8 {
        match self.below(2) {
            0 => self.index(THREADS),
            _ => self.thread,
        }
    }

    fn slot(&mut self) -> CapSlot {
        match self.below(10) {
            0..6 => CapSlot::Original,
            6 | 7 => CapSlot::Copy,
            8 => CapSlot::First,
            _ => CapSlot::Second,
        }
    }

    fn copy(&mut self) -> CapSlot {
        [CapSlot::Copy, CapSlot::First, CapSlot::Second][self.below(3)]
    }

    /// What somebody waits for or binds: mostly what works.
    fn source(&mut self) -> Source {
        let slot = match self.below(2) {
            0 => CapSlot::Original,
            _ => self.slot(),
        };
        match self.below(8) {
            0 | 1 => Source::Endpoint,
            2 | 3 => Source::Notification(self.notification(), slot),
            _ => Source::Queue(self.queue(), slot),
        }
    }

    fn command(&mut self) -> Command {
        let call = match self.below(5) {
            0 => Call::Poll,
            _ => Call::Wait,
        };
        Command {
            call,
            source: self.source(),
        }
    }

    /// Operation number `at` of an episode: the first ones make everything.
    pub fn op(&mut self, at: usize) -> Op {
        const FIRST_BUFFER: usize = QUEUES + NOTIFICATIONS + THREADS;
        if at < QUEUES {
            return Op::MakeQueue(at as u8);
        }
        if at < QUEUES + NOTIFICATIONS {
            return Op::MakeNotification((at - QUEUES) as u8);
        }
        if at < FIRST_BUFFER {
            return Op::MakeThread((at - QUEUES - NOTIFICATIONS) as u8);
        }
        if at < FIRST_BUFFER + QUEUES {
            let q = (at - FIRST_BUFFER) as u8;
            return Op::SetBuffer(q, CapSlot::Original, q, true);
        }
        const FIRST_ATTACH: usize = FIRST_BUFFER + QUEUES;
        if at < FIRST_ATTACH + NOTIFICATIONS {
            let n = (at - FIRST_ATTACH) as u8;
            let cookie = 0x1000 + u16::from(n);
            return Op::Attach(
                n % QUEUES as u8,
                CapSlot::Original,
                n,
                CapSlot::Original,
                cookie,
            );
        }
        self.any_op()
    }

    /// Chance alone seldom makes a thread wait for a queue just when it is signalled.
    fn plan(&mut self) {
        let (q, t, [n, own]) = (self.queue, self.thread, self.notifications);
        let original = CapSlot::Original;
        let wait = |source| {
            let call = Call::Wait;
            Op::Start(t, Command { call, source })
        };
        let wait_for_queue = wait(Source::Queue(q, original));
        let attach = Op::Attach(q, original, n, original, 0xabc);
        let signal = Op::Signal(n, original);
        let last = match self.below(16) {
            0..4 => Op::Suspend(t),
            4 => Op::DeleteThread(t),
            _ => Op::Run,
        };
        let collect = Op::Collect(q, original);
        let plan = match self.below(8) {
            0..3 => [attach, collect, wait_for_queue, Op::Run, signal, last],
            3 => {
                let bind = Op::Bind(t, Source::Notification(own, original));
                let signal = Op::Signal(own, CapSlot::Copy);
                [bind, collect, wait_for_queue, Op::Run, signal, last]
            }
            4 => {
                let bind = Op::Bind(t, Source::Queue(q, original));
                let wait = wait(Source::Endpoint);
                [attach, bind, wait, Op::Run, signal, last]
            }
            5 => {
                let wait = wait(Source::Notification(n, original));
                [Op::Take(n, original), wait, Op::Run, signal, last, Op::Run]
            }
            6 => {
                let (stop, go) = (Op::Suspend(t), Op::Resume(t));
                [collect, wait_for_queue, Op::Run, stop, go, last]
            }
            _ => {
                let end = match self.below(3) {
                    0 => Op::WipeQueue(q),
                    1 => Op::DeleteQueue(q, original),
                    _ => Op::RevokeQueue(q),
                };
                let again = Op::MakeQueue(q);
                [collect, wait_for_queue, Op::Run, end, Op::Run, again]
            }
        };
        let set_buffer = Op::SetBuffer(q, original, self.index(FRAMES), true);
        let make = [
            Op::MakeThread(t),
            Op::MakeQueue(q),
            Op::MakeNotification(n),
            set_buffer,
        ];
        for (place, op) in self.planned.iter_mut().zip(make.into_iter().chain(plan)) {
            *place = op;
        }
        self.plans = PLAN;
        self.planned.reverse();
    }

    fn any_op(&mut self) -> Op {
        if let Some(next) = self.plans.checked_sub(1) {
            self.plans = next;
            return self.planned[next];
        }
        self.turn();
        if self.below(30) == 0 {
            self.plan();
        }
        match self.below(1000) {
            0..253 => Op::Signal(self.notification(), self.slot()),
            253..255 => Op::Rounds(1 + self.index(200)),
            255..290 => Op::Take(self.notification(), self.slot()),
            290..400 => Op::Collect(self.queue(), self.slot()),
            400..500 => Op::Attach(
                self.queue(),
                self.slot(),
                self.notification(),
                self.slot(),
                self.below(1 << 16) as u16,
            ),
            500..530 => Op::Detach(self.queue(), self.slot(), self.notification(), self.slot()),
            530..560 => Op::SetBuffer(
                self.queue(),
                self.slot(),
                self.index(FRAMES),
                self.below(8) > 0,
            ),
            560..570 => Op::Fill(self.queue(), self.index(8)),
            570..576 => Op::Empty,
            576..700 => Op::Start(self.thread(), self.command()),
            700..725 => Op::Suspend(self.thread()),
            725..750 => Op::Resume(self.thread()),
            750..800 => Op::Run,
            800..832 => Op::Bind(self.thread(), self.source()),
            832..850 => Op::Unbind(self.thread()),
            850..864 => Op::MakeThread(self.thread()),
            864..868 => Op::DeleteThread(self.thread()),
            868..896 => Op::MakeNotification(self.notification()),
            896..926 => Op::CopyNotification(self.notification(), self.copy()),
            926..938 => Op::DeleteNotification(self.notification(), self.slot()),
            938..942 => Op::RevokeNotification(self.notification()),
            942..945 => Op::WipeNotification(self.notification()),
            945..957 => Op::MakeQueue(self.queue()),
            957..981 => Op::CopyQueue(self.queue(), self.copy()),
            981..986 => Op::DeleteQueue(self.queue(), self.slot()),
            986..990 => Op::RevokeQueue(self.queue()),
            990..993 => Op::WipeQueue(self.queue()),
            _ => Op::RevokeFrame(self.index(FRAMES)),
        }
    }
}
