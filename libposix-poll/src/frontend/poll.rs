// SPDX-License-Identifier: BSD-2-Clause
//! poll(2) and select(2): look at all fds; only to block, watch them, in a set that the thread keeps.
//!
//! ```text
//! n = scan(fds)                                     loads only
//! if n > 0 or the timeout is 0                      return n
//! loop {
//!     core.poll_begin(set); core.poll_arm(set, …) for each fd; core.poll_armed(set)
//!     n = scan(fds); if n > 0 or the deadline passed    return n
//!     core.block(set, me), and so on as for epoll
//! }
//! ```
//!
//! What is in the set already stays: calling again with the same fds attaches nothing (trap 16).

use crate::backend::Kernel;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::instance::InstanceId;
use crate::slab::NONE;
use crate::watch::{Interest, Mode, Purpose};
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::SourceId;

/// What poll may ask for; the rest of `events` is ignored, as on Linux.
const ASKABLE: Events = Events::IN
    .union(Events::PRI)
    .union(Events::OUT)
    .union(Events::RDNORM)
    .union(Events::RDBAND)
    .union(Events::WRNORM)
    .union(Events::WRBAND)
    .union(Events::RDHUP);

/// What can be asked of a file that is always ready (trap 14).
const ALWAYS_READY: Events = Events::READABLE.union(Events::WRITABLE);

/// The same, out of the way of what is watched.
#[cold]
#[inline(never)]
fn always_ready() -> Events {
    ALWAYS_READY
}

/// Watches that may be kept unused beside those in use.
const SPARE: usize = 64;

/// A kept watch is named by no number: a file polled under two needs one.
const ANY: i32 = -1;

impl<K: Kernel> Core<K> {
    /// `revents` of an open file for these `events`, by its source's number ([`SourceId::number`]), which stands for it while it is open. That of
    /// [`SourceId::NONE`]: a file that cannot be watched, which is always ready.
    #[inline]
    pub fn revents(&mut self, source: u32, events: u16) -> Events {
        let asked = u32::from(events) & ASKABLE.bits();
        let Some(entry) = self.sources.get_mut(source) else {
            return Events::from_bits_retain(asked) & ALWAYS_READY;
        };
        entry.found &= entry.level;
        let mut level = entry.level;
        if !entry.plain {
            level = self.level_further(source);
        }
        level & Events::from_bits_retain(asked | Events::ALWAYS.bits())
    }

    /// All that holds of an open file, by its source's number: for select.
    #[inline]
    pub fn holds(&mut self, source: u32) -> Events {
        let Some(entry) = self.sources.get_mut(source) else {
            return always_ready();
        };
        entry.found &= entry.level;
        if entry.plain {
            return entry.level;
        }
        self.level_further(source)
    }

    /// A new set.
    pub fn poll_set(&mut self) -> InstanceId {
        let instance = self.new_instance();
        self.instance_id(instance)
    }

    /// Begins arming: what is armed from now on belongs to this round.
    pub fn poll_begin(&mut self, set: InstanceId) {
        if let Some(instance) = self.find_instance(set) {
            self.instances[instance].call += 1;
            // What was signalled before is seen by the look to come.
            self.collect(instance, instance);
            self.clear_ready(instance);
        }
    }

    /// Makes sure that the source will wake the thread for `events`. Look at it afterwards. ENOSPC: it has no room.
    pub fn poll_arm(
        &mut self,
        set: InstanceId,
        source: SourceId,
        events: Events,
    ) -> Result<(), Errno> {
        let (Some(instance), Some(source)) = (self.find_instance(set), self.sources.find(source.0))
        else {
            return Ok(());
        };
        let events = events | Events::ALWAYS;
        let call = self.instances[instance].call;
        if let Some(at) = self.find_watch(source, instance, ANY) {
            let watch = &mut self.watches[at];
            // The same file twice in one call: the union. `data` is the call that last used it.
            watch.interest = if watch.data == call {
                watch.interest | events
            } else {
                events
            };
            watch.data = call;
            self.sources[source].asked |= watch.interest;
            if watch.has_place() {
                self.arm(at);
            }
            return Ok(());
        }
        let interest = Interest {
            events,
            mode: Mode::empty(),
            data: call,
        };
        self.add(instance, source, ANY, interest, Purpose::Wake)?;
        Ok(())
    }

    /// Ends arming: what was not used in this round goes, if there is much of it.
    pub fn poll_armed(&mut self, set: InstanceId, used: usize) {
        let Some(instance) = self.find_instance(set) else {
            return;
        };
        let owner = &self.instances[instance];
        if owner.count as usize > used + SPARE {
            let call = owner.call;
            let unused: Vec<u32> = self
                .watches_of(instance)
                .filter(|&at| self.watches[at].data != call)
                .collect();
            unused.into_iter().for_each(|at| self.delete_watch(at));
        }
        // What holds already is found by looking; from now on the list means "something happened".
        if self.instances[instance].ready.head != NONE {
            self.clear_ready(instance);
        }
    }
}
