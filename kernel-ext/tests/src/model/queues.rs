// SPDX-License-Identifier: BSD-2-Clause
//! Signals, entries, attachments, collections, buffers.

use sel4_bindings::{Error, Word};

use super::members::wrong_cap;
use super::objects::{Fill, Member, Target, slots};
use super::ops::CapSlot;
use super::{Answer, Case, FRAMES, Model};
use crate::queue::{FROM_QUEUE, OVERRUN};

const FULL: Answer = Answer::Refused(Error::NotEnoughMemory, 0);

/// Badge of a notification's capability.
pub fn badge(n: usize, slot: CapSlot) -> Word {
    match slot {
        CapSlot::Original => 0,
        CapSlot::Copy => 1 << n,
        CapSlot::First => 1 << (16 + n),
        CapSlot::Second => 1 << (32 + n) | 1 << 63,
    }
}

impl Model {
    pub(super) fn signal(&mut self, n: u8, slot: CapSlot) -> Answer {
        let n = usize::from(n);
        // An empty slot, or one without the write right: nothing, as of any failed send.
        if self.notifications[n].base.has(slot) && slot != CapSlot::First {
            self.signalled(n, badge(n, slot));
        }
        Answer::Done
    }

    fn signalled(&mut self, n: usize, badge: Word) {
        let target = Target::Notification(n);
        if self.notifications[n].attachment.is_none() {
            return self.send(target, badge, [None; 2]);
        }
        self.accumulate(target, badge);
        self.notify(Member::Notification(n));
    }

    /// A signal to what is attached.
    fn accumulate(&mut self, target: Target, badge: Word) {
        let base = self.base(target);
        base.badge = if base.active {
            base.badge | badge
        } else {
            badge
        };
        base.active = true;
    }

    /// Tells the queue of an active member.
    pub(super) fn notify(&mut self, member: Member) {
        let Some(attachment) = *self.attachment(member) else {
            return;
        };
        let (q, cookie) = (attachment.queue, attachment.cookie);
        if attachment.position > self.queues[q].head {
            return self.seen.note(Case::Coalesced);
        }
        if self.queues[q].base.is_waited_for() {
            self.seen.note(Case::HandOff);
            return self.send(Target::Queue(q), FROM_QUEUE | 1, [Some(cookie), None]);
        }
        if let Some(outer) = self.queues[q].attachment
            && self.queues[outer.queue].base.is_waited_for()
        {
            self.seen.note(Case::HandOffOfBoth);
            let words = [Some(outer.cookie), Some(cookie)];
            return self.send(Target::Queue(outer.queue), FROM_QUEUE | 2, words);
        }
        self.seen.note(Case::Entry);
        let queue = &mut self.queues[q];
        let entry = queue.tail;
        queue.tail += 1;
        if let Some(frame) = queue.buffer {
            if queue.tail > slots(frame) as Word {
                self.seen.note(Case::RingRound);
            }
            self.memory.write_entry(frame, entry, cookie);
            self.memory.write(frame, 0, queue.tail);
        }
        if let Some(attachment) = self.attachment(member) {
            attachment.position = entry + 1;
        }
        if self.queues[q].attachment.is_some() {
            self.seen.note(Case::OuterEntry);
            self.accumulate(Target::Queue(q), FROM_QUEUE);
            self.notify(Member::Queue(q));
        } else {
            self.send(Target::Queue(q), FROM_QUEUE, [None; 2]);
        }
    }

    /// Badge and word of a collection.
    pub(super) fn collect(&mut self, q: usize) -> (Word, Word) {
        let queue = &mut self.queues[q];
        let (first, count) = (queue.head, queue.tail - queue.head);
        queue.head = queue.tail;
        queue.stale = 0;
        queue.base.active = false;
        let mut badge = FROM_QUEUE | count;
        if count > 0 {
            self.seen.note(Case::Collection);
        }
        if count > 0 && queue.buffer.is_none() {
            self.seen.note(Case::Overrun);
            badge |= OVERRUN;
        }
        (badge, first)
    }

