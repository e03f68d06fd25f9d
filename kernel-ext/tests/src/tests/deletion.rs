// SPDX-License-Identifier: BSD-2-Clause
//! Deleting and revoking, with things attached.

use sel4_bindings::{CPtr, CapRights, Error, ObjectType, Word, cnode_move, signal, wait};

use crate::CHILD_PRIORITY;
use crate::child::{Child, clear_log, log, logged};
use crate::queue::{
    Buffer, Collected, Queue, SMALL_CAPACITY, collect, set_buffer, signal_all, take,
};
use crate::tap::Tap;
use crate::world::{DEPTH, World, delete, nth, retype, revoke};

/// A queue with `count` notifications attached, in slots in a row; the cookie is
/// the index.
fn attached(world: &mut World, count: usize) -> (Queue, CPtr) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, count);
    for i in 0..count {
        queue.attach(nth(first, i), i as Word).expect("attach");
    }
    (queue, first)
}

pub(super) fn notification(world: &mut World, tap: &mut Tap) {
    let (queue, first) = attached(world, SMALL_CAPACITY);
    let n = |i| nth(first, i);
    delete(n(0));
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "an idle one goes without a trace",
    );
    signal(n(1));
    delete(n(1));
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "the entry of one that is deleted stays",
    );
    tap.check(queue.buffer.has(0, [1]), "its cookie too");
    signal(n(2));
    tap.equal(
        queue.collect(),
        Collected::of(1, 1),
        "the others are served",
    );
    let again = world.make_many(ObjectType::Notification, 3);
    let room = [0, 1, 2].map(|i| queue.attach(nth(again, i), 5).is_ok());
    tap.equal(
        room,
        [true, true, false],
        "each that is deleted makes room for one",
    );

    let copy = world.copy(n(3), CapRights::READ_WRITE);
    delete(n(3));
    signal(copy);
    tap.equal(
        queue.collect(),
        Collected::of(1, 2),
        "with a capability left it stays attached",
    );
    revoke(n(4));
    signal(n(4));
    tap.equal(
        queue.collect(),
        Collected::of(1, 3),
        "revoking its copies does not detach it",
    );
}

pub(super) fn queue(world: &mut World, tap: &mut Tap) {
    let (queue, first) = attached(world, 3);
    let n = |i| nth(first, i);
    let copy = world.copy(queue.cap, CapRights::ALL);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    clear_log();
    child.wait_for(copy);
    delete(queue.cap);
    signal(n(0));
    tap.equal(
        log(0).and_then(|r| r.words[0]),
        Some(0),
        "without the original it works by the copy",
    );
    delete(copy);
    signal(n(1));
    tap.equal(
        log(1).and_then(|r| r.words[0]),
        Some(1),
        "without any, a blocked waiter is still served",
    );
    signal(n(2));
    tap.equal(logged(), 2, "it cannot wait again");
    let other = Queue::new(world);
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        other.attach(n(0), 9),
        refused,
        "its notifications are still attached",
    );
    // The frame is free once the queue is gone: the last attachment takes it.
    (0..3).for_each(|i| delete(n(i)));
    let buffer = queue.buffer;
    tap.equal(buffer.tail(), 1, "the entry that nobody took is counted");
    revoke(buffer.frame);
    let set = set_buffer(other.cap, buffer.frame);
    tap.equal(
        set,
        Ok(Collected::of(0, 0)),
        "the last notification takes the queue with it",
    );

    let waited = world.make(ObjectType::NotificationQueue);
    child.suspend();
    clear_log();
    child.wait_for(waited);
    delete(waited);
    tap.equal(
        logged(),
        0,
        "deleting a queue that is waited for stops the waiter, without a message",
    );
}

