// SPDX-License-Identifier: BSD-2-Clause
//! tests/oracle: random programs on this Linux and on our calls. The corpus first, then new ones.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Report, host};
use crate::guest::cargo;
use crate::paths::Paths;
use crate::process::run_logged;

/// Calls of the long run.
const LONG: &str = "10000000";
/// A seed that the usual run does not have.
const LONG_SEED: &str = "2";

/// The tester's own tests, the corpus, and a million calls. ORACLE_OPS and ORACLE_SEED say otherwise.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let which = ["-p", "oracle", "--release"];
    host::cargo_test(paths, "cargo test -p oracle", &which, report)?;
    build(paths)?;
    replay(paths, report)?;
    report.add("random programs", random(&mut program(paths)));
    Ok(())
}

/// Ten million calls.
pub fn long(paths: &Paths, report: &mut Report) -> Result<()> {
    build(paths)?;
    let mut program = program(paths);
    program
        .env("ORACLE_OPS", LONG)
        .env("ORACLE_SEED", LONG_SEED);
    report.add("random programs", random(&mut program));
    Ok(())
}

fn build(paths: &Paths) -> Result<()> {
    run_logged(
        "building tests/oracle",
        cargo(paths).args(["build", "--release", "-p", "oracle"]),
        &paths.log().join("oracle.log"),
    )
}

fn program(paths: &Paths) -> Command {
    let mut program = Command::new(paths.target.join("release/oracle"));
    program.current_dir(&paths.root).stderr(Stdio::inherit());
    program
}

/// Each program of the corpus is a test; those that are known to differ are skipped ones.
fn replay(paths: &Paths, report: &mut Report) -> Result<()> {
    let output = program(paths)
        .args(["replay", "tests/oracle/corpus"])
        .output()
        .context("cannot start tests/oracle")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counted = 0;
    for line in text.lines() {
        let Some((word, rest)) = line.split_once(' ') else {
            continue;
        };
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        let (name, why) = (name.to_owned(), why.to_owned());
        match word {
            "ok" => report.passed += 1,
            "known" => report.skipped.push((name, why)),
            "FAILED" => report.failed.push((name, why)),
            // The program and its answers, below the name of one that failed.
            _ => {
                if let Some((_, words)) = report.failed.last_mut() {
                    words.push_str(&format!("\n{line}"));
                }
                continue;
            }
        }
        counted += 1;
    }
    if counted == 0 {
        bail!("nothing was replayed: {text}");
    }
    Ok(())
}

fn random(program: &mut Command) -> Result<()> {
    let output = program
        .arg("run")
        .output()
        .context("cannot start tests/oracle")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{text}");
    }
    eprint!("{text}");
    Ok(())
}
