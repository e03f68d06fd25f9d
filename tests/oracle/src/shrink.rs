// SPDX-License-Identifier: BSD-2-Clause
//! The least program that still differs: calls are left out, then arguments made plainer, until nothing more can go.

use crate::op::{Fd, Op, Param, Pointer, Program, Value};

/// Makes a program smaller as long as `still` says yes.
pub fn shrink(mut program: Program, mut still: impl FnMut(&Program) -> bool) -> Program {
    loop {
        let before = program.clone();
        leave_out_calls(&mut program, &mut still);
        simplify_arguments(&mut program, &mut still);
        if program == before {
            return program;
        }
    }
}

/// A program up to the call that differs, and the one after it: that may have been made while it waited.
pub fn up_to(program: &Program, at: usize) -> Program {
    program[..program.len().min(at + 2)].to_vec()
}

/// Leaves out runs of calls: halves first, single ones last.
fn leave_out_calls(program: &mut Program, still: &mut impl FnMut(&Program) -> bool) {
    let mut len = program.len() / 2;
    while len > 0 {
        // From the end: what comes late is rarely needed by what comes early.
        let mut start = program.len();
        while start > 0 {
            start = start.saturating_sub(len);
            let mut shorter = program.clone();
            shorter.drain(start..program.len().min(start + len));
            if still(&shorter) {
                *program = shorter;
            }
        }
        len /= 2;
    }
}

fn simplify_arguments(program: &mut Program, still: &mut impl FnMut(&Program) -> bool) {
    for i in 0..program.len() {
        for argument in 0..program[i].args.len() {
            // Each success gives new candidates; each is smaller, so there is an end.
            while let Some(simpler) = candidates(&program[i], argument)
                .into_iter()
                .map(|value| {
                    let mut simpler = program.clone();
                    simpler[i].args[argument] = value;
                    simpler
                })
                .find(|simpler| still(simpler))
            {
                *program = simpler;
            }
        }
    }
}

/// Plainer values for an argument, the plainest first.
fn candidates(op: &Op, argument: usize) -> Vec<Value> {
    match (op.call.spec().params[argument], &op.args[argument]) {
        (Param::Bits(_), &Value::Int(bits)) => {
            let each = (0..63).map(|bit| 1i64 << bit);
            let set = each.filter(|bit| bits & bit != 0);
            set.map(|bit| Value::Int(bits & !bit)).collect()
        }
        (Param::Int, &Value::Int(number)) => [0, 1, 8, 64]
            .into_iter()
            .filter(|n: &i64| n.abs() < number.saturating_abs())
            .map(Value::Int)
            .collect(),
        (_, Value::Polls(polls)) => without_one(polls).map(Value::Polls).collect(),
        (_, Value::Set(Some(fds))) => {
            let mut values = vec![Value::Set(None)];
            values.extend(without_one(fds).map(|fds| Value::Set(Some(fds))));
            values
        }
        (_, Value::Mask(Some(_))) => vec![Value::Mask(None)],
        (_, Value::Pointer(Pointer::Kernel)) => vec![Value::Pointer(Pointer::Null)],
        (_, Value::Fd(Fd::Number(n))) if *n != -1 => vec![Value::Fd(Fd::Number(-1))],
        _ => Vec::new(),
    }
}

fn without_one<T: Clone>(list: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..list.len()).map(|i| {
        let mut shorter = list.to_vec();
        shorter.remove(i);
        shorter
    })
}
