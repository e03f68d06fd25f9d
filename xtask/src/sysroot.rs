// SPDX-License-Identifier: BSD-2-Clause
//! The C library: Debian's musl with our overlay, built into the sysroot.
//!
//! Built beside its final place and renamed, under a key of all it was made from, so
//! the sysroot is either whole or absent. A `syscall` instruction left in libc.a would
//! end a program on seL4, so the build fails if there is one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::deb;
use crate::digest::{Digest, files_below};
use crate::paths::Paths;
use crate::process::{Lock, output, run_logged, say};
use crate::source::Source;

/// Grows when this file builds something else from the same inputs.
const RECIPE: &str = "2";

/// The kernel's headers that C programs include, by folder: where Debian has them, where we put them.
const KERNEL_HEADERS: &[(&str, &str)] = &[
    ("/usr/include/linux", "linux"),
    ("/usr/include/asm-generic", "asm-generic"),
    ("/usr/include/x86_64-linux-gnu/asm", "asm"),
    ("/usr/include/mtd", "mtd"),
];

/// BSD's lists, which programs expect and musl leaves to others: macros that stand for themselves.
pub const QUEUE_HEADER: &str = "/usr/include/x86_64-linux-gnu/sys/queue.h";

/// `musl-shim/musl.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    source: Source,
    overlay: Overlay,
    build: Build,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    remove: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    cflags: String,
}

/// The sysroot's folder, built if anything that it is made from has changed.
pub fn ensure(paths: &Paths) -> Result<PathBuf> {
    deb::install(paths, deb::CC)?;
    let sysroot = paths.sysroot();
    if sysroot.display().to_string().contains(char::is_whitespace) {
        bail!(
            "gcc cannot use a sysroot with spaces in its name: {}",
            sysroot.display()
        );
    }
    let shim = paths.root.join("musl-shim");
    let manifest_path = shim.join("musl.toml");
    let text = fs::read_to_string(&manifest_path)
        .with_context(|| format!("cannot read {}", manifest_path.display()))?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("in {}", manifest_path.display()))?;

    let overlay = shim.join("overlay");
    let mut digest = Digest::default();
    digest
        .add("recipe", RECIPE.as_bytes())
        .add("manifest", text.as_bytes());
    digest.add(
        "gcc",
        output("gcc --version", Command::new("gcc").arg("--version"))?.as_bytes(),
    );
    digest.add_tree("overlay", &overlay)?;
    let entry = shim.join("cc/entry.S");
    digest.add_file("entry", &entry)?;
    digest.add_file("headers", Path::new("/usr/include/linux/version.h"))?;
    let key = digest.key();

    let _lock = Lock::take(&paths.target.join("sysroot.lock"), "the C library")?;
    let key_file = sysroot.join("key");
    if fs::read_to_string(&key_file).is_ok_and(|have| have == key) {
        return Ok(sysroot);
    }
    let work = paths.scratch().join("musl");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let source = work.join("source");
    manifest.source.unpack(paths, &source)?;
    apply(&overlay, &manifest.overlay.remove, &source)?;
    say(&format!(
        "building musl {} (about 20 s)",
        manifest.source.version
    ));
    let fresh = work.join("sysroot");
    compile(paths, &source, &manifest.build.cflags, &fresh)?;
    copy_headers(&fresh.join("include"))?;
    refuse_syscalls(&fresh.join("lib/libc.a"))?;
    run_logged(
        "assembling entry.S",
        Command::new("gcc")
            .args(["-c", "-o"])
            .arg(fresh.join("lib/entry.o"))
            .arg(&entry),
        &paths.log().join("musl.log"),
    )?;
    fs::write(fresh.join("key"), &key)?;
    let _ = fs::remove_dir_all(&sysroot);
    fs::rename(&fresh, &sysroot)
        .with_context(|| format!("cannot put the sysroot at {}", sysroot.display()))?;
    let _ = fs::remove_dir_all(&work);
    Ok(sysroot)
}

