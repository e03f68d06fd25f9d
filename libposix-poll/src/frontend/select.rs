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
    /// Looks at the fds of one word of the sets: those of `asked` of which what their set asks for holds, and how many bits these are. `number` is the
    /// source's number ([`SourceId::number`](vfs_hooks::source::SourceId::number)) of the fd of a bit, that of a file which cannot be watched included;
    /// none: not open.
    ///
    /// Instructions for each fd, with the shim's table (tests/cost.rs): 19 for one that is not ready, 20 for one that is, 34 if fds of its word are in
    /// several sets.
    #[inline]
    pub fn select(
        &mut self,
        asked: Words,
        number: impl FnMut(u32) -> Option<u32>,
    ) -> Result<(Words, usize), NotOpen> {
        // Most calls use one set: what matters at all is what it reports.
        let single = match asked {
            [word, 0, 0] => Some((0, word, READ)),
            [0, word, 0] => Some((1, word, WRITE)),
            [0, 0, word] => Some((2, word, EXCEPT)),
            _ => None,
        };
        if let Some((set, word, reported)) = single {
            let mut found = 0;
            self.scan(word, reported, number, |bit, _| found |= 1 << bit)?;
            let words = core::array::from_fn(|i| if i == set { found } else { 0 });
            return Ok((words, found.count_ones() as usize));
        }
        // Whose events make none of the sets in use true needs no second look.
        let (mut any, mut matters) = (0, Events::empty());
        for (&word, reported) in asked.iter().zip(REPORTED) {
            if word != 0 {
                (any, matters) = (any | word, matters | reported);
            }
        }
        let [mut read, mut write, mut except] = [0; 3];
        self.scan(any, matters, number, |bit, level| {
            let found_in = |set: Events| u64::from(level.intersects(set)) << bit;
            read |= found_in(READ);
            write |= found_in(WRITE);
            except |= found_in(EXCEPT);
        })?;
        let found = [read & asked[0], write & asked[1], except & asked[2]];
        let count = found.map(u64::count_ones).iter().sum::<u32>();
        Ok((found, count as usize))
    }

    /// Looks at the fds of `bits`; reports those of which any of `matters` holds.
    #[inline(always)]
    fn scan(
        &mut self,
        mut bits: u64,
        matters: Events,
        mut number: impl FnMut(u32) -> Option<u32>,
        mut report: impl FnMut(u32, Events),
    ) -> Result<(), NotOpen> {
        let mut look = |bit| match number(bit) {
            Some(number) => Ok(self.holds(number)),
            None => Err(NotOpen),
        };
        while bits != 0 {
            let mut bit = bits.trailing_zeros();
            let mut level = look(bit)?;
            bits &= bits - 1;
            // Those that are ready stand together as a rule: they have a loop of their own, without a jump back.
            while level.intersects(matters) {
                report(bit, level);
                if bits == 0 {
                    return Ok(());
                }
                bit = bits.trailing_zeros();
                level = look(bit)?;
                bits &= bits - 1;
            }
        }
        Ok(())
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

/// What an fd makes true of the three sets, of those that ask for it.
#[inline]
pub fn reported(asked: Words, bit: u32, level: Events) -> Words {
    let mut words = [0; 3];
    for ((word, asked), reported) in words.iter_mut().zip(asked).zip(REPORTED) {
        *word = asked & u64::from(level.intersects(reported)) << bit;
    }
    words
}
