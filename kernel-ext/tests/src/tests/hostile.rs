// SPDX-License-Identifier: BSD-2-Clause
//! Users who spoil their own buffers: the kernel goes on, and nobody else suffers.

use sel4_bindings::{
    CapRights, Error, MessageInfo, ObjectType, Word, call, signal, tcb_set_ipc_buffer,
    x86_page_unmap,
};

use super::fixture::Fixture;
use crate::CHILD_PRIORITY;
use crate::child::{self, Child};
use crate::queue::{Buffer, Collected, Queue, SMALL_CAPACITY, set_buffer, signal_all, take};
use crate::tap::Tap;
use crate::world::{World, delete, nth, retype, revoke};

/// What a queue says that has lost its buffer.
fn overrun(count: Word, first: Word) -> Collected {
    Collected {
        count,
        first,
        overrun: true,
    }
}

pub(super) fn unmapped(world: &mut World, tap: &mut Tap) {
    let mut bystander = Fixture::new(world);
    let queue = Queue::new(world);
    let notifications = world.make_many(ObjectType::Notification, 2);
    let n = |i| nth(notifications, i);
    (0..2).for_each(|i| queue.attach(n(i), 10 + i as Word).expect("attach"));
    signal(n(0));
    x86_page_unmap(queue.buffer.frame).expect("unmap");
    signal(n(1));
    let collected = queue.collect();
    tap.equal(
        collected,
        Collected::of(2, 0),
        "unmapped, the buffer serves",
    );
    let again = Buffer::mapped(world, queue.buffer.frame);
    tap.check(again.has(0, [10, 11]), "mapped again, it has all entries");
    tap.equal(again.tail(), 2, "and the tail");
    tap.check(bystander.unchanged(), "others are as they were");
}

pub(super) fn scribbled(world: &mut World, tap: &mut Tap) {
    let mut bystander = Fixture::new(world);
    let queue = Queue::new(world);
    let second = world.copy(queue.buffer.frame, CapRights::READ_WRITE);
    let second = Buffer::mapped(world, second);
    let notifications = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    let n = |i| nth(notifications, i);
    (0..SMALL_CAPACITY).for_each(|i| queue.attach(n(i), i as Word).expect("attach"));
    let mut counted = true;
    let mut first = 0;
    for garbage in [0, 1, 504, 1 << 63, Word::MAX] {
        second.fill(garbage);
        signal_all((0..SMALL_CAPACITY).map(n));
        let expected = Collected::of(SMALL_CAPACITY as Word, first);
        counted &= queue
            .buffer
            .has(first, (0..SMALL_CAPACITY).map(|i| i as Word));
        counted &= queue.buffer.tail() == first + SMALL_CAPACITY as Word;
        second.fill(garbage);
        counted &= queue.collect() == expected;
        first += SMALL_CAPACITY as Word;
    }
    tap.check(
        counted,
        "whatever the user writes there, the kernel reads none of it",
    );
    let extra = world.make(ObjectType::Notification);
    let full = queue.attach(extra, 1);
    tap.equal(full, Err(Error::NotEnoughMemory), "its counts are its own");
    tap.check(bystander.unchanged(), "others are as they were");
}

pub(super) fn two_queues(world: &mut World, tap: &mut Tap) {
    let mut bystander = Fixture::new(world);
    let first = Queue::new(world);
    let second = Queue::with_buffer(world, first.buffer);
    let notifications = world.make_many(ObjectType::Notification, 2);
    let [a, b] = [0, 1].map(|i| nth(notifications, i));
    first.attach(a, 1).expect("attach");
    second.attach(b, 2).expect("attach");
    delete(second.cap);
    delete(b);
    signal(a);
    let found = (first.collect(), first.buffer.entry(0));
    tap.equal(
        found,
        (Collected::of(1, 0), 1),
        "deleting one queue leaves the other its buffer",
    );
    let second = Queue::with_buffer(world, first.buffer);
    let b = world.make(ObjectType::Notification);
    second.attach(b, 2).expect("attach");
    revoke(first.buffer.frame);
    signal_all([a, b]);
    let found = (first.collect(), second.collect());
    let expected = (overrun(1, 1), overrun(1, 0));
    tap.equal(found, expected, "revoking the frame takes it from both");
    tap.check(bystander.unchanged(), "others are as they were");
}

