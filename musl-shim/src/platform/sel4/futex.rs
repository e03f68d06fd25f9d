// SPDX-License-Identifier: BSD-2-Clause
//! Shared futexes, by requests to the root server, which knows a word by its frame.

use core::sync::atomic::Ordering::Relaxed;

use vfs_hooks::wire::root;

use super::server::ask_root;
use super::threads::current;
use crate::errno::Errno;
use crate::state::state;

fn with_set(word: u32, set: u32) -> u64 {
    u64::from(word) | u64::from(set) << 32
}

/// Puts the calling thread in line for a word, if that is `value`; EAGAIN.
pub fn enter(address: usize, value: u32, set: u32) -> Result<(), Errno> {
    let futex = &state().seen.futex;
    futex.store(1, Relaxed);
    let words = [address as u64, with_set(value, set), current() as u64];
    let asked = ask_root(root::FUTEX_WAIT, words);
    if asked.is_err() {
        futex.store(0, Relaxed);
    }
    asked.map(drop)
}

/// Whether the calling thread, which was in line, has been woken.
pub fn is_woken() -> bool {
    state().seen.futex.load(Relaxed) == 0
}

/// Takes the calling thread out of its line. Whether it had been woken.
pub fn leave() -> bool {
    // Nothing in it can be refused.
    let _ = ask_root(root::FUTEX_LEAVE, [current() as u64, 0, 0]);
    state().seen.futex.swap(0, Relaxed) == 0
}

/// Wakes those who wait for a word: how many.
pub fn wake(address: usize, most: usize, set: u32) -> Result<usize, Errno> {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let words = [address as u64, with_set(most, set), 0];
    ask_root(root::FUTEX_WAKE, words).map(|[woken, ..]| woken as usize)
}

/// Lets those who wait for one word wait for another: how many.
pub fn move_on(from: usize, to: usize, most: usize) -> Result<usize, Errno> {
    let words = [from as u64, most as u64, to as u64];
    ask_root(root::FUTEX_MOVE, words).map(|[moved, ..]| moved as usize)
}
