// SPDX-License-Identifier: BSD-2-Clause
//! What bench/compare printed, as tables and plots.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use crate::plot::{Line, Plot, number};
use spawn::Spawn;

mod linux;
mod spawn;

/// A mechanism: its name in the program's output, its name for people, what its user must trust, where it stops.
pub struct Mechanism {
    key: &'static str,
    name: &'static str,
    trust: &'static str,
    stops: &'static str,
}

/// All of them, in the order of the tables.
pub const MECHANISMS: &[Mechanism] = &[
    Mechanism {
        key: "queue",
        name: "notification queue",
        trust: "nobody: a producer can only say “look at my source”",
        stops: "131,068 sources for each queue (a buffer of 2 MiB)",
    },
    Mechanism {
        key: "nested",
        name: "queues in a queue",
        trust: "nobody",
        stops: "131,068 queues of 131,068 sources",
    },
    Mechanism {
        key: "badges",
        name: "badge bits and a scan",
        trust: "nobody",
        stops: "at no number; above 64, N/64 sources are looked at for each bit",
    },
    Mechanism {
        key: "threads",
        name: "thread per notification, ring",
        trust: "nobody",
        stops: "when memory does: 6.2 KiB for each source",
    },
    Mechanism {
        key: "threads-send",
        name: "thread per notification, Send",
        trust: "nobody",
        stops: "as above",
    },
    Mechanism {
        key: "threads-call",
        name: "thread per notification, Call",
        trust: "nobody",
        stops: "as above",
    },
    Mechanism {
        key: "broker-badges",
        name: "broker, badge bits",
        trust: "the broker, with every event and with being there",
        stops: "as badge bits, in the broker",
    },
    Mechanism {
        key: "broker-calls",
        name: "broker, Call",
        trust: "the broker; a producer also with its own progress",
        stops: "268,435,455 sources (28 bits of endpoint badge)",
    },
    Mechanism {
        key: "rings",
        name: "event ring per producer",
        trust: "each producer with a ring that the consumer reads and checks",
        stops: "64 producers; above, rings are looked at as sources are",
    },
    Mechanism {
        key: "rings-queue",
        name: "event rings, told by a queue",
        trust: "as above",
        stops: "131,068 producers",
    },
    Mechanism {
        key: "hierarchy-2",
        name: "badges, two levels",
        trust: "each producer not to leave out the upper signal of its own sources",
        stops: "4,096 sources; above, leaves share the top's bits",
    },
    Mechanism {
        key: "hierarchy-3",
        name: "badges, three levels",
        trust: "the same",
        stops: "262,144 sources",
    },
];

/// What `cost` lines say of one event.
#[derive(Clone, Copy, Debug)]
struct Cost {
    instructions: f64,
    entries: f64,
    switches: f64,
}

impl Cost {
    /// With a price for what instructions leave out.
    fn weighted(&self) -> f64 {
        self.instructions + 100.0 * self.entries + 500.0 * self.switches
    }
}

/// Of all sources together.
#[derive(Clone, Copy, Debug)]
struct Memory {
    kernel: f64,
    frames: f64,
    caps: f64,
}

/// Kernel, mechanism, topology, sources.
type Key = (bool, String, String, u64);

/// All that was measured.
#[derive(Default)]
pub struct Comparison {
    costs: BTreeMap<(Key, u64), Cost>,
    memory: BTreeMap<Key, Memory>,
    producers: BTreeMap<(String, u64), u64>,
    stops: Vec<(Key, String)>,
    spawns: Vec<(Kernel, Spawn)>,
}

impl Comparison {
    /// Takes what the program printed on `kernel`; an error if it found a wrong delivery or did not end.
    pub fn read(&mut self, kernel: Kernel, text: &str) -> Result<()> {
        let mut ended = false;
        for line in text.lines().map(str::trim_end) {
            let fields: Vec<&str> = line.split('\t').collect();
            if line == "# end" {
                ended = true;
            }
            let [kind, mechanism, topology, sources, producers, rest @ ..] = &fields[..] else {
                continue;
            };
            let sources: u64 = sources.parse().with_context(|| line.to_owned())?;
            let stock = kernel == Kernel::Stock;
            let key = (stock, mechanism.to_string(), topology.to_string(), sources);
            let numbers: Vec<f64> = rest.iter().filter_map(|field| field.parse().ok()).collect();
            match (*kind, &numbers[..]) {
                ("cost", &[batch, instructions, entries, switches]) => {
                    let cost = Cost {
                        instructions: instructions / 100.0,
                        entries: entries / 100.0,
                        switches: switches / 100.0,
                    };
                    self.costs.insert((key, batch as u64), cost);
                    let place = (topology.to_string(), sources);
                    self.producers.insert(place, producers.parse()?);
                }
                ("memory", &[kernel, frames, caps]) => {
                    let memory = Memory {
                        kernel,
                        frames,
                        caps,
                    };
                    self.memory.insert(key, memory);
                }
                ("stops", _) => self.stops.push((key, rest.join(" "))),
                _ => bail!("bench/compare on the {kernel} kernel: {line}"),
            }
        }
        ensure!(ended, "bench/compare on the {kernel} kernel did not end");
        Ok(())
    }

