// SPDX-License-Identifier: BSD-2-Clause
//! Watching sources of other processes: places at them, arming and looking, and the signals that come back.
//!
//! A place is a subscription cell in the source's shared memory and a watch slot whose notification the kernel turns into the watch's cookie. The
//! protocol is that of [`vfs_hooks::subscription`]: arm, then look. What stays in the ready list is looked at again before anybody
//! sleeps, so it is armed only when it leaves.

use crate::backend::badge::Groups;
use crate::backend::queue::Queue;
use crate::backend::{Block, Kernel, WatchSlots, Woke};
use crate::errno::Errno;
use crate::event_core::Core;
use crate::instance::Instance;
use crate::slab::NONE;
use crate::watch::{Mode, Purpose};
use alloc::boxed::Box;
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Readiness, Remote, SourceId};
use vfs_hooks::subscription::{SUBSCRIPTIONS, Subscriptions};

/// A source's part in shared memory, and which of its cells are ours. That is kept here, in private memory, so that what the other side
/// writes into the cells cannot make this process give back a slot that is not its own.
pub(crate) struct Shared {
    object: Box<dyn Remote>,
    used: [bool; SUBSCRIPTIONS],
}

impl Shared {
    pub fn readiness(&self) -> Readiness {
        self.object.readiness()
    }

    fn enter(&mut self, slot: u32, interest: Events, exclusive: bool) -> Option<u8> {
        let cells = self.object.subscriptions()?;
        let (cell, word) = match self.object.claim(slot) {
            Some(claimed) => claimed?,
            None => (self.used.iter().position(|used| !used)?, slot),
        };
        *self.used.get_mut(cell)? = true;
        if exclusive {
            cells.put_exclusive(cell, word, interest);
        } else {
            cells.put(cell, word, interest);
        }
        Some(cell as u8)
    }

    /// In the child after fork: no cell is this process's.
    pub fn forget_cells(&mut self) {
        self.used = [false; SUBSCRIPTIONS];
    }

    fn leave(&mut self, cell: u8) {
        self.used[usize::from(cell)] = false;
        if let Some(cells) = self.object.subscriptions() {
            cells.unsubscribe(cell.into());
        }
        self.object.release(cell.into());
    }
}

/// How signals reach one instance.
#[derive(Debug)]
pub(crate) enum Member {
    /// It has watched nothing of other processes yet.
    None,
    /// The copy that a fork made of one that has, or what another program handed over: its watches get places when it is used ([`Core::settle`]).
    Copied,
    /// By a queue of its own.
    Queue(Box<Queue>),
    /// By badge bits that it shares with the others.
    Badge(Box<Groups>),
}

impl Member {
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Member::None)
    }
}

/// What all instances of the process share.
pub(crate) struct Transport<K> {
    kernel: K,
    slots: WatchSlots,
    /// Unmodified kernel: instances with groups.
    members: Vec<u32>,
    /// The thread that waits on the process's notification.
    leader: Option<usize>,
    /// Threads that would be leader, and the instance that each waits in.
    followers: Vec<usize>,
}

impl<K: Kernel> Transport<K> {
    pub const fn new(kernel: K) -> Self {
        Transport {
            kernel,
            slots: WatchSlots::new(),
            members: Vec::new(),
            leader: None,
            followers: Vec::new(),
        }
    }

    /// What carries the signals.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// A watch slot whose signals name `key` to the instance.
    fn attach(&mut self, number: u32, instance: &mut Instance, key: u64) -> Option<u32> {
        let kernel = &mut self.kernel;
        if instance.member.is_none() {
            if kernel.has_queues() {
                instance.member = Member::Queue(Box::new(Queue::new(kernel)?));
            } else {
                instance.member = Member::Badge(Box::default());
                self.members.push(number);
            }
        }
        let slot = self.slots.take(kernel)?;
        let attached = match &mut instance.member {
            Member::Queue(queue) => queue.attach(kernel, slot, key),
            Member::Badge(groups) => {
                groups.attach(slot, key);
                true
            }
            Member::None | Member::Copied => false,
        };
        if attached {
            Some(slot)
        } else {
            self.slots.give(slot);
            None
        }
    }

    pub fn detach(&mut self, instance: &mut Instance, slot: u32, key: u64) {
        match &mut instance.member {
            Member::Queue(queue) => self.kernel.detach(queue.id(), slot),
            Member::Badge(groups) => groups.detach(slot, key),
            Member::None | Member::Copied => {}
        }
        self.slots.give(slot);
    }

    /// In the child after fork: the slots, queues and waiters were the parent's.
    pub fn forget(&mut self) {
        self.slots = WatchSlots::new();
        self.members.clear();
        self.only_thread();
    }

