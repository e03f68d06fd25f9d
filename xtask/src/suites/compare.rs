// SPDX-License-Identifier: BSD-2-Clause
//! bench/compare with few sources: every way to tell of events delivers each once, and says of the right source.

use anyhow::Result;
use kernel_ext::Kernel;

use super::{HUNG, Report, guest::boot, tap};
use crate::cmd::compare::machine;
use crate::paths::Paths;

/// Both kernels.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    for kernel in [Kernel::Queue, Kernel::Stock] {
        let machine = machine(paths, kernel, "compare-smoke", false)?;
        let outcome = boot(paths, &machine, HUNG)?;
        let mut found = tap::parse(&String::from_utf8_lossy(&outcome.console));
        // isa-debug-exit makes 2n+1 of the n that the root task ends with.
        if outcome.code != Some(1) && found.failed.is_empty() {
            let how = format!("the root task ended with {:?}", outcome.code);
            found.failed.push(("end".into(), how));
        }
        report.absorb(&kernel.to_string(), found);
    }
    Ok(())
}