pub(super) fn revoke_queue(world: &mut World, tap: &mut Tap) {
    let (queue, first) = attached(world, SMALL_CAPACITY);
    let n = |i| nth(first, i);
    let copy = world.copy(queue.cap, CapRights::ALL);
    let badged = world.mint(n(1), CapRights::ALL, 3);
    signal(badged);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    revoke(queue.cap);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "entries of what is revoked stay",
    );
    tap.equal(take(n(1)), 3, "an active notification is active afterwards");
    tap.equal(take(n(0)), 0, "an idle one idle");
    let slot = world.slots(1);
    let gone = world.try_mint(slot, copy, CapRights::ALL, 0);
    let expected = Err(Error::FailedLookup);
    tap.equal(gone, expected, "copies of the capability are gone");
    let usable = (0..SMALL_CAPACITY).all(|i| {
        let badged = world.mint(n(i), CapRights::ALL, 0x77);
        signal(badged);
        wait(n(i)).badge == 0x77
    });
    tap.check(usable, "every notification is an ordinary one again");
    let again = (0..SMALL_CAPACITY).all(|i| queue.attach(n(i), 500 + i as Word).is_ok());
    tap.check(again, "all can be attached again: nothing is counted twice");
    (0..SMALL_CAPACITY).for_each(|i| signal(n(i)));
    let count = SMALL_CAPACITY as Word;
    tap.equal(queue.collect(), Collected::of(count, 1), "and are served");

    revoke(queue.cap);
    clear_log();
    take(n(7));
    child.wait_for(n(7));
    signal(n(7));
    tap.equal(logged(), 1, "a thread can wait for one");
}

pub(super) fn revoke_copy(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, 2);
    let copy = Queue {
        cap: world.copy(queue.cap, CapRights::ALL),
        ..queue
    };
    copy.attach(first, 1).expect("attach");
    queue.attach(nth(first, 1), 2).expect("attach");
    revoke(copy.cap);
    signal(first);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "it detaches nothing, not even its own",
    );
    delete(copy.cap);
    signal(first);
    tap.equal(queue.collect(), Collected::of(1, 1), "nor does deleting it");
    revoke(queue.cap);
    signal_all([first, nth(first, 1)]);
    tap.equal(
        queue.collect(),
        Collected::of(0, 2),
        "revoking the original detaches both",
    );
}

pub(super) fn buffer(world: &mut World, tap: &mut Tap) {
    let (mut queue, first) = attached(world, 2);
    let n = |i| nth(first, i);
    let extra = world.make(ObjectType::Notification);
    signal(n(0));
    revoke(queue.buffer.frame);
    signal(n(1));
    let overrun = |count, first| Collected {
        count,
        first,
        overrun: true,
    };
    tap.equal(
        queue.collect(),
        overrun(2, 0),
        "entries are counted, and said to be lost",
    );
    signal(n(0));
    tap.equal(
        queue.collect(),
        overrun(1, 2),
        "signals go on being counted",
    );
    tap.equal(
        queue.collect(),
        Collected::of(0, 3),
        "none is not an overrun",
    );
    let full = Err(Error::NotEnoughMemory);
    tap.equal(queue.attach(extra, 1), full, "nothing can be attached");
    tap.equal(queue.detach(n(1)), Ok(()), "detaching works");
    signal(n(0));
    let buffer = Buffer::small(world);
    tap.equal(
        queue.resize(buffer),
        Ok(overrun(1, 3)),
        "a new buffer comes with what was lost",
    );
    signal(n(0));
    tap.equal(queue.collect(), Collected::of(1, 4), "then all is well");
    tap.check(buffer.has(4, [0]), "in the new buffer");
    tap.equal(queue.attach(extra, 1), Ok(()), "and one can attach");
}

pub(super) fn reuse(world: &mut World, tap: &mut Tap) {
    const COUNT: usize = 200;
    let queues = world.untyped(14);
    let notifications = world.untyped(15);
    let buffer = Buffer::small(world);
    let mut good = true;
    for round in 0..3 {
        let slots = world.slots(COUNT + 1);
        let (cap, first) = (slots, nth(slots, 1));
        good &= retype(queues, ObjectType::NotificationQueue, 0, cap, 1).is_ok();
        good &= retype(notifications, ObjectType::Notification, 0, first, COUNT).is_ok();
        good &= set_buffer(cap, buffer.frame) == Ok(Collected::of(0, 0));
        let queue = Queue { cap, buffer };
        for i in 0..COUNT {
            good &= queue.attach(nth(first, i), i as Word).is_ok();
            if i % 2 == 0 {
                signal(nth(first, i));
            }
        }
        match round {
            0 => {
                revoke(queues);
                good &= (0..COUNT).all(|i| take(nth(first, i)) == 0);
                revoke(notifications);
            }
            1 => {
                revoke(notifications);
                good &= collect(cap) == Collected::of(COUNT as Word / 2, 0);
                revoke(queues);
            }
            _ => {
                delete(cap);
                revoke(notifications);
                revoke(queues);
            }
        }
        // The memory is free and zeroed for anything else.
        let slot = world.slots(1);
        good &= retype(queues, ObjectType::Frame, 0, slot, 1).is_ok();
        good &=
            retype(notifications, ObjectType::CNode, 8, nth(slot, 0), 1) == Err(Error::DeleteFirst);
        revoke(queues);
        good &= retype(notifications, ObjectType::CNode, 8, slot, 1).is_ok();
        revoke(notifications);
        let check = [
            "the queue's memory first, then the notifications'",
            "the notifications' memory first, then the queue's",
            "the queue's capability, then both memories",
        ];
        tap.check(good, check[round]);
    }
}

