// SPDX-License-Identifier: BSD-2-Clause
//! Address space for mmap: which ranges are in use, with which protection. Pure bookkeeping; the root server maps.
//!
//! Free ranges are taken lowest first, so that page tables, which the root server never frees, are used again.

use alloc::collections::BTreeMap;
use core::ops::Range;

use crate::abi::PROT_WRITE;

/// Among the bits of a protection: the pages are shared (MAP_SHARED).
pub const SHARED: u32 = 1 << 31;

/// A run of pages with one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    end: usize,
    protection: u32,
}

/// Use of one range of addresses. All addresses and lengths are multiples of a page; the caller sees to it.
#[derive(Debug)]
pub struct Space {
    whole: Range<usize>,
    used: BTreeMap<usize, Region>,
    free: BTreeMap<usize, usize>,
}

impl Space {
    /// Everything in `whole` is free.
    pub fn new(whole: Range<usize>) -> Space {
        Space {
            free: BTreeMap::from([(whole.start, whole.end)]),
            used: BTreeMap::new(),
            whole,
        }
    }

    /// Whether the range lies in this space.
    pub fn contains(&self, start: usize, len: usize) -> bool {
        start >= self.whole.start
            && start
                .checked_add(len)
                .is_some_and(|end| end <= self.whole.end)
    }

    /// The lowest address from `least` on where `len` bytes are free.
    pub fn find(&self, least: usize, len: usize) -> Option<usize> {
        let before = self.free.range(..least).next_back();
        before
            .into_iter()
            .chain(self.free.range(least..))
            .map(|(&start, &end)| (start.max(least), end))
            .find(|&(start, end)| end.saturating_sub(start) >= len)
            .map(|(start, _)| start)
    }

    /// Whether the whole range lies in this space and is free.
    pub fn is_free(&self, start: usize, len: usize) -> bool {
        let mut before = self.free.range(..=start);
        before
            .next_back()
            .is_some_and(|(_, &end)| end >= start.saturating_add(len))
    }

    /// Whether every page of the range is in use.
    pub fn is_used(&self, start: usize, len: usize) -> bool {
        let end = start.saturating_add(len);
        let mut at = start;
        while at < end {
            match self.used.range(..=at).next_back() {
                Some((_, region)) if region.end > at => at = region.end,
                _ => return false,
            }
        }
        true
    }

    /// Whether every page of the range is shared.
    pub fn is_shared(&self, start: usize, len: usize) -> bool {
        let end = start.saturating_add(len);
        let mut at = start;
        while at < end {
            match self.used.range(..=at).next_back() {
                Some((_, region)) if region.end > at && region.protection & SHARED != 0 => {
                    at = region.end;
                }
                _ => return false,
            }
        }
        true
    }

    /// Whether any page of the range is shared.
    pub fn has_shared(&self, start: usize, len: usize) -> bool {
        let end = start.saturating_add(len);
        let before = self.used.range(..start).next_back();
        let overlaps =
            |(_, region): (&usize, &Region)| region.end > start && region.protection & SHARED != 0;
        before
            .into_iter()
            .chain(self.used.range(start..end))
            .any(overlaps)
    }

    /// Protection of the page at `at`, with [`SHARED`], if it is in use.
    pub fn protection(&self, at: usize) -> Option<u32> {
        let (_, region) = self.used.range(..=at).next_back()?;
        (region.end > at).then_some(region.protection)
    }

    /// Takes a free range.
    pub fn take(&mut self, start: usize, len: usize, protection: u32) {
        debug_assert!(self.is_free(start, len));
        let end = start + len;
        let Some((&run, &run_end)) = self.free.range(..=start).next_back() else {
            return;
        };
        self.free.remove(&run);
        if run < start {
            self.free.insert(run, start);
        }
        if end < run_end {
            self.free.insert(end, run_end);
        }
        self.insert(start, end, protection);
    }

    /// What is in use: start, end, protection.
    pub fn regions(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let used = self.used.iter();
        used.map(|(start, region)| (*start, region.end, region.protection))
    }

    /// Bytes in use: all, or those that can be written.
    pub fn in_use(&self, writable: bool) -> usize {
        let counted = |region: &Region| !writable || region.protection & PROT_WRITE != 0;
        let regions = self.used.iter().filter(|(_, region)| counted(region));
        regions.map(|(start, region)| region.end - start).sum()
    }

    /// Bytes in use that are not PROT_NONE.
    pub fn committed(&self) -> usize {
        let mapped = self
            .used
            .iter()
            .filter(|(_, region)| region.protection & !SHARED != 0);
        mapped.map(|(start, region)| region.end - start).sum()
    }

    /// Frees what is in use of the range; `each` gets every run that was.
    pub fn release(&mut self, start: usize, len: usize, mut each: impl FnMut(usize, usize)) {
        let end = start.saturating_add(len);
        self.split(start);
        self.split(end);
        while let Some((&at, &region)) = self.used.range(start..end).next() {
            self.used.remove(&at);
            each(at, region.end - at);
            self.add_free(at, region.end);
        }
    }

