// SPDX-License-Identifier: BSD-2-Clause
//! Numbers of threads. The GS base, which neither musl nor compilers use, points to a word that holds the thread's.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering::*};

use vfs_hooks::lock::MAX_THREADS;

use super::super::raw::{self, nr};

static WORDS: [u64; MAX_THREADS] = {
    let mut words = [0; MAX_THREADS];
    let mut i = 0;
    while i < MAX_THREADS {
        words[i] = i as u64;
        i += 1;
    }
    words
};
static USED: [AtomicBool; MAX_THREADS] = [const { AtomicBool::new(false) }; MAX_THREADS];

/// The calling thread's number: below [`MAX_THREADS`], reused after it has ended.
#[inline]
pub fn current() -> usize {
    let number: usize;
    // SAFETY: `start` and `__sys_clone` point each thread's GS base to one of WORDS before any of its calls comes here.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) number, options(nostack, readonly, preserves_flags));
    }
    number
}

/// Numbers the first thread.
pub fn start() {
    const ARCH_SET_GS: usize = 0x1001;
    let number = take().expect("the first");
    // SAFETY: nobody else uses GS in this process.
    let set = unsafe { raw::call(nr::ARCH_PRCTL, [ARCH_SET_GS, word(number)]) };
    assert!(set.is_ok(), "Linux sets GS bases");
}

/// A number for a new thread; `None`: there are as many as there can be.
pub fn take() -> Option<usize> {
    USED.iter().position(|used| !used.swap(true, AcqRel))
}

/// Gives a number back.
pub fn give(number: usize) {
    USED[number].store(false, Release);
}

/// What the GS base of the thread with this number is to be.
pub fn word(number: usize) -> usize {
    &raw const WORDS[number] as usize
}

/// After a fork, in the child: only the calling thread is left.
pub fn only_me() {
    let me = current();
    for (number, used) in USED.iter().enumerate() {
        used.store(number == me, Relaxed);
    }
}
