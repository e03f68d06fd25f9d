// SPDX-License-Identifier: BSD-2-Clause
//! Sockets.
//!
//! | module | what it holds |
//! |---|---|
//! | `socket` | the socket as a file, in all of its states |
//! | `connect` | bind, listen, connect, accept |
//! | `bind`, `ports` | who holds which port |
//! | `listener` | connections that nobody has accepted yet |
//! | `link` | loopback connections |
//! | `remote` | connections at the net server |
//! | `heir` | TCP sockets in another process |
//! | `unix` | AF_UNIX |
//! | `udp` | UDP |
//! | `options`, `address`, `info` | their values |

pub mod address;
pub mod bind;
pub mod connect;
pub mod heir;
pub mod info;
pub mod link;
pub mod listener;
pub mod options;
pub mod ports;
pub mod remote;
pub mod socket;
pub mod udp;
pub mod unix;
