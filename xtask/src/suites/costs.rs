// SPDX-License-Identifier: BSD-2-Clause
//! What the queue may cost, in instructions: each operation of the queue kernel against
//! one of the unmodified kernel, measured in the same way. The counts are exact and the
//! same in every run, so the limits are too.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kernel_ext::{Build, Kernel, Variant};

use super::{Report, guest::boot, queue::features};
use crate::paths::Paths;
use crate::qemu::Machine;
use crate::{deb, guest, system};

/// A measurement that takes longer hangs.
const HUNG: Duration = Duration::from_secs(300);

/// How much more than on the unmodified kernel.
enum Limit {
    /// Instructions.
    More(u64),
    /// Percent.
    Percent(u64),
    /// Less than half of it.
    Half,
    /// At most so many percent of it.
    Share(u64),
}

use Limit::{Half, More, Percent, Share};

/// Row of the queue kernel, row of the unmodified one, and the limit between them.
const LIMITS: &[(&str, &str, Limit)] = &[
    // Who does not use queues pays nothing measurable.
    ("yield", "yield", More(0)),
    ("signal.idle", "signal.idle", More(8)),
    ("signal.active", "signal.active", More(8)),
    ("signal.wake_waiter", "signal.wake_waiter", More(8)),
    ("poll.empty", "poll.empty", More(8)),
    ("poll.ready", "poll.ready", More(8)),
    ("wait.ready", "wait.ready", More(8)),
    ("poll.endpoint", "poll.endpoint", More(8)),
    (
        "call.same_priority.0_words",
        "call.same_priority.0_words",
        More(0),
    ),
    (
        "call.same_priority.4_words",
        "call.same_priority.4_words",
        More(0),
    ),
    // The slow path, on which a capability is deleted.
    (
        "call.higher_priority_server",
        "call.higher_priority_server",
        More(8),
    ),
    // Who does, little more than for a notification.
    ("signal.attached.new_entry", "signal.idle", Percent(10)),
    ("signal.attached.another_entry", "signal.idle", Percent(10)),
    ("signal.attached.outstanding", "signal.active", More(8)),
    ("poll.attached.ready", "poll.ready", More(8)),
    ("collect.0", "poll.empty", Percent(10)),
    ("collect.1", "poll.ready", Percent(10)),
    ("collect.64", "poll.ready", Percent(10)),
    ("wait.entries", "wait.ready", Percent(10)),
    (
        "signal.attached.wake_waiter",
        "signal.wake_waiter",
        Percent(10),
    ),
    (
        "signal.bound.wake_waiter",
        "signal.wake_waiter",
        Percent(10),
    ),
];

/// The same of what only the kernels for two cores have: a signal and its answer, of a thread on the same
/// core and on the other.
const BETWEEN_CORES: &[(&str, &str, Limit)] = &[
    (
        "cores.same.signal_and_answer",
        "cores.same.signal_and_answer",
        More(8),
    ),
    (
        "cores.other.signal_and_answer",
        "cores.other.signal_and_answer",
        More(8),
    ),
    (
        "cores.same.queue.signal_and_answer",
        "cores.same.signal_and_answer",
        Percent(10),
    ),
    (
        "cores.other.queue.signal_and_answer",
        "cores.other.signal_and_answer",
        Percent(10),
    ),
];

/// Row of the kernel with the optional fast path, row of the unmodified one or else of the queue kernel, and the limit
/// between them. Only of the kernel for one core.
const FAST_LIMITS: &[(&str, &str, Limit)] = &[
    ("signal.idle", "signal.idle", Half),
    ("signal.active", "signal.active", Half),
    ("signal.wake_waiter", "signal.wake_waiter", Half),
    ("poll.empty", "poll.empty", Half),
    ("poll.ready", "poll.ready", Half),
    ("wait.ready", "wait.ready", Half),
    ("signal.attached.outstanding", "signal.active", Half),
    ("signal.attached.wake_waiter", "signal.wake_waiter", Half),
    // Of what the queue kernel needs: stock has no such row.
    (
        "signal.attached.new_entry",
        "signal.attached.new_entry",
        Half,
    ),
    ("collect.0", "collect.0", Half),
    ("collect.64", "collect.64", Share(51)),
    // What the fast path turns away has been looked up in vain.
    ("poll.endpoint", "poll.endpoint", Percent(25)),
    ("yield", "yield", More(8)),
    (
        "call.same_priority.0_words",
        "call.same_priority.0_words",
        More(0),
    ),
    (
        "call.same_priority.4_words",
        "call.same_priority.4_words",
        More(0),
    ),
    (
        "call.higher_priority_server",
        "call.higher_priority_server",
        More(8),
    ),
];

