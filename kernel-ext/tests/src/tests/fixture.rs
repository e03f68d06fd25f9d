// SPDX-License-Identifier: BSD-2-Clause
//! A queue in a state that shows whether a refused call has changed anything.

use sel4_bindings::{CPtr, CapRights, Error, ObjectType, Word, signal};

use crate::queue::{Collected, FROM_QUEUE, Queue, SMALL_CAPACITY, take};
use crate::world::{World, nth};

const COOKIE: Word = 0xc00c_1e00_0000_0001;
const BADGE: Word = 0x21;

/// A queue with room for one attachment more, and with one entry.
pub(super) struct Fixture {
    pub(super) queue: Queue,
    /// Attached and active; the entry tells of it.
    active: CPtr,
    badged: CPtr,
    /// Not attached.
    spare: [CPtr; 2],
    entries: Word,
    sum: Word,
}

impl Fixture {
    pub(super) fn new(world: &mut World) -> Fixture {
        let queue = Queue::new(world);
        let active = world.make(ObjectType::Notification);
        let first = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
        queue.attach(active, COOKIE).expect("attach");
        for i in 0..SMALL_CAPACITY - 2 {
            queue.attach(nth(first, i), i as Word).expect("attach");
        }
        let mut fixture = Fixture {
            queue,
            active,
            badged: world.mint(active, CapRights::ALL, BADGE),
            spare: [SMALL_CAPACITY - 2, SMALL_CAPACITY - 1].map(|i| nth(first, i)),
            entries: 0,
            sum: 0,
        };
        fixture.arm();
        fixture
    }

    /// Starts again after a test that used the queue for something else.
    pub(super) fn restart(&mut self) {
        take(self.active);
        let collected = self.queue.collect();
        self.entries = collected.first + collected.count;
        self.arm();
    }

    fn arm(&mut self) {
        signal(self.badged);
        self.entries += 1;
        self.sum = self.queue.buffer.sum();
    }

    /// Whether queue, buffer, entry, counts and notifications are as this left them
    /// the last time. It leaves them alike, one entry further.
    pub(super) fn unchanged(&mut self) -> bool {
        let [spare, one_more] = self.spare;
        let queue = self.queue;
        let first = self.entries - 1;
        let same = queue.buffer.sum() == self.sum
            && queue.buffer.tail() == self.entries
            && queue.buffer.has(first, [COOKIE])
            && queue.wait() == FROM_QUEUE
            && take(self.active) == BADGE
            && take(self.active) == 0
            && queue.attach(spare, 1) == Ok(())
            && queue.attach(one_more, 1) == Err(Error::NotEnoughMemory)
            && queue.detach(spare) == Ok(())
            && queue.collect() == Collected::of(1, first)
            && take(spare) == 0
            && take(one_more) == 0;
        self.arm();
        same
    }

    /// The same after a call that collected what was there, as it should.
    pub(super) fn collected(&mut self) -> bool {
        let same = self.queue.buffer.tail() == self.entries
            && take(self.active) == BADGE
            && self.queue.collect() == Collected::of(0, self.entries);
        self.arm();
        same && self.unchanged()
    }
}
