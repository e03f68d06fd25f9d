// SPDX-License-Identifier: BSD-2-Clause
//! `boot.cfg`: what the driver asks for.

use alloc::string::String;
use alloc::vec::Vec;

/// The contents of `boot.cfg`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The kernel is the one with notification queues.
    pub queue_kernel: bool,
    /// Path of the program.
    pub program: String,
    /// Its arguments, from argv[0] on.
    pub args: Vec<String>,
    /// Its environment, without the default.
    pub env: Vec<String>,
    /// The network, if there is to be one.
    pub net: Option<Net>,
    /// Print the counters when the program ends.
    pub stats: bool,
    /// Programs whose calls are traced: a path or the last part of it, `*` for all; empty for none.
    pub trace: String,
    /// Count what is not idling, among the counters.
    pub meter: bool,
    /// The first program interrupts all others, for tests.
    pub below: bool,
    /// Somebody sits at the console.
    pub terminal: bool,
    /// Somebody at the control line answers what the time is.
    pub ask_time: bool,
}

/// Addresses, most significant byte first in the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Own address.
    pub address: u32,
    /// Bits of the prefix.
    pub prefix: u32,
    /// Gateway.
    pub gateway: u32,
}

impl Config {
    /// Reads `key=value` records that end with a zero byte. The error says which record is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Config, String> {
        let mut config = Config::default();
        let mut kernel = None;
        for record in bytes.split(|b| *b == 0).filter(|r| !r.is_empty()) {
            let wrong = || String::from_utf8_lossy(record).into_owned();
            let text = core::str::from_utf8(record).map_err(|_| wrong())?;
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            match (key, value) {
                ("kernel", "queue") => kernel = Some(true),
                ("kernel", "stock") => kernel = Some(false),
                ("program", _) => config.program = value.into(),
                ("arg", _) => config.args.push(value.into()),
                ("env", _) => config.env.push(value.into()),
                ("net", _) => config.net = Some(net(value).ok_or_else(wrong)?),
                ("stats", "0" | "1") => config.stats = value == "1",
                ("trace", _) => config.trace = value.into(),
                ("meter", "0" | "1") => config.meter = value == "1",
                ("below", "0" | "1") => config.below = value == "1",
                ("terminal", "0" | "1") => config.terminal = value == "1",
                ("ask_time", "0" | "1") => config.ask_time = value == "1",
                _ => return Err(wrong()),
            }
        }
        config.queue_kernel = kernel.ok_or("no kernel=")?;
        if config.program.is_empty() {
            return Err("no program=".into());
        }
        Ok(config)
    }
}

/// `10.0.2.15/24,10.0.2.2`
fn net(text: &str) -> Option<Net> {
    let (own, gateway) = text.split_once(',')?;
    let (address, prefix) = own.split_once('/')?;
    let address_of = |text: &str| {
        let address: core::net::Ipv4Addr = text.parse().ok()?;
        Some(u32::from(address))
    };
    Some(Net {
        address: address_of(address)?,
        prefix: prefix.parse().ok().filter(|p| *p <= 32)?,
        gateway: address_of(gateway)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_keys() {
        let text = "kernel=queue\0program=/bin/x\0arg=x\0arg=\0env=A=b=c\0net=10.0.2.15/24,10.0.2.2\0stats=1\0meter=1\0trace=x\0below=1\0terminal=1\0ask_time=1\0";
        let config = Config::parse(text.as_bytes()).unwrap();
        assert!(
            config.queue_kernel && config.stats && config.meter && config.below && config.ask_time
        );
        assert!(config.terminal);
        assert_eq!(config.trace, "x");
        assert_eq!(config.program, "/bin/x");
        assert_eq!(config.args, ["x", ""]);
        assert_eq!(config.env, ["A=b=c"]);
        let net = config.net.unwrap();
        assert_eq!(
            (net.address, net.prefix, net.gateway),
            (0x0a00020f, 24, 0x0a000202)
        );
    }

    #[test]
    fn wrong_records_are_named() {
        let check = |text: &str, wrong: &str| {
            assert_eq!(Config::parse(text.as_bytes()).unwrap_err(), wrong);
        };
        check("kernel=linux\0", "kernel=linux");
        check(
            "kernel=queue\0program=x\0net=1.2.3/24,1.2.3.4\0",
            "net=1.2.3/24,1.2.3.4",
        );
        check(
            "kernel=queue\0program=x\0net=1.2.3.4/33,1.2.3.4\0",
            "net=1.2.3.4/33,1.2.3.4",
        );
        check("kernel=queue\0colour=red\0", "colour=red");
        check("kernel=queue\0", "no program=");
        check("program=x\0", "no kernel=");
        check("kernel\0", "kernel");
    }
}
