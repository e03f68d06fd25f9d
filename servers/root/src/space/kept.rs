// SPDX-License-Identifier: BSD-2-Clause
//! What of a space is kept for the next process, and copies for fork(2).

use root_server::ranges::Ranges;
use sel4_bindings::*;
use vfs_hooks::channel::{CHANNELS, MOST, SPAN};
use vfs_hooks::lock::MAX_THREADS;
use vfs_hooks::net::CHANNEL_SIZE;
use vfs_hooks::process::{
    ARCHIVE, BRK, INFO, IPC_BUFFER, NET_CHANNEL, PAGE, STATS, THREADS, thread_memory,
};

use super::{Frame, LargePage, Space, number};
use crate::files::is_header;
use crate::memory::Memory;
use crate::objects::Result;

/// Bytes of objects, at most, of a space that is kept for the next process.
const PLAIN: u64 = 256 << 10;

/// Whether a page is one that each process has from its beginning.
pub fn is_fixed(address: usize) -> bool {
    matches!(address, INFO | STATS | IPC_BUFFER)
}

impl Space {
    /// Keeps the pages of which `keep` says so, by their addresses, protection and whether they are its own; and what it borrowed in large pages.
    pub fn retain(&mut self, memory: &mut Memory, keep: impl Fn(usize, u64, bool) -> bool) {
        self.pages.retain(|&number, page| {
            let own = page.owner == Frame::Own;
            let address = number as usize * PAGE;
            let shared = matches!(page.owner, Frame::Shared(_));
            if !shared && keep(address, page.prot.into(), own) {
                return true;
            }
            core::mem::take(page).give_back(memory);
            false
        });
        self.reserved = Ranges::default();
        self.peak = self.pages.len();
    }

    /// Whether its large pages are those of its program and the archive, and there are few objects: worth to be kept for the next process.
    pub fn is_plain(&self) -> bool {
        let common = |page: &LargePage| {
            page.owner == Frame::Copied && (page.address < BRK || page.address >= ARCHIVE)
        };
        self.arena.holds().0 <= PLAIN && self.large.iter().all(common)
    }

    /// Small pages: address, frame, and whether it is its own.
    pub fn small_pages(&self) -> impl Iterator<Item = (usize, CPtr, bool)> {
        self.pages.iter().map(|(&number, page)| {
            let own = page.owner == Frame::Own;
            (number as usize * PAGE, CPtr(page.frame as usize), own)
        })
    }

    /// The frame of its own at `address`.
    pub fn own_frame(&self, address: usize) -> Option<CPtr> {
        let page = self.pages.get(&number(address))?;
        (page.owner == Frame::Own && page.prot != 0).then_some(CPtr(page.frame as usize))
    }

    /// Copies what `other` has and this one has not. Its process does not run.
    pub fn copy(&mut self, memory: &mut Memory, other: &Space) -> Result<()> {
        self.match_pages(memory, other);
        for (&number, page) in &other.pages {
            let (address, frame) = (number as usize * PAGE, CPtr(page.frame as usize));
            let prot = u64::from(page.prot);
            // The caller hands on channels; what else is borrowed here is the net server's.
            if (CHANNELS..CHANNELS + MOST * SPAN).contains(&address) || is_header(address) {
                continue;
            }
            // What other threads have is nobody's in the copy, and in the way of the threads that it makes.
            if (THREADS..thread_memory(MAX_THREADS)).contains(&address) {
                continue;
            }
            if let Frame::Shared(frame) = page.owner {
                self.share(memory, CPtr(frame as usize), address, prot)?;
                continue;
            }
            let shared = page.owner == Frame::Copied && address < NET_CHANNEL;
            match (shared, self.own_frame(address)) {
                (false, None) => {
                    let copy = memory.duplicate(frame)?;
                    self.adopt(memory, copy, address, prot)?;
                }
                // What each process has from its beginning counts for itself.
                (false, Some(_)) if is_fixed(address) => {}
                (false, Some(own)) => memory.overwrite(own, frame)?,
                (true, _) if self.pages.contains_key(&number) => {}
                (true, _) => self.borrow(memory, frame, address, prot)?,
            }
        }
        for page in &other.large {
            if self.has_large_page(page.address) {
                continue;
            }
            if !(NET_CHANNEL..NET_CHANNEL + CHANNEL_SIZE).contains(&page.address) {
                self.borrow_large(memory, page.frame, page.address, CapRights::READ)?;
            } else {
                // The channel to the net server: what the child does to its copy, until it throws it away, is seen by nobody.
                let copy = memory.duplicate_large(page.frame)?;
                self.adopt_large(memory, copy, page.address)?;
            }
        }
        for range in other.reserved.iter() {
            self.reserved.insert(range);
        }
        Ok(())
    }

    /// Gives back pages that a copy of `other` has not, or has in another way.
    fn match_pages(&mut self, memory: &mut Memory, other: &Space) {
        self.pages.retain(|number, page| {
            let same = other.pages.get(number).is_some_and(|theirs| {
                let (ours, theirs) = ((page.owner, page.prot), (theirs.owner, theirs.prot));
                ours == theirs && theirs.1 != 0
            });
            if same || is_fixed(*number as usize * PAGE) {
                return true;
            }
            core::mem::take(page).give_back(memory);
            false
        });
    }
}
