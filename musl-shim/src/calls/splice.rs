// SPDX-License-Identifier: BSD-2-Clause
//! Calls that move bytes between two fds: splice, tee, vmsplice, sendfile, copy_file_range. Pages are copied, not handed over.
//!
//! From a pipe no more is taken than went: bytes are looked at, written, and then taken.

use alloc::rc::Rc;
use alloc::vec;

use vfs_hooks::Events;

use super::io::{GATHER, blocking, loudly, read_vector, write_all};
use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::tree::{DIRECTORY, REGULAR, TYPE};
use crate::files::{Mappable, OpenFile, get};
use crate::user::{self, MAX_TRANSFER, bytes, check_iovecs, iovec};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("sendfile", 40, sendfile),
    Call::new("splice", 275, splice),
    Call::new("tee", 276, tee),
    Call::new("vmsplice", 278, vmsplice),
    Call::new("copy_file_range", 326, copy_file_range),
];

// splice(2)
const SPLICE_F_NONBLOCK: u32 = 2;
const SPLICE_F_ALL: u32 = 15;

// lseek(2)
const SEEK_SET: usize = 0;
const SEEK_CUR: usize = 1;

/// Where in a file bytes are taken or put: at an offset of the caller's, or at the file's position.
struct Place {
    /// Where the offset lies, or 0.
    address: usize,
    at: u64,
}

impl Place {
    /// By a pointer to an offset, if it is not null.
    fn given(address: usize) -> Result<Option<Place>, Errno> {
        let Some(at) = user::read_optional::<i64>(address)? else {
            return Ok(None);
        };
        let at = u64::try_from(at).map_err(|_| Errno::EINVAL)?;
        Ok(Some(Place { address, at }))
    }

    /// The same, or the file's position.
    fn of(address: usize, file: &OpenFile) -> Result<Place, Errno> {
        Ok(match Place::given(address)? {
            Some(place) => place,
            None => Place {
                address,
                at: file.file.seek(0, SEEK_CUR)?,
            },
        })
    }

    /// Notes that `n` bytes were moved.
    fn advance(&self, file: &OpenFile, n: usize) -> Result<(), Errno> {
        let end = (self.at + n as u64) as i64;
        match self.address {
            0 => file.file.seek(end, SEEK_SET).map(drop),
            address => user::write(address, end),
        }
    }
}

/// The file of an fd to take from, and that of one to put to. EBADF.
fn both(from: usize, to: usize) -> Result<[Rc<OpenFile>; 2], Errno> {
    let (from, to) = (get(from)?, get(to)?);
    if from.access() == O_WRONLY
        || to.access() == O_RDONLY
        || (from.flags() | to.flags()) & O_PATH != 0
    {
        return Err(Errno::EBADF);
    }
    Ok([from, to])
}

fn is_pipe(file: &OpenFile) -> bool {
    file.file.pipe_size().is_some()
}

/// What a pipe can be spliced with, if it is no pipe: files, sockets, devices.
fn is_spliceable(file: &OpenFile) -> bool {
    let kind = file.file.stat().st_mode & TYPE;
    [REGULAR, S_IFSOCK, S_IFCHR].contains(&kind)
}

/// EINVAL for a pipe in packet mode: what a part of a packet would be is not defined here.
fn no_packets(pipe: &OpenFile) -> Result<(), Errno> {
    match pipe.flags() & O_DIRECT != 0 || pipe.file.has_packets() {
        true => Err(Errno::EINVAL),
        false => Ok(()),
    }
}

