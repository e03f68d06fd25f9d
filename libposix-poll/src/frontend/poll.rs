// SPDX-License-Identifier: BSD-2-Clause
//! poll(2) and select(2): look at all fds first; only to block, watch them, in a set that the thread keeps.
//!
//! ```text
//! the same fds as armed last?  core.poll_take(set, …)   asks about those alone that something happened to
//! else n = scan(fds)                                    loads only
//! if n > 0 or the timeout is 0                          return n
//! loop {
//!     not armed? core.poll_begin(set); core.poll_watch(set, …) for each fd; core.poll_armed(set)
//!     n = core.poll_take(set, …); if n > 0 or the deadline passed    return n
//!     core.block(set, me), and so on as for epoll
//! }
//! ```
//!
//! The set is an instance of level-triggered watches: what is not in its ready list did not hold when it was last looked at, and nothing has
//! happened since. So it stays armed from call to call, and the same fds once more cost what epoll costs (trap 16).

use crate::backend::Kernel;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::instance::InstanceId;
use crate::remote::Member;
use crate::slab::NONE;
use crate::watch::{Interest, Mode, Purpose, Watch};
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
const SPARE: u32 = 64;

/// A kept watch is named by no number: a file polled under two needs one.
const ANY: i32 = -1;

/// The call of poll that last used a watch.
fn round(watch: &Watch) -> u32 {
    (watch.data >> 32) as u32
}

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
            let owner = &mut self.instances[instance];
            owner.call = owner.call.wrapping_add(1);
            owner.used = 0;
            self.drop_news(instance);
        }
    }

    /// The watch of a source for this round, new or from an earlier one; whether it was named in this round already. `None`: the source is gone.
    fn poll_name(
        &mut self,
        set: InstanceId,
        source: SourceId,
        events: Events,
        at: u32,
    ) -> Result<Option<(u32, bool)>, Errno> {
        let (Some(instance), Some(source)) = (self.find_instance(set), self.sources.find(source.0))
        else {
            return Ok(None);
        };
        let events = events & ASKABLE | Events::ALWAYS;
        let call = self.instances[instance].call;
        let data = u64::from(call) << 32 | u64::from(at);
        let Some(found) = self.find_watch(source, instance, ANY) else {
            let interest = Interest {
                events,
                mode: Mode::empty(),
                data,
            };
            self.instances[instance].used += 1;
            let new = self.add(instance, source, ANY, interest, Purpose::Wake)?;
            return Ok(Some((new, false)));
        };
        let watch = &mut self.watches[found];
        let again = round(watch) == call;
        self.instances[instance].used += u32::from(!again);
        watch.interest = if again {
            watch.interest | events
        } else {
            events
        };
        watch.data = data;
        let (interest, has_place) = (watch.interest, watch.has_place());
        let entry = &mut self.sources[source];
        entry.asked |= interest;
        if !entry.plain && !has_place {
            // There was no room for it once: after a fork, or as the source got its part in shared memory.
            self.take_place(found)?;
        }
        Ok(Some((found, again)))
    }

    /// Makes sure that the source will wake the thread for `events`, and that [`Core::poll_take`] reports `at` if one of them holds. `false`: the same
    /// file was named in this round already, for the events and the place of either; then only a scan tells what each gets. ENOSPC: it has no room.
    pub fn poll_watch(
        &mut self,
        set: InstanceId,
        source: SourceId,
        events: Events,
        at: u32,
    ) -> Result<bool, Errno> {
        let Some((watch, again)) = self.poll_name(set, source, events, at)? else {
            return Ok(true);
        };
        // The look arms it if it finds nothing.
        if !self.look(watch).is_empty() {
            self.queue(watch);
        }
        Ok(!again)
    }

    /// Makes sure that the source will wake the thread for `events`. Look at it afterwards; [`Core::poll_take`] may not know what holds.
    pub fn poll_arm(
        &mut self,
        set: InstanceId,
        source: SourceId,
        events: Events,
    ) -> Result<(), Errno> {
        if let Some((watch, _)) = self.poll_name(set, source, events, 0)? {
            self.arm(watch);
        }
        Ok(())
    }

    /// Ends arming: what was not used in this round says nothing from now on, and goes if it is much.
    pub fn poll_armed(&mut self, set: InstanceId) {
        let Some(instance) = self.find_instance(set) else {
            return;
        };
        let owner = &self.instances[instance];
        let call = owner.call;
        match owner.count - owner.used.min(owner.count) {
            0 => {}
            1..SPARE => {
                let mut at = owner.watches.head;
                while at != NONE {
                    let watch = &mut self.watches[at];
                    if round(watch) != call {
                        watch.interest = Events::empty();
                    }
                    at = watch.in_instance.next;
                }
            }
            _ => {
                let unused: Vec<u32> = self
                    .watches_of(instance)
                    .filter(|&at| round(&self.watches[at]) != call)
                    .collect();
                unused.into_iter().for_each(|at| self.delete_watch(at));
            }
        }
    }

    /// What was signalled before is seen by the looks to come.
    fn drop_news(&mut self, instance: u32) {
        let owner = &mut self.instances[instance];
        if let Member::Queue(queue) = &mut owner.member {
            queue.drop_news(self.transport.kernel());
        } else if !owner.is_simple() {
            self.collect(instance, instance);
        }
        self.clear_ready(instance);
    }

    /// Arms a set anew that was armed for this one source alone. What holds of it then, so that nothing happens unnoticed in between.
    pub fn poll_again(&mut self, set: InstanceId, source: SourceId) -> Events {
        let (Some(instance), Some(at)) = (self.find_instance(set), self.sources.find(source.0))
        else {
            return Events::empty();
        };
        self.drop_news(instance);
        if !self.sources[at].plain
            && let Some(watch) = self.find_watch(at, instance, ANY)
        {
            self.arm(watch);
            return self.see_level(watch);
        }
        self.level(source)
    }

    /// What holds of the fds of the last round: each with what [`Core::poll_watch`] was told of it. How many; no system call unless something happened.
    #[inline]
    pub fn poll_take(&mut self, set: InstanceId, mut report: impl FnMut(Events, u32)) -> usize {
        self.take(set, usize::MAX, |events, data| report(events, data as u32))
    }
}
