// SPDX-License-Identifier: BSD-2-Clause
//! Locked ranges of one file: how those of one owner split and join, and which are in another's way (fcntl(2), Advisory record locking).

use alloc::vec::Vec;

use vfs_hooks::file_lock::Kind;

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A process, by its number.
    Process(usize),
    /// An open file description, by its channel.
    Open(u32),
}

/// A locked range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Who has it.
    pub owner: Owner,
    /// How.
    pub kind: Kind,
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub end: u64,
}

impl Range {
    /// Whether both cannot be at a time.
    pub fn excludes(&self, other: &Range) -> bool {
        let overlap = self.start <= other.end && other.start <= self.end;
        let shared = self.kind == Kind::Shared && other.kind == Kind::Shared;
        overlap && !shared && self.owner != other.owner
    }
}

/// All of a file: those of one owner side by side, by place; none of them overlap, none of one kind touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that is in the way of `wanted`.
    pub fn in_the_way(&self, wanted: &Range) -> Option<&Range> {
        self.0.iter().find(|range| range.excludes(wanted))
    }

    /// `owner` has these bytes by a lock of that kind, or not at all, whatever it had of them. What others have is not looked at.
    pub fn set(&mut self, owner: Owner, kind: Option<Kind>, start: u64, end: u64) {
        let at = self.0.iter().position(|range| range.owner == owner);
        let at = at.unwrap_or(self.0.len());
        let mut own = Vec::new();
        let (mut joined_start, mut joined_end) = (start, end);
        self.0.retain(|range| {
            if range.owner != owner {
                return true;
            }
            let touches = range.start <= end + 1 && start <= range.end + 1;
            let overlaps = range.start <= end && start <= range.end;
            if touches && kind == Some(range.kind) {
                joined_start = joined_start.min(range.start);
                joined_end = joined_end.max(range.end);
            } else if overlaps {
                if range.start < start {
                    let end = start - 1;
                    own.push(Range { end, ..*range });
                }
                if range.end > end {
                    let start = end + 1;
                    own.push(Range { start, ..*range });
                }
            } else {
                own.push(*range);
            }
            false
        });
        if let Some(kind) = kind {
            own.push(Range {
                owner,
                kind,
                start: joined_start,
                end: joined_end,
            });
        }
        own.sort_unstable_by_key(|range| range.start);
        self.0.splice(at..at, own);
    }

    /// Whether an owner has some that are not of that kind.
    pub fn has_other(&self, owner: Owner, kind: Option<Kind>) -> bool {
        let other = |range: &Range| range.owner == owner && Some(range.kind) != kind;
        self.0.iter().any(other)
    }

    /// Those of one owner.
    pub fn count(&self, owner: Owner) -> usize {
        self.0.iter().filter(|range| range.owner == owner).count()
    }
}
