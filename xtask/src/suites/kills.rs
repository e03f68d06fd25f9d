// SPDX-License-Identifier: BSD-2-Clause
//! tests/kills: processes that do everything are killed between any two instructions, at random, and others one after the other a little later, so that each step of
//! what they do is once their last; what the servers have given away is the same before and after, to the byte and to the capability.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use kernel_ext::Kernel;

use super::guest::boot;
use super::{HUNG, Report};
use crate::paths::Paths;
use crate::program::Chosen;
use crate::system::{self, Setup};
use crate::toolchain;

/// How many are killed at each run of the tests, and in the long one.
const FEW: u32 = 500;
const MANY: u32 = 10_000;
/// Instructions from one end to the next, of those that end at each step: at each run of the tests, and in the long one, where no request to a server is left out.
const WIDE: u32 = 7_919;
const NARROW: u32 = 300;
/// How long the long one may take.
const LONG: Duration = Duration::from_secs(3 * 3600);
/// Where the random numbers start. Under `-icount` the same one is the same run.
const SEED: u32 = 1;

/// Both kernels.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    both(paths, report, FEW, WIDE, HUNG)
}

/// Ten thousand on each.
pub fn long(paths: &Paths, report: &mut Report) -> Result<()> {
    both(paths, report, MANY, NARROW, LONG)
}

fn both(paths: &Paths, report: &mut Report, kills: u32, step: u32, limit: Duration) -> Result<()> {
    for kernel in [Kernel::Queue, Kernel::Stock] {
        let name = format!("{kills} kills lose nothing, {kernel} kernel");
        let random = [kills.to_string(), SEED.to_string()];
        report.add(&name, on(paths, kernel, "kills", random, limit));
        let name = format!("an end every {step} instructions loses nothing, {kernel} kernel");
        let steps = ["steps".into(), step.to_string()];
        report.add(&name, on(paths, kernel, "steps", steps, limit));
    }
    Ok(())
}

fn on(paths: &Paths, kernel: Kernel, name: &str, args: [String; 2], limit: Duration) -> Result<()> {
    let cc = toolchain::ensure(paths)?.cc;
    let program = super::posix::compile_folder(paths, &cc, "tests/kills", "kills")?;
    let mut setup = Setup::new(kernel);
    setup.args = args.into();
    setup.network = false;
    setup.icount = true;
    setup.below = true;
    let ready = Chosen::Elf(program).make(paths)?;
    let machine = system::prepare(paths, &setup, &ready)?;
    let outcome = boot(paths, &machine, limit)?;
    let console = String::from_utf8_lossy(&outcome.console);
    fs::write(paths.log().join(format!("{name}-{kernel}.txt")), &*console)?;
    let last: Vec<&str> = console.lines().rev().take(20).collect();
    ensure!(
        outcome.status == Some(0) && console.contains("every figure is as before"),
        "it ended with {:?}; its last lines, newest first: {}; log: {}",
        outcome.status,
        last.join(" | "),
        outcome.log.join("; ")
    );
    Ok(())
}
