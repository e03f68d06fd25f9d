// SPDX-License-Identifier: BSD-2-Clause
//! Rounds: some sources get an event each, and everything runs until all is quiet again.

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering;

use sel4_bindings::{CPtr, Error, Kernel, kernel, rdtsc, signal, tcb_set_priority};

use crate::bench::{Bench, Producers, World};
use crate::layout::MAX_BATCH;
use crate::mechanism::Mechanism;
use crate::memory::{Account, Arena};
use crate::process::priority::{ABOVE, BELOW};
use crate::sys::{Counted, Plain, Sys};

/// How many rounds there are.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// For instructions; the median is taken.
    pub rounds: usize,
    /// For kernel entries and switches; the mean is taken.
    pub counted: usize,
}

/// Of each event.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Events of a round.
    pub batch: usize,
    /// Instructions, in hundredths.
    pub instructions: i64,
    /// Kernel entries, in hundredths.
    pub entries: i64,
    /// Address-space switches, in hundredths.
    pub switches: i64,
}

/// What was found.
pub enum Outcome {
    /// It cannot be had.
    Refused(&'static str),
    /// There is not enough of something.
    Failed(Error),
    /// An event was lost, doubled or taken for another.
    Wrong(Wrong),
    /// It works.
    Measured(Vec<Cost>, Account),
}

/// What the consumer delivered, when it is not what there was.
#[derive(Clone, Copy, Debug)]
pub struct Wrong {
    /// Source whose count is wrong, if one is.
    pub source: Option<usize>,
    /// Its events, or all.
    pub expected: u64,
    /// Those that were delivered.
    pub delivered: u64,
    /// Claims without an event.
    pub spurious: u64,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.source {
            Some(source) => write!(f, "source {source}: ")?,
            None => write!(f, "all sources: ")?,
        }
        write!(
            f,
            "{} events, {} delivered; {} false claims",
            self.expected, self.delivered, self.spurious
        )
    }
}

enum Stop {
    Failed(Error),
    Wrong(Wrong),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Stop {
        Stop::Wrong(wrong)
    }
}

/// Sets the mechanism up, plain and counted, and measures it. The arena is empty before and afterwards.
pub fn measure<M: Mechanism>(
    world: &mut World,
    arena: &mut Arena,
    producers: &Producers,
    effort: Effort,
) -> Outcome {
    let kernel = kernel().unwrap_or(Kernel::Stock);
    if let Some(reason) = M::refuses(kernel, producers.sources) {
        return Outcome::Refused(reason);
    }
    let plain = run::<M, Plain>(world, arena, producers, effort.rounds);
    arena.clear();
    let (mut costs, account) = match plain {
        Ok(found) => found,
        Err(stop) => return stop.outcome(),
    };
    let counted = run::<M, Counted>(world, arena, producers, effort.counted);
    arena.clear();
    match counted {
        Ok((counts, _)) => {
            for (cost, count) in costs.iter_mut().zip(counts) {
                (cost.entries, cost.switches) = (count.entries, count.switches);
            }
            Outcome::Measured(costs, account)
        }
        Err(stop) => stop.outcome(),
    }
}

impl Stop {
    fn outcome(self) -> Outcome {
        match self {
            Stop::Failed(error) => Outcome::Failed(error),
            Stop::Wrong(wrong) => Outcome::Wrong(wrong),
        }
    }
}

fn run<M: Mechanism, S: Sys>(
    world: &mut World,
    arena: &mut Arena,
    producers: &Producers,
    rounds: usize,
) -> Result<(Vec<Cost>, Account), Stop> {
    let mut bench = Bench::new::<M>(world, arena, producers)?;
    let before = bench.arena.account;
    M::set_up::<S>(&mut bench)?;
    let account = bench.arena.account.since(&before);
    bench.start::<M, S>()?;
    let mut rig = Rig::new(&bench, world);
    // All come to where they wait.
    rig.let_run()?;
    let mut costs = Vec::new();
    for batch in [1, MAX_BATCH] {
        if batch <= producers.sources {
            costs.push(rig.cost(batch, rounds, S::COUNTED)?);
        }
    }
    rig.every_source()?;
    if M::RINGS {
        rig.lies()?;
    }
    Ok((costs, account))
}

/// The root task's side of the rounds.
struct Rig<'a> {
    bench: &'a Bench<'a>,
    world: &'a World,
    /// Sources in an order that changes with each round.
    order: Vec<usize>,
    random: u64,
    /// Delivered events of each source when we began.
    start: Vec<u64>,
    /// Events since.
    sent: Vec<u64>,
    total: u64,
    touched: Vec<usize>,
}

