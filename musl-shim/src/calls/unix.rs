// SPDX-License-Identifier: BSD-2-Clause
//! Socket calls for AF_UNIX: messages with what goes with them (unix(7)), and options.

use alloc::rc::Rc;
use alloc::vec::Vec;

use libposix_poll::Deadline;
use vfs_hooks::Events;
use vfs_hooks::channel::READER;
use vfs_hooks::channel_socket::{Kind, RING, Received};

use crate::abi::*;
use crate::calls::io::{blocking, or_end, timeout_of};
use crate::calls::message::{receive_whole, vector};
use crate::calls::socket::send_flags;
use crate::calls::sockopt::{set_structure, structure, write_value};
use crate::dispatch::Args;
use crate::errno::Errno;
use crate::files::channel::Side;
use crate::files::{self, OpenFile, get};
use crate::net::socket::signal_broken_pipe;
use crate::net::unix::UnixSocket;
use crate::net::unix::heir::{self, number};
use crate::net::unix::name::Name;
use crate::net::unix::rights::{self, MOST_FILES};
use crate::process::{UID, pid};
use crate::user::{self, MAX_TRANSFER, bytes, bytes_mut, iovec};
use crate::wait;

/// Bytes of a control message's head, and what a message is padded to.
const HEAD: usize = size_of::<Cmsghdr>();
const ALIGN: usize = 8;

/// Type and protocol of socket(2) and socketpair(2).
pub fn kind(kind: usize, protocol: usize) -> Result<Kind, Errno> {
    /// Types from here on do not exist.
    const SOCK_MAX: u32 = 11;
    let kind = kind as u32 & SOCK_TYPE_MASK;
    if kind >= SOCK_MAX {
        return Err(Errno::EINVAL);
    }
    if !matches!(protocol as u32, 0 | AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    // Linux takes SOCK_RAW for SOCK_DGRAM.
    let kind = if kind == SOCK_RAW { SOCK_DGRAM } else { kind };
    heir::kind(kind).ok_or(Errno::ESOCKTNOSUPPORT)
}

/// connect(2).
pub fn connect(
    file: &OpenFile,
    socket: &UnixSocket,
    address: usize,
    len: usize,
) -> Result<usize, Errno> {
    const UNSPECIFIED: [u8; 2] = [0; 2];
    if len as u32 >= 2 && user::read::<[u8; 2]>(address)? == UNSPECIFIED {
        return socket.disconnect().map(|()| 0);
    }
    socket.connect(Name::read(address, len)?, !file.is_nonblocking())?;
    Ok(0)
}

/// What sendmsg(2) and its relatives send.
struct Outgoing<'a> {
    bytes: &'a [u8],
    files: Vec<Rc<OpenFile>>,
    to: Option<Name>,
    flags: u32,
}

impl Outgoing<'_> {
    fn send(&self, file: &OpenFile, socket: &UnixSocket) -> Result<usize, Errno> {
        let dont_wait = send_flags(self.flags as usize)?;
        let peer = match &self.to {
            Some(to) if socket.kind == Kind::Datagram => Some(socket.find_peer(to)?),
            Some(_) if socket.kind == Kind::Stream => {
                let connected = socket.peer_name().is_ok();
                return Err(if connected {
                    Errno::EISCONN
                } else {
                    Errno::EOPNOTSUPP
                });
            }
            _ => None,
        };
        let mut flight = None;
        let mut control = Vec::new();
        if !self.files.is_empty() {
            let carrier = match &peer {
                Some(peer) => (peer.channel, READER),
                None => {
                    let end = socket.share_end()?.ok_or(Errno::ENOTCONN)?;
                    (end.0, 1 - end.1)
                }
            };
            let (begun, bytes) = rights::send(&self.files, &socket.name(), carrier)?;
            (flight, control) = (Some(begun), bytes);
        }
        let mut done = 0;
        loop {
            let part = &self.bytes[done..];
            let sent = match &peer {
                Some(peer) => to_peer(file, peer, dont_wait, || {
                    socket.send_to(peer, part, &control)
                }),
                None => blocking(file, Events::OUT, dont_wait, || socket.send(part, &control)),
            };
            match sent {
                Ok(n) => done += n,
                // What went before counts; the error comes back at the next call.
                Err(_) if done > 0 => return Ok(done),
                Err(errno) => return Err(errno),
            }
            if let Some(flight) = flight.take()
                && (done > 0 || socket.has_packets())
            {
                flight.landed();
            }
            control.clear();
            let over = done >= self.bytes.len() || socket.has_packets();
            if over || dont_wait || file.is_nonblocking() {
                return Ok(done);
            }
        }
    }

    fn send_loudly(&self, file: &OpenFile, socket: &UnixSocket) -> Result<usize, Errno> {
        let quietly = self.flags & MSG_NOSIGNAL != 0 || socket.has_packets();
        self.send(file, socket)
            .map_err(|errno| signal_broken_pipe(errno, quietly))
    }
}

