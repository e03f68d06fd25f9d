// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask coverage`: which lines of the event core and of the readiness protocol the host's tests run.
//!
//! The tests are built with `-C instrument-coverage` on the stable toolchain, and what they wrote is read by that toolchain's own llvm-cov (rustup's
//! component `llvm-tools`, installed if it is missing). Tests, and what exists for them only, do not count as lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::guest::cargo;
use crate::paths::Paths;
use crate::process::{output, run_logged, say};

/// The crates whose lines count.
const CRATES: [&str; 2] = ["libposix-poll", "vfs-hooks"];
/// What the paths of files contain that hold tests or what only they use.
const TESTS: &[&str] = &[
    "/contract/",
    "/interleavings",
    "/model.rs",
    "/recorder.rs",
    "/tests.rs",
];
/// From such a line to its end a file is tests.
const TESTS_BEGIN: &[&str] = &["#[cfg(test)]", "#[cfg(all(test", "#[cfg(loom)]"];
/// Calls of the oracle's random programs.
const ORACLE_CALLS: &str = "200000";

/// Count the lines of the event core and the readiness protocol that the host's tests run.
#[derive(clap::Args)]
#[command(
    after_help = "Counted are unit, contract and proptest runs, loom, shuttle and the oracle. The status is 0 if enough lines are run.\n\nExample:\n  cargo xtask coverage --missing"
)]
pub struct Args {
    /// Also print the lines that no test runs
    #[arg(long)]
    missing: bool,
    /// Fail if fewer per cent of the lines of either crate are run
    #[arg(long, default_value_t = 95.0)]
    least: f64,
}

/// One way to run the tests: a build of its own.
struct Run {
    name: &'static str,
    flags: &'static str,
    test: &'static [&'static str],
}

const RUNS: &[Run] = &[
    Run {
        name: "host",
        flags: "",
        test: &["-p", "vfs-hooks", "-p", "libposix-poll", "--lib"],
    },
    Run {
        name: "loom",
        flags: "--cfg loom",
        test: &["--release", "-p", "vfs-hooks", "--test", "*"],
    },
    Run {
        name: "shuttle",
        flags: "--cfg shuttle",
        test: &["--release", "-p", "libposix-poll", "--lib", "interleavings"],
    },
];

/// Runs the tests and counts.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let tools = tools(paths)?;
    let dir = paths.target.join("coverage");
    let profiles = dir.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    let mut programs = Vec::new();
    for run in RUNS {
        say(&format!("running the tests: {}", run.name));
        let built = instrumented(paths, "test", run)
            .args(["--no-run", "--message-format=json"])
            .args(run.test)
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(built.status.success(), "{} does not build", run.name);
        programs.extend(executables(&String::from_utf8_lossy(&built.stdout)));
        let mut test = instrumented(paths, "test", run);
        test.args(run.test);
        run_logged(run.name, &mut test, &paths.log().join("coverage.log"))?;
    }
    say("running the tests: oracle");
    programs.push(oracle(paths)?);

    let merged = dir.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "-sparse", "-o"]).arg(&merged);
    for entry in fs::read_dir(&profiles)? {
        merge.arg(entry?.path());
    }
    output("llvm-profdata", &mut merge)?;
    let mut export = Command::new(tools.join("llvm-cov"));
    export
        .args(["export", "--format=lcov", "--instr-profile"])
        .arg(&merged);
    for program in &programs {
        export.arg("--object").arg(program);
    }
    export
        .arg("--sources")
        .args(CRATES.map(|name| paths.root.join(name).join("src")));
    let lines = lines(paths, &output("llvm-cov", &mut export)?)?;
    report(&lines, args)
}

/// Cargo for an instrumented build.
fn instrumented(paths: &Paths, command: &str, run: &Run) -> Command {
    let dir = paths.target.join("coverage");
    let mut cargo = cargo(paths);
    cargo
        .arg(command)
        .arg("--quiet")
        .arg("--target-dir")
        .arg(dir.join(run.name))
        .env("RUSTFLAGS", format!("-C instrument-coverage {}", run.flags))
        .env(
            "LLVM_PROFILE_FILE",
            dir.join("profiles")
                .join(format!("{}-%p-%m.profraw", run.name)),
        );
    cargo
}

