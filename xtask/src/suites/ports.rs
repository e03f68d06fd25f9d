// SPDX-License-Identifier: BSD-2-Clause
//! Daemons of others (ports/), driven from outside QEMU by real clients: wrk, redis-benchmark, and our own.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use kernel_ext::Kernel;

use super::service::{Service, forward_to};
use super::{Report, demo};
use crate::paths::Paths;
use crate::port::Port;
use crate::program::{self, Chosen, Ready};
use crate::qemu::Machine;
use crate::system::{self, Setup};

mod lighttpd;
mod ordered;
mod redis;
mod tcl;
mod unread;

pub use lighttpd::{on_queue as lighttpd_on_queue, on_stock as lighttpd_on_stock};
pub use redis::{on_queue as redis_on_queue, on_stock as redis_on_stock};
pub use tcl::{on_queue as tcl_on_queue, on_stock as tcl_on_stock};

/// A port in a machine that can be booted, more than once.
struct Prepared {
    kernel: Kernel,
    machine: Machine,
    port: Box<Port>,
    guest_port: u16,
    /// Where its clients find it.
    address: SocketAddr,
}

impl Prepared {
    /// With these arguments; its own without any. A `starter` runs first, with an argument of its own before the port's path and arguments, and makes room for it.
    fn new(
        paths: &Paths,
        kernel: Kernel,
        name: &str,
        arguments: &[&str],
        guest_port: u16,
        starter: Option<(Ready, String)>,
    ) -> Result<Prepared> {
        let chosen = program::choose(paths, name)?;
        let ready = chosen.make(paths)?;
        let Chosen::Port(port) = chosen else {
            bail!("{name} is no port")
        };
        let (forward, address) = forward_to(guest_port)?;
        let mut args = match arguments {
            [] => port.args(),
            some => some.iter().map(|&argument| argument.to_owned()).collect(),
        };
        let (first, programs) = match starter {
            None => (ready, Vec::new()),
            Some((starter, argument)) => {
                args.splice(0..0, [argument, format!("/bin/{}", ready.name)]);
                (starter, vec![ready])
            }
        };
        let setup = Setup {
            args,
            programs,
            files: port.files(),
            forwards: vec![forward],
            ..Setup::new(kernel)
        };
        Ok(Prepared {
            kernel,
            machine: system::prepare(paths, &setup, &first)?,
            port,
            guest_port,
            address,
        })
    }

    /// Boots it; what it says goes to `console`.
    fn boot(&self, paths: &Paths, console: impl Write + Send + 'static) -> Result<Daemon> {
        let service = Service::start(paths, &self.machine, None, self.guest_port, console)?;
        Ok(Daemon {
            kernel: self.kernel,
            service,
            address: self.address,
        })
    }
}

/// A port that listens in a guest.
struct Daemon {
    kernel: Kernel,
    service: Service,
    /// Where its clients find it.
    address: SocketAddr,
}

impl Daemon {
    /// Boots it with these arguments; its own without any.
    fn boot(
        paths: &Paths,
        kernel: Kernel,
        name: &str,
        arguments: &[&str],
        guest_port: u16,
    ) -> Result<(Daemon, Box<Port>)> {
        let prepared = Prepared::new(paths, kernel, name, arguments, guest_port, None)?;
        let daemon = prepared.boot(paths, std::io::sink())?;
        Ok((daemon, prepared.port))
    }

    /// Whether it still runs, and was woken as this kernel wakes.
    fn end(mut self, report: &mut Report) -> Result<()> {
        let stats = self.service.stats()?;
        report.add(
            "it still runs, and the events came the way that this kernel has",
            demo::counters(self.kernel, &stats),
        );
        self.service.end()
    }
}
