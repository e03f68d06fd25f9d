// SPDX-License-Identifier: BSD-2-Clause
//! Socket calls. What they are for AF_UNIX is in [`unix`](super::unix); of AF_INET messages carry no control data and no other address than
//! the connection's.

use alloc::rc::Rc;

use vfs_hooks::Events;
use vfs_hooks::stream::Shutdown;

use crate::abi::*;
use crate::calls::io::{blocking, write_all, write_vector};
use crate::calls::{udp, unix};
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::{self, OpenFile, get};
use crate::net::address::Address;
use crate::net::connect::Progress;
use crate::net::socket::{Socket, signal_broken_pipe};
use crate::net::udp::UdpSocket;
use crate::net::unix::UnixSocket;
use crate::net::unix::name::Name;
use crate::user::{self, MAX_TRANSFER, bytes, bytes_mut, check_iovecs, iovec};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("socket", 41, socket),
    Call::new("connect", 42, connect),
    Call::new("accept", 43, accept),
    Call::new("sendto", 44, sendto),
    Call::new("recvfrom", 45, recvfrom),
    Call::new("sendmsg", 46, sendmsg),
    Call::new("recvmsg", 47, recvmsg),
    Call::new("shutdown", 48, shutdown),
    Call::new("bind", 49, bind),
    Call::new("listen", 50, listen),
    Call::new("getsockname", 51, getsockname),
    Call::new("getpeername", 52, getpeername),
    Call::new("socketpair", 53, socketpair),
    Call::new("accept4", 288, accept4),
];

/// The open file of a socket's fd; ENOTSOCK for another kind.
fn get_socket(fd: usize) -> Result<Rc<OpenFile>, Errno> {
    let file = get(fd)?;
    if file.file.unix().is_none() && file.file.udp().is_none() {
        of(&file)?;
    }
    Ok(file)
}

/// The socket of AF_INET of an open file.
pub fn of(file: &OpenFile) -> Result<&Socket, Errno> {
    file.file.socket().ok_or(Errno::ENOTSOCK)
}

