// SPDX-License-Identifier: BSD-2-Clause
//! The process's event core, and the watches that each thread keeps for poll, select and blocking calls.

use alloc::boxed::Box;
use alloc::vec::Vec;

use libposix_poll::{Core, InstanceId};
use vfs_hooks::Events;
use vfs_hooks::source::SourceId;

use crate::errno::Errno;
use crate::files::table;
use crate::platform::threads;
use crate::platform::transport::System;
use crate::shared::{Guard, Shared};

static CORE: Shared<Core<System>> = Shared::new(Core::new(System));

/// What a thread keeps.
#[derive(Debug, Default)]
struct Kept {
    /// The set of its blocking calls,
    blocking: Option<InstanceId>,
    /// and what it is armed for: nothing, or one source.
    armed: Option<(SourceId, Events)>,
    polled: Option<Box<Polled>>,
}

/// What a thread polled last, armed: until the fds of these numbers change, a look at the set says what a look at all of them would.
#[derive(Debug, Default)]
pub struct Polled {
    set: Option<InstanceId>,
    /// The fds and events as the call had them, masked by it so that they can be compared.
    pub words: Vec<u64>,
    /// What [`FdTable::changes`](crate::fd_table::FdTable::changes) was; none: it is not armed.
    changes: Option<u64>,
}

impl Polled {
    /// The set.
    pub fn set(&mut self) -> InstanceId {
        *self.set.get_or_insert_with(|| core().poll_set())
    }

    /// Whether the set is armed for `words`.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.changes == Some(table().changes())
    }

    /// Begins arming it for other words.
    pub fn begin(&mut self) -> InstanceId {
        self.changes = None;
        self.words.clear();
        let set = self.set();
        core().poll_begin(set);
        set
    }

    /// It is armed for all of its words. `keeps`: the set can say from now on what holds of which.
    pub fn end(&mut self, keeps: bool) {
        core().poll_armed(self.set());
        self.changes = keeps.then(|| table().changes());
    }

    /// What holds of what it is armed for.
    #[inline]
    pub fn take(&self, report: impl FnMut(Events, u32)) -> usize {
        self.set.map_or(0, |set| core().poll_take(set, report))
    }
}

/// By thread.
static KEPT: Shared<Vec<Kept>> = Shared::new(Vec::new());

/// The event core. Nothing that can come back here, as the end of a file does, may happen while it is borrowed.
#[inline]
pub fn core() -> Guard<'static, Core<System>> {
    CORE.lock()
}

/// Kicks the threads that are to wake: whenever the core lock is about to be released.
#[inline]
pub fn send_wakes() {
    if core().has_wakes() {
        send_all_wakes();
    }
}

#[cold]
#[inline(never)]
fn send_all_wakes() {
    while let Some(thread) = core().next_wake() {
        threads::kick(thread);
    }
}

/// What is kept for the calling thread.
fn mine<R>(work: impl FnOnce(&mut Kept) -> R) -> R {
    let mut kept = KEPT.lock();
    let thread = threads::current();
    if kept.len() <= thread {
        kept.resize_with(thread + 1, Kept::default);
    }
    work(&mut kept[thread])
}

/// [`armed_for`] a source. Mostly it is the one that the thread waited for last.
#[inline]
pub fn armed_for_source(source: SourceId, events: Events) -> Result<InstanceId, Errno> {
    let kept = KEPT.lock();
    if let Some(kept) = kept.get(threads::current())
        && kept.armed == Some((source, events))
        && let Some(set) = kept.blocking
    {
        return Ok(set);
    }
    drop(kept);
    armed_for(Some((source, events)))
}

/// The set of the calling thread's blocking calls, with this one source armed in it, or none. ENOSPC: the source has no room.
#[inline(never)]
pub fn armed_for(wanted: Option<(SourceId, Events)>) -> Result<InstanceId, Errno> {
    mine(|kept| {
        let mut core = core();
        let set = *kept.blocking.get_or_insert_with(|| core.poll_set());
        if kept.armed != wanted {
            kept.armed = None;
            core.poll_begin(set);
            if let Some((source, events)) = wanted {
                core.poll_arm(set, source, events)?;
            }
            core.poll_armed(set);
            kept.armed = wanted;
        }
        Ok(set)
    })
}

/// Whether what the calling thread polled last is armed and may be this: its first word.
#[inline]
pub fn may_be_armed(tag: u64) -> bool {
    let kept = KEPT.lock();
    let polled = kept
        .get(threads::current())
        .and_then(|kept| kept.polled.as_deref());
    polled.is_some_and(|polled| polled.words.first() == Some(&tag) && polled.is_armed())
}

/// Lets `work`, which may block, have what the calling thread polled last.
pub fn with_polled<R>(work: impl FnOnce(&mut Polled) -> R) -> R {
    // Taken out for that long: others may need the table meanwhile.
    let mut polled = mine(|kept| kept.polled.take()).unwrap_or_default();
    let result = work(&mut polled);
    let set = polled.set;
    let other = mine(|kept| kept.polled.replace(polled));
    // A handler that polled meanwhile left one.
    if let Some(other) = other.and_then(|other| other.set)
        && Some(other) != set
    {
        core().delete(other);
    }
    result
}

/// In the child after fork(2): the sets were the threads' of the parent.
pub fn after_fork() {
    core().after_fork();
    KEPT.lock().clear();
}

/// The thread has ended: what it kept goes.
#[cfg_attr(
    any(test, feature = "library"),
    allow(dead_code, reason = "threads of a Rust program are not told of")
)]
pub fn thread_ended(thread: usize) {
    let kept = KEPT.lock().get_mut(thread).map(core::mem::take);
    if let Some(kept) = kept {
        let sets = [kept.blocking, kept.polled.and_then(|polled| polled.set)];
        sets.into_iter()
            .flatten()
            .for_each(|set| core().delete(set));
    }
}