impl<'a> Rig<'a> {
    fn new(bench: &'a Bench<'a>, world: &'a World) -> Rig<'a> {
        let sources = bench.sources();
        let seen = bench.memory.seen.iter().take(sources);
        Rig {
            bench,
            world,
            order: (0..sources).collect(),
            random: 0x9e37_79b9_7f4a_7c15,
            start: seen.map(|s| s.load(Ordering::Relaxed)).collect(),
            sent: alloc::vec![0; sources],
            total: 0,
            touched: Vec::new(),
        }
    }

    /// Everybody else, until nobody can run.
    fn let_run(&self) -> Result<(), Error> {
        tcb_set_priority(CPtr::INIT_TCB, BELOW)?;
        tcb_set_priority(CPtr::INIT_TCB, ABOVE)
    }

    /// Puts `batch` other sources at the start of the order.
    fn shuffle(&mut self, batch: usize) {
        for i in 0..batch {
            // xorshift64
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let other = i + (self.random % (self.order.len() - i) as u64) as usize;
            self.order.swap(i, other);
        }
    }

    /// Tells the producers of `batch` sources, from `first` of the order on, what they are to do.
    fn plan(&mut self, first: usize, batch: usize) {
        let producers = self.bench.producers;
        self.touched.clear();
        for &source in &self.order[first..first + batch] {
            let (producer, own) = producers.owner(source);
            let channel = producers.all[producer].channel;
            if !self.touched.contains(&producer) {
                self.touched.push(producer);
                channel.count.store(0, Ordering::Relaxed);
            }
            let count = channel.count.load(Ordering::Relaxed);
            channel.list[count as usize].store(own as u64, Ordering::Relaxed);
            channel.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// Lets them do it, or only change their state; instructions until all is quiet.
    fn go(&self, mute: bool, counted: bool) -> Result<u64, Error> {
        let all = &self.bench.producers.all;
        for &producer in &self.touched {
            all[producer]
                .channel
                .mute
                .store(mute.into(), Ordering::Relaxed);
        }
        let begin = rdtsc();
        for &producer in &self.touched {
            signal(all[producer].go);
        }
        tcb_set_priority(CPtr::INIT_TCB, BELOW)?;
        let end = rdtsc();
        if counted {
            self.world.counts.note(0);
        }
        tcb_set_priority(CPtr::INIT_TCB, ABOVE)?;
        Ok(end - begin)
    }

    /// Whether the `batch` sources from `first` of the order on had one event each, and nobody else.
    fn check(&mut self, first: usize, batch: usize) -> Result<(), Wrong> {
        let memory = self.bench.memory;
        for &source in &self.order[first..first + batch] {
            self.sent[source] += 1;
            self.check_source(source)?;
        }
        self.total += batch as u64;
        let (delivered, spurious) = (
            memory.events.load(Ordering::Relaxed),
            memory.spurious.load(Ordering::Relaxed),
        );
        if delivered != self.total || spurious != 0 {
            return Err(Wrong {
                source: None,
                expected: self.total,
                delivered,
                spurious,
            });
        }
        Ok(())
    }

    fn check_source(&self, source: usize) -> Result<(), Wrong> {
        let memory = self.bench.memory;
        let delivered = memory.seen[source].load(Ordering::Relaxed) - self.start[source];
        if delivered == self.sent[source] {
            return Ok(());
        }
        Err(Wrong {
            source: Some(source),
            expected: self.sent[source],
            delivered,
            spurious: memory.spurious.load(Ordering::Relaxed),
        })
    }

    /// Pairs of rounds of the same sources: with events, and without.
    fn cost(&mut self, batch: usize, rounds: usize, counted: bool) -> Result<Cost, Stop> {
        let mut instructions: Vec<i64> = Vec::with_capacity(rounds);
        let (mut entries, mut switches) = (0, 0);
        // The first two find everything as the set-up left it.
        for round in 0..rounds + 2 {
            self.shuffle(batch);
            self.plan(0, batch);
            let counts = || {
                let counts = self.world.counts;
                let read =
                    |count: &core::sync::atomic::AtomicU64| count.load(Ordering::Relaxed) as i64;
                (read(&counts.entries), read(&counts.switches))
            };
            let at_first = counts();
            let without = self.go(true, counted)? as i64;
            let between = counts();
            let with = self.go(false, counted)? as i64;
            let at_last = counts();
            self.check(0, batch)?;
            if round >= 2 {
                instructions.push(with - without);
                entries += (at_last.0 - between.0) - (between.0 - at_first.0);
                switches += (at_last.1 - between.1) - (between.1 - at_first.1);
            }
        }
        instructions.sort_unstable();
        let each = batch as i64;
        let mean = |sum: i64| sum * 100 / (each * rounds as i64);
        Ok(Cost {
            batch,
            instructions: instructions[rounds / 2] * 100 / each,
            entries: mean(entries),
            switches: mean(switches),
        })
    }

    /// One event of every source, as many at a time as a plan holds; then all counts must be right.
    fn every_source(&mut self) -> Result<(), Stop> {
        let sources = self.order.len();
        for first in (0..sources).step_by(MAX_BATCH) {
            let batch = MAX_BATCH.min(sources - first);
            self.plan(first, batch);
            self.go(false, false)?;
            self.check(first, batch)?;
        }
        for source in 0..sources {
            self.check_source(source)?;
        }
        Ok(())
    }

    /// A producer lies in its ring: about how much there is, and of an event that was not. Its next event is delivered
    /// all the same, and no other is invented.
    fn lies(&mut self) -> Result<(), Stop> {
        // Source 0 is the liar's.
        self.order.sort_unstable();
        for lie in [1 << 40, 1] {
            let tail = &self.bench.producers.all[0].channel.tail;
            tail.fetch_add(lie, Ordering::Relaxed);
            self.plan(0, 1);
            self.go(false, false)?;
            self.sent[0] += 1;
            self.total += 1;
            self.check_source(0)?;
            let delivered = self.bench.memory.events.load(Ordering::Relaxed);
            let spurious = self.bench.memory.spurious.load(Ordering::Relaxed);
            // The second lie is a claim without an event.
            if delivered != self.total || spurious != u64::from(lie == 1) {
                let expected = self.total;
                return Err(Stop::Wrong(Wrong {
                    source: None,
                    expected,
                    delivered,
                    spurious,
                }));
            }
        }
        Ok(())
    }
}
