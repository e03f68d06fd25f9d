// SPDX-License-Identifier: BSD-2-Clause
//! What the kernel promises about notifications, queues and the threads that wait
//! for them, as a state machine without a kernel: the random test runs both side
//! by side. Nothing here makes a system call; its own tests run on the host.
//!
//! | module | what it holds |
//! |---|---|
//! | `ops` | the operations, and random sequences of them |
//! | `objects` | the parts of the state |
//! | `threads` | blocking, waking, what a thread receives |
//! | `queues` | signals, entries, collections, buffers |
//! | `members` | attach and detach: notifications, queues, threads |
//! | `caps` | which capabilities there are, deleting and revoking |
//! | `seen` | what a run has reached, so that no case is missed in silence |

mod caps;
mod members;
mod objects;
mod ops;
mod queues;
mod seen;
#[cfg(test)]
mod tests;
mod threads;

pub use objects::{
    Answer, Call, Command, FRAMES, LARGE, LARGE_WINDOW, Memory, NOTIFICATIONS, QUEUES, Received,
    Source, THREADS, UNHANDLED,
};
pub use ops::{CapSlot, Op, Random};
pub use queues::{FILLERS, badge};
pub use seen::{Case, Seen};

use objects::{Fill, Notification, Queue, Thread};

/// Everything that the operations act on.
#[derive(Clone)]
pub struct Model {
    notifications: [Notification; NOTIFICATIONS],
    queues: [Queue; QUEUES],
    threads: [Thread; THREADS],
    /// Notifications that are attached only to use up room.
    fill: Option<Fill>,
    /// What lies in each frame.
    pub memory: Memory,
    log: [Option<Received>; LOG],
    logged: usize,
    faulted: [bool; THREADS],
    seen: Seen,
}

/// Messages that one operation can deliver to threads that run.
const LOG: usize = THREADS * 2;

impl Default for Model {
    fn default() -> Model {
        Model::new()
    }
}

impl Model {
    /// Nothing exists but the frames, which hold zeros.
    pub const fn new() -> Model {
        Model {
            notifications: [const { Notification::NONE }; NOTIFICATIONS],
            queues: [const { Queue::NONE }; QUEUES],
            threads: [const { Thread::NONE }; THREADS],
            fill: None,
            memory: Memory::ZERO,
            log: [None; LOG],
            logged: 0,
            faulted: [false; THREADS],
            seen: Seen::NOTHING,
        }
    }

    /// Carries out an operation.
    pub fn apply(&mut self, op: Op) -> Answer {
        match op {
            Op::Signal(n, slot) => self.signal(n, slot),
            // It consists of others.
            Op::Rounds(_) => Answer::Skipped,
            Op::Take(n, slot) => self.take(n, slot),
            Op::Collect(q, slot) => self.collect_by_root(q, slot),
            Op::Attach(q, by, n, slot, cookie) => self.attach(q, by, n, slot, cookie.into()),
            Op::Detach(q, by, n, slot) => self.detach_by(q, by, n, slot),
            Op::Nest(q, by, inner, slot, cookie) => self.nest(q, by, inner, slot, cookie.into()),
            Op::Unnest(q, by, inner, slot) => self.unnest(q, by, inner, slot),
            Op::AttachThread(q, by, t, cookie) => self.attach_thread(q, by, t, cookie.into()),
            Op::DetachThread(q, by, t) => self.detach_thread(q, by, t),
            Op::SetBuffer(q, by, frame, writable) => self.set_buffer(q, by, frame, writable),
            Op::Fill(q, spare) => self.fill_up(q, spare.into()),
            Op::Empty => self.empty(),
            Op::Start(t, command) => self.start(t, command),
            Op::Suspend(t) => self.suspend(t),
            Op::Resume(t) => self.resume(t),
            Op::Run => self.run(),
            Op::Bind(t, source) => self.bind(t, source),
            Op::Unbind(t) => self.unbind(t),
            Op::MakeThread(t) => self.make_thread(t),
            Op::DeleteThread(t) => self.delete_thread(t),
            Op::MakeNotification(n) => self.make_notification(n),
            Op::CopyNotification(n, slot) => self.copy_notification(n, slot),
            Op::DeleteNotification(n, slot) => self.delete_notification(n, slot),
            Op::RevokeNotification(n) => self.revoke_notification(n),
            Op::WipeNotification(n) => self.wipe_notification(n),
            Op::MakeQueue(q) => self.make_queue(q),
            Op::CopyQueue(q, slot) => self.copy_queue(q, slot),
            Op::DeleteQueue(q, slot) => self.delete_queue(q, slot),
            Op::RevokeQueue(q) => self.revoke_queue(q),
            Op::WipeQueue(q) => self.wipe_queue(q),
            Op::RevokeFrame(frame) => self.revoke_frame(frame),
        }
    }

    /// What threads have received since the last time, in order.
    pub fn take_log(&mut self) -> ([Option<Received>; LOG], usize) {
        let log = (self.log, self.logged);
        self.log = [None; LOG];
        self.logged = 0;
        log
    }

    /// Which threads have faulted since the last time.
    pub fn take_faults(&mut self) -> [bool; THREADS] {
        core::mem::replace(&mut self.faulted, [false; THREADS])
    }

    /// What has happened so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Back to nothing; only what has happened is still counted.
    pub fn restart(&mut self) {
        let seen = self.seen;
        *self = Model::new();
        self.seen = seen;
    }
}
