// SPDX-License-Identifier: BSD-2-Clause
//! epoll_create(2) and epoll_ctl(2); epoll_wait(2) is [`Core::take`] and [`Core::block`].

use crate::backend::Kernel;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::instance::InstanceId;
use crate::slab::NONE;
use crate::watch::{Interest, Mode, Purpose};
use vfs_hooks::Events;
use vfs_hooks::source::SourceId;

/// EPOLLEXCLUSIVE
pub const EXCLUSIVE: u32 = 1 << 28;
/// EPOLLWAKEUP: accepted; there is no suspend to prevent.
pub const WAKEUP: u32 = 1 << 29;
/// EPOLLONESHOT
pub const ONE_SHOT: u32 = 1 << 30;
/// EPOLLET
pub const EDGE: u32 = 1 << 31;

/// What EPOLLEXCLUSIVE may come with (epoll_ctl(2)).
const EXCLUSIVE_OK: u32 = EXCLUSIVE
    | WAKEUP
    | EDGE
    | Events::IN.bits()
    | Events::OUT.bits()
    | Events::ERR.bits()
    | Events::HUP.bits();

/// Most epoll instances in a chain, counted in both directions from the new link (Linux 6.18; older ones look down only).
const MAX_DEPTH: usize = 5;

/// An operation of epoll_ctl: `events` and `data` as in struct epoll_event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// EPOLL_CTL_ADD
    Add {
        /// Events and flags.
        events: u32,
        /// The user's word.
        data: u64,
    },
    /// EPOLL_CTL_MOD
    Modify {
        /// Events and flags.
        events: u32,
        /// The user's word.
        data: u64,
    },
    /// EPOLL_CTL_DEL
    Delete,
}

pub(crate) fn interest(events: u32, data: u64) -> Interest {
    Interest {
        events: Events::from_bits_truncate(events),
        // The three bits lie side by side, and in another order than ours.
        mode: Mode::from_bits_truncate(
            (events >> 31) as u8 | (events >> 29) as u8 & 2 | (events >> 26) as u8 & 4,
        ),
        data,
    }
}

/// The flags that a mode came from.
pub(crate) fn flags(mode: Mode) -> u32 {
    let all = [
        (Mode::EDGE, EDGE),
        (Mode::ONE_SHOT, ONE_SHOT),
        (Mode::EXCLUSIVE, EXCLUSIVE),
    ];
    let set = all.into_iter().filter(|(bit, _)| mode.contains(*bit));
    set.fold(0, |flags, (_, flag)| flags | flag)
}

impl<K: Kernel> Core<K> {
    /// epoll_create1(2): a new instance, and the source that it is. Closing the source ends the instance.
    pub fn epoll_create(&mut self) -> (InstanceId, SourceId) {
        let instance = self.new_instance();
        let source = self.open_instance(instance);
        self.instances[instance].source = source;
        (
            self.instance_id(instance),
            SourceId(self.sources.key(source)),
        )
    }

    /// epoll_ctl(2). A registration's key is the number and the open file, of which `source` is the only one ([`SourceId::NONE`] for a file that cannot be
    /// watched). EEXIST, ENOENT, EPERM, EINVAL, ELOOP, ENOSPC as the man page has them.
    pub fn epoll_ctl(
        &mut self,
        epoll: InstanceId,
        operation: Operation,
        fd: i32,
        source: SourceId,
    ) -> Result<(), Errno> {
        let source = self.sources.find(source.0).ok_or(Errno::PERM)?;
        let instance = self.find_instance(epoll).ok_or(Errno::INVAL)?;
        let inner = self.sources[source].instance;
        if inner == instance {
            return Err(Errno::INVAL);
        }
        let found = self.find_watch(source, instance, fd);
        match operation {
            Operation::Add { events, data } => {
                self.may_add(instance, inner, events)?;
                if found.is_some() {
                    return Err(Errno::EXIST);
                }
                self.add(
                    instance,
                    source,
                    fd,
                    interest(events, data),
                    Purpose::Report,
                )?;
            }
            Operation::Modify { events, data } => {
                // Exclusive is for ADD only, and what was added so cannot be modified.
                if events & EXCLUSIVE != 0 {
                    return Err(Errno::INVAL);
                }
                let at = found.ok_or(Errno::NOENT)?;
                if self.watches[at].mode.contains(Mode::EXCLUSIVE) {
                    return Err(Errno::INVAL);
                }
                self.modify(at, interest(events, data));
            }
            Operation::Delete => self.delete_watch(found.ok_or(Errno::NOENT)?),
        }
        Ok(())
    }

    /// What epoll_ctl(2) says of adding a source that is the instance `inner`, or none.
    #[inline]
    pub(crate) fn may_add(&self, instance: u32, inner: u32, events: u32) -> Result<(), Errno> {
        let exclusive = events & EXCLUSIVE != 0;
        if exclusive && (events & !EXCLUSIVE_OK != 0 || inner != NONE) {
            return Err(Errno::INVAL);
        }
        if inner != NONE
            && (self.reaches(inner, instance)
                || self.height(instance) + self.depth(inner) > MAX_DEPTH)
        {
            return Err(Errno::LOOP);
        }
        Ok(())
    }

    /// Instances that this one watches.
    pub(crate) fn inner(&self, instance: u32) -> impl Iterator<Item = u32> {
        // Most instances watch none: they need not be searched.
        let all = (self.instances[instance].nested > 0).then(|| self.watches_of(instance));
        all.into_iter()
            .flatten()
            .map(|at| self.sources[self.watches[at].source].instance)
            .filter(|&inner| inner != NONE)
    }

    /// Whether `other` is this instance or below it.
    fn reaches(&self, instance: u32, other: u32) -> bool {
        instance == other || self.inner(instance).any(|inner| self.reaches(inner, other))
    }

    /// Epoll instances on the longest chain from here up.
    fn height(&self, instance: u32) -> usize {
        let (mut most, mut at) = (
            0,
            self.sources[self.instances[instance].source].watches.head,
        );
        while at != NONE {
            let watch = &self.watches[at];
            if watch.purpose == Purpose::Report {
                most = most.max(self.height(watch.instance));
            }
            at = watch.at_source.next;
        }
        1 + most
    }

    /// Epoll instances on the longest chain from here down.
    fn depth(&self, instance: u32) -> usize {
        1 + self
            .inner(instance)
            .map(|i| self.depth(i))
            .max()
            .unwrap_or(0)
    }
}
