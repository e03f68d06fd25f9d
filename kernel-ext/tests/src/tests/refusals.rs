// SPDX-License-Identifier: BSD-2-Clause
//! What a queue refuses for the state that something is in. What it refuses for
//! the kind of a capability is in `matrix`.

use sel4_bindings::{CPtr, Error, ObjectType, Word, invoke_raw, notification_queue_attach, signal};

use crate::CHILD_PRIORITY;
use crate::child::Child;
use crate::queue::{Collected, Queue, collect, take};
use crate::tap::Tap;
use crate::world::{World, delete, retype};

pub(super) fn object(world: &mut World, tap: &mut Tap) {
    let memory = world.untyped(8);
    let slots = world.slots(3);
    let two = retype(memory, ObjectType::NotificationQueue, 0, slots, 2);
    tap.equal(two, Ok(()), "two fit in 256 bytes");
    let third = retype(
        memory,
        ObjectType::NotificationQueue,
        0,
        CPtr(slots.0 + 2),
        1,
    );
    tap.equal(third, Err(Error::NotEnoughMemory), "three do not");
    tap.equal(collect(slots), Collected::of(0, 0), "a new one is empty");
}

pub(super) fn wrong_state(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        queue.detach(notification),
        refused,
        "Detach of what is not attached",
    );
    child.wait_for(notification);
    tap.equal(
        queue.attach(notification, 1),
        refused,
        "Attach of what is waited for",
    );
    child.suspend();
    tap.equal(child.bind(notification), Ok(()), "bind it instead");
    tap.equal(
        queue.attach(notification, 1),
        refused,
        "Attach of what is bound",
    );
    child.unbind();
    tap.equal(queue.attach(notification, 1), Ok(()), "Attach of neither");
    tap.equal(
        child.bind(notification),
        refused,
        "bind of what is attached",
    );

    let bare = world.make(ObjectType::NotificationQueue);
    let fresh = world.make(ObjectType::Notification);
    let attached = notification_queue_attach(bare, fresh, 1);
    tap.equal(
        attached,
        Err(Error::NotEnoughMemory),
        "Attach without a buffer",
    );
    signal(fresh);
    tap.equal(take(fresh), 0, "a notification without a badge has badge 0");
    delete(bare);
}

pub(super) fn send(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    signal(queue.cap);
    sel4_bindings::nb_signal(queue.cap);
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "nobody can add an entry by Send",
    );
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, 3).expect("attach");
    signal(notification);
    signal(queue.cap);
    tap.equal(queue.collect(), Collected::of(1, 0), "nor take one");
    // A label that needs no capability of the message: the reply is an error.
    let (error, _) = invoke_raw(queue.cap, 0, &[], &[]);
    tap.equal(error, Error::IllegalOperation as Word, "a Call says why");
}
