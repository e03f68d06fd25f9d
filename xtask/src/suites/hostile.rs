// SPDX-License-Identifier: BSD-2-Clause
//! tests/hostile: processes that take all they can get, send nonsense, flood and scribble over what they share, beside others whose work is
//! verified. On both kernels; once with little memory and no network, once with the net server.

use std::fs;

use anyhow::Result;
use kernel_ext::Kernel;

use super::guest::boot;
use super::{HUNG, Report, tap};
use crate::paths::Paths;
use crate::program::Chosen;
use crate::system::{self, Setup};
use crate::toolchain;

mod outside;

/// Memory of the machine, in MiB: little, so that it is soon taken.
const LITTLE: u32 = 128;

/// Both kernels.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    for kernel in [Kernel::Queue, Kernel::Stock] {
        for network in [false, true] {
            let words = if network {
                "with the net server"
            } else {
                "little memory"
            };
            let group = format!("{kernel} kernel, {words}");
            match on(paths, kernel, network) {
                Ok(found) => report.absorb(&group, found),
                Err(error) => report.add(&group, Err(error)),
            }
        }
    }
    Ok(())
}

fn on(paths: &Paths, kernel: Kernel, network: bool) -> Result<Report> {
    let cc = toolchain::ensure(paths)?.cc;
    let mut sources = super::posix::c_files(&paths.root.join("tests/hostile"))?;
    sources.push(paths.root.join("tests/kills/figures.c"));
    let program = super::posix::compile_files(paths, &cc, "hostile", &sources)?;
    let mut setup = Setup::new(kernel);
    setup.network = network;
    let outside = outside::Outside::open()?;
    if network {
        setup.args = vec![outside.port.to_string()];
    } else {
        setup.memory = LITTLE;
    }
    let machine = system::prepare(paths, &setup, &Chosen::Elf(program).make(paths)?)?;
    let outcome = boot(paths, &machine, HUNG)?;
    drop(outside);
    let console = String::from_utf8_lossy(&outcome.console);
    let words = if network { "net" } else { "little" };
    fs::write(
        paths.log().join(format!("hostile-{kernel}-{words}.txt")),
        format!("{console}{}\n", outcome.log.join("\n")),
    )?;
    let mut found = tap::parse(&console);
    if outcome.status != Some(0) {
        let last: Vec<&str> = console.lines().rev().take(12).collect();
        let log: Vec<&str> = outcome
            .log
            .iter()
            .rev()
            .take(6)
            .map(String::as_str)
            .collect();
        let why = format!(
            "it ended with {:?}; its last lines, newest first: {}; log, newest first: {}",
            outcome.status,
            last.join(" | "),
            log.join(" | ")
        );
        found.failed.push(("the end".into(), why));
    }
    Ok(found)
}
