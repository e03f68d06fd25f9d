// SPDX-License-Identifier: BSD-2-Clause
//! An instance: an interest list, a ready list, and the threads that wait. One is behind each epoll fd, and one behind each thread's `poll`,
//! `select` and blocking calls.

use crate::backend::{Block, Kernel, Woke};
use crate::errno::Errno;
use crate::event_core::Core;
use crate::remote::Member;
use crate::slab::NONE;
use crate::watch::{Interest, Links, List, Purpose, Watch, by_ready};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashMap;
use vfs_hooks::Events;

/// Names an instance; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceId(pub(crate) u64);

/// For keys that are numbers already: one multiplication. A program that made its numbers collide would slow down itself alone.
#[derive(Default)]
pub(crate) struct Spread(u64);

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

/// By source and number. The number of an open file stands for it: its watches go when it is closed.
type InterestList = HashMap<u64, u32, BuildHasherDefault<Spread>>;

#[inline]
fn list_key(source: u32, fd: i32) -> u64 {
    u64::from(source) << 32 | u64::from(fd as u32)
}

/// See the module.
pub(crate) struct Instance {
    list: InterestList,
    pub ready: List,
    /// Threads that block here and nobody has woken yet, the longest first.
    pub waiters: VecDeque<usize>,
    /// The source that it is; [`NONE`] for a set of poll.
    pub source: u32,
    /// How many of its watches are of epoll instances.
    pub nested: u32,
    /// How signals of other processes reach it, once it watches any.
    pub member: Member,
    /// Watches of shared sources below nested instances; in no interest list.
    pub forwards: Vec<u32>,
    /// Calls of poll so far: which watches the present one uses.
    pub call: u64,
}

impl Instance {
    fn new() -> Self {
        Instance {
            list: InterestList::default(),
            ready: List::EMPTY,
            waiters: VecDeque::new(),
            source: NONE,
            nested: 0,
            member: Member::None,
            forwards: Vec::new(),
            call: 0,
        }
    }

    /// The watch of a source under a number.
    #[inline]
    pub fn watch_of(&self, source: u32, fd: i32) -> Option<u32> {
        self.list.get(&list_key(source, fd)).copied()
    }

    pub fn forget(&mut self, source: u32, fd: i32) {
        self.list.remove(&list_key(source, fd));
    }

    /// All watches, in no order.
    pub fn watches(&self) -> impl Iterator<Item = u32> {
        self.list.values().copied()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether all that it watches publishes here: nothing has to be collected.
    #[inline]
    pub fn is_simple(&self) -> bool {
        self.member.is_none() && self.nested == 0
    }
}

impl<K: Kernel> Core<K> {
    /// A new instance that is no source.
    pub(crate) fn new_instance(&mut self) -> u32 {
        self.instances.insert(Instance::new())
    }

    pub(crate) fn instance_id(&self, instance: u32) -> InstanceId {
        InstanceId(self.instances.key(instance))
    }

    /// Starts watching. What holds already will be reported. ENOSPC: the source or the backend has no room.
    pub(crate) fn add(
        &mut self,
        instance: u32,
        source: u32,
        fd: i32,
        interest: Interest,
        purpose: Purpose,
    ) -> Result<u32, Errno> {
        let at = self.insert_watch(Watch {
            source,
            instance,
            fd,
            interest: interest.events | Events::ALWAYS,
            data: interest.data,
            mode: interest.mode,
            purpose,
            queued: false,
            place: None,
            ready: Links::NONE,
            at_source: Links::NONE,
        });
        let owner = &mut self.instances[instance];
        if purpose != Purpose::Forward {
            owner.list.insert(list_key(source, fd), at);
        }
        let entry = &self.sources[source];
        if entry.instance != NONE {
            owner.nested += 1;
        }
        if entry.shared.is_some()
            && let Err(errno) = self.take_place(at)
        {
            self.delete_watch(at);
            return Err(errno);
        }
        if purpose != Purpose::Forward && !self.look(at).is_empty() {
            self.queue(at);
        }
        Ok(at)
    }

    /// Changes what is asked for, arms a one-shot watch again, and looks again even if nothing changes (trap 2).
    pub(crate) fn modify(&mut self, at: u32, interest: Interest) {
        let watch = &mut self.watches[at];
        watch.interest = interest.events | Events::ALWAYS;
        watch.mode = interest.mode;
        watch.data = interest.data;
        if watch.place.is_some() {
            self.arm(at);
        }
        if !self.look(at).is_empty() {
            self.queue(at);
        }
    }

