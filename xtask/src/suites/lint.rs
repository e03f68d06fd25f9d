// SPDX-License-Identifier: BSD-2-Clause
//! rustfmt and clippy, a check each.

use std::process::Command;

use anyhow::Result;

use super::Report;
use crate::guest::{self, cargo};
use crate::paths::Paths;
use crate::process::run_logged;
use crate::toolchain::{CONTRACT, HOST_MODE};

/// What runs on seL4 only.
const GUEST: &[&str] = &[
    "sel4-bindings",
    "guest-rt",
    "root-server",
    "net-server",
    "vfs-server",
    "musl-shim",
    "queue-tests",
    "compare",
];

/// Runs the checks.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let log = paths.log().join("lint.log");
    let mut check = |name: &str, command: &mut Command| {
        command.env("CARGO_TERM_COLOR", "never");
        report.add(name, run_logged(name, command, &log));
    };
    check(
        "cargo fmt",
        cargo(paths).args(["fmt", "--all", "--check", "--", "-l", "--color", "never"]),
    );
    check(
        "clippy for the host",
        cargo(paths).args([
            "clippy",
            "--quiet",
            "--message-format=short",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    check(
        "clippy for the shim over Linux",
        cargo(paths).args([
            "clippy",
            "--quiet",
            "--message-format=short",
            "-p",
            "musl-shim",
            "--features",
            "library",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    check(
        "clippy for the oracle",
        cargo(paths).args([
            "clippy",
            "--quiet",
            "--message-format=short",
            "-p",
            "oracle",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    for (name, features) in [
        ("clippy for host mode", HOST_MODE),
        ("clippy for tests/contract", CONTRACT),
    ] {
        let mut clippy = guest::cargo_for_guest(paths, "clippy", &paths.guest_for(features));
        clippy.args(["--quiet", "--message-format=short", "-p", "musl-shim"]);
        clippy.args(["--features", &features.join(","), "--", "-D", "warnings"]);
        check(name, &mut clippy);
    }
    let mut clippy = guest::cargo_for_guest(paths, "clippy", &paths.guest());
    clippy.args(["--quiet", "--message-format=short"]);
    for package in GUEST {
        clippy.args(["-p", package]);
    }
    check(
        "clippy for the guest",
        clippy.args(["--", "-D", "warnings"]),
    );
    Ok(())
}
