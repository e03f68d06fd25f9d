// SPDX-License-Identifier: BSD-2-Clause
//! What is proved about the notification queue, and the mutants that show that the proofs bite.

use anyhow::Result;

use super::Report;
use crate::paths::Paths;

mod esbmc;
mod mutant;
mod spin;

/// Arithmetic and protocol.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    esbmc::run(paths, report)?;
    spin::run(paths, false, report)
}

/// The protocol with more processes.
pub fn long(paths: &Paths, report: &mut Report) -> Result<()> {
    spin::run(paths, true, report)
}
