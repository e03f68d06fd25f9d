// SPDX-License-Identifier: BSD-2-Clause
//! Whole instances under shuttle: the code that ships, with producers, consumers, epoll_ctl and close as threads that take their steps in thousands of
//! random orders. The core lock is the real one and excludes; shuttle reports a deadlock, which is what a lost wake-up is here, since nobody has a timeout.
//! The mutants leave out one step of the platform's or the source's part, and must be caught.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p libposix-poll --lib interleavings`

mod exclusive;

use crate::backend::{Block, Woke};
use crate::event_core::Core;
use crate::frontend::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, Operation};
use crate::instance::InstanceId;
use crate::model::Model;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Runner, thread};
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::vec::Vec;
use vfs_hooks::Events;
use vfs_hooks::eventfd::EventFd;
use vfs_hooks::lock::{CoreLock, Threads};
use vfs_hooks::source::{Edges, Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;
use vfs_hooks::sync::{AtomicU32, Ordering};

const IN: u32 = Events::IN.bits();
const THREADS: usize = 6;
/// This one is slow to fall asleep.
const LATE: usize = 4;
/// Runs of each scenario, each in another order.
const RUNS: usize = 500;

/// Which step is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    /// A source's news wakes nobody.
    NewsWakesNobody,
    /// A thread blocks although the core says that there is something.
    BlocksRegardless,
    /// A source signals before its state has changed.
    NotifiesBeforePublishing,
    /// Who leaves the ready list non-empty wakes nobody.
    LeavesTheRestAlone,
}

#[derive(Default)]
struct Bell {
    kicked: [bool; THREADS],
    /// Kicks that a park took: they end the next wait.
    kept: [bool; THREADS],
}

struct Process {
    lock: CoreLock,
    /// What the lock guards. It must never be found held.
    core: std::sync::Mutex<Core<Model>>,
    model: Model,
    bell: Mutex<Bell>,
    rung: Condvar,
    mutant: Mutant,
}

/// A thread of it.
#[derive(Clone)]
struct Me(usize, Arc<Process>);

impl Threads for Me {
    fn current(&self) -> usize {
        self.0
    }

    fn park(&self) {
        let process = &self.1;
        let mut bell = process.bell.lock().unwrap();
        while !bell.kicked[self.0] {
            bell = process.rung.wait(bell).unwrap();
        }
        bell.kicked[self.0] = false;
        bell.kept[self.0] = true;
    }

    fn unpark(&self, thread: usize) {
        self.kick(thread);
    }
}

impl Me {
    fn kick(&self, thread: usize) {
        self.1.bell.lock().unwrap().kicked[thread] = true;
        self.1.rung.notify_all();
    }

    /// Another process signals a watch slot.
    fn signal(&self, slot: u32) {
        self.1.model.signal(slot);
        drop(self.1.bell.lock().unwrap());
        self.1.rung.notify_all();
    }

    /// One hold of the core lock; `deaf` to the wake-ups that it asks for.
    fn locked<R>(&self, deaf: bool, work: impl FnOnce(&mut Core<Model>) -> R) -> R {
        let process = &self.1;
        process.lock.lock(self);
        let result = {
            let mut core = process.core.try_lock().expect("the core lock excludes");
            let result = work(&mut core);
            let mut wakes = Vec::new();
            wakes.extend(core::iter::from_fn(|| core.next_wake()));
            drop(core);
            // Others may run before the lock is given up, and must not find the core free.
            thread::yield_now();
            if !deaf {
                wakes.into_iter().for_each(|thread| self.kick(thread));
            }
            result
        };
        process.lock.unlock(self);
        result
    }

    fn core<R>(&self, work: impl FnOnce(&mut Core<Model>) -> R) -> R {
        self.locked(self.1.mutant == Mutant::NewsWakesNobody, work)
    }

