// SPDX-License-Identifier: BSD-2-Clause
//! The demo server, driven from outside QEMU over real TCP, and the counters afterwards:
//! on the queue kernel its events came through the kernel's queue, on stock none did.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::{HUNG, Report, frames, http};
use crate::forward::Forward;
use crate::paths::Paths;
use crate::program::{self, Chosen, DEMO};
use crate::qemu::{Event, Guest};
use crate::system::{self, Setup};

/// Where the guest listens.
const GUEST_PORT: u16 = 8080;
/// How long the root server may take to answer a command.
const ANSWER: Duration = Duration::from_secs(30);

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

/// Behind a cable whose frames we make, woken by the notification queue.
pub fn frames_on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run_wired(paths, Kernel::Queue, report)
}

/// The same, woken by badge bits.
pub fn frames_on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run_wired(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?);
    let forwards = vec![Forward {
        host,
        guest: GUEST_PORT,
    }];
    let demo = Demo::boot(paths, kernel, forwards, None)?;
    for (name, result) in http::check(SocketAddr::V4(host), &demo.files) {
        report.add(&name, result.map_err(anyhow::Error::msg));
    }
    demo.end(kernel, report)
}

fn run_wired(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    let (wire, qemu) = frames::Wire::pair()?;
    let demo = Demo::boot(paths, kernel, Vec::new(), Some(qemu))?;
    let mut peer = frames::Peer::new(wire);
    for (name, result) in frames::check(&mut peer, &demo.files) {
        report.add(name, result);
    }
    demo.end(kernel, report)
}

/// The demo, listening.
struct Demo {
    guest: Guest,
    log: Vec<String>,
    /// What it has to answer: URL path, bytes.
    files: Vec<(String, Vec<u8>)>,
}

impl Demo {
    fn boot(
        paths: &Paths,
        kernel: Kernel,
        forwards: Vec<Forward>,
        wire: Option<OwnedFd>,
    ) -> Result<Self> {
        let chosen = program::choose(paths, DEMO)?;
        let Chosen::Port(port) = &chosen else {
            bail!("{DEMO} is no port")
        };
        let setup = Setup {
            args: port.args(),
            files: port.files(),
            forwards,
            ..Setup::new(kernel)
        };
        let machine = system::prepare(paths, &setup, &chosen.make(paths)?)?;
        let mut demo = Self {
            guest: Guest::boot_wired(paths, &machine, wire, std::io::sink())?,
            log: Vec::new(),
            files: served(port)?,
        };
        let listening = |event| match event {
            Event::Listening(GUEST_PORT) => Some(()),
            _ => None,
        };
        demo.wait(HUNG, "the server does not listen", listening)?;
        Ok(demo)
    }

    /// Whether all of it is well, and stops it.
    fn end(mut self, kernel: Kernel, report: &mut Report) -> Result<()> {
        // Whatever the system said meanwhile explains a failure.
        loop {
            match self.guest.next(Some(Instant::now()))? {
                Event::Late => break,
                Event::Log(line) => self.log.push(line),
                Event::Exit(status) => {
                    bail!("the server ended, status {status}: {}", self.log.join("; "))
                }
                Event::Stopped(code) => bail!(
                    "the machine stopped ({code:?}): {} {}",
                    self.guest.complaints(),
                    self.log.join("; ")
                ),
                _ => {}
            }
        }
        self.guest.command("stats")?;
        let stats = self.wait(
            ANSWER,
            "the root server does not answer",
            |event| match event {
                Event::Stats(stats) => Some(stats),
                _ => None,
            },
        )?;
        report.add(
            "the events came the way that this kernel has",
            counters(kernel, &stats),
        );
        self.guest.command("exit 0")?;
        let status = self.wait(
            ANSWER,
            "the root server does not exit",
            |event| match event {
                Event::Exit(status) => Some(status),
                _ => None,
            },
        );
        report.add("the system stops when told", status.map(|_| ()));
        Ok(())
    }

    /// Waits for one kind of event; everything else that happens goes to the log.
    fn wait<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(Event) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            match self.guest.next(Some(deadline))? {
                Event::Log(line) => self.log.push(line),
                Event::Late => bail!(
                    "{what} within {} s: {}",
                    limit.as_secs(),
                    self.log.join("; ")
                ),
                Event::Stopped(code) => bail!(
                    "{what}: the machine stopped ({code:?}): {} {}",
                    self.guest.complaints(),
                    self.log.join("; ")
                ),
                event => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
            }
        }
    }
}

/// What the server has to answer: URL path, bytes.
fn served(port: &program::Port) -> Result<Vec<(String, Vec<u8>)>> {
    let mut served = Vec::new();
    for (host, guest) in port.files() {
        for (file, path) in program::expand(&host, &guest)? {
            if let Some(url) = path.strip_prefix("/srv/www") {
                let bytes = std::fs::read(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                served.push((url.to_owned(), bytes));
            }
        }
    }
    ensure!(!served.is_empty(), "the demo has no files under /srv/www");
    Ok(served)
}

/// Entries that the kernel wrote, on the kernel that has queues, and only there.
fn counters(kernel: Kernel, stats: &BTreeMap<String, String>) -> Result<()> {
    let count = |name: &str| -> Result<u64> {
        let text = stats
            .get(name)
            .with_context(|| format!("no {name} in {stats:?}"))?;
        text.parse().with_context(|| format!("{name} is {text:?}"))
    };
    ensure!(
        stats.get("kernel") == Some(&kernel.to_string()),
        "another kernel runs: {stats:?}"
    );
    let (written, collected, badges) = (
        count("kernel_entries")?,
        count("entries")? + count("handoffs")?,
        count("badge_wakes")?,
    );
    match kernel {
        Kernel::Queue => ensure!(
            written > 0 && collected > 0 && badges == 0,
            "nothing went through the queue: {stats:?}"
        ),
        Kernel::Stock => ensure!(
            written == 0 && collected == 0 && badges > 0,
            "this kernel has no queue: {stats:?}"
        ),
    }
    Ok(())
}

/// A port that nobody uses now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
