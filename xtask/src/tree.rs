// SPDX-License-Identifier: BSD-2-Clause
//! A program of others: its Debian source, unpacked and compiled in place by our cc wrapper.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::deb;
use crate::digest::{Digest, files_below, sha256_file};
use crate::paths::Paths;
use crate::process::{Lock, run_logged, say};
use crate::source::Source;
use crate::toolchain::{self, Where};

/// The date that programs are told they are built at: 2026-01-01.
const DATE: &str = "1767225600";

/// An unpacked source.
pub struct Tree {
    /// The program's name.
    pub name: String,
    /// The source's folder.
    pub dir: PathBuf,
    /// The compiler.
    pub cc: PathBuf,
    /// What the tools had to say.
    pub log: PathBuf,
    /// The shim's hash: what was linked with another is out of date.
    shim: String,
    _lock: Lock,
}

impl Tree {
    /// Unpacks it below `below`, unless that was done from the same manifest, C library and compiler.
    pub fn prepare(
        paths: &Paths,
        name: &str,
        place: Where,
        source: &Source,
        manifest: &str,
    ) -> Result<Tree> {
        deb::install(paths, deb::CC)?;
        let tools = toolchain::ensure_for(paths, place)?;
        let folder = match place {
            Where::Guest => "ports-guest",
            Where::Host => "ports-host",
            Where::Contract => "ports-contract",
        };
        let dir = paths.target.join(folder).join(name);
        let lock = Lock::take(&dir.with_extension("lock"), &format!("compiling {name}"))?;
        let mut digest = Digest::default();
        digest.add("manifest", manifest.as_bytes());
        digest.add_file("libc", &paths.sysroot().join("lib/libc.a"))?;
        digest.add_file("cc", &tools.cc)?;
        let key = digest.key();
        let key_file = dir.join(".xtask-key");
        if !fs::read_to_string(&key_file).is_ok_and(|have| have == key) {
            let _ = fs::remove_dir_all(&dir);
            source.unpack(paths, &dir)?;
            fs::write(&key_file, &key)?;
        }
        Ok(Tree {
            name: name.to_owned(),
            log: paths.log().join(format!("{folder}-{name}.log")),
            shim: sha256_file(&tools.shim)?,
            cc: tools.cc,
            dir,
            _lock: lock,
        })
    }

    /// Has a step been done in this folder before? Says so from then on.
    fn first(&self, step: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let mark = self.dir.join(format!(".xtask-{step}"));
        if mark.is_file() {
            return Ok(());
        }
        work()?;
        fs::write(mark, b"")?;
        Ok(())
    }

    /// Runs the program's `configure`, or whatever `command` says, once.
    pub fn configure(&self, command: &mut Command) -> Result<()> {
        self.first("configured", || {
            say(&format!("configuring {}", self.name));
            self.in_order()?;
            self.settle(command);
            run_logged(&format!("{}'s configure", self.name), command, &self.log)
        })
    }

    /// Has it run in the source's folder, with our compiler, and know nothing of this checkout or of today.
    fn settle(&self, command: &mut Command) {
        command.current_dir(&self.dir).env("CC", &self.cc);
        command.env("SOURCE_DATE_EPOCH", DATE);
        if let Some(above) = self.dir.parent() {
            command.env("GIT_CEILING_DIRECTORIES", above);
        }
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

    /// Has `command` make the programs, if one is missing or was linked with another shim.
    pub fn link(&self, programs: &[&str], command: &mut Command) -> Result<()> {
        let linked = self.dir.join(".xtask-linked");
        let there = |name: &&str| self.dir.join(name).is_file();
        let current = fs::read_to_string(&linked).is_ok_and(|shim| shim == self.shim);
        if current && programs.iter().all(there) {
            return Ok(());
        }
        let _ = fs::remove_file(&linked);
        self.make(programs, command)?;
        if let Some(missing) = programs.iter().find(|name| !there(name)) {
            bail!("{}: make has not made {missing}", self.name);
        }
        fs::write(&linked, &self.shim)?;
        Ok(())
    }

    /// Runs make after removing what it is to make: that is linked with the shim as it is now.
    pub fn make(&self, targets: &[&str], command: &mut Command) -> Result<()> {
        say(&format!("compiling {}", self.name));
        for target in targets {
            let _ = fs::remove_file(self.dir.join(target));
        }
        self.settle(command);
        for name in ["MAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS"] {
            command.env_remove(name);
        }
        run_logged(&format!("making {}", self.name), command, &self.log)
    }
}

/// How many compilers run at a time.
pub fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}
