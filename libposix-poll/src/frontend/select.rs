// SPDX-License-Identifier: BSD-2-Clause
//! select(2) in terms of poll: which events each of the three sets asks for, and which it reports; 64 fds at a time, as the sets have them.

use crate::backend::Kernel;
use crate::event_core::Core;
use vfs_hooks::Events;

/// What the read set reports (Linux's POLLIN_SET).
pub const READ: Events = Events::IN
    .union(Events::RDNORM)
    .union(Events::RDBAND)
    .union(Events::HUP)
    .union(Events::ERR);
/// What the write set reports (POLLOUT_SET).
pub const WRITE: Events = Events::OUT
    .union(Events::WRNORM)
    .union(Events::WRBAND)
    .union(Events::ERR);
/// What the exception set reports (POLLEX_SET).
pub const EXCEPT: Events = Events::PRI;

/// A word of each of the three sets: read, write, except.
pub type Words = [u64; 3];

/// What each of [`Words`] reports.
const REPORTED: [Events; 3] = [READ, WRITE, EXCEPT];

/// An fd in a set is not open: EBADF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpen;

impl<K: Kernel> Core<K> {
    /// Looks at the fds of one word of the sets: those of `asked` of which what their set asks for holds. `number` is the source's number
    /// ([`SourceId::number`](vfs_hooks::source::SourceId::number)) of the fd of a bit, that of a file which cannot be watched included; none:
    /// not open.
    #[inline]
    pub fn select(
        &mut self,
        asked: Words,
        mut number: impl FnMut(u32) -> Option<u32>,
    ) -> Result<Words, NotOpen> {
        let mut found = [0; 3];
        let mut any = asked[0] | asked[1] | asked[2];
        // Whose events make none of the sets in use true needs no second look.
        let mut matters = Events::empty();
        for (&word, reported) in asked.iter().zip(REPORTED) {
            if word != 0 {
                matters |= reported;
            }
        }
        while any != 0 {
            let bit = any.trailing_zeros();
            any &= any - 1;
            let level = self.holds(number(bit).ok_or(NotOpen)?);
            if level.intersects(matters) {
                for (word, reported) in found.iter_mut().zip(REPORTED) {
                    *word |= u64::from(level.intersects(reported)) << bit;
                }
            }
        }
        for (found, asked) in found.iter_mut().zip(asked) {
            *found &= asked;
        }
        Ok(found)
    }
}

/// Events to watch for so that the fd of a bit becomes ready in one of the sets that it is in.
pub fn interest(asked: Words, bit: u32) -> Events {
    let mut events = Events::empty();
    for (word, reported) in asked.iter().zip(REPORTED) {
        if word >> bit & 1 != 0 {
            events |= reported;
        }
    }
    events
}
