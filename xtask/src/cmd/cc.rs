// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask cc`: compile C for the guest.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Error, Result};

use crate::paths::Paths;
use crate::toolchain::{self, Where};

/// Compile C for the guest: takes gcc's arguments.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  cargo xtask cc -O2 -o hello hello.c\n  cargo xtask cc --host -O2 -o hello hello.c    # runs on this Linux\n  cargo xtask cc --version      # only makes target/bin/posix-poll-cc, or brings it up to date\n  CC=$PWD/target/bin/posix-poll-cc ./configure && make"
)]
pub struct Args {
    /// For this Linux instead: with our epoll, poll, select, eventfd, timerfd and pipes, the rest passed through (target/bin/posix-poll-cc-host)
    #[arg(long)]
    host: bool,
    /// What gcc takes: -c -o -I -L -l -E -S -M and so on
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Brings the tools up to date and becomes the compiler.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let place = match args.host {
        true => Where::Host,
        false => Where::Guest,
    };
    let cc = toolchain::ensure_for(paths, place)?.cc;
    let error = Command::new(&cc).args(&args.arguments).exec();
    Err(Error::from(error).context(format!("cannot start {}", cc.display())))
}
