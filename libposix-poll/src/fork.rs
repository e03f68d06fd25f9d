// SPDX-License-Identifier: BSD-2-Clause
//! fork: a copy of the core in another process, which has none of the first one's queues, watch slots and subscription cells.

use crate::backend::Kernel;
use crate::event_core::Core;
use crate::remote::Member;
use crate::slab::NONE;
use alloc::vec::Vec;

impl<K: Kernel> Core<K> {
    /// In the child, before anything else is done there: interest lists, ready lists and levels stay as they are; watches of shared sources get
    /// places of their own once their instance is used: most children never use the parent's, and places are few. The sets of poll are gone: they were the threads'.
    pub fn after_fork(&mut self) {
        self.only_thread();
        // The places are the parent's: forgotten, not given back.
        let mut lost = Vec::new();
        for at in self.watches.numbers() {
            if core::mem::replace(&mut self.watches[at].slot, NONE) != NONE {
                lost.push(at);
            }
        }
        for at in self.sources.numbers() {
            if let Some(shared) = self.sources[at].shared_mut() {
                shared.forget_cells();
            }
        }
        for at in self.instances.numbers() {
            let member = &mut self.instances[at].member;
            if !member.is_none() {
                *member = Member::Copied;
            }
            self.instances[at].exclusive = None;
        }
        self.transport.forget();
        for at in self.instances.numbers() {
            if self.instances[at].source == NONE {
                self.delete_instance(at);
            }
        }
        // What happens from now on until it has a place is told to nobody: it is to be looked at.
        for at in lost {
            if self.watches[at].instance == NONE {
                continue;
            }
            self.queue(at);
        }
    }

    /// First use of an instance that a fork has copied, or a program has got from another. A watch for which there is no place is told nothing more by other processes.
    #[cold]
    pub(crate) fn settle(&mut self, instance: u32) {
        self.instances[instance].member = Member::None;
        let all: Vec<u32> = self.watches_of(instance).collect();
        for at in all {
            let seen = self.watches[at].seen;
            if !self.watches[at].has_place() && self.take_place(at).is_ok() {
                self.placed(at, seen);
            }
        }
    }
}
