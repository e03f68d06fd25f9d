// SPDX-License-Identifier: BSD-2-Clause
//! Channels: shared memory that several processes hold, for what they have open in common (a pipe, an eventfd, a file's position).
//!
//! A channel has a number and lies at the same address in every holder. It has two *sides* (a pipe's reader and writer); a process
//! holds one or both. The root server makes channels, counts the holders of each side in the header, and hands them on at SPAWN, EXEC
//! and FORK. It is in no read, write or wait.
//!
//! Watching: a watcher asks the root server for a subscription cell of a side. The number of the cell is that of a send capability in
//! the channel's CNode, which every holder finds at [`watch_cptr`]. So any holder can tell any watcher, and none handles capabilities.
//!
//! When a holder ends, the root server frees its cells and the lock if it had it, counts it out, and if it was the last of its side, tells
//! everybody: hang-up is an event like others.
//!
//! A channel is one trust group: what is read from it is the other holders' claim.

use crate::channel_packets::Packets;
use crate::events::Events;
use crate::ring::RingIndices;
use crate::subscription::{SUBSCRIPTIONS, Subscriptions};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Sides of a channel.
pub const SIDES: usize = 2;
/// The side that a pipe is read from.
pub const READER: usize = 0;
/// The side that a pipe is written to.
pub const WRITER: usize = 1;

/// Address of channel 0.
pub const CHANNELS: usize = 0x34_0000_0000;
/// Addresses for each channel: what a connection's two rings need.
pub const SPAN: usize = 1 << 20;
/// Most channels in the system.
pub const MOST: usize = 4096;
/// Where in its first page what only connections have begins ([`channel_socket`](crate::channel_socket)).
pub const CONNECTION: usize = 1024;
/// Where a channel's bytes begin; before them is its header. Pages from here on are there once they are touched.
pub const DATA: usize = 4096;
/// Bytes of a pipe (pipe(7), Pipe capacity).
pub const PIPE_SIZE: u32 = 64 << 10;

// CSpace: [6 bits: CHANNEL_CNODES + ...][10 bits: channel][4 bits: cell].

/// First-level index of the CNode for channels 0 to 1023; others follow.
pub const CHANNEL_CNODES: usize = 40;
/// How many there are.
pub const CNODES: usize = MOST >> CHANNEL_BITS;
/// Bits of a channel's number within one of them.
pub const CHANNEL_BITS: u32 = 10;
/// Bits of a channel's CNode.
pub const CELL_BITS: u32 = 4;

const _: () = assert!(SIDES * SUBSCRIPTIONS <= 1 << CELL_BITS);
const _: () = assert!(CHANNEL_BITS + CELL_BITS == crate::process::CSPACE_LOW_BITS);
const _: () = assert!(CHANNEL_CNODES + CNODES <= 1 << crate::process::CSPACE_TOP_BITS);

/// Where channel `number` lies.
pub const fn address(number: usize) -> usize {
    CHANNELS + number * SPAN
}

/// Number of a watch within its channel.
pub const fn watch_number(side: usize, cell: usize) -> usize {
    side * SUBSCRIPTIONS + cell
}

/// Where a holder finds the send capability of a watch.
pub const fn watch_cptr(number: usize, watch: usize) -> usize {
    let top = CHANNEL_CNODES + (number >> CHANNEL_BITS);
    let low = (number & ((1 << CHANNEL_BITS) - 1)) << CELL_BITS | watch;
    crate::process::cptr(top, low)
}

/// What all watchers of one side look at.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Side {
    /// Processes that hold the side. Written by the root server.
    pub holders: AtomicU32,
    /// Edges of its input.
    pub input: AtomicU32,
    /// Edges of its output.
    pub output: AtomicU32,
    /// Status flags (O_*) of the open file that the side stands for, if it stands for one.
    pub flags: AtomicU32,
    /// Its watches.
    pub subscriptions: Subscriptions,
}

/// The first page. Zeroed memory is an empty channel.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Header {
    /// Process that is at work on it; 0: none.
    lock: AtomicU32,
    reserved: AtomicU32,
    /// An eventfd's count, a file's position, or how often a FIFO was opened.
    pub value: AtomicU64,
    /// The bytes from [`DATA`] on.
    pub ring: RingIndices,
    /// Reader and writer.
    pub sides: [Side; SIDES],
    /// What of a pipe's bytes are packets.
    pub packets: Packets,
    /// A timerfd's state.
    pub timer: [AtomicU64; 4],
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Header>() <= CONNECTION);

