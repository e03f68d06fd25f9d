// SPDX-License-Identifier: BSD-2-Clause
//! Channels: memory that other processes hold as well ([`vfs_hooks::channel`]).

use core::ptr::NonNull;

use sel4_bindings::{CPtr, nb_signal};
use vfs_hooks::channel::{DATA, Header, PIPE_SIZE, address, watch_cptr};
use vfs_hooks::ring::Ring;
use vfs_hooks::wire::root;

use super::info::info;
use super::server::ask_root;
use crate::errno::Errno;

/// A new channel of which this process holds the given sides (bit `s`: side `s`).
pub fn create(sides: u32) -> Result<usize, Errno> {
    ask_root(root::CHANNEL_CREATE, [sides.into(), 0, 0]).map(|[number, ..]| number as usize)
}

/// A channel that tells of a process's end, of which this process holds side 0.
pub fn of_process(pid: usize) -> Result<usize, Errno> {
    let request = [pid as u64, 0, 0];
    ask_root(root::CHANNEL_OF_PROCESS, request).map(|[number, ..]| number as usize)
}

/// This process holds these sides no longer. With the last one the channel is unmapped.
pub fn drop_sides(number: usize, sides: u32) {
    // Refused only if they are not held.
    let _ = ask_root(root::CHANNEL_DROP, [number as u64, sides.into(), 0]);
}

/// Takes a subscription cell of a side for a watch slot.
pub fn watch(number: usize, side: usize, slot: u32) -> Result<usize, Errno> {
    let words = [number as u64, side as u64, slot.into()];
    ask_root(root::CHANNEL_WATCH, words).map(|[cell, ..]| cell as usize)
}

/// Gives a subscription cell back.
pub fn unwatch(number: usize, side: usize, cell: usize) {
    // Refused only if it is not this process's, as after fork(2).
    let words = [number as u64, side as u64, cell as u64];
    let _ = ask_root(root::CHANNEL_UNWATCH, words);
}

/// The header of a channel that this process holds.
pub fn header(number: usize) -> &'static Header {
    // SAFETY: the root server maps the header while the process holds a side, and whoever has the number holds one; it consists of
    // atomics. The reference is not kept beyond that: callers have it for one call.
    unsafe { &*(address(number) as *const Header) }
}

/// The bytes of a channel that this process holds.
pub fn ring(number: usize) -> Ring<'static> {
    let data = NonNull::new((address(number) + DATA) as *mut u8).expect("not null");
    // SAFETY: as for `header`; pages that are not there yet the root server maps when they are touched. All access is by raw pointer.
    unsafe { Ring::new(&header(number).ring, data, PIPE_SIZE) }
}

/// Signals a watch.
pub fn signal(number: usize, watch: usize) {
    nb_signal(CPtr(watch_cptr(number, watch)));
}

/// This process, as the owner of locks.
pub fn own() -> u32 {
    info().process
}
