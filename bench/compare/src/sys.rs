// SPDX-License-Identifier: BSD-2-Clause
//! The system calls that are compared, plain or counted.
//!
//! Figures come from [`Plain`] runs, which have nothing but the call. [`Counted`] runs of the same code say how many
//! kernel entries and address-space switches an event costs: after each call a thread counts it, and looks whether
//! the last to do so was another process.

use core::sync::atomic::Ordering;

use sel4_bindings::{CPtr, Message, MessageInfo, Word};

use crate::layout::{COUNTS, Counts, SELF};

/// What is done after a system call.
pub trait Sys: 'static {
    /// Run counts.
    const COUNTED: bool;
    /// A system call returned.
    fn returned();
}

/// Nothing.
pub struct Plain;

impl Sys for Plain {
    const COUNTED: bool = false;
    #[inline(always)]
    fn returned() {}
}

/// It is counted.
pub struct Counted;

impl Sys for Counted {
    const COUNTED: bool = true;
    #[inline(always)]
    fn returned() {
        // SAFETY: in counted runs every process has the page of counts and, as the first thing, its number in its
        // first stack page; both stay mapped.
        let (counts, own) = unsafe { (&*(COUNTS as *const Counts), (SELF as *const u64).read()) };
        counts.note(own);
    }
}

impl Counts {
    /// A system call returned in the address space with this number.
    #[inline(always)]
    pub fn note(&self, space: u64) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        if self.current.swap(space, Ordering::Relaxed) != space {
            self.switches.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `seL4_Signal`.
#[inline(always)]
pub fn signal<S: Sys>(notification: CPtr) {
    sel4_bindings::signal(notification);
    S::returned();
}

/// `seL4_Wait`, `seL4_Recv`.
#[inline(always)]
pub fn wait<S: Sys>(source: CPtr) -> Message {
    let message = sel4_bindings::wait(source);
    S::returned();
    message
}

/// `seL4_Poll`.
#[inline(always)]
pub fn poll<S: Sys>(source: CPtr) -> Message {
    let message = sel4_bindings::poll(source);
    S::returned();
    message
}

const ONE_WORD: MessageInfo = MessageInfo::new(0, 0, 1);

/// `seL4_Send` of one word.
#[inline(always)]
pub fn send<S: Sys>(endpoint: CPtr, word: Word) {
    sel4_bindings::send(endpoint, ONE_WORD, [word, 0, 0, 0]);
    S::returned();
}

/// `seL4_Call` with one word.
#[inline(always)]
pub fn call<S: Sys>(endpoint: CPtr, word: Word) {
    sel4_bindings::call(endpoint, ONE_WORD, [word, 0, 0, 0]);
    S::returned();
}

/// `seL4_ReplyRecv` with an empty reply.
#[inline(always)]
pub fn reply_recv<S: Sys>(endpoint: CPtr) -> Message {
    let message = sel4_bindings::reply_recv(endpoint, MessageInfo::new(0, 0, 0), [0; 4]);
    S::returned();
    message
}
