// SPDX-License-Identifier: BSD-2-Clause
//! The net server's logic: TCP and UDP for clients whose sockets lie in shared memory. It runs on the host as it does on seL4.
//!
//! * smoltcp speaks TCP, one socket to a set; finding the connection of a frame, backlogs, ports, patience and
//!   TIME-WAIT are ours, so that nothing here grows with the number of connections.
//! * Bytes go from smoltcp's buffers into the client's rings and back; the client is told by the readiness protocol of
//!   `vfs-hooks`. A client asks by message only to bind, listen and connect.
//! * Nothing that a peer or a client writes is believed: a bad frame is dropped, a bad ring ends its connection.
//! * Time is an argument, the card and the system are traits ([`Card`], [`Platform`]): tests need neither.
//!
//! What it costs, measured under QEMU's `-icount` as all instructions of the net server from wake-up to sleep, the kernel's and
//! the root server's on its behalf included: 19,500 for a connection that carries one HTTP/1.0 request of 5 frames in
//! and 3 out (queue kernel; 18,600 on stock), with three wake-ups. Most of it is smoltcp's.
//!
//! | module | what it holds |
//! |---|---|
//! | `server` | the state, and its turn |
//! | `segments` | frames: to a connection, a new one, or nobody |
//! | `serve` | a connection's turn |
//! | `requests` | bind, listen, connect |
//! | `connection`, `pump` | a connection; its bytes and states, to and from its slot |
//! | `client` | what each slot of a client is |
//! | `listener` | backlog and accept ring |
//! | `joined` | sockets of several processes |
//! | `frame`, `tuple`, `ports`, `timers`, `wire` | headers; 4-tuples and TIME-WAIT; ports; deadlines; pooled sockets |
//! | `udp`, `datagram`, `neighbours` | UDP sockets; their frames; who has which hardware address |
//! | `link` | between smoltcp and the card |
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

extern crate alloc;

mod client;
mod connection;
mod datagram;
mod errno;
mod frame;
mod joined;
mod link;
mod listener;
mod neighbours;
mod ports;
mod pump;
mod requests;
mod segments;
mod serve;
mod server;
mod timers;
mod tuple;
mod udp;
mod wire;

pub use errno::Errno;
pub use link::{Card, MAX_FRAME};
pub use server::{Config, MAX_CLIENTS, Platform, Server};
pub use udp::UdpPlatform;
pub use wire::WIRE_SIZE;

#[cfg(test)]
mod tests;
