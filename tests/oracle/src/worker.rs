// SPDX-License-Identifier: BSD-2-Clause
//! The process that runs programs. It may crash or hang with what is tested; the supervisor sees how far it came.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use oracle::choices::Seeded;
use oracle::compare::{Verdict, annotate};
use oracle::generate::program;
use oracle::op::Program;
use oracle::pair::Pair;
use oracle::run::{Outcome, Trace};
use oracle::shrink::{shrink, up_to};
use oracle::subject::Ours;
use oracle::waiting::Waited;
use oracle::{deviations, text};

/// Programs handed to Linux at once.
const BATCH: u64 = 64;
/// How often a program is run again in which something happened during a wait.
const RUNS: usize = 8;
/// A program that takes longer hangs.
const HUNG: Duration = Duration::from_secs(20);

/// Programs that Linux has run and ours has not.
type Waiting = VecDeque<(Program, Trace)>;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Of all programs.
    pub seed: u64,
    /// Index of the first.
    pub first: u64,
    /// At least so many calls.
    pub calls: u64,
    /// Differences after which to stop.
    pub failures: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// Programs, and calls in them.
    pub programs: u64,
    /// See `programs`.
    pub calls: u64,
    /// Programs that known deviations cut short, by the deviation's name.
    pub cut: BTreeMap<&'static str, u64>,
    /// By call: done, failed, left out.
    pub stats: BTreeMap<&'static str, [u64; 3]>,
    /// Waits that the next call ended, and those that it did not.
    pub waits: [u64; 2],
    /// Programs that differed once, and not in each of several runs.
    pub by_chance: u64,
    /// What `deviations::MISSING` names although it is there.
    pub there: Vec<&'static str>,
    /// Programs that differ: index, and text after shrinking.
    pub different: Vec<(u64, String)>,
}

/// Ends the process if `progress` stands still.
pub fn watch(progress: &'static AtomicU64) {
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            std::thread::sleep(HUNG);
            let now = progress.load(Relaxed);
            if now == last {
                eprintln!("program {now} hangs");
                std::process::abort();
            }
            last = now;
        }
    });
}

/// Runs programs until there were enough calls or differences. `progress` is the index of the program under way.
pub fn work(work: Work, progress: &AtomicU64) -> Found {
    let mut pair = Pair::start();
    let mut found = Found {
        there: there(&mut pair),
        ..Found::default()
    };
    let mut waiting = Waiting::new();
    let mut sent = work.first;
    let mut send = |pair: &Pair<Ours>| {
        let batch = (sent..sent + BATCH).map(|index| program(&mut Seeded::new(work.seed, index)));
        pair.linux.send(batch.collect());
        sent += BATCH;
    };
    send(&pair);
    let mut index = work.first;
    while found.calls < work.calls {
        if waiting.is_empty() {
            send(&pair);
            waiting.extend(pair.linux.receive());
        }
        let Some((program, linux)) = waiting.pop_front() else {
            continue;
        };
        progress.store(index, Relaxed);
        let ours = pair.tested.run(&program, Some(&linux));
        count(&mut found, &program, &linux);
        match oracle::compare::compare(&program, &linux, &ours) {
            Verdict::Same => {}
            Verdict::Cut(deviation) => *found.cut.entry(deviation.name).or_default() += 1,
            // Which of two events of one call comes first to a waiter that runs already is chance, now and then.
            Verdict::Different(_) if waits(&linux) && agrees(&mut pair, &mut waiting, &program) => {
                found.by_chance += 1;
                send(&pair);
            }
            Verdict::Different(at) => {
                // Nothing may be under way while programs are tried one by one.
                if !waits(&linux) {
                    waiting.extend(pair.linux.receive());
                }
                let text = smallest(&mut pair, &program, at);
                found.different.push((index, text));
                if found.different.len() >= work.failures {
                    return found;
                }
                send(&pair);
            }
        }
        index += 1;
    }
    found
}

/// Whether anything happened during a wait.
fn waits(trace: &Trace) -> bool {
    trace.iter().any(|outcome| outcome.waited != Waited::No)
}

/// Whether a program that differed does not in one of some more runs.
fn agrees(pair: &mut Pair<Ours>, waiting: &mut Waiting, program: &Program) -> bool {
    // Nothing may be under way while programs are tried one by one.
    waiting.extend(pair.linux.receive());
    let mut agrees = false;
    for _ in 0..RUNS {
        agrees |= !matches!(pair.check(program).0, Verdict::Different(_));
    }
    agrees
}

/// What is said to be missing and is not.
fn there(pair: &mut Pair<Ours>) -> Vec<&'static str> {
    let mut there = Vec::new();
    pair.tested.complete = true;
    for missing in deviations::MISSING {
        let probe = text::parse(missing.probe).expect("the probes are programs");
        let trace = pair.tested.run(&probe, None);
        if trace.last().is_some_and(|outcome| outcome.result >= 0) {
            there.push(missing.name);
        }
    }
    pair.tested.complete = false;
    there
}

fn count(found: &mut Found, program: &Program, trace: &Trace) {
    found.programs += 1;
    found.calls += program.len() as u64;
    for (
        op,
        Outcome {
            skipped,
            result,
            waited,
            ..
        },
    ) in program.iter().zip(trace)
    {
        match waited {
            Waited::No => {}
            Waited::Meanwhile => found.waits[0] += 1,
            Waited::InVain => found.waits[1] += 1,
        }
        let counts = found.stats.entry(op.call.spec().name).or_default();
        counts[if *skipped {
            2
        } else {
            usize::from(*result < 0)
        }] += 1;
    }
}

/// The shrunk program with its answers; it still differs at a call of the same name.
pub fn smallest(pair: &mut Pair<Ours>, program: &Program, at: usize) -> String {
    let call = program[at].call;
    let mut differs = |program: &Program| {
        let verdict = pair.check(program).0;
        matches!(verdict, Verdict::Different(at) if program[at].call == call)
    };
    let mut note = "";
    let mut small = up_to(program, at);
    if !differs(&small) {
        note = "# It does not differ when it is run alone: it depends on what ran before, or on time.\n";
        small = program.clone();
    } else {
        small = shrink(small, differs);
    }
    let (_, linux, ours) = pair.check(&small);
    format!("{note}{}", annotate(&small, &linux, &ours))
}
