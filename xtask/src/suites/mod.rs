// SPDX-License-Identifier: BSD-2-Clause
//! The test suites that `cargo xtask test` runs, and how they report.

use std::time::Duration;

use anyhow::Result;

use crate::paths::Paths;

mod bench;
mod busybox;
mod cc;
mod compare;
mod contract;
pub mod costs;
mod demo;
mod driver;
mod frames;
pub mod guest;
mod host;
mod hostile;
mod http;
mod kills;
mod lint;
mod listing;
mod oracle;
mod ports;
pub mod posix;
mod prefork;
mod proof;
mod queue;
mod real;
mod service;
pub mod tap;
mod terminal;
mod tidy;
mod udp;

/// How long a boot of tests may take before it counts as hung: generous, QEMU translates.
const HUNG: Duration = Duration::from_secs(600);

/// A named group of tests.
pub struct Suite {
    /// What FILTER is matched with.
    pub name: &'static str,
    /// What it tests, in a few words.
    pub about: &'static str,
    /// Runs it; an error counts as one failure.
    pub run: fn(&Paths, &mut Report) -> Result<()>,
}

/// All suites, the quick ones first.
pub const ALL: &[Suite] = &[
    Suite {
        name: "tidy",
        about: "the tree: licences, sizes, no machine's paths, the README's commands",
        run: tidy::run,
    },
    Suite {
        name: "lint",
        about: "rustfmt and clippy, for the host and for the guest",
        run: lint::run,
    },
    Suite {
        name: "host",
        about: "cargo test: what runs on the host",
        run: host::run,
    },
    Suite {
        name: "oracle",
        about: "random programs of calls on this Linux and on ours: equal answers",
        run: oracle::run,
    },
    Suite {
        name: "proof",
        about: "the queue's arithmetic proved, its protocol in every interleaving, and mutants",
        run: proof::run,
    },
    Suite {
        name: "cc",
        about: "posix-poll-cc as configure and make use it",
        run: cc::run,
    },
    Suite {
        name: "posix-linux",
        about: "tests/posix and tests/hostmode on this Linux, the oracle",
        run: posix::on_linux,
    },
    Suite {
        name: "posix-host",
        about: "tests/posix and tests/hostmode in host mode: our event core and sources on this Linux",
        run: posix::in_host_mode,
    },
    Suite {
        name: "kernel-queue",
        about: "the queue kernel's objects, release and debug",
        run: queue::on_queue,
    },
    Suite {
        name: "kernel-stock",
        about: "the same root task on the unmodified kernel",
        run: queue::on_stock,
    },
    Suite {
        name: "kernel-fast",
        about: "the same on the kernel with the optional fast path, one core and two",
        run: queue::on_fast,
    },
    Suite {
        name: "compare",
        about: "every way to wait for many sources delivers each event once, both kernels",
        run: compare::run,
    },
    Suite {
        name: "kernel-smp",
        about: "both kernels on two cores, threads on different ones",
        run: queue::on_two_cores,
    },
    Suite {
        name: "kernel-costs",
        about: "instructions of the queue kernel's operations against the unmodified one's",
        run: costs::run,
    },
    Suite {
        name: "kernel-latency",
        about: "both kernels: interrupts wait no longer for more attachments",
        run: queue::latency,
    },
    Suite {
        name: "bench",
        about: "evbench and xprocbench on both kernels: every row, and limits on some",
        run: bench::run,
    },
    Suite {
        name: "driver",
        about: "the driver's own promises: statuses, errors, exact output",
        run: driver::run,
    },
    Suite {
        name: "terminal",
        about: "a program with jobs, at a terminal at which somebody types: Linux and both kernels",
        run: terminal::run,
    },
    Suite {
        name: "posix-queue",
        about: "tests/posix on the queue kernel",
        run: posix::on_queue,
    },
    Suite {
        name: "posix-stock",
        about: "tests/posix on the unmodified kernel",
        run: posix::on_stock,
    },
    Suite {
        name: "udp-queue",
        about: "UDP with clients and servers outside, on the queue kernel",
        run: udp::on_queue,
    },
    Suite {
        name: "udp-stock",
        about: "the same on the unmodified kernel",
        run: udp::on_stock,
    },
    Suite {
        name: "posix-fast",
        about: "tests/posix on the kernel with the optional fast path",
        run: posix::on_fast,
    },
    Suite {
        name: "kills",
        about: "500 processes killed at random points, and others at each step of what they do, both kernels: everything comes back",
        run: kills::run,
    },
    Suite {
        name: "contract-queue",
        about: "the event core's contract in a process on the queue kernel: real channels, watches, threads",
        run: contract::on_queue,
    },
    Suite {
        name: "contract-stock",
        about: "the same on the unmodified kernel",
        run: contract::on_stock,
    },
    Suite {
        name: "hostile",
        about: "processes that take everything, multiply, scribble over what they share, send nonsense and flood, beside others that work; both kernels",
        run: hostile::run,
    },
    Suite {
        name: "demo-queue",
        about: "the demo server over real TCP, queue kernel",
        run: demo::on_queue,
    },
    Suite {
        name: "demo-stock",
        about: "the demo server over real TCP, unmodified kernel",
        run: demo::on_stock,
    },
    Suite {
        name: "frames-queue",
        about: "the demo server behind a cable of ours: bursts, loss, hostile peers",
        run: demo::frames_on_queue,
    },
    Suite {
        name: "frames-stock",
        about: "the same on the unmodified kernel",
        run: demo::frames_on_stock,
    },
    Suite {
        name: "busybox-queue",
        about: "busybox: scripts of its shell, from init, and typed on the console; queue kernel",
        run: busybox::on_queue,
    },
    Suite {
        name: "busybox-stock",
        about: "the same on the unmodified kernel",
        run: busybox::on_stock,
    },
    Suite {
        name: "prefork",
        about: "a server of several processes, and clients outside: Linux and both kernels",
        run: prefork::run,
    },
    Suite {
        name: "lighttpd-queue",
        about: "lighttpd by epoll and by poll, 200 connections of wrk, queue kernel",
        run: ports::lighttpd_on_queue,
    },
    Suite {
        name: "lighttpd-stock",
        about: "the same on the unmodified kernel",
        run: ports::lighttpd_on_stock,
    },
    Suite {
        name: "redis-queue",
        about: "redis under redis-benchmark, plain and pipelined, queue kernel",
        run: ports::redis_on_queue,
    },
    Suite {
        name: "redis-stock",
        about: "the same on the unmodified kernel",
        run: ports::redis_on_stock,
    },
];

