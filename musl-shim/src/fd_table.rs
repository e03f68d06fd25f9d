// SPDX-License-Identifier: BSD-2-Clause
//! The fd table: numbers to open files. Lowest free number first (open(2)), by a bitmap with a hint.

use alloc::vec::Vec;

/// What a number stands for.
#[derive(Clone, Debug)]
pub struct Slot<F> {
    /// The open file, shared by its duplicates.
    pub file: F,
    /// FD_CLOEXEC.
    pub close_on_exec: bool,
}

/// An open file, as the table knows it.
pub trait Numbered {
    /// Its source's number at the event core.
    fn number(&self) -> u32;
}

/// The table. `F` is a counted reference to an open file.
#[derive(Debug)]
pub struct FdTable<F> {
    slots: Vec<Option<Slot<F>>>,
    /// The source's number of each open file, one more than that; 0: not open. Beside the slots, so that poll(2) reads nothing else.
    numbers: Vec<u32>,
    /// A set bit: in use.
    used: Vec<u64>,
    /// No word before this one has a free bit.
    hint: usize,
    /// How often a number that was in use ceased to be, or came to stand for another file.
    changes: u64,
}

/// No longer than it need be: a table that was large once is copied for each program that is started.
impl<F: Clone> Clone for FdTable<F> {
    fn clone(&self) -> Self {
        let last = self.used.iter().rposition(|&word| word != 0);
        let words = last.map_or(0, |last| last + 1);
        FdTable {
            slots: self.slots[..words * 64].to_vec(),
            numbers: self.numbers[..words * 64].to_vec(),
            used: self.used[..words].to_vec(),
            hint: self.hint.min(words),
            changes: self.changes,
        }
    }
}

impl<F: Clone + Numbered> Default for FdTable<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Clone + Numbered> FdTable<F> {
    /// An empty table.
    pub const fn new() -> Self {
        FdTable {
            slots: Vec::new(),
            numbers: Vec::new(),
            used: Vec::new(),
            hint: 0,
            changes: 0,
        }
    }

    /// The open file of `fd`.
    #[inline]
    pub fn get(&self, fd: usize) -> Option<&F> {
        match self.slots.get(fd) {
            Some(Some(slot)) => Some(&slot.file),
            _ => None,
        }
    }

    /// The source's number of the open file of `fd`.
    #[inline]
    pub fn number(&self, fd: usize) -> Option<u32> {
        match self.numbers.get(fd) {
            None | Some(0) => None,
            Some(number) => Some(number - 1),
        }
    }

    /// Counts on whenever a number in use is freed or comes to stand for another file.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// All of `fd`'s slot.
    pub fn slot_mut(&mut self, fd: usize) -> Option<&mut Slot<F>> {
        self.slots.get_mut(fd)?.as_mut()
    }

    /// The lowest free number from `least` on, below `limit`.
    fn lowest(&self, least: usize, limit: usize) -> Option<usize> {
        let mut word = (least / 64).max(self.hint);
        loop {
            let mut free = !self.used.get(word).copied().unwrap_or(0);
            if word == least / 64 {
                free &= u64::MAX << (least % 64);
            }
            if free != 0 {
                let fd = word * 64 + free.trailing_zeros() as usize;
                return (fd < limit).then_some(fd);
            }
            word += 1;
        }
    }

    /// Gives `file` the lowest free number from `least` on; `None`: none is free below `limit` (EMFILE).
    pub fn insert(
        &mut self,
        file: F,
        close_on_exec: bool,
        least: usize,
        limit: usize,
    ) -> Option<usize> {
        let fd = self.lowest(least, limit)?;
        self.replace(fd, file, close_on_exec);
        Some(fd)
    }

    /// Whether `n` more numbers are free below `limit`.
    pub fn has_room(&self, n: usize, limit: usize) -> bool {
        let mut least = 0;
        (0..n).all(|_| {
            let fd = self.lowest(least, limit);
            least = fd.map_or(least, |fd| fd + 1);
            fd.is_some()
        })
    }

    /// Gives `file` the number `fd`; returns what was there.
    pub fn replace(&mut self, fd: usize, file: F, close_on_exec: bool) -> Option<F> {
        if fd >= self.slots.len() {
            let len = (fd + 1).next_multiple_of(64);
            self.slots.resize_with(len, || None);
            self.numbers.resize(len, 0);
            self.used.resize(len / 64, 0);
        }
        // The number of no source is the largest there is, so it stays that when one is added and taken off again.
        self.numbers[fd] = file.number().saturating_add(1);
        self.used[fd / 64] |= 1 << (fd % 64);
        while self.used.get(self.hint) == Some(&u64::MAX) {
            self.hint += 1;
        }
        let slot = Slot {
            file,
            close_on_exec,
        };
        let old = self.slots[fd].replace(slot)?;
        self.changes += 1;
        Some(old.file)
    }

    /// Frees the number.
    pub fn remove(&mut self, fd: usize) -> Option<F> {
        let slot = self.slots.get_mut(fd)?.take()?;
        self.changes += 1;
        self.numbers[fd] = 0;
        self.used[fd / 64] &= !(1 << (fd % 64));
        self.hint = self.hint.min(fd / 64);
        Some(slot.file)
    }

