// SPDX-License-Identifier: BSD-2-Clause
//! Real programs' own tests in host mode (docs/host-mode.md): where millions of events of others meet the event core.
//!
//! Sources are Debian's, unmodified, pinned in ports/NAME/port.toml. The tests run in a network of their own, which has a loopback
//! interface and nothing else: what they listen on is seen by nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Report;
use crate::paths::Paths;
use crate::port::Port;
use crate::process::output;
use crate::toolchain::Where;
use crate::tree::{Tree, jobs};

mod libevent;
mod libuv;
mod memcached;
mod network;

pub use libevent::run as libevent;
pub use libuv::run as libuv;
pub use memcached::run as memcached;

/// A program's source, compiled for host mode.
struct Program {
    tree: Tree,
    port: Port,
}

impl Program {
    /// Unpacks it, unless that was done before.
    fn prepare(paths: &Paths, name: &'static str) -> Result<Program> {
        let port = Port::find(paths, name)?.with_context(|| format!("no port {name}"))?;
        let tree = port.unpack(paths, Where::Host)?;
        Ok(Program { tree, port })
    }

    /// `./configure`, once.
    fn configure(&self, arguments: &[String]) -> Result<()> {
        let mut configure = Command::new("./configure");
        configure.arg("--host=x86_64-linux-musl").args(arguments);
        self.tree.configure(&mut configure)
    }

    /// Makes targets anew.
    fn make(&self, targets: &[&str], variables: &[&str]) -> Result<()> {
        let mut make = Command::new("make");
        make.arg(format!("-j{}", jobs()))
            .args(targets)
            .args(variables);
        self.tree.make(targets, &mut make)
    }

    /// Runs a test program of it in a network of its own; what it printed, and whether it ended well.
    fn test(&self, mut command: Command, minutes: u64, nobody: bool) -> Result<(String, bool)> {
        if command.get_current_dir().is_none() {
            command.current_dir(&self.tree.dir);
        }
        command.env("LC_ALL", "C");
        let out_file = self.tree.log.with_extension("out");
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
            match self.port.manifest.known.get(&name) {
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
        let threads: Vec<_> = (0..jobs()).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => bail!("a compiling thread panicked"),
            })
    })?;
    Ok(objects)
}
