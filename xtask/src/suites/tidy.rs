// SPDX-License-Identifier: BSD-2-Clause
//! The tree itself: licence headers, sizes, nothing of anybody's machine, a README
//! whose commands exist, and traps whose tests do.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Parser as _;

use super::Report;
use crate::paths::Paths;
use crate::process::output;

/// No source file is longer, in lines.
const LONGEST: usize = 600;
/// No file is larger, in bytes.
const LARGEST: u64 = 512 << 10;
/// What counts as source.
const SOURCES: &[&str] = &["rs", "c", "h", "S", "s", "sh"];

/// Runs all checks.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let files = files(paths)?;
    report.add(
        "every source file names its licence",
        each(paths, &files, licence),
    );
    report.add("no source file is too long", each(paths, &files, length));
    report.add("no file is too large", each(paths, &files, size));
    report.add(
        "no file names a folder or host of one machine",
        each(paths, &files, machine),
    );
    report.add("the README's commands exist", readme(paths));
    report.add("the README's links lead somewhere", links(paths));
    report.add("every trap has tests that exist", traps(paths, &files));
    Ok(())
}

/// What is committed or would be.
fn files(paths: &Paths) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(&paths.root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = output("git ls-files", &mut git)?;
    let present = |name: &&str| paths.root.join(name).is_file();
    Ok(list.lines().filter(present).map(str::to_owned).collect())
}

fn each(paths: &Paths, files: &[String], check: fn(&str, &Path) -> Option<String>) -> Result<()> {
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|name| check(name, &paths.root.join(name)))
        .collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn is_source(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| SOURCES.contains(&extension))
}

fn licence(name: &str, path: &Path) -> Option<String> {
    if !is_source(name) {
        return None;
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    // The kernel's change carries the kernel's licence; the bindings, libsel4's.
    let want = match name {
        _ if name.starts_with("kernel-ext/sel4/") => "BSD-2-Clause",
        _ if name.starts_with("kernel-ext/tests/") => "",
        _ if name.starts_with("kernel-ext/") => "GPL-2.0-only",
        _ => "BSD-2-Clause",
    };
    let head = text
        .lines()
        .take(3)
        .find_map(|line| line.split_once("SPDX-License-Identifier: "));
    match head {
        Some((_, licence)) if licence.starts_with(want) => None,
        Some((_, licence)) => Some(format!("{name}: {licence}, but {want} is wanted here")),
        None => Some(format!(
            "{name}: no SPDX-License-Identifier in the first three lines"
        )),
    }
}

fn length(name: &str, path: &Path) -> Option<String> {
    let lines = fs::read_to_string(path).unwrap_or_default().lines().count();
    (is_source(name) && lines > LONGEST)
        .then(|| format!("{name}: {lines} lines, {LONGEST} are the most"))
}

fn size(name: &str, path: &Path) -> Option<String> {
    let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    (bytes > LARGEST).then(|| format!("{name}: {bytes} bytes, {LARGEST} are the most"))
}

fn machine(name: &str, path: &Path) -> Option<String> {
    // Cargo.lock names its registry, as it must.
    if name == "Cargo.lock" {
        return None;
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    // Written in two parts, or this file would name them.
    let marks = [
        concat!("/wo", "rk/"),
        concat!("/tmp/bash", "_jobs"),
        concat!("/ro", "ot/"),
        concat!("deb.deb", "ian.org"),
        concat!("crat", "es.io/api"),
        concat!("pyp", "i.org"),
        concat!("pythonh", "osted"),
        concat!("npm", "js"),
    ];
    let names = |line: &str, mark: &str| {
        // The end of a longer, relative path is not a folder of a machine.
        let starts_path = |at: usize| {
            let before = line[..at].chars().next_back();
            !mark.starts_with('/')
                || before.is_none_or(|c| !(c.is_alphanumeric() || "._-*]})".contains(c)))
        };
        line.match_indices(mark).any(|(at, _)| starts_path(at))
    };
    let (number, line, mark) = text.lines().enumerate().find_map(|(number, line)| {
        marks
            .iter()
            .find(|mark| names(line, mark))
            .map(|mark| (number + 1, line, mark))
    })?;
    Some(format!("{name}:{number}: names {mark}: {}", line.trim()))
}

/// Every `cargo xtask` line of the README is one that the command line accepts.
fn readme(paths: &Paths) -> Result<()> {
    let text = fs::read_to_string(paths.root.join("README.md"))?;
    let mut seen = 0;
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix("cargo xtask") else {
            continue;
        };
        let words = rest
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let words = std::iter::once("cargo xtask").chain(words);
        if let Err(error) = crate::Cli::try_parse_from(words)
            && error.use_stderr()
        {
            bail!("`{}`: {error}", line.trim());
        }
        seen += 1;
    }
    if seen == 0 {
        bail!("README.md shows no command");
    }
    Ok(())
}

/// Links of the README to places in the tree.
fn links(paths: &Paths) -> Result<()> {
    let text = fs::read_to_string(paths.root.join("README.md"))?;
    for part in text.split("](").skip(1) {
        let target = part.split([')', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !paths.root.join(target).exists() {
            bail!("README.md links to {target}, which is not there");
        }
    }
    Ok(())
}

/// Traps in the table of docs/event-core.md.
const TRAPS: usize = 18;

/// Each row of the table of traps names tests, and these are there.
fn traps(paths: &Paths, files: &[String]) -> Result<()> {
    let page = fs::read_to_string(paths.root.join("docs/event-core.md"))?;
    let is_test = |name: &&String| {
        let folders = [
            "libposix-poll/",
            "vfs-hooks/",
            "kernel-ext/",
            "tests/posix/",
        ];
        folders.iter().any(|folder| name.starts_with(folder)) && is_source(name)
    };
    let sources: String = files
        .iter()
        .filter(is_test)
        .filter_map(|name| fs::read_to_string(paths.root.join(name)).ok())
        .collect();
    let mut row = 0;
    for line in page.lines() {
        let mut cells = line.split('|').skip(1);
        let number = cells
            .next()
            .and_then(|cell| cell.trim().parse::<usize>().ok());
        let (Some(number), Some(tests)) = (number, cells.nth(1)) else {
            continue;
        };
        row += 1;
        if number != row {
            bail!("docs/event-core.md: trap {number} stands where {row} should");
        }
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            bail!("trap {number} has no test");
        }
        for name in names {
            let definitions = if let Some((area, check)) = name.split_once('/') {
                vec![format!("CHECK({area}, {check},")]
            } else if let Some(number) = name.strip_prefix("NQ") {
                vec![format!("test({},", number.trim_start_matches('0'))]
            } else {
                // A case of the contract is generic over what it runs on.
                vec![format!("fn {name}("), format!("fn {name}<")]
            };
            if !definitions.iter().any(|text| sources.contains(text)) {
                bail!("trap {number}: there is no test {name}");
            }
        }
    }
    if row != TRAPS {
        bail!("docs/event-core.md has {row} traps, not {TRAPS}");
    }
    Ok(())
}
