// SPDX-License-Identifier: BSD-2-Clause
//! Locks of files, as flock(2) and fcntl(2) have them: what a process asks the VFS server for ([`label::LOCK`](crate::vfs::label::LOCK)).
//!
//! Nobody waits inside a request. One that cannot be granted now is EAGAIN; if it is to wait, the server remembers the thread, kicks it when the
//! lock may be free, and the thread asks again.
#![forbid(unsafe_code)]

/// Last byte that a range can have.
pub const END: u64 = i64::MAX as u64;

/// Answer to [`What::Test`], in place of a kind's number: nothing is in the way. Otherwise first byte, last byte and process follow.
pub const FREE: u64 = 2;
/// In place of the process: an open file description has the lock.
pub const NO_PROCESS: u64 = u64::MAX;

/// Kinds of lock, numbered as fcntl(2) numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Others may have such a lock, too.
    Shared,
    /// Nobody else has one.
    Exclusive,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// F_GETLK: which lock would be in the way?
    Test(Kind),
    /// Locks, or refuses.
    Set(Kind),
    /// Locks, or remembers the thread until it can.
    Wait(Kind),
    /// Unlocks.
    Unlock,
    /// The thread waits no longer.
    GiveUp,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is to be done.
    pub what: What,
    /// The whole file, as flock(2) locks it, apart from ranges of bytes.
    pub whole: bool,
    /// The open file description that is to have the lock, by the channel that its holders share; `None`: the process.
    pub open: Option<u32>,
    /// The thread that asks.
    pub thread: u16,
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub end: u64,
}

const KIND: u64 = 1;
const WHAT_SHIFT: u32 = 1;
const WHOLE: u64 = 1 << 4;
const OPEN: u64 = 1 << 5;
const THREAD_SHIFT: u32 = 16;

/// A kind's number in messages.
pub fn number(kind: Kind) -> u64 {
    match kind {
        Kind::Shared => 0,
        Kind::Exclusive => 1,
    }
}

/// The kind with a number.
pub fn kind(number: u64) -> Kind {
    match number & KIND {
        0 => Kind::Shared,
        _ => Kind::Exclusive,
    }
}

impl Asked {
    /// Second and third word of the request, and its second string.
    pub fn encode(&self) -> ([u64; 2], [u8; 16]) {
        let (what, kind) = match self.what {
            What::Test(kind) => (0, number(kind)),
            What::Set(kind) => (1, number(kind)),
            What::Wait(kind) => (2, number(kind)),
            What::Unlock => (3, 0),
            What::GiveUp => (4, 0),
        };
        let mut word = kind | what << WHAT_SHIFT | u64::from(self.thread) << THREAD_SHIFT;
        if self.whole {
            word |= WHOLE;
        }
        if self.open.is_some() {
            word |= OPEN;
        }
        let mut range = [0; 16];
        range[..8].copy_from_slice(&self.start.to_le_bytes());
        range[8..].copy_from_slice(&self.end.to_le_bytes());
        ([word, self.open.unwrap_or(0).into()], range)
    }

    /// The request, if it is one.
    pub fn decode([word, open]: [u64; 2], range: &[u8]) -> Option<Asked> {
        let kind = kind(word);
        let what = match word >> WHAT_SHIFT & 7 {
            0 => What::Test(kind),
            1 => What::Set(kind),
            2 => What::Wait(kind),
            3 => What::Unlock,
            4 => What::GiveUp,
            _ => return None,
        };
        let (start, end) = range.split_at_checked(8)?;
        let (start, end) = (start.try_into().ok()?, end.try_into().ok()?);
        let (start, end) = (u64::from_le_bytes(start), u64::from_le_bytes(end));
        let open = match word & OPEN {
            0 => None,
            _ => Some(u32::try_from(open).ok()?),
        };
        (start <= end && end <= END).then_some(Asked {
            what,
            whole: word & WHOLE != 0,
            open,
            thread: (word >> THREAD_SHIFT) as u16,
            start,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_through_words() {
        let kinds = [Kind::Shared, Kind::Exclusive];
        let mut all = std::vec![What::Unlock, What::GiveUp];
        all.extend(kinds.map(What::Test));
        all.extend(kinds.map(What::Set));
        all.extend(kinds.map(What::Wait));
        for what in all {
            for (whole, open) in [(false, None), (true, Some(0)), (false, Some(4095))] {
                let asked = Asked {
                    what,
                    whole,
                    open,
                    thread: 255,
                    start: 7,
                    end: END,
                };
                let (words, range) = asked.encode();
                assert_eq!(Asked::decode(words, &range), Some(asked));
            }
        }
    }

    #[test]
    fn nonsense_is_no_request() {
        let range = |start: u64, end: u64| [start.to_le_bytes(), end.to_le_bytes()].concat();
        assert!(Asked::decode([0, 0], &range(0, 0)).is_some());
        assert_eq!(Asked::decode([0, 0], &range(1, 0)), None);
        assert_eq!(Asked::decode([0, 0], &range(0, END + 1)), None);
        assert_eq!(Asked::decode([0, 0], &[0; 15]), None);
        assert_eq!(Asked::decode([5 << WHAT_SHIFT, 0], &range(0, 0)), None);
        assert_eq!(Asked::decode([OPEN, 1 << 32], &range(0, 0)), None);
    }
}
