// SPDX-License-Identifier: BSD-2-Clause
//! Attaching and detaching notifications, queues and threads.

use sel4_bindings::{Error, Word};

use super::objects::{Attachment, Member, Target};
use super::ops::CapSlot;
use super::{Answer, Case, Model};

const ILLEGAL: Answer = Answer::Refused(Error::IllegalOperation, 0);
const FULL: Answer = Answer::Refused(Error::NotEnoughMemory, 0);

pub(super) fn wrong_cap(number: Word) -> Answer {
    Answer::Refused(Error::InvalidCapability, number)
}

impl Model {
    pub(super) fn attachment(&mut self, member: Member) -> &mut Option<Attachment> {
        match member {
            Member::Notification(n) => &mut self.notifications[n].attachment,
            Member::Queue(q) => &mut self.queues[q].attachment,
            Member::Thread(t) => &mut self.threads[t].attachment,
        }
    }

    /// What hinders an invocation of a queue, if anything does.
    pub(super) fn not_managed(&self, q: usize, by: CapSlot) -> Option<Answer> {
        let can = self.queues[q].base.has(by) && by != CapSlot::First;
        (!can).then_some(wrong_cap(0))
    }

    pub(super) fn has_room(&self, q: usize) -> bool {
        let queue = &self.queues[q];
        queue.attached + queue.stale < queue.capacity()
    }

    /// Attaches what may be attached, if there is room.
    fn insert(&mut self, q: usize, member: Member, cookie: Word, active: bool) -> Answer {
        if !self.has_room(q) {
            self.seen.note(Case::AttachFull);
            return FULL;
        }
        self.queues[q].attached += 1;
        *self.attachment(member) = Some(Attachment {
            queue: q,
            cookie,
            position: 0,
        });
        if active {
            self.seen.note(Case::AttachActive);
            self.notify(member);
        }
        Answer::Done
    }

    fn refused(&mut self, case: Case) -> Answer {
        self.seen.note(case);
        ILLEGAL
    }

    pub(super) fn attach(
        &mut self,
        q: u8,
        by: CapSlot,
        n: u8,
        slot: CapSlot,
        cookie: Word,
    ) -> Answer {
        let (q, n) = (usize::from(q), usize::from(n));
        if let Some(refused) = self.not_managed(q, by) {
            return refused;
        }
        let notification = &self.notifications[n];
        let base = &notification.base;
        if !base.has(slot) || slot == CapSlot::Second {
            return wrong_cap(1);
        }
        if notification.attachment.is_some() || base.is_waited_for() || base.bound.is_some() {
            return self.refused(Case::AttachRefused);
        }
        let active = base.active;
        self.insert(q, Member::Notification(n), cookie, active)
    }

    pub(super) fn detach_by(&mut self, q: u8, by: CapSlot, n: u8, slot: CapSlot) -> Answer {
        let base = &self.notifications[usize::from(n)].base;
        let named = base.has(slot) && slot != CapSlot::Second;
        self.detach_member(q, by, named, Member::Notification(n.into()))
    }

    pub(super) fn nest(
        &mut self,
        q: u8,
        by: CapSlot,
        inner: u8,
        slot: CapSlot,
        cookie: Word,
    ) -> Answer {
        let (q, i) = (usize::from(q), usize::from(inner));
        if let Some(refused) = self.not_managed(q, by) {
            return refused;
        }
        let inner = &self.queues[i];
        let base = &inner.base;
        if !base.has(slot) || slot == CapSlot::Second {
            return wrong_cap(1);
        }
        if inner.attachment.is_some() || base.is_waited_for() || base.bound.is_some() {
            return self.refused(Case::AttachRefused);
        }
        // One level, and nothing hangs from the inner one yet.
        if i == q || inner.attached > 0 || self.queues[q].attachment.is_some() {
            return self.refused(Case::NestRefused);
        }
        let active = base.active || inner.tail != inner.head;
        let answer = self.insert(q, Member::Queue(i), cookie, active);
        if answer == Answer::Done {
            self.queues[i].base.active = active;
            self.seen.note(Case::Nested);
            if active {
                self.seen.note(Case::NestedWithEntries);
            }
        }
        answer
    }

    pub(super) fn unnest(&mut self, q: u8, by: CapSlot, inner: u8, slot: CapSlot) -> Answer {
        let base = &self.queues[usize::from(inner)].base;
        let named = base.has(slot) && slot != CapSlot::Second;
        self.detach_member(q, by, named, Member::Queue(inner.into()))
    }

    pub(super) fn attach_thread(&mut self, q: u8, by: CapSlot, t: u8, cookie: Word) -> Answer {
        let (q, t) = (usize::from(q), usize::from(t));
        if let Some(refused) = self.not_managed(q, by) {
            return refused;
        }
        let thread = &self.threads[t];
        if !thread.exists {
            return wrong_cap(1);
        }
        if thread.attachment.is_some() {
            return self.refused(Case::AttachRefused);
        }
        let ended = thread.ended;
        self.seen.note(Case::ThreadAttached);
        self.insert(q, Member::Thread(t), cookie, ended)
    }

    pub(super) fn detach_thread(&mut self, q: u8, by: CapSlot, t: u8) -> Answer {
        let named = self.threads[usize::from(t)].exists;
        self.detach_member(q, by, named, Member::Thread(t.into()))
    }

    fn detach_member(&mut self, q: u8, by: CapSlot, named: bool, member: Member) -> Answer {
        let q = usize::from(q);
        if let Some(refused) = self.not_managed(q, by) {
            return refused;
        }
        if !named {
            return wrong_cap(1);
        }
        if self.attachment(member).is_none_or(|a| a.queue != q) {
            return ILLEGAL;
        }
        self.detach(member);
        Answer::Done
    }

    /// However it comes about.
    pub(super) fn detach(&mut self, member: Member) {
        let Some(attachment) = self.attachment(member).take() else {
            return;
        };
        let queue = &mut self.queues[attachment.queue];
        queue.attached -= 1;
        if attachment.position > queue.head {
            self.seen.note(Case::DetachOutstanding);
            queue.stale += 1;
        }
        self.may_end(attachment.queue);
    }

    /// The thread is gone, or has faulted with nobody to handle it.
    pub(super) fn thread_ends(&mut self, t: usize) {
        self.threads[t].ended = true;
        if self.threads[t].attachment.is_some() {
            self.seen.note(Case::ThreadEnded);
            self.notify(Member::Thread(t));
        }
    }

    /// Everything that is attached to a queue.
    pub(super) fn is_attached_to(&mut self, member: Member, q: usize) -> bool {
        self.attachment(member).is_some_and(|a| a.queue == q)
    }

    /// Whether something is attached that a wait for it would disturb.
    pub(super) fn is_attached(&mut self, target: Target) -> bool {
        match target {
            Target::Notification(n) => self.notifications[n].attachment.is_some(),
            Target::Queue(q) => self.queues[q].attachment.is_some(),
        }
    }
}