/// Suites that take many minutes: only by `--long`, or by their full name.
pub const LONG: &[Suite] = &[
    Suite {
        name: "kernel-random",
        about: "the queue kernel: 5 million random steps against the model",
        run: queue::random,
    },
    Suite {
        name: "kernel-mutants",
        about: "broken queue kernels: the tests notice each",
        run: queue::mutants,
    },
    Suite {
        name: "kills-long",
        about: "the same with 10,000, and at every 300 instructions",
        run: kills::long,
    },
    Suite {
        name: "oracle-long",
        about: "ten million random calls on this Linux and on ours",
        run: oracle::long,
    },
    Suite {
        name: "real-libevent",
        about: "libevent's own tests in host mode, with epoll, poll and select",
        run: real::libevent,
    },
    Suite {
        name: "real-libuv",
        about: "libuv's own tests in host mode",
        run: real::libuv,
    },
    Suite {
        name: "real-memcached",
        about: "memcached's own tests in host mode",
        run: real::memcached,
    },
    Suite {
        name: "real-redis",
        about: "redis's own tests from outside QEMU, queue kernel",
        run: ports::tcl_on_queue,
    },
    Suite {
        name: "real-redis-stock",
        about: "the same on the unmodified kernel",
        run: ports::tcl_on_stock,
    },
    Suite {
        name: "proof-long",
        about: "the queue's protocol with more processes, in every interleaving",
        run: proof::long,
    },
];

/// What a suite found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many tests passed.
    pub passed: usize,
    /// Those that failed, and why.
    pub failed: Vec<(String, String)>,
    /// Those that were not run, and why.
    pub skipped: Vec<(String, String)>,
}

impl Report {
    /// Counts one test.
    pub fn add(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => self.failed.push((name.to_owned(), format!("{error:#}"))),
        }
    }

    /// Counts what another report found, its names led by `group`.
    pub fn absorb(&mut self, group: &str, other: Report) {
        let named = |(name, why): (String, String)| (format!("{group}: {name}"), why);
        self.passed += other.passed;
        self.failed.extend(other.failed.into_iter().map(named));
        self.skipped.extend(other.skipped.into_iter().map(named));
    }
}
