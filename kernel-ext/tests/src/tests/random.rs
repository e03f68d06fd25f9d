// SPDX-License-Identifier: BSD-2-Clause
//! Random sequences of operations, on the kernel and on the model, compared after
//! each: answers and errors, who received what, who faulted, every word of the
//! buffers.
//!
//! A run consists of episodes, each of which starts from nothing. When one fails
//! it is run again and again with parts left out, as long as it still fails, and
//! the shortest sequence that fails is printed.

use core::fmt;

use super::rig::{Rig, words};
use crate::child::{self, clear_log, logged};
use crate::line;
use crate::model::{
    Answer, CapSlot, FRAMES, LARGE, Model, NOTIFICATIONS, Op, QUEUES, Random, Received, Seen,
    THREADS,
};
use crate::parameters;
use crate::tap::Tap;
use crate::world::World;

/// Operations of an episode.
const EPISODE: usize = 400;
/// Words of the large frame that are compared after each step; the others are at
/// the end of an episode.
const LARGE_QUICK: usize = 256;
/// Runs that may be spent on shortening a failing episode.
const SHORTENING: usize = 3000;

/// How kernel and model differ.
#[derive(Clone, Copy)]
enum Wrong {
    Answer(Answer, Answer),
    Log(usize, Option<Received>, Option<Received>),
    Faults([bool; THREADS], [bool; THREADS]),
    Word(usize, usize, u64, u64),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Answer(found, expected) => {
                write!(f, "it answers {found:x?}, and should {expected:x?}")
            }
            Wrong::Log(at, found, expected) => {
                write!(
                    f,
                    "received, number {at}: {found:x?}, and should be {expected:x?}"
                )
            }
            Wrong::Faults(found, expected) => {
                write!(f, "threads faulted: {found:?}, and should: {expected:?}")
            }
            Wrong::Word(frame, word, found, expected) => write!(
                f,
                "word {word} of frame {frame} is {found:#x}, and should be {expected:#x}"
            ),
        }
    }
}

/// Kernel and model, side by side.
struct Pair<'a> {
    rig: &'a Rig,
    model: &'a mut Model,
}

impl Pair<'_> {
    /// An operation on both, its answer compared.
    fn apply(&mut self, op: Op) -> Result<(), Wrong> {
        if let Op::Rounds(count) = op {
            return self.rounds(count);
        }
        let fill = self.model.filled();
        let expected = self.model.apply(op);
        // What the model skips could stop the test itself.
        if expected == Answer::Skipped {
            return Ok(());
        }
        let found = self.rig.apply(op, fill);
        if found != expected {
            return Err(Wrong::Answer(found, expected));
        }
        Ok(())
    }

    fn rounds(&mut self, count: u8) -> Result<(), Wrong> {
        for _ in 0..count {
            for n in 0..NOTIFICATIONS as u8 {
                if self.model.only_adds(n) {
                    self.apply(Op::Signal(n, CapSlot::Original))?;
                }
            }
            for q in 0..QUEUES as u8 {
                self.apply(Op::Collect(q, CapSlot::Original))?;
            }
        }
        Ok(())
    }

    /// An operation on both, everything compared.
    fn step(&mut self, op: Op) -> Result<(), Wrong> {
        let answer = self.apply(op);
        let (log, count) = self.model.take_log();
        let found = logged();
        for (at, expected) in log.iter().enumerate().take(found.max(count).min(log.len())) {
            let found = child::log(at).map(|r| Received {
                by: r.by,
                badge: r.badge,
                words: r.words,
            });
            if found != *expected {
                return Err(Wrong::Log(at, found, *expected));
            }
        }
        clear_log();
        let (found, expected) = (self.rig.faults(), self.model.take_faults());
        if found != expected {
            return Err(Wrong::Faults(found, expected));
        }
        answer?;
        self.compare_memory(LARGE_QUICK)
    }

    fn compare_memory(&self, large: usize) -> Result<(), Wrong> {
        for frame in 0..FRAMES {
            let count = if frame == LARGE { large } else { words(frame) };
            for (index, expected) in self.model.memory.words(frame)[..count].iter().enumerate() {
                let found = self.rig.word(frame, index);
                if found != *expected {
                    return Err(Wrong::Word(frame, index, found, *expected));
                }
            }
        }
        Ok(())
    }
}

/// Runs an episode from nothing. The step at which it fails, and how.
fn run(rig: &Rig, model: &mut Model, ops: &[Op]) -> Result<(), (usize, Wrong)> {
    rig.reset();
    model.restart();
    let mut pair = Pair { rig, model };
    for (at, op) in ops.iter().enumerate() {
        pair.step(*op).map_err(|wrong| (at, wrong))?;
    }
    let last = ops.len().saturating_sub(1);
    pair.compare_memory(words(LARGE))
        .map_err(|wrong| (last, wrong))
}

