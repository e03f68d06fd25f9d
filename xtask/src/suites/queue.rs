// SPDX-License-Identifier: BSD-2-Clause
//! kernel-ext/tests: a root task of its own, on both builds of a kernel.

use std::fs;

use anyhow::{Context, Result};
use kernel_ext::{Build, Kernel};

use super::{HUNG, Report, guest::boot, tap};
use crate::paths::Paths;
use crate::qemu::Machine;
use crate::{deb, guest, system};

/// The kernel with the queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    both_builds(paths, Kernel::Queue, report)
}

/// The kernel as published.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    both_builds(paths, Kernel::Stock, report)
}

fn both_builds(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::QEMU)?;
    for build in Build::ALL {
        let image = guest::build(paths, &["queue-tests"], &[])?.join("queue-tests");
        let machine = Machine {
            kernel: system::kernel(paths, kernel, build)?.elf32,
            image: fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?,
            memory: system::MEMORY,
            icount: false,
            network: false,
            forwards: Vec::new(),
        };
        let outcome = boot(paths, &machine, HUNG)?;
        let mut found = tap::parse(&String::from_utf8_lossy(&outcome.console));
        // isa-debug-exit makes 2n+1 of the n that the root task ends with.
        if outcome.code != Some(1) && found.failed.is_empty() {
            found.failed.push((
                "end".into(),
                format!("the root task ended with {:?}", outcome.code),
            ));
        }
        report.absorb(&build.to_string(), found);
    }
    Ok(())
}
