// SPDX-License-Identifier: BSD-2-Clause
//! Making queues, and copies of their capabilities.

use sel4_bindings::invocations::OBJECTS;
use sel4_bindings::{
    CPtr, CapData, CapRights, Error, Kernel, ObjectType, Word, cnode_copy, cnode_mint, cnode_move,
    cnode_mutate, cnode_rotate, notification_queue_detach, untyped_retype,
};

use super::fixture::Fixture;
use crate::CHILD_PRIORITY;
use crate::child::Child;
use crate::queue::{Collected, collect};
use crate::tap::Tap;
use crate::world::{DEPTH, World, delete, nth, revoke};

const ROOT: CPtr = CPtr::INIT_CNODE;

/// Tells which rights a queue capability has, and changes nothing.
struct Judge {
    child: Child,
    notification: CPtr,
}

impl Judge {
    /// To wait, to manage.
    fn rights(&self, cap: CPtr) -> (bool, bool) {
        let wait = self.child.bind(cap).is_ok();
        if wait {
            self.child.unbind();
        }
        // Of what is not attached: refused for one of two reasons.
        let refused = notification_queue_detach(cap, self.notification);
        (wait, refused == Err(Error::IllegalOperation))
    }
}

pub(super) fn badges(world: &mut World, tap: &mut Tap) {
    let mut fixture = Fixture::new(world);
    let judge = Judge {
        child: Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL),
        notification: world.make(ObjectType::Notification),
    };
    let to = world.slots(1);
    let (t, d) = (to.index(), DEPTH);
    for source_bits in 0..4 {
        let (wait, manage) = (source_bits & 2 != 0, source_bits & 1 != 0);
        let source_rights = CapRights::new(true, wait, manage);
        let from = world.copy(fixture.queue.cap, source_rights);
        let f = from.index();
        for badge in [0, 1, 1 << 63, Word::MAX] {
            for bits in 0..8 {
                let [write, read, grant] = [1, 2, 4].map(|bit| bits & bit != 0);
                let rights = CapRights::new(grant, read, write);
                let done = cnode_mint(ROOT, t, d, ROOT, f, d, rights, CapData(badge));
                let name = format_args!("Mint: rights {bits} of {source_bits}, badge {badge:#x}");
                if badge != 0 {
                    let refused = done == Err(Error::IllegalOperation) && !world.is_occupied(to);
                    tap.check(refused, name);
                    continue;
                }
                let found = (done, judge.rights(to));
                tap.equal(found, (Ok(()), (wait && read, manage && write)), name);
                delete(to);
                let done = cnode_copy(ROOT, t, d, ROOT, f, d, rights);
                let found = (done, judge.rights(to));
                let name = format_args!("Copy: rights {bits} of {source_bits}");
                tap.equal(found, (Ok(()), (wait && read, manage && write)), name);
                delete(to);
            }
            let done = cnode_mutate(ROOT, t, d, ROOT, f, d, CapData(badge));
            let name = format_args!("Mutate: {source_bits}, badge {badge:#x}");
            if badge == 0 {
                let moved = !world.is_occupied(from) && judge.rights(to) == (wait, manage);
                tap.check(done == Ok(()) && moved, name);
                let done = cnode_move(ROOT, f, d, ROOT, t, d);
                let moved = !world.is_occupied(to) && judge.rights(from) == (wait, manage);
                tap.check(done == Ok(()) && moved, format_args!("Move: {source_bits}"));
            } else {
                let stays = !world.is_occupied(to) && judge.rights(from) == (wait, manage);
                tap.check(done == Err(Error::IllegalOperation) && stays, name);
                rotate(world, tap, from, to, badge);
            }
            tap.check(fixture.unchanged(), "and nothing else");
        }
        tap.equal(
            judge.rights(from),
            (wait, manage),
            "the source is as it was",
        );
    }
}

/// Rotate gives badges to two capabilities: neither may be a queue's.
fn rotate(world: &mut World, tap: &mut Tap, queue: CPtr, empty: CPtr, badge: Word) {
    let other = world.cnode(1);
    let (e, d) = (empty.index(), DEPTH);
    let turn = |pivot: CPtr, pivot_badge, source: CPtr, source_badge| {
        let (p, s) = (pivot.index(), source.index());
        let (p_badge, s_badge) = (CapData(pivot_badge), CapData(source_badge));
        cnode_rotate(ROOT, e, d, p_badge, ROOT, p, d, s_badge, ROOT, s, d)
    };
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        turn(queue, badge, other, 0),
        refused,
        "Rotate: badge for the pivot",
    );
    tap.equal(
        turn(other, 0, queue, badge),
        refused,
        "Rotate: badge for the source",
    );
    let there = [queue, other, empty].map(|cap| world.is_occupied(cap));
    tap.equal(there, [true, true, false], "all stay where they are");
}

pub(super) fn retype_sizes(world: &mut World, tap: &mut Tap) {
    let memory = world.untyped(9);
    let slots = world.slots(4);
    let number = ObjectType::NotificationQueue.number();
    let make = |memory: CPtr, object, size, at: Word, count| {
        untyped_retype(memory, object, size, ROOT, 0, 0, at, count)
    };
    let at = slots.index();
    // Queues are all of one size: what the caller says of it is ignored, as for
    // every object of fixed size, unless it is beyond all sense.
    for size in [0, 1, 6, 7, 8, 47] {
        let found = make(memory, number, size, at, 4);
        tap.equal(found, Ok(()), format_args!("four, of size {size}"));
        tap.equal(
            collect(nth(slots, 3)),
            Collected::of(0, 0),
            "the last one works",
        );
        revoke(memory);
    }
    let range = Err(Error::RangeError);
    for size in [48, 63, 64, Word::MAX] {
        let found = make(memory, number, size, at, 1);
        tap.equal(found, range, format_args!("size {size}"));
    }
    for count in [0, 257, Word::MAX] {
        let found = make(memory, number, 0, at, count);
        tap.equal(found, range, format_args!("{count} of them"));
    }
    let found = make(memory, number, 0, at, 5);
    tap.equal(
        found,
        Err(Error::NotEnoughMemory),
        "five in the memory of four",
    );
    for bits in 4..7 {
        let small = world.untyped(bits);
        let found = make(small, number, 0, at, 1);
        let name = format_args!("one in 2^{bits} bytes");
        tap.equal(found, Err(Error::NotEnoughMemory), name);
    }
    let found = make(world.device_memory(), number, 0, at, 1);
    tap.equal(found, Err(Error::InvalidArgument), "of device memory");
    let found = make(memory, number, 0, CPtr::INIT_TCB.index(), 1);
    tap.equal(found, Err(Error::DeleteFirst), "into a slot that is in use");
    let found = make(memory, number, 0, 1 << 16, 1);
    tap.equal(found, range, "into a slot that is nowhere");
    let numbers = OBJECTS.iter().filter_map(|o| o.on(Kernel::Queue));
    let beyond = numbers.max().unwrap_or(0) + 1;
    for object in [beyond, beyond + 1, Word::MAX] {
        let found = make(memory, object, 0, at, 1);
        let name = format_args!("object type {object}");
        tap.equal(found, Err(Error::InvalidArgument), name);
    }
    let empty = (0..4).all(|i| !world.is_occupied(nth(slots, i)));
    tap.check(empty, "a refused retype makes nothing");
    tap.equal(
        make(memory, number, 0, at, 4),
        Ok(()),
        "and takes no memory",
    );
}
