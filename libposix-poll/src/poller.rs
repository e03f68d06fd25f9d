// SPDX-License-Identifier: BSD-2-Clause
//! A poller: an interest list, a ready list, and a backend. One is behind each epoll instance, and one behind a thread's `poll` and `select`.

use crate::backend::{Backend, Woken};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::watch::{Interest, Report, Watch, WatchKey};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use slotmap::SlotMap;
use vfs_hooks::Events;
use vfs_hooks::local::Inbox;
use vfs_hooks::source::{Edges, Source, Watcher};

/// Somebody who watches the poller itself (an outer epoll instance).
struct Outer {
    watcher: Watcher,
}

/// Candidates without a watch that are not worth dropping.
const SPARE_CANDIDATES: usize = 64;

/// See the module.
pub struct Poller {
    watches: SlotMap<WatchKey, Watch>,
    /// Keys to look at, oldest first: epoll_wait(2) reports round robin, so level-triggered ones go back to the tail.
    ready: VecDeque<WatchKey>,
    inbox: Rc<Inbox>,
    scratch: Vec<u64>,
    backend: Rc<dyn Backend>,
    outers: Vec<Option<Outer>>,
    /// Hints taken so far: the input edges of the poller as a source.
    hints: u32,
}

impl Poller {
    /// An empty one.
    pub fn new(backend: Rc<dyn Backend>) -> Self {
        Poller {
            watches: SlotMap::with_key(),
            ready: VecDeque::new(),
            inbox: Rc::new(Inbox::new(backend.clone())),
            scratch: Vec::new(),
            backend,
            outers: Vec::new(),
            hints: 0,
        }
    }

    fn watcher(&self, key: WatchKey) -> Watcher {
        Watcher {
            inbox: self.inbox.clone(),
            slots: self.backend.clone(),
            key: key.cookie(),
        }
    }

    /// Starts watching. What holds already will be reported. ENOSPC: the source or the backend has no room.
    pub fn add(
        &mut self,
        source: Rc<dyn Source>,
        mut interest: Interest,
    ) -> Result<WatchKey, Errno> {
        interest.events |= Events::ALWAYS;
        self.drop_dead_candidates();
        let key = self.watches.insert(Watch {
            source: source.clone(),
            subscription: 0,
            interest,
            seen: Edges::default(),
            disarmed: false,
            queued: true,
            forwards: Vec::new(),
        });
        let Some(subscription) = source.subscribe(&self.watcher(key), interest.events) else {
            self.watches.remove(key);
            return Err(Errno::NOSPC);
        };
        let watch = &mut self.watches[key];
        watch.subscription = subscription;
        watch.forget_edges();
        for (number, outer) in self.outers.iter().enumerate() {
            let Some(outer) = outer else { continue };
            match source.subscribe(&outer.watcher, interest.events) {
                Some(forward) => watch.forwards.push((number, forward)),
                None => {
                    self.delete(key);
                    return Err(Errno::NOSPC);
                }
            }
            outer.watcher.inbox.put(outer.watcher.key);
        }
        self.ready.push_back(key);
        self.inbox.wake_one();
        Ok(key)
    }

    /// Changes what is asked for, arms a one-shot watch again, and looks again even if nothing changes (trap 2).
    pub fn modify(&mut self, key: WatchKey, mut interest: Interest) {
        interest.events |= Events::ALWAYS;
        let Some(watch) = self.watches.get_mut(key) else {
            return;
        };
        watch.interest = interest;
        watch.disarmed = false;
        watch.forget_edges();
        watch.source.arm(watch.subscription, interest.events);
        for &(number, forward) in &watch.forwards {
            watch.source.arm(forward, interest.events);
            if let Some(Some(outer)) = self.outers.get(number) {
                outer.watcher.inbox.put(outer.watcher.key);
            }
        }
        if !core::mem::replace(&mut watch.queued, true) {
            self.ready.push_back(key);
        }
        self.inbox.wake_one();
    }

    /// Stops watching. Its key means nothing from now on.
    pub fn delete(&mut self, key: WatchKey) {
        if let Some(watch) = self.watches.remove(key) {
            watch.source.unsubscribe(watch.subscription);
            for (_, forward) in watch.forwards {
                watch.source.unsubscribe(forward);
            }
        }
    }

    /// Forgets candidates whose watches are gone, once they are the greater part: adding and deleting without ever taking
    /// must not pile them up. Constant time for each `add`, on average.
    fn drop_dead_candidates(&mut self) {
        self.empty_inbox();
        if self.ready.len() > 2 * self.watches.len() + SPARE_CANDIDATES {
            self.ready.retain(|&key| self.watches.contains_key(key));
        }
    }

    fn empty_inbox(&mut self) {
        if !self.inbox.is_empty() {
            let mut keys = core::mem::take(&mut self.scratch);
            self.inbox.take(&mut keys);
            for cookie in keys.drain(..) {
                self.hint(cookie);
            }
            self.scratch = keys;
        }
    }

    /// Moves what inbox and backend tell of to the ready list. No system call unless the backend has news.
    fn refill(&mut self) {
        self.empty_inbox();
        if self.backend.has_news() {
            let backend = self.backend.clone();
            if !backend.take(&mut |cookie| self.hint(cookie)) {
                let all: Vec<WatchKey> = self.watches.keys().collect();
                all.iter().for_each(|key| self.hint(key.cookie()));
            }
        }
    }

