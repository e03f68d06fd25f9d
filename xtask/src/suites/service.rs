// SPDX-License-Identifier: BSD-2-Clause
//! A program that listens, in a guest of its own, for clients of a suite.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::HUNG;
use crate::forward::{Forward, Protocol};
use crate::paths::Paths;
use crate::program::Ready;
use crate::qemu::{Event, Guest, Machine};
use crate::system::{self, Setup};

/// How long the root server may take to answer a command.
const ANSWER: Duration = Duration::from_secs(30);

/// See the module.
pub struct Service {
    guest: Guest,
    log: Vec<String>,
}

impl Service {
    /// Boots it; returns when it listens on its `port`.
    pub fn boot(
        paths: &Paths,
        setup: &Setup,
        program: &Ready,
        wire: Option<OwnedFd>,
        port: u16,
    ) -> Result<Self> {
        let machine = system::prepare(paths, setup, program)?;
        Self::start(paths, &machine, wire, port, std::io::sink())
    }

    /// The same with a machine that is prepared already; what the program says goes to `console`.
    pub fn start(
        paths: &Paths,
        machine: &Machine,
        wire: Option<OwnedFd>,
        port: u16,
        console: impl Write + Send + 'static,
    ) -> Result<Self> {
        let mut service = Self {
            guest: Guest::boot_wired(paths, machine, wire, console)?,
            log: Vec::new(),
        };
        let listening =
            |event| matches!(event, Event::Listening(number) if number == port).then_some(());
        service.wait(HUNG, "the server does not listen", listening)?;
        Ok(service)
    }

    /// Its counters so far; an error if it has ended.
    pub fn stats(&mut self) -> Result<BTreeMap<String, String>> {
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
        self.wait(
            ANSWER,
            "the root server does not answer",
            |event| match event {
                Event::Stats(stats) => Some(stats),
                _ => None,
            },
        )
    }

    /// Waits for it to end by itself, with success.
    pub fn exit(mut self, limit: Duration) -> Result<()> {
        let status = self.wait(limit, "the program does not end", |event| match event {
            Event::Exit(status) => Some(status),
            _ => None,
        })?;
        match status {
            0 => Ok(()),
            status => bail!("the program ended with {status}: {}", self.log.join("; ")),
        }
    }

    /// Stops it.
    pub fn end(mut self) -> Result<()> {
        self.guest.command("exit 0")?;
        self.wait(
            ANSWER,
            "the root server does not exit",
            |event| match event {
                Event::Exit(_) => Some(()),
                _ => None,
            },
        )
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

/// A forward from a port that nobody uses now, and its address.
pub fn forward_to(guest: u16) -> Result<(Forward, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
    let forward = Forward {
        protocol: Protocol::Tcp,
        host,
        guest,
    };
    Ok((forward, SocketAddr::V4(host)))
}
