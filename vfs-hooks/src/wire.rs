// SPDX-License-Identifier: BSD-2-Clause
//! Messages to the servers: seL4_Call with the label naming the request. A reply has label 0, an errno (0: done) in MR0 and results from MR1 on.
//!
//! Addresses and lengths are in bytes and must be multiples of a page where memory is mapped.

/// Bytes that fit behind the length in one message (MR1 to MR118).
pub const MAX_BYTES: usize = 118 * 8;

/// No deadline, for [`root::SET_TIMER`].
pub const NEVER: u64 = u64::MAX;

/// How many ports PORT_LEASE gives.
pub const PORT_BLOCK: u16 = 64;
/// Among the PROT_* bits of [`root::MAP`]: MAP_SHARED.
pub const SHARED: u64 = 1 << 32;

/// Requests to the root server.
pub mod root {
    /// MR0: exit status 0..=255, or MR1: the signal that ends the process. No reply.
    pub const EXIT: u64 = 1;
    /// MR0: n <= MAX_BYTES, then n bytes, packed. To the console, unchanged.
    pub const CONSOLE_WRITE: u64 = 2;
    /// MR0: at most so many bytes. Reply: MR1 n (0 with errno 0: end of input; EAGAIN: none yet), then n bytes.
    pub const CONSOLE_READ: u64 = 3;
    /// Reply: MR1 n, then n bytes: the console's struct termios, as Linux has it.
    pub const TERMINAL_MODE: u64 = 146;
    /// MR0 1: throw away what came before, MR2 n, then n bytes: the console's struct termios from now on. EINVAL.
    pub const TERMINAL_SET: u64 = 147;
    /// MR0 process group: the one in the foreground from now on. ENOTTY: the console is not the caller's session's; ESRCH, EPERM.
    pub const TERMINAL_GROUP: u64 = 148;
    /// MR0 1: also if it is another session's. The console is the terminal of the session that the caller leads. EPERM.
    pub const TERMINAL_TAKE: u64 = 149;
    /// MR0 SIGTTIN or SIGTTOU: is sent to the caller's group. EIO: nobody would let that go on.
    pub const TERMINAL_BACKGROUND: u64 = 150;
    /// MR0 address, MR1 length, MR2 PROT_* bits: maps zeroed memory (PROT_NONE: nothing is mapped, the range must be free). EINVAL, ENOMEM; all or nothing. With [`SHARED`](super::SHARED) a
    /// child made by FORK has the same memory, not a copy.
    pub const MAP: u64 = 4;
    /// MR0 address, MR1 length: unmaps what is mapped there by MAP.
    pub const UNMAP: u64 = 5;
    /// MR0: FS base of the calling thread, MR1: its number.
    pub const SET_TLS: u64 = 6;
    /// MR0: CLOCK_MONOTONIC nanoseconds at which to signal [`notice::TIMER`](crate::process::notice::TIMER), or [`NEVER`](super::NEVER). Replaces the former. MR1: the calling thread's number. Never signals early.
    pub const SET_TIMER: u64 = 7;
    /// Makes a notification queue with a 4 KiB buffer. Reply: MR1 number q (cap in slot `q` of the CNode at `QUEUE_CAPS`, buffer at `queue_buffer(q)`). ENOSYS on the stock kernel, EMFILE, ENOMEM.
    pub const QUEUE_CREATE: u64 = 8;
    /// MR0 q: gives it a 2 MiB buffer at `queue_buffer(q) + LARGE_PAGE`. Reply: MR1 badge as of a collection, MR2 position of the first entry (in the old buffer, which stays mapped).
    pub const QUEUE_RESIZE: u64 = 9;
    /// MR0 q: revokes and deletes it.
    pub const QUEUE_DESTROY: u64 = 10;
    /// More watch slots: [`FEW_WATCHES`](crate::process::FEW_WATCHES) at first, then full [`WATCH_GROUP`](crate::process::WATCH_GROUP)s. Reply: MR1 how many there are now. ENOMEM at the limit.
    pub const WATCHES_GROW: u64 = 11;
    /// As CONSOLE_WRITE, a line for the system log. Only servers may start it with '@' (a control line for the driver).
    pub const LOG: u64 = 12;
    /// MR0 CLOCK_MONOTONIC nanoseconds, MR1 the calling thread's number, MR2: n <= MAX_BYTES - 16, then n bytes, packed: a line of the trace, for the system log. EPERM: nothing is traced.
    pub const TRACE: u64 = 124;
    /// MR0 address, MR1 length, MR2 PROT_* bits: changes the protection of mapped memory; maps what was PROT_NONE.
    pub const PROTECT: u64 = 13;
    /// Net server only. MR0 client, MR1 chunk: maps socket slots of that chunk, zeroed, into both. ENOMEM.
    pub const MAP_SOCKETS: u64 = 14;
    /// MR0 address, MR1 length: a [`Block`](crate::spawn::Block) in the caller's memory. Starts a child. Reply: MR1 its process number. ENOENT, EACCES, ENOEXEC, E2BIG, ENOMEM, EAGAIN, EFAULT, EINVAL.
    pub const SPAWN: u64 = 15;
    /// As SPAWN, into the caller itself: no reply if it worked.
    pub const EXEC: u64 = 16;
    /// A copy of the caller, with the calling thread only. MR0: its number. Reply, to both: MR1 the child's process number, in the child 0. ENOMEM, EAGAIN.
    pub const FORK: u64 = 17;
    /// MR0 whom (as the first argument of waitpid(2), 64 bits), MR1 bits: 0 leave it to be waited for again, 1 also children that have stopped, 2 also those that have gone on, 3 none that have ended. Never waits: EAGAIN if there is nothing yet, and then [`notice::KICK`](crate::process::notice::KICK) and [`ProcessInfo::ended`](crate::process::ProcessInfo::ended) tell of what comes. Reply: MR1 process number, MR2 wait status | most pages that it had << 32, MR3 nanoseconds that it ran, with those of children that it waited for. ECHILD.
    pub const WAIT: u64 = 18;
    /// MR0 whom (as the first argument of kill(2), 64 bits), MR1 signal, 0: none, only look; si_code in the upper half, MR2 si_value. SIGKILL ends; others are added to those that TAKE_SIGNAL gives, and the process is kicked. ESRCH, EINVAL; EAGAIN: too many wait, and si_code is negative.
    pub const KILL: u64 = 19;
    /// Takes a signal that others sent. Reply: MR1 signal, si_code in the upper half; 0: none. MR2 sender or child, MR3 si_value or the child's status.
    pub const TAKE_SIGNAL: u64 = 20;
    /// MR0 process (0: the caller), MR1 group (0: that process's number): setpgid(2). ESRCH, EPERM, EACCES.
    pub const SET_GROUP: u64 = 21;
    /// MR0 process (0: the caller). Reply: MR1 parent, MR2 group, MR3 session. ESRCH.
    pub const IDS: u64 = 22;
    /// setsid(2). Reply: MR1 session. EPERM.
    pub const NEW_SESSION: u64 = 23;
    /// MR0 1: children that end vanish (SIGCHLD is ignored); 0: they are to be waited for.
    pub const FORGET_CHILDREN: u64 = 24;
    /// Reply: MR1 free bytes of memory, MR2 capability slots in use, MR3 processes.
    pub const USAGE: u64 = 25;
    /// Makes the caller a client of the net server: afterwards it has slots NET and DOORBELL and its channel. EAGAIN: there are too many.
    pub const NET_OPEN: u64 = 26;
    /// Net server only. MR0 client: nothing refers any more to the channel of a client that has ended.
    pub const CLIENT_GONE: u64 = 27;
    /// MR0 sides (bit `s`: side `s`): makes a channel of which the caller holds these. Reply: MR1 its number. ENOMEM, ENFILE.
    pub const CHANNEL_CREATE: u64 = 28;
    /// MR0 channel, MR1 sides: the caller holds them no longer; with its last side the channel is unmapped. EINVAL.
    pub const CHANNEL_DROP: u64 = 29;
    /// MR0 channel, MR1 side, MR2 watch slot: takes a subscription cell of the side, whose signals reach that watch slot. Reply: MR1 cell. ENOSPC, EINVAL, ENOMEM.
    pub const CHANNEL_WATCH: u64 = 30;
    /// MR0 channel, MR1 side, MR2 cell: gives it back. EINVAL.
    pub const CHANNEL_UNWATCH: u64 = 31;
    /// MR0 process: makes a channel of which the caller holds side 0, and whose value is not 0 from the process's end on, which is told as news of input. Reply: MR1 channel. ESRCH, ENOMEM, ENFILE.
    pub const CHANNEL_OF_PROCESS: u64 = 32;
    /// MR0 instruction, MR1 stack pointer, MR2 FS base: starts a thread. Reply: MR1 its number. EAGAIN: there are too many, ENOMEM.
    pub const THREAD_START: u64 = 33;
    /// MR0: the calling thread's number. It ends; no reply.
    pub const THREAD_END: u64 = 34;
    /// MR0: thread. If it is outside the shim it goes on at its process's [`entry`](crate::thread::ThreadState::entry), else it is kicked. ESRCH.
    pub const INTERRUPT: u64 = 35;
    /// MR0: CLOCK_MONOTONIC nanoseconds, or [`NEVER`](super::NEVER), at which a thread of the process is to look: [`ProcessInfo::signals`](crate::process::ProcessInfo::signals) is not 0 then, and one in the shim is kicked or, if there is none, one outside is interrupted. Replaces the former.
    pub const SET_ALARM: u64 = 36;
    /// MR0: the signal by which the process stops. Its threads are to wait while [`STOPPED`](crate::process::STOPPED) is in [`ProcessInfo::signals`](crate::process::ProcessInfo::signals); each is kicked when it changes.
    pub const STOP: u64 = 37;
    /// MR0: the calling thread's number. It waits from here on for its process to be stopped no longer: when all do, the parent is told.
    pub const RESTS: u64 = 38;
    /// MR0 carrying channel, of which the caller holds the other side than MR1, MR2 channel × 4 + sides: hands these, which the caller holds and keeps, to whoever takes them by side MR1. They are held meanwhile, until nobody holds that side. EBADF, EINVAL, ETOOMANYREFS.
    pub const CHANNEL_SEND: u64 = 48;
    /// MR0 carrying channel, MR1 side, MR2 channel × 4 + sides: the caller, who holds that side, holds these from now on; also takes back what it sent itself. EBADF: they are not on their way. ENOMEM.
    pub const CHANNEL_TAKE: u64 = 49;
    /// MR0 channel of which the caller holds side 0, MR1 type of socket, MR2 length, then the name: an abstract one, or a path from `/`. It goes with side 0's last holder, a path also by NAME_REMOVE. EADDRINUSE, EINVAL.
    pub const NAME_BIND: u64 = 50;
    /// MR0 channel with a name, of which the caller holds side 0, MR1 backlog: connections may come. Or bit 32 of MR1: it is shut for reading, and nobody can connect any more, bit 33: for writing. Its value is the number that wait, with these bits. EINVAL.
    pub const NAME_LISTEN: u64 = 51;
    /// MR0 channel of which the caller holds side 1, MR1 type of socket, bit 32: wait, MR2 length, then a name: moves that side to who listens there; the channel's value is 1 until it is accepted. Reply: MR1 process that bound the name. ENOENT, ECONNREFUSED, EPROTOTYPE, EAGAIN: the backlog is full, and not to be longer.
    pub const NAME_CONNECT: u64 = 52;
    /// MR0 channel that listens, of which the caller holds side 0. Reply: MR1 channel of which the caller holds side 1 from now on, MR2 process that connected; of TCP MR2 the address and port that were connected to, MR3 those of the client, as PORT_CONNECT has them. EAGAIN, EINVAL, ENOMEM.
    pub const NAME_ACCEPT: u64 = 53;
    /// MR1 type of socket, MR2 length, then a name: the caller holds side 1 of that name's channel from now on. Reply: MR1 channel. ENOENT, ECONNREFUSED, EPROTOTYPE, ENOMEM.
    pub const NAME_FIND: u64 = 54;
    /// MR2 length, then a path: no socket has it any longer. ENOENT.
    pub const NAME_REMOVE: u64 = 55;
    /// MR0 channel of which the caller holds side 0, MR1 address and port (bits 32 to 47; 0: choose), bit 48: SO_REUSEADDR, 49: SO_REUSEPORT: a UDP socket's name, until nobody holds side 0. Reply: MR1 port. EADDRINUSE, EINVAL.
    pub const UDP_BIND: u64 = 60;
    /// MR0 channel with such a name, of which the caller holds side 0, MR1 own address from now on, MR2 the address and port from which alone datagrams come; 0: from everywhere. EINVAL.
    pub const UDP_PEER: u64 = 61;
    /// MR0 channel with such a name, of which the caller holds side 0: it has none any longer. EINVAL; EBUSY: the net server knows it by that.
    pub const UDP_UNBIND: u64 = 62;
    /// MR0 address and port, MR1 the sender's: the caller holds side 1 of the channel of the socket that receives there from now on. Reply: MR1 channel. It is to be asked again when the channel's value changes. ECONNREFUSED, ENOMEM.
    pub const UDP_FIND: u64 = 63;
    /// Net server only. MR0 client, MR1 channel of a UDP socket of which that client holds side 0: the net server holds side 1 from now on; the channel's pages but those of the local queue are there. When nobody holds side 0, CHANNEL_HUNG tells. Reply: MR1 address and port. EBADF, EINVAL, ENOBUFS, ENOMEM.
    pub const UDP_JOIN: u64 = 64;
    /// MR0 channel of which the caller holds side 0, MR1 address | port << 32 (0: choose) | bits << 48 (0: SO_REUSEADDR, 1: SO_REUSEPORT): gives it a port of TCP, until nobody holds that side. NAME_LISTEN lets connections come. Reply: MR1 port. EADDRINUSE, EINVAL.
    pub const PORT_BIND: u64 = 110;
    /// MR0 channel of which the caller holds side 1, MR1 address | port << 32 | bits << 48 (0: the backlog may grow), MR2 own address | port << 32 (0: choose): as NAME_CONNECT, to who listens there in this machine. The channel holds the ports of both ends until it ends. Reply: MR1 own port. ECONNREFUSED, EADDRNOTAVAIL, EAGAIN.
    pub const PORT_CONNECT: u64 = 111;
    /// MR0 channel that the caller holds, MR1 address | port << 32, MR2 own address | port << 32: holds the ports of a connection that was made within the process. EINVAL, EADDRNOTAVAIL.
    pub const PORT_HOLD: u64 = 112;
    /// [`PORT_BLOCK`](super::PORT_BLOCK) ports for connections within the process, until it ends. Reply: MR1 the first. EAGAIN: there are no more.
    pub const PORT_LEASE: u64 = 113;
    /// Net server only. MR0 client, MR1 channel of which that holds side 0, MR2 pages: holds side 1 from now on, with so many pages mapped. EINVAL, ENOMEM.
    pub const CHANNEL_JOIN: u64 = 114;
    /// Net server only, when [`ProcessInfo::hung`](crate::process::ProcessInfo::hung) has changed. Reply: MR1 a channel that it has joined and of which nobody holds side 0 any longer; each is told once. EAGAIN: no more.
    pub const CHANNEL_HUNG: u64 = 115;
    /// Net server only. MR0 client, MR1 channel: whether that holds side 0 of it. EBADF: it does not.
    pub const CHANNEL_HOLDER: u64 = 116;
    /// VFS server only. MR0 offset, MR1 length in the boot archive: makes a file with these contents, of which MR2 is the first holder. Reply: MR1 its number. ENOMEM, ENFILE, ESRCH.
    pub const FILE_CREATE: u64 = 70;
    /// VFS server only. MR0 file, MR1 process: it becomes a holder. ENOMEM, ESRCH, EINVAL.
    pub const FILE_GRANT: u64 = 71;
    /// VFS server only. MR0 file: its contents are given back. EAGAIN: somebody holds it.
    pub const FILE_END: u64 = 72;
    /// MR0 file: the caller holds it no longer. What it has mapped stays. EINVAL.
    pub const FILE_DROP: u64 = 73;
    /// MR0 file | PROT_* bits << 32, MR1 first page | pages << 32, MR2 address: maps pages of a file that the caller holds; those that are not there are made. EINVAL, ENOMEM, ENOSPC; all or nothing.
    pub const FILE_MAP: u64 = 74;
    /// MR0 file, MR1 page: from this page on it reads as zeroes; pages that nobody has mapped are given back. EINVAL.
    pub const FILE_TRIM: u64 = 75;
    /// Reply: MR1 pages that files may have in all, MR2 pages that they have.
    pub const FILE_USAGE: u64 = 76;
    /// VFS server only. MR0 process, MR1 [`OWNER_PROCESS`], or [`OWNER_OPEN`] and MR2 a channel that it holds: OWNER_ENDED tells of its end. ESRCH, EBADF.
    pub const OWNER_WATCH: u64 = 80;
    /// VFS server only. Reply: MR1 an owner that has ended, its kind << 32 | number; 0: none. The server is signalled when there is one.
    pub const OWNER_ENDED: u64 = 81;
    /// VFS server only. MR0 process, MR1 thread: it is to look at what it waits for. ESRCH.
    pub const KICK: u64 = 82;
    /// VFS server only. MR0 channel, MR1 its value from now on, MR2 1: that is news of input. EINVAL.
    pub const CHANNEL_TELL: u64 = 86;
    /// VFS server only. MR0 1: somebody watches files, 0: nobody ([`ProcessInfo::watching`](crate::process::ProcessInfo::watching)).
    pub const WATCHING: u64 = 87;
    /// MR0 process. Reply: MR1 the lowest number of one above it, 0: none.
    pub const PROCESS_NEXT: u64 = 83;
    /// MR0 process (0: the caller). Reply: words of [`Facts`](crate::facts::Facts). ESRCH.
    pub const PROCESS_FACTS: u64 = 84;
    /// MR0 process (0: the caller), MR1 number of a [`Text`](crate::facts::Text), MR2 offset. Reply: MR1 n, then n bytes of it from there on; 0: that was all. ESRCH, EINVAL, EFAULT.
    pub const PROCESS_TEXT: u64 = 85;
    /// Kinds of owners of locks.
    pub const OWNER_PROCESS: u64 = 1;
    /// See [`OWNER_PROCESS`].
    pub const OWNER_OPEN: u64 = 2;
    /// MR0: from which on. Reply: three of the [`figures`](crate::figures). EINVAL.
    pub const FIGURES: u64 = 90;
    /// VFS server only. MR0 inode number of a FIFO, MR1 process, MR2 sides (bit `s`: side `s`), or [`NEEDS_READER`](crate::fifo::NEEDS_READER): the process holds these sides of the FIFO's channel from now on. Reply: MR1 a [`Place`](crate::fifo::Place). ENXIO, ENOMEM, EMFILE, ESRCH, EINVAL.
    pub const FIFO_OPEN: u64 = 77;
    /// MR0 address of a word in memory that the caller shares (of a file, or MAP with SHARED), MR1 value | set of bits << 32, MR2 the calling thread's number: the thread is in line for the word, if that has the value. When it is
    /// woken, [`ThreadState::futex`](crate::thread::ThreadState::futex) becomes 0 and it is kicked. EAGAIN: the word has another value, EINVAL, ESRCH.
    pub const FUTEX_WAIT: u64 = 120;
    /// MR0 address, MR1 most | set << 32: wakes those who wait for the word with a bit of the set. Reply: MR1 how many.
    pub const FUTEX_WAKE: u64 = 121;
    /// MR0 address, MR1 most, MR2 another address: lets so many who wait for the first word wait for the second. Reply: MR1 how many.
    pub const FUTEX_MOVE: u64 = 122;
    /// MR0: the calling thread's number: it is in no line any longer.
    pub const FUTEX_LEAVE: u64 = 123;
}