/// As [`blocking`], waiting for room where a datagram goes.
fn to_peer(
    file: &OpenFile,
    peer: &Side,
    dont_wait: bool,
    mut attempt: impl FnMut() -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut deadline: Option<Deadline> = None;
    let mut in_vain = false;
    loop {
        match attempt() {
            Err(Errno::EAGAIN) if !dont_wait && !file.is_nonblocking() => {
                // Who shares the memory may say that there is room, and then there is none.
                if in_vain {
                    wait::give_way()?;
                }
                in_vain = true;
                let deadline = *deadline.get_or_insert_with(|| timeout_of(file, Events::OUT));
                wait::for_source(peer.source, Events::OUT, deadline)?;
            }
            result => return result,
        }
    }
}

/// sendto(2).
pub fn send_to(file: &OpenFile, socket: &UnixSocket, args: &Args) -> Result<usize, Errno> {
    let [_, data, len, flags, address, address_len] = *args;
    let to = (address != 0 && address_len as u32 != 0)
        .then(|| Name::read(address, address_len))
        .transpose()?;
    let outgoing = Outgoing {
        bytes: bytes(data, len.min(MAX_TRANSFER))?,
        files: Vec::new(),
        to,
        flags: flags as u32,
    };
    outgoing.send_loudly(file, socket)
}

/// The files that control messages name.
fn files_of(control: usize, len: usize) -> Result<Vec<Rc<OpenFile>>, Errno> {
    let mut files = Vec::new();
    let mut at = 0;
    while len >= at + HEAD {
        let head: Cmsghdr = user::read(control + at)?;
        let size = head.cmsg_len as usize;
        if size < HEAD || size > len - at {
            return Err(Errno::EINVAL);
        }
        let data = control + at + HEAD;
        match (head.cmsg_level as u32, head.cmsg_type) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                for i in 0..(size - HEAD) / 4 {
                    files.push(get(user::read::<u32>(data + i * 4)? as usize)?);
                }
                if files.len() > MOST_FILES {
                    return Err(Errno::EINVAL);
                }
            }
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                if size != HEAD + size_of::<Ucred>() {
                    return Err(Errno::EINVAL);
                }
                // Nobody may say to be another.
                if user::read::<Ucred>(data)? != credentials(pid() as u32) {
                    return Err(Errno::EPERM);
                }
            }
            (SOL_SOCKET, _) => return Err(Errno::EINVAL),
            _ => {}
        }
        at += size.next_multiple_of(ALIGN);
    }
    Ok(files)
}

/// Who a process is.
fn credentials(pid: u32) -> Ucred {
    Ucred {
        pid,
        uid: UID as u32,
        gid: UID as u32,
    }
}

/// sendmsg(2).
pub fn send_message(
    file: &OpenFile,
    socket: &UnixSocket,
    message: &Msghdr,
    flags: u32,
) -> Result<usize, Errno> {
    let (vector, count, total) = vector(message)?;
    let to = (message.msg_name != 0 && message.msg_namelen != 0)
        .then(|| Name::read(message.msg_name as usize, message.msg_namelen as usize))
        .transpose()?;
    let files = files_of(
        message.msg_control as usize,
        match message.msg_control {
            0 => 0,
            _ => message.msg_controllen as usize,
        },
    )?;
    let mut whole = Vec::new();
    let bytes = if count == 1 {
        let (base, len) = iovec(vector, 0)?;
        bytes(base, len.min(MAX_TRANSFER))?
    } else {
        // No packet is larger than a ring; of a stream this much goes at a time, and the rest is the caller's affair.
        for i in 0..count {
            let (base, len) = iovec(vector, i)?;
            whole.extend_from_slice(bytes(base, len.min(total - whole.len()))?);
        }
        &whole
    };
    let outgoing = Outgoing {
        bytes,
        files,
        to,
        flags,
    };
    outgoing.send_loudly(file, socket)
}

