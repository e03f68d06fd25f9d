// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask conformance`: run tests/posix on Linux and on both kernels; the table of docs/conformance.md.

use std::collections::HashMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use kernel_ext::Kernel;

use crate::paths::Paths;
use crate::process::{say, write_if_changed};
use crate::suites::posix::{self, Transcript};
use crate::suites::tap::{self, Verdict};

/// The page, from the root of the checkout.
const PAGE: &str = "docs/conformance.md";
const HEAD: &str = "\
# Conformance

Written by `cargo xtask conformance`, which runs the checks of [tests/posix](../tests/posix) on this machine's Linux, which is their oracle, and
in QEMU on both kernels. *ok*: it passed; *–*: it is not run there, and below each table stands why.
`cargo xtask test posix` runs them all and fails if one does.
";
const PLACES: [&str; 3] = ["Linux", "queue kernel", "stock kernel"];

/// Run the conformance tests in all places; write the table of docs/conformance.md.
#[derive(clap::Args)]
pub struct Args {
    /// Print the table and write nothing
    #[arg(long)]
    print: bool,
}

/// One place's verdicts, by the checks' names.
type Verdicts = HashMap<String, Verdict>;

/// Runs, and writes.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let transcripts = [
        posix::linux(paths)?,
        posix::guest(paths, Kernel::Queue)?,
        posix::guest(paths, Kernel::Stock)?,
    ];
    let page = page(&transcripts)?;
    if args.print {
        print!("{page}");
    } else {
        write_if_changed(&paths.root.join(PAGE), page.as_bytes())?;
        say(&format!("wrote {PAGE}"));
    }
    let failed = transcripts.iter().any(|transcript| {
        transcript.end.is_some() || !tap::parse(&transcript.tap).failed.is_empty()
    });
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn page(transcripts: &[Transcript; 3]) -> Result<String> {
    let mut checks: Vec<String> = Vec::new();
    let mut places: Vec<Verdicts> = Vec::new();
    for transcript in transcripts {
        let (results, _) = tap::results(&transcript.tap);
        for (name, _) in &results {
            if !checks.contains(name) {
                checks.push(name.clone());
            }
        }
        places.push(results.into_iter().collect());
    }
    ensure!(!checks.is_empty(), "no check was run");
    let area = |check: &str| check.split('/').next().unwrap_or(check).to_owned();
    let mut areas: Vec<String> = Vec::new();
    for check in &checks {
        if !areas.contains(&area(check)) {
            areas.push(area(check));
        }
    }
    let mut page = HEAD.to_owned();
    page.push_str(&summary(&areas, &checks, &places));
    for area_name in &areas {
        let of_area = checks.iter().filter(|check| area(check) == *area_name);
        page.push_str(&table(area_name, of_area, &places));
    }
    Ok(page)
}

fn summary(areas: &[String], checks: &[String], places: &[Verdicts]) -> String {
    let mut text = format!("\n| area | checks | {} |\n|---|", PLACES.join(" | "));
    text.push_str(&"---:|".repeat(PLACES.len() + 1));
    text.push('\n');
    let mut row = |name: &str, checks: Vec<&String>| {
        let _ = write!(text, "| {name} | {} |", checks.len());
        for place in places {
            let passed = checks
                .iter()
                .filter(|c| place.get(**c) == Some(&Verdict::Passed));
            let _ = write!(text, " {} |", passed.count());
        }
        text.push('\n');
    };
    for area in areas {
        let prefix = format!("{area}/");
        row(
            area,
            checks.iter().filter(|c| c.starts_with(&prefix)).collect(),
        );
    }
    row("**all**", checks.iter().collect());
    text
}

fn table<'a>(area: &str, checks: impl Iterator<Item = &'a String>, places: &[Verdicts]) -> String {
    let mut text = format!("\n## {area}\n\n| check | {} |\n|---|", PLACES.join(" | "));
    text.push_str(&":---:|".repeat(PLACES.len()));
    text.push('\n');
    let mut notes = String::new();
    for check in checks {
        let (name, what) = check.split_once(": ").unwrap_or((check, ""));
        let name = name.split_once('/').map_or(name, |(_, name)| name);
        // A table's cells are parted by bars.
        let what = what.replace('|', "\\|");
        let _ = write!(text, "| `{name}`: {what} |");
        for (place, verdicts) in PLACES.iter().zip(places) {
            let word = match verdicts.get(check) {
                Some(Verdict::Passed) => "ok",
                Some(Verdict::Failed(why)) => {
                    let _ = writeln!(notes, "- `{name}` on {place} **failed**: {why}");
                    "**failed**"
                }
                Some(Verdict::Skipped(why)) => {
                    let _ = writeln!(notes, "- `{name}` on {place}: {why}");
                    "–"
                }
                None => {
                    let _ = writeln!(notes, "- `{name}` on {place}: not reported");
                    "**missing**"
                }
            };
            let _ = write!(text, " {word} |");
        }
        text.push('\n');
    }
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(tap: &str) -> Transcript {
        Transcript {
            tap: tap.to_owned(),
            end: None,
        }
    }

    #[test]
    fn each_check_has_a_row_and_each_skip_its_reason() {
        let page = page(&[
            transcript("1..2\nok 1 - pipe/a: one|two\nok 2 - tcp/b: three\n"),
            transcript("1..2\nok 1 - pipe/a: one|two\nok 2 - tcp/b: three # SKIP no net\n"),
            transcript("1..2\nok 1 - pipe/a: one|two\nnot ok 2 - tcp/b: three\n# got 4\n"),
        ])
        .expect("a page");
        assert!(page.contains(
            "| pipe | 1 | 1 | 1 | 1 |\n| tcp | 1 | 1 | 0 | 0 |\n| **all** | 2 | 2 | 1 | 1 |"
        ));
        assert!(page.contains("| `a`: one\\|two | ok | ok | ok |"));
        assert!(page.contains("| `b`: three | ok | – | **failed** |"));
        assert!(page.contains("- `b` on queue kernel: no net\n"));
        assert!(page.contains("- `b` on stock kernel **failed**: got 4\n"));
    }

    #[test]
    fn a_check_that_one_place_lacks_is_shown_as_missing() {
        let page = page(&[
            transcript("1..1\nok 1 - pipe/a: one\n"),
            transcript("1..0\n"),
            transcript("1..1\nok 1 - pipe/a: one\n"),
        ])
        .expect("a page");
        assert!(page.contains("| `a`: one | ok | **missing** | ok |"));
    }
}
