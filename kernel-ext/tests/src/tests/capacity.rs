// SPDX-License-Identifier: BSD-2-Clause
//! How many notifications a buffer serves, and that no entry is lost or
//! overwritten within that.

use sel4_bindings::{Error, ObjectType, Word, signal};

use crate::herd::Herd;
use crate::queue::{
    Buffer, Collected, LARGE_CAPACITY, LARGE_SLOTS, Queue, SMALL_CAPACITY, SMALL_SLOTS, set_buffer,
    signal_all, take,
};
use crate::tap::Tap;
use crate::world::{World, nth, revoke};

const FULL: Error = Error::NotEnoughMemory;

/// Attaches `count` notifications in slots in a row, with cookies from 1000 on.
fn attach_all(queue: &Queue, first: sel4_bindings::CPtr, count: usize) -> bool {
    (0..count).all(|i| queue.attach(nth(first, i), cookie(i)).is_ok())
}

fn cookie(index: usize) -> Word {
    1000 + index as Word
}

pub(super) fn limit(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let one_more = SMALL_CAPACITY;
    let first = world.make_many(ObjectType::Notification, one_more + 1);
    let n = |i| nth(first, i);
    tap.check(attach_all(&queue, first, SMALL_CAPACITY), "4 KiB serve 252");
    tap.equal(queue.attach(n(one_more), 1), Err(FULL), "but not 253");
    queue.detach(n(0)).expect("detach");
    tap.equal(
        queue.attach(n(one_more), 1),
        Ok(()),
        "one that is detached makes room",
    );
    tap.equal(queue.attach(n(0), 1), Err(FULL), "for one");

    signal(n(5));
    queue.detach(n(5)).expect("detach");
    tap.equal(
        queue.attach(n(0), 1),
        Err(FULL),
        "an uncollected entry of a detached one takes room",
    );
    queue.collect();
    tap.equal(queue.attach(n(0), 1), Ok(()), "until it is collected");
    tap.equal(queue.attach(n(5), 1), Err(FULL), "then it is full again");

    (0..SMALL_CAPACITY + 1).for_each(|i| signal(n(i)));
    let count = SMALL_CAPACITY as Word;
    tap.equal(
        queue.collect(),
        Collected::of(count, 1),
        "all can have an entry at once",
    );
}

pub(super) fn ring(world: &mut World, tap: &mut Tap) {
    const ROUNDS: usize = 40;
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    attach_all(&queue, first, SMALL_CAPACITY);
    // Another order in each round: 65 has no divisor in common with 252.
    let order =
        |round: usize| (0..SMALL_CAPACITY).map(move |k| (k * 65 + round * 31) % SMALL_CAPACITY);
    let run = SMALL_CAPACITY as Word;
    let (mut exact, mut intact, mut counted) = (true, true, true);
    for round in 0..ROUNDS {
        for i in order(round) {
            signal(nth(first, i));
            signal(nth(first, i));
        }
        let start = round as Word * run;
        if round > 0 {
            // What was collected last is whole while the next run is written.
            intact &= queue.buffer.has(start - run, order(round - 1).map(cookie));
        }
        counted &= queue.collect() == Collected::of(run, start);
        exact &= queue.buffer.has(start, order(round).map(cookie));
    }
    tap.check(
        counted,
        "40 rounds of 252 entries: every collection is complete",
    );
    tap.check(exact, "every entry is in its place");
    tap.check(
        intact,
        "a collected run is intact while the next one is written",
    );
    tap.check(
        ROUNDS as Word * run > 10 * SMALL_SLOTS,
        "over ten times round the ring",
    );
}

