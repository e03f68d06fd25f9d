// SPDX-License-Identifier: BSD-2-Clause
//! Attach, signal, collect, detach.

use sel4_bindings::{CPtr, CapRights, Error, ObjectType, signal, wait};

use crate::CHILD_PRIORITY;
use crate::child::{Child, clear_log, log, logged};
use crate::queue::{Collected, FROM_QUEUE, Queue, signal_all, take};
use crate::tap::Tap;
use crate::world::World;

const COOKIE: u64 = 0xdead_beef_0123_4567;

pub(super) fn entry(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    tap.equal(queue.collect(), Collected::of(0, 0), "none before");
    tap.equal(queue.attach(notification, COOKIE), Ok(()), "attach");
    tap.equal(queue.buffer.tail(), 0, "attaching an idle one adds none");
    signal(notification);
    tap.equal(queue.buffer.tail(), 1, "a signal adds one");
    tap.equal(
        queue.buffer.entry(0),
        COOKIE,
        "it is the cookie, all 64 bits",
    );
    tap.equal(queue.wait(), FROM_QUEUE, "wait tells of it at once");
    tap.equal(queue.wait(), FROM_QUEUE, "and takes nothing");
    tap.equal(queue.collect(), Collected::of(1, 0), "collecting takes it");
    tap.equal(queue.collect(), Collected::of(0, 1), "then there is none");
    tap.equal(
        queue.buffer.tail(),
        1,
        "the tail counts all there ever were",
    );
}

pub(super) fn coalescing(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, COOKIE).expect("attach");
    (0..3).for_each(|_| signal(notification));
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "three signals make one entry",
    );
    signal(notification);
    tap.equal(queue.collect(), Collected::of(1, 1), "collecting re-arms");
    signal(notification);
    take(notification);
    signal(notification);
    tap.equal(
        queue.collect(),
        Collected::of(1, 2),
        "polling the notification does not",
    );
    signal(notification);
    tap.equal(queue.wait(), FROM_QUEUE, "nor does waiting for the queue");
    signal(notification);
    tap.equal(queue.collect(), Collected::of(1, 3), "one entry still");

    let other = world.make(ObjectType::Notification);
    queue.attach(other, 8).expect("attach");
    signal_all([other, notification, other, notification]);
    tap.equal(
        queue.collect(),
        Collected::of(2, 4),
        "each has its own entry",
    );
    tap.check(
        queue.buffer.has(4, [8, COOKIE]),
        "in the order of the signals",
    );
}

pub(super) fn badges(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let badged = [1, 2, 4].map(|badge| world.mint(notification, CapRights::ALL, badge));
    queue.attach(notification, COOKIE).expect("attach");
    signal_all(badged);
    tap.equal(
        take(notification),
        7,
        "poll reads all badges of an attached one",
    );
    tap.equal(take(notification), 0, "once");
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "the entry is there all the same",
    );
    signal(badged[1]);
    queue.collect();
    signal(badged[2]);
    tap.equal(
        take(notification),
        6,
        "badges go on accumulating over a collection",
    );
    tap.equal(
        queue.collect(),
        Collected::of(1, 2),
        "each collection had its entry",
    );
    signal(notification);
    tap.equal(
        queue.collect(),
        Collected::of(1, 3),
        "badge 0 is a signal too",
    );
}

pub(super) fn active(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let badged = world.mint(notification, CapRights::ALL, 4);
    signal(badged);
    tap.equal(queue.attach(notification, COOKIE), Ok(()), "attach");
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "the entry is written at once",
    );
    tap.check(queue.buffer.has(0, [COOKIE]), "it is the cookie");
    tap.equal(take(notification), 4, "the badge is still there");

    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    queue.detach(notification).expect("detach");
    signal(badged);
    clear_log();
    child.wait_for(queue.cap);
    queue.attach(notification, 77).expect("attach");
    let received = log(0).map(|r| (r.badge, r.words[0]));
    let expected = Some((FROM_QUEUE | 1, Some(77)));
    tap.equal(received, expected, "a waiter is handed the cookie at once");
    tap.equal(queue.buffer.tail(), 1, "and no entry is written");
}

pub(super) fn detach(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let badged = world.mint(notification, CapRights::ALL, 4);
    queue.attach(notification, COOKIE).expect("attach");
    tap.equal(queue.detach(notification), Ok(()), "detach an idle one");
    tap.equal(take(notification), 0, "it stays idle");
    signal(badged);
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "it makes no entries any more",
    );
    tap.equal(wait(notification).badge, 4, "one can wait for it again");

    queue.attach(notification, COOKIE).expect("attach");
    signal(badged);
    tap.equal(
        queue.detach(notification),
        Ok(()),
        "detach one with an uncollected entry",
    );
    tap.equal(queue.collect(), Collected::of(1, 0), "the entry stays");
    tap.equal(take(notification), 4, "the notification is active");

    queue.attach(notification, 1).expect("attach");
    signal(badged);
    queue.detach(notification).expect("detach");
    queue.attach(notification, 2).expect("attach");
    tap.equal(
        queue.collect(),
        Collected::of(2, 1),
        "attached again while active, it has a new entry",
    );
    tap.check(
        queue.buffer.has(1, [1, 2]),
        "with the new cookie, after the old",
    );

    take(notification);
    queue.detach(notification).expect("detach");
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    clear_log();
    child.wait_for(notification);
    tap.equal(logged(), 0, "a thread blocks on what was attached");
    signal(badged);
    tap.equal(log(0).map(|r| r.badge), Some(4), "and is woken");
}

pub(super) fn one_queue(world: &mut World, tap: &mut Tap) {
    let [first, second] = [0, 1].map(|_| Queue::new(world));
    let notification = world.make(ObjectType::Notification);
    let copy = world.mint(notification, CapRights::ALL, 2);
    let refused = Err(Error::IllegalOperation);
    first.attach(notification, 1).expect("attach");
    tap.equal(
        first.attach(notification, 2),
        refused,
        "not twice to the same",
    );
    tap.equal(
        first.attach(copy, 2),
        refused,
        "nor by another capability to it",
    );
    tap.equal(
        second.attach(notification, 2),
        refused,
        "not to another queue",
    );
    tap.equal(
        second.detach(notification),
        refused,
        "nor detached by another",
    );
    signal(notification);
    tap.equal(
        first.collect(),
        Collected::of(1, 0),
        "the first one still serves it",
    );
    tap.check(first.buffer.has(0, [1]), "with the first cookie");
    take(notification);
    tap.equal(
        first.detach(copy),
        Ok(()),
        "any capability to it will do to detach",
    );
    tap.equal(
        second.attach(notification, 3),
        Ok(()),
        "then it goes to another",
    );
    signal(notification);
    let collected = (first.collect(), second.collect());
    let expected = (Collected::of(0, 1), Collected::of(1, 0));
    tap.equal(collected, expected, "which serves it");
}
