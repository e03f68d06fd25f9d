// SPDX-License-Identifier: BSD-2-Clause
//! Threads that wait for a queue.

use sel4_bindings::fault::Fault;
use sel4_bindings::{CPtr, CapRights, Error, ObjectType, nb_recv, signal};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child, Received, clear_log, log, logged};
use crate::queue::{Collected, FROM_QUEUE, Queue, signal_all, take};
use crate::tap::Tap;
use crate::world::{World, nth};

/// A queue with `COUNT` notifications attached, in slots in a row, whose cookies are
/// 1000 and up.
fn attached<const COUNT: usize>(world: &mut World) -> (Queue, [CPtr; COUNT]) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, COUNT);
    let notifications = core::array::from_fn(|i| nth(first, i));
    for (i, notification) in notifications.iter().enumerate() {
        queue
            .attach(*notification, 1000 + i as u64)
            .expect("attach");
    }
    (queue, notifications)
}

fn new_child(world: &mut World, index: usize) -> Child {
    Child::new(world, index, CHILD_PRIORITY, CPtr::NULL)
}

/// What child `by` gets when it is handed the cookie of notification `index`.
fn handed(by: usize, index: usize) -> Option<Received> {
    Some(Received {
        by,
        badge: FROM_QUEUE | 1,
        words: [Some(1000 + index as u64), None],
    })
}

pub(super) fn hand_off(world: &mut World, tap: &mut Tap) {
    let (queue, [a, b, c]) = attached(world);
    let children = [0, 1, 2].map(|i| new_child(world, i));
    clear_log();
    children.iter().for_each(|child| child.wait_for(queue.cap));
    tap.equal(logged(), 0, "wait on an empty queue blocks");
    signal_all([a, b, c]);
    let received = [0, 1, 2].map(log);
    let expected = [handed(0, 0), handed(1, 1), handed(2, 2)];
    tap.equal(
        received,
        expected,
        "three signals wake three waiters, first come first served",
    );
    tap.equal(queue.buffer.tail(), 0, "no slot is used");
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "nothing is left to collect",
    );
    signal_all([a, a]);
    let received = [3, 4].map(log);
    let expected = [handed(0, 0), handed(1, 0)];
    tap.equal(
        received,
        expected,
        "two signals of one notification wake two: nothing was uncollected",
    );

    children.iter().for_each(Child::suspend);
    signal(b);
    clear_log();
    children[0].receive(queue.cap, 1);
    let told = log(0).map(|r| (r.by, r.badge));
    tap.equal(
        told,
        Some((0, FROM_QUEUE)),
        "with an entry there, wait returns and tells of it",
    );
    children[0].suspend();
    tap.equal(queue.collect(), Collected::of(1, 0), "which takes nothing");
}

pub(super) fn bound(world: &mut World, tap: &mut Tap) {
    let (queue, [a, b, c]) = attached(world);
    let own = world.make(ObjectType::Notification);
    let own_badged = world.mint(own, CapRights::ALL, 0x55);
    let children = [0, 1].map(|i| new_child(world, i));
    children[0].bind(own).expect("bind");
    tap.equal(
        queue.attach(own, 1),
        Err(Error::IllegalOperation),
        "a bound one is not attached",
    );

    clear_log();
    children.iter().for_each(|child| child.wait_for(queue.cap));
    signal(own_badged);
    let woken = log(0).map(|r| (r.by, r.badge));
    tap.equal(
        woken,
        Some((0, 0x55)),
        "it wakes its thread, which is blocked on the queue",
    );
    signal_all([a, b]);
    let received = [1, 2].map(log);
    tap.equal(
        received,
        [handed(1, 0), handed(0, 1)],
        "which then waits behind the other",
    );

    children[0].suspend();
    signal(own_badged);
    clear_log();
    children[0].wait_for(queue.cap);
    let first = log(0).map(|r| (r.by, r.badge));
    tap.equal(
        first,
        Some((0, 0x55)),
        "active before the wait, it is taken by the wait",
    );
    children.iter().for_each(Child::suspend);

    signal(own_badged);
    signal(c);
    clear_log();
    children[0].receive(queue.cap, 2);
    let badges = [0, 1].map(|i| log(i).map(|r| r.badge));
    tap.equal(
        badges,
        [Some(0x55), Some(FROM_QUEUE)],
        "it goes before the entries",
    );
    children[0].suspend();
    tap.equal(queue.collect().count, 1, "which stay");
    children[0].unbind();
}

