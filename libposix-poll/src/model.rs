// SPDX-License-Identifier: BSD-2-Clause
//! A model of both kernels for tests: notification queues as kernel-ext promises them (3, 4, 6 to 9), or one notification with badge bits.
//!
//! It is one thread: a wait that finds nothing runs the script, which plays the other processes,
//! step by step until one of them wakes the waiter; when the script ends, the deadline has passed.

use crate::backend::{AttachError, BufferSize, Collected, Kernel, QueueId, QueueWoken};
use crate::deadline::Deadline;
use crate::errno::Errno;
use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;
use vfs_hooks::process::notice::WATCH_BITS;

#[derive(Clone, Default)]
struct Notification {
    attached: Option<(usize, u64)>,
    active: bool,
    position: u64,
}

struct Queue {
    head: u64,
    tail: u64,
    attached: u64,
    stale: u64,
    size: BufferSize,
    small: Vec<u64>,
    large: Vec<u64>,
}

impl Queue {
    fn full(&self) -> bool {
        self.attached + self.stale + 1 > self.size.slots() / 2
    }

    fn push(&mut self, cookie: u64) -> u64 {
        let slots = self.size.slots();
        let buffer = match self.size {
            BufferSize::Small => &mut self.small,
            BufferSize::Large => &mut self.large,
        };
        buffer[(self.tail % slots) as usize] = cookie;
        self.tail += 1;
        self.tail
    }

    fn collect(&mut self) -> Collected {
        let run = Collected {
            count: self.tail - self.head,
            first: self.head,
            overrun: false,
        };
        self.head = self.tail;
        self.stale = 0;
        run
    }
}

type Step = Box<dyn FnOnce(&Model)>;

/// See the module.
pub struct Model {
    queue_kernel: bool,
    notifications: RefCell<Vec<Notification>>,
    queues: RefCell<Vec<Option<Queue>>>,
    own: Cell<u64>,
    kicked: Cell<bool>,
    /// The queue that the thread waits on, and the cookie it was handed.
    waiter: Cell<Option<usize>>,
    handed: Cell<Option<u64>>,
    script: RefCell<VecDeque<Step>>,
    /// Kernel entries so far: what "no system call" is checked with.
    pub calls: Cell<u64>,
}

impl Model {
    /// With or without queues.
    pub fn new(queue_kernel: bool) -> Self {
        Model {
            queue_kernel,
            notifications: RefCell::default(),
            queues: RefCell::default(),
            own: Cell::new(0),
            kicked: Cell::new(false),
            waiter: Cell::new(None),
            handed: Cell::new(None),
            script: RefCell::default(),
            calls: Cell::new(0),
        }
    }

    /// What another process does while this one waits.
    pub fn then(&self, step: impl FnOnce(&Model) + 'static) {
        self.script.borrow_mut().push_back(Box::new(step));
    }

    /// A source signals a watch slot.
    pub fn signal(&self, slot: u32) {
        if !self.queue_kernel {
            self.own.set(self.own.get() | 1 << (slot % WATCH_BITS));
            return;
        }
        let mut notifications = self.notifications.borrow_mut();
        let notification = &mut notifications[slot as usize];
        notification.active = true;
        let Some((queue, cookie)) = notification.attached else {
            return;
        };
        let mut queues = self.queues.borrow_mut();
        let object = queues[queue].as_mut().expect("queue of an attachment");
        if notification.position > object.head {
            return;
        }
        if self.waiter.get() == Some(queue) && self.handed.get().is_none() {
            self.handed.set(Some(cookie));
        } else {
            notification.position = object.push(cookie);
        }
    }

    /// Somebody kicks the thread.
    pub fn kick(&self) {
        self.kicked.set(true);
    }

    fn call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    fn with<T>(&self, queue: QueueId, act: impl FnOnce(&mut Queue) -> T) -> T {
        act(self.queues.borrow_mut()[queue.0 as usize]
            .as_mut()
            .expect("a queue that exists"))
    }

    /// Runs the script until `woken` says so; `false` when it is over.
    fn run_until(&self, woken: impl Fn() -> bool) -> bool {
        while !woken() {
            let Some(step) = self.script.borrow_mut().pop_front() else {
                return false;
            };
            step(self);
        }
        true
    }
}

