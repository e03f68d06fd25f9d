// SPDX-License-Identifier: BSD-2-Clause
//! Socket calls for UDP: messages with what goes with them (ip(7), IP_PKTINFO), and options.

use alloc::vec::Vec;

use vfs_hooks::Events;
use vfs_hooks::udp::{End, LARGEST, Received};

use crate::abi::*;
use crate::calls::io::{blocking, or_end};
use crate::calls::message::{receive_whole, vector};
use crate::calls::socket::send_flags;
use crate::calls::sockopt::{set_structure, structure, write_value};
use crate::dispatch::Args;
use crate::errno::Errno;
use crate::files::OpenFile;
use crate::net::address::{Address, is_loopback};
use crate::net::udp::UdpSocket;
use crate::user::{self, MAX_TRANSFER, bytes, bytes_mut, iovec};

/// Bytes of a control message's head, and what a message is padded to.
const HEAD: usize = size_of::<Cmsghdr>();
const ALIGN: usize = 8;
/// ip(7), and errors that wait apart.
const IP_PKTINFO: u32 = 8;
const MSG_ERRQUEUE: u32 = 0x2000;
/// Bytes of struct in_pktinfo: interface, own address, destination.
const INFO: usize = 12;
/// Numbers of the interfaces: the loopback, and the card.
const INTERFACES: [u32; 2] = [1, 2];

fn address(end: End) -> Address {
    let End { ip, port } = end;
    Address { ip, port }
}

fn end(address: Address) -> End {
    let Address { ip, port } = address;
    End { ip, port }
}

/// connect(2).
pub fn connect(socket: &UdpSocket, at: usize, len: usize) -> Result<usize, Errno> {
    match Address::read(at, len)? {
        (AF_INET, to) => socket.connect(end(to))?,
        (0, _) => socket.disconnect()?,
        _ => return Err(Errno::EAFNOSUPPORT),
    }
    Ok(0)
}

/// getpeername(2).
pub fn peer(socket: &UdpSocket) -> Result<Address, Errno> {
    socket.peer().map(address).ok_or(Errno::ENOTCONN)
}

/// getsockname(2).
pub fn name(socket: &UdpSocket) -> Address {
    address(socket.name())
}

/// bind(2).
pub fn bind(socket: &UdpSocket, wanted: Address) -> Result<usize, Errno> {
    socket.bind(end(wanted)).map(|()| 0)
}

/// Where a message is to go; the family may be left out, as on Linux.
fn destination(at: usize, len: usize) -> Result<End, Errno> {
    if (len as u32 as usize) < size_of::<SockaddrIn>() {
        return Err(Errno::EINVAL);
    }
    let to: SockaddrIn = user::read(at)?;
    if !matches!(u32::from(u16::from_ne_bytes(to.sin_family)), AF_INET | 0) {
        return Err(Errno::EAFNOSUPPORT);
    }
    Ok(End {
        ip: u32::from_be_bytes(to.sin_addr),
        port: u16::from_be_bytes(to.sin_port),
    })
}

/// sendto(2).
pub fn send_to(socket: &UdpSocket, args: &Args) -> Result<usize, Errno> {
    let [_, data, len, flags, at, at_len] = *args;
    send_flags(flags)?;
    let to = (at != 0).then(|| destination(at, at_len)).transpose()?;
    socket.send(to, None, bytes(data, len.min(MAX_TRANSFER))?)
}

/// The address that a message is to come from, if it says so (IP_PKTINFO).
fn source(control: usize, len: usize) -> Result<Option<u32>, Errno> {
    let (mut at, mut source) = (0, None);
    while len >= at + HEAD {
        let head: Cmsghdr = user::read(control + at)?;
        let size = head.cmsg_len as usize;
        if size < HEAD || size > len - at {
            return Err(Errno::EINVAL);
        }
        if (head.cmsg_level as u32, head.cmsg_type as u32) == (IPPROTO_IP, IP_PKTINFO) {
            if size != HEAD + INFO {
                return Err(Errno::EINVAL);
            }
            let own: [u8; 4] = user::read(control + at + HEAD + 4)?;
            source = Some(u32::from_be_bytes(own)).filter(|ip| *ip != 0);
        }
        at += size.next_multiple_of(ALIGN);
    }
    Ok(source)
}

/// sendmsg(2).
pub fn send_message(socket: &UdpSocket, message: &Msghdr, flags: u32) -> Result<usize, Errno> {
    let (vector, count, total) = vector(message)?;
    send_flags(flags as usize)?;
    let to = (message.msg_name != 0 && message.msg_namelen != 0)
        .then(|| destination(message.msg_name as usize, message.msg_namelen as usize))
        .transpose()?;
    let from = match message.msg_control {
        0 => None,
        control => source(control as usize, message.msg_controllen as usize)?,
    };
    if count == 1 {
        let (base, len) = iovec(vector, 0)?;
        return socket.send(to, from, bytes(base, len.min(MAX_TRANSFER))?);
    }
    if total > LARGEST {
        return Err(Errno::EMSGSIZE);
    }
    let mut whole = Vec::with_capacity(total);
    for i in 0..count {
        let (base, len) = iovec(vector, i)?;
        whole.extend_from_slice(bytes(base, len)?);
    }
    socket.send(to, from, &whole)
}

/// Takes a datagram. After SHUT_RD who may wait finds the end.
fn receive(
    file: &OpenFile,
    socket: &UdpSocket,
    buffer: &mut [u8],
    flags: u32,
) -> Result<Received, Errno> {
    if flags & MSG_ERRQUEUE != 0 {
        return Err(Errno::EAGAIN);
    }
    let (peek, dont_wait) = (flags & MSG_PEEK != 0, flags & MSG_DONTWAIT != 0);
    let got = blocking(file, Events::IN, dont_wait, || socket.receive(buffer, peek));
    match got {
        Err(errno) if !dont_wait => or_end(file, errno),
        got => got,
    }
}

