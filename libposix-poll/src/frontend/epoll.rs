// SPDX-License-Identifier: BSD-2-Clause
//! epoll_create(2), epoll_ctl(2), epoll_wait(2).

use crate::backend::{Backend, Woken};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::FileId;
use crate::poller::Poller;
use crate::watch::{Interest, Mode, Report, WatchKey};
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use vfs_hooks::Events;
use vfs_hooks::source::{Readiness, Source, Watcher};

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

/// The file that an fd names.
#[derive(Clone)]
pub struct Target {
    /// The number it was named by: part of the registration's key.
    pub fd: i32,
    /// Which open file.
    pub file: FileId,
    /// `None`: it cannot be watched (regular files, directories): EPERM.
    pub source: Option<Rc<dyn Source>>,
    /// Set if it is an epoll instance.
    pub epoll: Option<Rc<Epoll>>,
}

struct Entry {
    key: WatchKey,
    exclusive: bool,
    inner: Option<Rc<Epoll>>,
}

/// An epoll instance.
pub struct Epoll {
    poller: RefCell<Poller>,
    /// By open file first, so that closing one finds all of its entries.
    entries: RefCell<BTreeMap<(FileId, i32), Entry>>,
    /// Instances that watch this one, once for each registration.
    above: RefCell<Vec<Weak<Epoll>>>,
}

impl Epoll {
    /// epoll_create1
    pub fn new(backend: Rc<dyn Backend>) -> Self {
        Epoll {
            poller: RefCell::new(Poller::new(backend)),
            entries: RefCell::default(),
            above: RefCell::default(),
        }
    }

    /// epoll_ctl. EEXIST, ENOENT, EPERM, EINVAL, ELOOP, ENOSPC as the man page has them.
    pub fn control(self: &Rc<Self>, operation: Operation, target: &Target) -> Result<(), Errno> {
        let source = target.source.clone().ok_or(Errno::PERM)?;
        if target.epoll.as_ref().is_some_and(|e| Rc::ptr_eq(e, self)) {
            return Err(Errno::INVAL);
        }
        let key = (target.file, target.fd);
        match operation {
            Operation::Add { events, data } => {
                let exclusive = events & EXCLUSIVE != 0;
                if exclusive && (events & !EXCLUSIVE_OK != 0 || target.epoll.is_some()) {
                    return Err(Errno::INVAL);
                }
                if let Some(inner) = &target.epoll
                    && (inner.reaches(self) || self.height() + inner.depth() > MAX_DEPTH)
                {
                    return Err(Errno::LOOP);
                }
                if self.entries.borrow().contains_key(&key) {
                    return Err(Errno::EXIST);
                }
                let watch = self
                    .poller
                    .borrow_mut()
                    .add(source, interest(events, data))?;
                let entry = Entry {
                    key: watch,
                    exclusive,
                    inner: target.epoll.clone(),
                };
                if let Some(inner) = &target.epoll {
                    inner.above.borrow_mut().push(Rc::downgrade(self));
                }
                self.entries.borrow_mut().insert(key, entry);
            }
            Operation::Modify { events, data } => {
                // Exclusive is for ADD only, and what was added so cannot be modified.
                if events & EXCLUSIVE != 0 {
                    return Err(Errno::INVAL);
                }
                let entries = self.entries.borrow();
                let entry = entries.get(&key).ok_or(Errno::NOENT)?;
                if entry.exclusive {
                    return Err(Errno::INVAL);
                }
                self.poller
                    .borrow_mut()
                    .modify(entry.key, interest(events, data));
            }
            Operation::Delete => {
                let entry = self.entries.borrow_mut().remove(&key);
                let entry = entry.ok_or(Errno::NOENT)?;
                self.drop_entry(&entry);
            }
        }
        Ok(())
    }

    /// Takes what is ready; see [`Poller::take`].
    pub fn take(&self, out: &mut [Report]) -> usize {
        self.poller.borrow_mut().take(out)
    }

    /// Blocks; see [`crate::poller::Waiting::wait`].
    pub fn wait(&self, deadline: Deadline) -> Woken {
        let waiting = self.poller.borrow().waiting();
        waiting.wait(deadline)
    }

    /// The open file was closed for good: its watches go, under whatever numbers.
    pub fn forget(&self, file: FileId) {
        let mut entries = self.entries.borrow_mut();
        while let Some((&key, _)) = entries.range((file, i32::MIN)..=(file, i32::MAX)).next() {
            if let Some(entry) = entries.remove(&key) {
                self.drop_entry(&entry);
            }
        }
    }

    fn drop_entry(&self, entry: &Entry) {
        self.poller.borrow_mut().delete(entry.key);
        if let Some(inner) = &entry.inner {
            let mut above = inner.above.borrow_mut();
            // Those that ended without deleting their entries go as well.
            above.retain(|epoll| epoll.strong_count() != 0);
            let this = above.iter().position(|e| core::ptr::eq(e.as_ptr(), self));
            this.map(|index| above.swap_remove(index));
        }
    }

    /// Entries in the interest list.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Candidates that the ready list holds.
    #[cfg(test)]
    pub(crate) fn candidates(&self) -> usize {
        self.poller.borrow().candidates()
    }

    /// Whether `other` is this instance or below it.
    fn reaches(&self, other: &Epoll) -> bool {
        core::ptr::eq(self, other)
            || self
                .entries
                .borrow()
                .values()
                .any(|e| e.inner.as_ref().is_some_and(|i| i.reaches(other)))
    }

    /// Epoll instances on the longest chain from here up.
    fn height(&self) -> usize {
        let above = self.above.borrow();
        let heights = above.iter().filter_map(|e| Some(e.upgrade()?.height()));
        1 + heights.max().unwrap_or(0)
    }

    /// Epoll instances on the longest chain from here down.
    fn depth(&self) -> usize {
        let entries = self.entries.borrow();
        let below = entries
            .values()
            .filter_map(|e| Some(e.inner.as_ref()?.depth()));
        1 + below.max().unwrap_or(0)
    }
}

/// An epoll instance is readable while it has something to report (trap 11: found out at the look).
impl Source for Epoll {
    fn readiness(&self) -> Readiness {
        let mut poller = self.poller.borrow_mut();
        let mut events = Events::empty();
        if poller.has_ready() {
            events = Events::IN | Events::RDNORM;
        }
        Readiness {
            events,
            edges: poller.edges(),
        }
    }

    fn subscribe(&self, watcher: &Watcher, _interest: Events) -> Option<usize> {
        self.poller.borrow_mut().subscribe(watcher)
    }

    fn arm(&self, subscription: usize, _interest: Events) {
        self.poller.borrow_mut().arm_outer(subscription);
    }

    fn unsubscribe(&self, subscription: usize) {
        self.poller.borrow_mut().unsubscribe(subscription);
    }
}

fn interest(events: u32, data: u64) -> Interest {
    Interest {
        events: Events::from_bits_truncate(events),
        mode: Mode {
            edge: events & EDGE != 0,
            one_shot: events & ONE_SHOT != 0,
        },
        data,
    }
}
