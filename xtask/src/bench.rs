// SPDX-License-Identifier: BSD-2-Clause
//! What evbench and xprocbench said on each system, as tables and plots.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use crate::plot::{Line, Plot, number};

pub mod linux;
pub mod program;

/// Which rows the page shows, and the project's targets.
const TARGETS: &str = include_str!("../../bench/targets.tsv");

/// A row: its name and N.
pub type Key = (String, u64);

/// What a row says on a system.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Median, each for one operation.
    Cost(Cost),
    /// Not measured: why.
    Reason(String),
}

/// Of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Instructions of everything that ran: the median.
    pub instructions: f64,
    /// The mean of the same.
    pub mean: f64,
    /// Kernel entries and switches of address space, where they were counted: means.
    pub counts: Option<(f64, f64)>,
}

impl Cost {
    /// With a price for what instructions leave out.
    fn weighted(&self) -> Option<f64> {
        let (entries, switches) = self.counts?;
        Some(self.instructions + 100.0 * entries + 500.0 * switches)
    }
}

/// Everything that one system said.
#[derive(Debug, Default)]
pub struct System {
    /// In the order of its saying.
    order: Vec<Key>,
    cells: BTreeMap<Key, Cell>,
}

impl System {
    /// Adds a run: what the program printed, and what the plugin (bench/count) wrote.
    pub fn read(&mut self, console: &str, counts: &str) -> Result<()> {
        let mut counts = counts.lines().filter_map(|line| line.strip_prefix("row\t"));
        let mut done = false;
        for line in console.lines() {
            let fields: Vec<&str> = line.trim_end().split('\t').collect();
            match fields[..] {
                ["# ops", name, n, ops] => {
                    let line = counts.next().context("fewer counts than rows")?;
                    let (entries, switches) = line.split_once('\t').context("bad counts")?;
                    let ops: f64 = ops.parse()?;
                    let each = |text: &str| text.parse().map(|count: f64| count / ops);
                    if let Some(Cell::Cost(cost)) = self.cells.get_mut(&key(name, n)?) {
                        cost.counts = Some((each(entries)?, each(switches)?));
                    }
                }
                [kind @ ("skip" | "fail"), name, n, why] => {
                    self.put(key(name, n)?, Cell::Reason(format!("{kind}: {why}")));
                }
                [name, n, median, _, _, _, mean] if !name.starts_with('#') => {
                    let cost = Cost {
                        instructions: median.parse()?,
                        mean: mean.parse()?,
                        counts: None,
                    };
                    self.put(key(name, n)?, Cell::Cost(cost));
                }
                _ => done |= line.starts_with("# done "),
            }
        }
        ensure!(done, "the program did not come to its end");
        ensure!(counts.next().is_none(), "more counts than rows");
        Ok(())
    }

    fn put(&mut self, key: Key, cell: Cell) {
        if self.cells.insert(key.clone(), cell).is_none() {
            self.order.push(key);
        }
    }

    /// Each row as the cheaper of the two systems has it.
    pub fn cheaper(mut self, other: System) -> System {
        for key in other.order {
            let theirs = other.cells[&key].clone();
            let better = match (self.cells.get(&key), &theirs) {
                (Some(Cell::Cost(ours)), Cell::Cost(theirs)) => {
                    theirs.instructions < ours.instructions
                }
                (Some(Cell::Cost(_)), Cell::Reason(_)) => false,
                _ => true,
            };
            if better {
                self.put(key, theirs);
            }
        }
        self
    }

    /// A row; one that is not there may be part of a test that was given up as a whole.
    pub fn find(&self, name: &str, n: u64) -> Option<&Cell> {
        let mut part = name;
        loop {
            match self.cells.get(&(part.to_owned(), n)) {
                Some(cell @ Cell::Reason(_)) => return Some(cell),
                Some(cell) if part == name => return Some(cell),
                _ => part = part.rsplit_once('.')?.0,
            }
        }
    }

    /// What a row costs, if it was measured.
    pub fn cost(&self, name: &str, n: u64) -> Option<Cost> {
        match self.find(name, n)? {
            Cell::Cost(cost) => Some(*cost),
            Cell::Reason(_) => None,
        }
    }
}

fn key(name: &str, n: &str) -> Result<Key> {
    Ok((name.to_owned(), n.parse()?))
}

