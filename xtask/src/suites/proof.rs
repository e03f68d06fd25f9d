// SPDX-License-Identifier: BSD-2-Clause
//! What is proved about the notification queue, and the mutants that show that the proofs bite.

use anyhow::Result;

use super::Report;
use crate::paths::Paths;

mod esbmc;
mod mutant;

/// Runs all of it.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    esbmc::run(paths, report)
}
