// SPDX-License-Identifier: BSD-2-Clause
//! getsockopt and setsockopt.

use alloc::vec::Vec;

use crate::abi::*;
use crate::calls::socket::of;
use crate::calls::{udp, unix};
use crate::clock::SECOND;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::get;
use crate::net::info;
use crate::net::options::{Options, timeout_from};
use crate::net::socket::State;
use crate::user;

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("setsockopt", 54, setsockopt),
    Call::new("getsockopt", 55, getsockopt),
];

/// <https://man7.org/linux/man-pages/man2/setsockopt.2.html>
fn setsockopt(args: &Args) -> Result<usize, Errno> {
    let [fd, level, name, value, len, _] = *args;
    let file = get(fd)?;
    let (level, name) = (level as u32, name as u32);
    if let Some(socket) = file.file.unix() {
        return unix::set_option(socket, level, name, value, len);
    }
    if let Some(socket) = file.file.udp() {
        return udp::set_option(socket, level, name, value, len);
    }
    let socket = of(&file)?;
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    let mut options = socket.options.borrow_mut();
    if set_structure(&mut options, level, name, value, len)? {
        drop(options);
        if name == SO_LINGER {
            socket.apply_options();
        }
        return Ok(0);
    }
    // An unknown name comes before a short value.
    options.get(level, name).or_else(|errno| match level {
        IPPROTO_IP => Ok(0),
        _ => Err(errno),
    })?;
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    options.set(level, name, user::read(value)?)?;
    drop(options);
    if matches!(
        (level, name),
        (SOL_SOCKET, SO_KEEPALIVE) | (IPPROTO_TCP, TCP_NODELAY)
    ) {
        socket.apply_options();
    }
    Ok(0)
}

/// Sets an option whose value is a structure: SO_LINGER and the timeouts. `false`: it is none of them.
pub fn set_structure(
    options: &mut Options,
    level: u32,
    name: u32,
    value: usize,
    len: usize,
) -> Result<bool, Errno> {
    if level == SOL_SOCKET && name == SO_LINGER {
        if len < size_of::<Linger>() {
            return Err(Errno::EINVAL);
        }
        options.linger = user::read(value)?;
        return Ok(true);
    }
    if level == SOL_SOCKET
        && let Some(timeout) = options.timeout(name)
    {
        if len < size_of::<Timeval>() {
            return Err(Errno::EINVAL);
        }
        *timeout = timeout_from(&user::read(value)?)?;
        return Ok(true);
    }
    Ok(false)
}

/// The value of such an option.
pub fn structure(options: &mut Options, level: u32, name: u32) -> Option<Vec<u8>> {
    match (level, name) {
        (SOL_SOCKET, SO_LINGER) => {
            let on = i32::from(options.linger.l_onoff != 0);
            let words = [on, options.linger.l_linger];
            Some(words.into_iter().flat_map(i32::to_ne_bytes).collect())
        }
        (SOL_SOCKET, SO_RCVTIMEO | SO_SNDTIMEO) => {
            let timeout = options.timeout(name).map_or(0, |timeout| *timeout);
            let words = [timeout / SECOND, timeout % SECOND / 1000];
            Some(words.into_iter().flat_map(u64::to_ne_bytes).collect())
        }
        _ => None,
    }
}

/// Writes as much of a value as there is room for, and how much that was.
pub fn write_value(bytes: &[u8], value: usize, len_at: usize) -> Result<usize, Errno> {
    let room = usize::try_from(user::read::<i32>(len_at)?).map_err(|_| Errno::EINVAL)?;
    let n = room.min(bytes.len());
    user::bytes_mut(value, n)?.copy_from_slice(&bytes[..n]);
    user::write(len_at, n as u32)?;
    Ok(0)
}

fn getsockopt(args: &Args) -> Result<usize, Errno> {
    let [fd, level, name, value, len, _] = *args;
    let file = get(fd)?;
    let (level, name) = (level as u32, name as u32);
    if let Some(socket) = file.file.unix() {
        return unix::get_option(socket, level, name, value, len);
    }
    if let Some(socket) = file.file.udp() {
        return udp::get_option(socket, level, name, value, len);
    }
    let socket = of(&file)?;
    user::check(len, 4)?;
    let mut options = socket.options.borrow_mut();
    if let Some(bytes) = structure(&mut options, level, name) {
        return write_value(&bytes, value, len);
    }
    let number = match (level, name) {
        (IPPROTO_TCP, TCP_INFO) => {
            drop(options);
            return write_value(&info::of(socket), value, len);
        }
        (SOL_SOCKET, SO_ERROR) => socket.take_error().map_or(0, Errno::raw),
        (SOL_SOCKET, SO_DOMAIN) => AF_INET as i32,
        (SOL_SOCKET, SO_PROTOCOL) => IPPROTO_TCP as i32,
        (SOL_SOCKET, SO_ACCEPTCONN) => {
            i32::from(matches!(*socket.state.borrow(), State::Listening(_)))
        }
        // No packet has any.
        (IPPROTO_IP, IP_OPTIONS) => return write_value(&[], value, len),
        // IP_TOS and the like: what they are if nobody sets them.
        (IPPROTO_IP, _) => 0,
        _ => options.get(level, name)?,
    };
    write_value(&number.to_ne_bytes(), value, len)
}
