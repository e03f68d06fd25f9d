// SPDX-License-Identifier: BSD-2-Clause
//! A queue attached to another queue: the inner one to the outer.

use sel4_bindings::fault::Fault;
use sel4_bindings::{CPtr, CapRights, Error, ObjectType, Word, nb_recv, signal};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child, Received, clear_log, log};
use crate::queue::{Buffer, Collected, FROM_QUEUE, Queue, SMALL_CAPACITY, set_buffer, signal_all};
use crate::tap::Tap;
use crate::world::{World, delete, nth, retype, revoke};

/// Cookie of the inner queue in the outer one.
const INNER: Word = 77;

/// An outer and an inner queue, the inner attached and with `COUNT` notifications
/// attached to it, whose cookies are 1000 and up.
fn nested<const COUNT: usize>(world: &mut World) -> (Queue, Queue, [CPtr; COUNT]) {
    let (outer, inner) = (Queue::new(world), Queue::new(world));
    outer.attach(inner.cap, INNER).expect("nest");
    let first = world.make_many(ObjectType::Notification, COUNT);
    let notifications = core::array::from_fn(|i| nth(first, i));
    for (i, notification) in notifications.iter().enumerate() {
        inner
            .attach(*notification, 1000 + i as Word)
            .expect("attach");
    }
    (outer, inner, notifications)
}

fn new_child(world: &mut World, index: usize) -> Child {
    Child::new(world, index, CHILD_PRIORITY, CPtr::NULL)
}

pub(super) fn entries(world: &mut World, tap: &mut Tap) {
    let (outer, inner, [a, b, c]) = nested(world);
    tap.equal(outer.collect().count, 0, "an empty inner queue is no entry");
    signal_all([a, b]);
    tap.equal(
        outer.collect(),
        Collected::of(1, 0),
        "two entries in the inner queue are one in the outer",
    );
    tap.check(outer.buffer.has(0, [INNER]), "with the inner's cookie");
    signal(b);
    let collected = outer.collect();
    tap.equal(collected.count, 0, "a signal that adds no entry tells none");
    signal(c);
    tap.equal(
        outer.collect(),
        Collected::of(1, 1),
        "one that adds an entry tells again, collected or not",
    );
    tap.equal(
        inner.collect(),
        Collected::of(3, 0),
        "the inner queue has them all",
    );
    tap.check(inner.buffer.has(0, [1000, 1001, 1002]), "in its buffer");
    signal(a);
    inner.collect();
    tap.equal(
        outer.collect(),
        Collected::of(1, 2),
        "the outer entry stays when the inner is collected",
    );

    let direct = world.make(ObjectType::Notification);
    tap.equal(outer.attach(direct, 5), Ok(()), "notifications beside it");
    signal_all([direct, a]);
    tap.check(outer.buffer.has(3, [5, INNER]), "in the order of signals");
}

pub(super) fn waiters(world: &mut World, tap: &mut Tap) {
    let (outer, inner, [a, b]) = nested(world);
    let child = new_child(world, 0);
    clear_log();
    child.wait_for(outer.cap);
    signal(a);
    let both = |cookie| {
        Some(Received {
            by: 0,
            badge: FROM_QUEUE | 2,
            words: [Some(INNER), Some(cookie)],
        })
    };
    tap.equal(
        log(0),
        both(1000),
        "the outer's waiter is handed both cookies",
    );
    tap.equal(inner.collect().count, 0, "the inner queue has no entry");
    signal(a);
    tap.equal(log(1), both(1000), "and again");
    outer.detach(inner.cap).expect("detach");
    signal(b);
    tap.equal(log(2), None, "not once it is detached");
    inner.detach(a).expect("detach");
    inner.detach(b).expect("detach");
    outer.attach(inner.cap, INNER).expect("nest");
    let one = Received {
        by: 0,
        badge: FROM_QUEUE | 1,
        words: [Some(INNER), None],
    };
    tap.equal(
        log(2),
        Some(one),
        "attached with an entry, only the inner queue's cookie",
    );
    inner.attach(a, 1000).expect("attach");
    tap.equal(
        log(3),
        both(1000),
        "of an active one that is attached, both",
    );
    signal(a);
    tap.equal(log(4), both(1000), "they overtake the entry that is there");
    let old = inner.collect();
    tap.check(
        old.count == 1 && inner.buffer.has(old.first, [1001]),
        "which stays",
    );
    inner.attach(b, 1001).expect("attach");
    tap.equal(log(5), both(1001), "one that is attached again");
    child.suspend();

    let endpoint = world.make(ObjectType::Endpoint);
    let thread = Child::new(world, 1, CHILD_PRIORITY, endpoint).with_message_buffer(world);
    let waits = || {
        thread.run(child::receive, inner.cap);
        let message = nb_recv(endpoint);
        thread.suspend();
        !matches!(Fault::of(&message),
            Some(Fault::Capability { address, receiving: true, .. }) if address == inner.cap.index())
    };
    tap.check(!waits(), "a wait for the inner queue faults");
    signal(b);
    tap.check(!waits(), "also with an entry there");
    tap.equal(inner.collect().count, 1, "which stays");
    tap.equal(outer.detach(inner.cap), Ok(()), "detached");
    tap.check(waits(), "one can wait for it");
}

