// SPDX-License-Identifier: BSD-2-Clause
//! Linux's error numbers, as far as the net server uses them in replies and in `SO_ERROR`.

/// An error number of Linux on x86_64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u32);

impl Errno {
    /// The client does not hold the channel.
    pub const BADF: Errno = Errno(9);
    /// No connection waits.
    pub const AGAIN: Errno = Errno(11);
    /// No memory.
    pub const NOMEM: Errno = Errno(12);
    /// The port is not bound by the caller, or the slot is no listener.
    pub const INVAL: Errno = Errno(22);
    /// The peer reset a connection whose input had already ended.
    pub const PIPE: Errno = Errno(32);
    /// Unknown request.
    pub const NOSYS: Errno = Errno(38);
    /// The peer's machine does not speak TCP (ICMP).
    pub const NOPROTOOPT: Errno = Errno(92);
    /// The port is taken.
    pub const ADDRINUSE: Errno = Errno(98);
    /// Not an address of ours, or no port is free.
    pub const ADDRNOTAVAIL: Errno = Errno(99);
    /// No route.
    pub const NETUNREACH: Errno = Errno(101);
    /// The peer reset the connection, or the client broke its rings.
    pub const CONNRESET: Errno = Errno(104);
    /// No socket slot or no memory is left.
    pub const NOBUFS: Errno = Errno(105);
    /// The peer does not answer.
    pub const TIMEDOUT: Errno = Errno(110);
    /// Nobody listens there.
    pub const CONNREFUSED: Errno = Errno(111);
    /// Nobody on the network has the address.
    pub const HOSTUNREACH: Errno = Errno(113);
}
