// SPDX-License-Identifier: BSD-2-Clause
//! Channels: memory that other processes hold as well ([`vfs_hooks::channel`]).

use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use sel4_bindings::{CPtr, nb_signal};
use vfs_hooks::channel::{CONNECTION, DATA, Header, PIPE_SIZE, address, watch_cptr};
use vfs_hooks::channel_socket::{ChannelSocket, Connection, Kind, RING};
use vfs_hooks::channel_tcp::{ChannelTcp, Connection as TcpState, RING as TCP_RING};
use vfs_hooks::net::Apart;
use vfs_hooks::ring::Ring;
use vfs_hooks::wire::root;

use super::info::{info, stats};
use super::server::{ask_root, ask_root_bytes};
use crate::errno::Errno;

/// Whether there are any: other processes to share one with.
pub const fn shared() -> bool {
    true
}

/// A new channel of which this process holds the given sides (bit `s`: side `s`).
pub fn create(sides: u32) -> Result<usize, Errno> {
    ask_root(root::CHANNEL_CREATE, [sides.into(), 0, 0]).map(|[number, ..]| number as usize)
}

/// A channel that tells of a process's end, of which this process holds side 0.
pub fn of_process(pid: usize) -> Result<usize, Errno> {
    let request = [pid as u64, 0, 0];
    ask_root(root::CHANNEL_OF_PROCESS, request).map(|[number, ..]| number as usize)
}

/// This process holds these sides no longer. With the last one the channel is unmapped.
pub fn drop_sides(number: usize, sides: u32) {
    // Refused only if they are not held.
    let _ = ask_root(root::CHANNEL_DROP, [number as u64, sides.into(), 0]);
}

/// Takes a subscription cell of a side for a watch slot.
pub fn watch(number: usize, side: usize, slot: u32) -> Result<usize, Errno> {
    let words = [number as u64, side as u64, slot.into()];
    ask_root(root::CHANNEL_WATCH, words).map(|[cell, ..]| cell as usize)
}

/// Gives a subscription cell back.
pub fn unwatch(number: usize, side: usize, cell: usize) {
    // Refused only if it is not this process's, as after fork(2).
    let words = [number as u64, side as u64, cell as u64];
    let _ = ask_root(root::CHANNEL_UNWATCH, words);
}

/// The header of a channel that this process holds.
pub fn header(number: usize) -> &'static Header {
    // SAFETY: the root server maps the header while the process holds a side, and whoever has the number holds one; it consists of
    // atomics. The reference is not kept beyond that: callers have it for one call, open files that of their flags as long as they hold the side.
    unsafe { &*(address(number) as *const Header) }
}

/// The bytes of a channel that this process holds.
pub fn ring(number: usize) -> Ring<'static> {
    let data = NonNull::new((address(number) + DATA) as *mut u8).expect("not null");
    // SAFETY: as for `header`; pages that are not there yet the root server maps when they are touched. All access is by raw pointer.
    unsafe { Ring::new(&header(number).ring, data, PIPE_SIZE) }
}

/// The connection of a channel that this process holds.
pub fn socket(number: usize, kind: Kind) -> ChannelSocket<'static> {
    // SAFETY: as for `header`, in whose page it lies; it consists of atomics.
    let connection = unsafe { &*((address(number) + CONNECTION) as *const Connection) };
    let rings = [0, 1].map(|side| {
        let at = address(number) + DATA + side * RING as usize;
        let data = NonNull::new(at as *mut u8).expect("not null");
        // SAFETY: as for `ring`.
        unsafe { Ring::new(connection.ring(side), data, RING) }
    });
    ChannelSocket::new(header(number), connection, rings, kind)
}

/// The TCP connection of a channel that this process holds.
pub fn tcp(number: usize) -> ChannelTcp<'static> {
    // SAFETY: as for `header`, in whose page it lies; it consists of atomics.
    let connection = unsafe { &*((address(number) + CONNECTION) as *const TcpState) };
    let rings = [0, 1].map(|side| {
        let at = address(number) + DATA + side * TCP_RING as usize;
        let data = NonNull::new(at as *mut u8).expect("not null");
        // SAFETY: as for `ring`.
        unsafe { Ring::new(connection.ring(side), data, TCP_RING) }
    });
    ChannelTcp::new(header(number), connection, rings)
}

/// The socket of the net server's that lies in a channel which this process holds.
pub fn apart(number: usize) -> Apart {
    let base = NonNull::new(address(number) as *mut u8).expect("not null");
    // SAFETY: as for `ring`.
    unsafe { Apart::new(base) }
}

