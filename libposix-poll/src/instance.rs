// SPDX-License-Identifier: BSD-2-Clause
//! An instance: an interest list, a ready list, and the threads that wait. One is behind each epoll fd, and one behind each thread's `poll`,
//! `select` and blocking calls.

use crate::backend::{Block, Kernel, Woke};
use crate::errno::Errno;
use crate::event_core::Core;
use crate::remote::Member;
use crate::slab::{NONE, Slot};
use crate::watch::{Interest, List, Mode, Purpose, Ready, Watch};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use vfs_hooks::Events;

/// Names an instance; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceId(pub(crate) u64);

/// See the module. 128 bytes: an index is a shift.
#[repr(align(128))]
pub(crate) struct Instance {
    pub ready: List,
    /// The interest list, in no order. An entry is found through its source.
    pub watches: List,
    pub count: u32,
    /// The source that it is; [`NONE`] for a set of poll.
    pub source: u32,
    /// How many of its watches are of epoll instances.
    pub nested: u32,
    /// How many watches there are of it, as a source.
    pub watched: u32,
    generation: u32,
    /// Threads that block here and nobody has woken yet, the longest first.
    pub waiters: VecDeque<usize>,
    /// How signals of other processes reach it, once it watches any.
    pub member: Member,
    /// Watches of shared sources below nested instances; in no interest list.
    pub forwards: Vec<u32>,
    /// Calls of poll so far that armed: which watches the present one uses,
    pub call: u32,
    /// and how many.
    pub used: u32,
    /// Its exclusive watches that have a place at a shared source, if there are any.
    pub exclusive: Option<Box<Exclusives>>,
}

/// See [`Instance::exclusive`].
#[derive(Default)]
pub(crate) struct Exclusives {
    pub watches: Vec<u32>,
}

const _: () = assert!(size_of::<Instance>() == 128);

