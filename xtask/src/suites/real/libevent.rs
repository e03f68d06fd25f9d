// SPDX-License-Identifier: BSD-2-Clause
//! libevent's `regress`, with each of its methods.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Program, Report, tail};
use crate::paths::Paths;
use crate::process::say;

/// Method, and what the environment says to get it.
const METHODS: [(&str, &[&str]); 3] = [
    ("epoll", &[]),
    ("poll", &["EVENT_NOEPOLL"]),
    ("select", &["EVENT_NOEPOLL", "EVENT_NOPOLL"]),
];

/// Compiles libevent and its tests; the folder that it is installed to.
pub fn build(paths: &Paths) -> Result<(Program, PathBuf)> {
    let program = Program::prepare(paths, "libevent")?;
    let prefix = program.tree.dir.join("installed");
    program.configure(&[
        format!("--prefix={}", prefix.display()),
        "--disable-shared".into(),
        "--disable-openssl".into(),
        "--disable-samples".into(),
    ])?;
    program.make(&["install"], &[])?;
    Ok((program, prefix))
}

/// Runs it three times.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let (program, _) = build(paths)?;
    program.make(&["test/regress"], &[])?;
    for (method, environment) in METHODS {
        let regress = |test: Option<&str>| {
            let mut command = Command::new(program.tree.dir.join("test/regress"));
            command.args(test);
            for name in environment {
                command.env(name, "1");
            }
            program.test(command, 10, false)
        };
        let (text, ended_well) = regress(None)?;
        let mut found = parse(&text);
        for (name, words) in std::mem::take(&mut found.failed) {
            if is_late(&words) && (0..ATTEMPTS).any(|_| regress(Some(&name)).is_ok_and(|r| r.1)) {
                say(&format!(
                    "{method}: {name} was late, and is in time by itself"
                ));
                found.passed += 1;
            } else {
                found.failed.push((name, words));
            }
        }
        let ended_well = ended_well || found.failed.is_empty() && found.passed > 0;
        program.excuse(&mut found);
        if found.passed == 0 || (!ended_well && found.failed.is_empty()) {
            found.failed.push(("end".into(), tail(&text)));
        }
        report.absorb(method, found);
    }
    Ok(())
}

/// How often a test that was late is tried by itself.
const ATTEMPTS: usize = 5;

/// Whether a test failed by nothing but the time that something took: libevent wants it within 50 ms, which a machine that is busy with other things misses.
fn is_late(words: &str) -> bool {
    let mut assertions = words
        .lines()
        .filter(|line| line.contains("FAIL "))
        .peekable();
    assertions.peek().is_some() && assertions.all(|line| line.contains("timeval_msec_diff"))
}

/// A test's line begins `GROUP/NAME: ` and may end with `SKIPPED`; a failed one is followed by `[NAME FAILED]`; the last line of all counts.
fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let (mut current, mut words) = ("", Vec::new());
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(": ")
            && name.contains('/')
            && !name.contains(' ')
        {
            (current, words) = (name, Vec::new());
        }
        words.push(line);
        if line.ends_with("SKIPPED") || line.ends_with("DISABLED") {
            let why = "libevent leaves it out here, as with Linux's own calls";
            report.skipped.push((current.to_owned(), why.into()));
        } else if line.trim_end().ends_with(" FAILED]") {
            report.failed.retain(|(name, _)| name != current);
            report.failed.push((current.to_owned(), words.join("\n")));
        } else if let Some((count, _)) = line.split_once(" tests ok.") {
            report.passed = count.trim().parse().unwrap_or(0);
        } else if let Some((counts, _)) = line.split_once(" TESTS FAILED.")
            && let Some((bad, all)) = counts.trim().split_once('/')
            && let (Ok(bad), Ok(all)) = (bad.parse::<usize>(), all.parse::<usize>())
        {
            report.passed = all.saturating_sub(bad);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_understood() {
        let good = parse("a/x: [forking] OK\na/y: DISABLED\n7 tests ok.  (1 skipped)\n");
        assert_eq!(
            (good.passed, good.skipped.len(), good.failed.len()),
            (7, 1, 0)
        );
        assert!(!is_late("a/x: [forking]\n  FAIL x.c:1: no"));
        let bad = parse(
            "a/x: [forking] \n  FAIL x.c:1: no\n  [x FAILED]\n1/8 TESTS FAILED. (0 skipped)\n",
        );
        assert_eq!((bad.passed, bad.failed[0].0.as_str()), (7, "a/x"));
    }
}
