// SPDX-License-Identifier: BSD-2-Clause
//! The state of the event core, one for each process, and what happens when a source publishes.
//!
//! Everything is plain data behind `&mut Core`: whoever has the core lock may do anything, at once and whole. So no step of an
//! instance can be seen half done, and the order that the lock gives is the order of events. What other processes do comes in at two points
//! only, `collect` and `look_further` (see [`remote`](crate::remote)).
//!
//! ```text
//! publish(source, level, news)            take(instance)
//!   level := level                          collect what other processes signalled
//!   for each watch that asks for news:      for each watch in the ready list, the oldest first:
//!     put it in its ready list                level & interest? report it : drop it
//!     wake one waiter of the instance         level-triggered: back to the tail
//!     the instance is a source too:         the list is not empty? wake one more waiter
//!       tell its watches
//! ```
//!
//! Being put into the ready list *is* the edge, as on Linux: an edge-triggered watch is reported once for each time it was told, if its level holds then.

use crate::backend::Kernel;
use crate::instance::{Instance, InstanceId};
use crate::remote::{Shared, Transport};
use crate::slab::{NONE, Slab};
use crate::watch::{List, Place, Purpose, Watch, by_ready, by_source};
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

/// A source as the core keeps it.
pub(crate) struct Entry {
    /// What holds, as published.
    pub level: Events,
    /// What somebody looked for in vain since it last held.
    pub missed: Events,
    /// Whether the level alone says what holds: neither of the next two.
    pub plain: bool,
    /// Its part in shared memory.
    pub shared: Option<Shared>,
    /// The epoll instance that it is.
    pub instance: u32,
    /// Its watches; exclusive ones at the tail, as in Linux's wait queues.
    pub watches: List,
}

/// See the module.
pub struct Core<K> {
    pub(crate) sources: Slab<Entry>,
    pub(crate) watches: Slab<Watch>,
    pub(crate) instances: Slab<Instance>,
    pub(crate) transport: Transport<K>,
    /// Threads to wake once the core lock is released.
    wakes: Vec<usize>,
    /// Cookies on their way from a backend to the ready lists.
    pub(crate) cookies: Vec<u64>,
}

impl<K: Kernel> Core<K> {
    /// An empty one over this kernel.
    pub const fn new(kernel: K) -> Self {
        Core {
            sources: Slab::new(),
            watches: Slab::new(),
            instances: Slab::new(),
            transport: Transport::new(kernel),
            wakes: Vec::new(),
            cookies: Vec::new(),
        }
    }

    /// Takes a thread to wake: kick it once the core lock is released, or at once. Ask until there is none.
    #[inline]
    pub fn next_wake(&mut self) -> Option<usize> {
        self.wakes.pop()
    }

    /// All threads but the calling one, which does not wait, are gone: a fork has left them behind. Nobody is to wake them in vain.
    pub fn only_thread(&mut self) {
        self.instances
            .values_mut()
            .for_each(|instance| instance.waiters.clear());
        self.wakes.clear();
        self.transport.only_thread();
    }

    /// Registers a source that is an epoll instance.
    pub(crate) fn open_instance(&mut self, instance: u32) -> u32 {
        self.sources.insert(Entry {
            level: Events::empty(),
            missed: Events::empty(),
            plain: false,
            shared: None,
            instance,
            watches: List::EMPTY,
        })
    }

    /// What holds of a source now.
    pub fn level(&mut self, source: SourceId) -> Events {
        match self.sources.find(source.0) {
            Some(at) => self.level_at(at),
            None => Events::empty(),
        }
    }

    #[inline]
    pub(crate) fn level_at(&mut self, source: u32) -> Events {
        let entry = &mut self.sources[source];
        entry.missed |= !entry.level;
        if entry.plain {
            return entry.level;
        }
        let mut level = entry.level;
        if let Some(shared) = &entry.shared {
            level |= shared.readiness().events;
        }
        let instance = entry.instance;
        if instance != NONE && self.has_ready(instance) {
            level |= Events::READABLE;
        }
        level
    }

    /// What there is to report of a watch now.
    #[inline]
    pub(crate) fn look(&mut self, at: u32) -> Events {
        let watch = &self.watches[at];
        let (source, interest) = (watch.source, watch.interest);
        let entry = &mut self.sources[source];
        if entry.plain {
            entry.missed |= !entry.level;
            return entry.level & interest;
        }
        self.look_further(at)
    }

    /// Tells those who watch a source for any of `news`.
    #[inline(never)]
    pub(crate) fn tell(&mut self, source: u32, news: Events) {
        let mut at = self.sources[source].watches.head;
        while at != NONE {
            let watch = &self.watches[at];
            let (next, exclusive) = (watch.at_source.next, watch.mode.exclusive);
            if watch.interest.intersects(news) && self.queue(at) && exclusive {
                // One waiter has been woken for this: the other exclusive watches, which come last, need not know.
                return;
            }
            at = next;
        }
    }