    pub(super) fn collect_by_root(&mut self, q: u8, slot: CapSlot) -> Answer {
        let base = &self.queues[usize::from(q)].base;
        if !base.has(slot) || slot == CapSlot::Second || base.bound.is_some() {
            return Answer::Skipped;
        }
        let (badge, first) = self.collect(q.into());
        Answer::Message(badge, Some(first))
    }

    pub(super) fn take(&mut self, n: u8, slot: CapSlot) -> Answer {
        let base = &mut self.notifications[usize::from(n)].base;
        if !base.has(slot) || slot == CapSlot::Second || base.bound.is_some() {
            return Answer::Skipped;
        }
        let badge = if base.active { base.badge } else { 0 };
        base.active = false;
        Answer::Message(badge, None)
    }

    /// Whether a signal to it adds entries, at most: nobody is woken.
    pub fn only_adds(&self, n: u8) -> bool {
        let Some(attachment) = self.notifications[usize::from(n)].attachment else {
            return false;
        };
        let queue = &self.queues[attachment.queue];
        let outer = queue.attachment.map(|a| &self.queues[a.queue]);
        !queue.is_watched() && !outer.is_some_and(|outer| outer.is_watched())
    }

    /// What [`super::Op::Fill`] has attached: to which queue, how many.
    pub fn filled(&self) -> Option<(u8, usize)> {
        self.fill.map(|fill| (fill.queue as u8, fill.count))
    }

    pub(super) fn set_buffer(&mut self, q: u8, by: CapSlot, frame: u8, writable: bool) -> Answer {
        let (q, frame) = (usize::from(q), usize::from(frame));
        if let Some(refused) = self.not_managed(q, by) {
            return refused;
        }
        if !writable {
            return wrong_cap(1);
        }
        if self.queues[q].attached > slots(frame) / 2 {
            self.seen.note(Case::ResizeTooSmall);
            return FULL;
        }
        if self.queues[q].buffer.is_some_and(|old| old != frame) {
            self.seen.note(Case::Resize);
        }
        let (badge, first) = self.collect(q);
        self.queues[q].buffer = Some(frame);
        self.memory.write(frame, 0, self.queues[q].tail);
        Answer::Message(badge, Some(first))
    }

    /// The queues lose this buffer.
    pub(super) fn revoke_frame(&mut self, frame: u8) -> Answer {
        debug_assert!(usize::from(frame) < FRAMES);
        for queue in &mut self.queues {
            if queue.buffer == Some(frame.into()) {
                self.seen.note(Case::BufferRevoked);
                queue.buffer = None;
            }
        }
        Answer::Done
    }

    /// Attaches what is there for that, until there is room for `spare` more of a
    /// small buffer, or it is refused.
    pub(super) fn fill_up(&mut self, q: u8, spare: usize) -> Answer {
        let q = usize::from(q);
        if self.fill.is_some() || self.not_managed(q, CapSlot::Original).is_some() {
            return Answer::Skipped;
        }
        let wanted = FILLERS - spare;
        let mut count = 0;
        while count < wanted && self.has_room(q) {
            self.queues[q].attached += 1;
            count += 1;
        }
        if count > 0 {
            self.fill = Some(Fill { queue: q, count });
        }
        Answer::Steps(count as Word)
    }

    /// Detaches them.
    pub(super) fn empty(&mut self) -> Answer {
        let Some(fill) = self.fill else {
            return Answer::Skipped;
        };
        if self.not_managed(fill.queue, CapSlot::Original).is_some() {
            return Answer::Skipped;
        }
        self.fill = None;
        self.queues[fill.queue].attached -= fill.count;
        Answer::Steps(fill.count as Word)
    }
}

/// Notifications that `Fill` can attach: one more than a small buffer serves.
pub const FILLERS: usize = 253;

impl super::objects::Queue {
    /// A signal can wake somebody.
    fn is_watched(&self) -> bool {
        self.base.is_waited_for() || self.base.bound.is_some()
    }
}
