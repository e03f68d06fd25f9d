// SPDX-License-Identifier: BSD-2-Clause
//! memcached's own tests: `sizes`, `testapp`, and the scripts in t/, which start it and talk to it over TCP, UDP and Unix sockets.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Program, Report, libevent, tail};
use crate::deb;
use crate::paths::Paths;
use crate::suites::tap;

/// Compiles and runs them.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::PERL)?;
    let (_, prefix) = libevent::build(paths)?;
    let program = Program::prepare(paths, "memcached")?;
    program.configure(&[
        format!("--with-libevent={}", prefix.display()),
        "--disable-docs".into(),
        "--disable-coverage".into(),
        "--disable-sasl".into(),
    ])?;
    let targets = [
        "memcached",
        "memcached-debug",
        "sizes",
        "testapp",
        "timedrun",
    ];
    program.make(&targets, &["LIBS=-levent -lpthread"])?;

    let sizes = Command::new(program.tree.dir.join("sizes"));
    report.add("sizes", program.test(sizes, 1, false).and_then(ended));

    let (text, ended_well) =
        program.test(Command::new(program.tree.dir.join("testapp")), 5, false)?;
    let mut found = tap::parse(&text);
    if !ended_well && found.failed.is_empty() {
        found.failed.push(("end".into(), tail(&text)));
    }
    report.absorb("testapp", found);

    let mut prove = Command::new("prove");
    prove.args(["-j2", "t"]);
    let (text, ended_well) = program.test(prove, 25, false)?;
    let mut found = parse(&text);
    if (!ended_well && found.failed.is_empty()) || found.passed == 0 {
        found.failed.push(("end".into(), tail(&text)));
    }
    report.absorb("prove", found);
    Ok(())
}

fn ended((text, well): (String, bool)) -> Result<()> {
    ensure!(well, "{}", tail(&text));
    Ok(())
}

/// A script's line is `t/NAME.t .... ok`, or `skipped: WHY`, or anything else; then come the counts of all tests.
fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut scripts = 0;
    for line in text.lines() {
        if let Some((name, result)) = line.split_once(" .")
            && name.starts_with("t/")
            && let Some((_, result)) = result.split_once(". ").or(result.split_once(' '))
        {
            let result = result.trim_start_matches(['.', ' ']);
            match result.split_once(": ") {
                _ if result == "ok" => scripts += 1,
                Some(("skipped", why)) => report.skipped.push((name.into(), why.into())),
                _ if result.is_empty() => {}
                _ => report.failed.push((name.into(), result.into())),
            }
        }
        // Single tests, in so far as all of their scripts passed.
        if let Some((_, rest)) = line.split_once(", Tests=")
            && let Some((count, _)) = rest.split_once(',')
        {
            report.passed = count.parse().unwrap_or(scripts);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_understood() {
        let report = parse(
            "t/a.t ............. ok\nt/bb.t ..... skipped: not here\nnoise\nt/c.t .. Failed 1/3 subtests\nFiles=3, Tests=12, 9 wallclock secs\n",
        );
        assert_eq!(report.passed, 12);
        assert_eq!(report.skipped, [("t/bb.t".into(), "not here".into())]);
        assert_eq!(
            report.failed,
            [("t/c.t".into(), "Failed 1/3 subtests".into())]
        );
    }
}
