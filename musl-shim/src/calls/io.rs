// SPDX-License-Identifier: BSD-2-Clause
//! Reading and writing, and ioctl.

use alloc::vec;
use alloc::vec::Vec;

use crate::errno::Errno;
use libposix_poll::Deadline;
use vfs_hooks::Events;
use vfs_hooks::channel_socket::Kind;
use vfs_hooks::source::SourceId;

use crate::abi::*;
use crate::clock::monotonic;
use crate::dispatch::{Args, Call};
use crate::files::eventfd::EventFile;
use crate::files::{self, OpenFile, get};
use crate::net::socket::{UNIX_BUFFER, signal_broken_pipe};
use crate::net::udp::UdpSocket;
use crate::net::unix::UnixSocket;
use crate::platform::adopt;
use crate::user::{
    self, MAX_TRANSFER, bytes, bytes_mut, check_iovecs, iovec, transfer, transfer_mut,
};
use crate::wait::{self, News};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("read", 0, read),
    Call::new("write", 1, write),
    Call::new("ioctl", 16, ioctl),
    Call::new("pipe", 22, pipe),
    Call::new("pread64", 17, pread64),
    Call::new("pwrite64", 18, pwrite64),
    Call::new("readv", 19, readv),
    Call::new("writev", 20, writev),
    Call::new("eventfd", 284, eventfd),
    Call::new("eventfd2", 290, eventfd2),
    Call::new("pipe2", 293, pipe2),
    Call::new("preadv", 295, preadv),
    Call::new("pwritev", 296, pwritev),
];

/// Gathered writes up to this length go in one piece where pieces matter: what the largest packet has.
pub const GATHER: usize = UNIX_BUFFER;
/// Bytes of the records that some files are read in (eventfd, timerfd).
const RECORD: usize = 8;

/// Repeats `attempt` until it can be done without blocking, or the file is not to block.
#[inline]
pub fn blocking<R>(
    file: &OpenFile,
    events: Events,
    dont_wait: bool,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    match attempt() {
        Err(Errno::EAGAIN) => try_again(file, events, dont_wait, attempt),
        result => result,
    }
}