pub(super) fn resize(world: &mut World, tap: &mut Tap) {
    let mut queue = Queue::new(world);
    let small = queue.buffer;
    let large = Buffer::large(world);
    let first = world.make_many(ObjectType::Notification, 400);
    let n = |i| nth(first, i);
    attach_all(&queue, first, SMALL_CAPACITY);
    signal_all([n(3), n(9)]);
    tap.equal(
        queue.resize(large),
        Ok(Collected::of(2, 0)),
        "SetBuffer collects",
    );
    tap.check(
        small.has(0, [cookie(3), cookie(9)]),
        "the run lies in the old buffer",
    );
    tap.equal(large.tail(), 2, "the tail is in the new one");
    signal_all([n(7), n(3)]);
    tap.equal(
        (large.tail(), small.tail()),
        (4, 2),
        "the new one alone is written",
    );
    tap.equal(queue.collect(), Collected::of(2, 2), "counting goes on");
    tap.check(
        large.has(2, [cookie(7), cookie(3)]),
        "entries lie where their numbers say",
    );

    let more = (SMALL_CAPACITY..400).all(|i| queue.attach(n(i), cookie(i)).is_ok());
    tap.check(more, "2 MiB serve more");
    let shrunk = queue.resize(small).map(|_| ());
    tap.equal(
        shrunk,
        Err(FULL),
        "a buffer too small for what is attached is refused",
    );
    (0..400).for_each(|i| signal(n(i)));
    tap.equal(queue.collect(), Collected::of(400, 4), "all are served");
    (0..400).for_each(|i| signal(n(i)));
    tap.equal(large.tail() - 404, 400, "and again");
    tap.check(404 + 400 < LARGE_SLOTS, "the ring is far from full");
    (SMALL_CAPACITY..400).for_each(|i| queue.detach(n(i)).expect("detach"));
    let shrunk = queue.resize(small);
    tap.equal(
        shrunk,
        Ok(Collected::of(400, 404)),
        "shrinking collects what does not fit",
    );
    take(n(0));
    signal(n(0));
    tap.equal(
        queue.collect(),
        Collected::of(1, 804),
        "the small buffer serves again",
    );
    tap.check(
        small.has(804, [cookie(0)]),
        "from the place that the count says",
    );
    let same = set_buffer(queue.cap, small.frame);
    tap.equal(
        same,
        Ok(Collected::of(0, 805)),
        "the buffer it has is accepted",
    );
}

pub(super) fn shared_buffer(world: &mut World, tap: &mut Tap) {
    let first = Queue::new(world);
    let second = Queue::with_buffer(world, first.buffer);
    let notifications = world.make_many(ObjectType::Notification, 2);
    first.attach(notifications, 1).expect("attach");
    second.attach(nth(notifications, 1), 2).expect("attach");
    signal(notifications);
    signal(nth(notifications, 1));
    tap.equal(
        first.buffer.entry(0),
        2,
        "two queues in one buffer spoil each other's entries",
    );
    tap.equal(first.collect(), Collected::of(1, 0), "and nothing else");
    tap.equal(second.collect(), Collected::of(1, 0), "of both");
}

/// 2 MiB, exactly. The herd widens the CSpace for the rest of the run: this is done
/// by one test only.
pub(super) fn large_limit(world: &mut World, tap: &mut Tap) {
    let buffer = Buffer::large(world);
    let queue = Queue::with_buffer(world, buffer);
    let herd = Herd::new(world);
    let memory = Herd::memory(world, LARGE_CAPACITY + 1);
    herd.make(memory, 0, LARGE_CAPACITY + 1);
    let n = |i| herd.slot(i);
    let attach = |i| queue.attach(n(i), i as Word);
    let all = (0..LARGE_CAPACITY).all(|i| attach(i).is_ok());
    tap.check(all, "2 MiB serve 131,068");
    tap.equal(attach(LARGE_CAPACITY), Err(FULL), "but not 131,069");
    queue.detach(n(7)).expect("detach");
    tap.equal(
        attach(LARGE_CAPACITY),
        Ok(()),
        "one that is detached makes room",
    );
    tap.equal(attach(7), Err(FULL), "for one");
    queue.detach(n(LARGE_CAPACITY)).expect("detach");
    attach(7).expect("attach");

    let count = LARGE_CAPACITY as Word;
    let cookies = || (0..LARGE_CAPACITY).map(|i| i as Word);
    let (mut counted, mut exact, mut intact) = (true, true, true);
    for round in 0..3 {
        signal_all((0..LARGE_CAPACITY).map(n));
        if round > 0 {
            intact &= buffer.has((round - 1) * count, cookies());
        }
        counted &= queue.collect() == Collected::of(count, round * count);
        exact &= buffer.has(round * count, cookies());
    }
    tap.check(counted, "three rounds of 131,068 entries: all are counted");
    tap.check(exact, "every entry is in its place");
    tap.check(
        intact,
        "a collected run is intact while the next one is written",
    );
    tap.check(3 * count > LARGE_SLOTS, "once round the ring");

    let small = Buffer::small(world);
    let shrunk = set_buffer(queue.cap, small.frame).map(|_| ());
    tap.equal(shrunk, Err(FULL), "4 KiB are too small for them");
    revoke(queue.cap);
    // A debug kernel has a line to say about each refusal: a few will do.
    let detached = |i| queue.detach(n(i)) == Err(Error::IllegalOperation);
    let usable = (0..LARGE_CAPACITY).step_by(997).all(detached);
    tap.check(usable, "revoking detaches every one");
    tap.check(
        attach(0).is_ok() && attach(LARGE_CAPACITY).is_ok(),
        "one can attach again",
    );
    revoke(memory);
    tap.equal(queue.collect().count, 1, "one was active");
    let other = world.make(ObjectType::Notification);
    tap.equal(queue.attach(other, 1), Ok(()), "nothing is left of them");
}
