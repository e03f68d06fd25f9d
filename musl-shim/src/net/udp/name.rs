// SPDX-License-Identifier: BSD-2-Clause
//! Names and peers: bind and connect. The root server knows who has which port; the net server, who is to be reached from outside.

use vfs_hooks::udp::{End, asked};

use crate::abi::{SO_BROADCAST, SO_REUSEPORT, SOL_SOCKET};
use crate::errno::Errno;
use crate::net::address::{LOOPBACK, is_loopback};
use crate::net::udp::UdpSocket;
use crate::platform::net::{address, has_net};
use crate::platform::udp;

/// 255.255.255.255.
const BROADCAST: u32 = u32::MAX;
/// First multicast address.
const MULTICAST: u32 = 224 << 24;

/// Whether datagrams to it stay in this machine.
pub fn is_local(ip: u32) -> bool {
    is_loopback(ip) || has_net() && ip == address()
}

impl UdpSocket {
    /// SO_REUSEADDR and SO_REUSEPORT, as bits 0 and 1.
    fn reuse(&self) -> u64 {
        let mut options = self.options.borrow_mut();
        let port = options.get(SOL_SOCKET, SO_REUSEPORT).unwrap_or(0);
        u64::from(options.reuse) | u64::from(port != 0) << 1
    }

    /// bind(2).
    pub fn bind(&self, wanted: End) -> Result<(), Errno> {
        let channel = self.channel()?;
        let socket = udp::socket(channel);
        if socket.name().port != 0 {
            return Err(Errno::EINVAL);
        }
        if wanted.ip != 0 && !is_local(wanted.ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let port = udp::bind(channel, wanted, self.reuse())?;
        if !is_loopback(wanted.ip)
            && let Err(errno) = self.join(channel)
        {
            udp::unbind(channel)?;
            return Err(errno);
        }
        socket.set_name(End { port, ..wanted });
        let ip = if wanted.ip == 0 { 0 } else { asked::ADDRESS };
        let port = if wanted.port == 0 { 0 } else { asked::PORT };
        socket.set_asked(ip | port);
        Ok(())
    }

    /// Chooses a port, if it has none.
    pub fn bind_anywhere(&self) -> Result<usize, Errno> {
        let channel = self.channel()?;
        let socket = udp::socket(channel);
        let name = socket.name();
        if name.port == 0 {
            let port = udp::bind(channel, name, self.reuse()).map_err(|errno| match errno {
                Errno::EADDRINUSE => Errno::EAGAIN,
                errno => errno,
            })?;
            socket.set_name(End { port, ..name });
        }
        Ok(channel)
    }

    /// Lets the outside reach it, if there is one.
    pub fn join(&self, channel: usize) -> Result<(), Errno> {
        match has_net() && !udp::socket(channel).is_joined() {
            true => udp::join(channel),
            false => Ok(()),
        }
    }

    /// Where a datagram to `ip` goes, and the address that it comes from by itself.
    pub fn way(&self, ip: u32) -> Result<(u32, u32), Errno> {
        match ip {
            0 => Ok((LOOPBACK, LOOPBACK)),
            ip if is_loopback(ip) => Ok((ip, LOOPBACK)),
            _ if !has_net() && ip != BROADCAST => Err(Errno::ENETUNREACH),
            BROADCAST => match self.options.borrow_mut().get(SOL_SOCKET, SO_BROADCAST)? {
                0 => Err(Errno::EACCES),
                _ if !has_net() => Err(Errno::ENETUNREACH),
                _ => Ok((ip, address())),
            },
            MULTICAST.. => Err(Errno::ENETUNREACH),
            ip => Ok((ip, address())),
        }
    }

    /// connect(2).
    pub fn connect(&self, to: End) -> Result<(), Errno> {
        let channel = self.bind_anywhere()?;
        let (ip, from) = self.way(to.ip)?;
        let (socket, to) = (udp::socket(channel), End { ip, ..to });
        let mut name = socket.name();
        if name.ip == 0 {
            name.ip = from;
        }
        if !is_local(ip) {
            if is_loopback(name.ip) && socket.asked() & asked::ADDRESS != 0 {
                return Err(Errno::EINVAL);
            }
            name.ip = from;
            self.join(channel)?;
        }
        udp::connect(channel, name.ip, Some(to))?;
        socket.set_name(name);
        socket.set_peer(Some(to));
        Ok(())
    }

    /// connect(2) with AF_UNSPEC. What nobody asked for of its name goes, too; but the net server goes on with the port that it knows.
    pub fn disconnect(&self) -> Result<(), Errno> {
        let Some(socket) = self.socket() else {
            return Ok(());
        };
        let channel = self.channel()?;
        let mut name = socket.name();
        if name.port == 0 {
            return Ok(());
        }
        if socket.asked() & asked::ADDRESS == 0 {
            name.ip = 0;
        }
        if socket.asked() & asked::PORT == 0 && !socket.is_joined() {
            udp::unbind(channel)?;
            name.port = 0;
        } else {
            udp::connect(channel, name.ip, None)?;
        }
        socket.set_name(name);
        socket.set_peer(None);
        Ok(())
    }
}
