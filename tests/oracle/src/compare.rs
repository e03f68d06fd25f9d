// SPDX-License-Identifier: BSD-2-Clause
//! When two answers are equal, and how a difference reads.

use std::fmt::Write as _;

use crate::deviations::{self, Deviation};
use crate::names;
use crate::op::{Call, Op};
use crate::run::{Outcome, Trace};

/// What comparing two runs of a program found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The same, up to known deviations.
    Same,
    /// A known deviation after which the two sides are not comparable: the rest was not compared.
    Cut(&'static Deviation),
    /// A difference at this call.
    Different(usize),
}

/// Compares two runs.
pub fn compare(program: &[Op], linux: &Trace, ours: &Trace) -> Verdict {
    // Ours ends where they part.
    for (i, op) in program.iter().enumerate().take(ours.len()) {
        if deviations::equal(op, &linux[i], &ours[i]) {
            continue;
        }
        match deviations::find(&program[..i], op, &linux[i], &ours[i]) {
            Some(deviation) if deviation.goes_on => {}
            Some(deviation) => return Verdict::Cut(deviation),
            None => return Verdict::Different(i),
        }
    }
    Verdict::Same
}

/// A result in words: a number, or the error's name.
pub fn result(outcome: &Outcome) -> String {
    if outcome.skipped {
        return "left out".to_owned();
    }
    let error = u64::try_from(-outcome.result).unwrap_or(0);
    match names::name(names::ERRORS, error) {
        Some(name) => format!("-1 {name}"),
        None => outcome.result.to_string(),
    }
}

/// An answer in words.
pub fn describe(op: &Op, outcome: &Outcome) -> String {
    let mut text = result(outcome);
    let count = usize::try_from(outcome.result).unwrap_or(0);
    match op.call {
        Call::EpollWait | Call::EpollPwait | Call::EpollPwait2 => {
            for event in outcome.memory.chunks_exact(12).take(count) {
                let (events, data) = event.split_at(4);
                let events = u32::from_ne_bytes(events.try_into().unwrap());
                let data = u64::from_ne_bytes(data.try_into().unwrap());
                let bits = crate::text::bits(names::EVENTS, events.into());
                write!(text, " {{{bits}, {data}}}").unwrap();
            }
        }
        Call::Poll | Call::Ppoll => {
            let crate::op::Value::Polls(polls) = &op.args[0] else {
                return text;
            };
            for entry in outcome.memory.chunks_exact(8).take(polls.len()) {
                let revents = u16::from_ne_bytes(entry[6..].try_into().unwrap());
                write!(
                    text,
                    " {}",
                    crate::text::bits(names::EVENTS, revents.into())
                )
                .unwrap();
            }
        }
        _ => {}
    }
    if outcome.handled > 0 {
        write!(text, ", {} signals handled", outcome.handled).unwrap();
    }
    text
}

/// The program with its answers, as text that can be read back: comments hold the answers.
pub fn annotate(program: &[Op], linux: &Trace, ours: &Trace) -> String {
    let mut text = String::new();
    for (i, op) in program.iter().enumerate() {
        let answers = match (linux.get(i), ours.get(i)) {
            (Some(linux), Some(ours)) if linux == ours => describe(op, linux),
            (Some(linux), Some(ours)) => {
                let (theirs, our) = (describe(op, linux), describe(op, ours));
                let note = if theirs == our {
                    memory(linux, ours)
                } else {
                    String::new()
                };
                format!("Linux: {theirs}; ours: {our}{note}")
            }
            _ => String::new(),
        };
        writeln!(text, "{:48} # {answers}", op.to_string()).unwrap();
    }
    text
}

/// Where memory differs.
fn memory(linux: &Outcome, ours: &Outcome) -> String {
    let mut bytes = linux.memory.iter().zip(&ours.memory);
    match bytes.position(|(a, b)| a != b) {
        Some(at) => format!(
            "; byte {at} of its memory is {:#x} on Linux, {:#x} on ours",
            linux.memory[at], ours.memory[at]
        ),
        None => String::new(),
    }
}
