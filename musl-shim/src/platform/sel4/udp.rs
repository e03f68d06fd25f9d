// SPDX-License-Identifier: BSD-2-Clause
//! UDP sockets: their channels, their names at the root server, their way to the network.

use core::ptr::NonNull;

use vfs_hooks::channel::{CONNECTION, address};
use vfs_hooks::net::Channel;
use vfs_hooks::process::NET_CHANNEL;
use vfs_hooks::ring::Ring;
use vfs_hooks::udp::{End, INWARD, LOCAL, OFFSETS, OUTWARD, Socket, Udp};
use vfs_hooks::wire::{net, root};

use super::channels::header;
use super::server::{ask_net, ask_root, open_net, ring_doorbell};
use crate::errno::Errno;

/// The socket of a channel that this process holds.
pub fn socket(number: usize) -> Socket<'static> {
    // SAFETY: the root server maps the first page while the process holds a side, and whoever has the number holds one; it consists of atomics there. The reference
    // is not kept beyond that: callers have it for one call.
    let udp = unsafe { &*((address(number) + CONNECTION) as *const Udp) };
    let sizes = [LOCAL, INWARD, OUTWARD];
    let rings = core::array::from_fn(|which| {
        let data = NonNull::new((address(number) + OFFSETS[which]) as *mut u8).expect("not null");
        // SAFETY: as above; pages that are not there yet the root server maps when they are touched. All access is by raw pointer.
        unsafe { Ring::new(udp.ring(which), data, sizes[which]) }
    });
    Socket::new(header(number), udp, rings)
}

/// Gives a channel a name; bits 0 and 1 of `reuse`: SO_REUSEADDR, SO_REUSEPORT. The port.
pub fn bind(channel: usize, name: End, reuse: u64) -> Result<u16, Errno> {
    let words = [channel as u64, name.word() | reuse << 48, 0];
    ask_root(root::UDP_BIND, words).map(|[port, ..]| port as u16)
}

/// Changes its own address, and from where alone datagrams come.
pub fn connect(channel: usize, ip: u32, peer: Option<End>) -> Result<(), Errno> {
    let words = [channel as u64, ip.into(), peer.map_or(0, End::word)];
    ask_root(root::UDP_PEER, words).map(drop)
}

/// It has no name any longer.
pub fn unbind(channel: usize) -> Result<(), Errno> {
    ask_root(root::UDP_UNBIND, [channel as u64, 0, 0]).map(drop)
}

/// The channel of the socket that receives what goes from one end to another. This process holds its side 1 from now on.
pub fn find(to: End, from: End) -> Result<usize, Errno> {
    ask_root(root::UDP_FIND, [to.word(), from.word(), 0]).map(|[channel, ..]| channel as usize)
}

/// The socket receives from the network from now on, and sends there.
pub fn join(channel: usize) -> Result<(), Errno> {
    ask_net(net::UDP_OPEN, [channel as u64, 0, 0]).map(drop)
}

/// Tells the net server that something is to go out.
pub fn mark(channel: usize) -> Result<(), Errno> {
    open_net()?;
    let base = NonNull::new(NET_CHANNEL as *mut u8).expect("not null");
    // SAFETY: this process is a client of the net server, so its control page is mapped, for good.
    let control = unsafe { Channel::new(base) }.control();
    if control.mark_channel(channel) {
        ring_doorbell();
    }
    Ok(())
}