impl Slot for Instance {
    fn vacant() -> Self {
        Instance {
            ready: List::EMPTY,
            watches: List::EMPTY,
            count: 0,
            source: NONE,
            nested: 0,
            watched: 0,
            generation: 0,
            waiters: VecDeque::new(),
            member: Member::None,
            forwards: Vec::new(),
            call: 0,
            used: 0,
            exclusive: None,
        }
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

impl Instance {
    /// Whether all that it watches publishes here: nothing has to be collected.
    #[inline]
    pub fn is_simple(&self) -> bool {
        self.member.is_none() && self.nested == 0
    }
}

impl<K: Kernel> Core<K> {
    /// A new instance that is no source.
    pub(crate) fn new_instance(&mut self) -> u32 {
        self.instances.insert(Instance::vacant())
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
        let at = self.insert_watch(Watch::new(source, instance, fd, interest, purpose));
        if !self.sources[source].plain
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
        self.sources[watch.source].asked |= watch.interest;
        if watch.has_place() {
            self.arm(at);
        }
        // As Linux: what is in the ready list already is no news to anybody.
        if !self.look(at).is_empty() && !self.watches[at].queued {
            self.queue(at);
        }
    }

    /// All watches of an instance.
    pub(crate) fn watches_of(&self, instance: u32) -> impl Iterator<Item = u32> {
        let first = self.instances[instance].watches.first();
        core::iter::successors(first, |&at| match self.watches[at].in_instance.next {
            NONE => None,
            next => Some(next),
        })
    }

    /// Takes what is ready, at most `most`, and gives each to `report`; returns how many. Looks at each candidate once; allocates nothing.
    #[inline(always)]
    pub fn take(&mut self, id: InstanceId, most: usize, report: impl FnMut(Events, u64)) -> usize {
        let number = id.0 as u32;
        let ready = match self.instances.find_mut(id.0) {
            None => return 0,
            Some(instance) if !instance.is_simple() => {
                self.collect(number, number);
                self.instances[number].ready
            }
            Some(instance) => instance.ready,
        };
        match ready.is_empty() {
            true => 0,
            false => self.take_ready(number, ready, most, report),
        }
    }

    /// [`Core::take`] of what the ready list has.
    #[inline]
    fn take_ready(
        &mut self,
        number: u32,
        List {
            head: mut at,
            tail: last,
        }: List,
        most: usize,
        mut report: impl FnMut(Events, u64),
    ) -> usize {
        // `stayed`: the last watch so far that stays in the list; all others before `at` have left it.
        let (mut taken, mut stayed) = (0, NONE);
        'all: while at != NONE && taken < most {
            // Level-triggered, and the source's published level says all: the common case, in which nothing is changed.
            let (watches, sources) = (self.watches.places(), self.sources.places());
            loop {
                let watch = &watches[at as usize];
                let source = &mut sources[watch.source as usize];
                let events = source.level & watch.interest;
                if !source.plain || events.is_empty() || !watch.mode.stays() {
                    break;
                }
                source.found &= source.level;
                report(events, watch.data);
                taken += 1;
                stayed = at;
                if at == last || taken == most {
                    break 'all;
                }
                at = watch.ready.next;
            }
            let events = self.look(at);
            let watches = self.watches.places();
            let watch = &mut watches[at as usize];
            let next = if at == last { NONE } else { watch.ready.next };
            if !events.is_empty() {
                report(events, watch.data);
                taken += 1;
                if watch.mode.stays() {
                    stayed = at;
                    at = next;
                    continue;
                }
                if watch.mode.contains(Mode::ONE_SHOT) {
                    watch.interest = Events::empty();
                }
            }
            watch.queued = false;
            let ready = &mut self.instances[number].ready;
            ready.remove(watches, at, Ready);
            at = next;
        }
        let instance = &mut self.instances[number];
        if stayed != NONE && stayed != instance.ready.tail {
            // epoll_wait(2) reports round robin: what was reported goes behind what was not (trap 3).
            instance
                .ready
                .rotate_past(self.watches.places(), stayed, Ready);
        }
        // Whoever leaves the ready list non-empty wakes one more.
        if !instance.waiters.is_empty() && !instance.ready.is_empty() {
            self.wake_one(number);
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
            ready.remove(self.watches.places(), at, Ready);
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
        if owner.exclusive.is_some() {
            self.fall_asleep(instance);
        }
        Some(block)
    }

    /// The thread came back. Look then, even if the deadline has passed: it may have been woken for something that is nobody else's.
    pub fn unblock(&mut self, id: InstanceId, thread: usize, block: Block, woke: Woke) {
        let instance = self.find_instance(id);
        if let Some(instance) = instance {
            let waiters = &mut self.instances[instance].waiters;
            match waiters.front() {
                None => {}
                Some(&first) if first == thread => drop(waiters.pop_front()),
                Some(_) => waiters.retain(|&waiter| waiter != thread),
            }
            if self.instances[instance].exclusive.is_some() {
                self.wake_up(instance);
            }
        }
        self.take_news(instance, thread, block, woke);
    }

    /// The fd by which the source was named of which a cookie tells; `None`: it tells of none, or of one that is only waited for.
    pub fn fd_of(&self, cookie: u64) -> Option<i32> {
        let at = self.watches.find(cookie)?;
        Some(self.watches[at].fd).filter(|fd| *fd >= 0)
    }

    /// Entries in the interest list.
    pub fn watch_count(&self, id: InstanceId) -> usize {
        let instance = self.find_instance(id);
        instance.map_or(0, |instance| self.instances[instance].count as usize)
    }

    /// Ends an instance with all of its watches.
    pub(crate) fn delete_instance(&mut self, instance: u32) {
        while let Some(at) = self.instances[instance].forwards.pop() {
            self.delete_watch(at);
        }
        while let Some(at) = self.instances[instance].watches.first() {
            self.delete_watch(at);
        }
        let owner = self.instances.remove(instance);
        self.transport.leave(instance, owner.member);
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
            ready.remove(self.watches.places(), at, Ready);
        }
    }
}
