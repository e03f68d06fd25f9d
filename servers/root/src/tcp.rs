// SPDX-License-Identifier: BSD-2-Clause
//! TCP within the machine: ports of channels, connections from process to process, and the channels in which the net server has a part.

use root_server::errno;
use root_server::ports::{Claim, End};
use sel4_bindings::signal;
use vfs_hooks::channel::SPAN;
use vfs_hooks::process::{PAGE, badge};
use vfs_hooks::sync::Ordering;

use crate::sockets::{Key, Named};
use crate::system::System;

type Result<T> = core::result::Result<T, u64>;

/// The side of a channel that the net server holds.
const NET_SIDE: u8 = 2;
/// SOCK_STREAM.
const STREAM: u32 = 1;

/// Address and port of a word, and its other bits.
fn end(word: u64) -> (End, u64) {
    ((word as u32, (word >> 32) as u16), word >> 48)
}

fn word((address, port): End) -> u64 {
    u64::from(address) | u64::from(port) << 32
}

impl System {
    /// PORT_BIND.
    pub fn port_bind(&mut self, number: usize, [channel, wanted, _]: [u64; 3]) -> Result<u64> {
        let ((address, port), bits) = end(wanted);
        let owner = self.channel(channel).map_err(|_| errno::EINVAL)?;
        if owner.sides(number) & 1 == 0 || owner.named.is_some() || bits > 3 {
            return Err(errno::EINVAL);
        }
        let claim = Claim {
            address,
            reuse: bits & 1 != 0,
            reuse_port: bits & 2 != 0,
        };
        let port = self.ports.bind(port, claim, channel as usize)?;
        let owner = self.channel(channel)?;
        owner.named = Some(Named::new(Key::Port(port), STREAM, number));
        owner.ports.push(port);
        Ok(port.into())
    }

    /// PORT_CONNECT: the client's port.
    pub fn port_connect(&mut self, number: usize, [channel, to, from]: [u64; 3]) -> Result<u64> {
        let ((to, bits), (from, _)) = (end(to), end(from));
        if self.channel(channel)?.sides(number) & 2 == 0 {
            return Err(errno::EINVAL);
        }
        let listener = self.ports.listener(to).ok_or(errno::ECONNREFUSED)?;
        let port = self.hold(channel, from, to)?;
        let told = [word(to), word((from.0, port))];
        match self.deliver(number, channel, listener, bits & 1 != 0, told) {
            Ok(_) => Ok(port.into()),
            Err(errno) => {
                self.release_ports(channel as usize);
                Err(errno)
            }
        }
    }

    /// PORT_HOLD.
    pub fn port_hold(&mut self, number: usize, [channel, to, from]: [u64; 3]) -> Result<()> {
        let held = self.channel(channel).map_err(|_| errno::EINVAL)?;
        if held.sides(number) == 0 {
            return Err(errno::EINVAL);
        }
        self.hold(channel, end(from).0, end(to).0).map(drop)
    }

    fn hold(&mut self, channel: u64, from: End, to: End) -> Result<u16> {
        // Once for a channel: what it holds stays a matter of two ports.
        if !self.channel(channel)?.ports.is_empty() {
            return match from.1 {
                0 => Err(errno::EINVAL),
                port => Ok(port),
            };
        }
        let port = self.ports.connect(from, to, channel as usize)?;
        self.channel(channel)?.ports.extend([port, to.1]);
        Ok(port)
    }

    /// Nobody needs a channel's ports any longer.
    pub fn release_ports(&mut self, index: usize) {
        if let Some(Some(channel)) = self.channels.get_mut(index) {
            for port in core::mem::take(&mut channel.ports) {
                self.ports.release(port, index);
            }
        }
    }

    /// PORT_LEASE.
    pub fn port_lease(&mut self, number: usize) -> Result<u64> {
        let first = self.ports.lease(number);
        first.map(u64::from).ok_or(errno::EAGAIN)
    }

    /// CHANNEL_JOIN. Answers with an errno.
    pub fn channel_join(&mut self, number: usize, [client, index, pages]: [u64; 3]) -> u64 {
        if number != badge::NET_SERVER {
            return errno::EPERM;
        }
        let client = self.clients.get(client as usize).and_then(Option::as_ref);
        let process = client.and_then(|client| client.process());
        let System {
            channels,
            processes,
            memory,
            ..
        } = self;
        let channel = channels.get_mut(index as usize).and_then(Option::as_mut);
        let (Some(process), Some(channel)) = (process, channel) else {
            return errno::EINVAL;
        };
        let Some(net) = processes.get_mut(&number) else {
            return errno::EINVAL;
        };
        let free = channel.sides(process) & 1 != 0 && channel.sides(number) == 0;
        if !free || channel.hung || pages > (SPAN / PAGE) as u64 {
            return errno::EINVAL;
        }
        if channel.add(memory, net, NET_SIDE).is_err() {
            return errno::ENOMEM;
        }
        // All at once: there is nobody to say no to when the net server touches one.
        for page in 1..pages as usize {
            if !channel.map_page(memory, net, page) {
                self.release(number, index as usize, NET_SIDE);
                return errno::ENOMEM;
            }
        }
        errno::OK
    }

    /// CHANNEL_HOLDER. Answers with an errno.
    pub fn channel_holder(&self, number: usize, [client, index, _]: [u64; 3]) -> u64 {
        if number != badge::NET_SERVER {
            return errno::EPERM;
        }
        let client = self.clients.get(client as usize).and_then(Option::as_ref);
        let process = client.and_then(|client| client.process());
        let channel = self.channels.get(index as usize).and_then(Option::as_ref);
        match (process, channel) {
            (Some(process), Some(channel)) if channel.sides(process) & 1 != 0 => errno::OK,
            _ => errno::EBADF,
        }
    }

    /// CHANNEL_HUNG.
    pub fn channel_hung(&mut self, number: usize) -> Result<u64> {
        if number != badge::NET_SERVER {
            return Err(errno::EPERM);
        }
        let next = self.hung.pop_front().ok_or(errno::EAGAIN)?;
        Ok(next as u64)
    }

    /// Tells the net server, if it has a part in a channel of which nobody holds side 0 any longer.
    pub fn tell_net(&mut self, index: usize, unheld: bool) {
        let Some(Some(channel)) = self.channels.get_mut(index) else {
            return;
        };
        let joined = channel.sides(badge::NET_SERVER) != 0;
        if !unheld || !joined || core::mem::replace(&mut channel.hung, true) {
            return;
        }
        self.hung.push_back(index);
        if let Some(net) = self.processes.get(&badge::NET_SERVER) {
            net.info().hung.fetch_add(1, Ordering::Release);
            signal(net.notification.whole);
        }
    }
}