    /// Only one thread is left, and it does not wait.
    pub fn only_thread(&mut self) {
        self.leader = None;
        self.followers.clear();
    }

    /// The instance is gone.
    pub fn leave(&mut self, number: u32, member: Member) {
        match member {
            Member::Queue(queue) => self.kernel.queue_destroy(queue.id()),
            Member::Badge(_) => self.members.retain(|&other| other != number),
            Member::None | Member::Copied => {}
        }
    }
}

impl<K: Kernel> Core<K> {
    /// Gives a source its part in shared memory, or takes it away. Those who watch it move along, and are told to look. ENOSPC: the
    /// new part has no room for them all; then those without room hear of the published level only.
    pub fn set_remote(
        &mut self,
        source: SourceId,
        object: Option<Box<dyn Remote>>,
    ) -> Result<(), Errno> {
        let Some(at) = self.sources.find(source.0) else {
            return Ok(());
        };
        let mut watches = Vec::new();
        let mut next = self.sources[at].watches.head;
        while next != NONE {
            watches.push(next);
            next = self.watches[next].at_source.next;
        }
        for &watch in &watches {
            self.drop_place(watch);
        }
        let entry = &mut self.sources[at];
        entry.plain = object.is_none() && entry.instance == NONE;
        if object.is_some() || entry.extra.is_some() {
            entry.extra.get_or_insert_default().shared = object.map(|object| Shared {
                object,
                used: [false; SUBSCRIPTIONS],
            });
        }
        let mut result = Ok(());
        for &watch in &watches {
            result = result.and(self.take_place(watch));
        }
        self.tell(at, Events::all());
        result
    }

    /// Gives a watch's place at a shared source back, if it has one.
    pub(crate) fn drop_place(&mut self, at: u32) {
        let key = self.watches.key(at);
        let watch = &mut self.watches[at];
        if !watch.has_place() {
            return;
        }
        let slot = core::mem::replace(&mut watch.slot, NONE);
        if let Some(shared) = self.sources[watch.source].shared_mut() {
            shared.leave(watch.cell);
        }
        let owner = &mut self.instances[watch.instance];
        if let Some(exclusive) = &mut owner.exclusive {
            exclusive.watches.retain(|&other| other != at);
        }
        self.transport.detach(owner, slot, key);
    }

    /// Takes a place at the watch's source, armed, if that signals. ENOSPC: there is none, or no watch slot.
    pub(crate) fn take_place(&mut self, at: u32) -> Result<(), Errno> {
        let instance = self.watches[at].instance;
        if matches!(self.instances[instance].member, Member::Copied) {
            self.settle(instance);
            if self.watches[at].has_place() {
                return Ok(());
            }
        }
        let key = self.watches.key(at);
        let watch = &mut self.watches[at];
        let shared = match self.sources[watch.source].shared_mut() {
            Some(shared) if shared.object.subscriptions().is_some() => shared,
            _ => return Ok(()),
        };
        let instance = watch.instance;
        let owner = &mut self.instances[instance];
        let slot = self.transport.attach(instance, owner, key);
        let slot = slot.ok_or(Errno::NOSPC)?;
        if let Member::Badge(groups) = &mut owner.member {
            groups.in_order |= shared.object.told().is_some();
        }
        let exclusive = watch.mode.contains(Mode::EXCLUSIVE);
        match shared.enter(slot, watch.interest, exclusive) {
            Some(cell) => {
                (watch.slot, watch.cell) = (slot, cell);
                if exclusive {
                    owner.exclusive.get_or_insert_default().watches.push(at);
                }
                self.see(at);
                Ok(())
            }
            None => {
                self.transport.detach(owner, slot, key);
                Err(Errno::NOSPC)
            }
        }
    }

    /// Asks the watch's shared source for a signal at the next event. Look afterwards.
    #[inline(always)]
    pub(crate) fn arm(&mut self, at: u32) {
        let watch = &self.watches[at];
        if watch.has_place()
            && let Some(shared) = self.sources[watch.source].shared()
            && let Some(cells) = shared.object.subscriptions()
        {
            cells.set_interest(watch.cell.into(), watch.interest);
            if watch.mode.contains(Mode::EXCLUSIVE)
                && !self.instances[watch.instance].waiters.is_empty()
            {
                cells.sleeps(watch.cell.into());
            }
        }
    }

    /// The subscription cells of the instance's exclusive watches, and whose each is.
    fn exclusive_cells(&self, instance: u32) -> impl Iterator<Item = (u32, &Subscriptions, usize)> {
        let exclusive = self.instances[instance].exclusive.iter();
        exclusive
            .flat_map(|exclusive| &exclusive.watches)
            .filter_map(|&at| {
                let watch = &self.watches[at];
                let cells = self.sources[watch.source]
                    .shared()?
                    .object
                    .subscriptions()?;
                Some((at, cells, watch.cell.into()))
            })
    }

