// SPDX-License-Identifier: GPL-2.0-only
//! The names of what can be built.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};

/// One of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// seL4 5.0.0 with the notification queue.
    Queue,
    /// seL4 5.0.0 as published.
    Stock,
    /// The one with the queue, and with the optional fast path of signal, poll and wait. To its users it is the
    /// same kernel.
    Fast,
}

impl Kernel {
    /// The two whose difference is the queue.
    pub const ALL: [Kernel; 2] = [Kernel::Queue, Kernel::Stock];

    /// Whether it has notification queues.
    pub fn has_queues(self) -> bool {
        self != Kernel::Stock
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernel::Queue => "queue",
            Kernel::Stock => "stock",
            Kernel::Fast => "fast",
        })
    }
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        match s {
            "queue" => Ok(Kernel::Queue),
            "stock" => Ok(Kernel::Stock),
            "fast" => Ok(Kernel::Fast),
            _ => bail!("no kernel is called '{s}': say 'queue', 'stock' or 'fast'"),
        }
    }
}

/// How a kernel is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Build {
    /// No assertions, and nothing printed on the serial line.
    Release,
    /// Assertions, explanations of refused calls on the serial line, debug
    /// system calls.
    Debug,
}

impl Build {
    /// Both builds.
    pub const ALL: [Build; 2] = [Build::Release, Build::Debug];
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Build::Release => "release",
            Build::Debug => "debug",
        })
    }
}

impl FromStr for Build {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        match s {
            "release" => Ok(Build::Release),
            "debug" => Ok(Build::Debug),
            _ => bail!("no build is called '{s}': say 'release' or 'debug'"),
        }
    }
}

/// Everything in which two builds of one kernel can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// With or without assertions.
    pub build: Build,
    /// For how many processor cores: 1, or 2 with the kernel's big lock.
    pub cores: u32,
}

impl Variant {
    /// The same for this many cores.
    pub const fn cores(self, cores: u32) -> Variant {
        Variant { cores, ..self }
    }
}

impl From<Build> for Variant {
    /// For one core, as everything but the tests of two is.
    fn from(build: Build) -> Variant {
        Variant { build, cores: 1 }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.build)?;
        match self.cores {
            1 => Ok(()),
            cores => write!(f, "-{cores}-cores"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for kernel in [Kernel::Queue, Kernel::Stock, Kernel::Fast] {
            assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
        }
        for build in Build::ALL {
            assert_eq!(build.to_string().parse::<Build>().unwrap(), build);
        }
        assert!("Queue".parse::<Kernel>().is_err());
        assert!("".parse::<Build>().is_err());
    }
}
