// SPDX-License-Identifier: BSD-2-Clause
//! Daemons of others (ports/), driven from outside QEMU by real clients: wrk, redis-benchmark, and our own.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use kernel_ext::Kernel;

use super::service::{Service, forward_to};
use super::{Report, demo};
use crate::paths::Paths;
use crate::port::Port;
use crate::program::{self, Chosen};
use crate::system::Setup;

mod lighttpd;
mod ordered;
mod redis;
mod tcl;

pub use lighttpd::{on_queue as lighttpd_on_queue, on_stock as lighttpd_on_stock};
pub use redis::{on_queue as redis_on_queue, on_stock as redis_on_stock};
pub use tcl::{on_queue as tcl_on_queue, on_stock as tcl_on_stock};

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
        let chosen = program::choose(paths, name)?;
        let ready = chosen.make(paths)?;
        let Chosen::Port(port) = chosen else {
            bail!("{name} is no port")
        };
        let (forward, address) = forward_to(guest_port)?;
        let args = match arguments {
            [] => port.args(),
            some => some.iter().map(|&argument| argument.to_owned()).collect(),
        };
        let setup = Setup {
            args,
            files: port.files(),
            forwards: vec![forward],
            ..Setup::new(kernel)
        };
        let service = Service::boot(paths, &setup, &ready, None, guest_port)?;
        let daemon = Daemon {
            kernel,
            service,
            address,
        };
        Ok((daemon, port))
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
