// SPDX-License-Identifier: BSD-2-Clause
//! Threads: start, block, wake, stop.

use sel4_bindings::Error;
use sel4_bindings::Word;

use super::objects::{Base, Member, State, Target};
use super::ops::CapSlot;
use super::{Answer, Call, Case, Command, Model, Received, Source, THREADS, UNHANDLED};
use crate::queue::{FROM_QUEUE, Words};

const GONE: Answer = Answer::Refused(Error::InvalidCapability, 0);
const ILLEGAL: Answer = Answer::Refused(Error::IllegalOperation, 0);

/// Threads that run before the test goes on.
fn runs_at_once(t: usize) -> bool {
    t < THREADS / 2
}

impl Model {
    pub(super) fn base(&mut self, target: Target) -> &mut Base {
        match target {
            Target::Notification(n) => &mut self.notifications[n].base,
            Target::Queue(q) => &mut self.queues[q].base,
        }
    }

    fn note(&mut self, by: usize, badge: Word, words: Words) {
        self.threads[by].state = State::Parked;
        self.log[self.logged] = Some(Received { by, badge, words });
        self.logged += 1;
    }

    fn fault(&mut self, t: usize) {
        self.seen.note(Case::Fault);
        self.threads[t].state = State::Parked;
        if t == UNHANDLED {
            self.thread_ends(t);
        } else {
            self.faulted[t] = true;
        }
    }

    fn block(&mut self, t: usize, command: Command, target: Option<Target>) {
        self.seen.note(Case::Blocked);
        self.threads[t].state = State::Blocked(command, target);
        if let Some(target) = target {
            self.base(target).append(t);
        }
    }

    /// Gives a blocked thread what it waits for.
    fn wake(&mut self, t: usize, badge: Word, words: Words) {
        self.unblock(t);
        if runs_at_once(t) {
            self.note(t, badge, words);
        } else {
            self.threads[t].state = State::Woken(badge, words);
        }
    }

    fn unblock(&mut self, t: usize) {
        if let State::Blocked(_, Some(target)) = self.threads[t].state {
            self.base(target).remove(t);
        }
    }

    /// A signal to a notification, or to the one that a queue is.
    pub(super) fn send(&mut self, target: Target, badge: Word, words: Words) {
        let bound = self.base(target).bound;
        if let Some(t) = self.base(target).pop() {
            return self.wake(t, badge, words);
        }
        if !self.base(target).active
            && let Some(t) = bound
            && let State::Blocked(command, _) = self.threads[t].state
        {
            match command.source {
                Source::Endpoint => {
                    self.seen.note(Case::Told);
                    return self.wake(t, badge, [None; 2]);
                }
                Source::Queue(..) => {
                    self.seen.note(Case::OwnWakesQueueWaiter);
                    return self.wake(t, badge, [None; 2]);
                }
                Source::Notification(..) => {}
            }
        }
        let base = self.base(target);
        base.badge = if base.active {
            base.badge | badge
        } else {
            badge
        };
        base.active = true;
    }

    /// What is bound to a thread, if it is active: taken.
    fn take_own(&mut self, t: usize) -> Option<Word> {
        let target = self.threads[t].bound?;
        let base = self.base(target);
        if !base.active {
            return None;
        }
        base.active = false;
        let badge = base.badge;
        self.seen.note(Case::OwnNotification);
        Some(match target {
            Target::Notification(_) => badge,
            Target::Queue(_) => FROM_QUEUE,
        })
    }

    /// A thread makes its call.
    fn execute(&mut self, t: usize, command: Command) {
        let waits = command.call == Call::Wait;
        match command.source {
            Source::Endpoint => match self.take_own(t) {
                Some(badge) if waits => self.note(t, badge, [None; 2]),
                _ => self.block(t, command, None),
            },
            Source::Notification(n, slot) => {
                let n = usize::from(n);
                let notification = &mut self.notifications[n];
                let bound = notification.base.bound;
                if !notification.base.has(slot)
                    || slot == CapSlot::Second
                    || bound.is_some_and(|b| b != t)
                    || (waits && notification.attachment.is_some())
                {
                    return self.fault(t);
                }
                if notification.base.active {
                    notification.base.active = false;
                    let badge = notification.base.badge;
                    self.note(t, badge, [None; 2]);
                } else if waits {
                    self.block(t, command, Some(Target::Notification(n)));
                } else {
                    self.note(t, 0, [None; 2]);
                }
            }
            Source::Queue(q, slot) => {
                let q = usize::from(q);
                let queue = &self.queues[q];
                let bound = queue.base.bound;
                if !queue.base.has(slot)
                    || slot == CapSlot::Second
                    || bound.is_some_and(|b| b != t)
                    || (waits && queue.attachment.is_some())
                {
                    return self.fault(t);
                }
                if !waits {
                    let (badge, first) = self.collect(q);
                    self.note(t, badge, [Some(first), None]);
                } else if let Some(badge) = self.take_own(t) {
                    self.note(t, badge, [None; 2]);
                } else if self.queues[q].tail != self.queues[q].head {
                    self.note(t, FROM_QUEUE, [None; 2]);
                } else {
                    self.block(t, command, Some(Target::Queue(q)));
                }
            }
        }
    }

