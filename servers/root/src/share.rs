// SPDX-License-Identifier: BSD-2-Clause
//! Who gets the last of something when processes want more than there is.
//!
//! Anybody may have what is plentiful. The last sixteenth goes only to those that have less than an equal share of the whole: so whoever takes all it can
//! get is refused before the others are, and these go on.

/// The part that is kept for those who have little.
const KEPT: u64 = 16;

/// Whether one of `owners`, which has `held` of `total`, may have `wanted` of the `free` that are left.
pub fn may_have(wanted: u64, held: u64, free: u64, total: u64, owners: usize) -> bool {
    let plentiful = free.saturating_sub(wanted) >= total / KEPT;
    let share = total / owners.max(1) as u64;
    wanted <= free && (plentiful || held.saturating_add(wanted) <= share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_may_have_everything() {
        assert!(may_have(1, 999, 1, 1000, 1));
        assert!(!may_have(2, 999, 1, 1000, 1));
    }

    #[test]
    fn who_takes_all_it_can_get_leaves_a_part_to_the_others() {
        let (mut eater, mut other, total) = (0, 0, 1600);
        while may_have(1, eater, total - eater, total, 3) {
            eater += 1;
        }
        assert_eq!(eater, total - total / KEPT);
        while may_have(1, other, total - eater - other, total, 3) {
            other += 1;
        }
        assert_eq!(other, total / KEPT);
        assert!(!may_have(1, eater, 0, total, 3));
    }

    #[test]
    fn sums_do_not_overflow() {
        assert!(!may_have(u64::MAX, u64::MAX, 5, 10, 2));
        assert!(may_have(0, u64::MAX, 5, 10, 0));
    }
}
