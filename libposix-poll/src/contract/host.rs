// SPDX-License-Identifier: BSD-2-Clause
//! The cases on the host, over a model of either kernel; and what only a model can be made to do.

use super::{Machine, Probe, Setting, Woken, World};
use crate::backend::{Block, BufferSize, Kernel, Woke};
use crate::deadline::Deadline;
use crate::errno::Errno;
use crate::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use crate::model::Model;
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, Remote, Sources as _};
use vfs_hooks::subscription::Subscriptions;

const IN: u32 = Events::IN.bits();

/// A new process over the model.
pub fn world(setting: Setting) -> World<Model> {
    World::new(setting, Model::new(setting != Setting::Badge))
}

/// Runs a case in each of the settings.
pub fn check(settings: &[Setting], case: impl Fn(&mut World<Model>)) {
    for &setting in settings {
        std::println!("{setting:?}");
        case(&mut world(setting));
    }
}

/// The part of a probe that its producer shares.
#[derive(Default)]
pub struct ProbeShared {
    level: AtomicU32,
    input: AtomicU32,
    output: AtomicU32,
    told: AtomicU64,
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

    fn told(&self) -> Option<u64> {
        Some(self.0.told.load(Ordering::Relaxed))
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.0.subscriptions)
    }
}

impl Machine for Model {
    type Kernel = Model;
    type Shared = Arc<ProbeShared>;

    fn kernel(&self) -> Model {
        self.clone()
    }

    fn share(&self) -> Arc<ProbeShared> {
        Arc::default()
    }

    fn remote(&self, shared: &Arc<ProbeShared>) -> Box<dyn Remote> {
        Box::new(ProbeRemote(shared.clone()))
    }

    fn change(&self, shared: &Arc<ProbeShared>, set: Events, clear: Events) -> Events {
        shared.level.fetch_or(set.bits(), Ordering::Release);
        let old = shared.level.fetch_and(!clear.bits(), Ordering::Release);
        Events::from_bits_truncate(old & !clear.bits())
    }

    fn publish(&self, shared: &Arc<ProbeShared>, news: Events, signal: &mut dyn FnMut(u32)) {
        let (input, output) = news.directions();
        shared.input.fetch_add(u32::from(input), Ordering::Release);
        shared
            .output
            .fetch_add(u32::from(output), Ordering::Release);
        shared.subscriptions.notify(news, signal);
    }

    fn signal(&self, shared: &Arc<ProbeShared>, watch: u32) {
        static SIGNALS: AtomicU64 = AtomicU64::new(0);
        let number = SIGNALS.fetch_add(1, Ordering::Relaxed);
        shared.told.store(number, Ordering::Relaxed);
        Model::signal(self, watch);
    }

    fn enter(&self, thread: usize, block: Block, _: Deadline) {
        Model::enter(self, thread, block);
    }

    fn woke(&self, thread: usize, block: Block) -> Option<Woke> {
        Model::woke(self, thread, block)
    }

    /// Time passes when nothing else is left to happen.
    fn expire(&self, _: usize) {}

    fn leave(&self, thread: usize) {
        Model::leave(self, thread);
    }
}

/// Also where bits tell of it, which have no order: by the numbers of those that count their signals.
#[test]
fn what_came_first_is_reported_first() {
    check(super::REMOTE, |world| {
        let epoll = world.epoll();
        let probes: Vec<Probe<Model>> = (0..200).map(|_| world.probe()).collect();
        for (fd, probe) in probes.iter().enumerate() {
            world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
        }
        let order: Vec<u64> = (0..200).map(|n| n * 73 % 200).collect();
        for &n in &order {
            world.raise(&probes[n as usize], Events::IN);
        }
        let reported = world.take(epoll, 200);
        let reported: Vec<u64> = reported.iter().map(|&(data, _)| data).collect();
        assert_eq!(reported, order);
    });
}

/// In the guest as many have names and settings: none is left out, and none is there twice.
#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = super::cases::<Model>().iter().map(|c| c.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(all > 50, "{all}");
    assert!(!Model::new(false).has_queues());
}

/// As many watches as a small buffer serves, all told; while the process reads what it collected, all but one are told once more.
fn reported_of_a_full_queue(divisor: u64) -> usize {
    let world = &mut world(Setting::Queue);
    let epoll = world.epoll();
    let watches = BufferSize::Small.slots() / 2;
    let probes: Vec<Probe<Model>> = (0..watches).map(|_| world.probe()).collect();
    for (fd, probe) in probes.iter().enumerate() {
        world.add(epoll, probe, fd as i32, IN | EDGE).unwrap();
    }
    world.machine.shrink_buffers(divisor);
    probes.iter().for_each(|p| world.raise(p, Events::IN));
    world.machine.signal_late(1..watches as u32);
    world.take(epoll, 1000).len()
}

#[test]
fn trap_17_a_batch_that_is_being_read_is_not_overwritten() {
    assert_eq!(reported_of_a_full_queue(1), 252);
}

#[test]
fn trap_17_mutant_ring_of_n_loses_one() {
    assert_eq!(reported_of_a_full_queue(2), 251);
}

/// A source of a channel: its cells are handed out in shared memory, to several processes.
struct Claimed {
    shared: Arc<ProbeShared>,
    given: Arc<AtomicU32>,
}

