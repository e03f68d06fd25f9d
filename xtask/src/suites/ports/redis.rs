// SPDX-License-Identifier: BSD-2-Clause
//! redis under its own benchmark.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::{Daemon, Report};
use crate::deb;
use crate::paths::Paths;
use crate::process::output;

/// Where it listens.
const PORT: u16 = 6379;
/// What redis-benchmark runs by itself: `--csv` writes a line for each.
const DEFAULT_TESTS: usize = 20;
/// Requests of each of them, clients, and the requests that a pipelining client sends together.
const REQUESTS: &str = "5000";
const CLIENTS: &str = "50";
const PIPELINE: &str = "16";

/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::REDIS_TOOLS)?;
    let (daemon, _) = Daemon::boot(paths, kernel, "redis", &[], PORT)?;
    let at = daemon.address;
    report.add(
        "redis-benchmark's commands, 50 clients",
        benchmark(at, &[]).and_then(|tests| {
            ensure!(tests == DEFAULT_TESTS, "{tests} tests");
            Ok(())
        }),
    );
    report.add(
        "the same with 16 requests at a time",
        benchmark(at, &["-P", PIPELINE]).and_then(|tests| {
            ensure!(tests == DEFAULT_TESTS, "{tests} tests");
            Ok(())
        }),
    );
    report.add(
        "values of 100,000 bytes",
        benchmark(at, &["-t", "set,get", "-d", "100000", "-n", "500"]).map(|_| ()),
    );
    report.add("what was set can be read", keeps(at));
    report.add("its threads do their work", frees_in_background(at));
    report.add(
        "it has answered every request, and none with an error",
        counted(at),
    );
    daemon.end(report)
}

/// Runs redis-benchmark; the number of tests that it has done without one error.
fn benchmark(at: SocketAddr, more: &[&str]) -> Result<usize> {
    let mut command = client("redis-benchmark", at);
    command.args(["--csv", "-e", "-c", CLIENTS, "-n", REQUESTS]);
    judge(&output("redis-benchmark", command.args(more))?)
}

/// `"test","rps",...` is the head; then comes a line for each test, and whatever it complains about.
fn judge(text: &str) -> Result<usize> {
    let mut tests = 0;
    for line in text.lines() {
        let rate = line
            .strip_prefix('"')
            .and_then(|rest| rest.split("\",\"").nth(1));
        match rate {
            Some("rps") => {}
            Some(rate) => {
                let rate: f64 = rate.trim_matches('"').parse()?;
                ensure!(rate > 0.0, "{line}");
                tests += 1;
            }
            None => bail!("redis-benchmark says {line:?}"),
        }
    }
    Ok(tests)
}

/// A client program, told where the server is.
fn client(program: &str, at: SocketAddr) -> Command {
    let mut command = Command::new(program);
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    command.args(["-h", &host, "-p", &port]);
    command
}

/// One command's answer.
fn ask(at: SocketAddr, words: &[&str]) -> Result<String> {
    let mut command = client("redis-cli", at);
    let text = output("redis-cli", command.arg("-e").args(words))?;
    Ok(text.trim_end().to_owned())
}

/// A field of INFO.
fn info(at: SocketAddr, section: &str, field: &str) -> Result<u64> {
    let text = ask(at, &["INFO", section])?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim())
    });
    let value = value.with_context(|| format!("no {field} in {text}"))?;
    value
        .parse()
        .with_context(|| format!("{field} is {value:?}"))
}

fn keeps(at: SocketAddr) -> Result<()> {
    let value = "x".repeat(1000);
    ask(at, &["SET", "kept", &value])?;
    ensure!(
        ask(at, &["GET", "kept"])? == value,
        "another value came back"
    );
    ask(at, &["PEXPIRE", "kept", "1"])?;
    // Its own clock makes it go.
    until("the key has expired", || {
        Ok(ask(at, &["EXISTS", "kept"])? == "0")
    })
}

/// UNLINK of something large is left to a background thread, which it must wake.
fn frees_in_background(at: SocketAddr) -> Result<()> {
    let freed = info(at, "memory", "lazyfreed_objects")?;
    // A set of many members: what is small is freed at once.
    let fill = "for i = 1, 20000 do redis.call('SADD', KEYS[1], 'member' .. i) end";
    ask(at, &["EVAL", fill, "1", "large"])?;
    ask(at, &["UNLINK", "large"])?;
    until("the set is freed", || {
        Ok(info(at, "memory", "lazyfreed_objects")? > freed)
    })
}

/// Asks until something has happened, which takes the server milliseconds.
fn until(what: &str, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !happened()? {
        ensure!(start.elapsed() < PATIENCE, "never: {what}");
    }
    Ok(())
}

fn counted(at: SocketAddr) -> Result<()> {
    let errors = info(at, "stats", "total_error_replies")?;
    ensure!(errors == 0, "{errors} answers were errors");
    let commands = info(at, "stats", "total_commands_processed")?;
    let least = REQUESTS.parse::<u64>()? * 2 * DEFAULT_TESTS as u64;
    ensure!(commands >= least, "only {commands} commands");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_result_is_an_error() {
        let head = "\"test\",\"rps\",\"avg_latency_ms\"\n";
        let good = format!("{head}\"GET\",\"2000.00\",\"1.0\"\n\"MSET (10 keys)\",\"1\",\"1\"\n");
        assert_eq!(judge(&good).unwrap(), 2);
        assert!(judge(&format!("{good}Error from server: no\n")).is_err());
        assert!(judge(&format!("{head}\"GET\",\"0.00\",\"1.0\"\n")).is_err());
    }
}
