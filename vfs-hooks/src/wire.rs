// SPDX-License-Identifier: BSD-2-Clause
//! Messages to the servers: seL4_Call with the label naming the request. A reply has label 0, an errno (0: done) in MR0 and results from MR1 on.
//!
//! Addresses and lengths are in bytes and must be multiples of a page where memory is mapped.

/// Bytes that fit behind the length in one message (MR1 to MR118).
pub const MAX_BYTES: usize = 118 * 8;

/// No deadline, for [`root::SET_TIMER`].
pub const NEVER: u64 = u64::MAX;

/// Requests to the root server.
pub mod root {
    /// MR0: exit status 0..=255. No reply.
    pub const EXIT: u64 = 1;
    /// MR0: n <= MAX_BYTES, then n bytes, packed. To the console, unchanged.
    pub const CONSOLE_WRITE: u64 = 2;
    /// MR0: at most so many bytes. Reply: MR1 n (0 with errno 0: end of input; EAGAIN: none yet), then n bytes.
    pub const CONSOLE_READ: u64 = 3;
    /// MR0 address, MR1 length, MR2 PROT_* bits: maps zeroed memory (PROT_NONE: nothing is mapped, the range must be free). EINVAL, ENOMEM; all or nothing.
    pub const MAP: u64 = 4;
    /// MR0 address, MR1 length: unmaps what is mapped there by MAP.
    pub const UNMAP: u64 = 5;
    /// MR0: FS base of the calling thread.
    pub const SET_TLS: u64 = 6;
    /// MR0: CLOCK_MONOTONIC nanoseconds at which to signal [`notice::TIMER`](crate::process::notice::TIMER), or [`NEVER`](super::NEVER). Replaces the former. Never signals early.
    pub const SET_TIMER: u64 = 7;
    /// Makes a notification queue with a 4 KiB buffer. Reply: MR1 number q (cap in slot `QUEUES + q`, buffer at `queue_buffer(q)`). ENOSYS on the stock kernel, EMFILE, ENOMEM.
    pub const QUEUE_CREATE: u64 = 8;
    /// MR0 q: gives it a 2 MiB buffer at `queue_buffer(q) + LARGE_PAGE`. Reply: MR1 badge as of a collection, MR2 position of the first entry (in the old buffer, which stays mapped).
    pub const QUEUE_RESIZE: u64 = 9;
    /// MR0 q: revokes and deletes it.
    pub const QUEUE_DESTROY: u64 = 10;
    /// Another [`WATCH_GROUP`](crate::process::WATCH_GROUP) of watch slots. Reply: MR1 how many there are now. ENOMEM at the limit.
    pub const WATCHES_GROW: u64 = 11;
    /// As CONSOLE_WRITE, a line for the system log. Only servers may start it with '@' (a control line for the driver).
    pub const LOG: u64 = 12;
    /// MR0 address, MR1 length, MR2 PROT_* bits: changes the protection of mapped memory; maps what was PROT_NONE.
    pub const PROTECT: u64 = 13;
    /// Net server only. MR0 client, MR1 chunk: maps socket slots of that chunk, zeroed, into both. ENOMEM.
    pub const MAP_SOCKETS: u64 = 14;
}

/// Requests to the net server; the badge names the client. The server looks at the client's marks first, so a close comes before a bind.
pub mod net {
    /// MR0 address (0: any), MR1 port (0: choose), MR2 bit 0: SO_REUSEADDR. Reserves the port. Reply: MR1 port. EADDRINUSE, EADDRNOTAVAIL, EACCES never.
    pub const BIND: u64 = 1;
    /// MR0 port (bound by this client), MR1 backlog. Reply: MR1 slot of the listener. Closing the slot frees the port.
    pub const LISTEN: u64 = 2;
    /// MR0 address, MR1 port, MR2 own port bound before or 0. Reply: MR1 slot; CONNECTED or BROKEN follow in it. ENETUNREACH, EADDRNOTAVAIL, ENOBUFS.
    pub const CONNECT: u64 = 3;
    /// MR0 port: gives up a port that was bound and neither listened on nor connected.
    pub const UNBIND: u64 = 4;
    /// MR0 slot of a listener, MR1 backlog: listen again with another backlog.
    pub const SET_BACKLOG: u64 = 5;
}
