// SPDX-License-Identifier: BSD-2-Clause
//! Programs as text: a call a line, `a = eventfd2(0, NONBLOCK)`. `#` begins a comment.
//!
//! Variables are `v0` to `v63`, fds may also be numbers. Flags are joined by `|`. Lists stand in brackets: `poll([v1:IN|OUT, -1:IN], 0)`,
//! `select(8, [v1], [], null, 0:0)`. Times are `seconds:nanoseconds` (microseconds for select) or `null`. A pointer that is not good is the last
//! argument, `null` or `kernel`.

use std::fmt::{self, Write as _};

use anyhow::{Context, Result, anyhow, bail};

use crate::names::{self, Names};
use crate::op::{Call, Fd, Op, Param, Pointer, Program, Time, VARIABLES, Value};

impl fmt::Display for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fd::Var(number) => write!(f, "v{number}"),
            Fd::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Bits by their names; those without go together as a number.
pub fn bits(names: Names, value: u64) -> String {
    let mut rest = value;
    let mut words = Vec::new();
    for &(name, bit) in names {
        if value & bit == bit {
            words.push(name.to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || words.is_empty() {
        words.push(if rest < 10 {
            rest.to_string()
        } else {
            format!("{rest:#x}")
        });
    }
    words.join("|")
}

fn list<T>(items: &[T], mut word: impl FnMut(&T) -> String) -> String {
    let words: Vec<String> = items.iter().map(&mut word).collect();
    format!("[{}]", words.join(", "))
}

fn show(param: Param, value: &Value) -> String {
    match (param, value) {
        // Flags are 32 bits wide; a negative number stays one.
        (Param::Bits(names), Value::Int(value)) if *value >= 0 => bits(names, *value as u64),
        (Param::One(names), Value::Int(value)) => match names::name(names, *value as u64) {
            Some(name) => name.to_owned(),
            None => value.to_string(),
        },
        (_, Value::Int(value)) => value.to_string(),
        (_, Value::Fd(fd)) => fd.to_string(),
        (_, Value::Polls(polls)) => list(polls, |(fd, events)| {
            format!("{fd}:{}", bits(names::EVENTS, u64::from(*events)))
        }),
        (_, Value::Set(Some(fds))) => list(fds, Fd::to_string),
        (_, Value::Time(Some(time))) => format!("{}:{}", time.seconds, time.fraction),
        (_, Value::Mask(Some(mask))) => bits(names::SIGNALS, *mask),
        (_, Value::Pointer(Pointer::Kernel)) => "kernel".to_owned(),
        (_, Value::Pointer(Pointer::Good)) => "good".to_owned(),
        _ => "null".to_owned(),
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.call.spec();
        let vars: Vec<String> = self.vars[..spec.makes]
            .iter()
            .map(|var| format!("v{var}"))
            .collect();
        if !vars.is_empty() {
            write!(f, "{} = ", vars.join(", "))?;
        }
        let mut words = String::new();
        for (&param, value) in spec.params.iter().zip(&self.args) {
            if *value != Value::Pointer(Pointer::Good) {
                let lead = if words.is_empty() { "" } else { ", " };
                write!(words, "{lead}{}", show(param, value))?;
            }
        }
        write!(f, "{}({words})", spec.name)
    }
}

/// The program as text.
pub fn print(program: &[Op]) -> String {
    program.iter().map(|op| format!("{op}\n")).collect()
}

/// Commas outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut words: Vec<&str> = text
        .split(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth == 0
        })
        .map(str::trim)
        .collect();
    if words == [""] {
        words.clear();
    }
    words
}

fn number(word: &str) -> Result<i64> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map(|n| n as i64),
        None => word.parse(),
    };
    parsed.map_err(|_| anyhow!("`{word}` is no number"))
}

fn flags(names: Names, word: &str) -> Result<u64> {
    let mut all = 0;
    for part in word.split('|') {
        all |= match names::value(names, part) {
            Some(value) => value,
            None => number(part)? as u64,
        };
    }
    Ok(all)
}

fn variable(word: &str) -> Result<u8> {
    word.strip_prefix('v')
        .and_then(|digits| digits.parse().ok())
        .filter(|&number| usize::from(number) < VARIABLES)
        .ok_or_else(|| anyhow!("`{word}` is no variable (v0 to v{})", VARIABLES - 1))
}

fn fd(word: &str) -> Result<Fd> {
    if word.starts_with('v') {
        return Ok(Fd::Var(variable(word)?));
    }
    Ok(Fd::Number(number(word)?.try_into()?))
}

