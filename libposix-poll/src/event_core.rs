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
use crate::slab::{NONE, Slab, Slot};
use crate::watch::{AtSource, InInstance, List, Mode, Purpose, Ready, Watch};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashMap;
use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

/// A source as the core keeps it. 40 bytes: an index is one `lea`.
pub(crate) struct Entry {
    /// What holds, as published.
    pub level: Events,
    /// What each look found since it was last published: nobody looked for it in vain. (This way round a look is one instruction.)
    pub found: Events,
    /// Its watches; exclusive ones at the tail, as in Linux's wait queues.
    pub watches: List,
    /// The epoll instance that it is.
    pub instance: u32,
    generation: u32,
    /// What any of its watches asks for, and maybe more: other news concern nobody.
    pub asked: Events,
    /// How many watches, while they have no index.
    count: u8,
    /// Whether the level alone says what holds: it is no instance and has no part in shared memory.
    pub plain: bool,
    pub extra: Option<Box<Extra>>,
}

const _: () = assert!(size_of::<Entry>() == 40);

/// What few sources have.
#[derive(Default)]
pub(crate) struct Extra {
    /// A part in shared memory.
    pub shared: Option<Shared>,
    /// Its watches by instance and number, if they are many.
    index: Option<Index>,
}

/// From so many watches of one source on they are found by an index.
const MANY: u8 = 16;

