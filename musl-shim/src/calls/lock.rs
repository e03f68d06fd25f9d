// SPDX-License-Identifier: BSD-2-Clause
//! Locks of files: flock(2), and what fcntl(2) says of them. musl's lockf(3) is made of the latter.

use vfs_hooks::file_lock::{END, Kind, What};

use crate::abi::*;
use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::files::locks::{Blocker, Whose, ask};
use crate::files::{OpenFile, get};
use crate::user;

/// The calls of this area.
pub const CALLS: &[Call] = &[Call::new("flock", 73, flock)];

/// <https://man7.org/linux/man-pages/man2/flock.2.html>
fn flock(args: &Args) -> Result<usize, Errno> {
    const SHARED: u32 = 1;
    const EXCLUSIVE: u32 = 2;
    const DONT_WAIT: u32 = 4;
    const UNLOCK: u32 = 8;
    let file = get(args[0])?;
    let operation = args[1] as u32;
    let kind = match operation & !DONT_WAIT {
        SHARED => Some(Kind::Shared),
        EXCLUSIVE => Some(Kind::Exclusive),
        UNLOCK => None,
        _ => return Err(Errno::EINVAL),
    };
    if file.flags() & O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let what = match kind {
        None => What::Unlock,
        Some(kind) if operation & DONT_WAIT != 0 => What::Set(kind),
        Some(kind) => What::Wait(kind),
    };
    ask(&file, Whose::Whole, what, (0, END))?;
    Ok(0)
}

// l_type
const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// Whether it is a command that [`fcntl`] answers.
pub fn is_command(command: u32) -> bool {
    matches!(
        command,
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW
    )
}

/// First and last byte that a struct flock means. EINVAL, EOVERFLOW.
fn bytes(file: &OpenFile, lock: &Flock) -> Result<(u64, u64), Errno> {
    const SEEK_CUR: usize = 1;
    let base = match lock.l_whence {
        0 => 0,
        1 => file.file.seek(0, SEEK_CUR).unwrap_or(0) as i64,
        2 => file.file.stat().st_size,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match lock.l_len {
        0 => (start, END as i64),
        len @ 1.. => {
            let last = start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?;
            (start, last)
        }
        // So many bytes before the start.
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    if start < 0 || first < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((first as u64, last as u64))
}

/// <https://man7.org/linux/man-pages/man2/fcntl.2.html>, Advisory record locking and Open file description locks.
pub fn fcntl(file: &OpenFile, command: u32, argument: usize) -> Result<usize, Errno> {
    if file.flags() & O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let mut lock: Flock = user::read(argument)?;
    let tests = matches!(command, F_GETLK | F_OFD_GETLK);
    let kind = match lock.l_type {
        F_RDLCK => Some(Kind::Shared),
        F_WRLCK => Some(Kind::Exclusive),
        F_UNLCK if !tests => None,
        _ => return Err(Errno::EINVAL),
    };
    let bytes = bytes(file, &lock)?;
    let whose = match command {
        F_GETLK | F_SETLK | F_SETLKW => Whose::Process,
        // There for later use; must be 0.
        _ if lock.l_pid != 0 => return Err(Errno::EINVAL),
        _ => Whose::Description,
    };
    let what = match kind {
        None => What::Unlock,
        Some(kind) if tests => What::Test(kind),
        Some(kind) => {
            match kind {
                Kind::Shared => file.for_reading()?,
                Kind::Exclusive if file.access() == O_RDONLY => return Err(Errno::EBADF),
                Kind::Exclusive => {}
            }
            match command {
                F_SETLKW | F_OFD_SETLKW => What::Wait(kind),
                _ => What::Set(kind),
            }
        }
    };
    let found = ask(file, whose, what, bytes)?;
    if tests {
        match found {
            None => lock.l_type = F_UNLCK,
            Some(blocker) => tell(&mut lock, &blocker),
        }
        user::write(argument, lock)?;
    }
    Ok(0)
}

/// What F_GETLK says of a lock.
fn tell(lock: &mut Flock, blocker: &Blocker) {
    let (first, last) = blocker.bytes;
    *lock = Flock {
        l_type: match blocker.kind {
            Kind::Shared => F_RDLCK,
            Kind::Exclusive => F_WRLCK,
        },
        l_whence: 0,
        pad: 0,
        l_start: first as i64,
        l_len: match last {
            END => 0,
            _ => (last - first + 1) as i64,
        },
        l_pid: blocker.process.map_or(-1, |process| process as i32),
        end: 0,
    };
}
