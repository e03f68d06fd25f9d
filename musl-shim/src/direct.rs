// SPDX-License-Identifier: BSD-2-Clause
//! Entries of their own for the calls that programs make most: the overlay of musl calls them with the call's arguments in registers, and each has its
//! handler within it. What they do is what [`dispatch`](crate::dispatch) does.
//!
//! Such a call has two parts. The first one does all that can be done at once. If it fails, the second one gets the errno, and EAGAIN may mean to it that
//! the call has to wait. Nothing is left of the first part then, so the second may run signal handlers that do not return.

use crate::calls::{epoll, io, poll, socket};
use crate::dispatch::{Args, dispatch};
use crate::errno::Errno;

/// Makes call `number`, whose parts are `now` and `late`.
#[cfg(not(feature = "host"))]
#[inline(always)]
fn direct(
    number: usize,
    args: impl Fn() -> Args,
    now: impl FnOnce() -> Result<usize, Errno>,
    late: impl FnOnce(Errno) -> Result<usize, Errno>,
) -> isize {
    use crate::{deliver, platform, shared, trace};
    use core::sync::atomic::Ordering::Relaxed;

    if trace::is_on() {
        return apart(number, &args());
    }
    deliver::enter();
    platform::stats().calls.fetch_add(1, Relaxed);
    shared::take();
    match now() {
        Ok(value) => {
            shared::give();
            deliver::leave();
            value as isize
        }
        Err(errno) => failed(number, args, errno, late),
    }
}

/// The rest of a call whose first part has failed. The core lock is held. Many calls that block come this way, so the arguments stay what they are: the
/// zeroes of an array would be written by SSE, and at each switch of threads the first such instruction traps.
#[cfg(not(feature = "host"))]
#[inline(never)]
fn failed(
    number: usize,
    args: impl Fn() -> Args,
    errno: Errno,
    late: impl FnOnce(Errno) -> Result<usize, Errno>,
) -> isize {
    let result = match late(errno) {
        Err(errno) if errno.is_restart() => crate::dispatch::again(number, &args(), errno),
        result => result,
    };
    crate::shared::give();
    crate::deliver::leave();
    match result {
        Ok(value) => value as isize,
        Err(errno) => -(errno.raw() as isize),
    }
}

/// In host mode some files are Linux's.
#[cfg(feature = "host")]
#[inline(always)]
fn direct(
    number: usize,
    args: impl Fn() -> Args,
    _now: impl FnOnce() -> Result<usize, Errno>,
    _late: impl FnOnce(Errno) -> Result<usize, Errno>,
) -> isize {
    apart(number, &args())
}

#[cold]
#[inline(never)]
fn apart(number: usize, args: &Args) -> isize {
    dispatch(number, args)
}

/// The second part of a call that does everything in the first.
fn no_later<T>(_: T, errno: Errno) -> Result<usize, Errno> {
    Err(errno)
}

/// An entry: its name, the call's number, its two parts, its arguments.
macro_rules! entries {
    ($($name:ident, $number:literal, $now:path, $late:path, $($arg:ident),+;)*) => { $(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: usize),+) -> isize {
            let args = move || {
                let mut args = [0; 6];
                for (place, value) in args.iter_mut().zip([$($arg),+]) {
                    *place = value;
                }
                args
            };
            direct(
                $number,
                args,
                || $now($($arg),+),
                move |errno| $late([$($arg),+], errno),
            )
        }
    )* };
}

entries! {
    __sys_read, 0, io::read_now, io::read_late, fd, buffer, len;
    __sys_write, 1, io::write_now, io::write_late, fd, data, len;
    __sys_poll, 7, poll::poll_for, no_later, fds, count, timeout;
    __sys_sendto, 44, socket::send_to, no_later, fd, data, len, flags, address, address_len;
    __sys_recvfrom, 45, socket::receive_from, no_later, fd, data, len, flags, address, address_len;
    __sys_epoll_wait, 232, epoll::wait_now, epoll::wait_late, fd, events, most, timeout;
    __sys_epoll_ctl, 233, epoll::control, no_later, fd, operation, target, event;
}
