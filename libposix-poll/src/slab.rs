// SPDX-License-Identifier: BSD-2-Clause
//! Values at numbers that do not move. A number is used again, under another generation: an old key finds nothing (trap 6).

use alloc::vec::Vec;

/// No number.
pub const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry<T> {
    /// Counts the values that were here: odd while one is.
    generation: u32,
    value: Option<T>,
}

/// See the module. Its keys are 64 bits: generation above, number below.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Slab {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Puts a value in; returns its number.
    pub fn insert(&mut self, value: T) -> u32 {
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.entries.push(Entry {
                    generation: 0,
                    value: None,
                });
                self.entries.len() as u32 - 1
            }
        };
        let entry = &mut self.entries[at as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.value = Some(value);
        at
    }

    /// Takes the value out; its key finds nothing from now on.
    pub fn remove(&mut self, at: u32) -> Option<T> {
        let entry = self.entries.get_mut(at as usize)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(at);
        Some(value)
    }

    /// The key of a value that is there.
    #[inline]
    pub fn key(&self, at: u32) -> u64 {
        u64::from(self.entries[at as usize].generation) << 32 | u64::from(at)
    }

    /// The number of a key whose value is still there. Any word may be asked about.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        let at = key as u32;
        let entry = self.entries.get(at as usize)?;
        (entry.generation == (key >> 32) as u32 && entry.value.is_some()).then_some(at)
    }

    /// The value at a number.
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.entries.get(at as usize)?.value.as_ref()
    }

    /// The value at a number, to change.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.entries.get_mut(at as usize)?.value.as_mut()
    }
}

impl<T> Slab<T> {
    /// All values, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries
            .iter_mut()
            .filter_map(|entry| entry.value.as_mut())
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> core::ops::Index<u32> for Slab<T> {
    type Output = T;

    /// Panics if there is none: for numbers that other entries hold.
    #[inline]
    fn index(&self, at: u32) -> &T {
        match &self.entries[at as usize].value {
            Some(value) => value,
            None => vacant(),
        }
    }
}

impl<T> core::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        match &mut self.entries[at as usize].value {
            Some(value) => value,
            None => vacant(),
        }
    }
}

#[cold]
#[inline(never)]
fn vacant() -> ! {
    panic!("a link to nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::new();
        let at = slab.insert('a');
        let old = slab.key(at);
        assert_eq!(slab.find(old), Some(at));
        assert_eq!(slab.remove(at), Some('a'));
        assert_eq!((slab.find(old), slab.remove(at)), (None, None));
        assert_eq!(slab.insert('b'), at);
        assert_eq!(slab.find(old), None);
        assert_eq!(slab.find(slab.key(at)), Some(at));
        assert_eq!(
            (slab[at], slab.get(7), slab.find(u64::MAX)),
            ('b', None, None)
        );
    }
}
