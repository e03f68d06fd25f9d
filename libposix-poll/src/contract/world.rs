// SPDX-License-Identifier: BSD-2-Clause
//! A process with its kernel, and the sources that it is shown.

use super::Setting;
use super::machine::{Machine, Refusal, Tallied, Tally};
use crate::backend::{Block, Woke};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::event_core::Core;
use crate::frontend::epoll::Operation;
use crate::instance::InstanceId;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

/// Why a wait came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be something to take.
    Events,
    /// The deadline passed, or somebody kicked the thread.
    Interrupted,
}

type Step<M> = Box<dyn FnOnce(&mut World<M>)>;

/// See the module.
pub struct World<M: Machine> {
    /// Where its sources are.
    pub setting: Setting,
    /// The event core.
    pub core: Core<Tallied<M::Kernel>>,
    /// What is beneath.
    pub machine: M,
    tally: Arc<Tally>,
    script: VecDeque<Step<M>>,
    kicked: bool,
}

/// An epoll instance.
#[derive(Clone, Copy, Debug)]
pub struct Epoll {
    /// As an instance.
    pub id: InstanceId,
    /// As a source.
    pub source: SourceId,
}

/// A source that does as it is told.
pub struct Probe<M: Machine> {
    /// As the core knows it.
    pub source: SourceId,
    /// As its producer does.
    pub shared: M::Shared,
    /// Others than this process change it.
    pub remote: bool,
}

impl<M: Machine> Clone for Probe<M> {
    fn clone(&self) -> Self {
        let (source, remote) = (self.source, self.remote);
        let shared = self.shared.clone();
        Probe {
            source,
            shared,
            remote,
        }
    }
}

impl<M: Machine> World<M> {
    /// A process that has not done anything yet.
    pub fn new(setting: Setting, machine: M) -> Self {
        let tally = Arc::<Tally>::default();
        let kernel = Tallied::new(machine.kernel(), tally.clone());
        World {
            setting,
            core: Core::new(kernel),
            machine,
            tally,
            script: VecDeque::new(),
            kicked: false,
        }
    }

    /// Kernel entries of the backend so far: what "no system call" is checked with.
    pub fn calls(&self) -> u64 {
        self.tally.calls.load(Relaxed)
    }

    /// Watch slots whose notifications are attached to a queue.
    pub fn attached(&self) -> usize {
        self.tally.attached.load(Relaxed)
    }

    /// From now on, or no more, this is refused.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        let refusal = refusal.map_or(0, |refusal| refusal as u8);
        self.tally.refusal.store(refusal, Relaxed);
    }

    /// From now on, or no more, the queues have lost their frames.
    pub fn set_overrun(&self, overrun: bool) {
        self.tally.overrun.store(overrun, Relaxed);
    }

    /// What others do while this thread waits.
    pub fn then(&mut self, step: impl FnOnce(&mut World<M>) + 'static) {
        self.script.push_back(Box::new(step));
    }

    /// Somebody kicks the thread.
    pub fn kick(&mut self) {
        self.kicked = true;
    }

    /// A new instance.
    pub fn epoll(&mut self) -> Epoll {
        let (id, source) = self.core.epoll_create();
        Epoll { id, source }
    }

    /// A new source, as the setting has them.
    pub fn probe(&mut self) -> Probe<M> {
        let mut probe = self.own_probe();
        if self.setting != Setting::Local {
            self.hand_over(&mut probe).expect("nobody watches it");
        }
        probe
    }

    /// A new source of this process.
    pub fn own_probe(&mut self) -> Probe<M> {
        let source = self.core.open(Events::empty());
        let shared = self.machine.share();
        Probe {
            source,
            shared,
            remote: false,
        }
    }

    /// It moves to where others change it too.
    pub fn hand_over(&mut self, probe: &mut Probe<M>) -> Result<(), Errno> {
        probe.remote = true;
        let object = self.machine.remote(&probe.shared);
        self.core.set_remote(probe.source, Some(object))
    }

    /// It is this process's alone again.
    pub fn take_back(&mut self, probe: &mut Probe<M>) {
        probe.remote = false;
        let taken = self.core.set_remote(probe.source, None);
        taken.expect("no room is needed for it");
    }

    /// epoll_ctl(2).
    pub fn control(
        &mut self,
        epoll: Epoll,
        operation: Operation,
        fd: i32,
        source: SourceId,
    ) -> Result<(), Errno> {
        self.core.epoll_ctl(epoll.id, operation, fd, source)
    }

    /// EPOLL_CTL_ADD.
    pub fn add(
        &mut self,
        epoll: Epoll,
        probe: &Probe<M>,
        fd: i32,
        events: u32,
    ) -> Result<(), Errno> {
        let data = fd as u64;
        self.control(epoll, Operation::Add { events, data }, fd, probe.source)
    }

    /// EPOLL_CTL_MOD.
    pub fn modify(
        &mut self,
        epoll: Epoll,
        probe: &Probe<M>,
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
    pub fn raise(&mut self, probe: &Probe<M>, events: Events) {
        let level = self.machine.change(&probe.shared, events, Events::empty());
        if probe.remote {
            let machine = self.machine.clone();
            self.machine.publish(&probe.shared, events, &mut |watch| {
                machine.signal(&probe.shared, watch);
            });
        } else {
            self.core.publish(probe.source, level, events);
        }
    }

    /// Something happened, in another process that has yet to signal one watch: which.
    pub fn raise_late(&mut self, probe: &Probe<M>, events: Events) -> u32 {
        self.machine.change(&probe.shared, events, Events::empty());
        let mut watches = Vec::new();
        self.machine
            .publish(&probe.shared, events, &mut |watch| watches.push(watch));
        assert_eq!(watches.len(), 1);
        watches[0]
    }

    /// The user drained it.
    pub fn lower(&mut self, probe: &Probe<M>, events: Events) {
        let level = self.machine.change(&probe.shared, Events::empty(), events);
        if !probe.remote {
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
        self.machine.enter(ME, block, deadline);
        let (woken, woke) = loop {
            if let Some(woke) = self.machine.woke(ME, block) {
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
                    self.machine.expire(ME);
                    break (Woken::Interrupted, Woke::default());
                }
            }
        };
        self.machine.leave(ME);
        self.core.unblock(instance, ME, block, woke);
        woken
    }

    /// Blocks as this thread, until [`World::woken`] finds it awake.
    pub fn block(&mut self, epoll: Epoll, thread: usize) -> Block {
        let block = self.core.block(epoll.id, thread);
        let block = block.expect("nothing is ready");
        self.machine.enter(thread, block, Deadline::NEVER);
        block
    }

    /// Threads that were woken by the core or the kernel, of those that block there.
    pub fn woken(&mut self, blocked: &[(usize, Epoll, Block)]) -> Vec<usize> {
        let kicked: Vec<usize> = core::iter::from_fn(|| self.core.next_wake()).collect();
        let mut all = Vec::new();
        for &(thread, epoll, block) in blocked {
            let woke = self.machine.woke(thread, block);
            if woke.is_some() || kicked.contains(&thread) {
                self.machine.leave(thread);
                let woke = woke.unwrap_or_default();
                self.core.unblock(epoll.id, thread, block, woke);
                all.push(thread);
            }
        }
        all
    }
}