pub(super) fn bound_queue(world: &mut World, tap: &mut Tap) {
    let (queue, [a, b]) = attached(world);
    let endpoint = world.make(ObjectType::Endpoint);
    let children = [0, 1].map(|i| new_child(world, i));
    let manage_only = world.copy(queue.cap, CapRights::WRITE);
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        children[0].bind(manage_only),
        refused,
        "binding needs the read right",
    );
    children[1].wait_for(queue.cap);
    tap.equal(
        children[0].bind(queue.cap),
        refused,
        "a queue that is waited for is not bound",
    );
    children[1].suspend();
    tap.equal(children[0].bind(queue.cap), Ok(()), "bind");
    tap.equal(children[1].bind(queue.cap), refused, "only once");

    clear_log();
    children[0].wait_for(endpoint);
    signal(a);
    let told = log(0).map(|r| (r.by, r.badge));
    tap.equal(
        told,
        Some((0, FROM_QUEUE)),
        "the thread is told on its endpoint",
    );
    children[0].suspend();
    children[0].unbind();
    let collected = queue.collect();
    tap.equal(collected, Collected::of(1, 0), "and the entry is there");

    children[0].bind(queue.cap).expect("bind");
    signal_all([a, b]);
    clear_log();
    children[0].wait_for(endpoint);
    let badges = [0, 1].map(|i| log(i).map(|r| r.badge));
    tap.equal(badges, [Some(FROM_QUEUE), None], "it is told once of two");
    children[0].suspend();
    children[0].unbind();
    let collected = queue.collect();
    tap.equal(collected, Collected::of(2, 1), "both are there");

    children[0].bind(queue.cap).expect("bind");
    clear_log();
    children[0].wait_for(queue.cap);
    signal(b);
    tap.equal(log(0), handed(0, 1), "it can wait for the queue itself");
    children[0].suspend();
    children[0].unbind();
    signal(a);
    tap.equal(
        queue.collect(),
        Collected::of(1, 3),
        "unbound, the queue is as before",
    );
}

pub(super) fn stop(world: &mut World, tap: &mut Tap) {
    let (queue, [a]) = attached(world);
    let [first, second] = [0, 1].map(|i| new_child(world, i));
    clear_log();
    first.wait_for(queue.cap);
    first.suspend();
    signal(a);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "with its waiter suspended, the queue has an entry",
    );
    tap.equal(logged(), 0, "and the thread nothing");
    first.resume();
    signal(a);
    tap.equal(log(0), handed(0, 0), "resumed, it waits again");
    first.suspend();

    second.wait_for(queue.cap);
    second.delete();
    signal(a);
    tap.equal(
        queue.collect(),
        Collected::of(1, 1),
        "with its waiter deleted, the queue has an entry",
    );
    tap.equal(logged(), 1, "and nobody woke");
}

pub(super) fn faults(world: &mut World, tap: &mut Tap) {
    let (queue, [a]) = attached(world);
    let owner = new_child(world, 0);
    let endpoint = world.make(ObjectType::Endpoint);
    let thread = Child::new(world, 1, CHILD_PRIORITY, endpoint).with_message_buffer(world);
    clear_log();
    // Lets the thread receive from `cap` and tells whether that was a fault.
    let faults_in = |code, cap: CPtr| {
        thread.run(code, cap);
        let message = nb_recv(endpoint);
        thread.suspend();
        let expected = cap.index();
        matches!(Fault::of(&message),
            Some(Fault::Capability { address, receiving: true, .. }) if address == expected)
    };
    let faults = |cap| faults_in(child::receive, cap);
    let collecting_faults = |cap| faults_in(child::collect, cap);
    tap.check(faults(a), "a wait for an attached notification");
    signal(a);
    tap.check(faults(a), "also when that is active");
    tap.check(
        take(a) == 0 && queue.collect().count == 1,
        "its signal is not lost by that",
    );
    let manage_only = world.copy(queue.cap, CapRights::WRITE);
    tap.check(
        faults(manage_only),
        "a wait for a queue without the read right",
    );
    let told = "collecting without the read right";
    tap.check(collecting_faults(manage_only), told);
    owner.bind(queue.cap).expect("bind");
    tap.check(
        faults(queue.cap),
        "a wait for a queue that is bound to another thread",
    );
    tap.check(collecting_faults(queue.cap), "collecting from one, too");
    owner.unbind();
    tap.equal(logged(), 0, "none of them returned");
    thread.wait_for(queue.cap);
    signal(a);
    tap.equal(log(0), handed(1, 0), "a wait with the right does");
}

/// Started again without being stopped first, a waiter leaves the queue.
pub(super) fn restart(world: &mut World, tap: &mut Tap) {
    let (queue, [a]) = attached(world);
    let other = world.make(ObjectType::Notification);
    let child = new_child(world, 0);
    clear_log();
    child.wait_for(queue.cap);
    child.wait_for(other);
    signal(a);
    let collected = queue.collect();
    tap.equal(collected, Collected::of(1, 0), "nobody waits for the queue");
    signal(other);
    tap.equal(logged(), 1, "the thread waits where it was sent");
}