/// Requests to the net server; the badge names the client. The server looks at the client's marks first, so a close comes before a bind.
pub mod net {
    /// MR0 address (0: any), MR1 port (0: choose), MR2 bit 0: SO_REUSEADDR, bit 1: SO_REUSEPORT. Reserves the port. Reply: MR1 port. EADDRINUSE, EADDRNOTAVAIL, EACCES never.
    pub const BIND: u64 = 1;
    /// MR0 port (bound by this client), MR1 backlog, MR2 channel of which the client holds side 0: its [`SocketSlot`](crate::net::SocketSlot) is the listener's, until nobody holds that side. EINVAL, EADDRINUSE, ENOBUFS.
    pub const LISTEN: u64 = 2;
    /// MR0 address, MR1 port, MR2 own port bound before or 0. Reply: MR1 slot; CONNECTED or BROKEN follow in it. ENETUNREACH, EADDRNOTAVAIL, ENOBUFS.
    pub const CONNECT: u64 = 3;
    /// MR0 port: gives up a port that was bound and neither listened on nor connected.
    pub const UNBIND: u64 = 4;
    /// MR0 channel of a listener, MR1 backlog: listen again with another backlog.
    pub const SET_BACKLOG: u64 = 5;
    /// MR0 channel of a listener, of which the client holds side 0 and several processes may: connections wait here from now on, [`SocketSlot::waiting`](crate::net::SocketSlot::waiting) of them, to be asked for.
    pub const SHARE: u64 = 20;
    /// MR0 channel of a listener that is shared. Reply: MR1 slot of a connection, the caller's from now on. EAGAIN: none waits. EBADF, ENOBUFS.
    pub const ACCEPT: u64 = 21;
    /// MR0 slot of a connection, MR1 channel of which the client holds side 0: it moves there, with all that is in it, and the slot is the server's again. EINVAL, ENOMEM.
    pub const SHARE_STREAM: u64 = 22;
    /// MR0 channel of a UDP socket that the client has bound at the root server: it receives from and sends to the network from now on. ENOBUFS and what UDP_JOIN answers.
    pub const UDP_OPEN: u64 = 16;
}
