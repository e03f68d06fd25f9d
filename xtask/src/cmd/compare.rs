// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask compare`: measure the queue and everything that was proposed instead, on both kernels; tables and plots
//! of docs/comparison.md.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::{Build, Kernel};

use crate::comparison::Comparison;
use crate::paths::Paths;
use crate::process::{say, write_if_changed};
use crate::qemu::Machine;
use crate::suites::guest::boot;
use crate::system::Setup;
use crate::{deb, guest, program, system};

/// The page, from the root of the checkout.
const PAGE: &str = "docs/comparison.md";
/// What is between these lines of it is written by this command.
const BEGIN: &str = "<!-- begin: written by `cargo xtask compare` -->";
const END: &str = "<!-- end -->";
/// Memory in MiB: 10,000 sources in 4,000 processes, and as many threads.
const MEMORY: u32 = 1024;
/// It takes two minutes on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(1800);

/// Compare the queue with the alternatives; write the figures and plots of docs/comparison.md.
#[derive(clap::Args)]
#[command(
    after_help = "All figures are guest instructions under -icount, with -cpu Nehalem; every run gives the same.\n\nExample:\n  cargo xtask compare --print"
)]
pub struct Args {
    /// Print the tables and write nothing
    #[arg(long)]
    print: bool,
    /// Only what a process costs from posix_spawn to waitpid; prints it
    #[arg(long)]
    spawn: bool,
}

/// Measures, and writes.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let mut comparison = Comparison::default();
    for kernel in [Kernel::Queue, Kernel::Stock] {
        if !args.spawn {
            say(&format!("comparing on the {kernel} kernel"));
            let machine = machine(paths, kernel, "compare", true)?;
            let outcome = boot(paths, &machine, LIMIT)?;
            comparison.read(kernel, &String::from_utf8_lossy(&outcome.console))?;
        }
        say(&format!("starting processes on the {kernel} kernel"));
        comparison.read_spawn(kernel, &spawn(paths, kernel)?)?;
    }
    if args.spawn {
        print!("{}", comparison.spawn_table());
        return Ok(ExitCode::SUCCESS);
    }
    let tables = comparison.tables();
    if args.print {
        print!("{tables}");
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
    let text = format!("{before}{BEGIN}\n\n{tables}{END}{after}");
    write_if_changed(&page, text.as_bytes())?;
    for (name, svg) in comparison.plots() {
        write_if_changed(&paths.root.join("docs").join(name), svg.as_bytes())?;
    }
    say(&format!("wrote {PAGE} and its plots"));
    Ok(ExitCode::SUCCESS)
}

/// One of bench/compare's root tasks, alone on a machine.
pub fn machine(paths: &Paths, kernel: Kernel, program: &str, icount: bool) -> Result<Machine> {
    deb::install(paths, deb::QEMU)?;
    let image = guest::build(paths, &["compare"], &[])?.join(program);
    Ok(Machine {
        kernel: system::kernel(paths, kernel, Build::Release)?.elf32,
        image: fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?,
        memory: MEMORY,
        cores: 1,
        icount,
        network: false,
        plugin: None,
        forwards: Vec::new(),
    })
}

/// What a posix_spawn, the child's end and a waitpid cost: the last line that a measuring build of the root server logs.
fn spawn(paths: &Paths, kernel: Kernel) -> Result<String> {
    let source = paths.root.join("bench/spawn.c");
    let program = program::choose(paths, &source.to_string_lossy())?.make(paths)?;
    let setup = Setup {
        network: false,
        icount: true,
        spawn_meter: true,
        ..Setup::new(kernel)
    };
    let machine = system::prepare(paths, &setup, &program)?;
    let outcome = boot(paths, &machine, LIMIT)?;
    ensure!(
        outcome.status == Some(0),
        "bench/spawn.c on the {kernel} kernel ended with {:?}",
        outcome.status
    );
    let starts: Vec<&String> = outcome
        .log
        .iter()
        .filter(|line| line.starts_with("@spawn "))
        .collect();
    match &starts[..] {
        [_boot, _first, .., last] => Ok(last.to_string()),
        _ => bail!("the root server logged {} starts", starts.len()),
    }
}
