// SPDX-License-Identifier: BSD-2-Clause
//! The models of kernel-ext/proof through Spin: each a `.pml` file, with its configurations and mutants in a `.toml` file.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use super::mutant;
use crate::deb;
use crate::paths::Paths;
use crate::process::{run_logged, say};
use crate::suites::Report;

/// The protocol of signallers and consumers; and queues and threads as members of a queue.
const MODELS: [&str; 2] = ["protocol", "members"];

/// Numbers of a model's processes. What a model does not have is 0.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    name: String,
    sources: u8,
    signallers: u8,
    events: u8,
    consumers: u8,
    #[serde(default)]
    kicks: u8,
    #[serde(default)]
    churn: u8,
    #[serde(default)]
    resizes: u8,
    #[serde(default)]
    deaths: u8,
    #[serde(default)]
    inners: u8,
    #[serde(default)]
    regroups: u8,
    #[serde(default)]
    bound: bool,
    /// Whether to search for runs that never end, too.
    #[serde(default)]
    ends: bool,
    /// Only if asked for.
    #[serde(default)]
    long: bool,
}

/// A mistake, and where it shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    configuration: String,
    from: String,
    to: String,
}

#[derive(Deserialize)]
struct List {
    configuration: Vec<Configuration>,
    mutant: Vec<Mutant>,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Search {
    /// A state in which an assertion does not hold.
    Assertions,
    /// A run that never ends.
    Cycles,
}

/// What was found in a search through all states.
#[derive(Debug, PartialEq)]
enum Found {
    /// Nothing, in so many states.
    Nothing(u64),
    /// In the words of the search.
    Error(String),
}

/// The configurations of one length, and with the short ones all mutants.
pub fn run(paths: &Paths, long: bool, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::SPIN)?;
    for name in MODELS {
        search(paths, name, long, report)?;
    }
    Ok(())
}

