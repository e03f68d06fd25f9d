// SPDX-License-Identifier: BSD-2-Clause
//! Which capabilities there are, and what goes with the last one.

use sel4_bindings::Error;

use super::objects::{Base, Member, Notification, Queue, Target};
use super::ops::{CapSlot, SLOTS};
use super::{Answer, Case, Model, NOTIFICATIONS, QUEUES, THREADS};

const OCCUPIED: Answer = Answer::Refused(Error::DeleteFirst, 0);
const NO_SOURCE: Answer = Answer::Refused(Error::FailedLookup, 0);
const NO_MEMORY: Answer = Answer::Refused(Error::NotEnoughMemory, 0);

/// Makes an object in memory that has room for one.
fn make(exists: bool, base: &mut Base) -> Answer {
    if base.has(CapSlot::Original) {
        return OCCUPIED;
    }
    if exists {
        return NO_MEMORY;
    }
    base.caps[CapSlot::Original as usize] = true;
    Answer::Done
}

/// Makes a capability from the original one.
fn copy(base: &mut Base, slot: CapSlot) -> Answer {
    if base.has(slot) {
        return OCCUPIED;
    }
    if !base.has(CapSlot::Original) {
        return NO_SOURCE;
    }
    base.caps[slot as usize] = true;
    Answer::Done
}

impl Model {
    pub(super) fn make_notification(&mut self, n: u8) -> Answer {
        let notification = &mut self.notifications[usize::from(n)];
        let made = make(notification.exists, &mut notification.base);
        notification.exists |= made == Answer::Done;
        made
    }

    pub(super) fn copy_notification(&mut self, n: u8, slot: CapSlot) -> Answer {
        copy(&mut self.notifications[usize::from(n)].base, slot)
    }

    pub(super) fn delete_notification(&mut self, n: u8, slot: CapSlot) -> Answer {
        self.notifications[usize::from(n)].base.caps[slot as usize] = false;
        self.notification_may_end(n.into());
        Answer::Done
    }

    pub(super) fn revoke_notification(&mut self, n: u8) -> Answer {
        let base = &mut self.notifications[usize::from(n)].base;
        // Of an empty slot it does nothing.
        if base.has(CapSlot::Original) {
            base.caps = ORIGINAL_ONLY;
        }
        Answer::Done
    }

    /// Revokes its memory.
    pub(super) fn wipe_notification(&mut self, n: u8) -> Answer {
        self.notifications[usize::from(n)].base.caps = [false; SLOTS];
        self.notification_may_end(n.into());
        Answer::Done
    }

    fn notification_may_end(&mut self, n: usize) {
        let notification = &self.notifications[n];
        if !notification.exists || notification.base.caps.contains(&true) {
            return;
        }
        if notification.attachment.is_some() {
            self.seen.note(Case::NotificationDestroyedAttached);
        }
        self.detach(Member::Notification(n));
        let target = Target::Notification(n);
        self.unbind_target(target);
        self.restart_waiters(target);
        self.notifications[n] = Notification::NONE;
    }

    pub(super) fn make_queue(&mut self, q: u8) -> Answer {
        let queue = &mut self.queues[usize::from(q)];
        let made = make(queue.exists, &mut queue.base);
        queue.exists |= made == Answer::Done;
        made
    }

    pub(super) fn copy_queue(&mut self, q: u8, slot: CapSlot) -> Answer {
        copy(&mut self.queues[usize::from(q)].base, slot)
    }

    pub(super) fn delete_queue(&mut self, q: u8, slot: CapSlot) -> Answer {
        let q = usize::from(q);
        self.queues[q].base.caps[slot as usize] = false;
        let queue = &self.queues[q];
        if queue.attached > 0 && !queue.base.caps.contains(&true) {
            self.seen.note(Case::QueueWithoutCaps);
        }
        self.may_end(q);
        Answer::Done
    }

    /// Revokes the original: it detaches everything.
    pub(super) fn revoke_queue(&mut self, q: u8) -> Answer {
        let q = usize::from(q);
        if self.queues[q].base.has(CapSlot::Original) {
            self.seen.note(Case::QueueRevoked);
            self.queues[q].base.caps = ORIGINAL_ONLY;
            self.detach_all(q);
        }
        Answer::Done
    }

    /// Revokes its memory.
    pub(super) fn wipe_queue(&mut self, q: u8) -> Answer {
        let q = usize::from(q);
        self.queues[q].base.caps = [false; SLOTS];
        self.detach_all(q);
        self.may_end(q);
        Answer::Done
    }

    fn detach_all(&mut self, q: usize) {
        if let Some(fill) = self.fill
            && fill.queue == q
        {
            self.fill = None;
            self.queues[q].attached -= fill.count;
        }
        let notifications = (0..NOTIFICATIONS).map(Member::Notification);
        let queues = (0..QUEUES).map(Member::Queue);
        let threads = (0..THREADS).map(Member::Thread);
        for member in notifications.chain(queues).chain(threads) {
            if self.is_attached_to(member, q) {
                self.detach(member);
            }
        }
    }

    /// The queue goes with its last capability and attachment.
    pub(super) fn may_end(&mut self, q: usize) {
        let queue = &self.queues[q];
        if !queue.exists || queue.base.caps.contains(&true) || queue.attached > 0 {
            return;
        }
        if queue.tail > 0 {
            self.seen.note(Case::QueueDestroyed);
        }
        if queue.attachment.is_some() {
            self.seen.note(Case::InnerDestroyed);
        }
        self.detach(Member::Queue(q));
        let target = Target::Queue(q);
        self.unbind_target(target);
        self.restart_waiters(target);
        self.queues[q] = Queue::NONE;
    }
}

const ORIGINAL_ONLY: [bool; SLOTS] = [true, false, false, false];