/// Proof that the lock is held.
#[derive(Debug)]
pub struct Locked<'a>(&'a AtomicU32);

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<'a> Locked<'a> {
    /// Takes a lock for process `own` if nobody has it. Files' headers have such a lock, too. A process is at one thing at a time: that it has the lock
    /// already can only be what somebody else wrote there.
    #[inline]
    pub(crate) fn take(lock: &'a AtomicU32, own: u32) -> Option<Locked<'a>> {
        match lock.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(Locked(lock)),
            Err(owner) if owner == own => Some(Locked(lock)),
            Err(_) => None,
        }
    }

    /// Frees it if process `ended`, which is no more, had it.
    pub(crate) fn recover(lock: &AtomicU32, ended: u32) {
        let _ = lock.compare_exchange(ended, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Frees it if somebody is said to have it who could not.
    pub(crate) fn recover_from_strangers(lock: &AtomicU32, holds: impl Fn(u32) -> bool) {
        let owner = lock.load(Ordering::Acquire);
        if owner != 0 && !holds(owner) {
            Locked::recover(lock, owner);
        }
    }
}

impl Header {
    /// Takes the lock for process `own`. `None`: another process is at work. Give way and try again; it holds the lock for some
    /// hundred instructions, and if it ends meanwhile, the root server frees it.
    #[inline]
    pub fn try_lock(&self, own: u32) -> Option<Locked<'_>> {
        Locked::take(&self.lock, own)
    }

    /// Root server: process `ended` is no more.
    pub fn recover(&self, ended: u32) {
        Locked::recover(&self.lock, ended);
    }

    /// Root server: `holds` says who is a holder. Frees the lock if somebody has written there that another has it, as only one that means ill does: nobody would ever free it.
    pub fn recover_from_strangers(&self, holds: impl Fn(u32) -> bool) {
        Locked::recover_from_strangers(&self.lock, holds);
    }

    /// The side's number of holders as the root server counts them.
    #[inline]
    pub fn holders(&self, side: usize) -> u32 {
        self.sides[side].holders.load(Ordering::Acquire)
    }

    /// After a change of state: counts edges of `side` in the directions of `news`, and signals those who wait for any of it, by number of
    /// watch.
    #[inline]
    pub fn publish(&self, side: usize, news: Events, signal: impl FnMut(usize)) {
        let own = &self.sides[side];
        if news.intersects(Events::INPUT | Events::ALWAYS) {
            own.input.fetch_add(1, Ordering::Release);
        }
        if news.intersects(Events::OUTPUT | Events::ALWAYS) {
            own.output.fetch_add(1, Ordering::Release);
        }
        self.tell(side, news, signal);
    }

    /// Signals those who watch `side` for any of `news`, by number of watch, whether or not it is news of that side.
    #[inline]
    pub fn tell(&self, side: usize, news: Events, mut signal: impl FnMut(usize)) {
        self.sides[side].subscriptions.notify(news, |cell| {
            // The cell's word is the other holders' claim.
            if (cell as usize) < SUBSCRIPTIONS {
                signal(watch_number(side, cell as usize));
            }
        });
    }
}

/// The lock's steps with an order or a check left out: for the models, which must catch them.
#[cfg(loom)]
pub mod mutants {
    use super::*;

    /// [`Header::try_lock`], which [`give`] ends.
    pub fn take(header: &Header, own: u32) -> bool {
        let lock = header.try_lock(own);
        let taken = lock.is_some();
        core::mem::forget(lock);
        taken
    }

    /// What dropping [`Locked`] does.
    pub fn give(header: &Header) {
        drop(Locked(&header.lock));
    }

    /// [`Header::try_lock`] in two steps.
    pub fn look_then_take(header: &Header, own: u32) -> bool {
        let free = header.lock.load(Ordering::Acquire) == 0;
        if free {
            header.lock.store(own, Ordering::Release);
        }
        free
    }

    /// [`Header::try_lock`] without acquiring.
    pub fn take_relaxed(header: &Header, own: u32) -> bool {
        let taken = header
            .lock
            .compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Dropping [`Locked`] without releasing.
    pub fn give_relaxed(header: &Header) {
        header.lock.store(0, Ordering::Relaxed);
    }

    /// [`Header::recover`] whoever has the lock.
    pub fn recover_whosever(header: &Header) {
        header.lock.store(0, Ordering::Release);
    }
}
