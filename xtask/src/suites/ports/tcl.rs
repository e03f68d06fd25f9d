// SPDX-License-Identifier: BSD-2-Clause
//! redis's own tests, in Tcl, from outside: what they call external mode.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::{Daemon, Report, ordered};
use crate::deb;
use crate::paths::Paths;
use crate::process::say;
use crate::toolchain::Where;

/// Where it listens.
const PORT: u16 = 6379;
/// What the tests need of a server that they have not started.
const ARGUMENTS: &[&str] = &[
    "--bind",
    "0.0.0.0",
    "--protected-mode",
    "no",
    "--save",
    "",
    "--dir",
    "/tmp",
    "--enable-protected-configs",
    "yes",
    "--enable-debug-command",
    "yes",
    "--enable-module-command",
    "yes",
];
/// What is left out: what redis calls slow, and what needs a replica.
const TAGS: &str = "-slow -needs:repl";
/// Seconds without a word before a test counts as hung.
const SILENCE: &str = "1200";
/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);
/// Fewer have not run all. On Linux 1937 pass.
const LEAST: usize = 1900;

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::REDIS_TESTS)?;
    let (daemon, port) = Daemon::boot(paths, kernel, "redis", ARGUMENTS, PORT)?;
    let address = ordered::lead_to(daemon.address)?;
    let tree = port.unpack(paths, Where::Guest)?.dir;
    // Where the tests look for it.
    let client = tree.join("src/redis-cli");
    if !client.exists() {
        symlink("/usr/bin/redis-cli", &client)
            .with_context(|| format!("cannot make {}", client.display()))?;
    }
    let log = paths.log().join(format!("redis-tests-{kernel}.log"));
    say(&format!(
        "redis's tests say what they do in {}",
        log.display()
    ));
    let text = tests(&tree, &log, address.port())?;
    let mut found = parse(&text);
    for (name, why) in std::mem::take(&mut found.failed) {
        match port.manifest.known.get(&name) {
            Some(reason) => found.skipped.push((name, reason.clone())),
            None => found.failed.push((name, why)),
        }
    }
    ensure!(
        found.passed >= LEAST || !found.failed.is_empty(),
        "only {} tests passed: {}",
        found.passed,
        log.display()
    );
    report.absorb("redis", found);
    daemon.end(report)
}

/// Runs them; what they said.
fn tests(tree: &Path, log: &Path, port: u16) -> Result<String> {
    let out = fs::File::create(log)?;
    let mut child = Command::new("tclsh")
        .arg("tests/test_helper.tcl")
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--tags", TAGS, "--timeout", SILENCE])
        .current_dir(tree)
        .env("LC_ALL", "C")
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .context("cannot start tclsh")?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            bail!("redis's tests have not ended: {}", log.display());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(String::from_utf8_lossy(&fs::read(log)?).into_owned())
}

/// Lines are `[ok]: NAME (N ms)`, `[ignore]: NAME: WHY`, `[err]: NAME in FILE` with the reason below, and `[exception]: WHAT`.
fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((kind, rest)) = line.trim_start().split_once("]: ") else {
            continue;
        };
        match kind {
            "[ok" => report.passed += 1,
            "[ignore" | "[skip" => {
                let (name, why) = rest.rsplit_once(": ").unwrap_or((rest, "left out"));
                report.skipped.push((name.to_owned(), why.to_owned()));
            }
            "[err" | "[exception" | "[timeout" => {
                let name = rest.split(" in tests/").next().unwrap_or(rest);
                let why = lines.peek().copied().unwrap_or_default();
                let place = &rest[name.len()..];
                // Those that failed are listed once more at the end.
                if report.failed.iter().all(|(other, _)| other != name) {
                    let words = format!("{}: {why}", place.trim_start());
                    report.failed.push((name.to_owned(), words));
                }
            }
            _ => {}
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_understood() {
        let text = "[ok]: SET and GET (1 ms)\n[ignore]: large memory flag: tags\n[err]: A B in tests/unit/x.tcl\nExpected 1\n[ok]: C: d (0 ms)\n\\o/ no\n*** [err]: A B in tests/unit/x.tcl\n";
        let found = parse(text);
        assert_eq!((found.passed, found.skipped.len()), (2, 1));
        let want = (
            "A B".to_owned(),
            "in tests/unit/x.tcl: Expected 1".to_owned(),
        );
        assert_eq!(found.failed, [want]);
    }
}
