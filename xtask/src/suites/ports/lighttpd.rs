// SPDX-License-Identifier: BSD-2-Clause
//! lighttpd, with each of the ways to wait that it has here.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::{Daemon, Report, Service, demo, forward_to};
use crate::deb;
use crate::paths::Paths;
use crate::port::Port;
use crate::process::output;
use crate::program;
use crate::suites::http;
use crate::system::Setup;

mod uploads;

/// Where it listens.
const PORT: u16 = 80;
/// How it waits, and the configuration for that: the port's own, and what uploads and scripts need.
const HANDLERS: [(&str, &str); 2] = [
    ("epoll", "/test/uploads.conf"),
    ("poll", "/test/uploads-poll.conf"),
];
/// What wrk does: threads, connections, seconds. It calls an answer late after 2 s unless told otherwise, and a machine that is busy with other things does not
/// run QEMU for so long.
const LOAD: [&str; 4] = ["-t2", "-c200", "-d5s", "--timeout=60s"];

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    deb::install(paths, deb::WRK)?;
    for (handler, configuration) in HANDLERS {
        let mut found = Report::default();
        let (daemon, files) = boot(paths, kernel, configuration)?;
        for (name, verdict) in http::check_any(daemon.address, &files) {
            found.add(&name, verdict.map_err(anyhow::Error::msg));
        }
        uploads::check(daemon.address, &mut found);
        found.add(
            "wrk, 200 connections that are kept",
            load(daemon.address, &[]),
        );
        found.add(
            "wrk, 200 connections at a time, one for each request",
            load(daemon.address, &["-H", "Connection: close"]),
        );
        daemon.end(&mut found)?;
        report.absorb(handler, found);
    }
    Ok(())
}

/// A path of the server's, and the file that is there.
type Served = Vec<(String, Vec<u8>)>;

/// With its scripts' shell, and what it serves.
fn boot(paths: &Paths, kernel: Kernel, configuration: &str) -> Result<(Daemon, Served)> {
    let port = Port::find(paths, "lighttpd")?.context("there is no such port")?;
    let (forward, address) = forward_to(PORT)?;
    let mut setup = Setup {
        args: ["-D", "-f", configuration].map(str::to_owned).to_vec(),
        files: port.files(),
        forwards: vec![forward],
        programs: vec![program::choose(paths, "busybox")?.make(paths)?],
        ..Setup::new(kernel)
    };
    let tests = paths.root.join("tests/lighttpd");
    setup.files.push((tests, "/test".to_owned()));
    let ready = program::choose(paths, "lighttpd")?.make(paths)?;
    let daemon = Daemon {
        kernel,
        service: Service::boot(paths, &setup, &ready, None, PORT)?,
        address,
    };
    Ok((daemon, demo::served(&port)?))
}

/// Runs wrk; it must not count one error.
fn load(address: SocketAddr, more: &[&str]) -> Result<()> {
    let url = format!("http://{address}/style.css");
    let text = output("wrk", Command::new("wrk").args(LOAD).args(more).arg(url))?;
    let requests = judge(&text)?;
    ensure!(requests > 1000, "only {requests} requests:\n{text}");
    Ok(())
}

/// What wrk says: a line `N requests in T, B read`, and lines about errors if there were some. Returns the requests.
fn judge(text: &str) -> Result<u64> {
    let mut requests = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("Socket errors:") || line.starts_with("Non-2xx") {
            bail!("{line}");
        }
        if let Some((count, _)) = line.split_once(" requests in ") {
            requests = Some(count.parse()?);
        }
    }
    requests.with_context(|| format!("wrk has not counted:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_wrk_counts_are_seen() {
        let good = "Running\n  2 threads\n  72333 requests in 10.05s, 225.85MB read\n";
        assert_eq!(judge(good).unwrap(), 72333);
        let late = format!("{good}  Socket errors: connect 0, read 0, write 0, timeout 11\n");
        assert!(judge(&late).is_err());
        let refused = format!("{good}  Non-2xx or 3xx responses: 1\n");
        assert!(judge(&refused).is_err());
        assert!(judge("").is_err());
    }
}
