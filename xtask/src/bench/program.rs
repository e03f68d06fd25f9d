// SPDX-License-Identifier: BSD-2-Clause
//! The two benchmark programs, and QEMU's plugin that counts beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use kernel_ext::Kernel;

use crate::digest::{Digest, files_below};
use crate::paths::Paths;
use crate::process::run_logged;
use crate::program::Chosen;
use crate::suites::guest::boot;
use crate::system::{self, Setup};
use crate::{deb, toolchain};

/// Memory of the machine in MiB, as Linux had in the baseline.
pub const MEMORY: u32 = 1024;
/// Longer than any run on a machine that has other things to do.
pub const LIMIT: Duration = Duration::from_secs(7200);

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its folder under bench/, and its name.
    pub name: &'static str,
    /// Has a mode in which a process that is woken does not pre-empt, on Linux.
    pub modes: bool,
}

/// Both.
pub const PROGRAMS: [Program; 2] = [
    Program {
        name: "evbench",
        modes: false,
    },
    Program {
        name: "xprocbench",
        modes: true,
    },
];

/// What a run left: the console, and the plugin's file.
pub struct Said {
    /// What the program printed.
    pub console: String,
    /// What the plugin wrote.
    pub counts: String,
}

impl Program {
    /// Its C files.
    pub fn sources(&self, paths: &Paths) -> Result<Vec<PathBuf>> {
        let mut sources = Vec::new();
        for dir in [self.name, "measure"] {
            let files = files_below(&paths.root.join("bench").join(dir))?;
            sources.extend(
                files
                    .into_iter()
                    .filter(|f| f.extension().is_some_and(|e| e == "c")),
            );
        }
        Ok(sources)
    }

    /// Runs it on one of our kernels.
    pub fn run(&self, paths: &Paths, kernel: Kernel, args: &[String], more: &str) -> Result<Said> {
        let elf = toolchain::compile_all(paths, self.name, &self.sources(paths)?)?;
        let ready = Chosen::Elf(elf).make(paths)?;
        let setup = Setup {
            args: args.to_vec(),
            network: false,
            icount: true,
            memory: MEMORY,
            ..Setup::new(kernel)
        };
        let mut machine = system::prepare(paths, &setup, &ready)?;
        let kind = if more.is_empty() { "" } else { "-profile" };
        let plugin = Plugin::new(paths, &format!("{}-{kernel}{kind}", self.name))?;
        machine.plugin = Some(plugin.argument(more));
        let outcome = boot(paths, &machine, LIMIT)?;
        let console = String::from_utf8_lossy(&outcome.console).into_owned();
        // Kept for whoever wants to see every row.
        fs::write(plugin.out.with_extension("txt"), &console)?;
        Ok(Said {
            console,
            counts: plugin.counts()?,
        })
    }
}

/// bench/count, compiled, and the file that it writes.
pub struct Plugin {
    library: PathBuf,
    out: PathBuf,
}

impl Plugin {
    /// Compiles it if it is not there; `run` names its output.
    pub fn new(paths: &Paths, run: &str) -> Result<Plugin> {
        deb::install(paths, deb::CC)?;
        let source = paths.root.join(SOURCE);
        let key = Digest::default().add_file(SOURCE, &source)?.key();
        let library = paths
            .cache()
            .join("count")
            .join(&key[..16])
            .join("count.so");
        if !library.is_file() {
            let dir = library.parent().context("a file is in a folder")?;
            fs::create_dir_all(dir)?;
            let fresh = dir.join(format!("{}.new", std::process::id()));
            let mut gcc = Command::new("gcc");
            gcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared"])
                .args(["-fvisibility=hidden", "-o"])
                .arg(&fresh)
                .arg(&source);
            run_logged(
                "compiling QEMU's plugin",
                &mut gcc,
                &paths.log().join("count.log"),
            )?;
            fs::rename(&fresh, &library)?;
        }
        let dir = paths.target.join("bench");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Plugin {
            library,
            out: dir.join(format!("{run}.counts")),
        })
    }

    /// For `-plugin`; `more` are further arguments, each with a comma before it.
    pub fn argument(&self, more: &str) -> String {
        format!(
            "{},out={}{more}",
            self.library.display(),
            self.out.display()
        )
    }

    /// What it wrote.
    pub fn counts(&self) -> Result<String> {
        let out: &Path = &self.out;
        fs::read_to_string(out).with_context(|| format!("cannot read {}", out.display()))
    }
}

/// From the root of the checkout.
pub const SOURCE: &str = "bench/count/plugin.c";
