// SPDX-License-Identifier: BSD-2-Clause
//! What every backend must do: one suite, run on the queue and badge backends over the model kernel, on the host backend, and on
//! sources in the same process, which need no backend.

mod random;
mod regressions;
mod suite;
mod traps;

use crate::backend::badge::{BadgeBackend, BadgeHub};
use crate::backend::host::{HostBackend, HostSignals};
use crate::backend::queue::QueueBackend;
use crate::backend::{Backend, WatchSlots, Woken};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::FileId;
use crate::frontend::epoll::{Epoll, Operation, Target};
use crate::model::Model;
use crate::watch::Report;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::local::LocalSubscriptions;
use vfs_hooks::shared::SharedWatchers;
use vfs_hooks::source::{Edges, Readiness, Slots, Source, Watcher};
use vfs_hooks::subscription::Subscriptions;

/// Where the sources are, and what carries their signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// In another process, on the kernel with queues.
    Queue,
    /// In another process, on the stock kernel.
    Badge,
    /// On another thread of Linux.
    Host,
    /// In this process.
    Local,
}

pub const SETTINGS: [Setting; 4] = [
    Setting::Queue,
    Setting::Badge,
    Setting::Host,
    Setting::Local,
];

/// A process and its kernel.
pub struct World {
    pub setting: Setting,
    pub model: Rc<Model>,
    hub: Rc<BadgeHub>,
    slots: Rc<WatchSlots>,
    /// One for each backend: slots of different ones are told apart by who attached them.
    hosts: Rc<RefCell<Vec<HostSignals>>>,
    files: Cell<u64>,
}

/// Slots of host backend `i` count from here.
const HOST_SLOTS: u32 = 1 << 16;

/// A host backend whose slots say which backend they are of.
struct NumberedHost {
    number: u32,
    backend: HostBackend,
}

impl Slots for NumberedHost {
    fn attach(&self, key: u64) -> Option<u32> {
        Some(self.number * HOST_SLOTS + self.backend.attach(key)?)
    }

    fn kick(&self, thread: usize) {
        self.backend.kick(thread);
    }

    fn detach(&self, slot: u32, key: u64) {
        self.backend.detach(slot % HOST_SLOTS, key);
    }
}

impl Backend for NumberedHost {
    fn has_news(&self) -> bool {
        self.backend.has_news()
    }

    fn take(&self, hint: &mut dyn FnMut(u64)) -> bool {
        self.backend.take(hint)
    }

    fn current_thread(&self) -> usize {
        0
    }

    fn wait(&self, deadline: Deadline) -> Woken {
        self.backend.wait(deadline)
    }
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let model = Rc::new(Model::new(setting != Setting::Badge));
        let slots = Rc::new(WatchSlots::default());
        World {
            setting,
            hub: Rc::new(BadgeHub::new(model.clone(), slots.clone())),
            model,
            slots,
            hosts: Rc::default(),
            files: Cell::new(0),
        }
    }

    /// What another process does while this one waits. On the host backend, which has no script, it does so before.
    pub fn then(&self, step: impl FnOnce() + 'static) {
        match self.setting {
            Setting::Host => step(),
            _ => self.model.then(move |_| step()),
        }
    }

    /// Somebody kicks the thread while it waits.
    pub fn kick_later(&self) {
        match self.setting {
            Setting::Host => self.hosts.borrow().iter().for_each(HostSignals::kick),
            _ => self.model.then(|model| model.kick()),
        }
    }

    pub fn backend(&self) -> Rc<dyn Backend> {
        match self.setting {
            Setting::Badge => Rc::new(BadgeBackend::new(self.hub.clone())),
            Setting::Host => {
                let mut hosts = self.hosts.borrow_mut();
                let (number, backend) = (hosts.len() as u32, HostBackend::new());
                hosts.push(backend.signals());
                Rc::new(NumberedHost { number, backend })
            }
            _ => Rc::new(QueueBackend::new(self.model.clone(), self.slots.clone())),
        }
    }

    pub fn epoll(&self) -> Rc<Epoll> {
        Rc::new(Epoll::new(self.backend()))
    }

    fn file(&self) -> FileId {
        self.files.set(self.files.get() + 1);
        FileId(self.files.get())
    }

    pub fn probe(&self) -> Probe {
        Probe {
            file: self.file(),
            source: Rc::new(ProbeSource {
                model: self.model.clone(),
                hosts: (self.setting == Setting::Host).then(|| self.hosts.clone()),
                shared: (self.setting != Setting::Local)
                    .then(|| (Subscriptions::default(), SharedWatchers::default())),
                local: LocalSubscriptions::default(),
                level: Cell::new(Events::empty()),
                edges: Cell::new(Edges::default()),
            }),
        }
    }

    pub fn target(&self, fd: i32, epoll: &Rc<Epoll>) -> Target {
        Target {
            fd,
            file: self.file(),
            source: Some(epoll.clone()),
            epoll: Some(epoll.clone()),
        }
    }
}

