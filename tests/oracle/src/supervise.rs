// SPDX-License-Identifier: BSD-2-Clause
//! The supervisor: what is tested runs in a process of its own, so that a crash or a hang is a finding like any other.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, bail, ensure};

use crate::worker::{self, Found, Work};
use oracle::choices::Seeded;
use oracle::generate;
use oracle::op::Program;
use oracle::shrink::shrink;
use oracle::text;

/// Exit status if something differs.
pub const DIFFERENT: u8 = 1;
/// Seconds for one program.
pub const PATIENCE: u32 = 10;
/// Where the worker finds the fd of its progress.
const PROGRESS: i32 = 60;
/// First line of a program that is known to differ, with the reason.
const KNOWN: &str = "# known failure: ";

/// A word that two processes share.
fn map(file: &impl std::os::fd::AsRawFd) -> Result<&'static AtomicU64> {
    // SAFETY: a new mapping of a file of at least 8 bytes that nobody shortens; it is never unmapped.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            8,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    ensure!(at != libc::MAP_FAILED, "cannot map the progress");
    // SAFETY: aligned to a page; both processes use it as an atomic only.
    Ok(unsafe { &*at.cast::<AtomicU64>() })
}

/// The worker's side of `run`.
pub fn as_worker(work: Work, fd: i32, stats: bool) -> bool {
    // SAFETY: the supervisor left it open for this; nobody else uses the number.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let progress = map(&file).expect("the supervisor's memory can be mapped");
    worker::watch(progress);
    let found = worker::work(work, progress);
    report(work, &found, stats);
    found.different.is_empty()
}

fn report(work: Work, found: &Found, stats: bool) {
    if stats {
        println!(
            "{:16} {:>9} {:>9} {:>9}",
            "call", "done", "refused", "left out"
        );
        for (name, [done, refused, left_out]) in &found.stats {
            println!("{name:16} {done:9} {refused:9} {left_out:9}");
        }
    }
    for (name, count) in &found.cut {
        println!("cut short by a known deviation: {count} programs: {name}");
    }
    for name in &found.there {
        println!(
            "note: {name} is there by now, and still left out: drop its entry from deviations::MISSING"
        );
    }
    for (index, text) in &found.different {
        let name = format!("failure-{}-{index}.txt", work.seed);
        println!(
            "program {index} of seed {} differs; shrunk, and kept as {name}:",
            work.seed
        );
        println!("{text}");
        keep(&name, text);
    }
    let [ended, in_vain] = found.waits;
    println!(
        "{ended} waits ended by a call of another thread, {in_vain} not ended by it; {} programs differed by chance, once in several runs",
        found.by_chance
    );
    println!(
        "{} calls in {} programs of seed {}: {} differ",
        found.calls,
        found.programs,
        work.seed,
        found.different.len()
    );
}

/// Keeps a failure for `replay`; failing to is said, and no more.
fn keep(name: &str, text: &str) {
    let folder = Path::new("target/oracle");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(folder.join(name), text));
    if let Err(error) = written {
        eprintln!("cannot keep it: {error}");
    }
}

/// Runs programs in a process of its own; shrinks what ends it.
pub fn run(work: Work, stats: bool) -> Result<bool> {
    println!("Linux {}, seed {}", release()?, work.seed);
    // SAFETY: a new fd of ours.
    let file = unsafe {
        let fd = libc::memfd_create(c"progress".as_ptr(), libc::MFD_CLOEXEC);
        ensure!(fd >= 0, "cannot make the progress");
        File::from_raw_fd(fd)
    };
    file.set_len(8)?;
    let progress = map(&file)?;
    let fd = file.as_raw_fd();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("run")
        .args(["--ops", &work.calls.to_string()])
        .args(["--seed", &work.seed.to_string()])
        .args(["--first", &work.first.to_string()])
        .args(["--failures", &work.failures.to_string()])
        .args(["--progress", &PROGRESS.to_string()]);
    if stats {
        command.arg("--stats");
    }
    // SAFETY: dup2 may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::dup2(fd, PROGRESS) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let status = command.status().context("cannot start the worker")?;
    if is_verdict(status) {
        return Ok(status.success());
    }
    let index = progress.load(Relaxed);
    println!(
        "program {index} of seed {} ends the process: {status}",
        work.seed
    );
    let program = generate::program(&mut Seeded::new(work.seed, index));
    if is_verdict(check(&program, false)?.0) {
        println!("It does not when it runs alone:\n{}", text::print(&program));
        return Ok(false);
    }
    let ends =
        |program: &Program| check(program, false).is_ok_and(|(status, _)| !is_verdict(status));
    let small = shrink(program, ends);
    let (status, words) = check(&small, false)?;
    let text = format!("# Ends the process: {status}\n{}", text::print(&small));
    println!("Shrunk:\n{text}\n{words}");
    keep(&format!("crash-{}-{index}.txt", work.seed), &text);
    Ok(false)
}

fn is_verdict(status: ExitStatus) -> bool {
    status.success() || status.code() == Some(DIFFERENT.into())
}

fn release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

/// Runs one program in a process of its own: how that ends, and what it prints.
fn check(program: &Program, strict: bool) -> Result<(ExitStatus, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("check")
        .args(strict.then_some("--strict"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(text::print(program).as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let mut words = String::from_utf8_lossy(&output.stdout).into_owned();
    words.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status, words))
}

/// The files, and those in the folders, in order.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = Vec::new();
            for entry in fs::read_dir(path)? {
                inside.push(entry?.path());
            }
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Replays programs: `ok`, `known` or `FAILED` for each. One that is known to differ and does not is a failure too.
pub fn replay(paths: &[PathBuf]) -> Result<bool> {
    let files = files(paths)?;
    if files.is_empty() {
        bail!("nothing to replay");
    }
    let mut all = true;
    for path in files {
        let name = path.display();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let program = text::parse(&text).with_context(|| format!("{name}"))?;
        let known = text.lines().find_map(|line| line.strip_prefix(KNOWN));
        let (status, words) = check(&program, true)?;
        match (status.success(), known) {
            (true, None) => println!("ok {name}"),
            (false, Some(reason)) => println!("known {name}: {reason}"),
            (true, Some(_)) => {
                all = false;
                println!("FAILED {name}: known to differ, and does not: drop that line");
            }
            (false, None) => {
                all = false;
                let signal = status
                    .signal()
                    .map_or(String::new(), |n| format!(" (signal {n})"));
                println!("FAILED {name}{signal}");
                words.lines().for_each(|line| println!("    {line}"));
            }
        }
    }
    Ok(all)
}
