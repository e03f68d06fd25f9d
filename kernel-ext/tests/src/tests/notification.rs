// SPDX-License-Identifier: BSD-2-Clause
//! Notifications that are not attached: the same on both kernels.

use core::sync::atomic::{AtomicUsize, Ordering};

use sel4_bindings::{CPtr, CapRights, Error, Kernel, ObjectType, kernel, signal, wait};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child, Received, clear_log, log, logged};
use crate::queue::{signal_all, take};
use crate::tap::Tap;
use crate::world::{World, retype};

/// Slot of what a child signals.
static WAKES: AtomicUsize = AtomicUsize::new(0);

pub(super) fn signals(world: &mut World, tap: &mut Tap) {
    let notification = world.make(ObjectType::Notification);
    let badged = [1, 2, 4].map(|badge| world.mint(notification, CapRights::ALL, badge));
    tap.equal(take(notification), 0, "a new one is idle");
    signal(badged[0]);
    tap.equal(take(notification), 1, "poll returns the badge");
    tap.equal(take(notification), 0, "and makes it idle");
    signal_all(badged);
    tap.equal(take(notification), 7, "badges accumulate");
    signal(badged[1]);
    tap.equal(
        wait(notification).badge,
        2,
        "wait on an active one returns at once",
    );

    let wide = 1 << 63 | 1 << 40 | 3;
    let badged = world.mint(notification, CapRights::ALL, wide);
    signal(badged);
    tap.equal(take(notification), wide, "a badge has 64 bits");

    let mute = world.mint(notification, CapRights::READ, 8);
    signal(mute);
    tap.equal(take(notification), 0, "a signal needs the write right");
}

pub(super) fn waiters(world: &mut World, tap: &mut Tap) {
    let notification = world.make(ObjectType::Notification);
    let badged = world.mint(notification, CapRights::ALL, 5);
    let children = [0, 1].map(|i| Child::new(world, i, CHILD_PRIORITY, CPtr::NULL));
    clear_log();
    children
        .iter()
        .for_each(|child| child.wait_for(notification));
    tap.equal(logged(), 0, "wait on an idle one blocks");
    for _ in 0..3 {
        signal(badged);
    }
    let order = [0, 1, 2].map(|i| log(i).map(|r| (r.by, r.badge)));
    let expected = [Some((0, 5)), Some((1, 5)), Some((0, 5))];
    tap.equal(
        order,
        expected,
        "each signal wakes one waiter, first come first served",
    );
    tap.equal(take(notification), 0, "and leaves nothing behind");
}

/// Code of a child: lets another of its priority run, and waits.
extern "C" fn hand_on(index: usize) -> ! {
    signal(CPtr(WAKES.load(Ordering::Relaxed)));
    child::receive_once(index)
}

/// Who runs because another waits is not ready any longer when it waits, too.
pub(super) fn both_wait(world: &mut World, tap: &mut Tap) {
    let [first, second] = [0, 1].map(|_| world.make(ObjectType::Notification));
    let badged = world.mint(first, CapRights::ALL, 3);
    let [sleeper, other] = [0, 1].map(|i| Child::new(world, i, CHILD_PRIORITY, CPtr::NULL));
    clear_log();
    sleeper.receive(first, 3);
    WAKES.store(badged.0, Ordering::Relaxed);
    other.run(hand_on, second);
    let seen = [0, 1].map(|i| log(i).map(|r| (r.by, r.badge)));
    tap.equal(seen, [Some((0, 3)), None], "each waits for a signal");
    signal(badged);
    signal(world.mint(second, CapRights::ALL, 4));
    signal(badged);
    let seen = [1, 2, 3].map(|i| log(i).map(|r| (r.by, r.badge)));
    let expected = [Some((0, 3)), Some((1, 4)), Some((0, 3))];
    tap.equal(seen, expected, "and goes on with its own");
}

pub(super) fn bound(world: &mut World, tap: &mut Tap) {
    let endpoint = world.make(ObjectType::Endpoint);
    let bound = world.make(ObjectType::Notification);
    let other = world.make(ObjectType::Notification);
    let badged = world.mint(bound, CapRights::ALL, 0x55);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    let second = Child::new(world, 1, CHILD_PRIORITY, CPtr::NULL);
    tap.equal(child.bind(bound), Ok(()), "bind");
    tap.equal(
        second.bind(bound),
        Err(Error::IllegalOperation),
        "only once",
    );
    tap.equal(
        child.bind(other),
        Err(Error::IllegalOperation),
        "one to a thread",
    );

    clear_log();
    child.wait_for(endpoint);
    signal(badged);
    let expected = Received {
        by: 0,
        badge: 0x55,
        words: [None; 2],
    };
    let received = log(0).map(|r| Received {
        words: [None; 2],
        ..r
    });
    tap.equal(
        received,
        Some(expected),
        "it wakes a thread that waits on an endpoint",
    );

    child.suspend();
    clear_log();
    child.wait_for(other);
    signal(badged);
    tap.equal(
        logged(),
        0,
        "it does not wake one that waits on a notification",
    );
    child.suspend();
    child.unbind();
    tap.equal(take(bound), 0x55, "unbound, it is an ordinary one");
}

pub(super) fn stop(world: &mut World, tap: &mut Tap) {
    let notification = world.make(ObjectType::Notification);
    let children = [0, 1].map(|i| Child::new(world, i, CHILD_PRIORITY, CPtr::NULL));
    clear_log();
    children
        .iter()
        .for_each(|child| child.wait_for(notification));
    let [first, second] = children;
    first.suspend();
    signal(notification);
    tap.equal(
        log(0).map(|r| r.by),
        Some(1),
        "a suspended waiter is passed over",
    );
    second.delete();
    let badged = world.mint(notification, CapRights::ALL, 9);
    signal(badged);
    tap.equal(take(notification), 9, "a deleted waiter is passed over");
    first.resume();
    signal(badged);
    tap.equal(logged(), 2, "a waiter that is resumed waits again");
}

pub(super) fn size(world: &mut World, tap: &mut Tap) {
    let bits = if kernel() == Some(Kernel::Queue) {
        6
    } else {
        5
    };
    tap.equal(
        ObjectType::Notification.size_bits(),
        bits,
        "as the bindings say",
    );
    let memory = world.untyped(bits + 1);
    let slots = world.slots(3);
    let two = retype(memory, ObjectType::Notification, 0, slots, 2);
    tap.equal(two, Ok(()), "two fit in twice the size");
    let third = retype(memory, ObjectType::Notification, 0, CPtr(slots.0 + 2), 1);
    tap.equal(third, Err(Error::NotEnoughMemory), "three do not");
}
