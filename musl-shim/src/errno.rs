// SPDX-License-Identifier: BSD-2-Clause
//! Error numbers by their C names: more than the event core has, so a type of its own.

/// An error number; never 0. As wide as what calls return: so a result is two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i64);

impl From<libposix_poll::Errno> for Errno {
    fn from(errno: libposix_poll::Errno) -> Errno {
        Errno(errno.0.into())
    }
}

#[allow(missing_docs, reason = "the names are errno(3)'s")]
impl Errno {
    /// A number that a server answered, or a source keeps.
    pub const fn from_raw(number: i32) -> Errno {
        Errno(number as i64)
    }

    /// One that another process may have made up: what no call of Linux's tells becomes EIO.
    pub const fn claimed(number: u32) -> Errno {
        const LAST: u32 = 133;
        match number {
            1..=LAST => Errno(number as i64),
            _ => Errno::EIO,
        }
    }

    /// Whether it never leaves the shim: the call is to be made again, if the signals allow it.
    #[inline]
    pub const fn is_restart(self) -> bool {
        self.0 >= Errno::RESTART.0
    }

    /// A signal came; the call goes on unless a handler without SA_RESTART ran. Numbered as Linux's ERESTARTSYS.
    pub const RESTART: Errno = Errno(512);
    /// A signal came; the call goes on unless a handler ran. Numbered as Linux's ERESTARTNOHAND.
    pub const RESTART_UNHANDLED: Errno = Errno(514);

    /// The number.
    pub const fn raw(self) -> i32 {
        self.0 as i32
    }

    pub const EPERM: Errno = Errno(1);
    pub const ENOENT: Errno = Errno(2);
    pub const ESRCH: Errno = Errno(3);
    pub const EINTR: Errno = Errno(4);
    pub const EIO: Errno = Errno(5);
    pub const ENXIO: Errno = Errno(6);
    pub const E2BIG: Errno = Errno(7);
    pub const ENOEXEC: Errno = Errno(8);
    pub const EBADF: Errno = Errno(9);
    #[cfg_attr(
        not(feature = "host"),
        allow(dead_code, reason = "on seL4 it comes from the root server")
    )]
    pub const ECHILD: Errno = Errno(10);
    pub const EAGAIN: Errno = Errno(11);
    pub const ENOMEM: Errno = Errno(12);
    pub const EACCES: Errno = Errno(13);
    pub const EFAULT: Errno = Errno(14);
    pub const EEXIST: Errno = Errno(17);
    pub const EXDEV: Errno = Errno(18);
    pub const ENODEV: Errno = Errno(19);
    pub const ENOTDIR: Errno = Errno(20);
    pub const EISDIR: Errno = Errno(21);
    pub const EINVAL: Errno = Errno(22);
    pub const EMFILE: Errno = Errno(24);
    pub const EFBIG: Errno = Errno(27);
    pub const ENOTTY: Errno = Errno(25);
    pub const ENOSPC: Errno = Errno(28);
    pub const ESPIPE: Errno = Errno(29);
    pub const EPIPE: Errno = Errno(32);
    pub const EDOM: Errno = Errno(33);
    pub const ERANGE: Errno = Errno(34);
    pub const ENAMETOOLONG: Errno = Errno(36);
    pub const ENOSYS: Errno = Errno(38);
    pub const ELOOP: Errno = Errno(40);
    pub const EOVERFLOW: Errno = Errno(75);
    pub const ENOTSOCK: Errno = Errno(88);
    pub const EDESTADDRREQ: Errno = Errno(89);
    pub const EMSGSIZE: Errno = Errno(90);
    pub const ENOPROTOOPT: Errno = Errno(92);
    pub const EPROTONOSUPPORT: Errno = Errno(93);
    pub const ESOCKTNOSUPPORT: Errno = Errno(94);
    pub const EOPNOTSUPP: Errno = Errno(95);
    pub const EAFNOSUPPORT: Errno = Errno(97);
    pub const EADDRINUSE: Errno = Errno(98);
    pub const EADDRNOTAVAIL: Errno = Errno(99);
    pub const ENETUNREACH: Errno = Errno(101);
    pub const ECONNABORTED: Errno = Errno(103);
    pub const ECONNRESET: Errno = Errno(104);
    pub const ENOBUFS: Errno = Errno(105);
    pub const EISCONN: Errno = Errno(106);
    pub const ENOTCONN: Errno = Errno(107);
    pub const ETIMEDOUT: Errno = Errno(110);
    pub const ECONNREFUSED: Errno = Errno(111);
    pub const EALREADY: Errno = Errno(114);
    pub const EINPROGRESS: Errno = Errno(115);
}