/// What [`blocking`] does once `attempt` has said EAGAIN.
#[inline(never)]
fn try_again<R>(
    file: &OpenFile,
    events: Events,
    dont_wait: bool,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut deadline = None;
    let mut held = false;
    while !dont_wait && !file.is_nonblocking() {
        // Of the rest sockets alone have anything.
        let source = match file.file.is_socket() {
            false => file.source(),
            true if is_over(file, events) => break,
            true => {
                deadline.get_or_insert_with(|| timeout_of(file, events));
                waits_on(file, events)
            }
        };
        let news = match source {
            SourceId::NONE => News::Holds,
            source => wait::for_news(source, events, deadline.unwrap_or(Deadline::NEVER))?,
        };
        if news == News::Holds {
            // There may be room, but not for this: an eventfd near its limit.
            if held {
                if file.file.writes_records() {
                    let deadline = deadline.unwrap_or(Deadline::NEVER);
                    return wait::for_success(source, events, deadline, attempt);
                }
                wait::give_way()?;
            }
            held = true;
        }
        match attempt() {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::EAGAIN)
}

/// Whether nothing will come that is worth waiting for, although there is no end of file: datagrams after SHUT_RD.
fn is_over(file: &OpenFile, events: Events) -> bool {
    let over = |socket: &UnixSocket| socket.kind == Kind::Datagram && socket.is_read_shut();
    let (unix, udp) = (file.file.unix(), file.file.udp());
    events == Events::IN && (unix.is_some_and(over) || udp.is_some_and(UdpSocket::is_read_shut))
}

/// What a read that may wait makes of EAGAIN: the end, if nothing will come.
pub fn or_end<R: Default>(file: &OpenFile, errno: Errno) -> Result<R, Errno> {
    match errno {
        Errno::EAGAIN if !file.is_nonblocking() && is_over(file, Events::IN) => Ok(R::default()),
        errno => Err(errno),
    }
}

/// The source that tells of what a blocking call waits for.
fn waits_on(file: &OpenFile, events: Events) -> SourceId {
    let unix = file.file.unix().map(|socket| socket.waits_on(events));
    unix.unwrap_or(file.source())
}

/// When a blocking call gives up: SO_RCVTIMEO and SO_SNDTIMEO of sockets.
pub fn timeout_of(file: &OpenFile, events: Events) -> Deadline {
    let inet = file.file.socket().map(|socket| socket.timeout(events));
    let unix = || file.file.unix().map(|socket| socket.timeout(events));
    let udp = || file.file.udp().map(|socket| socket.timeout(events));
    match inet.or_else(unix).or_else(udp).unwrap_or(0) {
        0 => Deadline::NEVER,
        timeout => Deadline::after(monotonic(), timeout),
    }
}

/// Writes all of `bytes` if the file may block; how much was written.
pub fn write_all(file: &OpenFile, bytes: &[u8], dont_wait: bool) -> Result<usize, Errno> {
    let mut done = 0;
    loop {
        let result = blocking(file, Events::OUT, dont_wait, || {
            match file.flags() & (O_APPEND | O_DIRECT) {
                0 => file.file.write(&bytes[done..]),
                O_DIRECT => file.file.write_packets(&bytes[done..]),
                _ => file.file.append(&bytes[done..], true),
            }
        });
        match result {
            Ok(n) => done += n,
            // What went before counts; the error comes back at the next call.
            Err(_) if done > 0 => return Ok(done),
            Err(errno) => return Err(errno),
        }
        let complete = done == bytes.len() || (done > 0 && file.file.writes_records());
        if complete || dont_wait || file.is_nonblocking() {
            return Ok(done);
        }
    }
}

/// EPIPE comes with SIGPIPE, unless packets are written.
pub fn loudly(file: &OpenFile) -> impl Fn(Errno) -> Errno {
    let packets = file.file.unix().is_some_and(UnixSocket::has_packets);
    let quietly = packets || file.file.udp().is_some();
    move |errno| signal_broken_pipe(errno, quietly)
}

fn read(args: &Args) -> Result<usize, Errno> {
    let args @ [fd, buffer, len] = [args[0], args[1], args[2]];
    read_now(fd, buffer, len).or_else(|errno| read_late(args, errno))
}

/// read(2), if it need not wait: `len` bytes at most to the program's memory at `address`.
#[inline(always)]
pub fn read_now(fd: usize, address: usize, len: usize) -> Result<usize, Errno> {
    let file = get(fd)?;
    file.for_reading()?;
    file.file.read(transfer_mut(address, len)?)
}

/// What read(2) does once the file has said `errno`.
#[inline]
pub fn read_late([fd, address, len]: [usize; 3], errno: Errno) -> Result<usize, Errno> {
    if errno != Errno::EAGAIN {
        return Err(errno);
    }
    let file = get(fd)?;
    let buffer = transfer_mut(address, len)?;
    let result = try_again(&file, Events::IN, false, || file.file.read(buffer));
    result.or_else(|errno| or_end(&file, errno))
}

fn write(args: &Args) -> Result<usize, Errno> {
    let args @ [fd, data, len] = [args[0], args[1], args[2]];
    write_now(fd, data, len).or_else(|errno| write_late(args, errno))
}

/// write(2), if it is a plain one and need not wait before its first byte: `len` bytes of the program's memory at `address`.
#[inline(always)]
pub fn write_now(fd: usize, address: usize, len: usize) -> Result<usize, Errno> {
    let file = get(fd)?;
    file.for_writing()?;
    let bytes = transfer(address, len)?;
    if file.flags() & (O_APPEND | O_DIRECT) != 0 {
        return Err(Errno::EAGAIN);
    }
    let done = file.file.write(bytes)?;
    match done == bytes.len() {
        true => Ok(done),
        false => write_rest(&file, bytes, done),
    }
}

/// What write(2) does once the file has said `errno`.
pub fn write_late([fd, address, len]: [usize; 3], errno: Errno) -> Result<usize, Errno> {
    let file = get(fd)?;
    write_waiting(&file, address, len, errno).map_err(loudly(&file))
}

#[inline]
fn write_waiting(
    file: &OpenFile,
    address: usize,
    len: usize,
    errno: Errno,
) -> Result<usize, Errno> {
    if errno != Errno::EAGAIN {
        return Err(errno);
    }
    let bytes = transfer(address, len)?;
    if file.flags() & (O_APPEND | O_DIRECT) != 0 {
        return write_all(file, bytes, false);
    }
    let done = try_again(file, Events::OUT, false, || file.file.write(bytes))?;
    match done == bytes.len() {
        true => Ok(done),
        false => write_rest(file, bytes, done),
    }
}

/// What write(2) does once the file has taken `done` bytes, but not all.
#[inline(never)]
fn write_rest(file: &OpenFile, bytes: &[u8], done: usize) -> Result<usize, Errno> {
    if file.is_nonblocking() || (done > 0 && file.file.writes_records()) {
        return Ok(done);
    }
    match write_all(file, &bytes[done..], false) {
        Ok(n) => Ok(done + n),
        // What went before counts; the error comes back at the next call.
        Err(_) if done > 0 => Ok(done),
        Err(errno) => Err(errno),
    }
}

fn readv(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    file.for_reading()?;
    let result = read_vector(&file, args[1], args[2] as u32 as usize, false, |buffer| {
        file.file.read(buffer)
    });
    result.or_else(|errno| or_end(&file, errno))
}

/// Reads into the iovecs until one is not filled. Only the first bytes are waited for.
pub fn read_vector(
    file: &OpenFile,
    address: usize,
    count: usize,
    dont_wait: bool,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let total = check_iovecs(address, count)?;
    if total > 0 && file.file.reads_records() {
        let mut record = [0; RECORD];
        let record = &mut record[..total.min(RECORD)];
        let n = blocking(file, Events::IN, dont_wait, || read(record))?;
        return scatter(&record[..n], 0, address, count);
    }
    if count > 1 && file.file.unix().is_some_and(UnixSocket::has_packets) {
        let mut packet = vec![0; total.min(GATHER)];
        let n = blocking(file, Events::IN, dont_wait, || read(&mut packet))?;
        return scatter(&packet[..n], 0, address, count);
    }
    let mut done = 0;
    for i in 0..count {
        let (base, len) = iovec(address, i)?;
        let len = len.min(total - done);
        if len == 0 {
            continue;
        }
        let buffer = bytes_mut(base, len)?;
        let mut whole = None;
        let result = blocking(file, Events::IN, dont_wait || done > 0, || {
            // Bytes are read into one iovec after the other, a packet into all.
            if count > 1 && file.file.has_packets() {
                let mut packet = vec![0; (total - done).min(GATHER)];
                let n = read(&mut packet)?;
                packet.truncate(n);
                whole = Some(packet);
                return Ok(n);
            }
            read(buffer)
        });
        if let Some(packet) = whole {
            return scatter(&packet, done, address, count).map(|n| done + n);
        }
        let n = match result {
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        };
        done += n;
        // Reading on where nothing is left would take the end of file that the next call is to see.
        if n < len {
            break;
        }
    }
    Ok(done)
}

/// Puts bytes into the iovecs, behind the first `skip` bytes of room; there is room for them.
pub fn scatter(
    mut bytes: &[u8],
    mut skip: usize,
    address: usize,
    count: usize,
) -> Result<usize, Errno> {
    let total = bytes.len();
    for i in 0..count {
        let (base, len) = iovec(address, i)?;
        let skipped = skip.min(len);
        skip -= skipped;
        let (part, rest) = bytes.split_at((len - skipped).min(bytes.len()));
        bytes_mut(base + skipped, part.len())?.copy_from_slice(part);
        bytes = rest;
    }
    Ok(total)
}

fn writev(args: &Args) -> Result<usize, Errno> {
    let file = get(args[0])?;
    file.for_writing()?;
    let count = args[2] as u32 as usize;
    // As Linux: of no bytes the file is not asked.
    if check_iovecs(args[1], count)? == 0 {
        return Ok(0);
    }
    write_vector(&file, args[1], count, false).map_err(loudly(&file))
}

/// Writes the iovecs until one does not go whole.
pub fn write_vector(
    file: &OpenFile,
    address: usize,
    count: usize,
    dont_wait: bool,
) -> Result<usize, Errno> {
    let total = check_iovecs(address, count)?;
    // One packet or none: what is longer than any would otherwise go as several.
    if file.file.udp().is_some() && total > GATHER {
        return Err(Errno::EMSGSIZE);
    }
    if count > 1 && total <= GATHER && file.file.gathers() {
        let mut whole = Vec::with_capacity(total);
        for i in 0..count {
            let (base, len) = iovec(address, i)?;
            whole.extend_from_slice(bytes(base, len)?);
        }
        return write_all(file, &whole, dont_wait);
    }
    let mut done = 0;
    for i in 0..count {
        let (base, len) = iovec(address, i)?;
        let len = len.min(total - done);
        // Files that take records are asked for each piece.
        if len == 0 && !file.file.writes_records() && (total != 0 || i + 1 < count) {
            continue;
        }
        let n = match write_all(file, bytes(base, len)?, dont_wait) {
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        };
        done += n;
        if n < len {
            break;
        }
    }
    Ok(done)
}

/// A position as an argument: not negative.
fn position(argument: usize) -> Result<u64, Errno> {
    u64::try_from(argument as i64).map_err(|_| Errno::EINVAL)
}

fn pread64(args: &Args) -> Result<usize, Errno> {
    let position = position(args[3])?;
    let file = get(args[0])?;
    file.for_reading()?;
    let buffer = bytes_mut(args[1], args[2].min(MAX_TRANSFER))?;
    file.file.read_at(buffer, position)
}

fn pwrite64(args: &Args) -> Result<usize, Errno> {
    let position = position(args[3])?;
    let file = get(args[0])?;
    file.for_writing()?;
    let data = bytes(args[1], args[2].min(MAX_TRANSFER))?;
    write_at(&file, data, position)
}

/// pwrite(2): as on Linux, the position does not count with O_APPEND.
fn write_at(file: &OpenFile, data: &[u8], position: u64) -> Result<usize, Errno> {
    match file.flags() & O_APPEND {
        0 => file.file.write_at(data, position),
        _ => file.file.append(data, false),
    }
}

fn preadv(args: &Args) -> Result<usize, Errno> {
    let mut position = position(args[3])?;
    let file = get(args[0])?;
    file.for_reading()?;
    read_vector(&file, args[1], args[2] as u32 as usize, true, |buffer| {
        let n = file.file.read_at(buffer, position)?;
        position += n as u64;
        Ok(n)
    })
}

fn pwritev(args: &Args) -> Result<usize, Errno> {
    let mut position = position(args[3])?;
    let file = get(args[0])?;
    file.for_writing()?;
    let count = args[2] as u32 as usize;
    check_iovecs(args[1], count)?;
    let mut done = 0;
    for i in 0..count {
        let (base, len) = iovec(args[1], i)?;
        let n = match write_at(&file, bytes(base, len)?, position) {
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        };
        done += n;
        position += n as u64;
        if n < len {
            break;
        }
    }
    Ok(done)
}

fn pipe(args: &Args) -> Result<usize, Errno> {
    pipe2(&[args[0], 0, 0, 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/pipe.2.html>
fn pipe2(args: &Args) -> Result<usize, Errno> {
    let flags = args[1] as u32;
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    user::check(args[0], 8)?;
    let fds = files::install_pair(files::pipe::open(flags), flags)?;
    user::write(args[0], fds.map(|fd| fd as u32))?;
    Ok(0)
}

fn eventfd(args: &Args) -> Result<usize, Errno> {
    eventfd2(&[args[0], 0, 0, 0, 0, 0])
}

/// <https://man7.org/linux/man-pages/man2/eventfd.2.html>
fn eventfd2(args: &Args) -> Result<usize, Errno> {
    const EFD_SEMAPHORE: u32 = 1;
    let flags = args[1] as u32;
    if flags & !(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = EventFile::new(args[0] as u32, flags & EFD_SEMAPHORE != 0);
    let file = OpenFile::new(adopt(file), O_RDWR | flags & O_NONBLOCK);
    files::install(file, flags)
}

fn ioctl(args: &Args) -> Result<usize, Errno> {
    let [fd, request, argument, ..] = *args;
    let file = get(fd)?;
    match request as u32 {
        FIONBIO => {
            let on = user::read::<i32>(argument)? != 0;
            let other = file.flags() & !O_NONBLOCK;
            file.set_flags(other | if on { O_NONBLOCK } else { 0 });
            Ok(0)
        }
        FIONREAD => {
            let Some(n) = file.file.bytes_to_read() else {
                return file.file.ioctl(FIONREAD, argument);
            };
            user::write(argument, i32::try_from(n).unwrap_or(i32::MAX))?;
            Ok(0)
        }
        request @ (FIOCLEX | FIONCLEX) => {
            if let Some(slot) = files::table().slot_mut(fd as u32 as usize) {
                slot.close_on_exec = request == FIOCLEX;
            }
            Ok(0)
        }
        request => file.file.ioctl(request, argument),
    }
}
