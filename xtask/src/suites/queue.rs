// SPDX-License-Identifier: BSD-2-Clause
//! kernel-ext/tests: a root task of its own, on both builds of a kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kernel_ext::{Build, Kernel, MUTANTS, Variant};

use super::{HUNG, Report, guest::boot, tap};
use crate::paths::Paths;
use crate::process::say;
use crate::qemu::Machine;
use crate::{deb, guest, system};

/// How long the tests may take on a broken kernel: ten times what they need on a good one.
const MUTANT_HUNG: Duration = Duration::from_secs(60);
/// Steps of the long random run.
const LONG: u64 = 5_000_000;
/// A seed that the usual run does not have.
const LONG_SEED: u64 = 2;

/// The kernel with the queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    both_builds(paths, Kernel::Queue, report)?;
    in_c(paths, report)
}

/// A root task in C: the queue through the C bindings.
fn in_c(paths: &Paths, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::QEMU)?;
    let source = paths.root.join("kernel-ext/tests/c/bindings.c");
    for build in Build::ALL {
        let built = system::kernel(paths, Kernel::Queue, build)?;
        let program = paths.cache().join(format!("bindings-{build}"));
        kernel_ext::compile_c(&built, &source, &program)?;
        let image =
            fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        let found = boot_root_task(paths, &built.elf32, image, (1, false), HUNG)?;
        report.absorb(&format!("C, {build}"), found);
    }
    Ok(())
}

/// The kernel with the queue and the optional fast path; for two cores, too.
pub fn on_fast(paths: &Paths, report: &mut Report) -> Result<()> {
    both_builds(paths, Kernel::Fast, report)?;
    two_cores(paths, Kernel::Fast, Build::Release, report)
}

/// The kernel as published.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    both_builds(paths, Kernel::Stock, report)
}

/// How long interrupts wait while things are revoked, in instructions.
pub fn latency(paths: &Paths, report: &mut Report) -> Result<()> {
    let mut task = RootTask::named("queue-latency");
    task.icount = true;
    for kernel in Kernel::ALL {
        let elf = system::kernel(paths, kernel, Build::Release)?.elf32;
        report.absorb(&kernel.to_string(), task.run(paths, &elf, HUNG)?);
    }
    Ok(())
}

/// Both kernels for two cores: the same tests, and those of threads on different cores. These take turns
/// with a lock that spins: on a host with less than two free cores that takes its time.
pub fn on_two_cores(paths: &Paths, report: &mut Report) -> Result<()> {
    for (kernel, build) in [
        (Kernel::Queue, Build::Release),
        (Kernel::Queue, Build::Debug),
        (Kernel::Stock, Build::Release),
    ] {
        two_cores(paths, kernel, build, report)?;
    }
    Ok(())
}

fn two_cores(paths: &Paths, kernel: Kernel, build: Build, report: &mut Report) -> Result<()> {
    let task = RootTask::named("queue-tests").random(1, 5_000)?.cores(2);
    let variant = Variant::from(build).cores(2);
    let built = system::kernel(paths, kernel, variant)?.elf32;
    let name = format!("{kernel}, {variant}");
    report.absorb(&name, task.run(paths, &built, 3 * HUNG)?);
    Ok(())
}

/// The random test alone is long: the release kernel, which is the one that is used.
pub fn random(paths: &Paths, report: &mut Report) -> Result<()> {
    let task = RootTask::named("queue-tests").random(LONG_SEED, LONG)?;
    let kernel = system::kernel(paths, Kernel::Queue, Build::Release)?.elf32;
    report.absorb("long", task.run(paths, &kernel, Duration::from_secs(3600))?);
    Ok(())
}

/// Broken kernels, each of which the tests must notice; what noticed it is printed.
pub fn mutants(paths: &Paths, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::KERNEL)?;
    let cache = paths.cache().join("kernel-mutants");
    let wanted = std::env::var("NQ_MUTANT").unwrap_or_default();
    for mutant in MUTANTS.iter().filter(|m| m.name.contains(&wanted)) {
        let built = kernel_ext::build_mutant(mutant, Build::Release, &cache, &mut |_| ())
            .with_context(|| format!("the mutant {:?}", mutant.name))?;
        let task = RootTask::named("queue-tests").random(1, 100_000)?;
        // A kernel that stops says nothing more: it hangs, or QEMU gives up.
        let by = match task.run(paths, &built.elf32, MUTANT_HUNG) {
            Ok(found) => noticed(&found),
            Err(error) => Some(format!("{error:#}")),
        };
        let _ = fs::remove_dir_all(&built.dir);
        let shown: String = by.iter().flat_map(|by| by.chars()).take(150).collect();
        say(&format!("{}: {shown}", mutant.name));
        let caught = by.context("no test notices it");
        report.add(mutant.name, caught.map(|_| ()));
    }
    Ok(())
}