pub(super) fn bound(world: &mut World, tap: &mut Tap) {
    let (outer, _, [a, b]) = nested(world);
    let endpoint = world.make(ObjectType::Endpoint);
    let child = new_child(world, 0);
    child.bind(outer.cap).expect("bind");
    signal_all([a, b]);
    clear_log();
    child.wait_for(endpoint);
    let badges = [0, 1].map(|i| log(i).map(|r| r.badge));
    tap.equal(
        badges,
        [Some(FROM_QUEUE), None],
        "the thread of the outer queue is told once",
    );
    child.suspend();
    child.unbind();
    tap.equal(outer.collect().count, 1, "and the entry is there");
}

pub(super) fn with_entries(world: &mut World, tap: &mut Tap) {
    let (outer, inner) = (Queue::new(world), Queue::new(world));
    let notification = world.make(ObjectType::Notification);
    // An entry whose notification is attached no more.
    let leave_entry = || {
        inner.attach(notification, 1).expect("attach");
        signal(notification);
        inner.detach(notification).expect("detach");
        crate::queue::take(notification);
    };
    leave_entry();
    outer.attach(inner.cap, INNER).expect("nest");
    tap.equal(
        outer.collect(),
        Collected::of(1, 0),
        "a queue with entries is told of at once",
    );
    tap.equal(outer.detach(inner.cap), Ok(()), "detached");
    outer.attach(inner.cap, INNER).expect("nest");
    tap.equal(outer.collect().count, 1, "and again when attached again");
    inner.collect();
    outer.detach(inner.cap).expect("detach");
    outer.attach(inner.cap, INNER).expect("nest");
    tap.equal(outer.collect().count, 0, "but not once it was collected");
    outer.detach(inner.cap).expect("detach");

    let endpoint = world.make(ObjectType::Endpoint);
    let child = new_child(world, 0);
    child.bind(inner.cap).expect("bind");
    child.wait_for(endpoint);
    leave_entry();
    child.suspend();
    child.unbind();
    outer.attach(inner.cap, INNER).expect("nest");
    tap.equal(
        outer.collect().count,
        1,
        "also of entries of which a bound thread knew",
    );
}

