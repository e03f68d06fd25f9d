// SPDX-License-Identifier: BSD-2-Clause
//! fifo(7): a pipe with a name. While anybody has it open, its bytes are in one channel, that of a pipe ([`channel_pipe`](crate::channel_pipe)).
//!
//! The VFS server finds it by its name and asks the root server, which makes the channel or finds it, gives the opener its sides, and counts how often
//! each has been opened. Who opens one side waits until the other one's count moves: so it goes on even if the other one has come and gone meanwhile.
#![forbid(unsafe_code)]

use crate::channel::{Header, READER, SIDES, WRITER};
use crate::sync::Ordering;

/// In FIFO_OPEN's word of sides: ENXIO if nobody has it open for reading.
pub const NEEDS_READER: u64 = 4;

/// Bit of a place: somebody had the other side open.
const MET: u64 = 1 << 31;

/// How often a side has been opened, modulo 2³².
pub fn opened(header: &Header, side: usize) -> u32 {
    (header.value.load(Ordering::Acquire) >> (32 * side)) as u32
}

/// Root server: counts an opening of these sides.
pub fn count(header: &Header, sides: u8) {
    let [reads, writes] = [READER, WRITER]
        .map(|side| opened(header, side).wrapping_add(u32::from(sides >> side & 1)));
    let both = u64::from(reads) | u64::from(writes) << 32;
    header.value.store(both, Ordering::Release);
}

/// What opening one gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The channel.
    pub channel: u32,
    /// Whether there is nothing to wait for: somebody has the other side open, or the opener itself has.
    pub met: bool,
    /// How often the other side had been opened.
    pub since: u32,
}

impl Place {
    /// As a word.
    pub fn word(self) -> u64 {
        let met = if self.met { MET } else { 0 };
        u64::from(self.channel) | met | u64::from(self.since) << 32
    }

    /// From a word.
    pub fn of(word: u64) -> Place {
        Place {
            channel: (word & (MET - 1)) as u32,
            met: word & MET != 0,
            since: (word >> 32) as u32,
        }
    }
}

/// The side whose opening those wait for who open `sides`; none if they are both.
pub fn partner(sides: u8) -> Option<usize> {
    (0..SIDES).find(|side| sides == 1 << (1 - side))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_counted_apart() {
        let header = Header::default();
        count(&header, 1 << READER);
        count(&header, 1 << WRITER);
        count(&header, 3);
        count(&header, 1 << WRITER);
        assert_eq!([READER, WRITER].map(|side| opened(&header, side)), [2, 3]);
        // One that wraps does not touch the other.
        header.value.store(u64::from(u32::MAX), Ordering::Relaxed);
        count(&header, 1 << READER);
        assert_eq!([READER, WRITER].map(|side| opened(&header, side)), [0, 0]);
    }

    #[test]
    fn places_go_through_words() {
        for met in [false, true] {
            let place = Place {
                channel: 4095,
                met,
                since: u32::MAX,
            };
            assert_eq!(Place::of(place.word()), place);
        }
    }

    #[test]
    fn who_opens_one_side_waits_for_the_other() {
        assert_eq!(partner(1 << READER), Some(WRITER));
        assert_eq!(partner(1 << WRITER), Some(READER));
        assert_eq!(partner(3), None);
    }
}
