// SPDX-License-Identifier: BSD-2-Clause
//! A set of numbers kept as ranges: addresses that a process has reserved without memory behind them.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// Ranges that neither overlap nor touch.
#[derive(Debug, Default)]
pub struct Ranges {
    /// End by start.
    ends: BTreeMap<usize, usize>,
}

impl Ranges {
    /// How many ranges there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// All ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.ends.iter().map(|(start, end)| *start..*end)
    }

    /// Whether any number of `range` is in the set.
    pub fn overlaps(&self, range: &Range<usize>) -> bool {
        range.start < range.end
            && self
                .ends
                .range(..range.end)
                .next_back()
                .is_some_and(|(_, end)| *end > range.start)
    }

    /// Whether taking `range` out would make two ranges of one.
    pub fn splits(&self, range: &Range<usize>) -> bool {
        let below = self.ends.range(..range.start).next_back();
        below.is_some_and(|(_, end)| *end > range.end)
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: usize) -> bool {
        self.overlaps(&(number..number + 1))
    }

    /// Puts `range` in.
    pub fn insert(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Everything that overlaps or touches becomes one with it.
        while let Some((&s, &e)) = self.ends.range(..=end).next_back()
            && e >= start
        {
            self.ends.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        self.ends.insert(start, end);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        // What is put back of one is not hit again.
        while let Some((&start, &end)) = self.ends.range(..range.end).next_back()
            && end > range.start
        {
            self.ends.remove(&start);
            if start < range.start {
                self.ends.insert(start, range.start);
            }
            if end > range.end {
                self.ends.insert(range.end, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_plain_set() {
        let (mut ranges, mut plain) = (Ranges::default(), [false; 64]);
        let mut seed = 1u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 16) % below
        };
        for _ in 0..20_000 {
            let start = random(60) as usize;
            let range = start..start + random(5) as usize;
            match random(2) {
                0 => {
                    ranges.insert(range.clone());
                    plain[range].fill(true);
                }
                _ => {
                    ranges.remove(range.clone());
                    plain[range].fill(false);
                }
            }
            let runs = (0..64).filter(|&i| plain[i] && (i == 0 || !plain[i - 1]));
            assert_eq!(ranges.count(), runs.count());
            for (i, is_in) in plain.iter().enumerate() {
                assert_eq!(ranges.contains(i), *is_in);
            }
            let probe = random(60) as usize;
            let probe = probe..probe + random(5) as usize;
            assert_eq!(ranges.overlaps(&probe), plain[probe].contains(&true));
        }
    }
}
