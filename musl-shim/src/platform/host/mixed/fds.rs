// SPDX-License-Identifier: BSD-2-Clause
//! What is open: our table beside Linux's. A number of ours is in both; of Linux's, only those are in ours that were watched or duplicated.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::super::raw::{self, nr};
use super::Real;
use super::source::HostFile;
use crate::abi::{O_CLOEXEC, O_NONBLOCK, Rlimit};
use crate::errno::Errno;
use crate::files::{OpenFile, table};

/// A set bit: a number of ours, whose reads and writes are not Linux's. For a look without the lock.
static OURS: [AtomicU64; MOST / 64] = [const { AtomicU64::new(0) }; MOST / 64];
/// Numbers from here on are never ours.
const MOST: usize = 1 << 20;
const RLIMIT_NOFILE: usize = 7;

/// Whether a read or write of this fd is ours to answer.
#[inline]
pub fn is_ours(fd: usize) -> bool {
    let fd = fd as u32 as usize;
    OURS.get(fd / 64)
        .is_some_and(|word| word.load(Relaxed) >> (fd % 64) & 1 != 0)
}

fn mark(fd: usize, ours: bool) {
    let Some(word) = OURS.get(fd / 64) else {
        return;
    };
    if ours {
        word.fetch_or(1 << (fd % 64), Relaxed);
    } else {
        word.fetch_and(!(1 << (fd % 64)), Relaxed);
    }
}

fn limits(new: Option<&Rlimit>) -> Rlimit {
    let mut old = Rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let new = new.map_or(0, |new| &raw const *new as usize);
    // SAFETY: the kernel reads one and writes the other, both ours.
    unsafe {
        let args = [0, RLIMIT_NOFILE, new, &raw mut old as usize, 0, 0];
        raw::syscall(nr::PRLIMIT64, &args);
    }
    old
}

/// The limit on open files.
pub fn limit() -> Option<usize> {
    Some(limits(None).rlim_cur as usize)
}

/// Where the shim's own fds begin if the limits allow it: out of the way of the program, which takes the lowest.
const HIDDEN: u64 = 60_000;
/// How many of them there can be.
const HIDDEN_COUNT: u64 = 512;

/// The least number that a hidden fd has.
pub fn hidden_from() -> usize {
    HIDDEN_FROM.load(Relaxed)
}

static HIDDEN_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Moves a new fd of the shim's own to where the program does not meet it; closed at exec.
pub fn hide(fd: usize) -> usize {
    const F_DUPFD_CLOEXEC: usize = 1030;
    let now = limits(None);
    let least = HIDDEN.min(now.rlim_max.saturating_sub(HIDDEN_COUNT));
    if now.rlim_cur < least + HIDDEN_COUNT {
        limits(Some(&Rlimit {
            rlim_cur: least + HIDDEN_COUNT,
            ..now
        }));
    }
    // SAFETY: no pointers. The number that is closed is known to nobody but us.
    let hidden = unsafe { raw::call(nr::FCNTL, [fd, F_DUPFD_CLOEXEC, least as usize]) };
    limits(Some(&now));
    match hidden {
        Ok(hidden) => {
            HIDDEN_FROM.fetch_min(hidden, Relaxed);
            // SAFETY: as above.
            unsafe { raw::syscall(nr::CLOSE, &[fd, 0, 0, 0, 0, 0]) };
            hidden
        }
        Err(_) => fd,
    }
}

/// Notes that `fd` now is `file`, which is ours.
fn put(fd: usize, file: Rc<OpenFile>) {
    let before = table().replace(fd, file, false);
    mark(fd, true);
    drop(before);
}

/// A number for a new open file of ours, that of a real one of its kind. `flags`: O_CLOEXEC.
pub fn install(file: Rc<OpenFile>, flags: u32) -> Result<usize, Errno> {
    let close_on_exec = (flags & O_CLOEXEC) as usize;
    let blocking = (file.flags() & O_NONBLOCK) as usize;
    const EFD_SEMAPHORE: usize = 1;
    const CLOCK_MONOTONIC: usize = 1;
    let (number, args) = if file.file.epoll().is_some() {
        (nr::EPOLL_CREATE1, [close_on_exec, 0])
    } else if file.file.timer().is_some() {
        (
            nr::TIMERFD_CREATE,
            [CLOCK_MONOTONIC, close_on_exec | blocking],
        )
    } else {
        let semaphore = flags as usize & EFD_SEMAPHORE;
        (nr::EVENTFD2, [0, close_on_exec | blocking | semaphore])
    };
    // SAFETY: no pointers.
    let fd = unsafe { raw::call(number, args) }?;
    if let Some(real) = file.file.real() {
        real.take_number(fd as i32);
    }
    put(fd, file);
    Ok(fd)
}