/// The flags in the type of socket(2) and socketpair(2).
fn check_flags(kind: usize) -> Result<u32, Errno> {
    let flags = kind as u32 & !SOCK_TYPE_MASK;
    if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

/// Checks type and flags of socket(2) and socketpair(2); returns the flags.
fn check_type(kind: usize) -> Result<u32, Errno> {
    /// Types from here on do not exist.
    const SOCK_MAX: u32 = 11;
    let flags = check_flags(kind)?;
    match kind as u32 & SOCK_TYPE_MASK {
        SOCK_STREAM => Ok(flags),
        SOCK_MAX.. => Err(Errno::EINVAL),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// <https://man7.org/linux/man-pages/man2/socket.2.html>
fn socket(args: &Args) -> Result<usize, Errno> {
    let [family, kind, protocol, ..] = *args;
    if family as u32 == AF_UNIX {
        let flags = check_flags(kind)?;
        let kind = unix::kind(kind, protocol)?;
        return files::install(UnixSocket::new(kind).into_file(flags), flags);
    }
    if family as u32 != AF_INET {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind as u32 & SOCK_TYPE_MASK == SOCK_DGRAM {
        let flags = check_flags(kind)?;
        return match protocol as u32 {
            0 | IPPROTO_UDP => files::install(UdpSocket::new().into_file(flags), flags),
            _ => Err(Errno::EPROTONOSUPPORT),
        };
    }
    let flags = check_type(kind)?;
    if !matches!(protocol as u32, 0 | IPPROTO_TCP) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    files::install(Socket::tcp().into_file(flags), flags)
}

fn socketpair(args: &Args) -> Result<usize, Errno> {
    let [family, kind, protocol, fds, ..] = *args;
    // In Linux's order: flags, the pointer, family, type, protocol.
    let flags = check_flags(kind)?;
    user::check(fds, 8)?;
    if !matches!(family as u32, AF_UNIX | AF_INET) {
        return Err(Errno::EAFNOSUPPORT);
    }
    let checked = check_type(kind);
    if checked == Err(Errno::EINVAL) {
        return Err(Errno::EINVAL);
    }
    if family as u32 == AF_INET {
        const SOCK_DGRAM: u32 = 2;
        let ours = match kind as u32 & SOCK_TYPE_MASK {
            SOCK_STREAM => IPPROTO_TCP,
            SOCK_DGRAM => IPPROTO_UDP,
            _ => return Err(Errno::ESOCKTNOSUPPORT),
        };
        if protocol != 0 && protocol as u32 != ours {
            return Err(Errno::EPROTONOSUPPORT);
        }
        return Err(Errno::EOPNOTSUPP);
    }
    let kind = unix::kind(kind, protocol)?;
    let pair = UnixSocket::pair(kind).map(|socket| socket.into_file(flags));
    let numbers = files::install_pair(pair, flags)?;
    user::write(fds, numbers.map(|fd| fd as u32))?;
    Ok(0)
}

/// An IPv4 address as an argument.
fn read_address(address: usize, len: usize, unspecified: bool) -> Result<Address, Errno> {
    match Address::read(address, len)? {
        (AF_INET, address) => Ok(address),
        // bind(2) takes the family 0 for all addresses.
        (0, _) if unspecified => Ok(Address::default()),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn bind(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    if let Some(socket) = file.file.unix() {
        socket.bind(Name::read(args[1], args[2])?)?;
        return Ok(0);
    }
    let address = read_address(args[1], args[2], true)?;
    if let Some(socket) = file.file.udp() {
        return udp::bind(socket, address);
    }
    of(&file)?.bind(address)?;
    Ok(0)
}

fn listen(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    if file.file.udp().is_some() {
        return Err(Errno::EOPNOTSUPP);
    }
    match file.file.unix() {
        Some(socket) => socket.listen(args[1] as i32)?,
        None => of(&file)?.listen(args[1] as i32)?,
    }
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/connect.2.html>
fn connect(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    if let Some(socket) = file.file.unix() {
        return unix::connect(&file, socket, args[1], args[2]);
    }
    if let Some(socket) = file.file.udp() {
        return udp::connect(socket, args[1], args[2]);
    }
    let socket = of(&file)?;
    let address = read_address(args[1], args[2], false)?;
    let wait = !file.is_nonblocking();
    match socket.begin_connect(address, wait)? {
        Progress::Done => return Ok(0),
        Progress::Begun if !wait => return Err(Errno::EINPROGRESS),
        Progress::Begun => {}
    }
    let result = blocking(&file, Events::OUT, false, || socket.finish_connect());
    match result {
        // SO_SNDTIMEO
        Err(Errno::EAGAIN) => Err(Errno::EINPROGRESS),
        result => result.map(|()| 0),
    }
}

fn accept(args: &Args) -> Result<usize, Errno> {
    accept4(&[args[0], args[1], args[2], 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/accept.2.html>
fn accept4(args: &Args) -> Result<usize, Errno> {
    let [fd, address, len, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = get_socket(fd)?;
    if file.file.udp().is_some() {
        return Err(Errno::EOPNOTSUPP);
    }
    // First, so that no connection is taken that cannot be given a number.
    if !files::table().has_room(1, crate::process::file_limit()) {
        return Err(Errno::EMFILE);
    }
    if address != 0 {
        user::check(len, 4)?;
    }
    if let Some(listener) = file.file.unix() {
        let socket = blocking(&file, Events::IN, false, || listener.accept())?;
        let peer = socket.peer_name();
        let new = files::install(socket.into_file(flags), flags)?;
        if address != 0 {
            peer?.write(address, len)?;
        }
        return Ok(new);
    }
    let listener = of(&file)?;
    let socket = blocking(&file, Events::IN, false, || listener.accept())?;
    let peer = socket.peer_name_or_any();
    let new = files::install(socket.into_file(flags), flags)?;
    if address != 0 {
        peer.write(address, len)?;
    }
    Ok(new)
}

fn getsockname(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    if let Some(socket) = file.file.udp() {
        return udp::name(socket).write(args[1], args[2]).map(|()| 0);
    }
    match file.file.unix() {
        Some(socket) => socket.name().write(args[1], args[2])?,
        None => of(&file)?.name().write(args[1], args[2])?,
    }
    Ok(0)
}

fn getpeername(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    if let Some(socket) = file.file.udp() {
        return udp::peer(socket)?.write(args[1], args[2]).map(|()| 0);
    }
    match file.file.unix() {
        Some(socket) => socket.peer_name()?.write(args[1], args[2])?,
        None => of(&file)?.peer_name()?.write(args[1], args[2])?,
    }
    Ok(0)
}

fn shutdown(args: &Args) -> Result<usize, Errno> {
    let file = get_socket(args[0])?;
    let how = match args[1] as u32 {
        SHUT_RD => Shutdown::Read,
        SHUT_WR => Shutdown::Write,
        SHUT_RDWR => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    if let Some(socket) = file.file.udp() {
        return socket.shut_down(how).map(|()| 0);
    }
    match file.file.unix() {
        Some(socket) => socket.shut_down(how)?,
        None => of(&file)?.shut_down(how)?,
    }
    Ok(0)
}

/// Flags of a send: whether not to wait.
pub fn send_flags(flags: usize) -> Result<bool, Errno> {
    if flags as u32 & MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(flags as u32 & MSG_DONTWAIT != 0)
}

fn sendto(args: &Args) -> Result<usize, Errno> {
    let [fd, data, len, flags, address, address_len] = *args;
    send_to(fd, data, len, flags, address, address_len)
}

/// sendto(2).
pub fn send_to(
    fd: usize,
    data: usize,
    len: usize,
    flags: usize,
    address: usize,
    address_len: usize,
) -> Result<usize, Errno> {
    user::check_range(data, len.min(MAX_TRANSFER))?;
    let file = get_socket(fd)?;
    let args = &[fd, data, len, flags, address, address_len];
    if let Some(socket) = file.file.unix() {
        return unix::send_to(&file, socket, args);
    }
    if let Some(socket) = file.file.udp() {
        return udp::send_to(socket, args);
    }
    let dont_wait = send_flags(flags)?;
    let quietly = flags as u32 & MSG_NOSIGNAL != 0;
    let data = bytes(data, len.min(MAX_TRANSFER))?;
    write_all(&file, data, dont_wait).map_err(|error| signal_broken_pipe(error, quietly))
}

/// <https://man7.org/linux/man-pages/man2/sendmsg.2.html>
pub fn sendmsg(args: &Args) -> Result<usize, Errno> {
    let [fd, message, flags, ..] = *args;
    let file = get_socket(fd)?;
    let message: Msghdr = user::read(message)?;
    if let Some(socket) = file.file.unix() {
        return unix::send_message(&file, socket, &message, flags as u32);
    }
    if let Some(socket) = file.file.udp() {
        return udp::send_message(socket, &message, flags as u32);
    }
    let dont_wait = send_flags(flags)?;
    if message.msg_controllen != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let quietly = flags as u32 & MSG_NOSIGNAL != 0;
    let (vector, count) = (message.msg_iov as usize, message.msg_iovlen as usize);
    write_vector(&file, vector, count, dont_wait)
        .map_err(|error| signal_broken_pipe(error, quietly))
}

/// Receives into one buffer after the other.
///
/// Without MSG_WAITALL only the first bytes are waited for; with MSG_PEEK only one buffer is filled, since what
/// is looked at stays in front.
fn receive(
    file: &OpenFile,
    flags: usize,
    buffers: impl Iterator<Item = Result<(usize, usize), Errno>>,
) -> Result<usize, Errno> {
    let flags = flags as u32;
    if flags & MSG_OOB != 0 {
        return Err(Errno::EINVAL);
    }
    let socket = of(file)?;
    let peek = flags & MSG_PEEK != 0;
    let dont_wait = flags & MSG_DONTWAIT != 0;
    let wait_for_all = flags & MSG_WAITALL != 0 && !peek;
    let mut total = 0;
    let mut asked = 0;
    for buffer in buffers {
        let (base, len) = buffer?;
        asked += len;
        let mut buffer = bytes_mut(base, len)?;
        while !buffer.is_empty() {
            let wait = total == 0 || wait_for_all;
            let result = blocking(file, Events::IN, dont_wait || !wait, || {
                socket.receive(buffer, peek)
            });
            let n = match result {
                Ok(n) => n,
                Err(_) if total > 0 => return Ok(total),
                Err(errno) => return Err(errno),
            };
            total += n;
            buffer = &mut buffer[n..];
            if n == 0 || peek || (!wait_for_all && !buffer.is_empty()) {
                return Ok(total);
            }
        }
    }
    if asked == 0 {
        // As Linux: of no bytes, but only when there are some, or the end.
        blocking(file, Events::IN, dont_wait, || {
            socket.receive(&mut [0], true)
        })?;
    }
    Ok(total)
}

fn recvfrom(args: &Args) -> Result<usize, Errno> {
    let [fd, data, len, flags, address, address_len] = *args;
    receive_from(fd, data, len, flags, address, address_len)
}

/// recvfrom(2).
pub fn receive_from(
    fd: usize,
    data: usize,
    len: usize,
    flags: usize,
    address: usize,
    address_len: usize,
) -> Result<usize, Errno> {
    user::check_range(data, len.min(MAX_TRANSFER))?;
    let file = get_socket(fd)?;
    let args = &[fd, data, len, flags, address, address_len];
    if let Some(socket) = file.file.unix() {
        return unix::receive_from(&file, socket, args);
    }
    if let Some(socket) = file.file.udp() {
        return udp::receive_from(&file, socket, args);
    }
    let buffer = Ok((data, len.min(MAX_TRANSFER)));
    let n = receive(&file, flags, core::iter::once(buffer))?;
    // A connection's data come with no address.
    if address != 0 && address_len != 0 {
        user::write(address_len, 0u32)?;
    }
    Ok(n)
}

/// <https://man7.org/linux/man-pages/man2/recvmsg.2.html>
pub fn recvmsg(args: &Args) -> Result<usize, Errno> {
    let [fd, at, flags, ..] = *args;
    let file = get_socket(fd)?;
    let message: Msghdr = user::read(at)?;
    if let Some(socket) = file.file.unix() {
        return unix::receive_message(&file, socket, (at, message), flags as u32);
    }
    if let Some(socket) = file.file.udp() {
        return udp::receive_message(&file, socket, (at, message), flags as u32);
    }
    let (vector, count) = (message.msg_iov as usize, message.msg_iovlen as usize);
    check_iovecs(vector, count).map_err(|errno| match errno {
        Errno::EINVAL => Errno::EMSGSIZE,
        errno => errno,
    })?;
    let n = receive(&file, flags, (0..count).map(|i| iovec(vector, i)))?;
    let message = Msghdr {
        msg_namelen: 0,
        msg_controllen: 0,
        msg_flags: 0,
        ..message
    };
    user::write(at, message)?;
    Ok(n)
}
