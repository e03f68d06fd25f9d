// SPDX-License-Identifier: BSD-2-Clause
//! Linux's constants by name: what programs are written with.

/// Names of bits or values.
pub type Names = &'static [(&'static str, u64)];

/// epoll_ctl(2) and poll(2).
pub const EVENTS: Names = &[
    ("IN", 1),
    ("PRI", 2),
    ("OUT", 4),
    ("ERR", 8),
    ("HUP", 0x10),
    ("NVAL", 0x20),
    ("RDNORM", 0x40),
    ("RDBAND", 0x80),
    ("WRNORM", 0x100),
    ("WRBAND", 0x200),
    ("MSG", 0x400),
    ("REMOVE", 0x1000),
    ("RDHUP", 0x2000),
    ("EXCLUSIVE", 1 << 28),
    ("WAKEUP", 1 << 29),
    ("ONESHOT", 1 << 30),
    ("ET", 1 << 31),
];

/// EPOLL_CTL_*.
pub const CONTROL: Names = &[("ADD", 1), ("DEL", 2), ("MOD", 3)];

/// O_*, which EFD_*, TFD_*, SOCK_* and EPOLL_* share.
pub const FLAGS: Names = &[
    ("RDWR", 2),
    ("APPEND", 0o2000),
    ("NONBLOCK", 0o4000),
    ("DIRECTORY", 0o200000),
    ("CLOEXEC", 0o2000000),
];

/// eventfd2(2).
pub const EVENTFD: Names = &[
    ("SEMAPHORE", 1),
    ("NONBLOCK", 0o4000),
    ("CLOEXEC", 0o2000000),
];

/// Families of sockets.
pub const FAMILY: Names = &[("UNIX", 1), ("INET", 2)];

/// Types of sockets.
pub const SOCKET: Names = &[("STREAM", 1), ("DGRAM", 2), ("SEQPACKET", 5)];

/// shutdown(2).
pub const SHUTDOWN: Names = &[("RD", 0), ("WR", 1), ("RDWR", 2)];

/// MSG_*.
pub const MESSAGE: Names = &[
    ("OOB", 1),
    ("PEEK", 2),
    ("TRUNC", 0x20),
    ("DONTWAIT", 0x40),
    ("WAITALL", 0x100),
    ("NOSIGNAL", 0x4000),
];

/// CLOCK_*.
pub const CLOCK: Names = &[
    ("REALTIME", 0),
    ("MONOTONIC", 1),
    ("PROCESS_CPUTIME_ID", 2),
    ("BOOTTIME", 7),
];

/// TFD_TIMER_*.
pub const TIMER: Names = &[("ABSTIME", 1), ("CANCEL_ON_SET", 2)];

/// fcntl(2).
pub const FCNTL: Names = &[
    ("DUPFD", 0),
    ("GETFD", 1),
    ("SETFD", 2),
    ("GETFL", 3),
    ("SETFL", 4),
    ("DUPFD_CLOEXEC", 1030),
    ("GETPIPE_SZ", 1032),
];

/// ioctl(2).
pub const IOCTL: Names = &[
    ("FIONREAD", 0x541b),
    ("FIONBIO", 0x5421),
    ("FIONCLEX", 0x5450),
    ("FIOCLEX", 0x5451),
];

/// Files that both sides have.
pub const PATH: Names = &[("/", 0), ("/dev/null", 1), ("/dev/zero", 2)];

/// rt_sigprocmask(2).
pub const MASKING: Names = &[("BLOCK", 0), ("UNBLOCK", 1), ("SETMASK", 2)];

/// Signals by number.
pub const SIGNAL: Names = &[("USR1", 10), ("USR2", 12)];

/// Sets of signals.
pub const SIGNALS: Names = &[("USR1", 1 << 9), ("USR2", 1 << 11)];

/// Errors by number, for people.
pub const ERRORS: Names = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("ENXIO", 6),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EEXIST", 17),
    ("ENODEV", 19),
    ("ENOTDIR", 20),
    ("EISDIR", 21),
    ("EINVAL", 22),
    ("EMFILE", 24),
    ("ENOTTY", 25),
    ("ENOSPC", 28),
    ("ESPIPE", 29),
    ("EPIPE", 32),
    ("ENOSYS", 38),
    ("ELOOP", 40),
    ("EOVERFLOW", 75),
    ("ENOTSOCK", 88),
    ("EMSGSIZE", 90),
    ("EPROTONOSUPPORT", 93),
    ("ESOCKTNOSUPPORT", 94),
    ("EOPNOTSUPP", 95),
    ("EAFNOSUPPORT", 97),
    ("ECONNRESET", 104),
    ("ENOBUFS", 105),
    ("ENOTCONN", 107),
];

/// The name of a value, if it has one.
pub fn name(names: Names, value: u64) -> Option<&'static str> {
    names
        .iter()
        .find(|(_, v)| *v == value)
        .map(|(name, _)| *name)
}

/// The value of a name.
pub fn value(names: Names, name: &str) -> Option<u64> {
    names
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, value)| *value)
}
