// SPDX-License-Identifier: BSD-2-Clause
//! A model of both kernels for tests: notification queues as kernel-ext promises them (3, 4, 6 to 9), or one notification with badge bits.
//! Any number of handles share it.

use crate::backend::{AttachError, Block, BufferSize, Collected, Kernel, QueueId, Woke};
use crate::errno::Errno;
use std::sync::{Arc, Mutex, MutexGuard};
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
    /// 1; more: a mutant whose buffer has so many times fewer slots than it promises.
    divisor: u64,
    small: Vec<u64>,
    large: Vec<u64>,
}

impl Queue {
    fn full(&self) -> bool {
        self.attached + self.stale + 1 > self.size.slots() / 2
    }

    fn push(&mut self, cookie: u64) -> u64 {
        let slots = self.size.slots() / self.divisor;
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

#[derive(Default)]
struct State {
    notifications: Vec<Notification>,
    queues: Vec<Option<Queue>>,
    /// Badge bits of the process's notification.
    bits: u64,
    /// Threads that block on a queue, in order, and the cookie that each was handed.
    waiters: Vec<(usize, usize, Option<u64>)>,
    /// Slots that are signalled between the next collection and the look at what it brought.
    late: Vec<u32>,
}

impl State {
    fn queue(&mut self, queue: QueueId) -> &mut Queue {
        self.queues[queue.0 as usize]
            .as_mut()
            .expect("a queue that exists")
    }

    fn signal(&mut self, slot: u32) {
        let notification = &mut self.notifications[slot as usize];
        notification.active = true;
        let Some((queue, cookie)) = notification.attached else {
            return;
        };
        let object = self.queues[queue].as_mut().expect("queue of an attachment");
        if notification.position > object.head {
            return;
        }
        let waiter = self
            .waiters
            .iter_mut()
            .find(|(_, on, handed)| *on == queue && handed.is_none());
        match waiter {
            Some((_, _, handed)) => *handed = Some(cookie),
            None => notification.position = object.push(cookie),
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Model {
    queues: bool,
    state: Arc<Mutex<State>>,
}

impl Model {
    /// With or without queues.
    pub fn new(queues: bool) -> Self {
        Model {
            queues,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in the model")
    }

    /// A source signals a watch slot.
    pub fn signal(&self, slot: u32) {
        let mut state = self.state();
        if self.queues {
            state.signal(slot);
        } else {
            state.bits |= 1 << (slot % WATCH_BITS);
        }
    }

    /// Sources signal these slots as soon as the next collection has ended.
    pub fn signal_late(&self, slots: impl Iterator<Item = u32>) {
        self.state().late = slots.collect();
    }

    /// Mutant: the queues' buffers have so many times fewer slots than they promise.
    pub fn shrink_buffers(&self, divisor: u64) {
        let mut state = self.state();
        let queues = state.queues.iter_mut().flatten();
        queues.for_each(|queue| queue.divisor = divisor);
    }

    /// From now on it is the kernel of a child, which has none of the objects.
    pub fn after_fork(&self) {
        *self.state() = State::default();
    }

    /// The thread begins to wait there.
    pub fn enter(&self, thread: usize, block: Block) {
        if let Block::Queue(queue) = block {
            self.state().waiters.push((thread, queue.0 as usize, None));
        }
    }

    /// What ends the thread's wait now, if anything does.
    pub fn woke(&self, thread: usize, block: Block) -> Option<Woke> {
        let mut state = self.state();
        match block {
            Block::Own => None,
            Block::Process => {
                let bits = core::mem::take(&mut state.bits);
                (bits != 0).then_some(Woke { cookie: None, bits })
            }
            Block::Queue(queue) => {
                let handed = state.waiters.iter().find(|w| w.0 == thread);
                if let Some(&(_, _, Some(cookie))) = handed {
                    return Some(Woke {
                        cookie: Some(cookie),
                        bits: 0,
                    });
                }
                let queue = state.queue(queue);
                (queue.tail != queue.head).then(Woke::default)
            }
        }
    }

    /// The thread's wait is over.
    pub fn leave(&self, thread: usize) {
        self.state().waiters.retain(|w| w.0 != thread);
    }
}

impl Kernel for Model {
    fn has_queues(&self) -> bool {
        self.queues
    }

    fn grow_watches(&mut self) -> Result<u32, Errno> {
        let mut state = self.state();
        let total = state.notifications.len() + 256;
        if total > 1 << 14 {
            return Err(Errno::NOMEM);
        }
        state.notifications.resize(total, Notification::default());
        Ok(total as u32)
    }

    fn queue_create(&mut self) -> Result<QueueId, Errno> {
        assert!(self.queues);
        let mut state = self.state();
        state.queues.push(Some(Queue {
            head: 0,
            tail: 0,
            attached: 0,
            stale: 0,
            size: BufferSize::Small,
            divisor: 1,
            small: std::vec![0; BufferSize::Small.slots() as usize],
            large: std::vec![0; BufferSize::Large.slots() as usize],
        }));
        Ok(QueueId(state.queues.len() as u32 - 1))
    }

    fn queue_destroy(&mut self, queue: QueueId) {
        let mut state = self.state();
        state.queues[queue.0 as usize] = None;
        for notification in &mut state.notifications {
            if matches!(notification.attached, Some((q, _)) if q == queue.0 as usize) {
                notification.attached = None;
            }
        }
    }

    fn queue_enlarge(&mut self, queue: QueueId) -> Result<Collected, Errno> {
        let mut state = self.state();
        let queue = state.queue(queue);
        let run = queue.collect();
        queue.size = BufferSize::Large;
        Ok(run)
    }

    fn attach(&mut self, queue: QueueId, slot: u32, cookie: u64) -> Result<(), AttachError> {
        let mut state = self.state();
        if state.notifications[slot as usize].attached.is_some() {
            return Err(AttachError::Refused);
        }
        if state.queue(queue).full() {
            return Err(AttachError::Full);
        }
        state.queue(queue).attached += 1;
        let notification = &mut state.notifications[slot as usize];
        notification.attached = Some((queue.0 as usize, cookie));
        notification.position = 0;
        if notification.active {
            state.signal(slot);
        }
        Ok(())
    }

    fn detach(&mut self, queue: QueueId, slot: u32) {
        let mut state = self.state();
        let notification = &mut state.notifications[slot as usize];
        let (attached, position) = (notification.attached.take(), notification.position);
        assert_eq!(attached.map(|a| a.0), Some(queue.0 as usize));
        let queue = state.queue(queue);
        queue.attached -= 1;
        queue.stale += u64::from(position > queue.head);
    }

    fn tail(&self, queue: QueueId, _size: BufferSize) -> u64 {
        self.state().queue(queue).tail
    }

    fn entry(&self, queue: QueueId, size: BufferSize, number: u64) -> u64 {
        let mut state = self.state();
        let queue = state.queue(queue);
        let buffer = match size {
            BufferSize::Small => &queue.small,
            BufferSize::Large => &queue.large,
        };
        buffer[(number % (size.slots() / queue.divisor)) as usize]
    }

    fn collect(&mut self, queue: QueueId) -> Collected {
        let mut state = self.state();
        let run = state.queue(queue).collect();
        for slot in core::mem::take(&mut state.late) {
            state.signal(slot);
        }
        run
    }

    fn poll_bits(&mut self) -> u64 {
        core::mem::take(&mut self.state().bits)
    }
}
