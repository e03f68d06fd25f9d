// SPDX-License-Identifier: BSD-2-Clause
//! What a file has in common with its like in other processes: a side of a channel.
//!
//! A pipe or eventfd is the process's own at first, where it costs no system call and no atomics. When another process is to have it
//! too, by fork or by a program that is started, its state moves into a channel, for good ([`File::share`](super::File::share)).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::sync::atomic::Ordering::Relaxed;

use vfs_hooks::Events;
use vfs_hooks::channel::{Header, SIDES};
use vfs_hooks::file::PASSED;
use vfs_hooks::source::{Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;

use super::shared_file;
use crate::errno::Errno;
use crate::platform::{self, channels, process};
use crate::poller::core;
use crate::shared::Shared;

/// How many files of this process hold each side of each channel: the root server counts a process once.
static HELD: Shared<BTreeMap<(usize, usize), u32>> = Shared::new(BTreeMap::new());

/// One more file holds a side that the process holds.
pub fn hold(channel: usize, side: usize) {
    *HELD.lock().entry((channel, side)).or_insert(0) += 1;
}

/// A file holds a side no longer; with the last one the process does not either.
pub fn let_go(channel: usize, side: usize) {
    let mut held = HELD.lock();
    match held.get_mut(&(channel, side)) {
        Some(count @ 2..) => {
            *count -= 1;
            return;
        }
        _ => held.remove(&(channel, side)),
    };
    drop(held);
    channels::drop_sides(channel, 1 << side);
}

/// A side of a channel that the process holds for one open file.
#[derive(Debug)]
pub struct Held {
    /// The channel.
    pub channel: usize,
    side: usize,
}

impl Held {
    /// Of a side that the process holds.
    pub fn new(channel: usize, side: usize) -> Held {
        hold(channel, side);
        Held { channel, side }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let_go(self.channel, self.side);
    }
}

/// After the process was given a side of a channel or a file in memory, in a word as SPAWN has it: gives up what no open file holds.
pub fn drop_unheld(word: u32) {
    if word & PASSED != 0 {
        return shared_file::drop_unheld(word & !PASSED);
    }
    let channel = (word >> 2) as usize;
    let unheld =
        |side: &usize| word & 1 << side != 0 && !HELD.lock().contains_key(&(channel, *side));
    let sides = (0..SIDES)
        .filter(unheld)
        .fold(0, |all, side| all | 1 << side);
    if sides != 0 {
        channels::drop_sides(channel, sides);
    }
}

/// Times to give way to another process that is at work on a channel, before it must be a hostile one: each time all others have their turn, and the other threads of this
/// process wait.
const PATIENCE: usize = 1_000;

/// A side of a channel, of which the process holds it for one open file.
#[derive(Debug)]
pub struct Side {
    /// The channel.
    pub channel: usize,
    /// The side.
    pub side: usize,
    /// Its source in this process.
    pub source: SourceId,
}

/// A side of a channel that the process holds for one open file, whose source is another's affair.
#[derive(Debug)]
pub struct Kept {
    /// The channel.
    pub channel: usize,
    /// The side.
    pub side: usize,
}

impl Kept {
    /// A side that the process holds from now on by this.
    pub fn new(channel: usize, side: usize) -> Kept {
        hold(channel, side);
        Kept { channel, side }
    }

    /// Signals a watch.
    pub fn signal(&self, watch: usize) {
        channels::signal(self.channel, watch);
    }

    /// The root server has given the side to somebody else: there is nothing to give up.
    pub fn handed_on(self) {
        let mut held = HELD.lock();
        match held.get_mut(&(self.channel, self.side)) {
            Some(count @ 2..) => *count -= 1,
            _ => drop(held.remove(&(self.channel, self.side))),
        }
        core::mem::forget(self);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let_go(self.channel, self.side);
    }
}

/// Level and edges of a side, by what the channel is.
pub type Look = fn(channel: usize, side: usize) -> Readiness;

/// A side as the event core sees it.
struct Watched {
    channel: usize,
    side: usize,
    look: Look,
}

impl Remote for Watched {
    fn readiness(&self) -> Readiness {
        (self.look)(self.channel, self.side)
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&channels::header(self.channel).sides[self.side].subscriptions)
    }

    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        // The word in the cell is its own number: that is where its capability is.
        let cell = channels::watch(self.channel, self.side, slot).ok();
        Some(cell.map(|cell| (cell, cell as u32)))
    }

    fn release(&self, cell: usize) {
        channels::unwatch(self.channel, self.side, cell);
    }
}

/// A side as the event core sees it.
pub fn watched(channel: usize, side: usize, look: Look) -> Box<dyn Remote> {
    Box::new(Watched {
        channel,
        side,
        look,
    })
}

/// From now on what holds of a source is looked up at a side of a channel. Who watches it moves along.
pub fn look_at(source: SourceId, channel: usize, side: usize, look: Look) {
    core().publish(source, Events::empty(), Events::empty());
    // Those for whom there is no cell are told nothing more of other processes; they hear of what this one does.
    let _ = core().set_remote(source, Some(watched(channel, side, look)));
}

impl Side {
    /// A side that the process holds from now on by this. Who watches `source` moves along.
    pub fn new(channel: usize, side: usize, source: SourceId, look: Look) -> Side {
        hold(channel, side);
        look_at(source, channel, side, look);
        Side {
            channel,
            side,
            source,
        }
    }

    /// A side that was inherited, with a source of its own.
    pub fn inherited(channel: usize, side: usize, look: Look) -> Side {
        let source = core().open(Events::empty());
        Side::new(channel, side, source, look)
    }

    /// The channel's header.
    pub fn header(&self) -> &'static Header {
        channels::header(self.channel)
    }

    /// Signals a watch.
    pub fn signal(&self, watch: usize) {
        channels::signal(self.channel, watch);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        core().close(self.source);
        let_go(self.channel, self.side);
    }
}

/// Works on a channel until no other process is in the way. EIO: one never gets out of it.
pub fn patiently<R>(mut work: impl FnMut() -> Option<R>) -> Result<R, Errno> {
    for _ in 0..PATIENCE {
        if let Some(result) = work() {
            platform::stats().channel_calls.fetch_add(1, Relaxed);
            return Ok(result);
        }
        // All processes have one priority, so the other one gets on with it. If it ends instead, the root server frees the lock.
        process::give_way();
    }
    Err(Errno::EIO)
}
