// SPDX-License-Identifier: BSD-2-Clause
//! Exclusive watches of a source that other processes have too: the workers of a server, and its connections.

use super::*;

const TOKENS: u32 = 4;

impl Channel {
    /// Takes one of what was produced, if any is left.
    fn take_one(&self) -> u64 {
        let produced = self.produced.load(Ordering::Acquire);
        let consumed = self.consumed.load(Ordering::Relaxed);
        self.consumed.store(
            consumed + u32::from(consumed != produced),
            Ordering::Relaxed,
        );
        u64::from(consumed != produced)
    }
}

/// Workers with an instance each wait exclusively, and each for something of its own as well; another process produces.
fn workers(queues: bool) {
    let me = process(queues, Mutant::None);
    let channel = Arc::<Channel>::default();
    let source = me.core(|core| {
        let source = core.open(Events::empty());
        core.set_remote(source, Some(Box::new(Look(channel.clone()))))
            .unwrap();
        source
    });
    let (stop, stop_source) = eventfd(&me, false);
    let taken = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    let mut own = Vec::new();
    for number in 2..5 {
        let (epoll, _) = me.core(|core| core.epoll_create());
        let (other, other_source) = eventfd(&me, false);
        me.add(epoll, source, IN | EXCLUSIVE, 1);
        me.add(epoll, other_source, IN, 2);
        me.add(epoll, stop_source, IN, STOP);
        own.push(other.clone());
        let (channel, stop, taken) = (channel.clone(), stop.clone(), taken.clone());
        threads.push(spawn(&me, number, move |me| {
            loop {
                for (data, _) in me.wait(epoll, 3) {
                    match data {
                        STOP => return,
                        2 => {
                            read(&me, &other);
                        }
                        _ => {
                            let n = me.core(|_| channel.take_one());
                            if taken.fetch_add(n, SeqCst) + n == u64::from(TOKENS) {
                                write(&me, &stop);
                            }
                        }
                    }
                }
            }
        }));
    }
    threads.push(spawn(&me, 1, move |me| {
        for round in 0..TOKENS {
            channel.produced.fetch_add(1, Ordering::Release);
            channel
                .subscriptions
                .notify(Events::IN, |slot| me.signal(slot));
            // Somebody is woken for another reason at about the same time.
            write(&me, &own[round as usize % own.len()]);
        }
    }));
    join(threads);
    assert_eq!(taken.load(SeqCst), u64::from(TOKENS));
}

#[test]
fn exclusive_workers_share_what_another_process_produces() {
    runs(|| workers(true));
    runs(|| workers(false));
}
