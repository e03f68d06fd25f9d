// SPDX-License-Identifier: BSD-2-Clause
//! tests/contract: the event core's contract in the guest, over either kernel. The shim that it is linked with also holds the cases.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use kernel_ext::Kernel;

use super::{HUNG, Report, guest::boot, tap};
use crate::elf::Program;
use crate::paths::Paths;
use crate::process::run_logged;
use crate::program::Ready;
use crate::system::{self, Setup};
use crate::toolchain::{self, Where};

/// Watches wake by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Watches wake by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    let cc = toolchain::ensure_for(paths, Where::Contract)?.cc;
    let program = paths.scratch().join("contract");
    fs::create_dir_all(paths.scratch())?;
    let mut command = Command::new(cc);
    command
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(paths.root.join("tests/contract/main.c"))
        .arg("-pthread");
    run_logged(
        "compiling tests/contract",
        &mut command,
        &paths.log().join("contract.log"),
    )?;
    let bytes = fs::read(&program)?;
    let memory = Program::parse_ours(&bytes)
        .context("tests/contract")?
        .memory();
    let mut setup = Setup::new(kernel);
    setup.network = false;
    // Who runs when is the same in every run.
    setup.icount = true;
    let program = Ready {
        name: "contract".into(),
        bytes,
        memory,
        links: Vec::new(),
    };
    let machine = system::prepare(paths, &setup, &program)?;
    let outcome = boot(paths, &machine, HUNG)?;
    let mut found = tap::parse(&String::from_utf8_lossy(&outcome.console));
    if outcome.status != Some(0) && found.failed.is_empty() {
        let how = format!("the program ended with {:?}", outcome.status);
        found.failed.push(("end".into(), how));
    }
    // A panic is in the system's log.
    for (_, why) in &mut found.failed {
        let child = why
            .split([' ', ','])
            .find_map(|word| word.parse::<u32>().ok());
        let said = child.map_or(String::new(), |child| format!("process {child}: "));
        for line in outcome.log.iter().filter(|line| line.contains(&said)) {
            why.push_str(&format!("; {line}"));
        }
    }
    report.absorb("contract", found);
    Ok(())
}