    /// Takes the line that the root server logged on `kernel` when it had started a program.
    pub fn read_spawn(&mut self, kernel: Kernel, line: &str) -> Result<()> {
        self.spawns.push((kernel, Spawn::parse(line)?));
        Ok(())
    }

    /// The table of what starting a process costs.
    pub fn spawn_table(&self) -> String {
        let mut text = String::new();
        spawn::table(&self.spawns, &mut text);
        text
    }

    /// On the kernel where it belongs: what needs no change, on the one without.
    fn cost(&self, mechanism: &str, topology: &str, sources: u64, batch: u64) -> Option<Cost> {
        let find = |stock| {
            let key = (stock, mechanism.into(), topology.into(), sources);
            self.costs.get(&(key, batch)).copied()
        };
        find(true).or_else(|| find(false))
    }

    fn sources(&self, topology: &str, batch: u64) -> Vec<u64> {
        let keys = self.producers.keys();
        let fit = keys.filter(|(t, n)| t == topology && *n >= batch);
        fit.map(|(_, n)| *n).collect()
    }

    /// The tables, in Markdown.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let spread = self.sources("spread", 1);
        let processes: Vec<String> = spread
            .iter()
            .map(|n| {
                let processes = self.producers[&("spread".to_owned(), *n)];
                format!("{} in {}", number(*n as f64), number(processes as f64))
            })
            .collect();
        let _ = writeln!(
            text,
            "Sources in processes (*spread*): {}. Topology *server*: all sources in one process.\n",
            processes.join(", ")
        );
        self.cost_table(&mut text, "One event per wake, spread", "spread", 1);
        self.cost_table(&mut text, "64 events per wake, spread", "spread", 64);
        self.cost_table(
            &mut text,
            "64 events per wake, all from one server",
            "server",
            64,
        );
        let title = "64 events at once, spread, all threads at one priority";
        self.cost_table(&mut text, title, "equal", 64);
        self.weight_table(&mut text, 1_000);
        self.memory_table(&mut text, 10_000);
        self.kernel_table(&mut text, 1_000);
        linux::table(&mut text);
        text += &self.spawn_table();
        for ((stock, mechanism, topology, sources), why) in &self.stops {
            // That stock has no queue goes without saying.
            if !(*stock && why.contains("no queue")) {
                let _ = writeln!(text, "{mechanism}, {topology}, {sources} sources: {why}.\n");
            }
        }
        text
    }

    fn cost_table(&self, text: &mut String, title: &str, topology: &str, batch: u64) {
        let sources = self.sources(topology, batch);
        let heads: Vec<String> = sources
            .iter()
            .map(|n| format!("N = {}", number(*n as f64)))
            .collect();
        head(text, &format!("{title}: instructions per event"), &heads);
        for mechanism in MECHANISMS {
            let cells = sources.iter().map(|n| {
                let cost = self.cost(mechanism.key, topology, *n, batch);
                cost.map(|cost| number(cost.instructions))
            });
            row(text, mechanism.name, cells);
        }
        text.push('\n');
    }

    fn weight_table(&self, text: &mut String, sources: u64) {
        let cases = [("spread", 1), ("spread", 64), ("server", 64)];
        let heads: Vec<String> = cases
            .iter()
            .map(|(topology, batch)| format!("{topology}, {batch} per wake"))
            .collect();
        let title = format!(
            "N = {}, of each event: instructions / kernel entries / address-space switches → weighted sum (100 per entry, 500 per switch)",
            number(sources as f64)
        );
        head(text, &title, &heads);
        for mechanism in MECHANISMS {
            let cells = cases.iter().map(|(topology, batch)| {
                let cost = self.cost(mechanism.key, topology, sources, *batch)?;
                Some(format!(
                    "{} / {:.2} / {:.2} → **{}**",
                    number(cost.instructions),
                    cost.entries,
                    cost.switches,
                    number(cost.weighted())
                ))
            });
            row(text, mechanism.name, cells);
        }
        text.push('\n');
    }

    fn memory_table(&self, text: &mut String, sources: u64) {
        let title = format!(
            "What it takes for each of N = {} sources, and what it rests on",
            number(sources as f64)
        );
        let heads = [
            "kernel objects, bytes",
            "frames, bytes",
            "caps",
            "who must be trusted",
            "where it stops",
        ];
        head(text, &title, &heads.map(str::to_owned));
        for mechanism in MECHANISMS {
            let find = |stock| {
                let key = (stock, mechanism.key.into(), "spread".into(), sources);
                self.memory.get(&key)
            };
            let Some(memory) = find(true).or_else(|| find(false)) else {
                continue;
            };
            let each = |total: f64| format!("{:.1}", total / sources as f64);
            let cells = [
                each(memory.kernel),
                each(memory.frames),
                each(memory.caps),
                mechanism.trust.to_owned(),
                mechanism.stops.to_owned(),
            ];
            row(text, mechanism.name, cells.into_iter().map(Some));
        }
        text.push('\n');
    }

    fn kernel_table(&self, text: &mut String, sources: u64) {
        let heads = [
            "1 per wake, stock",
            "queue kernel",
            "64 per wake, stock",
            "queue kernel",
        ];
        let title = format!(
            "The same program on both kernels: instructions per event, spread, N = {}",
            number(sources as f64)
        );
        head(text, &title, &heads.map(str::to_owned));
        for mechanism in MECHANISMS {
            let cells = [(1, true), (1, false), (64, true), (64, false)].map(|(batch, stock)| {
                let key = (
                    stock,
                    mechanism.key.to_owned(),
                    "spread".to_owned(),
                    sources,
                );
                let cost = self.costs.get(&(key, batch));
                cost.map(|cost| number(cost.instructions))
            });
            row(text, mechanism.name, cells.into_iter());
        }
        text.push('\n');
    }

    /// The plots, by file name.
    pub fn plots(&self) -> Vec<(&'static str, String)> {
        let plot = |title: &str, topology: &str, batch, value: fn(&Cost) -> f64, y: &str| {
            let sources = self.sources(topology, batch);
            let lines = MECHANISMS.iter().map(|mechanism| {
                let points = sources.iter().filter_map(|n| {
                    let cost = self.cost(mechanism.key, topology, *n, batch)?;
                    Some((*n as f64, value(&cost)))
                });
                Line {
                    name: mechanism.name.to_owned(),
                    points: points.collect(),
                    main: mechanism.key == "queue",
                }
            });
            let lines = lines.filter(|line| !line.points.is_empty()).collect();
            Plot {
                title: title.to_owned(),
                x: "number of sources N".to_owned(),
                y: y.to_owned(),
                lines,
            }
            .svg()
        };
        let plain: fn(&Cost) -> f64 = |cost| cost.instructions;
        let weighted: fn(&Cost) -> f64 = Cost::weighted;
        let (y, weighted_y) = (
            "guest instructions per event",
            "instructions + 100 · entries + 500 · switches, per event",
        );
        vec![
            (
                "comparison-1.svg",
                plot(
                    "One event per wake, sources spread over processes",
                    "spread",
                    1,
                    plain,
                    y,
                ),
            ),
            (
                "comparison-64.svg",
                plot(
                    "64 events per wake, sources spread over processes",
                    "spread",
                    64,
                    plain,
                    y,
                ),
            ),
            (
                "comparison-64-server.svg",
                plot(
                    "64 events per wake, all sources in one process",
                    "server",
                    64,
                    plain,
                    y,
                ),
            ),
            (
                "comparison-1-weighted.svg",
                plot(
                    "One event per wake, spread: weighted",
                    "spread",
                    1,
                    weighted,
                    weighted_y,
                ),
            ),
            (
                "comparison-64-weighted.svg",
                plot(
                    "64 events per wake, spread: weighted",
                    "spread",
                    64,
                    weighted,
                    weighted_y,
                ),
            ),
        ]
    }
}

