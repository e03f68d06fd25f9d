// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets: who has which name (the table is in the library), and the net server's part in them. Data never come here.

use root_server::errno;
use root_server::udp_ports::Reuse;
use vfs_hooks::channel::address;
use vfs_hooks::process::{PAGE, badge};
use vfs_hooks::sync::Ordering;
use vfs_hooks::udp::{END, End, OFFSETS};

use crate::channels::Channel;
use crate::system::System;

type Result<T> = core::result::Result<T, u64>;

/// What a channel has as a UDP socket.
#[derive(Default)]
pub struct Udp {
    /// Whether the net server takes part.
    pub joined: bool,
}

/// The side of the net server, and of others who send.
const SENDERS: u8 = 2;

/// Pages that the net server touches.
fn net_pages() -> impl Iterator<Item = usize> {
    (OFFSETS[1]..END).step_by(PAGE).map(|at| at / PAGE)
}

impl System {
    /// The channel, if the process holds its side 0.
    fn own_channel(&mut self, number: usize, index: u64) -> Result<&mut Channel> {
        let channel = self.channels.get_mut(index as usize);
        let channel = channel.and_then(Option::as_mut).ok_or(errno::EINVAL)?;
        match channel.sides(number) & 1 {
            0 => Err(errno::EINVAL),
            _ => Ok(channel),
        }
    }

    /// Who sent to a socket of this port before must look for it anew.
    fn udp_changed(&self, port: u16) {
        for index in self.udp.sockets(port) {
            if let Some(Some(channel)) = self.channels.get(index) {
                channel.header().value.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// UDP_BIND: the port.
    pub fn udp_bind(&mut self, number: usize, channel: u64, name: u64) -> Result<u64> {
        let owner = self.own_channel(number, channel)?;
        if owner.named.is_some() {
            return Err(errno::EINVAL);
        }
        let reuse = Reuse {
            address: name >> 48 & 1 != 0,
            port: name >> 49 & 1 != 0,
        };
        let port = self.udp.bind(channel as usize, End::of(name), reuse)?;
        self.own_channel(number, channel)?
            .udp
            .get_or_insert_default();
        self.udp_changed(port);
        Ok(port.into())
    }

    /// UDP_PEER.
    pub fn udp_peer(&mut self, number: usize, [channel, ip, peer]: [u64; 3]) -> Result<()> {
        self.own_channel(number, channel)?;
        let peer = (peer != 0).then(|| End::of(peer));
        let port = self.udp.connect(channel as usize, ip as u32, peer)?;
        self.udp_changed(port);
        Ok(())
    }

    /// UDP_UNBIND.
    pub fn udp_unbind(&mut self, number: usize, channel: u64) -> Result<()> {
        let owner = self.own_channel(number, channel)?;
        if owner.udp.as_ref().is_some_and(|udp| udp.joined) {
            return Err(errno::EBUSY);
        }
        // Those who found it by that name look anew, and do not find it.
        owner.header().value.fetch_add(1, Ordering::AcqRel);
        let port = self.udp.unbind(channel as usize).ok_or(errno::EINVAL)?;
        self.udp_changed(port);
        Ok(())
    }

    /// UDP_FIND.
    pub fn udp_find(&mut self, number: usize, to: u64, from: u64) -> Result<u64> {
        let found = self.udp.find(End::of(to), End::of(from));
        let index = found.ok_or(errno::ECONNREFUSED)?;
        self.give(number, index, SENDERS)?;
        Ok(index as u64)
    }

    /// Nobody has the socket open any longer.
    pub fn udp_unheld(&mut self, index: usize) {
        if let Some(port) = self.udp.unbind(index) {
            self.udp_changed(port);
        }
    }

    /// UDP_JOIN: its name.
    pub fn udp_join(&mut self, number: usize, client: u64, index: u64) -> Result<u64> {
        if number != badge::NET_SERVER {
            return Err(errno::EBADF);
        }
        let client = self.clients.get(client as usize).and_then(Option::as_ref);
        let process = client.and_then(|client| client.process());
        let process = process.ok_or(errno::EBADF)?;
        self.own_channel(process, index).map_err(|_| errno::EBADF)?;
        let name = self.udp.name(index as usize).ok_or(errno::EINVAL)?;
        let udp = self
            .own_channel(process, index)?
            .udp
            .get_or_insert_default();
        if core::mem::replace(&mut udp.joined, true) {
            return Ok(name.word());
        }
        match self.show_net(index as usize) {
            Ok(()) => Ok(name.word()),
            Err(errno) => {
                self.release(badge::NET_SERVER, index as usize, SENDERS);
                Err(errno)
            }
        }
    }

    /// Makes the net server a holder, with all pages that it will touch: there is nobody whom a fault of its own could be told.
    fn show_net(&mut self, index: usize) -> Result<()> {
        if !self.memory.has_room(2 * net_pages().count()) {
            return Err(errno::ENOMEM);
        }
        self.give(badge::NET_SERVER, index, SENDERS)?;
        let System {
            channels,
            processes,
            memory,
            ..
        } = self;
        let (Some(Some(channel)), Some(net)) = (
            channels.get_mut(index),
            processes.get_mut(&badge::NET_SERVER),
        ) else {
            return Err(errno::EINVAL);
        };
        for page in net_pages() {
            let at = address(index) + page * PAGE;
            let shown = channel
                .page(memory, page)
                .and_then(|frame| net.space.borrow(memory, frame, at, 3));
            shown.map_err(|_| errno::ENOMEM)?;
        }
        Ok(())
    }

    /// The net server holds the channel no longer.
    pub fn udp_left(&mut self, index: usize) {
        let channel = self.channels.get_mut(index).and_then(Option::as_mut);
        if let Some(udp) = channel.and_then(|channel| channel.udp.as_mut()) {
            udp.joined = false;
        }
    }
}