/// All systems.
pub struct Results {
    /// Linux, the queue kernel, the unmodified kernel.
    pub systems: [(&'static str, System); 3],
}

impl Results {
    /// The tables of docs/bench.md.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        let mut reasons = Vec::new();
        for line in TARGETS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, ns, base, per] = fields[..] else {
                continue;
            };
            let first = name.split('.').next().unwrap_or(name);
            let title = match first {
                "eventfd" => "In one process, eventfds",
                "pipe" => "In one process, pipes",
                "tcp" | "unix" => "In one process, sockets",
                _ => "Between processes",
            };
            if title != group {
                group = title;
                let _ = writeln!(
                    text,
                    "\n### {title}\n\n\
                     | row | N | target | Linux | queue | stock | entries: L / q / s | switches: L / q / s | weighted: L / q / s |\n\
                     |---|---:|---:|---:|---:|---:|---:|---:|---:|"
                );
            }
            for n in ns.split(',').filter_map(|n| n.parse::<u64>().ok()) {
                self.row(&mut text, &mut reasons, name, n, target(base, per, n));
            }
        }
        if !reasons.is_empty() {
            let _ = writeln!(text, "\n### Rows that could not be had\n");
            for reason in reasons {
                let _ = writeln!(text, "- {reason}");
            }
        }
        text.push('\n');
        text
    }

    fn row(
        &self,
        text: &mut String,
        reasons: &mut Vec<String>,
        name: &str,
        n: u64,
        target: Option<f64>,
    ) {
        let mut costs = Vec::new();
        let mut cells = Vec::new();
        for (label, system) in &self.systems {
            let cost = system.cost(name, n);
            cells.push(match (cost, target) {
                (Some(cost), Some(target)) if *label != "Linux" && cost.instructions <= target => {
                    format!("**{}**", number(cost.instructions))
                }
                (Some(cost), _) => number(cost.instructions),
                (None, _) => {
                    let why = match system.find(name, n) {
                        Some(Cell::Reason(why)) => why.as_str(),
                        _ => "not measured",
                    };
                    let test: Vec<&str> = name.split('.').take(2).collect();
                    let reason = format!("`{}`, {label}: {why}", test.join("."));
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                    why.split(':').next().unwrap_or("–").to_owned()
                }
            });
            costs.push(cost);
        }
        let join = |value: &dyn Fn(&Cost) -> Option<String>| {
            let each = costs
                .iter()
                .map(|cost| cost.as_ref().and_then(value).unwrap_or("–".to_owned()));
            each.collect::<Vec<_>>().join(" / ")
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            number(n as f64),
            target.map_or("–".to_owned(), number),
            cells.join(" | "),
            join(&|cost| Some(short(cost.counts?.0))),
            join(&|cost| Some(short(cost.counts?.1))),
            join(&|cost| cost.weighted().map(number)),
        );
    }

    /// Every row of every system, for other programs to read.
    pub fn tsv(&self) -> String {
        let mut text = "# Written by `cargo xtask bench`: name, N, then for each system median, mean, kernel entries, address-space switches, per operation; or why not.\n# name\tN"
            .to_owned();
        for (label, _) in &self.systems {
            let label = label.to_lowercase();
            let _ = write!(
                text,
                "\t{label}\t{label}.mean\t{label}.entries\t{label}.switches"
            );
        }
        text.push('\n');
        for (name, n) in &self.systems[0].1.order {
            let _ = write!(text, "{name}\t{n}");
            for (_, system) in &self.systems {
                match system.find(name, *n) {
                    Some(Cell::Cost(cost)) => {
                        let _ = write!(text, "\t{:.1}\t{:.1}", cost.instructions, cost.mean);
                        let _ = match cost.counts {
                            Some((entries, switches)) => {
                                write!(text, "\t{entries:.2}\t{switches:.2}")
                            }
                            None => write!(text, "\t-\t-"),
                        };
                    }
                    Some(Cell::Reason(why)) => {
                        let _ = write!(text, "\t{why}\t-\t-\t-");
                    }
                    None => text.push_str("\t-\t-\t-\t-"),
                }
            }
            text.push('\n');
        }
        text
    }

    /// File name and text of each plot.
    pub fn plots(&self) -> Vec<(&'static str, String)> {
        let plots: [(&str, &str, &str, &[&str]); 4] = [
            (
                "bench-epoll.svg",
                "An event from the same process: write, wait, read of an eventfd",
                "eventfds in the interest list",
                &[
                    "eventfd.epoll.cycle_lt.k1",
                    "eventfd.epoll.wait_none",
                    "eventfd.epoll.ctl.add",
                ],
            ),
            (
                "bench-poll.svg",
                "A look at N eventfds, none ready",
                "eventfds",
                &["eventfd.poll.none", "eventfd.select.none"],
            ),
            (
                "bench-deliver.svg",
                "An event from one of P processes, with its release",
                "processes with a pipe each",
                &["xdeliver.direct.k1", "xdeliver.broker.k1"],
            ),
            (
                "bench-idle.svg",
                "An event from another process, N pipes being watched",
                "pipes",
                &["xidle.epoll", "xidle.poll"],
            ),
        ];
        let made = plots.into_iter().map(|(file, title, x, rows)| {
            let mut lines = Vec::new();
            for row in rows {
                for (label, system) in &self.systems {
                    let points: Vec<(f64, f64)> = system
                        .order
                        .iter()
                        .filter(|(name, _)| name == row)
                        .filter_map(|(name, n)| {
                            Some((*n as f64, system.cost(name, *n)?.instructions))
                        })
                        .collect();
                    if points.len() > 1 {
                        lines.push(Line {
                            name: format!("{label} {}", row.split_once('.').map_or(*row, |r| r.1)),
                            points,
                            main: *label == "queue",
                        });
                    }
                }
            }
            let plot = Plot {
                title: title.to_owned(),
                x: x.to_owned(),
                y: "instructions".to_owned(),
                lines,
            };
            (file, plot)
        });
        made.filter(|(_, plot)| !plot.lines.is_empty())
            .map(|(file, plot)| (file, plot.svg()))
            .collect()
    }
}

