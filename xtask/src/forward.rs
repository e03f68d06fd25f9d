// SPDX-License-Identifier: BSD-2-Clause
//! Ports of the host that lead to ports of the guest.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// What is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// One `--forward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Of what.
    pub protocol: Protocol,
    /// Where the host listens.
    pub host: SocketAddrV4,
    /// The guest's port.
    pub guest: u16,
}

impl FromStr for Forward {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port != 0 => Ok(port),
            _ => bail!("{text:?} is not a port: a number from 1 to 65535 is wanted"),
        };
        let (protocol, text) = match text.split_once(':') {
            Some(("tcp", rest)) => (Protocol::Tcp, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => (Protocol::Tcp, text),
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (address, host, guest) = match parts[..] {
            [host, guest] => (Ipv4Addr::LOCALHOST, host, guest),
            [address, host, guest] => match address.parse() {
                Ok(address) => (address, host, guest),
                Err(_) => bail!("{address:?} is not an IPv4 address"),
            },
            _ => bail!("[udp:][ADDR:]HOSTPORT:GUESTPORT is wanted, such as 8080:80"),
        };
        Ok(Self {
            protocol,
            host: SocketAddrV4::new(address, port(host)?),
            guest: port(guest)?,
        })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            host,
            guest,
        } = self;
        write!(f, "{protocol} {host} to guest port {guest}")
    }
}

/// Fails if QEMU could not listen on all of them: said before anything is booted.
pub fn check_free(forwards: &[Forward]) -> Result<()> {
    // All are held until the last is checked, so one given twice is seen too.
    let mut held: Vec<OwnedFd> = Vec::new();
    for forward in forwards {
        let bound = match forward.protocol {
            Protocol::Tcp => TcpListener::bind(forward.host).map(OwnedFd::from),
            Protocol::Udp => UdpSocket::bind(forward.host).map(OwnedFd::from),
        };
        match bound {
            Ok(socket) => held.push(socket),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                bail!(
                    "{} is in use; choose another port with --forward HOSTPORT:{}",
                    forward.host,
                    forward.guest
                )
            }
            Err(error) => bail!("cannot listen on {}: {error}", forward.host),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_loopback_unless_told_otherwise() {
        let forward: Forward = "8080:80".parse().unwrap();
        assert_eq!(
            (forward.host.to_string(), forward.guest),
            ("127.0.0.1:8080".into(), 80)
        );
        let forward: Forward = "0.0.0.0:1:2".parse().unwrap();
        assert_eq!(
            (forward.host.to_string(), forward.guest),
            ("0.0.0.0:1".into(), 2)
        );
        let forward: Forward = "udp:5353:53".parse().unwrap();
        assert_eq!((forward.protocol, forward.guest), (Protocol::Udp, 53));
        let forward: Forward = "tcp:0.0.0.0:1:2".parse().unwrap();
        assert_eq!((forward.protocol, forward.host.port()), (Protocol::Tcp, 1));
        for bad in [
            "udp:", "udp:53", "sctp:1:2", "", "80", "0:80", "80:0", "80:65536", "x:1:2", "1:2:3:4",
            "::1:1:2",
        ] {
            assert!(bad.parse::<Forward>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_in_use_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let forward: Forward = format!("{port}:80").parse().unwrap();
        assert!(
            check_free(&[forward])
                .unwrap_err()
                .to_string()
                .contains("in use")
        );
        drop(listener);
        check_free(&[forward]).unwrap();
        let other = Forward {
            protocol: Protocol::Udp,
            ..forward
        };
        check_free(&[forward, other]).unwrap();
        assert!(check_free(&[forward, forward]).is_err(), "given twice");
    }
}
