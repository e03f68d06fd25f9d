// SPDX-License-Identifier: BSD-2-Clause
//! poll(2): look at all fds; only to block, watch them, in a set that the thread keeps.
//!
//! ```text
//! n = scan(fds)                           no system call
//! if n > 0 or the timeout is 0            return n
//! set.arm(fds)                            attaches what was not in the set (trap 16: nothing, the second time)
//! loop {
//!     n = scan(fds); if n > 0 or the deadline passed    return n
//!     set.wait(deadline)
//! }
//! ```

use crate::backend::{Backend, Woken};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::FileId;
use crate::poller::Poller;
use crate::watch::{Interest, Mode, WatchKey};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;
use vfs_hooks::Events;
use vfs_hooks::source::Source;

/// What poll may ask for; the rest of `events` is ignored, as on Linux.
const ASKABLE: Events = Events::IN
    .union(Events::PRI)
    .union(Events::OUT)
    .union(Events::RDNORM)
    .union(Events::RDBAND)
    .union(Events::WRNORM)
    .union(Events::WRBAND)
    .union(Events::RDHUP);

/// One entry: struct pollfd without its layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollFd {
    /// Negative: skipped.
    pub fd: i32,
    /// What is asked for.
    pub events: u16,
    /// The only field that is written (trap 8).
    pub revents: u16,
}

/// What an fd is to poll.
pub enum Polled {
    /// Not open: NVAL.
    Closed,
    /// A regular file: always ready (trap 14).
    AlwaysReady,
    /// A source.
    Source(FileId, Rc<dyn Source>),
}

/// What the entry reports now.
pub fn revents(entry: &PollFd, polled: &Polled) -> Events {
    let asked = Events::from_bits_truncate(entry.events.into()) & ASKABLE;
    match polled {
        Polled::Closed => Events::NVAL,
        Polled::AlwaysReady => asked & (Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM),
        Polled::Source(_, source) => source.readiness().events & (asked | Events::ALWAYS),
    }
}

/// Fills in `revents`; returns how many are not 0.
pub fn scan(fds: &mut [PollFd], mut lookup: impl FnMut(i32) -> Polled) -> usize {
    let mut ready = 0;
    for entry in fds {
        entry.revents = 0;
        if entry.fd >= 0 {
            entry.revents = revents(entry, &lookup(entry.fd)).bits() as u16;
        }
        ready += usize::from(entry.revents != 0);
    }
    ready
}

struct Kept {
    key: WatchKey,
    events: Events,
    /// The call that last used it.
    used: u64,
}

/// A thread's kept watches, by open file: a file polled under two numbers needs one.
pub struct PollSet {
    poller: RefCell<Poller>,
    kept: RefCell<BTreeMap<FileId, Kept>>,
    call: core::cell::Cell<u64>,
}

/// Watches that may be kept unused beside those in use.
const SPARE: usize = 64;

impl PollSet {
    /// An empty set.
    pub fn new(backend: Rc<dyn Backend>) -> Self {
        PollSet {
            poller: RefCell::new(Poller::new(backend)),
            kept: RefCell::default(),
            call: core::cell::Cell::new(0),
        }
    }

    /// Begins a call that will block: watches added from now on belong to it.
    pub fn begin(&self) {
        self.call.set(self.call.get() + 1);
        self.poller.borrow_mut().forget_candidates();
    }

    /// Makes sure that the source will wake the thread for `events`. Look at it afterwards. ENOSPC: it has no room.
    pub fn arm(&self, file: FileId, source: &Rc<dyn Source>, events: Events) -> Result<(), Errno> {
        let call = self.call.get();
        let mut kept = self.kept.borrow_mut();
        let mut poller = self.poller.borrow_mut();
        let interest = |events| Interest {
            events,
            mode: Mode::default(),
            data: 0,
        };
        if let Some(kept) = kept.get_mut(&file) {
            // The same file twice in one call: the union.
            let wanted = if kept.used == call {
                kept.events | events
            } else {
                events
            };
            if kept.events != wanted {
                kept.events = wanted;
                poller.modify(kept.key, interest(wanted));
            } else {
                poller.arm(kept.key);
            }
            kept.used = call;
            return Ok(());
        }
        let key = poller.add(source.clone(), interest(events))?;
        let used = call;
        kept.insert(file, Kept { key, events, used });
        Ok(())
    }

    /// Ends arming: what was not used in this call goes, if there is much of it.
    pub fn armed(&self) {
        let call = self.call.get();
        let mut kept = self.kept.borrow_mut();
        let used = kept.values().filter(|k| k.used == call).count();
        let mut poller = self.poller.borrow_mut();
        if kept.len() > used + SPARE {
            kept.retain(|_, k| {
                if k.used != call {
                    poller.delete(k.key);
                }
                k.used == call
            });
        }
        poller.forget_candidates();
    }

    /// Blocks until an armed source may have something, somebody interrupts, or the deadline passes. Arm again before the next wait.
    pub fn wait(&self, deadline: Deadline) -> Woken {
        let waiting = self.poller.borrow().waiting();
        waiting.wait(deadline)
    }

    /// The open file was closed for good.
    pub fn forget(&self, file: FileId) {
        if let Some(kept) = self.kept.borrow_mut().remove(&file) {
            self.poller.borrow_mut().delete(kept.key);
        }
    }
}
