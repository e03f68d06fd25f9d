// SPDX-License-Identifier: BSD-2-Clause
//! fork: a copy of the core in another process, which has none of the first one's queues, watch slots and subscription cells.

use crate::backend::Kernel;
use crate::event_core::Core;
use crate::remote::Member;
use crate::slab::NONE;
use alloc::vec::Vec;

impl<K: Kernel> Core<K> {
    /// In the child, before anything else is done there: interest lists, ready lists and levels stay as they are; watches of shared sources get
    /// places of their own. A watch for which there is none is told nothing more by other processes. The sets of poll are gone: they were the threads'.
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
            self.instances[at].member = Member::None;
            self.instances[at].exclusive = None;
        }
        self.transport.forget();
        for at in self.instances.numbers() {
            if self.instances[at].source == NONE {
                self.delete_instance(at);
            }
        }
        for at in lost {
            if self.watches[at].instance == NONE {
                continue;
            }
            let _ = self.take_place(at);
            // What happened before it had the place was told to the parent.
            self.queue(at);
        }
    }
}