fn items(word: &str) -> Result<Vec<&str>> {
    let inner = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    Ok(split(
        inner.with_context(|| format!("`{word}` is no list"))?,
    ))
}

fn value(param: Param, word: &str) -> Result<Value> {
    Ok(match param {
        Param::Fd => Value::Fd(fd(word)?),
        Param::Int => Value::Int(number(word)?),
        Param::Bits(names) => Value::Int(flags(names, word)? as i64),
        Param::One(names) => Value::Int(match names::value(names, word) {
            Some(value) => value as i64,
            None => number(word)?,
        }),
        Param::Polls => {
            let mut polls = Vec::new();
            for item in items(word)? {
                let (number, events) = item
                    .split_once(':')
                    .with_context(|| format!("`{item}` is not FD:EVENTS"))?;
                polls.push((fd(number)?, flags(names::EVENTS, events)?.try_into()?));
            }
            Value::Polls(polls)
        }
        Param::Pointer => Value::Pointer(match word {
            "good" => Pointer::Good,
            "null" => Pointer::Null,
            "kernel" => Pointer::Kernel,
            _ => bail!("`{word}` is no pointer: good, null or kernel"),
        }),
        Param::Set if word == "null" => Value::Set(None),
        Param::Set => Value::Set(Some(
            items(word)?.into_iter().map(fd).collect::<Result<_>>()?,
        )),
        Param::Time if word == "null" => Value::Time(None),
        Param::Time => {
            let (seconds, fraction) = word
                .split_once(':')
                .with_context(|| format!("`{word}` is not SECONDS:FRACTION"))?;
            Value::Time(Some(Time {
                seconds: number(seconds)?,
                fraction: number(fraction)?,
            }))
        }
        Param::Mask if word == "null" => Value::Mask(None),
        Param::Mask => Value::Mask(Some(flags(names::SIGNALS, word)?)),
    })
}

fn line(text: &str) -> Result<Op> {
    let (vars, call) = text.split_once('=').unwrap_or(("", text));
    let (name, rest) = call
        .trim()
        .split_once('(')
        .context("a line is CALL(ARGUMENTS)")?;
    let inner = rest
        .strip_suffix(')')
        .context("`)` is missing at the end")?;
    let &call = Call::ALL
        .iter()
        .find(|call| call.spec().name == name)
        .with_context(|| format!("there is no call `{name}`"))?;
    let spec = call.spec();
    let mut words = split(inner);
    if words.len() + 1 == spec.params.len() && matches!(spec.params.last(), Some(Param::Pointer)) {
        words.push("good");
    }
    if words.len() != spec.params.len() {
        bail!(
            "`{name}` takes {} arguments, here are {}",
            spec.params.len(),
            words.len()
        );
    }
    let params = spec.params.iter().zip(words);
    let args = params
        .map(|(&param, word)| value(param, word))
        .collect::<Result<_>>()?;
    let names = split(vars);
    if names.len() != spec.makes {
        bail!(
            "`{name}` makes {} fds, here are {} variables",
            spec.makes,
            names.len()
        );
    }
    let mut op = Op::new(call, args);
    for (slot, name) in op.vars.iter_mut().zip(names) {
        *slot = variable(name)?;
    }
    Ok(op)
}

/// Reads a program.
pub fn parse(text: &str) -> Result<Program> {
    let mut program = Vec::new();
    for (i, text) in text.lines().enumerate() {
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            program.push(line(text).with_context(|| format!("line {}", i + 1))?);
        }
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::Seeded;
    use crate::generate::program;

    #[test]
    fn what_is_printed_is_read_back() {
        for index in 0..2_000 {
            let program = program(&mut Seeded::new(1, index));
            assert_eq!(parse(&print(&program)).unwrap(), program);
        }
    }

    #[test]
    fn errors_name_line_and_word() {
        let error = |text| format!("{:#}", parse(text).unwrap_err());
        assert_eq!(error("\nclose(x)"), "line 2: `x` is no number");
        assert_eq!(
            error("close(1, 2)"),
            "line 1: `close` takes 1 arguments, here are 2"
        );
        assert_eq!(
            error("v0 = close(1)"),
            "line 1: `close` makes 0 fds, here are 1 variables"
        );
        assert_eq!(
            error("open()"),
            "line 1: `open` takes 2 arguments, here are 0"
        );
    }
}
