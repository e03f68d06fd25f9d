// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask test`: all suites, and one line that says how it went.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::paths::Paths;
use crate::process::say;
use crate::suites::{ALL, LONG, Report, Suite};

/// Run the tests, on the host and in QEMU.
#[derive(clap::Args)]
#[command(
    after_help = "The last line is `N passed, M failed, K skipped`; the status is 0 if nothing failed.\n\nExamples:\n  cargo xtask test\n  cargo xtask test posix     # the suites whose names contain `posix`\n  cargo xtask test --list --long\n  cargo xtask test kernel-random   # a long one, by its full name"
)]
pub struct Args {
    /// Only the suites whose names contain this
    filter: Option<String>,
    /// Name the suites and run none
    #[arg(long)]
    list: bool,
    /// Also the suites that take many minutes
    #[arg(long)]
    long: bool,
}

/// Runs the suites that the filter leaves.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let filter = args.filter.as_deref().unwrap_or_default();
    let mut chosen: Vec<&Suite> = ALL
        .iter()
        .filter(|suite| suite.name.contains(filter))
        .collect();
    let wanted =
        |suite: &&Suite| suite.name == filter || (args.long && suite.name.contains(filter));
    chosen.extend(LONG.iter().filter(wanted));
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().chain(LONG).map(|suite| suite.name).collect();
        bail!(
            "no suite has {filter:?} in its name; there are {}",
            names.join(", ")
        );
    }
    if args.list {
        for suite in chosen {
            println!("{:14} {}", suite.name, suite.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for suite in chosen {
        say(&format!("testing {}: {}", suite.name, suite.about));
        let start = Instant::now();
        let mut report = Report::default();
        if let Err(error) = (suite.run)(paths, &mut report) {
            report
                .failed
                .push(("cannot run".into(), format!("{error:#}")));
        }
        print(suite.name, &report, start.elapsed().as_secs());
        passed += report.passed;
        failed += report.failed.len();
        skipped += report.skipped.len();
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(suite: &str, report: &Report, seconds: u64) {
    for (name, why) in &report.skipped {
        println!("skipped {suite}: {name}: {why}");
    }
    for (name, why) in &report.failed {
        println!("FAILED  {suite}: {name}");
        for line in why.lines() {
            println!("        {line}");
        }
    }
    println!(
        "{suite}: {} passed, {} failed, {} skipped ({seconds} s)",
        report.passed,
        report.failed.len(),
        report.skipped.len()
    );
}