/// Numbers for the ends of a new pipe of ours, those of a real one.
pub fn install_pair(files: [Rc<OpenFile>; 2], flags: u32) -> Result<[usize; 2], Errno> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two numbers into ours.
    unsafe { raw::call(nr::PIPE2, [ends.as_mut_ptr() as usize, flags as usize]) }?;
    for (i, end) in ends.into_iter().enumerate() {
        if let Some(real) = files[i].file.real() {
            real.take_number(end);
            if let Some(partner) = real.partner() {
                *partner.borrow_mut() = Rc::downgrade(&files[1 - i]);
            }
        }
    }
    for (file, end) in files.into_iter().zip(ends) {
        put(end as usize, file);
    }
    Ok(ends.map(|end| end as usize))
}

/// Whether Linux has the fd open.
fn is_open(fd: usize) -> bool {
    const F_GETFD: usize = 1;
    // SAFETY: no pointers.
    unsafe { raw::call(nr::FCNTL, [fd, F_GETFD]) }.is_ok()
}

/// Sees to it that the table has an fd that is open.
pub fn meet(fd: usize) {
    let fd = fd as u32 as usize;
    if (fd as i32) < 0 || table().get(fd).is_some() || !is_open(fd) {
        return;
    }
    let file = OpenFile::new(HostFile::new(fd as i32), 0);
    table().replace(fd, file, false);
}

/// A number of the shim's own for a file, closed with the value.
pub struct Kept(i32);

impl Kept {
    /// Another number for what `fd` is, out of the program's way; -1 if Linux has none.
    fn new(fd: usize) -> Kept {
        // SAFETY: no pointers.
        let fd = unsafe { raw::call(nr::DUP, [fd]) };
        Kept(fd.map_or(-1, |fd| hide(fd) as i32))
    }

    /// The number.
    pub fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.0 >= 0 {
            // SAFETY: the shim's own fd, in no use any longer.
            unsafe { raw::syscall(nr::CLOSE, &[self.0 as usize, 0, 0, 0, 0, 0]) };
        }
    }
}

/// The number is about to be closed or to become another file's.
pub fn leave(fd: usize) {
    let fd = fd as u32 as usize;
    mark(fd, false);
    let Some(file) = table().remove(fd) else {
        return;
    };
    // Others of its numbers may stay: then it must go by one of those. If none does, a thread is in a call on it, and its number will be another file's.
    if let Some(real) = file.file.real()
        && real.number() == fd as i32
        && Rc::strong_count(&file) > 1
    {
        let other = table()
            .iter()
            .find(|(_, other)| Rc::ptr_eq(other, &file))
            .map(|(other, _)| other);
        match other {
            Some(other) => real.take_number(other as i32),
            None => real.keep(Kept::new(fd)),
        }
    }
    drop(file);
}

/// `new` has become another number of `fd`'s open file.
pub fn duplicate(fd: usize, new: usize) {
    meet(fd);
    let file = table().get(fd as u32 as usize).cloned();
    if let Some(file) = file {
        let ours = is_ours(fd);
        let before = table().replace(new, file, false);
        mark(new, ours);
        drop(before);
    }
}

/// Makes what `fd` names Linux's, if it can be.
pub fn give_away(fd: usize) {
    if !is_ours(fd) {
        return;
    }
    let Some(file) = table().get(fd as u32 as usize).cloned() else {
        return;
    };
    let partner = file.file.real().and_then(Real::partner);
    let partner = partner.and_then(|end| end.borrow().upgrade());
    for file in [Some(file), partner].into_iter().flatten() {
        if file.file.real().is_some_and(Real::become_hosts) {
            table()
                .iter()
                .filter(|(_, other)| Rc::ptr_eq(other, &file))
                .for_each(|(number, _)| mark(number, false));
        }
    }
}

/// After a fork, in the child: Linux is to tell it of what it told the parent.
pub fn watch_again() {
    let files: Vec<_> = table()
        .iter()
        .map(|(fd, file)| (fd as i32, file.clone()))
        .collect();
    for (fd, file) in &files {
        if let Some(real) = file.file.real()
            && real.number() == *fd
        {
            real.watch_again();
        }
    }
}

/// Makes all that can be Linux's, for a new process to have.
pub fn give_all_away() {
    let numbers: Vec<usize> = table().iter().map(|(number, _)| number).collect();
    numbers.into_iter().for_each(give_away);
}
