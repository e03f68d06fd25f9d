// SPDX-License-Identifier: BSD-2-Clause
//! Shared futexes: FUTEX_WAIT and its relatives, and the robust mutexes of processes that have ended. Who waits for what: [`root_server::waiters`].

use core::sync::atomic::{AtomicU32, Ordering};

use root_server::errno;
use root_server::waiters::{ANY, Key, ThreadId};
use vfs_hooks::process::PAGE;

use crate::memory::Memory;
use crate::process::Process;
use crate::system::System;

// The word of a robust mutex (futex(2), "Robust futexes").
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;
/// Longest list that is gone through: ROBUST_LIST_LIMIT.
const MOST_ROBUST: usize = 2048;
/// Bits of a thread's id that are the process's (`musl-shim/src/threads.rs`).
const PROCESS_BITS: u32 = 16;

/// A word of shared memory: what names it, and the word.
fn word(memory: &mut Memory, process: &Process, address: u64) -> Option<(Key, &'static AtomicU32)> {
    let address = usize::try_from(address).ok()?;
    if !address.is_multiple_of(4) {
        return None;
    }
    let frame = process.space.shared_frame(address)?;
    let offset = address % PAGE;
    let view = memory.lens(frame).ok()?;
    // SAFETY: the frame is mapped there for as long as it is somebody's, which it is while this request is served; the offset is that of an aligned word.
    let word = unsafe { &*((view + offset) as *const AtomicU32) };
    Some(((frame.0 as u32, offset as u32), word))
}

impl System {
    fn word(&mut self, number: usize, address: u64) -> Result<(Key, &'static AtomicU32), u64> {
        let process = self.processes.get(&number).ok_or(errno::EPERM)?;
        word(&mut self.memory, process, address).ok_or(errno::EINVAL)
    }

    /// FUTEX_WAIT.
    pub fn futex_wait(
        &mut self,
        number: usize,
        [address, value, thread]: [u64; 3],
    ) -> Result<(), u64> {
        let (key, word) = self.word(number, address)?;
        let known = |process: &Process| process.threads.get(thread as usize).is_some();
        if !self.processes.get(&number).is_some_and(known) {
            return Err(errno::ESRCH);
        }
        if word.load(Ordering::SeqCst) != value as u32 {
            return Err(errno::EAGAIN);
        }
        let set = (value >> 32) as u32;
        self.waiters.enter(key, (number, thread as usize), set);
        Ok(())
    }

    /// FUTEX_WAKE.
    pub fn futex_wake(&mut self, number: usize, address: u64, what: u64) -> Result<u64, u64> {
        let (key, _) = self.word(number, address)?;
        let (most, set) = (what as u32, (what >> 32) as u32);
        Ok(self.wake(key, most, set))
    }

    /// FUTEX_MOVE.
    pub fn futex_move(&mut self, number: usize, [from, most, to]: [u64; 3]) -> Result<u64, u64> {
        let ((from, _), (to, _)) = (self.word(number, from)?, self.word(number, to)?);
        Ok(self.waiters.move_on(from, to, most as usize) as u64)
    }

    fn wake(&mut self, key: Key, most: u32, set: u32) -> u64 {
        let mut count = 0;
        while count < u64::from(most)
            && let Some(woken) = self.waiters.take(key, set)
        {
            self.tell_woken(woken);
            count += 1;
        }
        count
    }

    fn tell_woken(&self, (number, thread): ThreadId) {
        let process = self.processes.get(&number);
        if let Some((process, thread)) = process.and_then(|p| Some((p, p.threads.get(thread)?))) {
            thread.state().futex.store(0, Ordering::SeqCst);
            process.kick_thread(thread);
        }
    }

    /// A process that has ended waits for nothing, and lets go of the robust mutexes that it shares. Its memory is still there.
    pub fn futexes_ended(&mut self, process: &Process) {
        self.waiters.end(process.number);
        let heads = process.threads.running().filter_map(|(thread, found)| {
            let head = found.state().robust.load(Ordering::Relaxed);
            (head != 0).then_some((thread, head))
        });
        for (thread, head) in heads {
            self.let_go(process, thread, head);
        }
    }

    /// Goes through a thread's list of robust mutexes, whatever it contains.
    fn let_go(&mut self, process: &Process, thread: usize, head: u64) {
        let id = (thread << PROCESS_BITS | process.number) as u32;
        let Some([first, offset, pending]) = self.read_words(process, head) else {
            return;
        };
        // Bit 0 says that the mutex inherits priorities.
        let (mut entry, pending) = (first & !1, pending & !1);
        for _ in 0..MOST_ROBUST {
            if entry == head || entry == 0 {
                break;
            }
            // Before the mutex is let go of, whose memory may then be used anew.
            let next = self.read_words(process, entry).map(|[next]| next & !1);
            if entry != pending {
                self.owner_died(process, entry.wrapping_add(offset), id, false);
            }
            match next {
                Some(next) => entry = next,
                None => break,
            }
        }
        if pending != 0 {
            self.owner_died(process, pending.wrapping_add(offset), id, true);
        }
    }

    fn read_words<const N: usize>(&mut self, process: &Process, at: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        for (i, word) in words.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            let address = usize::try_from(at).ok()?.checked_add(i * 8)?;
            if !process.space.read(&mut self.memory, address, &mut bytes) {
                return None;
            }
            *word = u64::from_le_bytes(bytes);
        }
        Some(words)
    }

    /// Thread `id`, which has ended, may have held this mutex. `pending`: it was just taking it, or letting go of it.
    fn owner_died(&mut self, process: &Process, address: u64, id: u32, pending: bool) {
        let Some((key, word)) = word(&mut self.memory, process, address) else {
            return;
        };
        let value = word.load(Ordering::SeqCst);
        if value & OWNER == id {
            word.store(value & WAITERS | OWNER_DIED, Ordering::SeqCst);
            if value & WAITERS != 0 {
                self.wake(key, 1, ANY);
            }
        } else if pending && value == 0 {
            // It may have been woken to take it, or not have woken the next.
            self.wake(key, 1, ANY);
        }
    }
}