/// How many bytes a receive says that there were.
fn length(got: &Received, flags: u32) -> usize {
    if flags & MSG_TRUNC != 0 {
        got.datagram.len
    } else {
        got.copied
    }
}

/// recvfrom(2).
pub fn receive_from(file: &OpenFile, socket: &UdpSocket, args: &Args) -> Result<usize, Errno> {
    let [_, data, len, flags, at, at_len] = *args;
    let flags = flags as u32;
    let buffer = bytes_mut(data, len.min(MAX_TRANSFER))?;
    let got = receive(file, socket, buffer, flags)?;
    if at != 0 && at_len != 0 {
        address(got.datagram.other).write(at, at_len)?;
    }
    Ok(length(&got, flags))
}

/// recvmsg(2).
pub fn receive_message(
    file: &OpenFile,
    socket: &UdpSocket,
    (at, message): (usize, Msghdr),
    flags: u32,
) -> Result<usize, Errno> {
    let fill = |buffer: &mut [u8]| receive(file, socket, buffer, flags);
    let got = receive_whole(&message, LARGEST, fill, |got| got.copied)?;
    let mut told = Msghdr {
        msg_controllen: 0,
        msg_flags: 0,
        ..message
    };
    if got.datagram.len > got.copied {
        told.msg_flags |= MSG_TRUNC as i32;
    }
    if message.msg_name != 0 {
        let bytes = address(got.datagram.other).bytes();
        let n = bytes.len().min(message.msg_namelen as usize);
        bytes_mut(message.msg_name as usize, n)?.copy_from_slice(&bytes[..n]);
        told.msg_namelen = bytes.len() as u32;
    }
    if socket.packet_info.get() {
        put_info(&mut told, message.msg_controllen as usize, got.datagram.own)?;
    }
    user::write(at, told)?;
    Ok(length(&got, flags))
}

/// Tells to which address a datagram was sent (IP_PKTINFO).
fn put_info(told: &mut Msghdr, room: usize, own: u32) -> Result<(), Errno> {
    let control = told.msg_control as usize;
    let room = if control == 0 { 0 } else { room };
    if room < HEAD {
        told.msg_flags |= MSG_CTRUNC as i32;
        return Ok(());
    }
    let interface = INTERFACES[usize::from(!is_loopback(own))];
    let mut info = [0; INFO];
    info[..4].copy_from_slice(&interface.to_ne_bytes());
    info[4..8].copy_from_slice(&own.to_be_bytes());
    info[8..].copy_from_slice(&own.to_be_bytes());
    let n = INFO.min(room - HEAD);
    if n < INFO {
        told.msg_flags |= MSG_CTRUNC as i32;
    }
    bytes_mut(control + HEAD, n)?.copy_from_slice(&info[..n]);
    let head = Cmsghdr {
        cmsg_len: (HEAD + n) as u64,
        cmsg_level: IPPROTO_IP as i32,
        cmsg_type: IP_PKTINFO as i32,
    };
    user::write(control, head)?;
    told.msg_controllen = (HEAD + n).next_multiple_of(ALIGN).min(room) as u64;
    Ok(())
}

/// setsockopt(2).
pub fn set_option(
    socket: &UdpSocket,
    level: u32,
    name: u32,
    value: usize,
    len: usize,
) -> Result<usize, Errno> {
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    let mut options = socket.options.borrow_mut();
    if set_structure(&mut options, level, name, value, len)? {
        return Ok(0);
    }
    // An unknown name comes before a short value.
    match level {
        SOL_SOCKET => drop(options.get(level, name)?),
        IPPROTO_IP => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    // Options of IP may be bytes.
    let number = match len {
        4.. => user::read::<i32>(value)?,
        1.. if level == IPPROTO_IP => user::read::<u8>(value)?.into(),
        _ => return Err(Errno::EINVAL),
    };
    match (level, name) {
        (IPPROTO_IP, IP_PKTINFO) => socket.packet_info.set(number != 0),
        _ => options.set(level, name, number)?,
    }
    Ok(0)
}

/// getsockopt(2).
pub fn get_option(
    socket: &UdpSocket,
    level: u32,
    name: u32,
    value: usize,
    len: usize,
) -> Result<usize, Errno> {
    user::check(len, 4)?;
    let mut options = socket.options.borrow_mut();
    if let Some(bytes) = structure(&mut options, level, name) {
        return write_value(&bytes, value, len);
    }
    let number = match (level, name) {
        (SOL_SOCKET, SO_ERROR) => socket.take_error().map_or(0, Errno::raw),
        (SOL_SOCKET, SO_TYPE) => SOCK_DGRAM as i32,
        (SOL_SOCKET, SO_DOMAIN) => AF_INET as i32,
        (SOL_SOCKET, SO_PROTOCOL) => IPPROTO_UDP as i32,
        (SOL_SOCKET, SO_ACCEPTCONN) => 0,
        (IPPROTO_IP, IP_PKTINFO) => i32::from(socket.packet_info.get()),
        // No packet has any.
        (IPPROTO_IP, IP_OPTIONS) => return write_value(&[], value, len),
        // IP_TOS and the like: what they are if nobody sets them.
        (IPPROTO_IP, _) => 0,
        (SOL_SOCKET, _) => options.get(level, name)?,
        _ => return Err(Errno::ENOPROTOOPT),
    };
    write_value(&number.to_ne_bytes(), value, len)
}