    fn block(&self, block: Block) -> Woke {
        let process = &self.1;
        if self.0 == LATE {
            // Between giving up the lock and falling asleep anything may happen.
            (0..60).for_each(|_| thread::yield_now());
        }
        let mut bell = process.bell.lock().unwrap();
        if core::mem::take(&mut bell.kept[self.0]) {
            return Woke::default();
        }
        process.model.enter(self.0, block);
        let woke = loop {
            if let Some(woke) = process.model.woke(self.0, block) {
                break woke;
            }
            if core::mem::take(&mut bell.kicked[self.0]) {
                break Woke::default();
            }
            bell = process.rung.wait(bell).unwrap();
        };
        process.model.leave(self.0);
        woke
    }

    /// epoll_wait without a timeout, as the platform does it.
    fn wait(&self, epoll: InstanceId, most: usize) -> Vec<(u64, Events)> {
        let mutant = self.1.mutant;
        loop {
            let mut got = Vec::new();
            // All that this hold may wake is one more for what it leaves.
            let deaf = mutant == Mutant::LeavesTheRestAlone;
            let block = self.locked(deaf, |core| {
                core.take(epoll, most, |events, data| got.push((data, events)));
                if !got.is_empty() {
                    return None;
                }
                // Other processes do not stop for our lock.
                thread::yield_now();
                match core.block(epoll, self.0) {
                    None if mutant == Mutant::BlocksRegardless => Some(Block::Own),
                    block => block,
                }
            });
            if !got.is_empty() {
                return got;
            }
            if let Some(block) = block {
                let woke = self.block(block);
                self.locked(false, |core| core.unblock(epoll, self.0, block, woke));
            }
        }
    }

    fn add(&self, epoll: InstanceId, source: SourceId, events: u32, data: u64) {
        let add = Operation::Add { events, data };
        self.core(|core| core.epoll_ctl(epoll, add, data as i32, source))
            .unwrap();
    }
}

fn process(queues: bool, mutant: Mutant) -> Me {
    let model = Model::new(queues);
    let process = Process {
        lock: CoreLock::new(),
        core: std::sync::Mutex::new(Core::new(model.clone())),
        model,
        bell: Mutex::new(Bell::default()),
        rung: Condvar::new(),
        mutant,
    };
    Me(0, Arc::new(process))
}

