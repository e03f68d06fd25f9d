// SPDX-License-Identifier: BSD-2-Clause
//! What the sources' tests look through: sources that remember what they published.

use crate::events::Events;
use crate::source::{Edges, SourceId, Sources};
use alloc::vec::Vec;
use core::cell::RefCell;

#[derive(Debug, Default)]
struct Entry {
    level: Events,
    news: Events,
    edges: Edges,
    missed: Events,
    closed: bool,
}

/// All sources of a test.
#[derive(Debug, Default)]
pub struct Recorder {
    entries: RefCell<Vec<Entry>>,
}

impl Recorder {
    /// What holds of it; looking is noticed.
    pub fn level(&self, source: SourceId) -> Events {
        let entry = &mut self.entries.borrow_mut()[source.0 as usize];
        entry.missed |= !entry.level;
        entry.level
    }

    /// What happened since the last question: whether those interested in `events` were told, input edges, output edges.
    pub fn news(&self, source: SourceId, events: Events) -> (bool, u32, u32) {
        let entry = &mut self.entries.borrow_mut()[source.0 as usize];
        let edges = core::mem::take(&mut entry.edges);
        let news = core::mem::take(&mut entry.news);
        (news.intersects(events), edges.input, edges.output)
    }
}

impl Sources for Recorder {
    fn open(&mut self, level: Events) -> SourceId {
        let entries = self.entries.get_mut();
        entries.push(Entry {
            level,
            ..Entry::default()
        });
        SourceId(entries.len() as u64 - 1)
    }

    fn publish(&mut self, source: SourceId, level: Events, news: Events) {
        if let Some(entry) = self.entries.get_mut().get_mut(source.0 as usize) {
            assert!(!entry.closed, "published after its close");
            entry.level = level;
            entry.missed &= !level;
            entry.news |= news;
            entry.edges.count(news);
        }
    }

    fn missed(&self, source: SourceId, events: Events) -> bool {
        let entries = self.entries.borrow();
        let entry = entries.get(source.0 as usize);
        entry.is_some_and(|entry| entry.missed.intersects(events))
    }

    fn close(&mut self, source: SourceId) {
        if let Some(entry) = self.entries.get_mut().get_mut(source.0 as usize) {
            entry.closed = true;
        }
    }
}
