// SPDX-License-Identifier: BSD-2-Clause
//! Regular files as processes share them: a header that every holder finds at [`address`], and pages that the root server maps where the
//! holder wants them (`wire::root::FILE_MAP`).
//!
//! The VFS server makes a file and says who becomes a holder, by OPEN; a holder reads and writes without asking anybody, but for pages that it
//! has not mapped yet. Holders go on by FORK, SPAWN and EXEC, and end with the process or by FILE_DROP.
//!
//! A file is one trust group: whoever has it open could write it anyway, so what is read from the header is the other holders' claim.

use crate::channel::Locked;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Most files that have contents or are open.
pub const MOST: usize = 16_384;
/// Address of file 0's header.
pub const FILES: usize = 0x38_0000_0000;
/// Most pages of a file: 1 GiB.
pub const MOST_PAGES: usize = 1 << 18;
/// Most bytes of a file.
pub const MOST_BYTES: u64 = (MOST_PAGES * crate::process::PAGE) as u64;
/// Set in a word of SPAWN's channels that is a file's number.
pub const PASSED: u32 = 1 << 31;

/// Where the header of file `number` lies in every holder.
pub const fn address(number: usize) -> usize {
    FILES + number * crate::process::PAGE
}

/// The header. Times are CLOCK_REALTIME in nanoseconds.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Header {
    /// Process that is at work on it; 0: none.
    lock: AtomicU32,
    /// Processes that hold it. Written by the root server.
    pub holders: AtomicU32,
    /// Bytes. What lies between them and the end of their last page is zero.
    pub size: AtomicU64,
    /// Last change of the contents.
    pub modified: AtomicU64,
    /// Last change of contents or attributes.
    pub changed: AtomicU64,
    /// Last access that was recorded.
    pub accessed: AtomicU64,
    /// st_mode. Written by the VFS server.
    pub mode: AtomicU32,
    /// Names. Written by the VFS server.
    pub links: AtomicU32,
    /// Pages that there are. Written by the root server.
    pub pages: AtomicU32,
    /// What somebody wants to be told of (IN_*). Written by the VFS server.
    pub watched: AtomicU32,
    /// Its inode's number, if anything is watched. Written by the VFS server.
    pub inode: AtomicU64,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Header>() <= crate::process::PAGE);

impl Header {
    /// Takes the lock for process `own`, which orders appends and changes of the length. `None`: another process is at work; give way and try
    /// again. If it ends meanwhile, the root server frees the lock.
    pub fn try_lock(&self, own: u32) -> Option<Locked<'_>> {
        Locked::take(&self.lock, own)
    }

    /// Root server: process `ended` is no more.
    pub fn recover(&self, ended: u32) {
        Locked::recover(&self.lock, ended);
    }

    /// Root server: as [`crate::channel::Header::recover_from_strangers`].
    pub fn recover_from_strangers(&self, holds: impl Fn(u32) -> bool) {
        Locked::recover_from_strangers(&self.lock, holds);
    }

    /// Bytes, as far as a file can have so many.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire).min(MOST_BYTES)
    }

    /// The contents reach to `end` now at least, and changed at `now`.
    pub fn wrote(&self, end: u64, now: u64) {
        self.size.fetch_max(end, Ordering::AcqRel);
        self.touch(now);
    }

    /// The contents changed at `now`.
    pub fn touch(&self, now: u64) {
        self.modified.store(now, Ordering::Release);
        self.changed.store(now, Ordering::Release);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_at_work_at_a_time() {
        let header = Header::default();
        let locked = header.try_lock(3).expect("free");
        assert!(header.try_lock(4).is_none());
        drop(locked);
        assert!(header.try_lock(4).is_some());
    }

    #[test]
    fn the_end_of_a_process_frees_only_its_own_lock() {
        let header = Header::default();
        core::mem::forget(header.try_lock(3).expect("free"));
        header.recover(4);
        assert!(header.try_lock(4).is_none());
        header.recover(3);
        assert!(header.try_lock(4).is_some());
    }

    #[test]
    fn a_lock_of_somebody_who_does_not_hold_the_file_is_freed() {
        let header = Header::default();
        core::mem::forget(header.try_lock(3).expect("free"));
        header.recover_from_strangers(|owner| owner == 3);
        assert!(header.try_lock(4).is_none());
        header.recover_from_strangers(|owner| owner == 4);
        assert!(header.try_lock(4).is_some());
    }

    #[test]
    fn writing_lengthens_and_never_shortens() {
        let header = Header::default();
        header.wrote(10, 100);
        header.wrote(4, 200);
        assert_eq!(header.size(), 10);
        assert_eq!(header.modified.load(Ordering::Relaxed), 200);
        assert_eq!(header.changed.load(Ordering::Relaxed), 200);
    }

    #[test]
    fn a_size_that_no_file_has_is_cut() {
        let header = Header::default();
        header.size.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(header.size(), MOST_BYTES);
    }

    #[test]
    fn headers_lie_in_pages_of_their_own() {
        assert_eq!(address(0), FILES);
        assert_eq!(address(7) - address(6), crate::process::PAGE);
    }
}
