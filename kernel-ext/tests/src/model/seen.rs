// SPDX-License-Identifier: BSD-2-Clause
//! How often each case worth a test has come up.

/// A case that a run should reach.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Entry,
    Coalesced,
    HandOff,
    HandOffOfBoth,
    AttachActive,
    AttachFull,
    AttachRefused,
    DetachOutstanding,
    Collection,
    Overrun,
    RingRound,
    Resize,
    ResizeTooSmall,
    Told,
    OwnNotification,
    OwnWakesQueueWaiter,
    Blocked,
    Fault,
    LostWake,
    ResumedWaiter,
    BindRefused,
    QueueWithoutCaps,
    QueueDestroyed,
    QueueRevoked,
    NotificationDestroyedAttached,
    WaitersOfDestroyed,
    BufferRevoked,
    Nested,
    NestedWithEntries,
    NestRefused,
    OuterEntry,
    InnerDestroyed,
    ThreadAttached,
    ThreadEnded,
}

/// Number of the last case, plus one.
pub const CASES: usize = Case::ThreadEnded as usize + 1;

/// Counts of cases.
#[derive(Clone, Copy, Debug)]
pub struct Seen([u64; CASES]);

impl Seen {
    /// None yet.
    pub const NOTHING: Seen = Seen([0; CASES]);

    pub(super) fn note(&mut self, case: Case) {
        self.0[case as usize] += 1;
    }

    /// How often a case has come up.
    pub fn count(&self, case: Case) -> u64 {
        self.0[case as usize]
    }

    /// All cases with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Case, u64)> {
        ALL.into_iter().zip(self.0)
    }
}

const ALL: [Case; CASES] = [
    Case::Entry,
    Case::Coalesced,
    Case::HandOff,
    Case::HandOffOfBoth,
    Case::AttachActive,
    Case::AttachFull,
    Case::AttachRefused,
    Case::DetachOutstanding,
    Case::Collection,
    Case::Overrun,
    Case::RingRound,
    Case::Resize,
    Case::ResizeTooSmall,
    Case::Told,
    Case::OwnNotification,
    Case::OwnWakesQueueWaiter,
    Case::Blocked,
    Case::Fault,
    Case::LostWake,
    Case::ResumedWaiter,
    Case::BindRefused,
    Case::QueueWithoutCaps,
    Case::QueueDestroyed,
    Case::QueueRevoked,
    Case::NotificationDestroyedAttached,
    Case::WaitersOfDestroyed,
    Case::BufferRevoked,
    Case::Nested,
    Case::NestedWithEntries,
    Case::NestRefused,
    Case::OuterEntry,
    Case::InnerDestroyed,
    Case::ThreadAttached,
    Case::ThreadEnded,
];
