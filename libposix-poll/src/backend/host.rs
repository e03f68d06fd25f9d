// SPDX-License-Identifier: BSD-2-Clause
//! Threads and a lock as backend: the core on Linux, where tests can use real threads.

use crate::backend::{Backend, Woken};
use crate::deadline::Deadline;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::vec::Vec;
use vfs_hooks::source::Slots;

#[derive(Debug, Default)]
struct State {
    /// Key of each slot in use.
    keys: Vec<Option<u64>>,
    news: VecDeque<u64>,
    kicked: bool,
}

#[derive(Debug)]
struct Mailbox {
    state: Mutex<State>,
    arrived: Condvar,
    /// Zero of this backend's deadlines.
    start: Instant,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked with the lock held left no half-done change: each is one push or store.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What sources on other threads signal.
#[derive(Clone, Debug)]
pub struct HostSignals(Arc<Mailbox>);

impl HostSignals {
    /// As `seL4_Signal` on the slot's notification.
    pub fn signal(&self, slot: u32) {
        let mut state = self.0.lock();
        if let Some(&Some(key)) = state.keys.get(slot as usize) {
            state.news.push_back(key);
            self.0.arrived.notify_one();
        }
    }

    /// Interrupts the wait.
    pub fn kick(&self) {
        self.0.lock().kicked = true;
        self.0.arrived.notify_one();
    }

    /// Nanoseconds on the clock of this backend's deadlines.
    pub fn now(&self) -> u64 {
        self.0.start.elapsed().as_nanos() as u64
    }
}

/// See the module.
#[derive(Debug)]
pub struct HostBackend(Arc<Mailbox>);

impl HostBackend {
    /// With nothing attached.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        HostBackend(Arc::new(Mailbox {
            state: Mutex::default(),
            arrived: Condvar::new(),
            start: Instant::now(),
        }))
    }

    /// For the sources.
    pub fn signals(&self) -> HostSignals {
        HostSignals(self.0.clone())
    }
}

impl Slots for HostBackend {
    fn attach(&self, key: u64) -> Option<u32> {
        let mut state = self.0.lock();
        let slot = match state.keys.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                state.keys.push(None);
                state.keys.len() - 1
            }
        };
        state.keys[slot] = Some(key);
        Some(slot as u32)
    }

    fn kick(&self, _thread: usize) {
        self.signals().kick();
    }

    fn detach(&self, slot: u32, _key: u64) {
        if let Some(key) = self.0.lock().keys.get_mut(slot as usize) {
            *key = None;
        }
    }
}

impl Backend for HostBackend {
    fn has_news(&self) -> bool {
        !self.0.lock().news.is_empty()
    }

    fn take(&self, hint: &mut dyn FnMut(u64)) -> bool {
        let news = std::mem::take(&mut self.0.lock().news);
        news.into_iter().for_each(hint);
        true
    }

    fn current_thread(&self) -> usize {
        0
    }

    fn wait(&self, deadline: Deadline) -> Woken {
        let mut state = self.0.lock();
        loop {
            if !state.news.is_empty() {
                return Woken::Events;
            }
            let now = self.0.start.elapsed().as_nanos() as u64;
            if std::mem::replace(&mut state.kicked, false) || deadline.passed(now) {
                return Woken::Interrupted;
            }
            state = if deadline == Deadline::NEVER {
                let woken = self.0.arrived.wait(state);
                woken.unwrap_or_else(|e| e.into_inner())
            } else {
                let left = Duration::from_nanos(deadline.ns() - now);
                let woken = self.0.arrived.wait_timeout(state, left);
                woken.unwrap_or_else(|e| e.into_inner()).0
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::FileId;
    use crate::frontend::epoll::{EDGE, Epoll, Operation, Target};
    use crate::watch::Report;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use vfs_hooks::Events;
    use vfs_hooks::shared::SharedWatchers;
    use vfs_hooks::source::{Edges, Readiness, Source, Watcher};
    use vfs_hooks::subscription::Subscriptions;

    /// The part of a source that its producer thread shares.
    #[derive(Default)]
    struct Counter {
        produced: AtomicU32,
        subscriptions: Subscriptions,
    }

    /// Ready while not all that was produced has been consumed.
    struct CounterSource {
        shared: Arc<Counter>,
        consumed: AtomicU32,
        watchers: SharedWatchers,
    }

    impl Source for CounterSource {
        fn readiness(&self) -> Readiness {
            let produced = self.shared.produced.load(Ordering::Acquire);
            let mut events = Events::empty();
            if produced != self.consumed.load(Ordering::Relaxed) {
                events = Events::IN;
            }
            let edges = Edges {
                input: produced,
                output: 0,
            };
            Readiness { events, edges }
        }

        fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
            let cells = &self.shared.subscriptions;
            self.watchers.subscribe(cells, watcher, interest)
        }

        fn arm(&self, subscription: usize, interest: Events) {
            let cells = &self.shared.subscriptions;
            self.watchers.arm(cells, subscription, interest);
        }

        fn unsubscribe(&self, subscription: usize) {
            let cells = &self.shared.subscriptions;
            self.watchers.unsubscribe(cells, subscription);
        }
    }

    #[test]
    fn no_event_of_several_threads_is_lost() {
        const PRODUCERS: usize = 3;
        const EACH: u32 = 20_000;
        let backend = Rc::new(HostBackend::new());
        let signals = backend.signals();
        let epoll = Rc::new(Epoll::new(backend));
        let sources: Vec<Rc<CounterSource>> = (0..PRODUCERS)
            .map(|_| {
                Rc::new(CounterSource {
                    shared: Arc::default(),
                    consumed: AtomicU32::new(0),
                    watchers: SharedWatchers::default(),
                })
            })
            .collect();
        for (i, source) in sources.iter().enumerate() {
            let target = Target {
                fd: i as i32,
                file: FileId(i as u64),
                source: Some(source.clone()),
                epoll: None,
            };
            let add = Operation::Add {
                events: Events::IN.bits() | if i == 0 { EDGE } else { 0 },
                data: i as u64,
            };
            epoll.control(add, &target).unwrap();
        }
        let threads: Vec<_> = sources
            .iter()
            .map(|source| {
                let (shared, signals) = (source.shared.clone(), signals.clone());
                thread::spawn(move || {
                    for _ in 0..EACH {
                        shared.produced.fetch_add(1, Ordering::Release);
                        shared
                            .subscriptions
                            .notify(Events::IN, |slot| signals.signal(slot));
                    }
                })
            })
            .collect();
        let mut total = 0;
        let mut out = [Report::default(); 2];
        while total < EACH * PRODUCERS as u32 {
            let n = epoll.take(&mut out);
            for report in &out[..n] {
                let source = &sources[report.data as usize];
                let produced = source.shared.produced.load(Ordering::Acquire);
                total += produced - source.consumed.swap(produced, Ordering::Relaxed);
            }
            if n == 0 && total < EACH * PRODUCERS as u32 {
                // Ten seconds: a lost wake-up fails the test rather than hanging it.
                let deadline = Deadline::after(signals.now(), 10_000_000_000);
                assert_eq!(epoll.wait(deadline), Woken::Events, "lost after {total}");
            }
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
