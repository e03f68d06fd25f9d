// SPDX-License-Identifier: BSD-2-Clause
//! redis's own tests, in Tcl, from outside: what they call external mode.
//!
//! File by file, all against one server as redis itself does it. What a file said is kept, so a run that was cut short goes on where it was; and after a file that broke off
//! the next one finds a machine that was booted anew. `REDIS_FILES=unit/dump,unit/scan` runs these alone, whether they are done or not.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kernel_ext::Kernel;

use self::kept::Kept;
use self::words::Words;
use super::{Daemon, Prepared, Report, ordered};
use crate::deb;
use crate::paths::Paths;
use crate::process::{Lock, output, say};
use crate::program::Chosen;
use crate::toolchain::Where;

mod kept;
mod words;

/// Where it listens.
const PORT: u16 = 6379;
/// What the tests need of a server that they have not started.
const ARGUMENTS: &[&str] = &[
    "--bind",
    "0.0.0.0",
    "--protected-mode",
    "no",
    "--save",
    "",
    "--dir",
    "/tmp",
    "--enable-protected-configs",
    "yes",
    "--enable-debug-command",
    "yes",
    "--enable-module-command",
    "yes",
];
/// What is left out: what redis calls slow, and what needs a replica.
const TAGS: &str = "-slow -needs:repl";
/// Seconds without a word before a test counts as hung.
const SILENCE: &str = "600";
/// Only a hang takes so long, for one file.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long an idle server may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// After so many tests its events must have come in the way that the kernel has.
const MANY: usize = 50;
/// How many tests of each file run on Linux, where all but those in `port.toml` pass: a file and a number a line.
const ON_LINUX: &str = include_str!("tcl/linux.txt");
/// Files that are to be run, whether they are done or not; without it all that are not.
const CHOICE: &str = "REDIS_FILES";

/// Tests that fail on Linux too, and why.
type Known = BTreeMap<String, String>;

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::REDIS_TESTS)?;
    let base_port = base_port(paths, kernel);
    let holder = Chosen::Source(paths.root.join("tests/redis/holder.c")).make(paths)?;
    let starter = Some((holder, base_port.to_string()));
    let prepared = Prepared::new(paths, kernel, "redis", ARGUMENTS, PORT, starter)?;
    let tree = prepared.port.unpack(paths, Where::Guest)?.dir;
    // Where the tests look for it.
    let client = tree.join("src/redis-cli");
    if !client.exists() {
        symlink("/usr/bin/redis-cli", &client)
            .with_context(|| format!("cannot make {}", client.display()))?;
    }
    let list = output(
        "tclsh",
        Command::new("tclsh")
            .args(["tests/test_helper.tcl", "--list-tests"])
            .current_dir(&tree),
    )?;
    let all: Vec<&str> = list.lines().collect();
    let folder = paths.log().join(format!("redis-tests-{kernel}"));
    // Its logs, and the ports, are those of one run at a time.
    let _lock = Lock::take(&folder.with_extension("lock"), "redis's tests")?;
    let mut kept = Kept::open(&folder, &prepared.machine)?;
    let choice = std::env::var(CHOICE).ok();
    let chosen: Vec<&str> = match &choice {
        Some(names) => names.split(',').collect(),
        None => all.clone(),
    };
    for &file in &chosen {
        ensure!(all.contains(&file), "{CHOICE}: redis has no {file:?}");
    }
    if choice.is_some() || all.iter().all(|file| kept.words(file).is_some()) {
        kept.forget(&chosen)?;
    }
    say(&format!(
        "redis's tests say what they do in {}",
        folder.display()
    ));

    let mut tests = Tests {
        paths,
        prepared: &prepared,
        tree,
        folder,
        proxy: ordered::lead_to(prepared.address)?,
        base_port,
        daemon: None,
        passed: 0,
        boots: 0,
    };
    for &file in &chosen {
        let mut broke_off = false;
        if kept.words(file).is_none() {
            kept.keep(file, tests.file(file)?)?;
            let words = kept.words(file).unwrap_or_default();
            broke_off = !words.ended;
            tests.passed += words.passed;
        }
        let words = kept.words(file).unwrap_or_default();
        println!("{}", row(file, &words));
        let log = Kept::log(&tests.folder, file);
        judge(file, &words, &log, &prepared.port.manifest.known, report);
        if broke_off {
            tests.stop(report);
        }
    }
    match tests.daemon.take() {
        Some(daemon) if tests.passed >= MANY => daemon.end(report),
        Some(daemon) => daemon.service.end(),
        None => Ok(()),
    }
}

/// How many tests of a file run on Linux.
fn on_linux(file: &str) -> usize {
    let rows = ON_LINUX.lines().filter_map(|line| line.split_once(' '));
    rows.filter(|(name, _)| *name == file)
        .find_map(|(_, count)| count.parse().ok())
        .unwrap_or(0)
}

/// A line of the table.
fn row(file: &str, words: &Words) -> String {
    let (passed, failed, skipped) = (words.passed, words.failed.len(), words.skipped.len());
    let linux = on_linux(file);
    let seconds = words.seconds;
    format!(
        "{file:40} {passed:4} passed of {linux:4}, {failed:2} failed, {skipped:2} left out, {seconds:4} s"
    )
}