/// `base + per * n`; no target if there is no base.
fn target(base: &str, per: &str, n: u64) -> Option<f64> {
    let base: f64 = base.parse().ok()?;
    Some(base + per.parse().unwrap_or(0.0) * n as f64)
}

fn short(count: f64) -> String {
    if count >= 100.0 {
        return number(count);
    }
    let text = format!("{count:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "# evbench\na.b\t1\t10.5\ttick/op\t10.0\t11.0\t10.6\n# ops\ta.b\t1\t4\nskip\tc\t2\tno such thing\n\
                           fail\td\t3\twrite returned -1\n# done fails=1 skips=1\n";

    #[test]
    fn rows_counts_and_reasons_are_read() {
        let mut system = System::default();
        system.read(CONSOLE, "at\t0x10\t7\nrow\t8\t2\n").unwrap();
        let cost = system.cost("a.b", 1).unwrap();
        assert_eq!(cost.counts, Some((2.0, 0.5)));
        assert_eq!(cost.weighted(), Some(10.5 + 200.0 + 250.0));
        let reason = Cell::Reason("skip: no such thing".to_owned());
        assert_eq!(system.find("c.one", 2), Some(&reason));
        assert_eq!(system.find("a", 1), None);
    }

    #[test]
    fn a_run_that_is_not_whole_is_refused() {
        let mut system = System::default();
        assert!(system.read(CONSOLE, "").is_err(), "no counts");
        assert!(system.read(CONSOLE, "row\t8\t2\nrow\t8\t2\n").is_err());
        assert!(system.read("a.b\t1\t10\tx\t10\t11\t10\n", "").is_err());
    }

    #[test]
    fn the_cheaper_of_two_modes_counts() {
        let system = |median: u32| {
            let mut system = System::default();
            let text = format!("a\t1\t{median}.0\tx\t1\t1\t1.0\n# done\n# done fails=0\n");
            system.read(&text, "").unwrap();
            system
        };
        let cheaper = system(7).cheaper(system(5));
        assert_eq!(cheaper.cost("a", 1).unwrap().instructions, 5.0);
    }

    #[test]
    fn targets_are_rows_with_numbers() {
        assert_eq!(target("2800", "50", 100), Some(7800.0));
        assert_eq!(target("-", "-", 1), None);
        for line in TARGETS.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(line.split('\t').count(), 4, "{line}");
        }
    }
}