/// Starts thread `number` of the process.
fn spawn(me: &Me, number: usize, work: impl FnOnce(Me) + Send + 'static) -> thread::JoinHandle<()> {
    let other = Me(number, me.1.clone());
    thread::spawn(move || work(other))
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Few but long delays, then random steps: what each finds, the other hardly does. The same orders in every run.
fn runs(scenario: impl Fn() + Send + Sync + 'static) {
    run(RUNS, scenario);
}

/// Until the mutant is caught.
fn caught(scenario: impl Fn() + Send + Sync + 'static) {
    run(40 * RUNS, scenario);
}

fn run(runs: usize, scenario: impl Fn() + Send + Sync + 'static) {
    const SEED: u64 = 0x5eed;
    let scenario = Arc::new(scenario);
    let same = scenario.clone();
    let delays = PctScheduler::new_from_seed(SEED, 4, runs);
    Runner::new(delays, Default::default()).run(move || scenario());
    let random = RandomScheduler::new_from_seed(SEED, runs);
    Runner::new(random, Default::default()).run(move || same());
}

/// The last source of each instance: says that all is done.
const STOP: u64 = 1000;

/// An eventfd that other threads use too, within the core lock.
type Shared = Arc<std::sync::Mutex<EventFd>>;

fn eventfd(me: &Me, semaphore: bool) -> (Shared, SourceId) {
    let fd = me.core(|core| EventFd::new(core, 0, semaphore));
    let source = fd.source();
    (Arc::new(std::sync::Mutex::new(fd)), source)
}

fn write(me: &Me, fd: &Shared) {
    me.core(|core| fd.lock().unwrap().write(core, 1)).unwrap();
}

fn read(me: &Me, fd: &Shared) -> u64 {
    me.core(|core| fd.lock().unwrap().read(core)).unwrap_or(0)
}

/// Producers write to eventfds, consumers wait in one instance and read: all that was written is read.
fn one_instance(events: u32, most: usize, mutant: Mutant) {
    const WRITES: u64 = 3;
    let me = process(true, mutant);
    let (epoll, _) = me.core(|core| core.epoll_create());
    let fds: Vec<_> = (0..2).map(|_| eventfd(&me, false)).collect();
    let (stop, stop_source) = eventfd(&me, false);
    for (data, (_, source)) in fds.iter().enumerate() {
        me.add(epoll, *source, events, data as u64);
    }
    me.add(epoll, stop_source, IN, STOP);
    let total = Arc::new(AtomicU64::new(0));
    let busy: Arc<[AtomicBool; 2]> = Arc::default();
    let mut threads = Vec::new();
    for (number, (fd, _)) in fds.iter().enumerate() {
        let fd = fd.clone();
        threads.push(spawn(&me, 1 + number, move |me| {
            (0..WRITES).for_each(|_| write(&me, &fd));
        }));
    }
    for number in 3..5 {
        let (fds, stop, total, busy) = (fds.clone(), stop.clone(), total.clone(), busy.clone());
        threads.push(spawn(&me, number, move |me| {
            loop {
                for (data, _) in me.wait(epoll, most) {
                    if data == STOP {
                        return;
                    }
                    let at = data as usize;
                    let alone = !busy[at].swap(true, SeqCst);
                    assert!(alone || events & ONE_SHOT == 0, "reported twice");
                    let n = read(&me, &fds[at].0);
                    busy[at].store(false, SeqCst);
                    if events & ONE_SHOT != 0 {
                        let again = Operation::Modify { events, data };
                        me.core(|core| core.epoll_ctl(epoll, again, data as i32, fds[at].1))
                            .unwrap();
                    }
                    if total.fetch_add(n, SeqCst) + n == 2 * WRITES {
                        write(&me, &stop);
                    }
                }
            }
        }));
    }
    join(threads);
    assert_eq!(total.load(SeqCst), 2 * WRITES);
}

#[test]
fn level_triggered_consumers_of_one_instance() {
    runs(|| one_instance(IN, 1, Mutant::None));
    runs(|| one_instance(IN, 4, Mutant::None));
}

#[test]
fn edge_triggered_consumers_of_one_instance() {
    runs(|| one_instance(IN | EDGE, 1, Mutant::None));
}

#[test]
fn one_shot_consumers_of_one_instance_never_hold_the_same() {
    runs(|| one_instance(IN | ONE_SHOT, 1, Mutant::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_news_that_wakes_nobody_is_caught() {
    caught(|| one_instance(IN, 1, Mutant::NewsWakesNobody));
}

/// Workers with an instance each wait exclusively for one semaphore: every token is taken once, and nobody sleeps beside one.
#[test]
fn exclusive_workers_share_the_tokens() {
    runs(|| {
        const TOKENS: u64 = 4;
        let me = process(true, Mutant::None);
        let (tokens, source) = eventfd(&me, true);
        let (stop, stop_source) = eventfd(&me, false);
        let taken = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for number in 1..4 {
            let (epoll, _) = me.core(|core| core.epoll_create());
            me.add(epoll, source, IN | EXCLUSIVE, 1);
            me.add(epoll, stop_source, IN, STOP);
            let (tokens, stop, taken) = (tokens.clone(), stop.clone(), taken.clone());
            threads.push(spawn(&me, number, move |me| {
                loop {
                    for (data, _) in me.wait(epoll, 2) {
                        if data == STOP {
                            return;
                        }
                        let n = read(&me, &tokens);
                        if taken.fetch_add(n, SeqCst) + n == TOKENS {
                            write(&me, &stop);
                        }
                    }
                }
            }));
        }
        (0..TOKENS).for_each(|_| write(&me, &tokens));
        join(threads);
        assert_eq!(taken.load(SeqCst), TOKENS);
    });
}

/// A source of another process.
#[derive(Default)]
struct Channel {
    produced: AtomicU32,
    consumed: AtomicU32,
    subscriptions: Subscriptions,
}

struct Look(Arc<Channel>);

impl Remote for Look {
    fn readiness(&self) -> Readiness {
        let edges = Edges {
            input: self.0.produced.load(Ordering::Acquire),
            output: 0,
        };
        let mut events = Events::empty();
        events.set(
            Events::IN,
            edges.input != self.0.consumed.load(Ordering::Relaxed),
        );
        Readiness { events, edges }
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&self.0.subscriptions)
    }
}

/// Another process produces, without our core lock; two threads consume.
fn remote(queues: bool, events: u32, mutant: Mutant) {
    const EACH: u32 = 3;
    let me = process(queues, mutant);
    let (epoll, _) = me.core(|core| core.epoll_create());
    let channels: Vec<Arc<Channel>> = (0..2).map(|_| Arc::default()).collect();
    for (data, channel) in channels.iter().enumerate() {
        let source = me.core(|core| {
            let source = core.open(Events::empty());
            let look = Box::new(Look(channel.clone()));
            core.set_remote(source, Some(look)).unwrap();
            source
        });
        me.add(epoll, source, events, data as u64);
    }
    let (stop, stop_source) = eventfd(&me, false);
    me.add(epoll, stop_source, IN, STOP);
    let mut threads = Vec::new();
    for (number, channel) in channels.iter().enumerate() {
        let channel = channel.clone();
        threads.push(spawn(&me, 1 + number, move |me| {
            for _ in 0..EACH {
                let notify = || {
                    channel
                        .subscriptions
                        .notify(Events::IN, |slot| me.signal(slot));
                };
                if me.1.mutant == Mutant::NotifiesBeforePublishing {
                    notify();
                    (0..9).for_each(|_| thread::yield_now());
                }
                channel.produced.fetch_add(1, Ordering::Release);
                if me.1.mutant != Mutant::NotifiesBeforePublishing {
                    notify();
                }
            }
        }));
    }
    let total = Arc::new(AtomicU64::new(0));
    for number in 3..5 {
        let (channels, stop, total) = (channels.clone(), stop.clone(), total.clone());
        threads.push(spawn(&me, number, move |me| {
            loop {
                for (data, _) in me.wait(epoll, 1) {
                    if data == STOP {
                        return;
                    }
                    let channel = &channels[data as usize];
                    // Reading is one step of the process, as with the core lock in the shim.
                    let n = me.core(|_| {
                        let produced = channel.produced.load(Ordering::Acquire);
                        produced - channel.consumed.swap(produced, Ordering::Relaxed)
                    });
                    let n = u64::from(n);
                    if total.fetch_add(n, SeqCst) + n == u64::from(2 * EACH) {
                        write(&me, &stop);
                    }
                }
            }
        }));
    }
    join(threads);
}

#[test]
fn sources_of_other_processes_by_queue() {
    runs(|| remote(true, IN, Mutant::None));
    runs(|| remote(true, IN | EDGE, Mutant::None));
}

#[test]
fn sources_of_other_processes_by_badge() {
    runs(|| remote(false, IN, Mutant::None));
    runs(|| remote(false, IN | EDGE, Mutant::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_notify_before_publish_is_caught() {
    caught(|| remote(true, IN | EDGE, Mutant::NotifiesBeforePublishing));
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_blocking_regardless_is_caught() {
    caught(|| remote(true, IN | EDGE, Mutant::BlocksRegardless));
}

/// Two events of other processes, and two threads that take one each and go: whoever comes first must not let the other sleep beside the second.
fn one_each(queues: bool, mutant: Mutant) {
    let me = process(queues, mutant);
    let (epoll, _) = me.core(|core| core.epoll_create());
    let channels: Vec<Arc<Channel>> = (0..2).map(|_| Arc::default()).collect();
    for (data, channel) in channels.iter().enumerate() {
        let source = me.core(|core| {
            let source = core.open(Events::empty());
            let look = Box::new(Look(channel.clone()));
            core.set_remote(source, Some(look)).unwrap();
            source
        });
        me.add(epoll, source, IN | EDGE, data as u64);
    }
    // The late one first: between its look and its sleep both events come, and the other thread takes one of them.
    let consumers = [LATE, 3].map(|number| {
        spawn(&me, number, move |me| {
            assert_eq!(me.wait(epoll, 1).len(), 1);
        })
    });
    let mut threads = Vec::from(consumers);
    for (number, channel) in channels.into_iter().enumerate() {
        threads.push(spawn(&me, 1 + number, move |me| {
            channel.produced.fetch_add(1, Ordering::Release);
            channel
                .subscriptions
                .notify(Events::IN, |slot| me.signal(slot));
        }));
    }
    join(threads);
}

#[test]
fn two_events_serve_two_threads() {
    runs(|| one_each(true, Mutant::None));
    runs(|| one_each(false, Mutant::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_leaving_the_rest_of_a_batch_alone_is_caught() {
    caught(|| one_each(true, Mutant::LeavesTheRestAlone));
}

/// One write of two tokens wakes one thread, and two are to go with one each: the event stays in the ready list, so the first wakes the second.
fn a_token_each(mutant: Mutant) {
    let me = process(true, mutant);
    let (epoll, _) = me.core(|core| core.epoll_create());
    let (tokens, source) = eventfd(&me, true);
    me.add(epoll, source, IN, 1);
    let mut threads = Vec::new();
    for number in 3..5 {
        let tokens = tokens.clone();
        threads.push(spawn(&me, number, move |me| {
            while me.wait(epoll, 1).is_empty() || read(&me, &tokens) == 0 {}
        }));
    }
    me.core(|core| tokens.lock().unwrap().write(core, 2))
        .unwrap();
    join(threads);
}

#[test]
fn what_one_thread_leaves_wakes_the_next() {
    runs(|| a_token_each(Mutant::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_leaving_a_level_alone_is_caught() {
    caught(|| a_token_each(Mutant::LeavesTheRestAlone));
}

/// One thread adds, modifies, deletes and closes what the others wait for: nothing closed is reported, and nobody is left asleep.
#[test]
fn ctl_and_close_while_others_wait() {
    runs(|| {
        let me = process(true, Mutant::None);
        let (epoll, _) = me.core(|core| core.epoll_create());
        let (stop, stop_source) = eventfd(&me, false);
        me.add(epoll, stop_source, IN, STOP);
        let closed = Arc::new(AtomicU64::new(u64::MAX));
        let mut threads = Vec::new();
        for number in 1..3 {
            let closed = closed.clone();
            threads.push(spawn(&me, number, move |me| {
                loop {
                    let before = closed.load(SeqCst);
                    for (data, _) in me.wait(epoll, 1) {
                        if data == STOP {
                            return;
                        }
                        assert!(
                            data > before || before == u64::MAX,
                            "reported after its close"
                        );
                    }
                }
            }));
        }
        for round in 0..3 {
            let (fd, source) = eventfd(&me, false);
            me.add(epoll, source, IN | EDGE, round);
            write(&me, &fd);
            let events = IN | ONE_SHOT;
            let again = Operation::Modify {
                events,
                data: round,
            };
            me.core(|core| core.epoll_ctl(epoll, again, round as i32, source))
                .unwrap();
            me.core(|core| {
                core.close(source);
                closed.store(round, SeqCst);
            });
        }
        write(&me, &stop);
        join(threads);
    });
}
