// SPDX-License-Identifier: BSD-2-Clause
//! tests/posix: the same C program on Linux, which is the oracle, in host mode, and on both kernels. tests/hostmode: the first two.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use kernel_ext::Kernel;

use super::{HUNG, Report, guest::boot, tap};
use crate::elf::Program;
use crate::paths::Paths;
use crate::process::run_logged;
use crate::program::Ready;
use crate::system::{self, Setup};
use crate::toolchain::{self, Where};

/// The file that the tests read, and where the guest has it.
const DATA: &str = "data.txt";
const GUEST_DATA: &str = "/test/data.txt";

/// What host mode is not asked, and why (docs/host-mode.md).
const NOT_IN_HOST_MODE: &[(&str, &str)] = &[
    (
        "packet/across_fork",
        "packets that wait become bytes of the real pipe",
    ),
    (
        "signal/restart_and_leave",
        "a call that a handler leaves keeps its file open",
    ),
    (
        "signal/stop_ends_waits",
        "SIGCONT ends no ppoll of Linux's, in which the shim waits",
    ),
    (
        "thread/cancel_disabled_blocked",
        "musl's own signal may end a call of the shim's",
    ),
    (
        "thread/cancel_in_condition",
        "a cancelled thread ends when Linux's call returns",
    ),
    (
        "xpipe/exclusive_wakes_one_process",
        "shared sources are Linux's, and each process is told",
    ),
    ("xepoll", "epoll instances are empty in a new program"),
    ("xtimer", "timerfds are independent after fork"),
];

/// What a run of tests/posix printed, and how it ended if not well.
pub struct Transcript {
    pub tap: String,
    pub end: Option<String>,
}

impl Transcript {
    fn into_report(self, group: &str, report: &mut Report) {
        let mut found = tap::parse(&self.tap);
        if let Some(words) = self.end
            && found.failed.is_empty()
        {
            found.failed.push(("end".into(), words));
        }
        report.absorb(group, found);
    }
}

/// tests/posix with the machine's own compiler and C library.
pub fn linux(paths: &Paths) -> Result<Transcript> {
    crate::deb::install(paths, crate::deb::CC)?;
    let program = compile(paths, Path::new("gcc"), "posix-linux")?;
    run_checks(paths, &program, &[])
}

/// With the machine's own compiler and C library.
pub fn on_linux(paths: &Paths, report: &mut Report) -> Result<()> {
    linux(paths)?.into_report("tests/posix", report);
    let program = compile_hostmode(paths, Path::new("gcc"), "hostmode-linux")?;
    run_here(paths, "tests/hostmode", &program, report)
}

/// In host mode: our event core and sources on Linux.
pub fn in_host_mode(paths: &Paths, report: &mut Report) -> Result<()> {
    let cc = toolchain::ensure_for(paths, Where::Host)?.cc;
    let program = compile(paths, &cc, "posix-host")?;
    let left_out = NOT_IN_HOST_MODE.iter().flat_map(|(check, _)| ["-x", check]);
    run_checks(paths, &program, &left_out.collect::<Vec<_>>())?.into_report("tests/posix", report);
    let program = compile_hostmode(paths, &cc, "hostmode-host")?;
    run_here(paths, "tests/hostmode", &program, report)
}

fn run_here(paths: &Paths, group: &str, program: &Path, report: &mut Report) -> Result<()> {
    run_checks(paths, program, &[])?.into_report(group, report);
    Ok(())
}

/// Runs the checks; `further` arguments choose among them.
fn run_checks(paths: &Paths, program: &Path, further: &[&str]) -> Result<Transcript> {
    let output = Command::new(program)
        .arg("-d")
        .arg(paths.root.join("tests/posix").join(DATA))
        .args(further)
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let ended = !output.status.success();
    Ok(Transcript {
        tap: String::from_utf8_lossy(&output.stdout).into_owned(),
        end: ended.then(|| format!("the program ended with {}", output.status)),
    })
}

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    guest(paths, Kernel::Queue)?.into_report("tests/posix", report);
    Ok(())
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    guest(paths, Kernel::Stock)?.into_report("tests/posix", report);
    Ok(())
}

/// The same on the kernel with the optional fast path.
pub fn on_fast(paths: &Paths, report: &mut Report) -> Result<()> {
    guest(paths, Kernel::Fast)?.into_report("tests/posix", report);
    Ok(())
}

/// tests/posix in QEMU.
pub fn guest(paths: &Paths, kernel: Kernel) -> Result<Transcript> {
    let cc = toolchain::ensure(paths)?.cc;
    let program = compile(paths, &cc, "posix")?;
    let bytes = fs::read(&program)?;
    let memory = Program::parse_ours(&bytes).context("tests/posix")?.memory();
    let mut setup = Setup::new(kernel);
    setup.files.push((
        paths.root.join("tests/posix").join(DATA),
        GUEST_DATA.to_owned(),
    ));
    let machine = system::prepare(
        paths,
        &setup,
        &Ready {
            name: "posix".into(),
            bytes,
            memory,
            links: Vec::new(),
        },
    )?;
    let outcome = boot(paths, &machine, HUNG)?;
    let words = || {
        format!(
            "the program ended with {:?}: {}",
            outcome.status,
            outcome.log.join("; ")
        )
    };
    Ok(Transcript {
        tap: String::from_utf8_lossy(&outcome.console).into_owned(),
        end: (outcome.status != Some(0)).then(words),
    })
}

/// What only host mode can do: Linux's fds beside ours, children, threads, signals.
fn compile_hostmode(paths: &Paths, cc: &Path, name: &str) -> Result<PathBuf> {
    let mut sources = c_files(&paths.root.join("tests/hostmode"))?;
    let harness = ["main.c", "helpers.c", "thread_helpers.c", "process_child.c"];
    sources.extend(harness.map(|file| paths.root.join("tests/posix").join(file)));
    compile_files(paths, cc, name, &sources)
}

fn compile(paths: &Paths, cc: &Path, name: &str) -> Result<PathBuf> {
    compile_folder(paths, cc, "tests/posix", name)
}

/// A program of all C files in a folder of the tree.
pub fn compile_folder(paths: &Paths, cc: &Path, folder: &str, name: &str) -> Result<PathBuf> {
    let sources = c_files(&paths.root.join(folder))?;
    compile_files(paths, cc, name, &sources)
}

/// Its C files, in order.
pub fn c_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    if sources.is_empty() {
        bail!("{} has no C files", dir.display());
    }
    sources.sort();
    Ok(sources)
}

/// A program of these C files.
pub fn compile_files(paths: &Paths, cc: &Path, name: &str, sources: &[PathBuf]) -> Result<PathBuf> {
    let program = paths.scratch().join(name);
    fs::create_dir_all(paths.scratch())?;
    let mut command = Command::new(cc);
    command
        .args([
            "-std=gnu11",
            "-O2",
            "-g",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
        ])
        .arg(&program)
        .args(sources)
        .arg("-pthread");
    run_logged(
        &format!("compiling {name}"),
        &mut command,
        &paths.log().join("posix.log"),
    )?;
    Ok(program)
}