fn head(text: &mut String, title: &str, heads: &[String]) {
    let _ = writeln!(text, "### {title}\n\n| | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(heads.len()));
}

fn row(text: &mut String, name: &str, cells: impl Iterator<Item = Option<String>>) {
    let cells: Vec<String> = cells
        .map(|cell| cell.unwrap_or_else(|| "–".to_owned()))
        .collect();
    let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_lines_are_read() {
        let mut comparison = Comparison::default();
        let text = "noise\ncost\tqueue\tspread\t64\t64\t1\t93300\t200\t100\nmemory\tqueue\tspread\t64\t64\t4096\t4096\t130\n# end\n";
        comparison.read(Kernel::Queue, text).unwrap();
        let cost = comparison.cost("queue", "spread", 64, 1).unwrap();
        assert_eq!(cost.weighted(), 933.0 + 200.0 + 500.0);
        assert!(comparison.tables().contains("| notification queue | 933 |"));
    }

    #[test]
    fn a_wrong_delivery_is_an_error() {
        let mut comparison = Comparison::default();
        let text = "wrong\tqueue\tspread\t64\t64\tsource 3: 2 events, 1 delivered\n# end\n";
        assert!(comparison.read(Kernel::Queue, text).is_err());
        assert!(Comparison::default().read(Kernel::Queue, "").is_err());
    }
}
