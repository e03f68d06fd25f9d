// SPDX-License-Identifier: BSD-2-Clause
//! The command line: runs, replays, fuzzing input. See the folder's README.

mod supervise;
mod worker;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use oracle::choices::{Bytes, Seeded};
use oracle::compare::{Verdict, annotate};
use oracle::op::Program;
use oracle::pair::Pair;
use oracle::{deviations, generate, text};

/// Random programs on Linux and on our calls: the answers must be equal.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs random programs.
    Run {
        /// Calls to make.
        #[arg(long, env = "ORACLE_OPS", default_value_t = 1_000_000)]
        ops: u64,
        /// What the programs are made of.
        #[arg(long, env = "ORACLE_SEED", default_value_t = 1)]
        seed: u64,
        /// Index of the first program.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// Differences after which to stop.
        #[arg(long, default_value_t = 3)]
        failures: usize,
        /// Shows how often each call was made.
        #[arg(long)]
        stats: bool,
        /// In this process; for the supervisor.
        #[arg(long, hide = true)]
        progress: Option<i32>,
    },
    /// Runs programs from files or folders, each in a process of its own.
    Replay {
        /// Files, or folders of them.
        paths: Vec<PathBuf>,
    },
    /// Runs one program: a file, or standard input.
    Check {
        /// The file.
        path: Option<PathBuf>,
        /// Shrinks it if it differs.
        #[arg(long)]
        shrink: bool,
        /// Known defects are differences.
        #[arg(long)]
        strict: bool,
    },
    /// Runs the programs that bytes stand for: a fuzzer's inputs. A difference aborts the process.
    Bytes {
        /// Files of bytes, or folders; standard input if none.
        paths: Vec<PathBuf>,
    },
    /// Prints a program of a run.
    Show {
        /// Of the run.
        seed: u64,
        /// Of the program.
        index: u64,
    },
    /// Lists where ours may differ, and why.
    Deviations,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(supervise::DIFFERENT),
        Err(error) => {
            eprintln!("oracle: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all was equal.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Run {
            ops: calls,
            seed,
            first,
            failures,
            stats,
            progress,
        } => {
            let work = worker::Work {
                seed,
                first,
                calls,
                failures,
            };
            match progress {
                Some(fd) => Ok(supervise::as_worker(work, fd, stats)),
                None => supervise::run(work, stats),
            }
        }
        Command::Replay { paths } => supervise::replay(&paths),
        Command::Check {
            path,
            shrink,
            strict,
        } => {
            deviations::STRICT.store(strict, Relaxed);
            let text = match path {
                Some(path) => fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?,
                None => std::io::read_to_string(std::io::stdin())?,
            };
            Ok(check(&text::parse(&text)?, shrink))
        }
        Command::Bytes { paths } => bytes(&paths),
        Command::Show { seed, index } => {
            let program = generate::program(&mut Seeded::new(seed, index));
            print!("{}", text::print(&program));
            Ok(true)
        }
        Command::Deviations => {
            for deviation in deviations::ALL {
                println!("{}: {}", deviation.name, deviation.reason);
            }
            Ok(true)
        }
    }
}

/// Runs a program and prints it with its answers.
fn check(program: &Program, shrink: bool) -> bool {
    // SAFETY: no pointers. A program that hangs ends so.
    unsafe { libc::alarm(supervise::PATIENCE) };
    let mut pair = Pair::start();
    let (verdict, linux, ours) = pair.check(program);
    match verdict {
        Verdict::Different(at) if shrink => {
            // SAFETY: as above; many runs take longer.
            unsafe { libc::alarm(60 * supervise::PATIENCE) };
            print!("{}", worker::smallest(&mut pair, program, at));
        }
        _ => print!("{}", annotate(program, &linux, &ours)),
    }
    let _ = std::io::stdout().flush();
    !matches!(verdict, Verdict::Different(_))
}

/// The entry for fuzzers.
fn bytes(paths: &[PathBuf]) -> Result<bool> {
    let mut inputs = Vec::new();
    if paths.is_empty() {
        let mut input = Vec::new();
        std::io::stdin().read_to_end(&mut input)?;
        inputs.push((PathBuf::from("standard input"), input));
    }
    for path in supervise::files(paths)? {
        let input = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        inputs.push((path, input));
    }
    let mut pair = Pair::start();
    for (path, input) in &inputs {
        // SAFETY: no pointers.
        unsafe { libc::alarm(supervise::PATIENCE) };
        let program = generate::program(&mut Bytes(input));
        let (verdict, linux, ours) = pair.check(&program);
        if let Verdict::Different(_) = verdict {
            eprintln!("{} differs:", Path::display(path));
            eprint!("{}", annotate(&program, &linux, &ours));
            std::process::abort();
        }
    }
    println!("{} inputs, all equal", inputs.len());
    Ok(true)
}
