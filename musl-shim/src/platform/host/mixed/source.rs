// SPDX-License-Identifier: BSD-2-Clause
//! Linux's fds as sources.
//!
//! Two epoll instances of Linux's, edge-triggered, hold each fd: one asks for what comes in, one for what can go out. What they report is published as
//! news of that direction; the level is what poll(2) says at the look. So there is news for each wake-up that Linux made between two looks of ours, as Linux itself
//! coalesces them, also for a write into what is full of unread data already. (One instance for both directions could not tell which of them moved.)
//!
//! Whoever looks takes what the two have ([`settle`]); whoever blocks has both in its ppoll(2).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;

use super::super::raw::{self, nr};
use super::fds::hide;
use super::{Kept, Real};
use crate::abi::EpollEvent;
use crate::files::File;
use crate::poller::core;
use crate::shared::Shared;

const ADD: usize = 1;
const DELETE: usize = 2;
const EDGE: u32 = 1 << 31;
const INPUT: u32 = Events::INPUT.bits() | EDGE;
const OUTPUT: u32 = Events::OUTPUT.bits() | EDGE;

/// For input, for output; -1 if Linux had none: then its fds cannot be watched.
static HUBS: Shared<[i32; 2]> = Shared::new([-1; 2]);

/// Makes the two instances.
pub fn start() {
    for hub in &mut *HUBS.lock() {
        // SAFETY: no pointers.
        let made = unsafe { raw::call(nr::EPOLL_CREATE1, [0]) };
        *hub = made.map_or(-1, |fd| hide(fd) as i32);
    }
}

/// The two instances' fds, to block on; -1 is skipped by ppoll(2).
pub fn hubs() -> [i32; 2] {
    *HUBS.lock()
}

/// After a fork, in the child: the two instances are shared with the parent, so others take their place.
pub fn renew() {
    for hub in hubs() {
        // SAFETY: the shim's own fd, in no use any longer.
        unsafe { raw::syscall(nr::CLOSE, &[hub as usize, 0, 0, 0, 0, 0]) };
    }
    start();
}

/// Publishes what Linux has told of.
pub fn settle() {
    const MOST: usize = 64;
    for hub in hubs() {
        loop {
            let mut events = [EpollEvent { events: 0, data: 0 }; MOST];
            let args = [hub as usize, events.as_mut_ptr() as usize, MOST, 0];
            // SAFETY: the kernel writes up to MOST events into ours.
            let count = unsafe { raw::call(nr::EPOLL_WAIT, args) }.unwrap_or(0);
            for event in &events[..count] {
                let news = Events::from_bits_truncate(event.events);
                core().publish(SourceId(event.data), Events::empty(), news);
            }
            if count < MOST {
                break;
            }
        }
    }
}

/// The level of an fd of Linux's.
struct Level(Arc<AtomicI32>);

impl Remote for Level {
    fn readiness(&self) -> Readiness {
        #[repr(C)]
        struct PollFd {
            fd: i32,
            events: u16,
            revents: u16,
        }
        let mut asked = PollFd {
            fd: self.0.load(Relaxed),
            events: Events::INPUT.union(Events::OUTPUT).bits() as u16,
            revents: 0,
        };
        // SAFETY: the kernel reads and writes one entry of ours.
        unsafe { raw::syscall(nr::POLL, &[&raw mut asked as usize, 1, 0, 0, 0, 0]) };
        Readiness {
            events: Events::from_bits_truncate(asked.revents.into()),
            edges: Edges::default(),
        }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        None
    }
}

/// An fd of Linux's behind a source.
pub struct Behind {
    source: SourceId,
    /// One of its numbers.
    number: Arc<AtomicI32>,
    kept: Cell<Option<Kept>>,
}

impl Behind {
    /// Puts the fd behind the source, which publishes nothing of its own from now on. `None`: Linux tells of no such file.
    pub fn new(source: SourceId, number: i32) -> Option<Behind> {
        let behind = Behind {
            source,
            number: Arc::new(AtomicI32::new(number)),
            kept: Cell::new(None),
        };
        if !behind.control(ADD) {
            behind.control(DELETE);
            return None;
        }
        core().publish(source, Events::empty(), Events::empty());
        let level = Box::new(Level(behind.number.clone()));
        // It has no cells, so all its watchers have room.
        let _ = core().set_remote(source, Some(level));
        // What holds already is reported as an edge; it is none.
        settle();
        Some(behind)
    }

    /// One of its numbers.
    pub fn number(&self) -> i32 {
        self.number.load(Relaxed)
    }

    /// It goes by another of its numbers from now on.
    pub fn set_number(&self, number: i32) {
        self.control(DELETE);
        self.number.store(number, Relaxed);
        self.watch();
    }

    /// Has Linux tell of it once more: in new instances, or under another number.
    pub fn watch(&self) {
        self.control(ADD);
        settle();
    }

    fn control(&self, operation: usize) -> bool {
        let mut done = true;
        for (hub, events) in hubs().into_iter().zip([INPUT, OUTPUT]) {
            let event = EpollEvent {
                events,
                data: self.source.0,
            };
            let event = &raw const event as usize;
            let args = [hub as usize, operation, self.number() as usize, event];
            // SAFETY: the kernel reads the event.
            done &= unsafe { raw::call(nr::EPOLL_CTL, args) }.is_ok();
        }
        done
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.control(DELETE);
    }
}

/// An open file of Linux's: only what watching it needs; all else goes to Linux directly. `None`: it is always ready.
pub struct HostFile(Option<Behind>);

impl HostFile {
    /// Of the fd with this number.
    pub fn new(number: i32) -> HostFile {
        let source = core().open(Events::empty());
        let behind = Behind::new(source, number);
        if behind.is_none() {
            core().close(source);
        }
        HostFile(behind)
    }
}

impl File for HostFile {
    fn source(&self) -> SourceId {
        self.0
            .as_ref()
            .map_or(SourceId::NONE, |behind| behind.source)
    }

    fn real(&self) -> Option<&dyn Real> {
        self.0.as_ref().map(|behind| behind as &dyn Real)
    }
}

impl Real for Behind {
    fn number(&self) -> i32 {
        Behind::number(self)
    }

    fn take_number(&self, number: i32) {
        self.set_number(number);
    }

    fn keep(&self, kept: Kept) {
        self.set_number(kept.number());
        self.kept.set(Some(kept));
    }

    fn watch_again(&self) {
        self.watch();
    }
}