/// A source that does as it is told.
pub struct ProbeSource {
    model: Rc<Model>,
    hosts: Option<Rc<RefCell<Vec<HostSignals>>>>,
    shared: Option<(Subscriptions, SharedWatchers)>,
    local: LocalSubscriptions,
    level: Cell<Events>,
    edges: Cell<Edges>,
}

impl ProbeSource {
    /// Something happened: these events hold now too, and this is new.
    pub fn raise(&self, events: Events) {
        self.level.set(self.level.get() | events);
        let mut edges = self.edges.get();
        edges.input += u32::from(events.intersects(Events::INPUT));
        edges.output += u32::from(events.intersects(Events::OUTPUT));
        self.edges.set(edges);
        match &self.shared {
            Some((cells, _)) => cells.notify(events, |slot| match &self.hosts {
                Some(hosts) => {
                    hosts.borrow()[(slot / HOST_SLOTS) as usize].signal(slot % HOST_SLOTS);
                }
                None => self.model.signal(slot),
            }),
            None => self.local.notify(events),
        }
    }

    /// The user drained it.
    pub fn lower(&self, events: Events) {
        self.level.set(self.level.get() - events);
    }
}

impl Source for ProbeSource {
    fn readiness(&self) -> Readiness {
        Readiness {
            events: self.level.get(),
            edges: self.edges.get(),
        }
    }

    fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
        match &self.shared {
            Some((cells, watchers)) => watchers.subscribe(cells, watcher, interest),
            None => self.local.subscribe(watcher, interest),
        }
    }

    fn arm(&self, subscription: usize, interest: Events) {
        match &self.shared {
            Some((cells, watchers)) => watchers.arm(cells, subscription, interest),
            None => self.local.arm(subscription, interest),
        }
    }

    fn unsubscribe(&self, subscription: usize) {
        match &self.shared {
            Some((cells, watchers)) => watchers.unsubscribe(cells, subscription),
            None => self.local.unsubscribe(subscription),
        }
    }
}

/// An open file over a probe.
#[derive(Clone)]
pub struct Probe {
    pub file: FileId,
    pub source: Rc<ProbeSource>,
}

impl Probe {
    pub fn target(&self, fd: i32) -> Target {
        Target {
            fd,
            file: self.file,
            source: Some(self.source.clone()),
            epoll: None,
        }
    }

    pub fn add(&self, epoll: &Rc<Epoll>, fd: i32, events: u32) -> Result<(), Errno> {
        let data = fd as u64;
        epoll.control(Operation::Add { events, data }, &self.target(fd))
    }

    pub fn modify(&self, epoll: &Rc<Epoll>, fd: i32, events: u32) -> Result<(), Errno> {
        let data = fd as u64;
        epoll.control(Operation::Modify { events, data }, &self.target(fd))
    }
}

/// Takes up to `max`; (data, events) in the order reported.
pub fn take(epoll: &Epoll, max: usize) -> Vec<(u64, Events)> {
    let mut out = std::vec![Report::default(); max];
    let n = epoll.take(&mut out);
    out[..n].iter().map(|r| (r.data, r.events)).collect()
}
