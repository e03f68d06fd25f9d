// SPDX-License-Identifier: BSD-2-Clause
//! What a process costs from posix_spawn to waitpid, and what of it the root server spends on each kind of invocation; as a
//! measuring build of that logs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use kernel_ext::Kernel;

use super::{head, row};
use crate::plot::number;

/// Invocations that put a cap into another slot.
const MOVES: &[&str] = &["CNodeCopy", "CNodeMint", "CNodeMove", "CNodeMutate"];

/// What lies between the starts of two processes.
pub struct Spawn {
    total: f64,
    /// Number and instructions of each kind of invocation.
    methods: BTreeMap<String, (f64, f64)>,
}

impl Spawn {
    /// `@spawn PATH total=TICKS METHOD=COUNT/TICKS …`
    pub fn parse(line: &str) -> Result<Spawn> {
        let mut total = None;
        let mut methods = BTreeMap::new();
        for (name, value) in line.split(' ').filter_map(|field| field.split_once('=')) {
            match value.split_once('/') {
                None => total = value.parse().ok(),
                Some((count, ticks)) => {
                    methods.insert(name.to_owned(), (count.parse()?, ticks.parse()?));
                }
            }
        }
        let total = total.with_context(|| format!("no total in {line:?}"))?;
        ensure!(!methods.is_empty(), "no invocations in {line:?}");
        Ok(Spawn { total, methods })
    }

    fn sum(&self, methods: &[&str]) -> (f64, f64) {
        let found = methods.iter().filter_map(|name| self.methods.get(*name));
        found.fold((0.0, 0.0), |sum, (count, ticks)| {
            (sum.0 + count, sum.1 + ticks)
        })
    }
}

/// Adds the table.
pub fn table(spawns: &[(Kernel, Spawn)], text: &mut String) {
    let Some((_, first)) = spawns.first() else {
        return;
    };
    let heads = spawns
        .iter()
        .map(|(kernel, _)| format!("{kernel} kernel: number, instructions, share"));
    let title = "A posix_spawn, the child's end and a waitpid (bench/spawn.c): everything that runs, and what of it are the root server's invocations";
    head(text, title, &heads.collect::<Vec<_>>());
    let mut rows: Vec<(&str, Vec<&str>)> = vec![
        ("all instructions; number of invocations", vec![]),
        ("**caps copied, minted, moved**", MOVES.to_vec()),
    ];
    rows.extend(
        first
            .methods
            .keys()
            .map(|name| (name.as_str(), vec![name.as_str()])),
    );
    for (name, methods) in rows {
        let cells = spawns.iter().map(|(_, spawn)| {
            let (count, ticks) = match &methods[..] {
                [] => (spawn.methods.values().map(|m| m.0).sum(), spawn.total),
                methods => spawn.sum(methods),
            };
            let share = 100.0 * ticks / spawn.total;
            Some(format!(
                "{}, {}, {share:.1} %",
                number(count),
                number(ticks)
            ))
        });
        row(text, name, cells);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_servers_line_is_read() {
        let spawn =
            Spawn::parse("@spawn /bin/x total=900 CNodeCopy=3/50 CNodeMint=1/10 X86PageMap=2/7")
                .unwrap();
        assert_eq!((spawn.total, spawn.sum(MOVES)), (900.0, (4.0, 60.0)));
        assert!(Spawn::parse("@spawn /bin/x").is_err());
    }
}
