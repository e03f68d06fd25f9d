// SPDX-License-Identifier: BSD-2-Clause
//! What seL4 5.0.0 does that one has to know of. These tests pin it down.

use sel4_bindings::fault::Fault;
use sel4_bindings::{CPtr, CapRights, ObjectType, nb_recv, signal};

use crate::child::{Child, clear_log, log, logged};
use crate::queue::{Collected, FROM_QUEUE, Queue, take};
use crate::tap::Tap;
use crate::world::{World, delete, revoke};

/// Below the test's own: such a thread runs when it is let.
const LOWER: u8 = 100;

/// Lets helpers of lower priority run until they block.
fn let_run() {
    let own = CPtr::INIT_TCB;
    for priority in [LOWER - 1, crate::OWN_PRIORITY] {
        sel4_bindings::tcb_set_priority(own, priority).expect("own priority");
    }
}

/// A page whose mapped capability is deleted stays mapped while another
/// capability to the frame exists. So who shares frames keeps the capabilities.
pub(super) fn late_unmap(world: &mut World, tap: &mut Tap) {
    let frame = world.make(ObjectType::Frame);
    let mapped = world.copy(frame, CapRights::ALL);
    let address = world.map(mapped) as *mut u64;
    // SAFETY: a frame of ours is mapped there and nothing else uses it.
    unsafe { address.write_volatile(42) };
    delete(mapped);
    // SAFETY: as this test shows, the mapping is still there.
    let value = unsafe { address.read_volatile() };
    tap.equal(value, 42, "deleting a copy leaves its page mapped");
    let mapped = world.copy(frame, CapRights::ALL);
    let address = world.map(mapped) as *mut u64;
    // SAFETY: as above.
    unsafe { address.write_volatile(43) };
    revoke(frame);
    // SAFETY: as above.
    let value = unsafe { address.read_volatile() };
    tap.equal(value, 43, "so does revoking the original");
}

/// A thread that a notification woke, but that has not run, loses the badge when
/// it is suspended; resumed, it makes its call again, with the badge for a
/// capability.
pub(super) fn lost_wake(world: &mut World, tap: &mut Tap) {
    let notification = world.make(ObjectType::Notification);
    let badged = world.mint(notification, CapRights::ALL, 0xbad);
    let fault = lost(world, notification, || signal(badged));
    tap.equal(logged(), 0, "its badge is lost");
    tap.equal(take(notification), 0, "and not in the notification");
    tap.equal(fault, Some(0xbad), "it faults on the badge as a capability");
}

/// The same for a thread to which a cookie was handed.
pub(super) fn lost_hand_off(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, 77).expect("attach");
    let fault = lost(world, queue.cap, || signal(notification));
    tap.equal(logged(), 0, "its cookie is lost");
    tap.equal(queue.collect(), Collected::of(0, 0), "and not in the queue");
    tap.equal(
        fault,
        Some(FROM_QUEUE | 1),
        "it faults on the badge as a capability",
    );
    take(notification);
    signal(notification);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "the notification is armed",
    );

    // A waiter that nobody woke loses nothing.
    let child = Child::new(world, 0, LOWER, CPtr::NULL);
    clear_log();
    child.wait_for(queue.cap);
    let_run();
    child.suspend();
    child.resume();
    let_run();
    signal(notification);
    let_run();
    let word = log(0).and_then(|r| r.words[0]);
    tap.equal(
        word,
        Some(77),
        "suspended while it waits, a waiter loses nothing",
    );
}

/// Suspends a waiter between `wake` and its run, then lets it run; what
/// capability it faults on.
fn lost(world: &mut World, source: CPtr, wake: impl Fn()) -> Option<u64> {
    let endpoint = world.make(ObjectType::Endpoint);
    let child = Child::new(world, 0, LOWER, endpoint).with_message_buffer(world);
    clear_log();
    child.wait_for(source);
    let_run();
    wake();
    child.suspend();
    child.resume();
    let_run();
    match Fault::of(&nb_recv(endpoint)) {
        Some(Fault::Capability { address, .. }) => Some(address),
        _ => None,
    }
}