    /// Takes what is ready, at most `most`, and gives each to `report`; returns how many. Looks at each candidate once; allocates nothing.
    #[inline]
    pub fn take(&mut self, id: InstanceId, most: usize, report: impl FnMut(Events, u64)) -> usize {
        let Some(instance) = self.find_instance(id) else {
            return 0;
        };
        if !self.instances[instance].is_simple() {
            self.collect(instance, instance);
        }
        if self.instances[instance].ready.is_empty() {
            return 0;
        }
        self.take_ready(instance, most, report)
    }

    fn take_ready(
        &mut self,
        instance: u32,
        most: usize,
        mut report: impl FnMut(Events, u64),
    ) -> usize {
        let List { head, tail } = self.instances[instance].ready;
        let (mut at, mut taken, mut stayed) = (head, 0, NONE);
        loop {
            let events = self.look(at);
            let watch = &mut self.watches[at];
            let next = watch.ready.next;
            let mut stays = false;
            if !events.is_empty() {
                report(events, watch.data);
                taken += 1;
                if watch.mode.one_shot {
                    watch.interest = Events::empty();
                } else {
                    stays = !watch.mode.edge;
                }
            }
            if stays {
                stayed = at;
            } else {
                watch.queued = false;
                let ready = &mut self.instances[instance].ready;
                ready.remove(&mut self.watches, at, by_ready);
            }
            if at == tail || taken == most {
                break;
            }
            at = next;
        }
        let owner = &mut self.instances[instance];
        if stayed != NONE {
            // epoll_wait(2) reports round robin: what was reported goes behind what was not (trap 3).
            owner.ready.rotate_past(&mut self.watches, stayed, by_ready);
        }
        // Whoever leaves the ready list non-empty wakes one more.
        if !owner.waiters.is_empty() && !owner.ready.is_empty() {
            self.wake_one(instance);
        }
        taken
    }

    /// Whether [`Core::take`] would find something; reports nothing.
    pub(crate) fn has_ready(&mut self, instance: u32) -> bool {
        if !self.instances[instance].is_simple() {
            self.collect(instance, NONE);
        }
        while let Some(at) = self.instances[instance].ready.first() {
            if !self.look(at).is_empty() {
                if !self.instances[instance].member.is_none() {
                    self.arm_ready(instance);
                }
                return true;
            }
            self.watches[at].queued = false;
            let ready = &mut self.instances[instance].ready;
            ready.remove(&mut self.watches, at, by_ready);
        }
        false
    }

    /// The thread is about to block for the instance. `None`: it must look again first. Otherwise block there, with the core
    /// lock released, and call [`Core::unblock`] after.
    pub fn block(&mut self, id: InstanceId, thread: usize) -> Option<Block> {
        let Some(instance) = self.find_instance(id) else {
            return Some(Block::Own);
        };
        let mut block = Block::Own;
        if !self.instances[instance].is_simple() {
            block = self.prepare_to_block(instance, thread)?;
        }
        let owner = &mut self.instances[instance];
        if !owner.ready.is_empty() {
            return None;
        }
        owner.waiters.push_back(thread);
        Some(block)
    }

    /// The thread came back. Look then, even if the deadline has passed: it may have been woken for something that is nobody else's.
    pub fn unblock(&mut self, id: InstanceId, thread: usize, block: Block, woke: Woke) {
        let instance = self.find_instance(id);
        if let Some(instance) = instance {
            let waiters = &mut self.instances[instance].waiters;
            waiters.retain(|&waiter| waiter != thread);
        }
        self.take_news(instance, thread, block, woke);
    }

    /// Entries in the interest list.
    pub fn watch_count(&self, id: InstanceId) -> usize {
        let instance = self.find_instance(id);
        instance.map_or(0, |instance| self.instances[instance].len())
    }

    /// Ends an instance with all of its watches.
    pub(crate) fn delete_instance(&mut self, instance: u32) {
        let mut watches: Vec<u32> = self.instances[instance].watches().collect();
        watches.append(&mut self.instances[instance].forwards);
        watches.into_iter().for_each(|at| self.delete_watch(at));
        if let Some(owner) = self.instances.remove(instance) {
            self.transport.leave(instance, owner.member);
        }
    }

    /// Ends a set that is no source (that of a thread that ended).
    pub fn delete(&mut self, id: InstanceId) {
        if let Some(instance) = self.find_instance(id)
            && self.instances[instance].source == NONE
        {
            self.delete_instance(instance);
        }
    }

    /// Takes every watch out of the ready list.
    pub(crate) fn clear_ready(&mut self, instance: u32) {
        while let Some(at) = self.instances[instance].ready.first() {
            self.watches[at].queued = false;
            let ready = &mut self.instances[instance].ready;
            ready.remove(&mut self.watches, at, by_ready);
        }
    }
}