fn search(paths: &Paths, model_name: &str, long: bool, report: &mut Report) -> Result<()> {
    let folder = paths.root.join("kernel-ext/proof");
    let read = |ending: &str| {
        let path = folder.join(format!("{model_name}.{ending}"));
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let model = read("pml")?;
    let list: List =
        toml::from_str(&read("toml")?).with_context(|| format!("{model_name}.toml is wrong"))?;
    for configuration in list.configuration.iter().filter(|c| c.long == long) {
        for (search, what) in [
            (Search::Assertions, "no event is lost"),
            (Search::Cycles, "every run ends"),
        ] {
            if search == Search::Cycles && !configuration.ends {
                continue;
            }
            let name = format!("{}: {what}", configuration.name);
            let result = match explore(paths, &model, configuration, search, "-O1") {
                Ok(Found::Nothing(states)) => {
                    say(&format!("{model_name}, {name}, in {states} states"));
                    Ok(())
                }
                Ok(Found::Error(words)) => Err(anyhow!("{words}")),
                Err(error) => Err(error),
            };
            report.add(&format!("{model_name}, {name}"), result);
        }
    }
    if !long {
        for mutant in &list.mutant {
            let result = caught(paths, &model, &list.configuration, mutant);
            mutant::report(&mutant.name, result, report);
        }
    }
    Ok(())
}

fn caught(paths: &Paths, model: &str, all: &[Configuration], mutant: &Mutant) -> Result<()> {
    let configuration = all.iter().find(|c| c.name == mutant.configuration);
    let configuration = configuration
        .with_context(|| format!("there is no configuration {:?}", mutant.configuration))?;
    let model = mutant::replace_once("the model", model, &mutant.from, &mutant.to)?;
    // A mistake is soon found: most of the time would go into optimising.
    for search in [Search::Assertions, Search::Cycles] {
        if let Found::Error(_) = explore(paths, &model, configuration, search, "-O0")? {
            return Ok(());
        }
    }
    bail!("nothing is found in {:?}", configuration.name)
}

impl Configuration {
    fn defines(&self) -> Vec<String> {
        let numbers = [
            ("SOURCES", self.sources),
            ("SIGNALLERS", self.signallers),
            ("EVENTS", self.events),
            ("CONSUMERS", self.consumers),
            ("KICKS", self.kicks),
            ("CHURN", self.churn),
            ("RESIZES", self.resizes),
            ("DEATHS", self.deaths),
            ("INNERS", self.inners),
            ("REGROUPS", self.regroups),
        ];
        let mut defines: Vec<String> = numbers
            .iter()
            .map(|(name, number)| format!("-D{name}={number}"))
            .collect();
        if self.bound {
            defines.push("-DBOUND".into());
        }
        defines
    }
}

/// Goes through every state of the model.
fn explore(
    paths: &Paths,
    model: &str,
    configuration: &Configuration,
    search: Search,
    optimise: &str,
) -> Result<Found> {
    let folder = paths.scratch().join("proof/spin");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let log = folder.join("spin.log");
    fs::write(folder.join("model.pml"), model)?;
    let mut spin = Command::new("spin");
    spin.current_dir(&folder).arg("-a");
    spin.args(configuration.defines()).arg("model.pml");
    run_logged("spin", &mut spin, &log)?;
    let (build, run) = match search {
        Search::Assertions => (&["-DSAFETY", "-DNOCLAIM"][..], "-E"),
        Search::Cycles => (&["-DNP"][..], "-l"),
    };
    let mut gcc = Command::new("gcc");
    gcc.current_dir(&folder).args(build);
    gcc.arg(optimise)
        .args(["-w", "-DCOLLAPSE", "-DMEMLIM=3000", "-o", "pan", "pan.c"]);
    run_logged("gcc", &mut gcc, &log)?;
    let output = Command::new(folder.join("pan"))
        .current_dir(&folder)
        // Nobody has to end: whether all sleep as they should is what the model asserts.
        .args([run, "-E", "-m100000", "-w22"])
        .stdin(Stdio::null())
        .output()
        .context("cannot start the search")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    fs::write(folder.join("pan.log"), &text)?;
    found(&text).with_context(|| format!("the search in {}", folder.display()))
}

/// Reads the search's report. One that did not go through all states is an error, unless it found something.
fn found(text: &str) -> Result<Found> {
    let lines = || text.lines().map(str::trim);
    let errors: u64 = lines()
        .find_map(|line| line.rsplit_once("errors: ")?.1.parse().ok())
        .with_context(|| format!("no report: {text}"))?;
    if errors != 0 {
        let words = lines().find_map(|line| line.strip_prefix("pan:1: "));
        return Ok(Found::Error(words.unwrap_or("an error").to_owned()));
    }
    ensure!(
        !text.contains("Search not completed") && !text.contains("max search depth too small"),
        "not completed: {text}"
    );
    lines()
        .find_map(|line| line.split_once(" states, stored")?.0.parse().ok())
        .map(Found::Nothing)
        .with_context(|| format!("no number of states: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_told_apart() {
        let all = "State-vector 1 byte, depth reached 9, errors: 0\n    12 states, stored\n";
        assert_eq!(found(all).unwrap(), Found::Nothing(12));
        let visited = all.replace("stored", "stored (3 visited)");
        assert_eq!(found(&visited).unwrap(), Found::Nothing(12));
        let wrong = "pan:1: assertion violated x (at depth 3)\nWarning: Search not completed\ndepth reached 9, errors: 1\n";
        let words = "assertion violated x (at depth 3)".to_owned();
        assert_eq!(found(wrong).unwrap(), Found::Error(words));
        let full = format!("pan: reached -DMEMLIM bound\nWarning: Search not completed\n{all}");
        assert!(found(&full).is_err());
        assert!(found(&format!("error: max search depth too small\n{all}")).is_err());
        assert!(found("").is_err());
    }
}