/// Measures both kernels, for one core and for two; each limit is a test.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    for (cores, prefix) in [(1, ""), (2, "two cores: ")] {
        let figures = |kernel| -> Result<BTreeMap<_, _>> {
            Ok(measure(paths, kernel, cores)?.into_iter().collect())
        };
        let (queue, stock) = (figures(Kernel::Queue)?, figures(Kernel::Stock)?);
        let between = if cores == 2 { BETWEEN_CORES } else { &[] };
        for (row, base, limit) in LIMITS.iter().chain(between) {
            let checked = check(queue.get(*row), stock.get(*base), limit);
            report.add(&format!("{prefix}{row}"), checked);
        }
        if cores == 1 {
            let fast = figures(Kernel::Fast)?;
            for (row, base, limit) in FAST_LIMITS {
                let checked = check(fast.get(*row), stock.get(*base).or(queue.get(*base)), limit);
                report.add(&format!("fast: {row}"), checked);
            }
        }
    }
    Ok(())
}

fn check(queue: Option<&u64>, stock: Option<&u64>, limit: &Limit) -> Result<()> {
    let queue = queue.context("the changed kernel's benchmark has no such row")?;
    let stock = stock.context("the stock kernel's benchmark has no such row")?;
    let most = match limit {
        More(instructions) => stock + instructions,
        Percent(percent) => stock + stock * percent / 100,
        Half => (stock - 1) / 2,
        Share(percent) => stock * percent / 100,
    };
    ensure!(
        *queue <= most,
        "{queue} instructions; at most {most} are allowed (stock: {stock})"
    );
    Ok(())
}

/// Runs the benchmark root task; name and instructions of each operation. Two cores take turns, so their
/// counts are exact, too.
pub fn measure(paths: &Paths, kernel: Kernel, cores: u32) -> Result<Vec<(String, u64)>> {
    table(paths, kernel, cores, "queue-bench")
}

/// Runs the root task that revokes; how long an interrupt waits meanwhile.
pub fn waits(paths: &Paths, kernel: Kernel) -> Result<Vec<(String, u64)>> {
    table(paths, kernel, 1, "queue-latency")
}

/// Runs a root task that prints a table.
fn table(paths: &Paths, kernel: Kernel, cores: u32, task: &str) -> Result<Vec<(String, u64)>> {
    deb::install(paths, deb::QEMU)?;
    let image = guest::build(paths, &["queue-tests"], features(cores))?.join(task);
    let variant = Variant::from(Build::Release).cores(cores);
    let machine = Machine {
        kernel: system::kernel(paths, kernel, variant)?.elf32,
        image: fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?,
        memory: system::MEMORY,
        cores,
        icount: true,
        network: false,
        plugin: None,
        forwards: Vec::new(),
    };
    let outcome = boot(paths, &machine, HUNG)?;
    let text = String::from_utf8_lossy(&outcome.console).into_owned();
    ensure!(text.contains("# end"), "the benchmark did not end: {text}");
    Ok(text
        .lines()
        .filter_map(|line| line.trim().split_once('\t'))
        .filter_map(|(name, figure)| Some((name.to_owned(), figure.trim().parse().ok()?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        assert!(check(Some(&449), Some(&409), &Percent(10)).is_ok());
        assert!(check(Some(&450), Some(&409), &Percent(10)).is_err());
        assert!(check(Some(&406), Some(&398), &More(8)).is_ok());
        assert!(check(Some(&407), Some(&398), &More(8)).is_err());
        assert!(check(None, Some(&398), &More(8)).is_err());
        assert!(check(Some(&121), Some(&244), &Half).is_ok());
        assert!(check(Some(&122), Some(&244), &Half).is_err());
    }
}
