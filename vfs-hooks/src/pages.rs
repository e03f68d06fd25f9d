// SPDX-License-Identifier: BSD-2-Clause
//! How Linux counts what is in a pipe (pipe(7), Pipe capacity): 16 pages, each with what one write put there. A page that is not full is
//! in use all the same, so a pipe can be full with 16 bytes; only a write whose odd part fits whole is added to the last page. Nothing is added to a
//! packet (pipe(2), O_DIRECT), which is a page of its own.
#![forbid(unsafe_code)]

/// Pages of a pipe.
pub const PAGES: usize = 16;
/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The pages in use, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pages {
    /// Bytes to read in each, from `first` on, around the end.
    left: [u16; PAGES],
    first: u8,
    used: u8,
    /// Where the last page's bytes end in it: those that were read before them stay in place. At its end, if it is a packet.
    end: u16,
    /// A bit for each that is a packet.
    packets: u16,
}

impl Pages {
    /// Whether no page is free.
    #[inline]
    pub fn is_full(&self) -> bool {
        usize::from(self.used) == PAGES
    }

    /// Bytes that certainly fit: those of the free pages.
    pub fn room(&self) -> usize {
        (PAGES - usize::from(self.used)) * PAGE
    }

    #[inline]
    fn slot(&mut self, i: u8) -> &mut u16 {
        &mut self.left[usize::from(self.first + i) % PAGES]
    }

    /// Whether any is a packet.
    #[inline]
    pub fn has_packets(&self) -> bool {
        self.packets != 0
    }

    /// Bytes of the first page, and whether it is a packet.
    pub fn next(&self) -> Option<(usize, bool)> {
        let first = usize::from(self.first);
        let packet = self.packets & 1 << first != 0;
        (self.used > 0).then(|| (self.left[first].into(), packet))
    }

    /// How many bytes of a write of `len` there is room for. Up to [`PAGE`] bytes it is all or none.
    #[inline]
    pub fn fits(&self, len: usize) -> usize {
        if len <= PAGE && !self.is_full() {
            return len;
        }
        let joins = self.joins(len);
        let free = PAGES - usize::from(self.used);
        joins + (len - joins).min(free * PAGE)
    }

    /// How many bytes of a write of `len` are added to the last page.
    #[inline]
    fn joins(&self, len: usize) -> usize {
        let odd = len % PAGE;
        match self.used > 0 && usize::from(self.end) + odd <= PAGE {
            true => odd,
            false => 0,
        }
    }

    /// Takes in a write; how many of its bytes there was room for, as [`Pages::fits`] says.
    #[inline]
    pub fn add(&mut self, len: usize) -> usize {
        self.put(len, false)
    }

    /// As [`Pages::add`], in packets.
    pub fn add_packets(&mut self, len: usize) -> usize {
        self.put(len, true)
    }

    #[inline]
    fn put(&mut self, len: usize, packets: bool) -> usize {
        let mut done = self.joins(len);
        if done > 0 {
            *self.slot(self.used - 1) += done as u16;
            self.end += done as u16;
        }
        while done < len && !self.is_full() {
            let n = (len - done).min(PAGE);
            *self.slot(self.used) = n as u16;
            self.end = n as u16;
            if packets {
                self.packets |= 1 << (usize::from(self.first + self.used) % PAGES);
                self.end = PAGE as u16;
            }
            self.used += 1;
            done += n;
        }
        done
    }

    /// Gives back the pages of the next `len` bytes, which have been read.
    #[inline]
    pub fn take(&mut self, mut len: usize) {
        while len > 0 && self.used > 0 {
            let left = self.slot(0);
            let n = len.min(usize::from(*left));
            *left -= n as u16;
            len -= n;
            if *left == 0 {
                self.packets &= !(1 << self.first);
                self.first = (self.first + 1) % PAGES as u8;
                self.used -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_fit_into_the_last_page_takes_another() {
        let mut pages = Pages::default();
        for _ in 0..PAGES {
            assert_eq!(pages.add(2049), 2049);
        }
        assert!(pages.is_full());
        assert_eq!((pages.add(2047), pages.add(1)), (2047, 0));
    }

    #[test]
    fn the_odd_part_of_a_long_write_goes_first() {
        let mut pages = Pages::default();
        pages.add(1);
        assert_eq!(pages.add(PAGE + 5), PAGE + 5);
        assert_eq!(pages.used, 2);
        assert_eq!(pages.add(PAGES * PAGE), (PAGES - 2) * PAGE);
    }

    #[test]
    fn what_fits_is_taken_in_and_leaves_the_same_pages() {
        for first in [
            0,
            1,
            100,
            PAGE - 1,
            PAGE,
            5 * PAGE + 7,
            15 * PAGE,
            16 * PAGE,
        ] {
            for packets in [false, true] {
                for len in (0..18 * PAGE).step_by(509).chain([PAGE, 16 * PAGE]) {
                    let mut pages = Pages::default();
                    pages.put(first, packets);
                    let mut short = pages;
                    let fits = pages.fits(len);
                    assert_eq!(pages.put(len, packets), fits, "{first} {packets} {len}");
                    assert_eq!(short.put(fits, packets), fits);
                    let state = |p: &Pages| (p.left, p.first, p.used, p.end, p.packets);
                    assert_eq!(state(&short), state(&pages));
                }
            }
        }
    }

    #[test]
    fn what_was_read_of_a_page_is_not_room() {
        let mut pages = Pages::default();
        pages.add(PAGE - 1);
        pages.take(PAGE - 2);
        assert_eq!(pages.add(2), 2);
        assert_eq!(pages.used, 2);
        pages.take(1);
        assert_eq!(pages.used, 1);
        pages.take(2);
        assert_eq!(pages.used, 0);
    }
    #[test]
    fn packets_are_pages_of_their_own() {
        let mut pages = Pages::default();
        pages.add(10);
        // As on Linux, the first part of it that fits joins the bytes before.
        assert_eq!(pages.add_packets(5), 5);
        assert_eq!((pages.used, pages.has_packets()), (1, false));
        assert_eq!(pages.add_packets(PAGE), PAGE);
        assert_eq!(pages.add(1), 1);
        assert_eq!(pages.used, 3);
        assert_eq!(pages.next(), Some((15, false)));
        pages.take(15);
        assert_eq!(pages.next(), Some((PAGE, true)));
        pages.take(PAGE);
        assert_eq!(
            (pages.next(), pages.has_packets()),
            (Some((1, false)), false)
        );
    }
}
