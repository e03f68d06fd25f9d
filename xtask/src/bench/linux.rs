// SPDX-License-Identifier: BSD-2-Clause
//! The same programs on Linux: Debian's kernel, a root of three files, the same QEMU with the same flags. Every run gives the
//! same, so what was said is kept by what it was made from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::program::{MEMORY, Plugin, Program, SOURCE, Said};
use crate::deb;
use crate::digest::{Digest, sha256_file};
use crate::paths::Paths;
use crate::process::{run_logged, say};
use crate::source::PrivateApt;

/// From the root of the checkout.
const MANIFEST: &str = "bench/linux/package.toml";
const INIT: &str = "bench/linux/init.c";
/// The fairest to Linux: its defaults cost 2 to 4 % more instructions. Nothing random in where things lie.
const COMMAND_LINE: &str =
    "console=ttyS0 quiet nokaslr norandmaps panic=-1 random.trust_cpu=on mitigations=off";

/// Debian's package of the kernel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    package: String,
    version: String,
    file: String,
    sha256: String,
    kernel: String,
}

impl Package {
    /// The kernel's image, unpacked into the cache; the package is fetched if it is not there.
    fn kernel(&self, paths: &Paths) -> Result<PathBuf> {
        let keep = paths.cache().join("linux").join(&self.version);
        let file = keep.join(&self.file);
        let good = || sha256_file(&file).is_ok_and(|have| have == self.sha256);
        if !good() {
            say(&format!("fetching {} {}", self.package, self.version));
            fs::create_dir_all(&keep).with_context(|| format!("cannot make {}", keep.display()))?;
            let apt = PrivateApt::new(paths, "deb")?;
            let log = paths.log().join("linux.log");
            let wanted = format!("{}={}", self.package, self.version);
            let get = || {
                let mut get = apt.command();
                get.args(["download", &wanted]).current_dir(&keep);
                get
            };
            if run_logged("apt-get download", &mut get(), &log).is_err() {
                // One list of several may fail to come: what counts is whether the package does.
                let _ = run_logged("apt-get update", apt.command().arg("update"), &log);
                run_logged("apt-get download", &mut get(), &log)?;
            }
            ensure!(
                good(),
                "{} is not the file that {MANIFEST} means; if this version is gone from Debian's mirrors, pin another there",
                file.display()
            );
        }
        let root = keep.join("root");
        let kernel = root.join(&self.kernel);
        if !kernel.is_file() {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("-x").arg(&file).arg(&root);
            run_logged("dpkg-deb", &mut unpack, &paths.log().join("linux.log"))?;
        }
        Ok(kernel)
    }
}

/// Runs a program.
pub fn run(paths: &Paths, program: &Program, args: &[String]) -> Result<Said> {
    deb::install(paths, deb::MUSL)?;
    deb::install(paths, deb::QEMU)?;
    let text = fs::read_to_string(paths.root.join(MANIFEST))?;
    let package: Package = toml::from_str(&text).with_context(|| format!("in {MANIFEST}"))?;
    let kernel = package.kernel(paths)?;
    let dir = paths.scratch().join("linux");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let elf = compile(paths, &dir.join(program.name), &program.sources(paths)?)?;
    let init = compile(paths, &dir.join("init"), &[paths.root.join(INIT)])?;
    let path = format!("/{}", program.name);
    let mut root = Vec::new();
    let files = [
        ("proc", None),
        ("init", Some(&init)),
        (program.name, Some(&elf)),
    ];
    for (inode, (name, data)) in (1..).zip(files) {
        entry(&mut root, inode, name, data.map(Vec::as_slice));
    }
    entry(&mut root, 0, "TRAILER!!!", Some(&[]));
    let mut words = vec![path];
    words.extend(args.iter().cloned());
    let line = format!("{COMMAND_LINE} bench={}", words.join(":"));
    let key = Digest::default()
        .add_file("kernel", &kernel)?
        .add("root", &root)
        .add("line", line.as_bytes())
        .add_file("plugin", &paths.root.join(SOURCE))?
        .add("qemu", qemu_version()?.as_bytes())
        .add("flags", FLAGS.join(" ").as_bytes())
        .key();
    let keep = paths.cache().join("linux-said").join(&key[..16]);
    let (console, counts) = (keep.join("console"), keep.join("counts"));
    if console.is_file() && counts.is_file() {
        return Ok(Said {
            console: fs::read_to_string(console)?,
            counts: fs::read_to_string(counts)?,
        });
    }
    say(&format!(
        "measuring {} {} on Linux",
        program.name,
        args.join(" ")
    ));
    let plugin = Plugin::new(paths, &format!("{}-linux", program.name))?;
    let ramdisk = dir.join(format!("{}.cpio", program.name));
    fs::write(&ramdisk, &root)?;
    let said = Said {
        console: boot(&kernel, &ramdisk, &line, &plugin.argument(""))?,
        counts: plugin.counts()?,
    };
    ensure!(
        said.console.contains("# done "),
        "{} did not come to its end on Linux: {}",
        program.name,
        said.console.lines().last().unwrap_or_default()
    );
    fs::create_dir_all(&keep)?;
    fs::write(counts, &said.counts)?;
    fs::write(console, &said.console)?;
    Ok(said)
}

/// Those of the baseline; the first two differ from our own machine's and change no count.
const FLAGS: &[&str] = &[
    "-M",
    "q35",
    "-smp",
    "1",
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off,align=off",
    "-rtc",
    "base=2026-01-01,clock=vm",
    "-seed",
    "1",
    "-cpu",
    "Nehalem",
    "-nodefaults",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-no-reboot",
];

fn boot(kernel: &Path, ramdisk: &Path, line: &str, plugin: &str) -> Result<String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(FLAGS)
        .args(["-m", &MEMORY.to_string()])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(ramdisk)
        .args(["-append", line, "-plugin", plugin])
        .stdin(Stdio::null());
    let out = qemu.output().context("cannot start qemu-system-x86_64")?;
    let words = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "QEMU failed: {}", words.trim());
    Ok(String::from_utf8_lossy(&out.stdout).replace('\r', ""))
}

fn qemu_version() -> Result<String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    crate::process::output("qemu-system-x86_64", qemu.arg("--version"))
}

/// With musl, as our programs, so that the C library's part is the same on both sides.
fn compile(paths: &Paths, program: &Path, sources: &[PathBuf]) -> Result<Vec<u8>> {
    let mut gcc = Command::new("musl-gcc");
    gcc.args(["-std=gnu11", "-O2", "-static", "-pthread", "-o"])
        .arg(program)
        .args(sources);
    run_logged("musl-gcc", &mut gcc, &paths.log().join("linux.log"))?;
    fs::read(program).with_context(|| format!("cannot read {}", program.display()))
}

/// An entry of an archive that the kernel unpacks at boot (cpio(5), "New ASCII Format"): a folder if it has no data.
fn entry(archive: &mut Vec<u8>, inode: u32, name: &str, data: Option<&[u8]>) {
    let mode: u32 = if data.is_some() { 0o100_755 } else { 0o040_755 };
    let data = data.unwrap_or_default();
    let sizes = [data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    let head = [inode, mode, 0, 0, 1, 0];
    archive.extend(b"070701");
    for field in head.into_iter().chain(sizes) {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_have_a_head_of_110_bytes() {
        let mut archive = Vec::new();
        entry(&mut archive, 7, "init", Some(b"abcde"));
        assert_eq!(&archive[..14], b"07070100000007");
        assert_eq!(&archive[110..115], b"init\0");
        assert_eq!(&archive[116..121], b"abcde");
        assert_eq!(archive.len(), 124);
    }
}