/// <https://man7.org/linux/man-pages/man2/splice.2.html>
fn splice(args: &Args) -> Result<usize, Errno> {
    let [from, from_offset, to, to_offset, len, flags] = *args;
    let flags = flags as u32;
    if len == 0 {
        return Ok(0);
    }
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let [from, to] = both(from, to)?;
    let len = len.min(MAX_TRANSFER);
    let dont_wait = flags & SPLICE_F_NONBLOCK != 0;
    match (is_pipe(&from), is_pipe(&to)) {
        (false, false) => Err(Errno::EINVAL),
        (true, true) => {
            if from_offset != 0 || to_offset != 0 {
                return Err(Errno::ESPIPE);
            }
            if is_same_pipe(&from, &to) {
                return Err(Errno::EINVAL);
            }
            no_packets(&from)?;
            no_packets(&to)?;
            let dont_wait = dont_wait || from.is_nonblocking() || to.is_nonblocking();
            out_of_pipe(&from, len, dont_wait, true, &to, |bytes| {
                to.file.write(bytes)
            })
        }
        (true, false) => {
            if from_offset != 0 {
                return Err(Errno::ESPIPE);
            }
            if !is_spliceable(&to) || to.flags() & O_APPEND != 0 {
                return Err(Errno::EINVAL);
            }
            no_packets(&from)?;
            let dont_wait = dont_wait || from.is_nonblocking();
            let Some(mut place) = Place::given(to_offset)? else {
                return out_of_pipe(&from, len, dont_wait, true, &to, |bytes| {
                    to.file.write(bytes)
                });
            };
            let start = place.at;
            let result = out_of_pipe(&from, len, dont_wait, true, &to, |bytes| {
                let n = to.file.write_at(bytes, place.at)?;
                place.at += n as u64;
                Ok(n)
            });
            let n = result.map_err(no_place)?;
            place.at = start;
            place.advance(&to, n)?;
            Ok(n)
        }
        (false, true) => {
            if to_offset != 0 {
                return Err(Errno::ESPIPE);
            }
            if !is_spliceable(&from) {
                return Err(Errno::EINVAL);
            }
            no_packets(&to)?;
            let dont_wait = dont_wait || to.is_nonblocking();
            let Some(place) = Place::given(from_offset)? else {
                return into_pipe(&to, len, dont_wait, &from, |buffer| from.file.read(buffer));
            };
            let n = into_pipe(&to, len, dont_wait, &from, |buffer| {
                from.file.read_at(buffer, place.at)
            })
            .map_err(no_place)?;
            place.advance(&from, n)?;
            Ok(n)
        }
    }
}

/// What has no positions is EINVAL to splice(2), where pread(2) says ESPIPE.
fn no_place(errno: Errno) -> Errno {
    match errno {
        Errno::ESPIPE => Errno::EINVAL,
        errno => errno,
    }
}

/// Whether both are ends of one pipe.
fn is_same_pipe(from: &OpenFile, to: &OpenFile) -> bool {
    let identity = |file: &OpenFile| file.file.pipe_identity();
    identity(from).is_some() && identity(from) == identity(to)
}

