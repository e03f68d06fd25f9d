// SPDX-License-Identifier: BSD-2-Clause
//! listen(2) and accept(2) inside a process: a listener's queue of connections that nobody has accepted yet.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::source::{SourceId, Sources};
use alloc::collections::VecDeque;

/// The longest backlog (listen(2), somaxconn); longer ones and negative ones are cut to it.
pub const MAX_BACKLOG: u32 = 4096;

/// Why nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// No connection waits (EAGAIN, or wait for IN and accept again).
    Again,
    /// It does not listen any more (EINVAL).
    Closed,
}

/// A listener's queue. `T` is what accept gives: a stream and its addresses, for example. Its source is that of the socket, which
/// was there before.
#[derive(Debug)]
pub struct AcceptQueue<T> {
    waiting: VecDeque<T>,
    backlog: u32,
    closed: bool,
    source: SourceId,
}

impl<T> AcceptQueue<T> {
    /// One that listens with this backlog.
    pub fn new(sources: &mut impl Sources, source: SourceId, backlog: i32) -> Self {
        let mut queue = AcceptQueue {
            waiting: VecDeque::new(),
            backlog: 0,
            closed: false,
            source,
        };
        queue.set_backlog(backlog);
        // Told to all: what held of the idle socket does not any more.
        sources.publish(source, queue.level(), Events::all());
        queue
    }

    /// listen(2) once more: a new backlog. Connections that wait already stay.
    pub fn set_backlog(&mut self, backlog: i32) {
        // As unsigned, as Linux takes it: a negative one is the longest.
        self.backlog = (backlog as u32).min(MAX_BACKLOG);
    }

    /// Whether [`AcceptQueue::push`] would refuse: one more than the backlog waits, as on Linux, or it is closed.
    pub fn is_full(&self) -> bool {
        self.closed || self.waiting.len() > self.backlog as usize
    }

    /// Adds a connection; gives it back if the queue is full or closed.
    pub fn push(&mut self, sources: &mut impl Sources, connection: T) -> Result<(), T> {
        if self.is_full() {
            return Err(connection);
        }
        self.waiting.push_back(connection);
        sources.publish(self.source, Events::READABLE, Events::READABLE);
        Ok(())
    }

    /// Takes the connection that has waited longest.
    pub fn pop(&mut self, sources: &mut impl Sources) -> Result<T, AcceptError> {
        if self.closed {
            return Err(AcceptError::Closed);
        }
        let connection = self.waiting.pop_front().ok_or(AcceptError::Again)?;
        sources.publish(self.source, self.level(), Events::empty());
        Ok(connection)
    }

    /// Ends listening (close, or shutdown of the reading side). Returns the connections that nobody accepted: reset them.
    pub fn close(&mut self, sources: &mut impl Sources) -> VecDeque<T> {
        let waiting = core::mem::take(&mut self.waiting);
        if !core::mem::replace(&mut self.closed, true) {
            sources.publish(self.source, self.level(), Events::all());
        }
        waiting
    }

    /// IN: a connection waits. A closed one looks like any unconnected socket on Linux: OUT and HUP.
    fn level(&self) -> Events {
        if self.closed {
            Events::WRITABLE | Events::HUP
        } else if self.waiting.is_empty() {
            Events::empty()
        } else {
            Events::READABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    #[test]
    fn first_come_first_accepted() {
        let mut all = Recorder::default();
        let source = all.open(Events::empty());
        let mut queue = AcceptQueue::new(&mut all, source, 5);
        all.news(source, Events::all());
        assert_eq!(all.level(source), Events::empty());
        assert_eq!(queue.pop(&mut all), Err(AcceptError::Again));
        queue.push(&mut all, 'a').unwrap();
        queue.push(&mut all, 'b').unwrap();
        assert_eq!(all.level(source), Events::READABLE);
        assert_eq!(
            (queue.pop(&mut all), queue.pop(&mut all)),
            (Ok('a'), Ok('b'))
        );
        assert_eq!(all.level(source), Events::empty());
    }

    #[test]
    fn holds_one_more_than_the_backlog() {
        let mut all = Recorder::default();
        let source = all.open(Events::empty());
        let mut queue = AcceptQueue::new(&mut all, source, 1);
        all.news(source, Events::all());
        queue.push(&mut all, 1).unwrap();
        queue.push(&mut all, 2).unwrap();
        assert_eq!(queue.push(&mut all, 3), Err(3));
        queue.pop(&mut all).unwrap();
        assert_eq!(queue.push(&mut all, 3), Ok(()));
        queue.set_backlog(-1);
        assert_eq!(queue.push(&mut all, 4), Ok(()));
        queue.set_backlog(0);
        assert_eq!(queue.push(&mut all, 5), Err(5));
        assert_eq!(queue.pop(&mut all), Ok(2));
    }

    #[test]
    fn each_connection_is_an_edge() {
        let mut all = Recorder::default();
        let source = all.open(Events::empty());
        let mut queue = AcceptQueue::new(&mut all, source, 0);
        all.news(source, Events::all());
        queue.push(&mut all, 1).unwrap();
        assert_eq!(all.news(source, Events::all()), (true, 1, 0));
        queue.push(&mut all, 2).unwrap_err();
        assert_eq!(all.news(source, Events::all()), (false, 0, 0));
    }

    #[test]
    fn closing_gives_back_what_waits_and_hangs_up() {
        let mut all = Recorder::default();
        let source = all.open(Events::empty());
        let mut queue = AcceptQueue::new(&mut all, source, 3);
        all.news(source, Events::all());
        queue.push(&mut all, 1).unwrap();
        assert_eq!(queue.close(&mut all), [1]);
        assert_eq!(all.news(source, Events::all()), (true, 2, 1));
        assert_eq!(all.level(source), Events::WRITABLE | Events::HUP);
        assert_eq!(queue.pop(&mut all), Err(AcceptError::Closed));
        assert_eq!(queue.push(&mut all, 2), Err(2));
        assert!(queue.close(&mut all).is_empty());
    }
}
