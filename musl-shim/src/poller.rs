// SPDX-License-Identifier: BSD-2-Clause
//! The process's event core, and the watches that each thread keeps for poll, select and blocking calls.

use alloc::vec::Vec;

use libposix_poll::{Core, InstanceId};

use crate::platform::threads;
use crate::platform::transport::System;
use crate::shared::{Guard, Shared};

static CORE: Shared<Core<System>> = Shared::new(Core::new(System));

/// By thread: the set of what it polls.
static KEPT: Shared<Vec<Option<InstanceId>>> = Shared::new(Vec::new());

/// The event core. Nothing that can come back here, as the end of a file does, may happen while it is borrowed.
#[inline]
pub fn core() -> Guard<'static, Core<System>> {
    CORE.lock()
}

/// Kicks the threads that are to wake: whenever the core lock is about to be released.
#[inline]
pub fn send_wakes() {
    while let Some(thread) = core().next_wake() {
        threads::kick(thread);
    }
}

/// The set of watches that the calling thread keeps.
pub fn kept() -> InstanceId {
    let mut kept = KEPT.lock();
    let thread = threads::current();
    if kept.len() <= thread {
        kept.resize(thread + 1, None);
    }
    *kept[thread].get_or_insert_with(|| core().poll_set())
}

/// The thread has ended: what it kept goes.
#[cfg_attr(
    any(test, feature = "library"),
    allow(dead_code, reason = "threads of a Rust program are not told of")
)]
pub fn thread_ended(thread: usize) {
    let set = KEPT.lock().get_mut(thread).and_then(Option::take);
    if let Some(set) = set {
        core().delete(set);
    }
}
