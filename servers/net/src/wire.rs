// SPDX-License-Identifier: BSD-2-Clause
//! smoltcp's end of a connection: one socket alone in a set, so that smoltcp finds it at once; and a pool of them, because
//! making one costs more than a request (most of it goes into clearing its buffers).

use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer};

/// Bytes of smoltcp's receive buffer: the window that we offer.
pub const RX_BUFFER: usize = 16 << 10;
/// Bytes of smoltcp's send buffer: what may be under way. It is close to the initial window of RFC 6928 (10 segments), and
/// there is no congestion control above it: a connection never has more than that in flight.
pub const TX_BUFFER: usize = 16 << 10;
/// Memory that one wire takes.
pub const WIRE_SIZE: usize = RX_BUFFER + TX_BUFFER + 2048;

/// A socket alone in its set.
#[derive(Debug)]
pub struct Wire {
    /// The set, for smoltcp.
    pub set: SocketSet<'static>,
    handle: SocketHandle,
}

fn buffer(len: usize) -> Option<SocketBuffer<'static>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(SocketBuffer::new(bytes))
}

impl Wire {
    fn new() -> Option<Wire> {
        let socket = Socket::new(buffer(RX_BUFFER)?, buffer(TX_BUFFER)?);
        let mut storage: Vec<SocketStorage<'static>> = Vec::new();
        storage.try_reserve_exact(1).ok()?;
        let mut set = SocketSet::new(storage);
        let handle = set.add(socket);
        Some(Wire { set, handle })
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The socket, to look at.
    pub fn peek(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }
}

/// Wires, used before or not.
#[derive(Debug)]
pub struct Pool {
    idle: Vec<Wire>,
    /// How many more may be made.
    left: usize,
}

/// Idle wires beyond this many are freed.
const KEEP: usize = 256;

impl Pool {
    /// A pool of at most `limit` wires.
    pub fn new(limit: usize) -> Pool {
        Pool {
            idle: Vec::new(),
            left: limit,
        }
    }

    /// A wire whose socket is closed. `None`: the limit is reached, or there is no memory.
    pub fn take(&mut self) -> Option<Wire> {
        if let Some(wire) = self.idle.pop() {
            return Some(wire);
        }
        if self.left == 0 {
            return None;
        }
        let wire = Wire::new()?;
        self.left -= 1;
        Some(wire)
    }

    /// Takes a wire back. What its socket was told is undone here; the rest is reset by `listen` and `connect`.
    pub fn give(&mut self, mut wire: Wire) {
        if self.idle.len() >= KEEP {
            self.left += 1;
            return;
        }
        // Drops a remembered neighbour, which is kept beside the socket.
        let smoltcp::socket::Socket::Tcp(mut socket) = wire.set.remove(wire.handle);
        socket.abort();
        socket.set_keep_alive(None);
        socket.set_nagle_enabled(true);
        wire.handle = wire.set.add(socket);
        self.idle.push(wire);
    }
}