/// Which tests failed: the first, how many, whether the random one is among them.
fn noticed(found: &Report) -> Option<String> {
    let (first, _) = found.failed.first()?;
    let random = found
        .failed
        .iter()
        .any(|(name, _)| name.starts_with("NQ1401.1 "));
    let random = if random { ", the random test too" } else { "" };
    Some(format!("{} failed{random}; {first}", found.failed.len()))
}

fn both_builds(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    for build in Build::ALL {
        // A debug kernel explains each refusal on the serial line, which takes its time.
        let steps = match build {
            Build::Release => 100_000,
            Build::Debug => 30_000,
        };
        let task = RootTask::named("queue-tests").random(1, steps)?;
        let kernel = system::kernel(paths, kernel, build)?.elf32;
        report.absorb(&build.to_string(), task.run(paths, &kernel, HUNG)?);
    }
    Ok(())
}

/// A number that the user gives in the environment.
fn chosen(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => {
            let number = text.parse();
            number
                .map(Some)
                .with_context(|| format!("{name}={text:?} is not a number"))
        }
    }
}

/// A root task of kernel-ext/tests.
pub struct RootTask {
    name: &'static str,
    /// Count guest instructions.
    icount: bool,
    /// Seed and steps of the random test, if not its own.
    random: Option<(u64, u64)>,
    /// Processor cores.
    cores: u32,
}

impl RootTask {
    /// One as it is.
    pub const fn named(name: &'static str) -> Self {
        Self {
            name,
            icount: false,
            random: None,
            cores: 1,
        }
    }

    /// With this seed and so many steps, unless the user says otherwise.
    fn random(self, seed: u64, steps: u64) -> Result<Self> {
        let seed = chosen("NQ_SEED")?.unwrap_or(seed);
        let steps = chosen("NQ_STEPS")?.unwrap_or(steps);
        Ok(Self {
            random: Some((seed, steps)),
            ..self
        })
    }

    /// For a kernel of so many cores, whose labels differ from those of one.
    pub const fn cores(self, cores: u32) -> Self {
        Self { cores, ..self }
    }

    /// Boots it on a kernel; what it says in TAP.
    pub fn run(&self, paths: &Paths, kernel: &Path, limit: Duration) -> Result<Report> {
        deb::install(paths, deb::QEMU)?;
        let image = guest::build(paths, &["queue-tests"], features(self.cores))?.join(self.name);
        let mut image =
            fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
        if let Some((seed, steps)) = self.random {
            set_parameters(&mut image, seed, steps)?;
        }
        boot_root_task(paths, kernel, image, (self.cores, self.icount), limit)
    }
}

/// Boots a root task on a kernel, with so many cores and counting instructions or not; what it says in TAP.
fn boot_root_task(
    paths: &Paths,
    kernel: &Path,
    image: Vec<u8>,
    (cores, icount): (u32, bool),
    limit: Duration,
) -> Result<Report> {
    let machine = Machine {
        kernel: kernel.to_path_buf(),
        image,
        memory: system::MEMORY,
        cores,
        icount,
        network: false,
        plugin: None,
        forwards: Vec::new(),
    };
    let outcome = boot(paths, &machine, limit)?;
    let mut found = tap::parse(&String::from_utf8_lossy(&outcome.console));
    // isa-debug-exit makes 2n+1 of the n that the root task ends with.
    if outcome.code != Some(1) && found.failed.is_empty() {
        found.failed.push((
            "end".into(),
            format!("the root task ended with {:?}", outcome.code),
        ));
    }
    Ok(found)
}

/// How the root tasks are built for kernels of so many cores.
pub fn features(cores: u32) -> &'static [&'static str] {
    match cores {
        1 => &[],
        _ => &["queue-tests/smp"],
    }
}

/// The mark before seed and steps in the image: src/parameters.rs there.
const MARK: &[u8; 16] = b"NQ PARAMETERS 1\n";

fn set_parameters(image: &mut [u8], seed: u64, steps: u64) -> Result<()> {
    let found: Vec<usize> = (0..image.len().saturating_sub(MARK.len() + 16))
        .filter(|at| image[*at..].starts_with(MARK))
        .collect();
    ensure!(found.len() == 1, "the image has {} marks", found.len());
    let at = found[0] + MARK.len();
    image[at..at + 8].copy_from_slice(&seed.to_le_bytes());
    image[at + 8..at + 16].copy_from_slice(&steps.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_behind_their_mark() {
        let mut image = b"x".to_vec();
        image.extend(MARK);
        image.extend([9; 32]);
        set_parameters(&mut image, 3, 1 << 40).unwrap();
        assert_eq!(image[17..25], 3u64.to_le_bytes());
        assert_eq!(image[25..33], (1u64 << 40).to_le_bytes());
        assert_eq!(image[33], 9);
        image.extend(MARK);
        image.extend([9; 32]);
        assert!(set_parameters(&mut image, 3, 4).is_err());
    }
}