    /// A thread is about to sleep in an instance with exclusive watches: of the processes that have such, one that sleeps is told.
    #[cold]
    pub(crate) fn fall_asleep(&mut self, instance: u32) {
        self.exclusive_cells(instance)
            .for_each(|(_, cells, cell)| cells.sleeps(cell));
    }

    /// A thread woke up there, whatever woke it. If it was the last, it is for this thread what was told to this process and thus to no other.
    #[cold]
    pub(crate) fn wake_up(&mut self, instance: u32) {
        if !self.instances[instance].waiters.is_empty() {
            return;
        }
        let cells = self.exclusive_cells(instance);
        let told: Vec<u32> = cells
            .filter(|(_, cells, cell)| cells.woke(*cell))
            .map(|(at, ..)| at)
            .collect();
        told.into_iter().for_each(|at| self.hint(at, instance));
    }

    /// [`Core::look`] at a source that has more than a published level.
    #[cold]
    #[inline(never)]
    pub(crate) fn look_further(&mut self, at: u32) -> Events {
        let watch = &self.watches[at];
        let (source, mode, interest) = (watch.source, watch.mode, watch.interest);
        if !watch.has_place() {
            return self.level_further(source) & interest;
        }
        if interest.is_empty() {
            // One-shot and spent: not armed, so its source need not signal until it is modified.
            return Events::empty();
        }
        // What stays in the ready list is looked at again before anybody sleeps: only what leaves it needs a signal.
        if mode.stays() {
            let events = self.level_further(source) & interest;
            if !events.is_empty() {
                return events;
            }
        }
        self.arm(at);
        self.see_level(at) & interest
    }

    /// Notes the edges of the watch's shared source. Whether any that it asks for is new.
    #[inline(always)]
    pub(crate) fn see(&mut self, at: u32) -> bool {
        let watch = &mut self.watches[at];
        let Some(shared) = self.sources[watch.source].shared() else {
            return false;
        };
        let edges = shared.readiness().edges;
        let moved = edges.moved(watch.seen, watch.interest);
        watch.seen = edges;
        moved
    }

    /// [`Core::see`], and what holds of the source: by one look.
    #[inline]
    pub(crate) fn see_level(&mut self, at: u32) -> Events {
        let watch = &mut self.watches[at];
        let source = watch.source;
        let entry = &mut self.sources[source];
        let Some(shared) = entry.shared() else {
            return self.level_further(source);
        };
        let now = shared.readiness();
        watch.seen = now.edges;
        // What has a part in shared memory is no instance.
        let level = entry.level | now.events;
        entry.found &= level;
        level
    }

    /// Whether the instance's queue, if that is all it hears by, has no news: then there is nothing to collect.
    #[inline]
    fn is_silent(&self, instance: u32) -> bool {
        let owner = &self.instances[instance];
        match &owner.member {
            Member::Queue(queue) => owner.nested == 0 && !queue.has_news(&self.transport.kernel),
            _ => false,
        }
    }

    /// Moves what the instance's backend has heard of to the ready lists. No system call unless the backend has news (queue), or while anything is
    /// attached (badge). `taker`: the instance that the caller takes from, or [`NONE`].
    #[inline]
    pub(crate) fn collect(&mut self, instance: u32, taker: u32) {
        if !self.is_silent(instance) {
            self.collect_news(instance, taker);
        }
    }

    #[cold]
    #[inline(never)]
    fn collect_news(&mut self, instance: u32, taker: u32) {
        if self.instances[instance].nested > 0 {
            let inner: Vec<u32> = self.inner(instance).collect();
            inner
                .into_iter()
                .for_each(|inner| self.collect(inner, taker));
        }
        if matches!(self.instances[instance].member, Member::Copied) {
            self.settle(instance);
        }
        if self.instances[instance].member.is_none() {
            return;
        }
        let mut cookies = core::mem::take(&mut self.cookies);
        let mut complete = true;
        let kernel = &mut self.transport.kernel;
        match &mut self.instances[instance].member {
            Member::None | Member::Copied => {}
            Member::Queue(queue) => {
                if queue.has_news(kernel) {
                    complete = queue.take(kernel, &mut cookies);
                }
            }
            Member::Badge(_) => {
                let bits = kernel.poll_bits();
                self.deliver(bits, Some(instance));
                if let Member::Badge(groups) = &mut self.instances[instance].member {
                    groups.take(&mut cookies);
                    if groups.in_order && cookies.len() > 1 {
                        self.sort(&mut cookies);
                    }
                }
            }
        }
        for cookie in cookies.drain(..) {
            if let Some(at) = self.watches.find(cookie) {
                self.hint(at, taker);
            }
        }
        self.cookies = cookies;
        if !complete {
            let all: Vec<u32> = self.watches_of(instance).collect();
            all.into_iter().for_each(|at| self.hint(at, taker));
        }
    }