pub(super) fn cnode(world: &mut World, tap: &mut Tap) {
    const COUNT: usize = 40;
    let memory = world.untyped(16);
    for round in 0..3 {
        let slots = world.slots(COUNT + 4);
        let [cnode, cap, frame, thread] = [0, 1, 2, 3].map(|i| nth(slots, i));
        let first = nth(slots, 4);
        let mut good = true;
        for (object, bits, slot, count) in [
            (ObjectType::CNode, 6, cnode, 1),
            (ObjectType::Frame, 0, frame, 1),
            (ObjectType::Tcb, 0, thread, 1),
            (ObjectType::NotificationQueue, 0, cap, 1),
            (ObjectType::Notification, 0, first, COUNT),
        ] {
            good &= retype(memory, object, bits, slot, count).is_ok();
        }
        good &= set_buffer(cap, frame) == Ok(Collected::of(0, 0));
        for i in 0..COUNT {
            let notification = nth(first, i);
            good &= sel4_bindings::notification_queue_attach(cap, notification, i as Word).is_ok();
            if i % 2 == 0 {
                signal(notification);
            }
        }
        // All of it into the one CNode, the queue first or last.
        let mut into = |slot: usize, from: CPtr| {
            let root = CPtr::INIT_CNODE;
            good &= cnode_move(cnode, slot as Word, 6, root, from.index(), DEPTH).is_ok();
        };
        into(if round == 1 { 0 } else { 63 }, cap);
        (0..COUNT).for_each(|i| into(1 + i, nth(first, i)));
        into(50, frame);
        into(if round == 2 { 62 } else { 51 }, thread);
        delete(cnode);
        let slot = world.slots(1);
        good &= retype(memory, ObjectType::Endpoint, 0, slot, 1).is_ok();
        revoke(memory);
        let check = [
            "the queue behind its notifications",
            "the queue before its notifications",
            "a thread between them",
        ];
        tap.check(good, check[round]);
    }
}

/// Queues of one retype are neighbours in the kernel's list of capabilities: what
/// is done to one must not reach the next.
pub(super) fn neighbours(world: &mut World, tap: &mut Tap) {
    let memory = world.untyped(9);
    let slots = world.slots(3);
    retype(memory, ObjectType::NotificationQueue, 0, slots, 3).expect("three queues");
    let queues = [0, 1, 2].map(|i| nth(slots, i));
    let first = world.make_many(ObjectType::Notification, 3);
    let frames = world.slots(3);
    let pages = [12; 3].map(|bits| world.untyped(bits));
    for (i, cap) in queues.into_iter().enumerate() {
        let frame = nth(frames, i);
        retype(pages[i], ObjectType::Frame, 0, frame, 1).expect("a frame");
        set_buffer(cap, frame).expect("a buffer");
        sel4_bindings::notification_queue_attach(cap, nth(first, i), 1).expect("attach");
    }
    let signalled = |i| {
        take(nth(first, i));
        signal(nth(first, i));
        collect(queues[i]).count
    };
    revoke(queues[1]);
    let found = [0, 1, 2].map(signalled);
    tap.equal(found, [1, 0, 1], "revoking one leaves its neighbours");
    revoke(queues[0]);
    let found = [0, 1, 2].map(signalled);
    tap.equal(found, [0, 0, 1], "revoking the first, too");
    for (i, name) in [(0, "the first"), (2, "the last"), (1, "the middle one")] {
        delete(nth(first, i));
        delete(nth(frames, i));
        delete(queues[i]);
        let freed = retype(pages[i], ObjectType::Endpoint, 0, nth(frames, i), 1);
        tap.equal(
            freed,
            Ok(()),
            format_args!("deleting {name} frees its buffer"),
        );
    }
    let again = retype(memory, ObjectType::NotificationQueue, 0, slots, 3);
    tap.equal(again, Ok(()), "and the memory of all is free");
}