    /// Sets the protection of a range that is all in use. What is shared stays so.
    pub fn protect(&mut self, start: usize, len: usize, protection: u32) {
        debug_assert!(self.is_used(start, len));
        let end = start + len;
        self.split(start);
        self.split(end);
        let mut at = start;
        while let Some(region) = self.used.remove(&at) {
            self.insert(at, region.end, protection | region.protection & SHARED);
            at = region.end;
            if at >= end {
                break;
            }
        }
    }

    /// Makes `at` the start of a region if it lies inside one.
    fn split(&mut self, at: usize) {
        if let Some((_, region)) = self.used.range_mut(..at).next_back()
            && region.end > at
        {
            let tail = *region;
            region.end = at;
            self.used.insert(at, tail);
        }
    }

    /// Adds a region, joined with neighbours of the same protection.
    fn insert(&mut self, mut start: usize, mut end: usize, protection: u32) {
        if let Some((&before, &region)) = self.used.range(..start).next_back()
            && region.end == start
            && region.protection == protection
        {
            self.used.remove(&before);
            start = before;
        }
        if let Some(&after) = self.used.get(&end)
            && after.protection == protection
        {
            self.used.remove(&end);
            end = after.end;
        }
        self.used.insert(start, Region { end, protection });
    }

    fn add_free(&mut self, mut start: usize, mut end: usize) {
        if let Some((&before, &before_end)) = self.free.range(..start).next_back()
            && before_end == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after_end) = self.free.remove(&end) {
            end = after_end;
        }
        self.free.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const P: usize = 4096;

    fn space() -> Space {
        Space::new(16 * P..48 * P)
    }

    #[test]
    fn lowest_free_run_is_used_again() {
        let mut s = space();
        for n in [4, 2, 1] {
            let at = s.find(0, n * P).unwrap();
            s.take(at, n * P, 3);
        }
        assert_eq!(s.find(0, P), Some(23 * P));
        s.release(18 * P, P, |_, _| ());
        assert_eq!(s.find(0, P), Some(18 * P));
        assert_eq!(s.find(0, 2 * P), Some(23 * P));
        assert_eq!(s.find(0, 100 * P), None);
        assert_eq!(s.find(40 * P, 4 * P), Some(40 * P));
        assert_eq!(s.find(19 * P, P), Some(23 * P));
        assert!(!s.is_free(18 * P, 2 * P) && s.is_free(18 * P, P));
    }

    #[test]
    fn release_splits_and_tells_what_was_there() {
        let mut s = space();
        s.take(16 * P, 4 * P, 3);
        s.take(24 * P, 4 * P, 1);
        let mut gone = Vec::new();
        s.release(18 * P, 8 * P, |at, len| gone.push((at / P, len / P)));
        assert_eq!(gone, [(18, 2), (24, 2)]);
        assert!(s.is_used(16 * P, 2 * P) && s.is_used(26 * P, 2 * P));
        assert!(s.is_free(18 * P, 8 * P));
    }

    #[test]
    fn protect_splits_and_joins() {
        let mut s = space();
        s.take(16 * P, 4 * P, 3);
        s.protect(17 * P, P, 0);
        assert_eq!(s.protection(16 * P), Some(3));
        assert_eq!(s.protection(17 * P), Some(0));
        assert_eq!(s.protection(18 * P), Some(3));
        assert_eq!(s.used.len(), 3);
        s.protect(17 * P, P, 3);
        assert_eq!(s.used.len(), 1);
        assert_eq!(s.protection(20 * P), None);
    }

    #[test]
    fn shared_pages_stay_so_and_are_told() {
        let mut s = space();
        s.take(16 * P, 4 * P, 3 | SHARED);
        s.take(20 * P, 4 * P, 3);
        s.protect(17 * P, 6 * P, 1);
        assert_eq!(s.protection(17 * P), Some(1 | SHARED));
        assert_eq!(s.protection(21 * P), Some(1));
        assert!(s.is_shared(16 * P, 4 * P) && !s.is_shared(16 * P, 5 * P));
        assert!(s.has_shared(19 * P, 2 * P) && !s.has_shared(20 * P, 2 * P));
        s.protect(16 * P, 8 * P, 0);
        assert_eq!(s.committed(), 0);
    }

    /// Against one byte per page, with a fixed pseudo-random program.
    #[test]
    fn agrees_with_a_page_array() {
        let mut s = space();
        let mut pages = [None::<u32>; 48];
        let mut seed = 12345u64;
        let mut random = |n: usize| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let start = 16 + random(31);
            let len = 1 + random(48 - start);
            let protection = random(3) as u32;
            let range = &mut pages[start..start + len];
            let (at, bytes) = (start * P, len * P);
            assert_eq!(s.is_free(at, bytes), range.iter().all(Option::is_none));
            assert_eq!(s.is_used(at, bytes), range.iter().all(Option::is_some));
            match random(3) {
                0 if s.is_free(at, bytes) => {
                    s.take(at, bytes, protection);
                    range.fill(Some(protection));
                }
                1 if s.is_used(at, bytes) => {
                    s.protect(at, bytes, protection);
                    range.fill(Some(protection));
                }
                _ => {
                    let mut n = 0;
                    s.release(at, bytes, |_, len| n += len / P);
                    assert_eq!(n, range.iter().flatten().count());
                    range.fill(None);
                }
            }
            for (page, &expected) in pages.iter().enumerate().skip(16) {
                assert_eq!(s.protection(page * P), expected);
            }
        }
    }
}
