// SPDX-License-Identifier: BSD-2-Clause
//! A file in memory as this process sees it: the shared header, and a *view*, a range of addresses in which pages are mapped when they are first
//! needed. All open files of this process for one file have one view.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Range;

use vfs_hooks::file::{Header, MOST_BYTES, MOST_PAGES};
use vfs_hooks::inotify::mask;
use vfs_hooks::process::{MMAP, NET_CHANNEL, PAGE};
use vfs_hooks::sync::Ordering;

use super::channel::patiently;
use super::inotify;
use crate::abi::{PROT_READ, PROT_WRITE};
use crate::errno::Errno;
use crate::limits;
use crate::platform::clock::realtime;
use crate::platform::{channels, memory, vfs};
use crate::shared::Shared;
use crate::space::Space;

/// Where views lie: between what mmap gives and the net server's channel.
const VIEWS: Range<usize> = MMAP.end..NET_CHANNEL;
/// Pages of the smallest view.
const LEAST: usize = 16;
/// Pages that are mapped ahead at most.
const AHEAD: usize = 32;
const BOTH: u32 = PROT_READ | PROT_WRITE;

static SPACE: Shared<Option<Space>> = Shared::new(None);
/// Files that this process holds.
static HELD: Shared<BTreeMap<u32, Weak<SharedFile>>> = Shared::new(BTreeMap::new());

/// Mapped pages.
#[derive(Debug, Default)]
struct View {
    start: usize,
    /// Pages that there are addresses for.
    capacity: usize,
    /// A bit for each page that is mapped.
    mapped: Vec<u64>,
}

/// A file of which this process is a holder.
#[derive(Debug)]
pub struct SharedFile {
    number: u32,
    view: RefCell<View>,
}

impl View {
    fn has(&self, page: usize) -> bool {
        let word = self.mapped.get(page / 64);
        word.is_some_and(|word| word & 1 << (page % 64) != 0)
    }

    fn set(&mut self, pages: Range<usize>) {
        let words = pages.end.div_ceil(64);
        if self.mapped.len() < words {
            self.mapped.resize(words, 0);
        }
        for page in pages {
            self.mapped[page / 64] |= 1 << (page % 64);
        }
    }

    /// The first run of mapped pages from `page` on.
    fn run(&self, page: usize, end: usize) -> Option<Range<usize>> {
        let first = (page..end).find(|page| self.has(*page))?;
        let last = (first..end).find(|page| !self.has(*page));
        Some(first..last.unwrap_or(end))
    }

    /// Makes room for `pages` pages, at other addresses if there is none here.
    fn grow(&mut self, number: u32, pages: usize) -> Result<(), Errno> {
        if pages <= self.capacity {
            return Ok(());
        }
        let capacity = pages.next_power_of_two().max(LEAST);
        let start = {
            let mut space = SPACE.lock();
            let space = space.get_or_insert_with(|| Space::new(VIEWS));
            let start = space.find(0, capacity * PAGE).ok_or(Errno::ENOMEM)?;
            space.take(start, capacity * PAGE, BOTH);
            start
        };
        let mut page = 0;
        while let Some(run) = self.run(page, self.capacity) {
            page = run.end;
            if let Err(errno) = vfs::map(number, run.clone(), start + run.start * PAGE, BOTH) {
                free(start, capacity);
                return Err(errno);
            }
        }
        free(self.start, self.capacity);
        (self.start, self.capacity) = (start, capacity);
        Ok(())
    }

    /// Unmaps pages from `first` on.
    fn cut(&mut self, first: usize) {
        let mut page = first;
        while let Some(run) = self.run(page, self.capacity) {
            page = run.end;
            // Pages that are mapped can be unmapped.
            let _ = memory::unmap(self.start + run.start * PAGE, run.len() * PAGE);
            for page in run {
                self.mapped[page / 64] &= !(1 << (page % 64));
            }
        }
    }
}

