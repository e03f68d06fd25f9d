// SPDX-License-Identifier: BSD-2-Clause
//! A process whose system calls are all the shim's: seL4, or the library.

use alloc::rc::Rc;
use core::sync::atomic::Ordering::Relaxed;

use crate::abi::O_CLOEXEC;
use crate::dispatch::Args;
use crate::errno::Errno;
use crate::files::{File, OpenFile, table};
use crate::process::file_limit;
use crate::restart::Ran;
use crate::state::{state, state_of};

/// fds that are open from the start, on the console.
pub const STANDARD_FILES: core::ops::Range<usize> = 0..3;

/// Answers a call that the shim's table does not: there is none.
#[inline]
pub fn route(_number: usize, _args: &Args) -> Option<isize> {
    None
}

/// Runs `work` while no signal handler can interrupt it: none ever does here.
#[inline]
pub fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Lets what only the platform knows of tell its watchers: nothing.
#[inline]
pub fn settle() {}

/// Makes a file of ours one that can leave the process: none can.
#[inline]
pub fn adopt<F: File + 'static>(file: F) -> F {
    file
}

/// Another limit on open files than the process's own.
#[inline]
pub fn limit() -> Option<usize> {
    None
}

/// The lowest free fd for a new open file. `flags`: O_CLOEXEC.
pub fn install(file: Rc<OpenFile>, flags: u32) -> Result<usize, Errno> {
    let fd = table().insert(file.clone(), flags & O_CLOEXEC != 0, 0, file_limit());
    fd.ok_or(Errno::EMFILE)
}

/// Two fds at once, or none.
pub fn install_pair(files: [Rc<OpenFile>; 2], flags: u32) -> Result<[usize; 2], Errno> {
    if !table().has_room(2, file_limit()) {
        return Err(Errno::EMFILE);
    }
    let [first, second] = files;
    Ok([install(first, flags)?, install(second, flags)?])
}

/// Blocked signals.
#[inline]
pub fn mask() -> u64 {
    state().seen.mask.load(Relaxed)
}

/// Signals that a thread blocks.
#[inline]
pub fn mask_of(thread: usize) -> u64 {
    state_of(thread).seen.mask.load(Relaxed)
}

/// Sets the blocked signals.
#[inline]
pub fn set_mask(mask: u64) {
    state().seen.mask.store(mask, Relaxed);
}

/// Sends the calling thread a signal, if that is the platform's to do.
#[inline]
pub fn raise(_signal: usize) -> bool {
    false
}

/// Handlers that ran during the last wait of the calling thread: none ever does here.
#[inline]
pub fn handlers_ran() -> Ran {
    Ran::Nothing
}

/// Whether a handler ran during the last wait of the calling thread.
#[inline]
pub fn interrupted() -> bool {
    false
}
