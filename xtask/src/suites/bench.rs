// SPDX-License-Identifier: BSD-2-Clause
//! evbench and xprocbench with few samples, on both kernels: every row comes, and those that once were far too expensive stay
//! below a limit. The counts are the same in every run.

use anyhow::{Result, bail};
use kernel_ext::Kernel;

use super::Report;
use crate::bench::System;
use crate::bench::program::PROGRAMS;
use crate::paths::Paths;

/// Small: this runs at every change.
const SIZES: &[&[&str]] = &[
    &["-b", "3", "-n", "1,100", "-c", "1,64"],
    &[
        "-b", "3", "-p", "1,17", "-n", "10,100", "-u", "1", "-c", "1",
    ],
];

/// Tests that cannot pass yet, and what is missing. They may pass.
const LACKING: &[(&str, &str)] = &[(
    "xtcp.echo",
    "TCP connections between processes of one machine",
)];

/// Row, N, most instructions on the queue kernel and on the unmodified one.
const LIMITS: &[(&str, u64, [f64; 2])] = &[
    ("eventfd.write_read", 100, [355.0; 2]),
    ("eventfd.epoll.wait_none", 100, [152.0; 2]),
    ("eventfd.epoll.cycle_lt.k1", 100, [700.0; 2]),
    ("pipe.epoll.cycle_lt.k1", 100, [940.0; 2]),
    ("pipe.pingpong.epoll", 100, [5450.0; 2]),
    // Armed anew by each wake-up, these were 6,169 and 92,011.
    ("eventfd.pingpong.read", 100, [5150.0; 2]),
    ("eventfd.pingpong.poll", 100, [7400.0; 2]),
    // An instruction of SSE on the way of a blocked call is 400 more: the kernel traps for the FPU at each switch.
    ("xpipe.pingpong.read", 1, [5550.0, 8900.0]),
    ("xpipe.pingpong.epoll", 1, [6650.0, 10_700.0]),
    ("xdeliver.direct.k1", 17, [6150.0, 9800.0]),
    // A process that has an epoll instance: all slots of its CNodes are emptied, and once there were 16,384, then 2,000.
    ("xexit.pidfd", 1, [52_000.0, 43_000.0]),
    // After rows with many fds, and with what processes before it left: without either 656,000 and 233,000.
    ("xspawn", 1, [125_000.0; 2]),
    ("xfdpass", 1, [76_000.0; 2]),
];

/// Both kernels.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    for (index, kernel) in [Kernel::Queue, Kernel::Stock].into_iter().enumerate() {
        let mut system = System::default();
        for (program, args) in PROGRAMS.iter().zip(SIZES) {
            let args: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
            let said = program.run(paths, kernel, &args, "")?;
            let lacking = |line: &&str| {
                let test = line.split('\t').nth(1).unwrap_or_default();
                LACKING.iter().any(|(name, _)| *name == test)
            };
            let failed: Vec<&str> = said
                .console
                .lines()
                .filter(|line| line.starts_with("fail\t") && !lacking(line))
                .collect();
            let verdict = match system.read(&said.console, &said.counts) {
                Err(error) => Err(error),
                Ok(()) if !failed.is_empty() => Err(anyhow::anyhow!(failed.join("; "))),
                Ok(()) => Ok(()),
            };
            report.add(
                &format!("{kernel}: {} gives every row", program.name),
                verdict,
            );
        }
        for &(name, n, limits) in LIMITS {
            let limit = limits[index];
            let verdict = within(&system, name, n, limit);
            report.add(
                &format!("{kernel}: {name}, N = {n}, costs at most {limit}"),
                verdict,
            );
        }
    }
    Ok(())
}

fn within(system: &System, name: &str, n: u64, limit: f64) -> Result<()> {
    match system.cost(name, n) {
        Some(cost) if cost.instructions <= limit => Ok(()),
        Some(cost) => bail!("{} instructions", cost.instructions),
        None => bail!("not measured: {:?}", system.find(name, n)),
    }
}
