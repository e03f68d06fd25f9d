// SPDX-License-Identifier: BSD-2-Clause
//! The shim's own heap, apart from the program's: the platform's first piece, then more from the top of mmap's range.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use talc::DefaultBinning;
use talc::base::{Talc, binning::Binning};
use talc::source::Source;
use vfs_hooks::process::{LARGE_PAGE, PAGE};

use crate::abi::{PROT_READ, PROT_WRITE};
use crate::memory::GROWTH;
use crate::platform;
use crate::shared::Shared;

/// Maps more.
#[derive(Debug)]
struct Grow {
    next: usize,
}

// SAFETY: `acquire` uses no allocator; it claims memory that nobody else has been given.
unsafe impl Source for Grow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let start = talc.source.next;
        let wanted = layout
            .size()
            .saturating_add(layout.align())
            .saturating_add(PAGE);
        let len = wanted.checked_next_multiple_of(LARGE_PAGE).ok_or(())?;
        if len > GROWTH.end - start {
            return Err(());
        }
        platform::memory::map(start, len, PROT_READ | PROT_WRITE).map_err(|_| ())?;
        talc.source.next += len;
        // SAFETY: the range has just been mapped for this and is never unmapped.
        unsafe { talc.claim(start as *mut u8, len) }
            .map(|_| ())
            .ok_or(())
    }
}

struct Allocator(Shared<Talc<Grow, DefaultBinning>>);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Shared::new(Talc::new(Grow { next: GROWTH.start })));

// SAFETY: hands over to talc, whose contract is GlobalAlloc's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a layout of non-zero size.
        unsafe { self.0.lock().allocate(layout) }.map_or(null_mut(), |at| at.as_ptr())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that `at` came from `alloc` with this layout.
        unsafe { self.0.lock().deallocate(at, layout) }
    }
}

/// Gives the heap its first piece.
pub fn start() {
    let (start, len) = platform::memory::heap_start();
    // SAFETY: these bytes are mapped for this use, for the life of the process, and this runs once.
    let claimed = unsafe { ALLOCATOR.0.lock().claim(start as *mut u8, len) };
    assert!(claimed.is_some(), "the platform gave no heap");
}
