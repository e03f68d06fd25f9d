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
    /// Instructions for each fd, with the shim's table (tests/cost.rs): 19; 34, which is 17 for each set that it is in, if fds in two sets are ready in
    /// another way than the one before them, each.
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
            self.scan(word, reported, number, |bits, _| found |= bits)?;
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
        let mut found = [0; 3];
        self.scan(any, matters, number, |bits, level| {
            add(&mut found, bits, level);
        })?;
        for (found, asked) in found.iter_mut().zip(asked) {
            *found &= asked;
        }
        let count = found.map(u64::count_ones).iter().sum::<u32>();
        Ok((found, count as usize))
    }

    /// Looks at the fds of `bits`; reports those of which any of `matters` holds, by the bits of neighbours of which the same holds.
    #[inline(always)]
    fn scan(
        &mut self,
        mut bits: u64,
        matters: Events,
        mut number: impl FnMut(u32) -> Option<u32>,
        mut report: impl FnMut(u64, Events),
    ) -> Result<(), NotOpen> {
        let mut look = |bit| match number(bit) {
            Some(number) => Ok(self.holds(number)),
            None => Err(NotOpen),
        };
        let (mut bit, mut level);
        loop {
            loop {
                if bits == 0 {
                    return Ok(());
                }
                bit = bits.trailing_zeros();
                level = look(bit)?;
                bits &= bits - 1;
                if level.intersects(matters) {
                    break;
                }
            }
            // Those that are ready stand together as a rule, and most are of a kind: which sets that makes true is asked once for all of them.
            let (mut alike, mut run) = (level, 1 << bit);
            while bits != 0 {
                bit = bits.trailing_zeros();
                level = look(bit)?;
                bits &= bits - 1;
                if level != alike {
                    report(run, alike);
                    run = 0;
                    if !level.intersects(matters) {
                        break;
                    }
                    alike = level;
                }
                run |= 1 << bit;
            }
            if run != 0 {
                report(run, alike);
            }
        }
    }
}

/// The fds of `bits`, of which all of `level` holds, to the sets that this makes true.
// Not inlined: the loop that calls it, once for many fds, needs the registers.
#[inline(never)]
fn add(found: &mut Words, bits: u64, level: Events) {
    for (word, reported) in found.iter_mut().zip(REPORTED) {
        if level.intersects(reported) {
            *word |= bits;
        }
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