pub(super) fn freed(world: &mut World, tap: &mut Tap) {
    let mut bystander = Fixture::new(world);
    let memory = world.untyped(12);
    let [frame, slot] = [world.slots(1), world.slots(1)];
    let notifications = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    let n = |i| nth(notifications, i);
    let queue = world.make(ObjectType::NotificationQueue);
    for (index, (object, bits)) in [
        (ObjectType::Frame, 0),
        (ObjectType::CNode, 7),
        (ObjectType::PageTable, 0),
        (ObjectType::Notification, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let make = |slot| retype(memory, object, bits, slot, 1);
        retype(memory, ObjectType::Frame, 0, frame, 1).expect("a frame");
        set_buffer(queue, frame).expect("a buffer");
        let queue = Queue {
            cap: queue,
            buffer: bystander.queue.buffer,
        };
        if index == 0 {
            (0..SMALL_CAPACITY).for_each(|i| queue.attach(n(i), Word::MAX).expect("attach"));
        }
        queue.collect();
        delete(frame);
        let refused = make(slot);
        tap.equal(
            refused,
            Err(Error::NotEnoughMemory),
            format_args!("while the queue holds the frame, it is not made into a {object:?}"),
        );
        signal_all((0..SMALL_CAPACITY).map(n));
        tap.check(!queue.collect().overrun, "and serves the queue");
        revoke(memory);
        let made = make(slot);
        tap.equal(
            made,
            Ok(()),
            format_args!("revoked, it is made into a {object:?}"),
        );
        for _ in 0..3 {
            signal_all((0..SMALL_CAPACITY).map(n));
            tap.check(queue.collect().overrun, "which the queue does not write");
        }
        let intact = match object {
            ObjectType::Frame => Buffer::mapped(world, slot).is_zero(),
            ObjectType::Notification => take(slot) == 0,
            _ => true,
        };
        tap.check(intact, "it is as it was made");
        revoke(memory);
        // An object that was written to would not be zero.
        retype(memory, ObjectType::Frame, 0, slot, 1).expect("a frame");
        tap.check(Buffer::mapped(world, slot).is_zero(), "nor its memory");
        revoke(memory);
    }
    tap.check(bystander.unchanged(), "others are as they were");
}

/// Code of a child: a call with its message buffer full of entries.
extern "C" fn call_with_entries(index: usize) -> ! {
    for label in 0..40 {
        // Three capabilities and 120 words of whatever the queue has written.
        call(
            child::source(index),
            MessageInfo::new(label, 3, 120),
            [1; 4],
        );
    }
    child::park(index)
}

pub(super) fn message_buffer(world: &mut World, tap: &mut Tap) {
    let mut bystander = Fixture::new(world);
    let queue = Queue::new(world);
    let endpoint = world.make(ObjectType::Endpoint);
    let child = Child::new(world, 0, CHILD_PRIORITY, endpoint);
    // The thread's message buffer lies in the first quarter of the frame.
    let address = queue.buffer.address() as Word;
    tcb_set_ipc_buffer(child.tcb, address, queue.buffer.frame).expect("message buffer");
    let notifications = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    let n = |i| nth(notifications, i);
    // The thread has all of the test's capabilities: the cookies, which it will send as
    // capabilities, must name none.
    let nothing = world.slots(1).index();
    (0..SMALL_CAPACITY).for_each(|i| queue.attach(n(i), nothing).expect("attach"));
    signal_all((0..SMALL_CAPACITY).map(n));
    child.run(call_with_entries, queue.cap);
    let stopped = child.is_parked() || sel4_bindings::nb_recv(endpoint).info.label() != 0;
    tap.check(
        stopped,
        "a message buffer that the queue writes is its thread's trouble",
    );
    child.suspend();
    let expected = Collected::of(SMALL_CAPACITY as Word, 0);
    tap.equal(queue.collect(), expected, "the queue counts right");
    tap.check(bystander.unchanged(), "others are as they were");
}