/// Counts what a file has found.
fn judge(file: &str, words: &Words, log: &Path, known: &Known, report: &mut Report) {
    let mut found = Report {
        passed: words.passed,
        skipped: words.skipped.clone(),
        ..Report::default()
    };
    for (name, why) in &words.failed {
        match known.get(name) {
            Some(reason) => found.skipped.push((name.clone(), reason.clone())),
            None => found.failed.push((name.clone(), why.clone())),
        }
    }
    if !words.ended && words.failed.is_empty() {
        let why = format!("its log is in {}", log.display());
        found
            .failed
            .push(("it has not come to its end".to_owned(), why));
    }
    let ran = words.passed + words.failed.len();
    let linux = on_linux(file);
    if ran < linux {
        let why = format!("{ran} of {linux}");
        found.failed.push(("not all tests ran".to_owned(), why));
    }
    report.absorb(file, found);
}

/// The tests, and the machine that they are run against.
struct Tests<'a> {
    paths: &'a Paths,
    prepared: &'a Prepared,
    tree: PathBuf,
    folder: PathBuf,
    proxy: SocketAddr,
    /// Where the tests' own ports begin.
    base_port: u16,
    daemon: Option<Daemon>,
    /// Tests that passed on this machine.
    passed: usize,
    boots: usize,
}

impl Tests<'_> {
    /// Runs one file, and leaves what it said in its log; how many seconds it took.
    fn file(&mut self, file: &str) -> Result<u64> {
        if self.daemon.is_none() {
            self.boots += 1;
            self.passed = 0;
            // What redis says of itself.
            let console = self.folder.join(format!("console-{}.log", self.boots));
            self.daemon = Some(self.prepared.boot(self.paths, File::create(console)?)?);
        }
        let start = Instant::now();
        let log = Kept::log(&self.folder, file);
        let ports = [self.proxy.port(), self.base_port];
        let ended = run_file(&self.tree, file, &log, ports)?;
        for error in [ended, answers(self.prepared.address)]
            .into_iter()
            .filter_map(Result::err)
        {
            let mut log = File::options().append(true).open(&log)?;
            writeln!(log, "{}{error:#}", words::BROKE_OFF)?;
        }
        Ok(start.elapsed().as_secs())
    }

    /// Stops the machine, whatever state it is in.
    fn stop(&mut self, report: &mut Report) {
        if let Some(daemon) = self.daemon.take()
            && let Err(error) = daemon.service.end()
        {
            report
                .failed
                .push(("the machine".to_owned(), format!("{error:#}")));
        }
    }
}

/// Runs a file's tests; an error within the result if they do not end.
fn run_file(tree: &Path, file: &str, log: &Path, ports: [u16; 2]) -> Result<Result<()>> {
    let [port, base_port] = ports;
    let out = File::create(log)?;
    let mut child = Command::new("tclsh")
        .arg("tests/test_helper.tcl")
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--baseport", &base_port.to_string()])
        .args(["--tags", TAGS, "--timeout", SILENCE, "--single", file])
        .current_dir(tree)
        .env("LC_ALL", "C")
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .spawn()
        .context("cannot start tclsh")?;
    let end = Instant::now() + PATIENCE;
    let mut in_time = true;
    while in_time && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(100));
        in_time = Instant::now() < end;
    }
    // It has a program of its own that runs the tests, which nobody else ends.
    // SAFETY: takes numbers: the group that the child was made leader of.
    unsafe { libc::kill(-libc::pid_t::try_from(child.id())?, libc::SIGKILL) };
    child.wait()?;
    Ok(match in_time {
        true => Ok(()),
        false => Err(anyhow!("not ended after {} s", PATIENCE.as_secs())),
    })
}

/// What the tests believe to be the first of the ports that are theirs. They listen there, and expect redis not to be able to: so it is held in the guest, too. Just below it
/// their two programs meet, and do not notice reliably that others do: each tree of sources and kernel has a port of its own.
fn base_port(paths: &Paths, kernel: Kernel) -> u16 {
    let mut place = DefaultHasher::new();
    (&paths.root, kernel.to_string()).hash(&mut place);
    12_000 + (place.finish() % 256) as u16 * 64
}

/// Whether redis answers at all.
fn answers(at: SocketAddr) -> Result<()> {
    let mut client = TcpStream::connect(at)?;
    client.set_read_timeout(Some(ANSWER))?;
    client.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    client
        .read_exact(&mut answer)
        .context("redis does not answer")?;
    ensure!(&answer == b"+PONG\r\n", "redis answers {answer:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many failures a file's text makes.
    fn failures(file: &str, text: &str) -> usize {
        let known = Known::from([("A".to_owned(), "fails on Linux too".to_owned())]);
        let mut report = Report::default();
        let words = Words::parse(text);
        judge(file, &words, Path::new("log"), &known, &mut report);
        report.failed.len()
    }

    #[test]
    fn a_file_passes_if_all_that_run_on_linux_ran_and_did() {
        const END: &str = "\n  The End\n";
        assert_eq!(on_linux("unit/quit"), 3);
        let three = "[ok]: A (1 ms)\n[ok]: B (1 ms)\n[ok]: C (1 ms)\n";
        assert_eq!(failures("unit/quit", &format!("{three}{END}")), 0);
        assert_eq!(failures("unit/quit", three), 1, "it broke off");
        let two = "[ok]: A (1 ms)\n[ok]: B (1 ms)\n";
        assert_eq!(failures("unit/quit", &format!("{two}{END}")), 1, "one less");
        let known = "[err]: A in tests/unit/quit.tcl\nwhy\n";
        assert_eq!(failures("unit/quit", &format!("{two}{known}{END}")), 0);
        let other = "[err]: D in tests/unit/quit.tcl\nwhy\n";
        assert_eq!(failures("unit/quit", &format!("{two}{other}{END}")), 1);
        assert_eq!(failures("unit/auth", "cannot start\n"), 1);
    }
}
