// SPDX-License-Identifier: BSD-2-Clause
//! What every backend must do: one suite, run on the queue and badge backends over the model kernel, and on sources in the same
//! process, which need no backend.

mod random;
mod regressions;
mod shared;
mod suite;
mod threads;
mod traps;

use crate::backend::Woke;
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::frontend::epoll::Operation;
use crate::instance::InstanceId;
use crate::model::Model;
use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;

/// Where the sources are, and what carries their signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// In another process, on the kernel with queues.
    Queue,
    /// In another process, on the stock kernel.
    Badge,
    /// In this process.
    Local,
}

pub const SETTINGS: [Setting; 3] = [Setting::Queue, Setting::Badge, Setting::Local];

pub fn everywhere(check: impl Fn(&mut World)) {
    for setting in SETTINGS {
        std::println!("{setting:?}");
        check(&mut World::new(setting));
    }
}

/// Why a wait came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be something to take.
    Events,
    /// The deadline passed, or somebody kicked the thread.
    Interrupted,
}

type Step = Box<dyn FnOnce(&mut World)>;

/// A process and its kernel.
pub struct World {
    pub setting: Setting,
    pub core: Core<Model>,
    pub model: Model,
    script: VecDeque<Step>,
    kicked: bool,
}

/// An epoll instance.
#[derive(Clone, Copy, Debug)]
pub struct Epoll {
    pub id: InstanceId,
    pub source: SourceId,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let model = Model::new(setting != Setting::Badge);
        World {
            setting,
            core: Core::new(model.clone()),
            model,
            script: VecDeque::new(),
            kicked: false,
        }
    }

    /// What others do while this thread waits.
    pub fn then(&mut self, step: impl FnOnce(&mut World) + 'static) {
        self.script.push_back(Box::new(step));
    }

    /// Somebody kicks the thread.
    pub fn kick(&mut self) {
        self.kicked = true;
    }

    pub fn epoll(&mut self) -> Epoll {
        let (id, source) = self.core.epoll_create();
        Epoll { id, source }
    }

    pub fn probe(&mut self) -> Probe {
        let source = self.core.open(Events::empty());
        let shared = Arc::new(ProbeShared::default());
        let remote = self.setting != Setting::Local;
        if remote {
            let object = Box::new(ProbeRemote(shared.clone()));
            self.core.set_remote(source, Some(object)).unwrap();
        }
        Probe {
            source,
            shared,
            remote,
        }
    }

    pub fn control(
        &mut self,
        epoll: Epoll,
        operation: Operation,
        fd: i32,
        source: SourceId,
    ) -> Result<(), Errno> {
        self.core.epoll_ctl(epoll.id, operation, fd, source)
    }

    pub fn add(&mut self, epoll: Epoll, probe: &Probe, fd: i32, events: u32) -> Result<(), Errno> {
        let data = fd as u64;
        self.control(epoll, Operation::Add { events, data }, fd, probe.source)
    }

    pub fn modify(
        &mut self,
        epoll: Epoll,
        probe: &Probe,
        fd: i32,
        events: u32,
    ) -> Result<(), Errno> {
        let data = fd as u64;
        self.control(epoll, Operation::Modify { events, data }, fd, probe.source)
    }

    /// An epoll instance watches another.
    pub fn nest(&mut self, outer: Epoll, inner: Epoll, fd: i32, events: u32) -> Result<(), Errno> {
        let data = fd as u64;
        self.control(outer, Operation::Add { events, data }, fd, inner.source)
    }

    /// Something happened: these events hold now too, and this is new.
    pub fn raise(&mut self, probe: &Probe, events: Events) {
        let shared = &probe.shared;
        let level = shared.level.fetch_or(events.bits(), Ordering::Release) | events.bits();
        if probe.remote {
            probe.raise_remotely(events, &self.model);
        } else {
            let level = Events::from_bits_truncate(level);
            self.core.publish(probe.source, level, events);
        }
    }

    /// Something happened, in another process that has yet to signal one slot: which.
    pub fn raise_late(&mut self, probe: &Probe, events: Events) -> u32 {
        probe
            .shared
            .level
            .fetch_or(events.bits(), Ordering::Release);
        let mut slots = Vec::new();
        probe.publish(events, |slot| slots.push(slot));
        assert_eq!(slots.len(), 1);
        slots[0]
    }

    /// The user drained it.
    pub fn lower(&mut self, probe: &Probe, events: Events) {
        let level = &probe.shared.level;
        let level = level.fetch_and(!events.bits(), Ordering::Release) & !events.bits();
        if !probe.remote {
            let level = Events::from_bits_truncate(level);
            self.core.publish(probe.source, level, Events::empty());
        }
    }

    /// Takes up to `max`; (data, events) in the order reported.
    pub fn take(&mut self, epoll: Epoll, max: usize) -> Vec<(u64, Events)> {
        let mut out = Vec::new();
        let n = self
            .core
            .take(epoll.id, max, |events, data| out.push((data, events)));
        assert_eq!(n, out.len());
        out
    }

    /// Blocks as thread 0, while the script plays the others.
    pub fn wait(&mut self, instance: InstanceId, deadline: Deadline) -> Woken {
        const ME: usize = 0;
        let Some(block) = self.core.block(instance, ME) else {
            return Woken::Events;
        };
        self.model.enter(ME, block);
        let (woken, woke) = loop {
            if let Some(woke) = self.model.woke(ME, block) {
                break (Woken::Events, woke);
            }
            if let Some(thread) = self.core.next_wake() {
                assert_eq!(thread, ME);
                break (Woken::Events, Woke::default());
            }
            if core::mem::take(&mut self.kicked) {
                break (Woken::Interrupted, Woke::default());
            }
            match self.script.pop_front() {
                Some(step) => step(self),
                None => {
                    assert!(deadline != Deadline::NEVER, "waits for ever");
                    break (Woken::Interrupted, Woke::default());
                }
            }
        };
        self.model.leave(ME);
        self.core.unblock(instance, ME, block, woke);
        woken
    }
}

/// The part of a probe that its producer shares.
#[derive(Default)]
pub struct ProbeShared {
    level: AtomicU32,
    input: AtomicU32,
    output: AtomicU32,
    subscriptions: Subscriptions,
}

struct ProbeRemote(Arc<ProbeShared>);

impl Remote for ProbeRemote {
    fn readiness(&self) -> Readiness {
        let edges = Edges {
            input: self.0.input.load(Ordering::Acquire),
            output: self.0.output.load(Ordering::Acquire),
        };
        let events = Events::from_bits_truncate(self.0.level.load(Ordering::Acquire));
        Readiness { events, edges }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.0.subscriptions)
    }
}

/// A source that does as it is told.
#[derive(Clone)]
pub struct Probe {
    pub source: SourceId,
    shared: Arc<ProbeShared>,
    remote: bool,
}

impl Probe {
    fn raise_remotely(&self, events: Events, model: &Model) {
        self.publish(events, |slot| model.signal(slot));
    }

    fn publish(&self, events: Events, signal: impl FnMut(u32)) {
        let (input, output) = events.directions();
        let shared = &self.shared;
        shared.input.fetch_add(u32::from(input), Ordering::Release);
        shared
            .output
            .fetch_add(u32::from(output), Ordering::Release);
        shared.subscriptions.notify(events, signal);
    }
}
