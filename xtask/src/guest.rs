// SPDX-License-Identifier: BSD-2-Clause
//! The crates that run on seL4, built by cargo with the guest's flags.

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::Paths;

/// The prebuilt core that the guest links comes from this target; `--target` also keeps
/// the flags below away from build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Static, at a fixed address, without a C library, in pages of 4 KiB.
const RUSTFLAGS: &[&str] = &[
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,--build-id=none,-z,norelro,-z,noexecstack,-z,max-page-size=4096",
];

/// Builds packages of the workspace for the guest; returns the folder of the results.
pub fn build(paths: &Paths, packages: &[&str], features: &[&str]) -> Result<PathBuf> {
    let dir = paths.guest_for(features);
    let mut cargo = cargo_for_guest(paths, "build", &dir);
    for package in packages {
        cargo.args(["-p", package]);
    }
    if !features.is_empty() {
        cargo.args(["--features", &features.join(",")]);
    }
    run_cargo(
        &mut cargo,
        &format!("building {} for the guest", packages.join(", ")),
    )?;
    Ok(dir.join(TARGET).join("guest"))
}

/// A cargo command with the guest's target, profile and flags.
pub fn cargo_for_guest(paths: &Paths, command: &str, target_dir: &Path) -> Command {
    let mut cargo = cargo(paths);
    cargo
        .args([
            command,
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"));
    cargo
}

/// The cargo that runs us, in the checkout, without the settings that it made for us alone.
pub fn cargo(paths: &Paths) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&paths.root).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") {
            cargo.env_remove(&name);
        }
    }
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
    ] {
        cargo.env_remove(name);
    }
    cargo
}

/// Runs cargo, showing what it says on stderr but for its words when nothing was to be done.
fn run_cargo(cargo: &mut Command, what: &str) -> Result<()> {
    let color = if std::io::stderr().is_terminal() {
        "always"
    } else {
        "never"
    };
    let mut child = cargo
        .args(["--color", color])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let words = child.stderr.take().context("cargo has no stderr")?;
    for line in BufReader::new(words).lines() {
        let line = line.unwrap_or_default();
        if !line.contains("Finished") {
            eprintln!("{line}");
        }
    }
    if !child.wait().context("cargo")?.success() {
        bail!("{what} failed; cargo's words are above");
    }
    Ok(())
}
