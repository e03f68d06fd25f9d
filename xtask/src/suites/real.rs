// SPDX-License-Identifier: BSD-2-Clause
//! Real programs' own tests in host mode (docs/host-mode.md): where millions of events of others meet the event core.
//!
//! Sources are Debian's, unmodified, pinned in ports/NAME/port.toml. The tests run in a network of their own, which has a loopback
//! interface and nothing else: what they listen on is seen by nobody.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Report;
use crate::deb;
use crate::digest::{Digest, files_below};
use crate::paths::Paths;
use crate::process::{output, run_logged, say};
use crate::source::Source;
use crate::toolchain::{self, Where};

mod libevent;
mod libuv;
mod memcached;
mod network;

pub use libevent::run as libevent;
pub use libuv::run as libuv;
pub use memcached::run as memcached;

/// What the suites read of a port.toml.
#[derive(Deserialize)]
struct Manifest {
    source: Source,
    /// Tests that fail on Linux too, and why.
    #[serde(default)]
    known: BTreeMap<String, String>,
}

/// A program's source, ready to be compiled for host mode.
struct Program {
    name: &'static str,
    /// The unpacked source, compiled in place.
    dir: PathBuf,
    cc: PathBuf,
    log: PathBuf,
    manifest: Manifest,
}

impl Program {
    /// Unpacks it, unless that was done from the same manifest and the same C library and compiler.
    fn prepare(paths: &Paths, name: &'static str) -> Result<Program> {
        deb::install(paths, deb::CC)?;
        let cc = toolchain::ensure_for(paths, Where::Host)?.cc;
        let file = paths.root.join("ports").join(name).join("port.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        let dir = paths.target.join("ports-host").join(name);
        let mut digest = Digest::default();
        digest.add("manifest", text.as_bytes());
        digest.add_file("libc", &paths.sysroot().join("lib/libc.a"))?;
        digest.add_file("cc", &cc)?;
        let key = digest.key();
        let key_file = dir.join(".xtask-key");
        let program = Program {
            name,
            cc,
            log: paths.log().join(format!("real-{name}.log")),
            manifest,
            dir,
        };
        if !fs::read_to_string(&key_file).is_ok_and(|have| have == key) {
            let _ = fs::remove_dir_all(&program.dir);
            if let Some(parent) = program.dir.parent() {
                fs::create_dir_all(parent)?;
            }
            program.manifest.source.unpack(paths, &program.dir)?;
            fs::write(&key_file, &key)?;
        }
        Ok(program)
    }

    /// `./configure`, once.
    fn configure(&self, arguments: &[String]) -> Result<()> {
        if self.dir.join("Makefile").is_file() {
            return Ok(());
        }
        say(&format!("configuring {}", self.name));
        self.in_order()?;
        let mut configure = Command::new("./configure");
        configure
            .current_dir(&self.dir)
            .env("CC", &self.cc)
            .arg("--host=x86_64-linux-musl")
            .args(arguments);
        run_logged(
            &format!("{}'s configure", self.name),
            &mut configure,
            &self.log,
        )
    }

    /// Dates all files: what autotools made after what it is made from, or make would ask for them.
    fn in_order(&self) -> Result<()> {
        let steps: [&[&str]; 3] = [
            &["aclocal.m4"],
            &["configure"],
            &["Makefile.in", "config.h.in"],
        ];
        let start = SystemTime::now() - Duration::from_secs(100);
        for path in files_below(&self.dir)? {
            let name = path.file_name().unwrap_or_default();
            let is_in = |names: &&[&str]| names.iter().any(|other| name == *other);
            let step = steps.iter().position(is_in).map_or(0, |step| step + 1);
            let time = start + Duration::from_secs(10 * step as u64);
            fs::File::open(&path)
                .and_then(|file| file.set_modified(time))
                .with_context(|| format!("cannot date {}", path.display()))?;
        }
        Ok(())
    }

    /// Makes targets after removing them: they are linked with the shim as it is now.
    fn make(&self, targets: &[&str], variables: &[&str]) -> Result<()> {
        say(&format!("compiling {}", self.name));
        for target in targets {
            let _ = fs::remove_file(self.dir.join(target));
        }
        let jobs = std::thread::available_parallelism().map_or(1, |count| count.get());
        let mut make = Command::new("make");
        make.current_dir(&self.dir)
            .arg(format!("-j{jobs}"))
            .args(targets)
            .args(variables);
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("CARGO_MAKEFLAGS");
        run_logged(&format!("making {}", self.name), &mut make, &self.log)
    }

    /// Runs a test program of it in a network of its own; what it printed, and whether it ended well.
    fn test(&self, mut command: Command, minutes: u64, nobody: bool) -> Result<(String, bool)> {
        if command.get_current_dir().is_none() {
            command.current_dir(&self.dir);
        }
        command.env("LC_ALL", "C");
        let out_file = self.log.with_extension("out");
        let out = fs::File::create(&out_file)?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        network::isolate(&mut command, nobody);
        let what = format!("{:?}", command.get_program());
        let mut child = command.spawn().with_context(|| {
            format!(
                "cannot start {what} in a network of its own (root or user namespaces are needed)"
            )
        })?;
        let ended = network::wait(&mut child, Duration::from_secs(minutes * 60))?;
        let text = fs::read(&out_file)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        match ended {
            Some(status) => Ok((text, status.success())),
            None => bail!(
                "{what} had not ended after {minutes} minutes; its words are in {}",
                out_file.display()
            ),
        }
    }

    /// Moves failures that Linux has too among the skipped.
    fn excuse(&self, report: &mut Report) {
        for (name, words) in std::mem::take(&mut report.failed) {
            match self.manifest.known.get(&name) {
                Some(why) => {
                    let why = format!("fails on Linux too: {why}");
                    report.skipped.push((name, why));
                }
                None => report.failed.push((name, words)),
            }
        }
    }
}

/// The end of a text, for a failure that nothing else explains.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Compiles C files to objects beside each other, as many at a time as there are processors.
fn compile_all(
    cc: &Path,
    flags: &[String],
    dir: &Path,
    files: &[PathBuf],
    into: &Path,
) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(into)?;
    let jobs = std::thread::available_parallelism().map_or(1, |count| count.get());
    let objects: Vec<PathBuf> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(dir).unwrap_or(file).display().to_string();
            into.join(name.replace('/', "_")).with_extension("o")
        })
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let (Some(file), Some(object)) = (files.get(i), objects.get(i)) else {
                    return Ok(());
                };
                if object.is_file() {
                    continue;
                }
                let fresh = object.with_extension("new");
                let mut command = Command::new(cc);
                command
                    .current_dir(dir)
                    .args(flags)
                    .arg("-c")
                    .arg(file)
                    .arg("-o")
                    .arg(&fresh);
                output(&format!("compiling {}", file.display()), &mut command)?;
                fs::rename(&fresh, object)?;
            }
        };
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => bail!("a compiling thread panicked"),
            })
    })?;
    Ok(objects)
}
