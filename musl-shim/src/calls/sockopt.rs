// SPDX-License-Identifier: BSD-2-Clause
//! getsockopt and setsockopt.

use crate::abi::*;
use crate::calls::socket::{get_socket, of};
use crate::clock::SECOND;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::net::options::timeout_from;
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
    let file = get_socket(fd)?;
    let socket = of(&file)?;
    let (level, name) = (level as u32, name as u32);
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    let mut options = socket.options.borrow_mut();
    if level == SOL_SOCKET && name == SO_LINGER {
        if len < size_of::<Linger>() {
            return Err(Errno::EINVAL);
        }
        options.linger = user::read(value)?;
        return Ok(0);
    }
    if level == SOL_SOCKET
        && let Some(timeout) = options.timeout(name)
    {
        if len < size_of::<Timeval>() {
            return Err(Errno::EINVAL);
        }
        *timeout = timeout_from(&user::read(value)?)?;
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

/// Writes as much of a value as there is room for, and how much that was.
fn write_value(bytes: &[u8], value: usize, len_at: usize) -> Result<usize, Errno> {
    let room = usize::try_from(user::read::<i32>(len_at)?).map_err(|_| Errno::EINVAL)?;
    let n = room.min(bytes.len());
    user::bytes_mut(value, n)?.copy_from_slice(&bytes[..n]);
    user::write(len_at, n as u32)?;
    Ok(0)
}

fn getsockopt(args: &Args) -> Result<usize, Errno> {
    let [fd, level, name, value, len, _] = *args;
    let file = get_socket(fd)?;
    let socket = of(&file)?;
    let (level, name) = (level as u32, name as u32);
    user::check(len, 4)?;
    let mut options = socket.options.borrow_mut();
    let number = match (level, name) {
        (SOL_SOCKET, SO_LINGER) => {
            let [on, seconds] = [options.linger.l_onoff, options.linger.l_linger];
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&i32::from(on != 0).to_ne_bytes());
            bytes[4..].copy_from_slice(&seconds.to_ne_bytes());
            return write_value(&bytes, value, len);
        }
        (SOL_SOCKET, SO_RCVTIMEO | SO_SNDTIMEO) => {
            let timeout = options.timeout(name).map_or(0, |timeout| *timeout);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(timeout / SECOND).to_ne_bytes());
            bytes[8..].copy_from_slice(&(timeout % SECOND / 1000).to_ne_bytes());
            return write_value(&bytes, value, len);
        }
        (SOL_SOCKET, SO_ERROR) => socket.take_error().map_or(0, Errno::raw),
        (SOL_SOCKET, SO_DOMAIN) => socket.family as i32,
        (SOL_SOCKET, SO_PROTOCOL) if socket.family == AF_INET => IPPROTO_TCP as i32,
        (SOL_SOCKET, SO_PROTOCOL) => 0,
        (SOL_SOCKET, SO_ACCEPTCONN) => {
            i32::from(matches!(*socket.state.borrow(), State::Listening(_)))
        }
        // IP_TOS and the like: what they are if nobody sets them.
        (IPPROTO_IP, _) => 0,
        _ => options.get(level, name)?,
    };
    write_value(&number.to_ne_bytes(), value, len)
}
