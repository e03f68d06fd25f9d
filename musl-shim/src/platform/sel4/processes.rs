// SPDX-License-Identifier: BSD-2-Clause
//! What the root server tells of processes ([`vfs_hooks::facts`]).

use alloc::vec::Vec;

use vfs_hooks::facts::{Facts, Text};
use vfs_hooks::wire::root;

use super::server::{ask_root, ask_root_packed, ask_root_words};
use crate::errno::Errno;

/// Numbers of all processes, ascending.
pub fn all() -> Vec<usize> {
    let next = |after: u64| match ask_root(root::PROCESS_NEXT, [after, 0, 0]) {
        Ok([0, ..]) | Err(_) => None,
        Ok([pid, ..]) => Some(pid),
    };
    let pids = core::iter::successors(next(0), |pid| next(*pid));
    pids.map(|pid| pid as usize).collect()
}

/// What there is to tell of a process. ESRCH.
pub fn facts(pid: usize) -> Result<Facts, Errno> {
    let words = ask_root_words(root::PROCESS_FACTS, [pid as u64, 0, 0])?;
    Ok(Facts::from_words(&words))
}

/// A text of a process. ESRCH.
pub fn text(pid: usize, which: Text) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    loop {
        let words = [pid as u64, which.number(), text.len() as u64];
        let part = ask_root_packed(root::PROCESS_TEXT, words)?;
        if part.is_empty() {
            return Ok(text);
        }
        text.extend(part);
    }
}