/// Unmaps all that is mapped in a range of views and gives its addresses back.
fn free(start: usize, capacity: usize) {
    if capacity == 0 {
        return;
    }
    let _ = memory::unmap(start, capacity * PAGE);
    if let Some(space) = &mut *SPACE.lock() {
        space.release(start, capacity * PAGE, |_, _| {});
    }
}

/// The file with this number, which the VFS server or the program that started this one has made the process a holder of.
pub fn held(number: u32) -> Rc<SharedFile> {
    if let Some(file) = HELD.lock().get(&number).and_then(Weak::upgrade) {
        return file;
    }
    let file = Rc::new(SharedFile {
        number,
        view: RefCell::default(),
    });
    HELD.lock().insert(number, Rc::downgrade(&file));
    file
}

/// After the process was made a holder of this file: gives it up if no open file has it.
pub fn drop_unheld(number: u32) {
    if !HELD.lock().contains_key(&number) {
        vfs::release(number);
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        let view = self.view.get_mut();
        free(view.start, view.capacity);
        HELD.lock().remove(&self.number);
        vfs::release(self.number);
    }
}

/// The range of pages in which bytes lie.
fn pages(start: u64, len: usize) -> Range<usize> {
    let end = start as usize + len;
    start as usize / PAGE..end.div_ceil(PAGE)
}

