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
    /// An inner queue, given last, to an outer one.
    Nest(u8, CapSlot, u8, CapSlot, u16),
    Unnest(u8, CapSlot, u8, CapSlot),
    AttachThread(u8, CapSlot, u8, u16),
    DetachThread(u8, CapSlot, u8),
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
        let other = self.index(QUEUES);
        let plan = match self.below(12) {
            11 => {
                // An entry of what is attached no more.
                let detach = Op::Detach(q, original, n, original);
                let nest = Op::Nest(other, original, q, original, 0x1e7);
                [Op::RevokeQueue(q), attach, signal, detach, nest, last]
            }
            8 => {
                let nest = Op::Nest(other, original, q, original, 0x1e5);
                [
                    Op::RevokeQueue(q),
                    nest,
                    attach,
                    signal,
                    Op::Collect(other, original),
                    last,
                ]
            }
            9 => {
                let nest = Op::Nest(other, original, q, original, 0x1e6);
                let wait = wait(Source::Queue(other, original));
                [Op::RevokeQueue(q), nest, attach, wait, signal, last]
            }
            10 => {
                let attach = Op::AttachThread(q, original, t, 0xdead);
                let end = match self.below(2) {
                    0 => Op::DeleteThread(t),
                    // A wait that faults.
                    _ => wait(Source::Queue(q, CapSlot::Second)),
                };
                [attach, Op::Run, end, Op::Run, collect, last]
            }
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
            0..230 => Op::Signal(self.notification(), self.slot()),
            230..232 => Op::Rounds(1 + self.index(200)),
            232..255 => Op::Take(self.notification(), self.slot()),
            255..360 => Op::Collect(self.queue(), self.slot()),
            360..460 => Op::Attach(
                self.queue(),
                self.slot(),
                self.notification(),
                self.slot(),
                self.below(1 << 16) as u16,
            ),
            460..490 => Op::Detach(self.queue(), self.slot(), self.notification(), self.slot()),
            490..520 => Op::SetBuffer(
                self.queue(),
                self.slot(),
                self.index(FRAMES),
                self.below(8) > 0,
            ),
            520..527 => Op::Fill(self.queue(), self.index(8)),
            527..531 => Op::Empty,
            531..660 => Op::Start(self.thread(), self.command()),
            660..680 => Op::Suspend(self.thread()),
            680..700 => Op::Resume(self.thread()),
            700..750 => Op::Run,
            750..782 => Op::Bind(self.thread(), self.source()),
            782..800 => Op::Unbind(self.thread()),
            800..820 => Op::MakeThread(self.thread()),
            820..825 => Op::DeleteThread(self.thread()),
            825..855 => Op::MakeNotification(self.notification()),
            855..880 => Op::CopyNotification(self.notification(), self.copy()),
            880..890 => Op::DeleteNotification(self.notification(), self.slot()),
            890..894 => Op::RevokeNotification(self.notification()),
            894..897 => Op::WipeNotification(self.notification()),
            897..915 => Op::MakeQueue(self.queue()),
            915..935 => Op::CopyQueue(self.queue(), self.copy()),
            935..940 => Op::DeleteQueue(self.queue(), self.slot()),
            940..945 => Op::RevokeQueue(self.queue()),
            945..948 => Op::WipeQueue(self.queue()),
            _ => self.rare_op(),
        }
    }

    fn rare_op(&mut self) -> Op {
        let cookie = self.below(1 << 16) as u16;
        match self.below(4) {
            0 => Op::Nest(self.queue(), self.slot(), self.queue(), self.slot(), cookie),
            1 => Op::Unnest(self.queue(), self.slot(), self.queue(), self.slot()),
            2 => Op::AttachThread(self.queue(), self.slot(), self.thread(), cookie),
            _ => match self.below(2) {
                0 => Op::DetachThread(self.queue(), self.slot(), self.thread()),
                _ => Op::RevokeFrame(self.index(FRAMES)),
            },
        }
    }
}
