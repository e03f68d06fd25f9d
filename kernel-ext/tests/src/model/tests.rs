// SPDX-License-Identifier: BSD-2-Clause
//! The model keeps the promises that can be said in a line.

use super::*;
use crate::queue::{FROM_QUEUE, OVERRUN};
use sel4_bindings::Error;

const O: CapSlot = CapSlot::Original;

/// Everything made, queue `q` with buffer `q`.
fn made() -> Box<Model> {
    let mut model = Box::new(Model::new());
    let mut random = Random::new(0);
    for at in 0..NOTIFICATIONS + THREADS + 2 * QUEUES {
        let answer = model.apply(random.op(at));
        assert!(
            !matches!(answer, Answer::Refused(..)),
            "step {at}: {answer:?}"
        );
    }
    model
}

fn wait(source: Source) -> Command {
    Command {
        call: Call::Wait,
        source,
    }
}

#[test]
fn three_signals_make_one_entry() {
    let mut model = made();
    model.apply(Op::Attach(0, O, 0, O, 77));
    (0..3).for_each(|_| _ = model.apply(Op::Signal(0, O)));
    assert_eq!(model.memory.words(0)[0], 1);
    assert_eq!(model.memory.words(0)[8], 77);
    let collected = model.apply(Op::Collect(0, O));
    assert_eq!(collected, Answer::Message(FROM_QUEUE | 1, Some(0)));
    model.apply(Op::Signal(0, O));
    let collected = model.apply(Op::Collect(0, O));
    assert_eq!(collected, Answer::Message(FROM_QUEUE | 1, Some(1)));
}

#[test]
fn a_waiter_is_handed_the_cookie() {
    let mut model = made();
    model.apply(Op::Attach(0, O, 0, O, 77));
    model.apply(Op::Start(1, wait(Source::Queue(0, O))));
    model.apply(Op::Signal(0, O));
    let received = Received {
        by: 1,
        badge: FROM_QUEUE | 1,
        words: [Some(77), None],
    };
    assert_eq!(model.take_log().0[0], Some(received));
    assert_eq!(model.memory.words(0)[0], 0);
}

#[test]
fn a_thread_that_is_not_let_run_loses_what_it_was_handed() {
    let mut model = made();
    model.apply(Op::Attach(0, O, 0, O, 77));
    model.apply(Op::Start(3, wait(Source::Queue(0, O))));
    model.apply(Op::Run);
    model.apply(Op::Signal(0, O));
    model.apply(Op::Suspend(3));
    model.apply(Op::Run);
    assert_eq!(model.take_log().1, 0);
    assert_eq!(model.seen().count(Case::LostWake), 1);
}

#[test]
fn a_queue_lives_as_long_as_its_attachments() {
    let mut model = made();
    model.apply(Op::Attach(0, O, 0, O, 1));
    model.apply(Op::DeleteQueue(0, O));
    let full = Answer::Refused(Error::NotEnoughMemory, 0);
    assert_eq!(model.apply(Op::MakeQueue(0)), full);
    model.apply(Op::WipeNotification(0));
    assert_eq!(model.apply(Op::MakeQueue(0)), Answer::Done);
}

#[test]
fn a_small_buffer_serves_252() {
    let mut model = made();
    assert_eq!(model.apply(Op::Fill(0, 0)), Answer::Steps(252));
    let full = Answer::Refused(Error::NotEnoughMemory, 0);
    assert_eq!(model.apply(Op::Attach(0, O, 0, O, 1)), full);
    model.apply(Op::RevokeQueue(0));
    assert_eq!(model.apply(Op::Attach(0, O, 0, O, 1)), Answer::Done);
}

#[test]
fn without_a_buffer_entries_are_counted() {
    let mut model = made();
    model.apply(Op::Attach(0, O, 0, O, 1));
    model.apply(Op::RevokeFrame(0));
    model.apply(Op::Signal(0, O));
    let collected = model.apply(Op::Collect(0, O));
    assert_eq!(
        collected,
        Answer::Message(FROM_QUEUE | OVERRUN | 1, Some(0))
    );
}

#[test]
fn random_runs_reach_every_case() {
    let mut model = Box::new(Model::new());
    for episode in 0..250 {
        model.restart();
        let mut random = Random::new(episode);
        for at in 0..400 {
            match random.op(at) {
                Op::Rounds(count) => rounds(&mut model, count),
                op => _ = model.apply(op),
            }
            model.take_log();
            model.take_faults();
        }
    }
    let missed: Vec<_> = model.seen().iter().filter(|(_, n)| *n == 0).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

fn rounds(model: &mut Model, count: u8) {
    for _ in 0..count {
        for n in 0..NOTIFICATIONS as u8 {
            if model.only_adds(n) {
                model.apply(Op::Signal(n, O));
            }
        }
        (0..QUEUES as u8).for_each(|q| _ = model.apply(Op::Collect(q, O)));
    }
}