impl Remote for Claimed {
    fn readiness(&self) -> Readiness {
        ProbeRemote(self.shared.clone()).readiness()
    }
    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        // Another process has all cells but the last one.
        let free = self.given.fetch_or(0x80, Ordering::Relaxed) & 0x80 == 0;
        Some(free.then_some((7, slot)))
    }
    fn release(&self, cell: usize) {
        self.given.fetch_and(!(1 << cell), Ordering::Relaxed);
    }
    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.shared.subscriptions)
    }
}

#[test]
fn a_source_that_hands_out_its_own_cells_gets_them_back() {
    check(super::REMOTE, |world| {
        let (epoll, other, probe) = (world.epoll(), world.epoll(), world.probe());
        let given = Arc::<AtomicU32>::default();
        let object = Box::new(Claimed {
            shared: probe.shared.clone(),
            given: given.clone(),
        });
        world.core.set_remote(probe.source, Some(object)).unwrap();
        world.add(epoll, &probe, 3, IN).unwrap();
        assert_eq!(given.load(Ordering::Relaxed), 0x80);
        assert_eq!(world.add(other, &probe, 3, IN), Err(Errno::NOSPC));
        world.raise(&probe, Events::IN);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
        world
            .control(epoll, Operation::Delete, 3, probe.source)
            .unwrap();
        assert_eq!(given.load(Ordering::Relaxed), 0);
        assert_eq!(world.add(other, &probe, 3, IN), Ok(()));
        assert_eq!(world.take(other, 8), [(3, Events::IN)]);
    });
}

/// The parent's queues, slots and cells are not the child's; its interest and ready lists are.
#[test]
fn after_fork_shared_sources_are_watched_anew() {
    check(super::EVERYWHERE, |world| {
        let (epoll, outer) = (world.epoll(), world.epoll());
        let (a, b) = (world.probe(), world.probe());
        world.add(epoll, &a, 3, IN).unwrap();
        world.add(epoll, &b, 4, IN | EDGE).unwrap();
        world.nest(outer, epoll, 5, IN).unwrap();
        assert_eq!(world.take(outer, 8), []);
        assert!(world.core.block(epoll.id, 3).is_some());
        assert!(world.core.block(epoll.id, 4).is_some());
        let parents = world.attached();
        world.machine.after_fork();
        world.core.after_fork();
        assert_eq!(world.core.next_wake(), None, "the parent's threads");
        let queue = world.setting == Setting::Queue;
        assert_eq!(world.attached() - parents, 0, "it may never be used");
        assert_eq!(world.take(epoll, 8), []);
        assert_eq!(world.attached() - parents, if queue { 2 } else { 0 });
        for _ in 0..2 {
            let raised = a.clone();
            world.then(move |world| world.raise(&raised, Events::IN));
            assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
            assert_eq!(world.take(epoll, 8), [(3, Events::IN)]);
            assert_eq!(world.take(outer, 8), [(5, Events::IN)]);
            world.lower(&a, Events::IN);
            assert_eq!(world.take(epoll, 8), []);
        }
        world.raise(&b, Events::IN);
        assert_eq!(world.take(epoll, 8), [(4, Events::IN)]);
        assert_eq!(world.take(epoll, 8), []);
    });
}

/// What another program gets is looked at when it uses it, not before; an edge that was told of already is not told again.
#[test]
fn an_instance_that_is_put_back_tells_what_is_new() {
    check(super::REMOTE, |world| {
        let old = world.epoll();
        let (level, told, new, spent) =
            (world.probe(), world.probe(), world.probe(), world.probe());
        world.add(old, &level, 3, IN).unwrap();
        world.add(old, &told, 4, IN | EDGE).unwrap();
        world.add(old, &new, 5, IN | EDGE).unwrap();
        world.add(old, &spent, 6, IN | ONE_SHOT).unwrap();
        for probe in [&level, &told, &spent] {
            world.raise(probe, Events::IN);
        }
        assert_eq!(world.take(old, 8).len(), 3);
        let kept = world.core.kept(old.id);
        world.raise(&new, Events::IN);
        world.core.close(old.source);
        let attached = world.attached();

        let (epoll, outer) = (world.epoll(), world.epoll());
        for kept in &kept {
            world.core.put_back(epoll.id, kept).unwrap();
            let again = world.core.put_back(epoll.id, kept);
            assert_eq!(again, Err(Errno::EXIST));
        }
        world.nest(outer, epoll, 7, IN).unwrap();
        assert_eq!(world.core.watch_count(epoll.id), 4);
        let mut taken = world.take(epoll, 8);
        taken.sort_by_key(|(fd, _)| *fd);
        assert_eq!(taken, [(3, Events::IN), (5, Events::IN)]);
        assert_eq!(world.take(epoll, 8), [(3, Events::IN)], "level-triggered");
        world.lower(&level, Events::IN);
        assert_eq!(world.take(epoll, 8), []);
        // They wake.
        let raised = told.clone();
        world.then(move |world| world.raise(&raised, Events::IN));
        assert_eq!(world.wait(epoll.id, Deadline::NEVER), Woken::Events);
        assert_eq!(world.take(epoll, 8), [(4, Events::IN)]);
        let (events, data) = (IN | ONE_SHOT, 6);
        let again = Operation::Modify { events, data };
        world.control(epoll, again, 6, spent.source).unwrap();
        assert_eq!(world.take(epoll, 8), [(6, Events::IN)]);
        world.core.close(epoll.source);
        assert_eq!(world.attached(), attached, "places are given back");
    });
}