    fn go(&mut self, t: usize, command: Command) {
        self.threads[t].state = State::Ready(command);
        if runs_at_once(t) {
            self.execute(t, command);
        }
    }

    pub(super) fn start(&mut self, t: u8, command: Command) -> Answer {
        let t = usize::from(t);
        // A thread that polls the endpoint would only be told that nobody sends.
        if !self.threads[t].exists
            || (command.source == Source::Endpoint && command.call == Call::Poll)
        {
            return Answer::Skipped;
        }
        self.unblock(t);
        self.go(t, command);
        Answer::Done
    }

    pub(super) fn suspend(&mut self, t: u8) -> Answer {
        let t = usize::from(t);
        if !self.threads[t].exists {
            return GONE;
        }
        self.unblock(t);
        self.threads[t].state = match self.threads[t].state {
            State::Ready(command) | State::Blocked(command, _) => State::Suspended(command),
            State::Woken(..) => {
                self.seen.note(Case::LostWake);
                State::Parked
            }
            other => other,
        };
        Answer::Done
    }

    /// Only of what was suspended before or in its call. A thread that was woken
    /// and suspended would make its call again with the badge for a capability.
    pub(super) fn resume(&mut self, t: u8) -> Answer {
        let t = usize::from(t);
        let State::Suspended(command) = self.threads[t].state else {
            return Answer::Skipped;
        };
        self.seen.note(Case::ResumedWaiter);
        self.go(t, command);
        Answer::Done
    }

    /// Lets the threads run that have not, the one of higher priority first.
    pub(super) fn run(&mut self) -> Answer {
        for t in 0..THREADS {
            match self.threads[t].state {
                State::Ready(command) => self.execute(t, command),
                State::Woken(badge, words) => self.note(t, badge, words),
                _ => {}
            }
        }
        Answer::Done
    }

    /// All waiters of an object that goes make their calls again.
    pub(super) fn restart_waiters(&mut self, target: Target) {
        while let Some(t) = self.base(target).pop() {
            self.seen.note(Case::WaitersOfDestroyed);
            if let State::Blocked(command, _) = self.threads[t].state {
                self.go(t, command);
            }
        }
    }

    pub(super) fn bind(&mut self, t: u8, source: Source) -> Answer {
        let t = usize::from(t);
        if !self.threads[t].exists {
            return GONE;
        }
        let (target, slot) = match source {
            Source::Notification(n, slot) => (Target::Notification(n.into()), slot),
            Source::Queue(q, slot) => (Target::Queue(q.into()), slot),
            Source::Endpoint => return ILLEGAL,
        };
        let attached = self.is_attached(target);
        let taken = self.threads[t].bound.is_some();
        let base = self.base(target);
        if taken
            || !base.has(slot)
            || slot == CapSlot::Second
            || base.is_waited_for()
            || base.bound.is_some()
            || attached
        {
            self.seen.note(Case::BindRefused);
            return ILLEGAL;
        }
        base.bound = Some(t);
        self.threads[t].bound = Some(target);
        Answer::Done
    }

    pub(super) fn unbind(&mut self, t: u8) -> Answer {
        let t = usize::from(t);
        if !self.threads[t].exists {
            return GONE;
        }
        match self.threads[t].bound {
            None => ILLEGAL,
            Some(_) => {
                self.unbind_thread(t);
                Answer::Done
            }
        }
    }

    fn unbind_thread(&mut self, t: usize) {
        if let Some(target) = self.threads[t].bound.take() {
            self.base(target).bound = None;
        }
    }

    /// The thread bound to an object that goes.
    pub(super) fn unbind_target(&mut self, target: Target) {
        if let Some(t) = self.base(target).bound.take() {
            self.threads[t].bound = None;
        }
    }

    pub(super) fn make_thread(&mut self, t: u8) -> Answer {
        let thread = &mut self.threads[usize::from(t)];
        if thread.exists {
            return Answer::Refused(Error::DeleteFirst, 0);
        }
        thread.exists = true;
        thread.state = State::Parked;
        thread.ended = false;
        Answer::Done
    }

    pub(super) fn delete_thread(&mut self, t: u8) -> Answer {
        let t = usize::from(t);
        if !self.threads[t].exists {
            return Answer::Done;
        }
        self.unblock(t);
        self.unbind_thread(t);
        self.threads[t].state = State::Parked;
        self.thread_ends(t);
        self.detach(Member::Thread(t));
        self.threads[t].exists = false;
        Answer::Done
    }
}
