// SPDX-License-Identifier: BSD-2-Clause
//! `posix-poll-cc` and its companions under target/bin: what compiles C for the guest.
//!
//! The wrapper is gcc with our headers and linking rules (musl-shim/cc), a script that
//! works by itself from any folder, so other people's `configure` can use it as CC.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::process::{output, write_if_changed};
use crate::{guest, sysroot};

/// The tools, ready to use.
pub struct Toolchain {
    /// `posix-poll-cc`.
    pub cc: PathBuf,
    /// The shim that it links.
    pub shim: PathBuf,
}

/// Features of the shim for host mode.
pub const HOST_MODE: &[&str] = &["musl-shim/host"];

/// Features of the shim for tests/contract.
pub const CONTRACT: &[&str] = &["musl-shim/contract"];

/// Where programs are to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On seL4.
    Guest,
    /// On seL4, for tests/contract: with the event core's cases in the shim.
    Contract,
    /// On this Linux, in host mode.
    Host,
}

impl Where {
    /// The wrapper's name.
    fn cc(self) -> &'static str {
        match self {
            Where::Guest => "posix-poll-cc",
            Where::Contract => "posix-poll-cc-contract",
            Where::Host => "posix-poll-cc-host",
        }
    }

    /// The shim's name as a library.
    fn shim(self) -> &'static str {
        match self {
            Where::Guest => "musl_shim",
            Where::Contract => "musl_shim_contract",
            Where::Host => "musl_shim_host",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Where::Guest => &[],
            Where::Contract => CONTRACT,
            Where::Host => HOST_MODE,
        }
    }
}

/// Makes what is missing or out of date: the C library, the wrapper, the shim.
pub fn ensure(paths: &Paths) -> Result<Toolchain> {
    ensure_for(paths, Where::Guest)
}

/// The same, for programs that run there.
pub fn ensure_for(paths: &Paths, place: Where) -> Result<Toolchain> {
    let sysroot = sysroot::ensure(paths)?;
    let cc = write_wrappers(paths, &sysroot, place)?;
    let built = guest::build(paths, &["musl-shim"], place.features())?;
    let shim = built.join("libmusl_shim.a");
    let bytes = fs::read(&shim).with_context(|| format!("cannot read {}", shim.display()))?;
    let shim = sysroot.join(format!("lib/lib{}.a", place.shim()));
    write_if_changed(&shim, &bytes)?;
    Ok(Toolchain { cc, shim })
}

fn write_wrappers(paths: &Paths, sysroot: &Path, place: Where) -> Result<PathBuf> {
    let include = output("gcc", Command::new("gcc").arg("-print-file-name=include"))?;
    let gcc = Path::new(include.trim())
        .parent()
        .context("gcc does not say where its headers are")?;
    let object = format!("{}/lib/entry.o ", sysroot.display());
    // On seL4 the entry first looks whether it is Linux that started it.
    let (entry, start) = match place {
        Where::Guest | Where::Contract => (object.as_str(), "__posix_entry"),
        Where::Host => ("", "__posix_start"),
    };
    let fill = |name: &str| -> Result<String> {
        let path = paths.root.join("musl-shim/cc").join(name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text
            .replace("@SYSROOT@", &sysroot.display().to_string())
            .replace("@NAME@", place.cc())
            .replace("@SHIM@", place.shim())
            .replace("@ENTRY@", entry)
            .replace("@START@", start)
            .replace("@GCC@", &gcc.display().to_string()))
    };
    write_if_changed(
        &sysroot.join(format!("{}.specs", place.cc())),
        fill("posix-poll.specs.in")?.as_bytes(),
    )?;
    let cc = paths.bin().join(place.cc());
    write_script(&cc, &fill("posix-poll-cc.in")?)?;
    // gcc's own wrappers know about archives of link-time optimised objects.
    for tool in ["ar", "ranlib", "nm"] {
        let script = format!("#!/bin/sh\nexec gcc-{tool} \"$@\"\n");
        write_script(&paths.bin().join(format!("posix-poll-{tool}")), &script)?;
    }
    Ok(cc)
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    if write_if_changed(path, text.as_bytes())? {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} a program", path.display()))?;
    }
    Ok(())
}

/// Compiles one C file to a program; returns where it is.
pub fn compile(paths: &Paths, source: &Path) -> Result<PathBuf> {
    let stem = source.file_stem().context("a C file has a name")?;
    compile_all(paths, &stem.to_string_lossy(), &[source.to_path_buf()])
}

/// Compiles C files to a program of that name; returns where it is.
pub fn compile_all(paths: &Paths, name: &str, sources: &[PathBuf]) -> Result<PathBuf> {
    let cc = ensure(paths)?.cc;
    let program = paths.scratch().join("c").join(name);
    if let Some(dir) = program.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let status = Command::new(&cc)
        .args(["-O2", "-g", "-Wall", "-o"])
        .arg(&program)
        .args(sources)
        .status()
        .with_context(|| format!("cannot start {}", cc.display()))?;
    if !status.success() {
        bail!("{name} does not compile");
    }
    Ok(program)
}