/// Receives into a buffer, for as long as the flags say.
fn receive(
    file: &OpenFile,
    socket: &UnixSocket,
    buffer: &mut [u8],
    flags: u32,
) -> Result<Received, Errno> {
    if flags & MSG_OOB != 0 {
        return Err(match socket.kind {
            Kind::Stream => Errno::EINVAL,
            _ => Errno::EOPNOTSUPP,
        });
    }
    let (peek, dont_wait) = (flags & MSG_PEEK != 0, flags & MSG_DONTWAIT != 0);
    let take =
        |buffer: &mut [u8]| blocking(file, Events::IN, dont_wait, || socket.receive(buffer, peek));
    let mut got = match take(buffer) {
        Err(errno) if !dont_wait => or_end(file, errno)?,
        got => got?,
    };
    if flags & MSG_WAITALL != 0 && !peek && socket.kind == Kind::Stream {
        while got.copied > 0 && got.copied < buffer.len() && got.control.is_empty() {
            match take(&mut buffer[got.copied..]) {
                Ok(more) if more.copied > 0 => {
                    got.copied += more.copied;
                    got.control = more.control;
                }
                _ => break,
            }
        }
        got.len = got.copied;
    }
    Ok(got)
}

/// How many bytes a receive says that there were.
fn length(got: &Received, flags: u32) -> usize {
    if flags & MSG_TRUNC != 0 {
        got.len
    } else {
        got.copied
    }
}

/// The name of who sent something.
fn sender(socket: &UnixSocket, name: Name) -> Name {
    if name.is_empty() && socket.kind != Kind::Datagram {
        return socket.peer_name().unwrap_or_default();
    }
    name
}

/// recvfrom(2).
pub fn receive_from(file: &OpenFile, socket: &UnixSocket, args: &Args) -> Result<usize, Errno> {
    let [_, data, len, flags, address, address_len] = *args;
    let flags = flags as u32;
    let buffer = bytes_mut(data, len.min(MAX_TRANSFER))?;
    let got = receive(file, socket, buffer, flags)?;
    let name = match &got.control[..] {
        [] => Name::default(),
        control => rights::open(socket, control).0,
    };
    if address != 0 && address_len != 0 {
        let name = sender(socket, name);
        if name.is_empty() {
            user::write(address_len, 0u32)?;
        } else {
            name.write(address, address_len)?;
        }
    }
    Ok(length(&got, flags))
}

/// recvmsg(2).
pub fn receive_message(
    file: &OpenFile,
    socket: &UnixSocket,
    (at, message): (usize, Msghdr),
    flags: u32,
) -> Result<usize, Errno> {
    let fill = |buffer: &mut [u8]| receive(file, socket, buffer, flags);
    let got = receive_whole(&message, RING as usize, fill, |got| got.copied)?;
    let (name, files) = match &got.control[..] {
        [] => (Name::default(), Vec::new()),
        control => rights::open(socket, control),
    };
    let mut control = Control {
        at: message.msg_control as usize,
        room: match message.msg_control {
            0 => 0,
            _ => message.msg_controllen as usize,
        },
        used: 0,
        flags: flags & MSG_CMSG_CLOEXEC,
    };
    if socket.pass_credentials.get() {
        let pid = if got.sender == 0 {
            pid() as u32
        } else {
            got.sender
        };
        control.put_credentials(credentials(pid))?;
    }
    control.put_files(files)?;
    if got.len > got.copied {
        control.flags |= MSG_TRUNC;
    }
    let mut name_len = 0;
    if message.msg_name != 0 {
        let name = sender(socket, name);
        if !name.is_empty() {
            let bytes = name.bytes();
            let n = bytes.len().min(message.msg_namelen as usize);
            bytes_mut(message.msg_name as usize, n)?.copy_from_slice(&bytes[..n]);
            name_len = bytes.len() as u32;
        }
    }
    let message = Msghdr {
        msg_namelen: name_len,
        msg_controllen: control.used as u64,
        msg_flags: control.flags as i32,
        ..message
    };
    user::write(at, message)?;
    Ok(length(&got, flags))
}

