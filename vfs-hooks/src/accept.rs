// SPDX-License-Identifier: BSD-2-Clause
//! listen(2) and accept(2) inside a process: a listener's queue of connections that nobody has accepted yet.
#![forbid(unsafe_code)]

use crate::events::Events;
use crate::notifier::{Local, Notifier, READABLE, WRITABLE};
use alloc::collections::VecDeque;
use core::cell::{Cell, RefCell};

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

/// A listener's queue. `T` is what accept gives: a stream and its addresses, for example.
#[derive(Debug)]
pub struct AcceptQueue<T> {
    waiting: RefCell<VecDeque<T>>,
    backlog: Cell<u32>,
    closed: Cell<bool>,
    notifier: Notifier,
}

impl<T> AcceptQueue<T> {
    /// One that listens with this backlog.
    pub fn new(backlog: i32) -> Self {
        let queue = AcceptQueue {
            waiting: RefCell::default(),
            backlog: Cell::new(0),
            closed: Cell::new(false),
            notifier: Notifier::default(),
        };
        queue.set_backlog(backlog);
        queue
    }

    /// listen(2) once more: a new backlog. Connections that wait already stay.
    pub fn set_backlog(&self, backlog: i32) {
        // As unsigned, as Linux takes it: a negative one is the longest.
        self.backlog.set((backlog as u32).min(MAX_BACKLOG));
    }

    /// Whether [`AcceptQueue::push`] would refuse: one more than the backlog waits, as on Linux, or it is closed.
    pub fn is_full(&self) -> bool {
        self.closed.get() || self.waiting.borrow().len() > self.backlog.get() as usize
    }

    /// Adds a connection; gives it back if the queue is full or closed.
    pub fn push(&self, connection: T) -> Result<(), T> {
        if self.is_full() {
            return Err(connection);
        }
        self.waiting.borrow_mut().push_back(connection);
        self.notifier.input(READABLE);
        Ok(())
    }

    /// Takes the connection that has waited longest.
    pub fn pop(&self) -> Result<T, AcceptError> {
        if self.closed.get() {
            return Err(AcceptError::Closed);
        }
        self.waiting
            .borrow_mut()
            .pop_front()
            .ok_or(AcceptError::Again)
    }

    /// Ends listening (close, or shutdown of the reading side). Returns the connections that nobody accepted: reset them.
    pub fn close(&self) -> VecDeque<T> {
        if !self.closed.replace(true) {
            self.notifier.state();
        }
        self.waiting.take()
    }
}

impl<T> Local for AcceptQueue<T> {
    fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// IN: a connection waits. A closed one looks like any unconnected socket on Linux: OUT and HUP.
    fn level(&self) -> Events {
        if self.closed.get() {
            WRITABLE | Events::HUP
        } else if self.waiting.borrow().is_empty() {
            Events::empty()
        } else {
            READABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::probe::Probe;

    #[test]
    fn first_come_first_accepted() {
        let queue = AcceptQueue::new(5);
        assert_eq!(queue.level(), Events::empty());
        assert_eq!(queue.pop(), Err(AcceptError::Again));
        queue.push('a').unwrap();
        queue.push('b').unwrap();
        assert_eq!(queue.level(), READABLE);
        assert_eq!((queue.pop(), queue.pop()), (Ok('a'), Ok('b')));
        assert_eq!(queue.level(), Events::empty());
    }

    #[test]
    fn holds_one_more_than_the_backlog() {
        let queue = AcceptQueue::new(1);
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.push(3), Err(3));
        queue.pop().unwrap();
        assert_eq!(queue.push(3), Ok(()));
        queue.set_backlog(-1);
        assert_eq!(queue.push(4), Ok(()));
        queue.set_backlog(0);
        assert_eq!(queue.push(5), Err(5));
        assert_eq!(queue.pop(), Ok(2));
    }

    #[test]
    fn each_connection_is_an_edge() {
        let queue = AcceptQueue::new(0);
        let probe = Probe::new(&queue, Events::IN);
        queue.push(1).unwrap();
        assert_eq!(probe.news(), (true, 1, 0));
        queue.push(2).unwrap_err();
        assert_eq!(probe.news(), (false, 0, 0));
    }

    #[test]
    fn closing_gives_back_what_waits_and_hangs_up() {
        let queue = AcceptQueue::new(3);
        let probe = Probe::new(&queue, Events::ALWAYS);
        queue.push(1).unwrap();
        assert_eq!(queue.close(), [1]);
        assert_eq!(probe.news(), (true, 2, 1));
        assert_eq!(queue.level(), WRITABLE | Events::HUP);
        assert_eq!(queue.pop(), Err(AcceptError::Closed));
        assert_eq!(queue.push(2), Err(2));
        assert!(queue.close().is_empty());
    }
}