    fn hint(&mut self, cookie: u64) {
        let key = WatchKey::from_cookie(cookie);
        if let Some(watch) = self.watches.get_mut(key) {
            self.hints = self.hints.wrapping_add(1);
            if !core::mem::replace(&mut watch.queued, true) {
                self.ready.push_back(key);
            }
        }
    }

    /// Takes what is ready, at most `out.len()`; returns how many. Looks at each candidate once; allocates nothing.
    pub fn take(&mut self, out: &mut [Report]) -> usize {
        self.refill();
        let mut taken = 0;
        for _ in 0..self.ready.len() {
            if taken == out.len() {
                break;
            }
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            let Some(watch) = self.watches.get_mut(key) else {
                continue;
            };
            watch.queued = false;
            if watch.disarmed {
                continue; // not armed again either: its source need not signal until MOD
            }
            // What stays in the ready list is looked at again before anybody sleeps: only what leaves it needs a signal.
            let stays = !watch.interest.mode.edge && !watch.interest.mode.one_shot;
            let (mut events, mut edges) = (Events::empty(), Edges::default());
            if stays {
                (events, edges) = watch.look();
            }
            if events.is_empty() {
                watch.source.arm(watch.subscription, watch.interest.events);
                (events, edges) = watch.look();
            }
            watch.seen = edges;
            if events.is_empty() {
                continue;
            }
            out[taken] = Report {
                events,
                data: watch.interest.data,
            };
            taken += 1;
            if watch.interest.mode.one_shot {
                watch.disarmed = true;
            } else if !watch.interest.mode.edge {
                watch.queued = true;
                self.ready.push_back(key);
            }
        }
        // Whoever leaves the ready list non-empty wakes one more.
        if taken > 0 && (!self.ready.is_empty() || !self.inbox.is_empty()) {
            self.inbox.wake_one();
        }
        taken
    }

    /// Whether [`Poller::take`] would find something; takes nothing.
    pub fn has_ready(&mut self) -> bool {
        self.refill();
        while let Some(&key) = self.ready.front() {
            if let Some(watch) = self.watches.get_mut(key) {
                watch.source.arm(watch.subscription, watch.interest.events);
                if !watch.look().0.is_empty() {
                    return true;
                }
                watch.queued = false;
            }
            self.ready.pop_front();
        }
        false
    }

    /// What a thread needs to block: taken first, so that the poller is not held meanwhile.
    pub fn waiting(&self) -> Waiting {
        Waiting {
            inbox: self.inbox.clone(),
            backend: self.backend.clone(),
        }
    }

    /// Arms a watch without queueing it (for `poll`, which looks at all of its fds itself).
    pub fn arm(&mut self, key: WatchKey) {
        if let Some(watch) = self.watches.get(key) {
            watch.source.arm(watch.subscription, watch.interest.events);
        }
    }

    /// Forgets all candidates (for `poll`).
    pub fn forget_candidates(&mut self) {
        self.refill();
        while let Some(key) = self.ready.pop_front() {
            if let Some(watch) = self.watches.get_mut(key) {
                watch.queued = false;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn candidates(&self) -> usize {
        self.ready.len()
    }

    // As a source: every leaf below gets a subscription for whoever watches this poller, so that a signal
    // wakes the outer one directly, whatever backend it waits in.

    pub(crate) fn edges(&self) -> Edges {
        Edges {
            input: self.hints,
            output: 0,
        }
    }

    pub(crate) fn subscribe(&mut self, watcher: &Watcher) -> Option<usize> {
        let number = self.outers.len();
        for watch in self.watches.values_mut() {
            match watch.source.subscribe(watcher, watch.interest.events) {
                Some(forward) => watch.forwards.push((number, forward)),
                None => {
                    self.drop_forwards(number);
                    return None;
                }
            }
        }
        self.outers.push(Some(Outer {
            watcher: watcher.clone(),
        }));
        Some(number)
    }

    pub(crate) fn arm_outer(&mut self, number: usize) {
        for watch in self.watches.values() {
            if watch.disarmed {
                continue;
            }
            // Our own too: each hint that comes in is an edge of this poller.
            watch.source.arm(watch.subscription, watch.interest.events);
            for &(outer, forward) in &watch.forwards {
                if outer == number {
                    watch.source.arm(forward, watch.interest.events);
                }
            }
        }
    }

    pub(crate) fn unsubscribe(&mut self, number: usize) {
        self.drop_forwards(number);
        if let Some(outer) = self.outers.get_mut(number) {
            *outer = None;
        }
        while let Some(None) = self.outers.last() {
            self.outers.pop();
        }
    }

    fn drop_forwards(&mut self, number: usize) {
        for watch in self.watches.values_mut() {
            let source = watch.source.clone();
            watch.forwards.retain(|&(outer, forward)| {
                if outer == number {
                    source.unsubscribe(forward);
                }
                outer != number
            });
        }
    }
}

/// A poller as a blocking thread sees it.
pub struct Waiting {
    inbox: Rc<Inbox>,
    backend: Rc<dyn Backend>,
}

impl Waiting {
    /// Blocks until there may be something to take, somebody interrupts, or the deadline passes. Any number of threads may.
    pub fn wait(&self, deadline: Deadline) -> Woken {
        if !self.inbox.is_empty() {
            return Woken::Events;
        }
        let thread = self.backend.current_thread();
        self.inbox.enter(thread);
        let woken = self.backend.wait(deadline);
        self.inbox.leave(thread);
        if self.inbox.is_empty() {
            woken
        } else {
            Woken::Events
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let keys: Vec<WatchKey> = self.watches.keys().collect();
        keys.into_iter().for_each(|key| self.delete(key));
    }
}