    /// Puts a watch into its ready list and wakes a waiter. Whether there was one.
    #[inline]
    pub(crate) fn queue(&mut self, at: u32) -> bool {
        self.queue_for(at, NONE)
    }

    /// [`Core::queue`], but wakes nobody if it is in the instance of `taker`: who called, and will take it, or wake somebody for what is left.
    #[inline]
    pub(crate) fn queue_for(&mut self, at: u32, taker: u32) -> bool {
        let watch = &mut self.watches[at];
        let quietly = watch.instance == taker;
        let instance = &mut self.instances[watch.instance];
        if !watch.queued {
            watch.queued = true;
            instance.ready.push_back(&mut self.watches, at, by_ready);
        }
        let source = instance.source;
        let woken = if quietly {
            None
        } else {
            instance.waiters.pop_front()
        };
        if let Some(thread) = woken {
            self.wakes.push(thread);
        }
        if source != NONE && !self.sources[source].watches.is_empty() {
            self.tell(source, Events::READABLE);
        }
        woken.is_some()
    }

    /// Wakes one waiter of the instance, if it has any.
    #[inline]
    pub(crate) fn wake_one(&mut self, instance: u32) {
        if let Some(thread) = self.instances[instance].waiters.pop_front() {
            self.wakes.push(thread);
        }
    }

    /// Wakes this thread, wherever it waits.
    pub(crate) fn wake(&mut self, thread: usize) {
        self.wakes.push(thread);
    }

    /// Takes a watch into its source's list.
    pub(crate) fn insert_watch(&mut self, watch: Watch) -> u32 {
        let (source, exclusive) = (watch.source, watch.mode.exclusive);
        let at = self.watches.insert(watch);
        let list = &mut self.sources[source].watches;
        if exclusive {
            list.push_back(&mut self.watches, at, by_source);
        } else {
            list.push_front(&mut self.watches, at, by_source);
        }
        at
    }

    /// Takes a watch out of all lists. Its key means nothing from now on.
    pub(crate) fn delete_watch(&mut self, at: u32) {
        let watch = &self.watches[at];
        let (source, instance, queued) = (watch.source, watch.instance, watch.queued);
        let (fd, purpose) = (watch.fd, watch.purpose);
        if let Some(place) = watch.place {
            self.leave_place(at, place);
        }
        let owner = &mut self.instances[instance];
        if queued {
            owner.ready.remove(&mut self.watches, at, by_ready);
        }
        if purpose == Purpose::Forward {
            owner.forwards.retain(|&forward| forward != at);
        } else {
            owner.forget(source, fd);
        }
        let entry = &mut self.sources[source];
        entry.watches.remove(&mut self.watches, at, by_source);
        if entry.instance != NONE {
            owner.nested -= 1;
        }
        self.watches.remove(at);
    }

    /// Gives a watch's place at a shared source back.
    fn leave_place(&mut self, at: u32, place: Place) {
        let watch = &self.watches[at];
        if let Some(shared) = &mut self.sources[watch.source].shared {
            shared.leave(place);
        }
        let key = self.watches.key(at);
        self.transport
            .detach(&mut self.instances[watch.instance], place.slot, key);
    }

    /// The instance that an id names.
    #[inline]
    pub(crate) fn find_instance(&self, id: InstanceId) -> Option<u32> {
        self.instances.find(id.0)
    }
}

impl<K: Kernel> Sources for Core<K> {
    fn open(&mut self, level: Events) -> SourceId {
        let at = self.sources.insert(Entry {
            level,
            missed: Events::empty(),
            plain: true,
            shared: None,
            instance: NONE,
            watches: List::EMPTY,
        });
        SourceId(self.sources.key(at))
    }

    #[inline]
    fn publish(&mut self, source: SourceId, level: Events, news: Events) {
        let Some(at) = self.sources.find(source.0) else {
            return;
        };
        let entry = &mut self.sources[at];
        entry.level = level;
        entry.missed &= !level;
        if !news.is_empty() && !entry.watches.is_empty() {
            self.tell(at, news);
        }
    }

    fn missed(&self, source: SourceId, events: Events) -> bool {
        let at = self.sources.find(source.0);
        at.is_some_and(|at| self.sources[at].missed.intersects(events))
    }

    fn close(&mut self, source: SourceId) {
        let Some(at) = self.sources.find(source.0) else {
            return;
        };
        while let Some(head) = self.sources[at].watches.first() {
            self.delete_watch(head);
        }
        let instance = self.sources[at].instance;
        self.sources.remove(at);
        if instance != NONE {
            self.delete_instance(instance);
        }
    }
}
