// SPDX-License-Identifier: BSD-2-Clause
//! Nested instances. A signal of a shared source below an inner instance goes to the inner instance's backend; a thread that blocks in the
//! outer one hears of it by a place of its own at the same source, taken when it first blocks: a forward.

use crate::backend::Kernel;
use crate::event_core::Core;
use crate::slab::NONE;
use crate::watch::{Interest, Mode, Purpose};
use alloc::vec::Vec;
use vfs_hooks::Events;

impl<K: Kernel> Core<K> {
    /// Takes places at all shared sources below the instance, and gives back those that are below it no longer.
    pub(crate) fn forward(&mut self, instance: u32) {
        let mut below = Vec::new();
        self.shared_below(instance, &mut below);
        let mut missing: Vec<u32> = below.iter().map(|&at| self.watches[at].source).collect();
        missing.sort_unstable();
        missing.dedup();
        for at in self.instances[instance].forwards.clone() {
            match missing.binary_search(&self.watches[at].source) {
                Ok(index) => {
                    missing.remove(index);
                    self.arm(at);
                }
                Err(_) => self.delete_watch(at),
            }
        }
        for source in missing {
            let interest = Interest {
                events: Events::all(),
                mode: Mode::empty(),
                data: 0,
            };
            // Without room the outer instance hears of this source when somebody looks: see CAVEATS.
            if let Ok(at) = self.add(instance, source, -1, interest, Purpose::Forward) {
                self.instances[instance].forwards.push(at);
            }
        }
        // Armed; now everything below is looked at once more.
        for leaf in below {
            self.arm(leaf);
            self.hint(leaf, instance);
        }
        self.has_ready(instance);
    }

    /// Watches of shared sources in the instances below this one.
    fn shared_below(&self, instance: u32, below: &mut Vec<u32>) {
        for at in self.watches_of(instance) {
            let inner = self.sources[self.watches[at].source].instance;
            if inner == NONE {
                continue;
            }
            let leaves = self.watches_of(inner);
            below.extend(leaves.filter(|&leaf| self.watches[leaf].has_place()));
            if self.instances[inner].nested > 0 {
                self.shared_below(inner, below);
            }
        }
    }
}