impl SharedFile {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its header.
    pub fn header(&self) -> &'static Header {
        vfs::header(self.number)
    }

    /// Sees to it that these pages are mapped. ENOSPC, ENOMEM: they cannot be had; those before may be mapped.
    fn ensure(&self, pages: Range<usize>) -> Result<(), Errno> {
        let mut view = self.view.borrow_mut();
        let Some(first) = pages.clone().find(|page| !view.has(*page)) else {
            return Ok(());
        };
        view.grow(self.number, pages.end)?;
        // A file that is read or grows in small steps is mapped in larger ones.
        let size = (self.header().size() as usize).div_ceil(PAGE);
        let ahead = (size / 8).min(AHEAD);
        let most = (pages.end + ahead).min(view.capacity).min(MOST_PAGES);
        let end = (pages.end..most)
            .find(|page| view.has(*page))
            .unwrap_or(most);
        let (mut first, start) = (first, view.start);
        let mut wanted = end;
        while first < pages.end {
            let last = (first..wanted)
                .find(|page| view.has(*page))
                .unwrap_or(wanted);
            let at = start + first * PAGE;
            match vfs::map(self.number, first..last, at, BOTH) {
                Ok(()) => {
                    view.set(first..last);
                    first = last;
                    while first < pages.end && view.has(first) {
                        first += 1;
                    }
                }
                // Not for all of it: for what is needed, perhaps.
                Err(_) if wanted > pages.end => wanted = pages.end,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Tells those who watch the file what was done to it.
    #[inline]
    fn tell(&self, what: u32) {
        let header = self.header();
        if header.watched.load(Ordering::Acquire) & what != 0 {
            inotify::tell(header.inode.load(Ordering::Relaxed), what);
        }
    }

    /// Copies what lies at `position`; how much.
    pub fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let rest = self.header().size().saturating_sub(position);
        let n = (rest as usize).min(buffer.len());
        if n == 0 {
            return Ok(0);
        }
        self.ensure(pages(position, n))?;
        let from = (self.view.borrow().start + position as usize) as *const u8;
        // SAFETY: the pages are mapped; others may write them meanwhile, so they are copied by address and no reference is made. The program's
        // buffer lies at other addresses than views.
        unsafe { from.copy_to(buffer.as_mut_ptr(), n) };
        self.tell(mask::ACCESS);
        Ok(n)
    }

    /// Puts bytes at `position`; how many. EFBIG, ENOSPC, ENOMEM: none.
    pub fn write(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = MOST_BYTES.saturating_sub(position) as usize;
        let mut n = limits::writable(position, bytes.len())?.min(room);
        if n == 0 {
            return Err(Errno::EFBIG);
        }
        if let Err(errno) = self.ensure(pages(position, n)) {
            // As much as there is room for.
            let all = pages(position, n);
            let got = all.clone().take_while(|page| {
                self.view.borrow().has(*page) || self.ensure(*page..page + 1).is_ok()
            });
            let end = (all.start + got.count()) * PAGE;
            n = n.min(end.saturating_sub(position as usize));
            if n == 0 {
                return Err(errno);
            }
        }
        let to = (self.view.borrow().start + position as usize) as *mut u8;
        // SAFETY: as in `read`.
        unsafe { to.copy_from(bytes.as_ptr(), n) };
        self.header().wrote(position + n as u64, realtime());
        self.tell(mask::MODIFY);
        Ok(n)
    }

    /// Maps pages for the program: those up to the end of the file at least, for what lies beyond is nobody's.
    pub fn map(&self, pages: Range<usize>, start: usize, protection: u32) -> Result<(), Errno> {
        if pages.end > MOST_PAGES {
            return Err(Errno::EOVERFLOW);
        }
        // A page without access is mapped all the same, so that mprotect(2) can give it.
        let result = vfs::map(self.number, pages.clone(), start, protection | PROT_READ);
        result.map_err(|errno| match errno {
            Errno::ENOSPC => Errno::ENOMEM,
            errno => errno,
        })?;
        match protection {
            0 => memory::protect(start, pages.len() * PAGE, 0),
            _ => Ok(()),
        }
    }

    /// Does something that no other process does to this file at the same time.
    pub fn exclusively<R>(&self, work: impl FnOnce() -> R) -> Result<R, Errno> {
        let own = channels::own();
        let lock = patiently(|| self.header().try_lock(own))?;
        let result = work();
        drop(lock);
        Ok(result)
    }

    /// ftruncate(2).
    pub fn truncate(&self, size: u64) -> Result<(), Errno> {
        if size > MOST_BYTES {
            return Err(Errno::EFBIG);
        }
        let result = self.exclusively(|| {
            let header = self.header();
            let old = header.size();
            if size > old {
                limits::may_grow(size)?;
            }
            if size < old {
                // What is left of the last page must be zero when the file grows again.
                self.zero(size, (PAGE - size as usize % PAGE) % PAGE)?;
            }
            header.size.store(size, Ordering::Release);
            if size < old {
                let first = (size as usize).div_ceil(PAGE);
                self.view.borrow_mut().cut(first);
                vfs::trim(self.number, first);
            }
            header.touch(realtime());
            Ok(())
        })?;
        self.tell(mask::MODIFY);
        result
    }

    /// Makes bytes zero.
    fn zero(&self, position: u64, len: usize) -> Result<(), Errno> {
        if len != 0 {
            self.ensure(pages(position, len))?;
            let to = (self.view.borrow().start + position as usize) as *mut u8;
            // SAFETY: as in `read`.
            unsafe { to.write_bytes(0, len) };
        }
        Ok(())
    }

    /// fallocate(2).
    pub fn allocate(&self, mode: u32, start: u64, len: u64) -> Result<(), Errno> {
        const KEEP_SIZE: u32 = 1;
        // FALLOC_FL_PUNCH_HOLE, which must come with FALLOC_FL_KEEP_SIZE.
        const PUNCH: u32 = 2 | KEEP_SIZE;
        let end = start.checked_add(len).filter(|end| *end <= MOST_BYTES);
        let end = end.ok_or(Errno::EFBIG)?;
        self.exclusively(|| {
            let header = self.header();
            match mode {
                0 | KEEP_SIZE => {
                    self.ensure(pages(start, len as usize))
                        .map_err(|_| Errno::ENOSPC)?;
                    if mode == 0 {
                        header.size.fetch_max(end, Ordering::AcqRel);
                    }
                }
                PUNCH => {
                    let end = end.min(header.size());
                    self.zero(start, end.saturating_sub(start) as usize)?;
                }
                _ => return Err(Errno::EOPNOTSUPP),
            }
            header.touch(realtime());
            Ok(())
        })?
    }
}
