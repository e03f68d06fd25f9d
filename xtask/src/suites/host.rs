// SPDX-License-Identifier: BSD-2-Clause
//! `cargo test` of the crates that run on the host, its results counted one by one.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Report;
use crate::deb;
use crate::guest::cargo;
use crate::paths::Paths;

/// Crates for seL4 whose logic is a library that also runs on the host.
const GUEST_LIBRARIES: &[&str] = &[
    "root-server",
    "net-server",
    "vfs-server",
    "musl-shim",
    "queue-tests",
];

/// Runs it; cargo's own words go to stderr.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::KERNEL)?;
    cargo_test(paths, "cargo test", &[], report)?;
    for package in GUEST_LIBRARIES {
        let name = format!("cargo test -p {package} --lib");
        cargo_test(paths, &name, &["-p", package, "--lib"], report)?;
    }
    // The calls themselves, over Linux.
    let name = "cargo test -p musl-shim --features library";
    let which = ["-p", "musl-shim", "--features", "library"];
    cargo_test(paths, name, &which, report)?;
    loom(paths, report)?;
    shuttle(paths, report)?;
    cost(paths, report)
}

/// Whole instances of the event core, their threads' steps in thousands of random orders.
fn shuttle(paths: &Paths, report: &mut Report) -> Result<()> {
    let mut cargo = cargo(paths);
    cargo
        .args(["test", "--quiet", "--release", "-p", "libposix-poll"])
        .args(["--lib", "interleavings"])
        .arg("--target-dir")
        .arg(paths.target.join("shuttle"))
        .env("RUSTFLAGS", "--cfg shuttle");
    count(&mut cargo, "shuttle", report)
}

/// What the event core costs, in the code that the guest runs: a profile of its own.
fn cost(paths: &Paths, report: &mut Report) -> Result<()> {
    let mut cargo = cargo(paths);
    cargo.args(["test", "--quiet", "--profile", "guest"]).args([
        "-p",
        "libposix-poll",
        "--test",
        "cost",
    ]);
    count(&mut cargo, "cost", report)
}

/// The readiness protocol's steps in every interleaving. A build of its own: `--cfg loom` swaps the atomics.
fn loom(paths: &Paths, report: &mut Report) -> Result<()> {
    let mut cargo = cargo(paths);
    cargo
        .args([
            "test",
            "--quiet",
            "--release",
            "-p",
            "vfs-hooks",
            "--test",
            "loom",
            "--test",
            "loom_lock",
            "--test",
            "loom_channel",
            "--test",
            "loom_socket",
        ])
        .arg("--target-dir")
        .arg(paths.target.join("loom"))
        .env("RUSTFLAGS", "--cfg loom");
    count(&mut cargo, "loom", report)
}

/// `cargo test` of `which`, counted under `name`.
pub fn cargo_test(paths: &Paths, name: &str, which: &[&str], report: &mut Report) -> Result<()> {
    let mut cargo = cargo(paths);
    cargo
        .args(["test", "--no-fail-fast", "--quiet"])
        .args(which);
    count(&mut cargo, name, report)
}

fn count(cargo: &mut Command, name: &str, report: &mut Report) -> Result<()> {
    let output = cargo
        .args(["--", "--format=pretty"])
        .env("CARGO_TERM_COLOR", "never")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let found = parse(&String::from_utf8_lossy(&output.stdout));
    let failed = found.failed.len();
    report.absorb(name, found);
    if !output.status.success() && failed == 0 {
        report.failed.push((
            name.to_owned(),
            "does not build, or a test program crashed; see above".into(),
        ));
    }
    Ok(())
}

/// Counts libtest's result lines; a failed test is explained by what it printed.
fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut explaining: Option<(String, String)> = None;
    let mut explained = Vec::new();
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|line| line.strip_suffix(" stdout ----"))
        {
            explained.extend(explaining.replace((name.to_owned(), String::new())));
        } else if line.starts_with("failures:") {
            explained.extend(explaining.take());
        } else if let Some((_, words)) = explaining.as_mut() {
            words.push_str(line);
            words.push('\n');
        }
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|line| line.rsplit_once(" ... "))
        else {
            continue;
        };
        // A test in a doc comment that is only to be compiled carries a note here.
        match result.split([',', ' ']).next().unwrap_or_default() {
            "ok" => report.passed += 1,
            "FAILED" => report.failed.push((name.to_owned(), String::new())),
            "ignored" => {
                let why = result
                    .trim_start_matches("ignored")
                    .trim_start_matches([',', ' ']);
                report.skipped.push((name.to_owned(), why.to_owned()));
            }
            _ => {}
        }
    }
    explained.extend(explaining);
    for (name, why) in &mut report.failed {
        if let Some((_, words)) = explained.iter().find(|(explained, _)| explained == name) {
            words.trim().clone_into(why);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_is_understood() {
        let report = parse(
            "running 4 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, slow\ntest src/lib.rs - x (line 3) - compile ... ok\n\nfailures:\n\n---- c stdout ----\npanicked at x\n\n\nfailures:\n    c\n\ntest result: FAILED. 2 passed\n",
        );
        assert_eq!(report.passed, 2);
        assert_eq!(report.failed, [("c".into(), "panicked at x".into())]);
        assert_eq!(report.skipped, [("d".into(), "slow".into())]);
    }
}
