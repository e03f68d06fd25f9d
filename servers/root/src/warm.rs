// SPDX-License-Identifier: BSD-2-Clause
//! Which pages the next process of a program gets unasked: those that its processes have touched early in their lives.
//!
//! A page that is written for a process without need costs a fifth of the fault that a missing one costs. So now and then, when a process ends, one is taken
//! out, and comes back if a process still touches it. What programs did once, or in another role, is forgotten that way.

use alloc::collections::BTreeSet;

/// Most pages.
const MOST: usize = 128;
/// Most processes that end between two pages that are taken out.
const LONGEST_PAUSE: u32 = 16;

/// Page addresses.
#[derive(Debug, Default)]
pub struct Warm {
    pages: BTreeSet<usize>,
    /// The page that was taken out last.
    doubted: usize,
    /// Processes to end before the next one, and how many it were after the last: more each time that a page came back.
    rest: u32,
    pause: u32,
    /// Picks the next one.
    seed: u32,
}

impl Warm {
    /// A process has touched a page early in its life.
    pub fn touched(&mut self, page: usize) {
        if self.pages.len() < MOST {
            self.pages.insert(page);
        }
    }

    /// Whether it is one of them.
    pub fn contains(&self, page: usize) -> bool {
        self.pages.contains(&page)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.pages.iter().copied()
    }

    /// A process has ended: perhaps takes out one of the pages that are written for each process, of which `own` says so.
    pub fn doubt(&mut self, own: impl Fn(usize) -> bool) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.pause = match self.pages.contains(&self.doubted) {
            true => (2 * self.pause + 1).min(LONGEST_PAUSE),
            false => 0,
        };
        self.rest = self.pause;
        // Numerical Recipes' generator; its upper bits are the better ones.
        self.seed = self
            .seed
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let owned = || self.pages.iter().copied().filter(|page| own(*page));
        let which = (self.seed >> 16) as usize % owned().count().max(1);
        if let Some(page) = owned().nth(which) {
            self.doubted = page;
            self.pages.remove(&page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes that touch the pages 1 to 10 begin and end; returns the faults that they met.
    fn run(warm: &mut Warm, processes: usize) -> usize {
        let mut faults = 0;
        for _ in 0..processes {
            for page in 1..=10 {
                if !warm.contains(page) {
                    faults += 1;
                    warm.touched(page);
                }
            }
            warm.doubt(|page| page < 1000);
        }
        faults
    }

    #[test]
    fn what_nobody_touches_any_longer_is_forgotten() {
        let mut warm = Warm::default();
        (1..=50).for_each(|page| warm.touched(page));
        run(&mut warm, 200);
        assert!(warm.iter().all(|page| page <= 10), "{warm:?}");
    }

    #[test]
    fn what_is_touched_costs_few_faults() {
        let mut warm = Warm::default();
        assert_eq!(run(&mut warm, 1), 10);
        assert!(run(&mut warm, 1600) <= 110);
    }

    #[test]
    fn shared_pages_stay_and_there_is_a_limit() {
        let mut warm = Warm::default();
        (1000..2000).for_each(|page| warm.touched(page));
        assert_eq!(warm.iter().count(), MOST);
        (0..1000).for_each(|_| warm.doubt(|page| page < 1000));
        assert_eq!(warm.iter().count(), MOST);
    }
}