/// The control messages that are given to the program.
struct Control {
    at: usize,
    room: usize,
    used: usize,
    flags: u32,
}

impl Control {
    /// Bytes for data of one more; `None`: none, and the program is told that something is missing.
    fn next(&mut self) -> Option<usize> {
        let room = (self.room - self.used).checked_sub(HEAD);
        if room.is_none() {
            self.flags |= MSG_CTRUNC;
        }
        room
    }

    fn head(&mut self, kind: i32, data: usize) -> Result<(), Errno> {
        let head = Cmsghdr {
            cmsg_len: (HEAD + data) as u64,
            cmsg_level: SOL_SOCKET as i32,
            cmsg_type: kind,
        };
        user::write(self.at + self.used, head)?;
        let size = (HEAD + data).next_multiple_of(ALIGN);
        self.used += size.min(self.room - self.used);
        Ok(())
    }

    fn put_credentials(&mut self, who: Ucred) -> Result<(), Errno> {
        let Some(room) = self.next() else {
            return Ok(());
        };
        let words = [who.pid, who.uid, who.gid];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let n = room.min(bytes.len());
        if n < bytes.len() {
            self.flags |= MSG_CTRUNC;
        }
        bytes_mut(self.at + self.used + HEAD, n)?.copy_from_slice(&bytes[..n]);
        self.head(SCM_CREDENTIALS, n)
    }

    /// Gives the files numbers; those for which there is no room or number are closed.
    fn put_files(&mut self, files: Vec<Rc<OpenFile>>) -> Result<(), Errno> {
        if files.is_empty() {
            return Ok(());
        }
        let Some(room) = self.next() else {
            return Ok(());
        };
        let close = match self.flags & MSG_CMSG_CLOEXEC {
            0 => 0,
            _ => O_CLOEXEC,
        };
        let data = self.at + self.used + HEAD;
        let mut put = 0;
        for file in &files {
            let fits = (put + 1) * 4 <= room;
            match fits.then(|| files::install(file.clone(), close)) {
                Some(Ok(fd)) => user::write(data + put * 4, fd as u32)?,
                _ => {
                    self.flags |= MSG_CTRUNC;
                    break;
                }
            }
            put += 1;
        }
        if put > 0 {
            self.head(SCM_RIGHTS, put * 4)?;
        }
        Ok(())
    }
}

/// setsockopt(2).
pub fn set_option(
    socket: &UnixSocket,
    level: u32,
    name: u32,
    value: usize,
    len: usize,
) -> Result<usize, Errno> {
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    if level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut options = socket.options.borrow_mut();
    if set_structure(&mut options, level, name, value, len)? {
        return Ok(0);
    }
    // An unknown name comes before a short value.
    if name != SO_PASSCRED {
        options.get(level, name)?;
    }
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    let value = user::read::<i32>(value)?;
    match name {
        SO_PASSCRED => socket.pass_credentials.set(value != 0),
        _ => options.set(level, name, value)?,
    }
    Ok(0)
}

/// getsockopt(2).
pub fn get_option(
    socket: &UnixSocket,
    level: u32,
    name: u32,
    value: usize,
    len: usize,
) -> Result<usize, Errno> {
    user::check(len, 4)?;
    if level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut options = socket.options.borrow_mut();
    if let Some(bytes) = structure(&mut options, level, name) {
        return write_value(&bytes, value, len);
    }
    let number = match name {
        SO_PEERCRED => {
            let who = match socket.peer() {
                0 => [0, u32::MAX, u32::MAX],
                pid => [pid, UID as u32, UID as u32],
            };
            let bytes: Vec<u8> = who.into_iter().flat_map(u32::to_ne_bytes).collect();
            return write_value(&bytes, value, len);
        }
        SO_ERROR => socket.take_error().map_or(0, Errno::raw),
        SO_TYPE => number(socket.kind) as i32,
        SO_DOMAIN => AF_UNIX as i32,
        SO_PROTOCOL => 0,
        SO_ACCEPTCONN => i32::from(socket.is_listening()),
        SO_PASSCRED => i32::from(socket.pass_credentials.get()),
        _ => options.get(level, name)?,
    };
    write_value(&number.to_ne_bytes(), value, len)
}
