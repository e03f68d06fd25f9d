// SPDX-License-Identifier: BSD-2-Clause
//! Sending: into the queue of the socket that receives it, or into the own one for the net server.

use vfs_hooks::udp::{Datagram, End, LARGEST, LARGEST_FRAME, Refused};

use crate::errno::Errno;
use crate::files::channel::patiently;
use crate::net::address::is_loopback;
use crate::net::udp::UdpSocket;
use crate::net::udp::name::is_local;
use crate::platform::{channels, process, udp};

/// Longest that can be asked for at all.
const MOST: usize = 0xffff;
/// Times to give way to a net server that has not yet sent what came before.
const PATIENCE: usize = 1000;

impl UdpSocket {
    /// Sends a datagram: to its peer unless it says where to, from its own address unless it says which. Never waits: what there is no room for is lost, as on any network.
    pub fn send(&self, to: Option<End>, from: Option<u32>, bytes: &[u8]) -> Result<usize, Errno> {
        let channel = self.bind_anywhere()?;
        let socket = udp::socket(channel);
        if bytes.len() > MOST {
            return Err(Errno::EMSGSIZE);
        }
        let to = match to {
            Some(End { port: 0, .. }) => return Err(Errno::EINVAL),
            Some(to) => to,
            None => socket.peer().ok_or(Errno::EDESTADDRREQ)?,
        };
        let (ip, usual) = self.way(to.ip)?;
        let (to, name) = (End { ip, ..to }, socket.name());
        let ip = match (from, name.ip) {
            (Some(ip), _) if !is_local(ip) => return Err(Errno::EINVAL),
            (Some(ip), _) => ip,
            (None, 0) => usual,
            (None, ip) => ip,
        };
        let outside = !is_local(to.ip);
        if outside && is_loopback(ip) {
            return Err(Errno::EINVAL);
        }
        if bytes.len() > LARGEST || outside && bytes.len() > LARGEST_FRAME {
            return Err(Errno::EMSGSIZE);
        }
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        if socket.shut().1 {
            return Err(Errno::EPIPE);
        }
        if outside {
            self.send_out(channel, to, ip, bytes)?;
        } else {
            self.send_here(
                to,
                End {
                    ip,
                    port: name.port,
                },
                bytes,
            )?;
        }
        socket.sent(|watch| channels::signal(channel, watch));
        Ok(bytes.len())
    }

    /// To another socket of this machine.
    fn send_here(&self, to: End, from: End, bytes: &[u8]) -> Result<(), Errno> {
        let found = self.routes.borrow_mut().find(to, from);
        let channel = match found {
            Ok(channel) => channel,
            Err(Errno::ECONNREFUSED) => {
                // What ICMP says, which only who is connected there hears of.
                if self.peer() == Some(to) {
                    self.fail(Errno::ECONNREFUSED);
                }
                return Ok(());
            }
            Err(errno) => return Err(errno),
        };
        let (receiver, own) = (udp::socket(channel), channels::own());
        let datagram = Datagram {
            len: bytes.len(),
            other: from,
            own: to.ip,
        };
        patiently(|| {
            let delivered = receiver.deliver(own, datagram, bytes, |watch| {
                channels::signal(channel, watch);
            });
            (delivered != Err(Refused::Busy)).then_some(())
        })
    }

    /// To the network.
    fn send_out(&self, channel: usize, to: End, ip: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.join(channel)?;
        let socket = udp::socket(channel);
        let datagram = Datagram {
            len: bytes.len(),
            other: to,
            own: ip,
        };
        for _ in 0..PATIENCE {
            match socket.give(channels::own(), datagram, bytes) {
                Ok(()) => return udp::mark(channel),
                Err(Refused::Full) => udp::mark(channel)?,
                Err(_) => {}
            }
            process::give_way();
        }
        // The card takes nothing.
        Ok(())
    }
}