pub(super) fn refusals(world: &mut World, tap: &mut Tap) {
    let (outer, inner, [_a]) = nested(world);
    let (other, empty) = (Queue::new(world), Queue::new(world));
    let child = new_child(world, 0);
    let refused = Err(Error::IllegalOperation);
    let own = other.attach(other.cap, 1);
    tap.equal(own, refused, "Attach of the queue itself");
    let twice = other.attach(inner.cap, 1);
    tap.equal(twice, refused, "Attach of one that is attached");
    let third = other.attach(outer.cap, 1);
    tap.equal(third, refused, "Attach of one with something attached");
    let deeper = inner.attach(empty.cap, 1);
    tap.equal(deeper, refused, "Attach to one that is attached");
    let round = inner.attach(outer.cap, 1);
    tap.equal(round, refused, "Attach of the outer to the inner");
    tap.equal(
        child.bind(inner.cap),
        refused,
        "bind of one that is attached",
    );
    child.wait_for(empty.cap);
    let waited = outer.attach(empty.cap, 1);
    tap.equal(waited, refused, "Attach of one that is waited for");
    child.suspend();
    child.bind(empty.cap).expect("bind");
    let bound = outer.attach(empty.cap, 1);
    tap.equal(bound, refused, "Attach of one that is bound");
    child.unbind();
    let detached = outer.detach(empty.cap);
    tap.equal(detached, refused, "Detach of one that is not attached");
    let wrong = other.detach(inner.cap);
    tap.equal(wrong, refused, "Detach from another than the outer");
    let manage_only = world.copy(empty.cap, CapRights::WRITE);
    let attached = outer.attach(manage_only, 1);
    let no_right = Err(Error::InvalidCapability);
    tap.equal(attached, no_right, "Attach needs its read right");

    let bare = world.make(ObjectType::NotificationQueue);
    tap.equal(outer.attach(bare, 1), Ok(()), "a queue without a buffer");
    let full = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    for i in 0..SMALL_CAPACITY {
        other.attach(nth(full, i), 1).expect("attach");
    }
    let no_room = other.attach(empty.cap, 1);
    tap.equal(no_room, Err(Error::NotEnoughMemory), "the room is counted");
    tap.equal(outer.collect().count, 0, "nothing of that left an entry");
}

pub(super) fn deletion(world: &mut World, tap: &mut Tap) {
    let (outer, inner, [a, b]) = nested(world);
    delete(inner.cap);
    signal(a);
    tap.equal(
        outer.collect().count,
        1,
        "without a capability, the inner queue still serves",
    );
    signal(b);
    delete(a);
    delete(b);
    tap.equal(
        outer.collect().count,
        1,
        "the last attachment takes it along; its entry stays",
    );

    let (outer, inner, [a]) = nested(world);
    signal(a);
    revoke(outer.cap);
    tap.equal(
        outer.collect().count,
        1,
        "revoking the outer detaches the inner",
    );
    tap.equal(inner.collect().count, 1, "whose entries stay");
    let other = Queue::new(world);
    tap.equal(inner.detach(a), Ok(()), "it serves on");
    tap.equal(other.attach(inner.cap, 1), Ok(()), "and can nest elsewhere");

    let (outer, inner, [a]) = nested(world);
    revoke(inner.cap);
    signal(a);
    tap.equal(
        outer.collect().count,
        0,
        "revoking the inner empties it and no more",
    );
    let inner_attached = other.attach(inner.cap, 1);
    tap.equal(
        inner_attached,
        Err(Error::IllegalOperation),
        "it is still attached",
    );
}

/// Deleting a notification takes two queues and their frames with it.
pub(super) fn chain(world: &mut World, tap: &mut Tap) {
    let memory = world.untyped(14);
    let buffers = [Buffer::small(world), Buffer::small(world)];
    let mut good = true;
    for round in 0..4 {
        let slots = world.slots(3);
        let [outer, inner, notification] = [0, 1, 2].map(|i| nth(slots, i));
        good &= retype(memory, ObjectType::NotificationQueue, 0, outer, 2).is_ok();
        good &= retype(memory, ObjectType::Notification, 0, notification, 1).is_ok();
        good &= set_buffer(outer, buffers[0].frame).is_ok();
        good &= set_buffer(inner, buffers[1].frame).is_ok();
        let attach = sel4_bindings::notification_queue_attach;
        good &= attach(outer, inner, INNER).is_ok();
        good &= attach(inner, notification, 1).is_ok();
        signal(notification);
        let orders = [
            [outer, inner, notification],
            [inner, outer, notification],
            [notification, outer, inner],
            [notification, inner, outer],
        ];
        orders[round].into_iter().for_each(delete);
        // A page of the same memory: nothing of it is in use.
        let frame = world.slots(1);
        good &= retype(memory, ObjectType::Frame, 0, frame, 1).is_ok();
        revoke(memory);
        let names = [
            "outer, inner, notification",
            "inner, outer, notification",
            "notification, outer, inner",
            "notification, inner, outer",
        ];
        tap.check(good, names[round]);
    }
}
