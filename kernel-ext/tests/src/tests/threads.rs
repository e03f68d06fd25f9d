// SPDX-License-Identifier: BSD-2-Clause
//! Threads attached to a queue: an entry tells that one has ended.

use sel4_bindings::{CPtr, CapRights, Error, ObjectType, cnode_move};

use crate::CHILD_PRIORITY;
use crate::child::{Child, Received, clear_log, log, logged};
use crate::queue::{Collected, FROM_QUEUE, Queue, SMALL_CAPACITY};
use crate::tap::Tap;
use crate::world::{DEPTH, World, delete, nth, revoke};

/// A thread without a fault handler; nobody waits for anything of it.
fn new_child(world: &mut World, index: usize) -> Child {
    Child::new(world, index, CHILD_PRIORITY, CPtr::NULL)
}

/// Lets a thread fault: it waits for what is not there.
fn fault(child: &Child) {
    child.wait_for(CPtr::NULL);
}

pub(super) fn deleted(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let child = new_child(world, 0);
    tap.equal(queue.attach(child.tcb, 8), Ok(()), "a thread is attached");
    let copy = world.copy(child.tcb, CapRights::ALL);
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "one that has not ended is no entry",
    );
    delete(copy);
    tap.equal(queue.collect().count, 0, "deleting a copy ends nothing");
    child.delete();
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "deleting the last capability does",
    );
    tap.check(queue.buffer.has(0, [8]), "with the thread's cookie");
    let first = world.make_many(ObjectType::Notification, SMALL_CAPACITY + 1);
    let room = (0..=SMALL_CAPACITY).filter(|&i| queue.attach(nth(first, i), 1).is_ok());
    tap.equal(room.count(), SMALL_CAPACITY, "and it is attached no more");
}

pub(super) fn faulted(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let child = new_child(world, 0);
    queue.attach(child.tcb, 8).expect("attach");
    fault(&child);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "a fault that nobody handles ends a thread",
    );
    child.resume();
    child.suspend();
    child.resume();
    tap.equal(
        queue.collect(),
        Collected::of(1, 1),
        "resumed, it faults again; two faults are one entry",
    );

    let endpoint = world.make(ObjectType::Endpoint);
    let handled = Child::new(world, 1, CHILD_PRIORITY, endpoint).with_message_buffer(world);
    queue.attach(handled.tcb, 9).expect("attach");
    fault(&handled);
    tap.equal(queue.collect().count, 0, "a fault with a handler does not");
    handled.suspend();
    tap.equal(queue.collect().count, 0, "nor does suspending");
    delete(endpoint);
    fault(&handled);
    tap.equal(
        queue.collect().count,
        1,
        "a handler that is gone is no handler",
    );
}

pub(super) fn waiter(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let [child, other] = [0, 1].map(|i| new_child(world, i));
    let waiter = new_child(world, 2);
    queue.attach(child.tcb, 8).expect("attach");
    queue.attach(other.tcb, 9).expect("attach");
    clear_log();
    waiter.wait_for(queue.cap);
    child.delete();
    fault(&other);
    let handed = |word| {
        Some(Received {
            by: 2,
            badge: FROM_QUEUE | 1,
            words: [Some(word), None],
        })
    };
    tap.equal(
        [0, 1].map(log),
        [handed(8), handed(9)],
        "the end of a thread wakes the queue's waiter",
    );
    tap.equal(queue.collect().count, 0, "no slot is used");
}

pub(super) fn detach(world: &mut World, tap: &mut Tap) {
    let (queue, other) = (Queue::new(world), Queue::new(world));
    let child = new_child(world, 0);
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        queue.detach(child.tcb),
        refused,
        "Detach of what is not attached",
    );
    queue.attach(child.tcb, 8).expect("attach");
    tap.equal(queue.attach(child.tcb, 8), refused, "Attach twice");
    tap.equal(other.attach(child.tcb, 8), refused, "Attach to two");
    tap.equal(other.detach(child.tcb), refused, "Detach from another");
    tap.equal(queue.detach(child.tcb), Ok(()), "Detach");
    fault(&child);
    tap.equal(queue.collect().count, 0, "then its end is no entry");
    tap.equal(other.attach(child.tcb, 9), Ok(()), "Attach elsewhere");
    tap.equal(
        other.collect().count,
        1,
        "one that has ended is told of at once",
    );
    revoke(other.cap);
    child.delete();
    tap.equal(other.collect().count, 0, "revoking the queue detaches it");

    let child = new_child(world, 0);
    queue.attach(child.tcb, 8).expect("attach");
    delete(queue.cap);
    child.delete();
    tap.equal(
        queue.buffer.tail(),
        1,
        "without the queue's capability, its end is still counted",
    );
    revoke(queue.buffer.frame);
}

/// Many threads go in one call, the queue's waiter after those of which it waits
/// to hear.
pub(super) fn together(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let waiter = new_child(world, 0);
    let victims = [1, 2, 3].map(|i| new_child(world, i));
    for victim in &victims {
        queue.attach(victim.tcb, 8).expect("attach");
    }
    clear_log();
    waiter.wait_for(queue.cap);
    let cnode = world.cnode(3);
    let into = |slot, from: CPtr| {
        let root = CPtr::INIT_CNODE;
        cnode_move(cnode, slot, 3, root, from.index(), DEPTH).expect("move");
    };
    into(0, waiter.tcb);
    // From the highest slot on: all but one go before the waiter does.
    into(7, victims[0].tcb);
    into(6, victims[1].tcb);
    delete(cnode);
    tap.equal(
        logged(),
        0,
        "a waiter that is woken and deleted does not run",
    );
    victims[2].suspend();
    delete(victims[2].tcb);
    tap.equal(
        queue.collect().count,
        2,
        "one cookie went with it, two are here",
    );
}