/// Gives a channel of which this process holds side 0 a port of TCP, `wanted` as PORT_BIND has it.
pub fn port_bind(channel: usize, wanted: u64) -> Result<u16, Errno> {
    ask_root(root::PORT_BIND, [channel as u64, wanted, 0]).map(|[port, ..]| port as u16)
}

/// Gives side 1 of a channel to who listens at an address; the client's port.
pub fn port_connect(channel: usize, to: u64, from: u64) -> Result<u16, Errno> {
    // The backlog may grow.
    let words = [channel as u64, to | 1 << 48, from];
    ask_root(root::PORT_CONNECT, words).map(|[port, ..]| port as u16)
}

/// Holds the ports of a connection that moves into a channel.
pub fn port_hold(channel: usize, to: u64, from: u64) -> Result<(), Errno> {
    ask_root(root::PORT_HOLD, [channel as u64, to, from]).map(drop)
}

/// Ports for connections within this process; the first.
pub fn port_lease() -> Result<u16, Errno> {
    ask_root(root::PORT_LEASE, [0; 3]).map(|[port, ..]| port as u16)
}

/// As [`accept`], of TCP: the address that was connected to, and the client's.
pub fn accept_tcp(channel: usize) -> Result<(usize, [u64; 2]), Errno> {
    let [channel, to, from] = ask_root(root::NAME_ACCEPT, [channel as u64, 0, 0])?;
    Ok((channel as usize, [to, from]))
}

/// Signals a watch.
pub fn signal(number: usize, watch: usize) {
    stats().signals.fetch_add(1, Relaxed);
    nb_signal(CPtr(watch_cptr(number, watch)));
}

/// This process, as the owner of locks.
pub fn own() -> u32 {
    info().process
}

/// Hands sides of a channel, as a word of SPAWN's kind, to whoever receives by side `to` of another.
pub fn send(carrier: usize, to: usize, word: u32) -> Result<(), Errno> {
    ask_root(root::CHANNEL_SEND, [carrier as u64, to as u64, word.into()]).map(drop)
}

/// Takes what was handed over: by the receiver, or back by the sender.
pub fn take(carrier: usize, to: usize, word: u32) -> Result<(), Errno> {
    ask_root(root::CHANNEL_TAKE, [carrier as u64, to as u64, word.into()]).map(drop)
}

/// Gives a channel of which this process holds side 0 a name, for sockets of type `kind`.
pub fn bind(channel: usize, kind: u32, name: &[u8]) -> Result<(), Errno> {
    ask_root_bytes(root::NAME_BIND, [channel as u64, kind.into()], name).map(drop)
}

/// Lets connections come to a channel that has a name.
pub fn listen(channel: usize, backlog: u32) -> Result<(), Errno> {
    ask_root(root::NAME_LISTEN, [channel as u64, backlog.into(), 0]).map(drop)
}

/// shutdown(2) of a socket that listens: `what` is 1 for reading, 2 for writing, or both.
pub fn shut_listener(channel: usize, what: u64) -> Result<(), Errno> {
    ask_root(root::NAME_LISTEN, [channel as u64, what << 32, 0]).map(drop)
}

/// Gives side 1 of a channel to who listens at a name; the process that made that socket. EAGAIN: too many wait, unless `wait`.
pub fn connect(channel: usize, kind: u32, wait: bool, name: &[u8]) -> Result<u32, Errno> {
    let words = [channel as u64, u64::from(kind) | u64::from(wait) << 32];
    ask_root_bytes(root::NAME_CONNECT, words, name).map(|[pid, ..]| pid as u32)
}

/// A channel that somebody connected by, of which this process holds side 1 from now on, and who. EAGAIN: none.
pub fn accept(channel: usize) -> Result<(usize, u32), Errno> {
    let [channel, pid, _] = ask_root(root::NAME_ACCEPT, [channel as u64, 0, 0])?;
    Ok((channel as usize, pid as u32))
}

/// The channel of a name, of which this process holds side 1 from now on.
pub fn find(kind: u32, name: &[u8]) -> Result<usize, Errno> {
    ask_root_bytes(root::NAME_FIND, [0, kind.into()], name).map(|[channel, ..]| channel as usize)
}

/// Forgets a path. ENOENT: no socket was bound there.
pub fn unlink(path: &[u8]) -> Result<(), Errno> {
    ask_root_bytes(root::NAME_REMOVE, [0; 2], path).map(drop)
}