    /// Numbers in use, in order: by the bitmap, since a table that was large once has many free ones.
    fn in_use(&self) -> impl Iterator<Item = (usize, &Slot<F>)> {
        let words = (0..).step_by(64).zip(&self.used);
        words.flat_map(move |(first, &word)| {
            let rest = core::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
            let bits = rest.take_while(|&word| word != 0);
            bits.filter_map(move |word| {
                let fd = first + word.trailing_zeros() as usize;
                Some((fd, self.slots.get(fd)?.as_ref()?))
            })
        })
    }

    /// Numbers that close when another program is executed.
    pub fn closing(&self) -> impl Iterator<Item = usize> {
        let slots = self.in_use();
        slots.filter_map(|(fd, slot)| slot.close_on_exec.then_some(fd))
    }

    /// Numbers and files in use, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &F)> {
        self.in_use().map(|(fd, slot)| (fd, &slot.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    impl Numbered for Rc<usize> {
        fn number(&self) -> u32 {
            **self as u32
        }
    }

    impl Numbered for () {
        fn number(&self) -> u32 {
            u32::MAX
        }
    }

    impl Numbered for char {
        fn number(&self) -> u32 {
            u32::from(*self)
        }
    }

    #[test]
    fn lowest_free_number_first() {
        let mut table = FdTable::new();
        for fd in 0..200 {
            assert_eq!(table.insert(Rc::new(fd), false, 0, 1000), Some(fd));
        }
        for fd in [150, 7, 64] {
            assert_eq!(*table.remove(fd).unwrap(), fd);
        }
        assert_eq!(table.insert(Rc::new(1), false, 0, 1000), Some(7));
        assert_eq!(table.insert(Rc::new(1), false, 65, 1000), Some(150));
        assert_eq!(table.insert(Rc::new(1), false, 0, 1000), Some(64));
        assert_eq!(table.insert(Rc::new(1), false, 0, 1000), Some(200));
        assert_eq!(table.insert(Rc::new(1), false, 500, 1000), Some(500));
    }

    #[test]
    fn limit_is_kept() {
        let mut table = FdTable::new();
        for _ in 0..3 {
            table.insert((), false, 0, 3).unwrap();
        }
        assert_eq!(table.insert((), false, 0, 3), None);
        assert_eq!(table.insert((), false, 100, 100), None);
        assert!(table.number(1).is_some_and(|number| number >= u32::MAX - 1));
        table.remove(1);
        assert!(table.has_room(1, 3) && !table.has_room(2, 3) && table.has_room(2, 4));
    }

    #[test]
    fn changes_count_what_a_number_in_use_loses() {
        let mut table = FdTable::new();
        for fd in [3, 64, 130] {
            table.replace(fd, 'a', fd == 64);
        }
        let before = table.changes();
        table.insert('b', false, 0, 200);
        assert_eq!(table.changes(), before, "a new number is nobody's loss");
        table.replace(3, 'c', false);
        assert_eq!(table.changes(), before + 1);
        table.remove(130);
        table.remove(131);
        assert_eq!(table.changes(), before + 2);
        let fds: std::vec::Vec<usize> = table.iter().map(|(fd, _)| fd).collect();
        assert_eq!(fds, [0, 3, 64]);
        assert_eq!(table.closing().collect::<std::vec::Vec<_>>(), [64]);
    }

    #[test]
    fn a_copy_is_as_long_as_what_is_in_it() {
        let mut table = FdTable::new();
        for fd in 0..1000 {
            table.insert('a', fd == 70, 0, 2000);
        }
        for fd in (0..1000).filter(|fd| ![3, 70].contains(fd)) {
            table.remove(fd);
        }
        let mut copy = table.clone();
        assert_eq!((copy.slots.len(), copy.numbers.len()), (128, 128));
        let both = [(3, &'a'), (70, &'a')];
        assert_eq!(copy.iter().collect::<std::vec::Vec<_>>(), both);
        assert_eq!(copy.closing().collect::<std::vec::Vec<_>>(), [70]);
        assert_eq!(copy.insert('b', false, 0, 2000), Some(0));
        assert_eq!(copy.insert('b', false, 500, 2000), Some(500));
        for fd in 0..128 {
            copy.replace(fd, 'c', false);
        }
        // All words of the copy are full, as its hint says.
        let mut full = copy.clone();
        full.remove(500);
        let mut full = full.clone();
        assert_eq!(full.insert('d', false, 0, 2000), Some(128));
        assert_eq!(FdTable::<char>::new().clone().slots.len(), 0);
    }

    #[test]
    fn replace_and_missing() {
        let mut table = FdTable::new();
        assert_eq!(table.number(90), None);
        assert!(table.get(0).is_none() && table.remove(5).is_none());
        assert_eq!(table.replace(90, 'a', true), None);
        assert_eq!(table.replace(90, 'b', false), Some('a'));
        assert_eq!(table.number(90), Some('b'.into()));
        assert!(!table.slot_mut(90).unwrap().close_on_exec);
        assert_eq!(table.iter().collect::<std::vec::Vec<_>>(), [(90, &'b')]);
    }
}
