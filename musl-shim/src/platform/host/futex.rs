// SPDX-License-Identifier: BSD-2-Clause
//! Shared futexes: Linux's in host mode, none in the library.

use crate::errno::Errno;

/// Puts the calling thread in line for a word.
pub fn enter(_: usize, _: u32, _: u32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Whether it has been woken.
pub fn is_woken() -> bool {
    true
}

/// Takes it out of its line. Whether it had been woken.
pub fn leave() -> bool {
    true
}

/// Wakes those who wait for a word: how many.
pub fn wake(_: usize, _: usize, _: u32) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}

/// Lets those who wait for one word wait for another: how many.
pub fn move_on(_: usize, _: usize, _: usize) -> Result<usize, Errno> {
    Err(Errno::ENOSYS)
}
