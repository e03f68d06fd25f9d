// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask kernel`: build a kernel and say where it is.

use std::process::ExitCode;

use anyhow::Result;
use kernel_ext::{Build, Kernel, Variant};

use crate::paths::Paths;
use crate::system;

/// Build a kernel and print where it is.
#[derive(clap::Args)]
#[command(
    after_help = "Prints the kernel's two files, the one with symbols and the one that QEMU boots, and the folder of its headers for C programs.\n\nExamples:\n  cargo xtask kernel\n  cargo xtask kernel --stock --debug\n  cargo xtask kernel --size"
)]
pub struct Args {
    /// seL4 as published instead of the one with the notification queue
    #[arg(long)]
    stock: bool,
    /// With the optional fast path of signal, poll and wait on top
    #[arg(long, conflicts_with = "stock")]
    fast: bool,
    /// With assertions, and words on the serial line about refused calls
    #[arg(long)]
    debug: bool,
    /// For two processor cores (`-smp 2`)
    #[arg(long)]
    smp: bool,
    /// Only say how many lines the notification queue adds; an error if they are too many
    #[arg(long)]
    size: bool,
}

/// Builds what is missing.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    if args.size {
        let size = kernel_ext::size()?;
        println!("{size}");
        let fast = kernel_ext::fast_size()?;
        println!(
            "the optional fast path, counted apart: {} lines in new files and {} in existing ones",
            fast.new, fast.existing
        );
        size.check()?;
        return Ok(ExitCode::SUCCESS);
    }
    let kernel = if args.stock {
        Kernel::Stock
    } else if args.fast {
        Kernel::Fast
    } else {
        Kernel::Queue
    };
    let build = if args.debug {
        Build::Debug
    } else {
        Build::Release
    };
    let cores = if args.smp { 2 } else { 1 };
    let built = system::kernel(paths, kernel, Variant::from(build).cores(cores))?;
    for path in [&built.elf, &built.elf32, &built.include] {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
