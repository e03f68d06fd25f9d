// SPDX-License-Identifier: BSD-2-Clause
//! Mutants: mistakes made on purpose by replacing text, which a proof must find.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::say;
use crate::suites::Report;

/// One mistake.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What the mistake is.
    pub name: String,
    /// The name of the file that it is made in.
    pub file: String,
    /// What is replaced; occurs once.
    pub from: String,
    /// By what.
    pub to: String,
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// Reads a list.
pub fn read(path: &Path) -> Result<Vec<Mutant>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let list: List =
        toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?;
    Ok(list.mutant)
}

impl Mutant {
    /// A name for a folder.
    pub fn folder(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.name.chars().map(plain).collect()
    }

    /// The text of `file` with the mistake in it, if it is made there; else as it is.
    pub fn apply(&self, file: &str, text: &str) -> Result<String> {
        if file != self.file {
            return Ok(text.to_owned());
        }
        replace_once(file, text, &self.from, &self.to)
    }
}

/// Counts one mutant and names it.
pub fn report(name: &str, caught: Result<()>, report: &mut Report) {
    let name = format!("mutant caught: {name}");
    if caught.is_ok() {
        say(&name);
    }
    report.add(&name, caught);
}

/// `text` of `file` with `to` for `from`, which must occur once.
pub fn replace_once(file: &str, text: &str, from: &str, to: &str) -> Result<String> {
    let times = text.matches(from).count();
    ensure!(
        times == 1,
        "{from:?} is in {file} {times} times, not once; adapt the list of mutants"
    );
    Ok(text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_that_changes_nothing_is_an_error() {
        let mutant = Mutant {
            name: "x".into(),
            file: "a".into(),
            from: "1".into(),
            to: "2".into(),
        };
        assert_eq!(mutant.apply("a", "0 1").unwrap(), "0 2");
        assert_eq!(mutant.apply("b", "1 1").unwrap(), "1 1");
        assert!(mutant.apply("a", "0").is_err());
        assert!(mutant.apply("a", "1 1").is_err());
    }
}
