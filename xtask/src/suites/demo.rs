// SPDX-License-Identifier: BSD-2-Clause
//! The demo server, driven from outside QEMU over real TCP, and the counters afterwards:
//! on the queue kernel its events came through the kernel's queue, on stock none did.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::service::{Service, forward_to};
use super::{Report, frames, http};
use crate::forward::Forward;
use crate::paths::Paths;
use crate::program::{self, Chosen, DEMO};
use crate::system::Setup;

/// Where the guest listens.
const GUEST_PORT: u16 = 8080;

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
    let (forward, host) = forward_to(GUEST_PORT)?;
    let demo = Demo::boot(paths, kernel, vec![forward], None)?;
    for (name, result) in http::check(host, &demo.files) {
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
    service: Service,
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
        let files = served(port)?;
        let service = Service::boot(paths, &setup, &chosen.make(paths)?, wire, GUEST_PORT)?;
        Ok(Self { service, files })
    }

    /// Whether all of it is well, and stops it.
    fn end(mut self, kernel: Kernel, report: &mut Report) -> Result<()> {
        let stats = self.service.stats()?;
        report.add(
            "the events came the way that this kernel has",
            counters(kernel, &stats),
        );
        report.add("the system stops when told", self.service.end());
        Ok(())
    }
}

/// What a server of the page has to answer: URL path, bytes.
pub fn served(port: &crate::port::Port) -> Result<Vec<(String, Vec<u8>)>> {
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
pub fn counters(kernel: Kernel, stats: &BTreeMap<String, String>) -> Result<()> {
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
        Kernel::Queue | Kernel::Fast => ensure!(
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