/// A sequence of operations, of a length that is known when it is drawn.
struct Sequence {
    ops: [Op; EPISODE],
    length: usize,
}

impl Sequence {
    const EMPTY: Sequence = Sequence {
        ops: [Op::Run; EPISODE],
        length: 0,
    };

    fn draw(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        for (at, op) in self.ops.iter_mut().enumerate() {
            *op = random.op(at);
        }
        self.length = EPISODE;
    }

    fn as_slice(&self) -> &[Op] {
        &self.ops[..self.length]
    }

    /// The same without `count` operations from `at` on.
    fn without(&self, at: usize, count: usize) -> Sequence {
        let mut shorter = Sequence::EMPTY;
        let (head, rest) = self.as_slice().split_at(at);
        let tail = &rest[count.min(rest.len())..];
        shorter.ops[..at].copy_from_slice(head);
        shorter.ops[at..at + tail.len()].copy_from_slice(tail);
        shorter.length = at + tail.len();
        shorter
    }
}

/// Leaves out what is not needed for the failure.
fn shorten(rig: &Rig, model: &mut Model, sequence: &mut Sequence, mut wrong: Wrong) -> Wrong {
    let mut left = SHORTENING;
    let mut size = sequence.length / 2;
    while size > 0 && left > 0 {
        let mut at = 0;
        let before = sequence.length;
        while at < sequence.length && left > 0 {
            let mut shorter = sequence.without(at, size);
            left -= 1;
            match run(rig, model, shorter.as_slice()) {
                Err((failing, how)) => {
                    shorter.length = failing + 1;
                    *sequence = shorter;
                    wrong = how;
                }
                Ok(()) => at += size,
            }
        }
        if sequence.length == before || size > 1 {
            size /= 2;
        }
    }
    wrong
}

pub(super) fn sequences(world: &mut World, tap: &mut Tap) {
    // Too large for the stack; and there is one thread that runs this.
    static STATE: State = State::new();
    let (model, sequence) = STATE.take();
    let (seed, steps) = parameters::seed_and_steps();
    line!("# seed {seed}, {steps} steps");
    let rig = Rig::new(world);
    let episodes = steps.div_ceil(EPISODE as u64);
    let mut failed = None;
    for episode in 0..episodes {
        let episode_seed = seed.wrapping_mul(1 << 32).wrapping_add(episode);
        sequence.draw(episode_seed);
        if let Err((at, wrong)) = run(&rig, model, sequence.as_slice()) {
            sequence.length = at + 1;
            failed = Some((episode, wrong));
            break;
        }
        if episode % 50 == 49 {
            line!("# {} steps", (episode + 1) * EPISODE as u64);
        }
    }
    tap.check(failed.is_none(), "kernel and model agree");
    if let Some((episode, wrong)) = failed {
        let length = sequence.length;
        line!("# episode {episode} of seed {seed} fails after {length} steps: {wrong}");
        let wrong = shorten(&rig, model, sequence, wrong);
        line!("# the shortest sequence that fails, as found by leaving out:");
        for op in sequence.as_slice() {
            line!("#   {op:x?}");
        }
        line!("# {wrong}");
    }
    rig.reset();
    reached(tap, model.seen(), steps);
}

/// A run that never meets a case does not test it.
fn reached(tap: &mut Tap, seen: &Seen, steps: u64) {
    for (case, count) in seen.iter() {
        if steps >= 20_000 {
            tap.check(count > 0, format_args!("{case:?} has come up"));
        }
        line!("# {case:?}: {count}");
    }
}

/// Model and sequence, outside the stack.
struct State {
    cell: core::cell::UnsafeCell<(Model, Sequence)>,
    taken: core::sync::atomic::AtomicBool,
}

// SAFETY: `take` gives the contents away once.
unsafe impl Sync for State {}

impl State {
    const fn new() -> State {
        State {
            cell: core::cell::UnsafeCell::new((Model::new(), Sequence::EMPTY)),
            taken: core::sync::atomic::AtomicBool::new(false),
        }
    }

    #[allow(clippy::mut_from_ref, reason = "given away once")]
    fn take(&self) -> (&mut Model, &mut Sequence) {
        let taken = self.taken.swap(true, core::sync::atomic::Ordering::Relaxed);
        assert!(!taken, "the model is in use");
        // SAFETY: nobody else has a reference: this is reached once.
        let state = unsafe { &mut *self.cell.get() };
        (&mut state.0, &mut state.1)
    }
}