/// The oracle's corpus and random programs; the program that ran them.
fn oracle(paths: &Paths) -> Result<PathBuf> {
    const RUN: Run = Run {
        name: "oracle",
        flags: "",
        test: &[],
    };
    let log = paths.log().join("coverage.log");
    let mut run = instrumented(paths, "run", &RUN);
    run.args(["--release", "-p", "oracle", "--"]);
    run_logged(
        "the oracle's corpus",
        run.args(["replay", "tests/oracle/corpus"]),
        &log,
    )?;
    let mut run = instrumented(paths, "run", &RUN);
    run.args(["--release", "-p", "oracle", "--"]);
    run_logged(
        "the oracle's programs",
        run.args(["run", "--ops", ORACLE_CALLS]),
        &log,
    )?;
    Ok(paths.target.join("coverage/oracle/release/oracle"))
}

/// The folder of the toolchain's LLVM tools.
fn tools(paths: &Paths) -> Result<PathBuf> {
    let sysroot = output(
        "rustc --print sysroot",
        Command::new("rustc")
            .current_dir(&paths.root)
            .args(["--print", "sysroot"]),
    )?;
    let rustlib = Path::new(sysroot.trim()).join("lib/rustlib");
    let find = || {
        let targets = fs::read_dir(&rustlib).ok()?.filter_map(Result::ok);
        let mut folders = targets.map(|target| target.path().join("bin"));
        folders.find(|bin| bin.join("llvm-cov").is_file())
    };
    if let Some(bin) = find() {
        return Ok(bin);
    }
    say("installing the toolchain's component llvm-tools");
    run_logged(
        "rustup component add llvm-tools",
        Command::new("rustup")
            .current_dir(&paths.root)
            .args(["component", "add", "llvm-tools"]),
        &paths.log().join("coverage.log"),
    )?;
    find().context("rustup's llvm-tools has no llvm-cov")
}

/// Programs that cargo says it has built.
fn executables(messages: &str) -> Vec<PathBuf> {
    let name = |line: &str| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split_once('"')?.0))
    };
    messages.lines().filter_map(name).collect()
}

/// file → line → how many times it ran.
type Lines = BTreeMap<String, BTreeMap<usize, u64>>;

/// Reads lcov's format; leaves out what is tests.
fn lines(paths: &Paths, text: &str) -> Result<Lines> {
    let mut all = Lines::new();
    let (mut file, mut end) = (String::new(), 0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("SF:") {
            let path = Path::new(name);
            let path = path.strip_prefix(&paths.root).unwrap_or(path);
            file = path.to_string_lossy().into_owned();
            let source = fs::read_to_string(paths.root.join(path))
                .with_context(|| format!("cannot read {file}"))?;
            let tests = |line: &str| TESTS_BEGIN.iter().any(|begin| line.starts_with(begin));
            end = source.lines().position(tests).unwrap_or(usize::MAX);
            if TESTS.iter().any(|tests| file.contains(tests)) {
                end = 0;
            }
        } else if let Some(data) = line.strip_prefix("DA:") {
            let (number, count) = data.split_once(',').context("DA: LINE,COUNT")?;
            let number: usize = number.parse()?;
            if number <= end {
                *all.entry(file.clone())
                    .or_default()
                    .entry(number)
                    .or_default() += count.parse::<u64>()?;
            }
        }
    }
    Ok(all)
}

/// Prints, and says whether it is enough.
fn report(lines: &Lines, args: &Args) -> Result<ExitCode> {
    let mut enough = true;
    for name in CRATES {
        let (mut all, mut run) = (0, 0);
        println!("{name}");
        for (file, lines) in lines.iter().filter(|(file, _)| file.starts_with(name)) {
            let missing: Vec<usize> = lines
                .iter()
                .filter(|&(_, &count)| count == 0)
                .map(|(&number, _)| number)
                .collect();
            all += lines.len();
            run += lines.len() - missing.len();
            let file = file.trim_start_matches(name).trim_start_matches("/src/");
            println!(
                "    {:5} of {:5}  {file}",
                lines.len() - missing.len(),
                lines.len()
            );
            if args.missing && !missing.is_empty() {
                println!("                    not: {}", ranges(&missing));
            }
        }
        if all == 0 {
            bail!("no line of {name} was counted");
        }
        let percent = 100.0 * run as f64 / all as f64;
        println!("    {run:5} of {all:5}  {percent:.1} % of the lines of {name}");
        enough &= percent >= args.least;
    }
    if !enough {
        println!("less than {} %", args.least);
    }
    Ok(if enough {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `3-5, 9`
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let part = |&(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(ranges(&[3, 4, 5, 9]), "3-5, 9");
    }

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let text = "{\"x\":1}\n{\"executable\":\"/a/b\",\"fresh\":true}\n{\"executable\":null}\n";
        assert_eq!(executables(text), [PathBuf::from("/a/b")]);
    }
}