impl Kernel for Model {
    fn grow_watches(&self) -> Result<u32, Errno> {
        self.call();
        let mut notifications = self.notifications.borrow_mut();
        let total = notifications.len() + 256;
        if total > 1 << 14 {
            return Err(Errno::NOMEM);
        }
        notifications.resize(total, Notification::default());
        Ok(total as u32)
    }

    fn queue_create(&self) -> Result<QueueId, Errno> {
        self.call();
        assert!(self.queue_kernel);
        let mut queues = self.queues.borrow_mut();
        queues.push(Some(Queue {
            head: 0,
            tail: 0,
            attached: 0,
            stale: 0,
            size: BufferSize::Small,
            small: std::vec![0; BufferSize::Small.slots() as usize],
            large: std::vec![0; BufferSize::Large.slots() as usize],
        }));
        Ok(QueueId(queues.len() as u32 - 1))
    }

    fn queue_destroy(&self, queue: QueueId) {
        self.call();
        self.queues.borrow_mut()[queue.0 as usize] = None;
        for notification in self.notifications.borrow_mut().iter_mut() {
            if matches!(notification.attached, Some((q, _)) if q == queue.0 as usize) {
                notification.attached = None;
            }
        }
    }

    fn kick(&self, _thread: usize) {
        self.kicked.set(true);
    }

    fn queue_enlarge(&self, queue: QueueId) -> Result<Collected, Errno> {
        self.call();
        Ok(self.with(queue, |q| {
            let run = q.collect();
            q.size = BufferSize::Large;
            run
        }))
    }

    fn attach(&self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError> {
        self.call();
        let active = {
            let mut notifications = self.notifications.borrow_mut();
            let notification = &mut notifications[slot as usize];
            if notification.attached.is_some() {
                return Err(AttachError::Refused);
            }
            if self.with(queue, |q| q.full()) {
                return Err(AttachError::Full);
            }
            self.with(queue, |q| q.attached += 1);
            notification.attached = Some((queue.0 as usize, cookie));
            notification.position = 0;
            notification.active
        };
        if active {
            self.signal(slot);
        }
        Ok(())
    }

    fn detach(&self, queue: QueueId, slot: u32) {
        self.call();
        let mut notifications = self.notifications.borrow_mut();
        let notification = &mut notifications[slot as usize];
        assert_eq!(
            notification.attached.take().map(|a| a.0),
            Some(queue.0 as usize)
        );
        self.with(queue, |q| {
            q.attached -= 1;
            q.stale += u64::from(notification.position > q.head);
        });
    }

    fn tail(&self, queue: QueueId, _size: BufferSize) -> u64 {
        self.with(queue, |q| q.tail)
    }

    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64 {
        self.with(queue, |q| {
            let buffer = match size {
                BufferSize::Small => &q.small,
                BufferSize::Large => &q.large,
            };
            buffer[(number % size.slots()) as usize]
        })
    }

    fn collect(&self, queue: QueueId) -> Collected {
        self.call();
        self.with(queue, Queue::collect)
    }

    fn wait_queue(&self, queue: QueueId, deadline: Deadline) -> QueueWoken {
        self.call();
        if self.kicked.replace(false) {
            return QueueWoken::Bound;
        }
        if self.with(queue, |q| q.tail != q.head) {
            return QueueWoken::Entries;
        }
        self.waiter.set(Some(queue.0 as usize));
        let woken = self.run_until(|| self.handed.get().is_some() || self.kicked.get());
        self.waiter.set(None);
        assert!(woken || deadline != Deadline::NEVER, "waits forever");
        match self.handed.take() {
            Some(cookie) => QueueWoken::HandOff(cookie),
            None => {
                self.kicked.set(false);
                QueueWoken::Bound
            }
        }
    }

    fn wait_own(&self, deadline: Deadline) -> u64 {
        self.call();
        let woken = self.run_until(|| self.own.get() != 0 || self.kicked.get());
        assert!(woken || deadline != Deadline::NEVER, "waits forever");
        self.kicked.set(false);
        self.own.take()
    }

    fn poll_own(&self) -> u64 {
        self.call();
        self.own.take()
    }
}
