// SPDX-License-Identifier: BSD-2-Clause
//! The Debian packages that the driver's steps need, installed when they are missing.
//!
//! A need is a file that a package brings, so a tool that came another way is accepted
//! and nothing is asked of dpkg when all is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::paths::Paths;
use crate::process::{run_logged, say};
use crate::sysroot::QUEUE_HEADER;

/// What a package is needed for is visible by this.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// A program on the search path.
    Tool(&'static str),
    /// A file.
    File(&'static str),
    /// A module that the Python on the search path has.
    Module(&'static str),
}

/// A Debian package and how to see that it is there.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    name: &'static str,
    mark: Mark,
}

const fn tool(name: &'static str, tool: &'static str) -> Package {
    Package {
        name,
        mark: Mark::Tool(tool),
    }
}

/// To compile C for the guest: the compiler, and what builds the C library.
pub const CC: &[Package] = &[
    tool("gcc", "gcc"),
    tool("binutils", "objdump"),
    tool("make", "make"),
    tool("dpkg-dev", "dpkg-source"),
    tool("patch", "patch"),
    tool("xz-utils", "xz"),
    Package {
        name: "linux-libc-dev",
        mark: Mark::File("/usr/include/linux/version.h"),
    },
    Package {
        name: "libc6-dev",
        mark: Mark::File(QUEUE_HEADER),
    },
];

/// To build a kernel.
pub const KERNEL: &[Package] = &[
    tool("gcc", "gcc"),
    tool("binutils", "objcopy"),
    tool("python3", "python3"),
];

/// To install Python packages in an environment of their own.
pub const PYTHON: &[Package] = &[
    tool("python3", "python3"),
    Package {
        name: "python3-venv",
        mark: Mark::Module("ensurepip"),
    },
];

/// To load a web server.
pub const WRK: &[Package] = &[tool("wrk", "wrk")];

/// To load redis.
pub const REDIS_TOOLS: &[Package] = &[tool("redis-tools", "redis-benchmark")];

/// To run redis's own tests, which call redis-cli too.
pub const REDIS_TESTS: &[Package] = &[tool("tcl", "tclsh"), tool("redis-tools", "redis-cli")];

/// To run test programs in Perl.
pub const PERL: &[Package] = &[tool("perl", "prove")];

/// To search a protocol's states.
pub const SPIN: &[Package] = &[tool("spin", "spin"), tool("gcc", "gcc")];

/// To compile what is measured on Linux, with the C library that our programs have.
pub const MUSL: &[Package] = &[tool("musl-tools", "musl-gcc"), tool("gcc", "gcc")];

/// To boot.
pub const QEMU: &[Package] = &[tool("qemu-system-x86", "qemu-system-x86_64")];

/// Installs what is missing of `packages`; an error says what to do by hand.
pub fn install(paths: &Paths, packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !present(package.mark))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let by_hand = format!("install by hand: apt-get install {names}");
    if on_path("apt-get").is_none() {
        bail!("this needs the Debian packages {names}, and there is no apt-get here");
    }
    let Some(prefix) = root_prefix() else {
        bail!(
            "this needs the Debian packages {names}, and only root can install them; as root, {by_hand}"
        );
    };
    say(&format!("installing the Debian packages {names}"));
    let log = paths.log().join("apt.log");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(prefix.first().unwrap_or(&"apt-get"));
        if !prefix.is_empty() {
            command.args(&prefix[1..]).arg("apt-get");
        }
        command
            .args(["-y", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(&missing);
    // A list of packages that is old or empty is the usual reason to fail: renew it, once.
    if run_logged("apt-get install", &mut apt(&arguments), &log).is_err() {
        say("renewing the list of Debian packages (apt-get update)");
        run_logged("apt-get update", &mut apt(&["update"]), &log)
            .and_then(|()| run_logged("apt-get install", &mut apt(&arguments), &log))
            .map_err(|error| {
                error.context(format!(
                    "the Debian packages {names} are missing; {by_hand}"
                ))
            })?;
    }
    let absent: Vec<&str> = packages
        .iter()
        .filter(|package| !present(package.mark))
        .map(|package| package.name)
        .collect();
    if !absent.is_empty() {
        bail!(
            "apt-get installed {}, but what they should bring is not there",
            absent.join(" ")
        );
    }
    Ok(())
}

/// What to put before `apt-get` to be root: nothing, or a sudo that asks no password.
fn root_prefix() -> Option<Vec<&'static str>> {
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return Some(Vec::new());
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).output();
    sudo.is_ok_and(|out| out.status.success())
        .then(|| vec!["sudo", "-n"])
}

fn present(mark: Mark) -> bool {
    match mark {
        Mark::Tool(name) => on_path(name).is_some(),
        Mark::File(path) => Path::new(path).is_file(),
        Mark::Module(name) => Command::new("python3")
            .args(["-c", &format!("import {name}")])
            .output()
            .is_ok_and(|out| out.status.success()),
    }
}

/// The program that a name means on the search path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen_and_what_is_not_is_not() {
        assert!(present(Mark::Tool("sh")));
        assert!(!present(Mark::Tool("no-such-tool-anywhere")));
        assert!(present(Mark::File("/etc/passwd")));
        assert!(!present(Mark::File("/etc")), "a folder is not a file");
        assert!(!present(Mark::Module("no_such_module_anywhere")));
    }
}
