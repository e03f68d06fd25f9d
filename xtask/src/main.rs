// SPDX-License-Identifier: BSD-2-Clause
//! The driver, `cargo xtask`: builds, runs and tests the whole system.
//!
//! One file per subcommand in `cmd`. What they share, from the bottom up: where things
//! are (`paths`), running tools (`process`), hashes (`digest`), Debian's packages and
//! sources (`deb`, `source`), the C library (`sysroot`), the guest's crates (`guest`),
//! the compiler for C programs (`toolchain`), sources of others compiled with it (`tree`),
//! ports (`port`), what PROGRAM means (`program`, `elf`), the
//! boot image (`archive`, `image`), the machine (`forward`, `backlog`, `qemu`), all of it (`system`);
//! tables and plots of what was compared and measured (`comparison`, `bench`, `plot`).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod archive;
mod backlog;
mod bench;
mod cmd;
mod comparison;
mod deb;
mod digest;
mod elf;
mod forward;
mod guest;
mod image;
mod init;
mod keys;
mod paths;
mod plot;
mod port;
mod process;
mod program;
mod python;
mod qemu;
mod quit;
mod source;
mod suites;
mod sysroot;
mod system;
mod toolchain;
mod tree;

/// Build, run and test C programs that wait with epoll, poll and select on seL4.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    Run(cmd::run::Args),
    Cc(cmd::cc::Args),
    Test(cmd::test::Args),
    Kernel(cmd::kernel::Args),
    Figures(cmd::figures::Args),
    Compare(cmd::compare::Args),
    Coverage(cmd::coverage::Args),
    Conformance(cmd::conformance::Args),
    Bench(cmd::bench::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = paths::Paths::find().and_then(|paths| match &cli.command {
        Cmd::Run(args) => cmd::run::run(&paths, args),
        Cmd::Cc(args) => cmd::cc::run(&paths, args),
        Cmd::Test(args) => cmd::test::run(&paths, args),
        Cmd::Kernel(args) => cmd::kernel::run(&paths, args),
        Cmd::Figures(args) => cmd::figures::run(&paths, args),
        Cmd::Compare(args) => cmd::compare::run(&paths, args),
        Cmd::Coverage(args) => cmd::coverage::run(&paths, args),
        Cmd::Conformance(args) => cmd::conformance::run(&paths, args),
        Cmd::Bench(args) => cmd::bench::run(&paths, args),
    });
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