/// Moves bytes out of a pipe, or copies them if they are not to be `taken`: up to `len`, until the pipe is empty. Only for the first ones it waits.
fn out_of_pipe(
    from: &OpenFile,
    len: usize,
    dont_wait: bool,
    taken: bool,
    to: &OpenFile,
    mut put: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut buffer = vec![0; len.min(GATHER)];
    let (mut done, mut in_vain) = (0, false);
    while done < len {
        let most = (len - done).min(buffer.len());
        let waits = !dont_wait && done == 0;
        let n = match blocking(from, Events::IN, !waits, || {
            from.file.peek(&mut buffer[..most])
        }) {
            Ok(0) => break,
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        };
        match put(&buffer[..n]) {
            Ok(n) => {
                if taken {
                    // What was seen there is there: this thread has not let go of the core lock since.
                    from.file.read(&mut buffer[..n])?;
                }
                done += n;
                if !taken || n == 0 {
                    break;
                }
            }
            // While it waits for room others may take what it saw: it looks again.
            Err(Errno::EAGAIN)
                if done == 0 && !to.is_nonblocking() && !(dont_wait && is_pipe(to)) =>
            {
                between_tries(&mut in_vain)?;
                crate::wait::for_source(to.source(), Events::OUT, libposix_poll::Deadline::NEVER)?;
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(loudly(to)(errno)),
        }
    }
    Ok(done)
}

/// Before it waits: from the second time on others run first, and signals come in, for what is said to be ready may not be, as often as somebody says so.
fn between_tries(in_vain: &mut bool) -> Result<(), Errno> {
    match core::mem::replace(in_vain, true) {
        true => crate::wait::give_way(),
        false => Ok(()),
    }
}

/// Moves bytes into a pipe, as many as there are at once and as it has room for.
fn into_pipe(
    pipe: &OpenFile,
    len: usize,
    dont_wait: bool,
    from: &OpenFile,
    mut take: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut buffer = vec![0; len.min(GATHER)];
    let mut in_vain = false;
    loop {
        let room = || match pipe.file.pipe_room()? {
            0 => Err(Errno::EAGAIN),
            room => Ok(room),
        };
        let room = blocking(pipe, Events::OUT, dont_wait, room).map_err(loudly(pipe))?;
        let most = buffer.len().min(room);
        match take(&mut buffer[..most]) {
            Ok(0) => return Ok(0),
            // There was room for it; if another process was quicker, it waits.
            Ok(n) => return write_all(pipe, &buffer[..n], false).map_err(loudly(pipe)),
            // While it waits others may fill the pipe: it looks again.
            Err(Errno::EAGAIN) if !from.is_nonblocking() => {
                between_tries(&mut in_vain)?;
                let deadline = super::io::timeout_of(from, Events::IN);
                crate::wait::for_source(from.source(), Events::IN, deadline)?;
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// <https://man7.org/linux/man-pages/man2/tee.2.html>
fn tee(args: &Args) -> Result<usize, Errno> {
    let [from, to, len, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let [from, to] = both(from, to)?;
    if !is_pipe(&from) || !is_pipe(&to) || is_same_pipe(&from, &to) {
        return Err(Errno::EINVAL);
    }
    no_packets(&from)?;
    no_packets(&to)?;
    let dont_wait = flags & SPLICE_F_NONBLOCK != 0 || from.is_nonblocking() || to.is_nonblocking();
    let len = len.min(MAX_TRANSFER);
    out_of_pipe(&from, len, dont_wait, false, &to, |bytes| {
        to.file.write(bytes)
    })
}

/// <https://man7.org/linux/man-pages/man2/vmsplice.2.html>
fn vmsplice(args: &Args) -> Result<usize, Errno> {
    let [fd, vector, count, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let pipe = get(fd)?;
    if !is_pipe(&pipe) {
        return Err(Errno::EBADF);
    }
    let total = check_iovecs(vector, count)?;
    if total == 0 {
        return Ok(0);
    }
    no_packets(&pipe)?;
    let dont_wait = flags & SPLICE_F_NONBLOCK != 0;
    if pipe.access() == O_RDONLY {
        return read_vector(&pipe, vector, count, dont_wait, |buffer| {
            pipe.file.read(buffer)
        });
    }
    let mut whole = vec![0; 0];
    for i in 0..count {
        let (base, len) = iovec(vector, i)?;
        let len = len.min(GATHER - whole.len());
        whole.extend_from_slice(bytes(base, len)?);
    }
    let room = || match pipe.file.pipe_room()? {
        0 => Err(Errno::EAGAIN),
        room => pipe.file.write(&whole[..whole.len().min(room)]),
    };
    blocking(&pipe, Events::OUT, dont_wait, room).map_err(loudly(&pipe))
}

/// <https://man7.org/linux/man-pages/man2/sendfile.2.html>: from what can be mapped.
fn sendfile(args: &Args) -> Result<usize, Errno> {
    let [to, from, offset, count, ..] = *args;
    let (to, from) = (get(to)?, get(from)?);
    to.for_writing()?;
    from.for_reading()?;
    if from.file.mappable().is_err() || to.flags() & O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let place = Place::of(offset, &from)?;
    let count = count.min(MAX_TRANSFER);
    let n = if is_pipe(&to) && count > 0 {
        // As much as there is room for, as splice(2).
        no_packets(&to)?;
        into_pipe(&to, count, to.is_nonblocking(), &from, |buffer| {
            from.file.read_at(buffer, place.at)
        })?
    } else {
        let (n, result) = copy(&to, &from, place.at, count);
        if n == 0 {
            result?;
        }
        n
    };
    place.advance(&from, n)?;
    Ok(n)
}

/// Copies up to `count` bytes from a position in `from`; how many, and what ended it.
fn copy(to: &OpenFile, from: &OpenFile, start: u64, count: usize) -> (usize, Result<(), Errno>) {
    if let Ok(Mappable::Bytes(data)) = from.file.mappable() {
        let data = data.get(start as usize..).unwrap_or(&[]);
        let data = &data[..data.len().min(count)];
        if data.is_empty() {
            return (0, Ok(()));
        }
        return match write_all(to, data, false).map_err(loudly(to)) {
            Ok(n) => (n, Ok(())),
            Err(errno) => (0, Err(errno)),
        };
    }
    let mut buffer = vec![0; count.min(GATHER)];
    let mut done = 0;
    while done < count {
        let most = (count - done).min(buffer.len());
        let n = match from.file.read_at(&mut buffer[..most], start + done as u64) {
            Ok(0) => break,
            Ok(n) => n,
            Err(errno) => return (done, Err(errno)),
        };
        match write_all(to, &buffer[..n], false).map_err(loudly(to)) {
            Ok(written) => {
                done += written;
                if written < n {
                    break;
                }
            }
            Err(errno) => return (done, Err(errno)),
        }
    }
    (done, Ok(()))
}

/// <https://man7.org/linux/man-pages/man2/copy_file_range.2.html>
fn copy_file_range(args: &Args) -> Result<usize, Errno> {
    let [from, from_offset, to, to_offset, len, flags] = *args;
    let (from, to) = (get(from)?, get(to)?);
    if flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let kinds = [&from, &to].map(|file| file.file.stat().st_mode & TYPE);
    if kinds.contains(&DIRECTORY) {
        return Err(Errno::EISDIR);
    }
    if kinds != [REGULAR; 2] {
        return Err(Errno::EINVAL);
    }
    let refused = from.access() == O_WRONLY || to.access() == O_RDONLY;
    if refused || (from.flags() | to.flags()) & O_PATH != 0 || to.flags() & O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let (source, target) = (Place::of(from_offset, &from)?, Place::of(to_offset, &to)?);
    let within = |place: &Place| {
        place
            .at
            .checked_add(len as u64)
            .is_some_and(|end| end <= i64::MAX as u64)
    };
    if !within(&source) || !within(&target) {
        return Err(Errno::EOVERFLOW);
    }
    let size = from.file.stat().st_size as u64;
    let len = (len as u64).min(size.saturating_sub(source.at)) as usize;
    let len = len.min(MAX_TRANSFER);
    let apart = source.at.abs_diff(target.at) >= len as u64;
    if from.file.inode() == to.file.inode() && !apart {
        return Err(Errno::EINVAL);
    }
    let mut buffer = vec![0; len.min(GATHER)];
    let mut done = 0;
    while done < len {
        let most = (len - done).min(buffer.len());
        let n = from
            .file
            .read_at(&mut buffer[..most], source.at + done as u64)?;
        if n == 0 {
            break;
        }
        match to.file.write_at(&buffer[..n], target.at + done as u64) {
            Ok(written) => {
                done += written;
                if written < n {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    source.advance(&from, done)?;
    target.advance(&to, done)?;
    Ok(done)
}