/// Lays the overlay over a pristine source, after taking out what it replaces by another kind of file.
fn apply(overlay: &Path, remove: &[PathBuf], source: &Path) -> Result<()> {
    for name in remove {
        let path = source.join(name);
        fs::remove_file(&path)
            .with_context(|| format!("musl has no {} to be replaced", name.display()))?;
    }
    for file in files_below(overlay)? {
        let name = file
            .strip_prefix(overlay)
            .context("a file outside the overlay")?;
        let to = source.join(name);
        fs::copy(&file, &to).with_context(|| format!("cannot overlay {}", name.display()))?;
    }
    Ok(())
}

fn compile(paths: &Paths, source: &Path, cflags: &str, prefix: &Path) -> Result<()> {
    let log = paths.log().join("musl.log");
    let _ = fs::remove_file(&log);
    run_logged(
        "musl's configure",
        Command::new("./configure")
            .current_dir(source)
            .arg(format!("--prefix={}", prefix.display()))
            .args([
                "--target=x86_64",
                "--disable-shared",
                "--disable-gcc-wrapper",
                "CC=gcc",
                "AR=ar",
                "RANLIB=ranlib",
            ])
            .arg(format!("CFLAGS={cflags}")),
        &log,
    )?;
    let jobs = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut make = Command::new("make");
    make.arg(format!("-j{jobs}"))
        .args(["--silent", "install"])
        .current_dir(source);
    // A make or cargo that runs us must not lend its job server to this one.
    make.env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .env_remove("CARGO_MAKEFLAGS");
    run_logged("building musl", &mut make, &log)
}

fn copy_headers(include: &Path) -> Result<()> {
    for (from, to) in KERNEL_HEADERS {
        let from = Path::new(from);
        if !from.is_dir() {
            continue;
        }
        for file in files_below(from)? {
            let relative = file
                .strip_prefix(from)
                .context("a header outside its folder")?;
            let to = include.join(to).join(relative);
            if let Some(dir) = to.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::copy(&file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    fs::copy(QUEUE_HEADER, include.join("sys/queue.h"))
        .with_context(|| format!("cannot copy {QUEUE_HEADER}"))?;
    Ok(())
}

/// Fails if the archive holds an instruction that enters a Linux kernel.
fn refuse_syscalls(archive: &Path) -> Result<()> {
    let mut objdump = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn"])
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start objdump")?;
    let text = objdump.stdout.take().context("objdump has no output")?;
    let mut member = String::new();
    let mut found = Vec::new();
    for line in BufReader::new(text).lines() {
        let line = line.context("objdump's output is not text")?;
        if let Some((name, _)) = line.split_once(":     file format") {
            name.clone_into(&mut member);
        } else if enters_kernel(&line) {
            found.push(format!("{member}:{line}"));
        }
    }
    if !objdump.wait().context("objdump")?.success() {
        bail!("objdump cannot read {}", archive.display());
    }
    if !found.is_empty() {
        bail!(
            "the overlay leaves system-call instructions in libc.a:\n  {}",
            found.join("\n  ")
        );
    }
    Ok(())
}

/// Is this line of a disassembly one of the three ways into a Linux kernel?
fn enters_kernel(line: &str) -> bool {
    let Some((_, code)) = line.split_once(":\t") else {
        return false;
    };
    let mut words = code.split_whitespace();
    match words.next() {
        Some("syscall" | "sysenter") => true,
        Some("int") => words.next() == Some("$0x80"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_into_a_kernel_are_seen() {
        assert!(enters_kernel("   4:\tsyscall"));
        assert!(enters_kernel("   4:\tint    $0x80"));
        assert!(!enters_kernel("   4:\tcall   12 <syscall>"));
        assert!(!enters_kernel("0000000000000000 <syscall>:"));
    }
}
