// SPDX-License-Identifier: BSD-2-Clause
//! The global allocator: empty until [`init`] gives it memory.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

struct Heap {
    /// Guards `talc`. Nobody waits for it: a second thread in here is a bug of the program and ends it.
    busy: AtomicBool,
    talc: UnsafeCell<Talc<Manual, DefaultBinning>>,
    /// Bytes that are allocated, and that there are.
    used: AtomicUsize,
    capacity: AtomicUsize,
}

// SAFETY: `with` lets one thread at a time at the contents.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    busy: AtomicBool::new(false),
    talc: UnsafeCell::new(Talc::new(Manual)),
    used: AtomicUsize::new(0),
    capacity: AtomicUsize::new(0),
};

impl Heap {
    fn with<R>(&self, f: impl FnOnce(&mut Talc<Manual, DefaultBinning>) -> R) -> R {
        if self.busy.swap(true, Ordering::Acquire) {
            panic!("two threads allocate at once; servers have one thread");
        }
        // SAFETY: `busy` was free and is ours until the end, so this is the only reference.
        let result = f(unsafe { &mut *self.talc.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}

// SAFETY: hands over to talc, whose contract is GlobalAlloc's, for layouts of at least one byte.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a layout of non-zero size.
        let at =
            self.with(|talc| unsafe { talc.allocate(layout) }.map_or(null_mut(), |p| p.as_ptr()));
        if !at.is_null() {
            // One thread: no other comes between the load and the store.
            let used = self.used.load(Ordering::Relaxed) + layout.size();
            self.used.store(used, Ordering::Relaxed);
        }
        at
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that `ptr` came from `alloc` with this layout.
        self.with(|talc| unsafe { talc.deallocate(ptr, layout) });
        let used = self.used.load(Ordering::Relaxed) - layout.size();
        self.used.store(used, Ordering::Relaxed);
    }
}

/// Bytes that are allocated.
pub fn used() -> usize {
    HEAP.used.load(Ordering::Relaxed)
}

/// Bytes that there are.
pub fn capacity() -> usize {
    HEAP.capacity.load(Ordering::Relaxed)
}

/// Whether `bytes` more can be allocated, in whatever pieces, and an eighth of the heap is left: for what serving a request takes, for tables that grow, and for gaps.
/// A server whose heap is used up panics, so it refuses beforehand what others make it remember.
pub fn has_room(bytes: usize) -> bool {
    let capacity = HEAP.capacity.load(Ordering::Relaxed);
    let wanted = used().saturating_add(bytes);
    wanted.saturating_add(capacity / 8) <= capacity
}

/// Adds `len` bytes at `start` to the heap. `false`: too small to be of use.
///
/// # Safety
/// The memory must be mapped read-write and belong to nobody else, for ever.
#[must_use]
pub unsafe fn init(start: usize, len: usize) -> bool {
    // SAFETY: by contract the memory is free for talc to use.
    let claimed = HEAP.with(|talc| unsafe { talc.claim(start as *mut u8, len) });
    if claimed.is_some() {
        HEAP.capacity.fetch_add(len, Ordering::Relaxed);
    }
    claimed.is_some()
}
