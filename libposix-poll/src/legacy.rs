// SPDX-License-Identifier: BSD-2-Clause
//! execve(2), posix_spawn(3): an instance as another program gets it, which has a core of its own. It is filled as a fork's copy is: watches of
//! shared sources get their places when it is first used.

use crate::backend::Kernel;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::frontend::epoll;
use crate::instance::InstanceId;
use crate::remote::Member;
use crate::watch::{Interest, Mode, Purpose, Watch};
use alloc::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Edges, SourceId};

/// An entry of an interest list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The source,
    pub source: SourceId,
    /// and the number that it was named by.
    pub fd: i32,
    /// Events and flags as epoll_ctl(2) has them; no event of a one-shot watch that is spent, not even those that are always reported.
    pub events: u32,
    /// The user's word.
    pub data: u64,
    /// It is in the ready list.
    pub queued: bool,
    /// The edges of a shared source that it has been told of.
    pub seen: Edges,
}

impl<K: Kernel> Core<K> {
    /// The interest list of an instance, as it is.
    pub fn kept(&self, id: InstanceId) -> Vec<Kept> {
        let instance = self.find_instance(id).into_iter();
        let all = instance.flat_map(|instance| self.watches_of(instance));
        all.map(|at| {
            let watch = &self.watches[at];
            Kept {
                source: SourceId(self.sources.key(watch.source)),
                fd: watch.fd,
                events: watch.interest.bits() | epoll::flags(watch.mode),
                data: watch.data,
                queued: watch.queued,
                seen: watch.seen,
            }
        })
        .collect()
    }

    /// Puts back an entry that [`Core::kept`] told of in another process; `kept.source` is what names the source here. Errors of epoll_ctl(2).
    pub fn put_back(&mut self, id: InstanceId, kept: &Kept) -> Result<(), Errno> {
        let source = self.sources.find(kept.source.0).ok_or(Errno::PERM)?;
        let instance = self.find_instance(id).ok_or(Errno::INVAL)?;
        self.may_add(instance, self.sources[source].instance, kept.events)?;
        if self.find_watch(source, instance, kept.fd).is_some() {
            return Err(Errno::EXIST);
        }
        let interest: Interest = epoll::interest(kept.events, kept.data);
        let watch = Watch::new(source, instance, kept.fd, interest, Purpose::Report);
        let at = self.insert_watch(watch);
        self.watches[at].interest = interest.events;
        self.watches[at].seen = kept.seen;
        if self.instances[instance].member.is_none() {
            self.instances[instance].member = Member::Copied;
        }
        if kept.queued {
            self.queue(at);
        }
        Ok(())
    }

    /// A watch has got its place on the first use of its instance. It is looked at, but for an edge-triggered one whose source has not moved.
    pub(crate) fn placed(&mut self, at: u32, seen: Edges) {
        let watch = &self.watches[at];
        let unmoved = watch.has_place() && !watch.seen.moved(seen, watch.interest);
        if !(unmoved && watch.mode.contains(Mode::EDGE)) && watch.interest != Events::empty() {
            self.queue(at);
        }
    }
}