/// For keys that are numbers already: one multiplication. A program that made its numbers collide would slow down itself alone.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }
    #[inline]
    fn write_u64(&mut self, word: u64) {
        // 2⁶⁴ / golden ratio; the upper half, which has heard of all bits, stands in for the lower one too.
        let product = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

type Index = HashMap<u64, u32, BuildHasherDefault<Spread>>;

fn index_key(instance: u32, fd: i32) -> u64 {
    u64::from(instance) << 32 | u64::from(fd as u32)
}

impl Entry {
    fn new(level: Events, instance: u32) -> Self {
        Entry {
            level,
            found: Events::all(),
            watches: List::EMPTY,
            instance,
            generation: 0,
            asked: Events::empty(),
            count: 0,
            plain: instance == NONE,
            extra: None,
        }
    }

    /// Its part in shared memory.
    pub fn shared(&self) -> Option<&Shared> {
        self.extra.as_ref()?.shared.as_ref()
    }

    /// The same, to change.
    pub fn shared_mut(&mut self) -> Option<&mut Shared> {
        self.extra.as_mut()?.shared.as_mut()
    }
}

impl Slot for Entry {
    fn vacant() -> Self {
        Entry::new(Events::empty(), NONE)
    }
    #[inline]
    fn generation(&mut self) -> &mut u32 {
        &mut self.generation
    }
    #[inline]
    fn current(&self) -> u32 {
        self.generation
    }
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

    /// Whether [`Core::next_wake`] has any.
    #[inline]
    pub fn has_wakes(&self) -> bool {
        !self.wakes.is_empty()
    }

    /// All threads but the calling one, which does not wait, are gone: a fork has left them behind. Nobody is to wake them in vain.
    pub fn only_thread(&mut self) {
        let instances = self.instances.places().iter_mut();
        instances.for_each(|instance| instance.waiters.clear());
        self.wakes.clear();
        self.transport.only_thread();
    }

    /// Registers a source that is an epoll instance.
    pub(crate) fn open_instance(&mut self, instance: u32) -> u32 {
        self.sources.insert(Entry::new(Events::empty(), instance))
    }

    /// What holds of a source now.
    #[inline]
    pub fn level(&mut self, source: SourceId) -> Events {
        let Some(entry) = self.sources.find_mut(source.0) else {
            return Events::empty();
        };
        entry.found &= entry.level;
        if entry.plain {
            return entry.level;
        }
        self.level_further(source.0 as u32)
    }

    /// What holds of a source that is more than its published level.
    #[cold]
    #[inline(never)]
    pub(crate) fn level_further(&mut self, source: u32) -> Events {
        let entry = &mut self.sources[source];
        let (mut level, instance) = (entry.level, entry.instance);
        if let Some(shared) = entry.shared() {
            level |= shared.readiness().events;
        }
        if instance != NONE && self.has_ready(instance) {
            level |= Events::READABLE;
        }
        self.sources[source].found &= level;
        level
    }

    /// What there is to report of a watch now.
    #[inline]
    pub(crate) fn look(&mut self, at: u32) -> Events {
        let watch = &self.watches[at];
        let (source, interest) = (watch.source, watch.interest);
        let entry = &mut self.sources[source];
        if entry.plain {
            entry.found &= entry.level;
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
            let (next, exclusive) = (watch.at_source.next, watch.mode.contains(Mode::EXCLUSIVE));
            if watch.interest.intersects(news) && self.queue(at) && exclusive {
                // One waiter has been woken for this: the other exclusive watches, which come last, need not know.
                return;
            }
            at = next;
        }
    }

    /// Puts a watch into its ready list and wakes a waiter. Whether there was one.
    #[inline(always)]
    pub(crate) fn queue(&mut self, at: u32) -> bool {
        self.queue_for(at, NONE)
    }

    /// [`Core::queue`], but wakes nobody if it is in the instance of `taker`: who called, and will take it, or wake somebody for what is left.
    #[inline(always)]
    pub(crate) fn queue_for(&mut self, at: u32, taker: u32) -> bool {
        let watches = self.watches.places();
        let watch = &mut watches[at as usize];
        let number = watch.instance;
        let instance = &mut self.instances[number];
        if !watch.queued {
            watch.queued = true;
            instance.ready.push_back(watches, at, Ready);
        }
        if instance.waiters.is_empty() && instance.watched == 0 {
            return false;
        }
        self.spread(number, taker)
    }

    /// An instance has something to report: a waiter is woken, and those who watch it are told. Whether there was a waiter.
    #[cold]
    #[inline(never)]
    fn spread(&mut self, number: u32, taker: u32) -> bool {
        let instance = &self.instances[number];
        let (source, watched) = (instance.source, instance.watched > 0);
        let wakes = number != taker && !instance.waiters.is_empty();
        if wakes {
            self.wake_one(number);
        }
        if watched {
            self.tell(source, Events::READABLE);
        }
        wakes
    }

    /// Wakes one waiter of the instance, if it has any.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_one(&mut self, instance: u32) {
        if let Some(thread) = self.instances[instance].waiters.pop_front() {
            self.wakes.push(thread);
        }
    }

    /// Wakes this thread, wherever it waits.
    pub(crate) fn wake(&mut self, thread: usize) {
        self.wakes.push(thread);
    }

    /// The watch of a source in an instance under a number: by walking along the source's watches, which are one or two for nearly every source, or
    /// by an index.
    #[inline]
    pub(crate) fn find_watch(&self, source: u32, instance: u32, fd: i32) -> Option<u32> {
        let entry = &self.sources[source];
        if let Some(extra) = &entry.extra
            && let Some(index) = &extra.index
        {
            return index.get(&index_key(instance, fd)).copied();
        }
        let mut at = entry.watches.head;
        while at != NONE {
            let watch = &self.watches[at];
            if watch.fd == fd && watch.instance == instance && watch.purpose != Purpose::Forward {
                return Some(at);
            }
            at = watch.at_source.next;
        }
        None
    }

    /// Takes a watch into the lists of its source and its instance.
    pub(crate) fn insert_watch(&mut self, watch: Watch) -> u32 {
        let (source, number, fd) = (watch.source, watch.instance, watch.fd);
        let (mode, purpose, interest) = (watch.mode, watch.purpose, watch.interest);
        let at = self.watches.insert(watch);
        let watches = self.watches.places();
        let entry = &mut self.sources[source];
        if mode.contains(Mode::EXCLUSIVE) {
            entry.watches.push_back(watches, at, AtSource);
        } else {
            entry.watches.push_front(watches, at, AtSource);
        }
        entry.count = entry.count.saturating_add(1);
        entry.asked |= interest;
        if entry.instance != NONE {
            self.instances[entry.instance].watched += 1;
            self.instances[number].nested += 1;
        }
        let instance = &mut self.instances[number];
        if purpose != Purpose::Forward {
            instance.watches.push_back(watches, at, InInstance);
            instance.count += 1;
            if entry.count > MANY {
                self.index(source, number, fd, at);
            }
        }
        at
    }

    /// Notes a watch in the source's index, which is made if there is none.
    #[cold]
    #[inline(never)]
    fn index(&mut self, source: u32, instance: u32, fd: i32, at: u32) {
        let entry = &mut self.sources[source];
        let extra = entry.extra.get_or_insert_default();
        if let Some(index) = &mut extra.index {
            index.insert(index_key(instance, fd), at);
            return;
        }
        let index = extra.index.insert(Index::default());
        let mut at = entry.watches.head;
        while at != NONE {
            let watch = &self.watches[at];
            if watch.purpose != Purpose::Forward {
                index.insert(index_key(watch.instance, watch.fd), at);
            }
            at = watch.at_source.next;
        }
    }

    /// Takes a watch out of all lists. Its key means nothing from now on.
    pub(crate) fn delete_watch(&mut self, at: u32) {
        if self.watches[at].has_place() {
            self.drop_place(at);
        }
        let watches = self.watches.places();
        let watch = &watches[at as usize];
        let (source, number, fd) = (watch.source, watch.instance, watch.fd);
        let (queued, purpose) = (watch.queued, watch.purpose);
        let entry = &mut self.sources[source];
        if entry.instance != NONE {
            self.instances[entry.instance].watched -= 1;
            self.instances[number].nested -= 1;
        }
        let instance = &mut self.instances[number];
        if queued {
            instance.ready.remove(watches, at, Ready);
        }
        entry.watches.remove(watches, at, AtSource);
        if entry.watches.is_empty() {
            (entry.count, entry.asked) = (0, Events::empty());
        } else {
            // Too few at worst: then the list is walked for longer before it gets an index.
            entry.count -= u8::from(entry.count < u8::MAX);
        }
        if purpose == Purpose::Forward {
            instance.forwards.retain(|&forward| forward != at);
        } else {
            instance.watches.remove(watches, at, InInstance);
            instance.count -= 1;
            if let Some(extra) = &mut entry.extra
                && let Some(index) = &mut extra.index
            {
                index.remove(&index_key(number, fd));
            }
        }
        self.watches.remove(at);
    }

    /// The instance that the source with this number is, if it is one.
    #[inline]
    pub fn instance_at(&self, number: u32) -> Option<InstanceId> {
        let instance = self.sources.get(number)?.instance;
        (instance != NONE).then(|| self.instance_id(instance))
    }

    /// The instance that an id names.
    #[inline]
    pub(crate) fn find_instance(&self, id: InstanceId) -> Option<u32> {
        self.instances.find(id.0)
    }
}

impl<K: Kernel> Sources for Core<K> {
    fn open(&mut self, level: Events) -> SourceId {
        let at = self.sources.insert(Entry::new(level, NONE));
        SourceId(self.sources.key(at))
    }

    #[inline]
    fn publish(&mut self, source: SourceId, level: Events, news: Events) {
        let Some(entry) = self.sources.find_mut(source.0) else {
            return;
        };
        entry.level = level;
        entry.found |= level;
        if entry.asked.intersects(news) {
            self.tell(source.0 as u32, news);
        }
    }

    fn missed(&self, source: SourceId, events: Events) -> bool {
        let at = self.sources.find(source.0);
        at.is_some_and(|at| !self.sources[at].found.contains(events))
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
