// SPDX-License-Identifier: BSD-2-Clause
//! What is known of slots, by their numbers: found by two loads, since slots that are used at the same time lie close to each other.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Slots of a leaf.
const LEAF: usize = 256;

#[derive(Debug)]
struct Leaf<T> {
    entries: [Option<T>; LEAF],
    used: usize,
}

/// One thing for each of some slots.
#[derive(Debug)]
pub struct SlotMap<T> {
    leaves: Vec<Option<Box<Leaf<T>>>>,
    len: usize,
}

impl<T> Default for SlotMap<T> {
    fn default() -> Self {
        SlotMap {
            leaves: Vec::new(),
            len: 0,
        }
    }
}

impl<T> SlotMap<T> {
    /// How many slots.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is known of one.
    pub fn get(&self, slot: u32) -> Option<&T> {
        let leaf = self.leaves.get(slot as usize / LEAF)?.as_ref()?;
        leaf.entries[slot as usize % LEAF].as_ref()
    }

    /// Sets what is known of one.
    pub fn insert(&mut self, slot: u32, value: T) {
        let (leaf, at) = (slot as usize / LEAF, slot as usize % LEAF);
        if self.leaves.len() <= leaf {
            self.leaves.resize_with(leaf + 1, || None);
        }
        let leaf = self.leaves[leaf].get_or_insert_with(|| {
            Box::new(Leaf {
                entries: [const { None }; LEAF],
                used: 0,
            })
        });
        if leaf.entries[at].replace(value).is_none() {
            leaf.used += 1;
            self.len += 1;
        }
    }

    /// Forgets one; what was known of it.
    pub fn remove(&mut self, slot: u32) -> Option<T> {
        let place = self.leaves.get_mut(slot as usize / LEAF)?;
        let leaf = place.as_mut()?;
        let value = leaf.entries[slot as usize % LEAF].take()?;
        leaf.used -= 1;
        self.len -= 1;
        if leaf.used == 0 {
            *place = None;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_the_map_that_it_stands_for() {
        let (mut map, mut model) = (SlotMap::default(), BTreeMap::new());
        let mut seed = 3u32;
        for step in 0..20_000u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = seed >> 16 & 0x7ff;
            if seed >> 28 < 9 {
                map.insert(slot, step);
                model.insert(slot, step);
            } else {
                assert_eq!(map.remove(slot), model.remove(&slot));
            }
            assert_eq!(map.len(), model.len());
            assert_eq!(map.is_empty(), model.is_empty());
        }
        assert!((0..0x1000).all(|slot| map.get(slot) == model.get(&slot)));
        for slot in 0..0x800 {
            map.remove(slot);
        }
        assert!(map.is_empty() && map.leaves.iter().all(Option::is_none));
        assert_eq!(map.get(5000), None);
        assert_eq!(map.remove(5000), None);
    }
}
