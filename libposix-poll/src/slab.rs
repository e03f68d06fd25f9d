// SPDX-License-Identifier: BSD-2-Clause
//! Values at numbers that do not move. A number is used again, under another generation: an old key finds nothing (trap 6).
//!
//! A free place holds a value that nobody is led to, so a look costs one comparison: whether the number is in range.

use alloc::vec::Vec;

/// No number.
pub const NONE: u32 = u32::MAX;

/// What a slab holds.
pub trait Slot {
    /// What fills a free place.
    fn vacant() -> Self;
    /// Where the slab keeps the place's generation: even while it is free.
    fn generation(&mut self) -> &mut u32;
    /// That generation.
    fn current(&self) -> u32;
}

/// See the module. Its keys are 64 bits: generation above, number below.
#[derive(Debug)]
pub struct Slab<T> {
    values: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Slab {
            values: Vec::new(),
            free: Vec::new(),
        }
    }

    /// All places: for loops, in which the compiler then knows where they lie.
    #[inline]
    pub fn places(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T: Slot> Slab<T> {
    /// Puts a value in; returns its number.
    #[inline]
    pub fn insert(&mut self, mut value: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                let place = &mut self.values[at as usize];
                *value.generation() = place.current().wrapping_add(1);
                *place = value;
                at
            }
            None => {
                *value.generation() = 1;
                self.values.push(value);
                self.values.len() as u32 - 1
            }
        }
    }

    /// Takes the value out; its key finds nothing from now on.
    #[inline]
    pub fn remove(&mut self, at: u32) -> T {
        let place = &mut self.values[at as usize];
        let mut vacant = T::vacant();
        *vacant.generation() = place.current().wrapping_add(1);
        self.free.push(at);
        core::mem::replace(place, vacant)
    }

    /// The numbers of all values.
    pub fn numbers(&self) -> Vec<u32> {
        (0u32..)
            .zip(&self.values)
            .filter(|(_, value)| value.current() % 2 == 1)
            .map(|(at, _)| at)
            .collect()
    }

    /// The key of a value that is there.
    #[inline]
    pub fn key(&self, at: u32) -> u64 {
        u64::from(self.values[at as usize].current()) << 32 | u64::from(at)
    }

    /// The number of a key whose value is still there. Any word may be asked about: no key has an even generation.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        let generation = (key >> 32) as u32;
        let value = self.values.get(key as u32 as usize)?;
        (value.current() == generation && generation % 2 == 1).then_some(key as u32)
    }

    /// The value of a key that [`Slab::key`] gave while a value was there, to change.
    #[inline]
    pub fn find_mut(&mut self, key: u64) -> Option<&mut T> {
        let value = self.values.get_mut(key as u32 as usize)?;
        (value.current() == (key >> 32) as u32).then_some(value)
    }

    /// The value at a number, if there is such a place.
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.values.get(at as usize)
    }

    /// The value at a number, if there is such a place, to change.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.values.get_mut(at as usize)
    }
}

impl<T> core::ops::Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        &self.values[at as usize]
    }
}

impl<T> core::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.values[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letter(char, u32);

    impl Slot for Letter {
        fn vacant() -> Self {
            Letter('-', 0)
        }
        fn generation(&mut self) -> &mut u32 {
            &mut self.1
        }
        fn current(&self) -> u32 {
            self.1
        }
    }

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::default();
        let at = slab.insert(Letter('a', 0));
        let old = slab.key(at);
        assert_eq!(slab.find(old), Some(at));
        assert_eq!(slab.remove(at).0, 'a');
        assert_eq!(slab.find(old), None);
        // Not even the key of the free place.
        assert_eq!(slab.find(slab.key(at)), None);
        assert_eq!(slab.insert(Letter('b', 0)), at);
        assert_eq!(slab.find(old), None);
        let new = slab.key(at);
        assert_eq!(slab.numbers(), [at]);
        assert_eq!(slab.find_mut(new).map(|l| l.0), Some('b'));
        assert_eq!(slab.find(u64::MAX), None);
    }
}
