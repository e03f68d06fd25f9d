// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask bench`: evbench and xprocbench on Linux and on both kernels; tables and plots of docs/bench.md.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use kernel_ext::Kernel;

use crate::bench::program::{PROGRAMS, Program};
use crate::bench::{Results, System, linux};
use crate::paths::Paths;
use crate::process::{say, write_if_changed};

/// The page, from the root of the checkout.
const PAGE: &str = "docs/bench.md";
/// All results, beside the programs.
const TSV: &str = "bench/results.tsv";
/// What is between these lines of the page is written by this command.
const BEGIN: &str = "<!-- begin: written by `cargo xtask bench` -->";
const END: &str = "<!-- end -->";

/// Measure select, poll and epoll on Linux and on both kernels; write the tables and plots of docs/bench.md.
#[derive(clap::Args)]
#[command(
    after_help = "All figures are guest instructions under -icount, with -cpu Nehalem; every run gives the same.\n\nExamples:\n  cargo xtask bench\n  cargo xtask bench --rows xpipe --print\n  cargo xtask bench --profile xexit.pidfd --kernel queue"
)]
pub struct Args {
    /// Print the tables and write nothing
    #[arg(long)]
    print: bool,
    /// Only rows whose name contains this; prints them
    #[arg(long, value_name = "TEXT")]
    rows: Option<String>,
    /// Samples for each row
    #[arg(long, default_value_t = 31)]
    batches: u32,
    /// Print at which addresses the instructions of these rows were, most first
    #[arg(long, value_name = "ROW", conflicts_with = "rows")]
    profile: Option<String>,
    /// The kernel to profile on
    #[arg(long, default_value = "queue", value_name = "queue|stock")]
    kernel: Kernel,
}

/// Measures, and writes.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    if let Some(row) = &args.profile {
        return profile(paths, args, row);
    }
    let mut systems = [
        ("Linux", System::default()),
        ("queue", System::default()),
        ("stock", System::default()),
    ];
    for program in programs(args.rows.as_deref()) {
        let arguments = arguments(args, args.rows.as_deref());
        let mut lazy = System::default();
        let said = linux::run(paths, &program, &arguments)?;
        systems[0].1.read(&said.console, &said.counts)?;
        if program.modes {
            let mut arguments = arguments.clone();
            arguments.push("-B".to_owned());
            let said = linux::run(paths, &program, &arguments)?;
            lazy.read(&said.console, &said.counts)?;
        }
        let system = std::mem::take(&mut systems[0].1);
        systems[0].1 = system.cheaper(lazy);
        for (index, kernel) in [(1, Kernel::Queue), (2, Kernel::Stock)] {
            say(&format!(
                "measuring {} on the {kernel} kernel",
                program.name
            ));
            let said = program.run(paths, kernel, &arguments, "")?;
            systems[index].1.read(&said.console, &said.counts)?;
        }
    }
    let results = Results { systems };
    if args.print || args.rows.is_some() {
        print!("{}", results.tsv());
        return Ok(ExitCode::SUCCESS);
    }
    let page = paths.root.join(PAGE);
    let text = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
    let Some((before, rest)) = text.split_once(BEGIN) else {
        bail!("{PAGE} has no line {BEGIN}");
    };
    let Some((_, after)) = rest.split_once(END) else {
        bail!("{PAGE} has no line {END}");
    };
    let text = format!("{before}{BEGIN}\n{}{END}{after}", results.tables());
    write_if_changed(&page, text.as_bytes())?;
    write_if_changed(&paths.root.join(TSV), results.tsv().as_bytes())?;
    for (name, svg) in results.plots() {
        write_if_changed(&paths.root.join("docs").join(name), svg.as_bytes())?;
    }
    say(&format!("wrote {PAGE}, its plots, and {TSV}"));
    Ok(ExitCode::SUCCESS)
}

/// Those that have such rows: names of rows between processes start with an x.
fn programs(rows: Option<&str>) -> Vec<Program> {
    let wanted = |program: &&Program| match rows {
        Some(text) if text.starts_with('x') => program.modes,
        Some(text) if text.starts_with(['e', 'p', 'u', 't']) => !program.modes,
        _ => true,
    };
    PROGRAMS.iter().filter(wanted).copied().collect()
}

fn arguments(args: &Args, rows: Option<&str>) -> Vec<String> {
    let mut words = vec!["-b".to_owned(), args.batches.to_string()];
    if let Some(text) = rows {
        words.extend(["-t".to_owned(), text.to_owned()]);
    }
    words
}

/// Where the instructions of a row are: address of a piece of straight code, instructions in it.
fn profile(paths: &Paths, args: &Args, row: &str) -> Result<ExitCode> {
    for program in programs(Some(row)) {
        let said = program.run(
            paths,
            args.kernel,
            &arguments(args, Some(row)),
            ",profile=yes",
        )?;
        print!("{}", said.console);
        for part in said.counts.split_inclusive("\nrow\t") {
            let mut places: Vec<(u64, &str)> = part
                .lines()
                .filter_map(|line| line.strip_prefix("at\t")?.split_once('\t'))
                .filter_map(|(address, count)| Some((count.parse().ok()?, address)))
                .collect();
            places.sort_by(|a, b| b.cmp(a));
            println!("---");
            for (count, address) in places {
                println!("{address}\t{count}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