    /// Brings them in the order in which their sources told of news, as far as those say it: bits have none.
    fn sort(&self, cookies: &mut [u64]) {
        cookies.sort_by_cached_key(|&cookie| {
            let source = self.watches.find(cookie).map(|at| self.watches[at].source);
            let shared = source.and_then(|source| self.sources[source].shared());
            shared.and_then(|shared| shared.object.told())
        });
    }

    /// A signal says: look here. It may be late or false: what counts are the edges.
    pub(crate) fn hint(&mut self, at: u32, taker: u32) {
        let watch = &self.watches[at];
        if watch.purpose == Purpose::Forward {
            self.arm(at);
            let source = self.watches[at].source;
            self.hint_others(source, at, taker);
            return;
        }
        if watch.interest.is_empty() {
            return;
        }
        if self.see(at) {
            // Not armed: it is in the ready list from here on.
            self.queue_for(at, taker);
        } else if !self.watches[at].queued {
            self.arm(at);
            if self.see(at) {
                self.queue_for(at, taker);
            }
        }
    }

    /// Something happened at a shared source: all other watches of it here look, for their own signals may be still on the way.
    fn hint_others(&mut self, source: u32, but: u32, taker: u32) {
        let mut at = self.sources[source].watches.head;
        while at != NONE {
            let next = self.watches[at].at_source.next;
            if at != but && self.watches[at].purpose != Purpose::Forward {
                self.hint(at, taker);
            }
            at = next;
        }
    }

    /// Arms the shared ones among the watches of a ready list, so that each further event is news to those who watch the instance.
    pub(crate) fn arm_ready(&mut self, instance: u32) {
        let mut at = self.instances[instance].ready.head;
        while at != NONE {
            if self.watches[at].has_place() && !self.watches[at].interest.is_empty() {
                self.arm(at);
                self.see(at);
            }
            at = self.watches[at].ready.next;
        }
    }

    /// Watch bits that came: each instance that has such watches will look. `collector` does so anyway; of the others one waiter is woken.
    fn deliver(&mut self, bits: u64, collector: Option<u32>) {
        if bits == 0 {
            return;
        }
        for index in 0..self.transport.members.len() {
            let member = self.transport.members[index];
            let found = match &mut self.instances[member].member {
                Member::Badge(groups) => groups.deliver(bits),
                _ => false,
            };
            if found && collector != Some(member) {
                self.wake_one(member);
            }
        }
    }

    /// Where a thread blocks whose instance watches other processes or other instances. `None`: there is news.
    pub(crate) fn prepare_to_block(&mut self, instance: u32, thread: usize) -> Option<Block> {
        if self.instances[instance].nested > 0 {
            self.forward(instance);
        }
        self.collect(instance, instance);
        if !self.instances[instance].ready.is_empty() {
            return None;
        }
        Some(match &self.instances[instance].member {
            Member::None | Member::Copied => Block::Own,
            Member::Queue(queue) => Block::Queue(queue.id()),
            Member::Badge(_) => {
                if self.transport.leader.is_none() {
                    self.transport.leader = Some(thread);
                    Block::Process
                } else {
                    self.transport.followers.push(thread);
                    Block::Own
                }
            }
        })
    }

    /// A cookie that was handed over to a thread which waits in the instance, and takes what is ready there next. Sets of poll are
    /// mostly armed anew then, and need not know.
    fn take_cookie(&mut self, instance: u32, cookie: u64) {
        let owner = &mut self.instances[instance];
        if owner.source != NONE {
            if let Some(at) = self.watches.find(cookie) {
                self.hint(at, instance);
            }
        } else if let Member::Queue(queue) = &mut owner.member {
            queue.handed(cookie);
        }
    }

    /// What ended a thread's wait.
    pub(crate) fn take_news(
        &mut self,
        instance: Option<u32>,
        thread: usize,
        block: Block,
        woke: Woke,
    ) {
        if let (Some(cookie), Some(instance)) = (woke.cookie, instance) {
            self.take_cookie(instance, cookie);
        }
        if self.transport.members.is_empty() {
            return;
        }
        self.transport.followers.retain(|&other| other != thread);
        if block == Block::Process {
            self.transport.leader = None;
            self.deliver(woke.bits, instance);
            // Somebody else must wait on the process's notification: it wakes, finds no leader, and is it.
            if let Some(next) = self.transport.followers.pop() {
                self.wake(next);
            }
        }
    }
}
