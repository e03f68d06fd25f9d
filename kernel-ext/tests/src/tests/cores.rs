// SPDX-License-Identifier: BSD-2-Clause
//! Threads on different cores. On a kernel for one core these tests are skipped.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use sel4_bindings::invocations::LABELS;
use sel4_bindings::{CPtr, Kernel, Message, ObjectType, Word, invoke_raw, poll, signal, wait};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child};
use crate::queue::{FROM_QUEUE, Queue};
use crate::tap::Tap;
use crate::world::{World, nth, revoke};

/// Notifications of a test; cookies are `COOKIE` and up.
const COUNT: usize = 8;
const COOKIE: Word = 1000;
const ROUNDS: usize = 500;

/// Slot of the first notification.
static FIRST: AtomicUsize = AtomicUsize::new(0);
/// How often each was signalled, counted before the signal.
static SIGNALLED: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
/// How many cookies a child got, handed over or collected.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);
/// Entries were collected while more signals were to come.
static COLLECTED: AtomicBool = AtomicBool::new(false);

/// A slot that a child signals to answer.
static ANSWER: AtomicUsize = AtomicUsize::new(0);

/// Moves a thread to another core; false if there is none.
pub fn move_to(thread: CPtr, core: Word) -> bool {
    let label = LABELS.iter().find(|l| l.name == "TCBSetAffinity");
    let label = label.and_then(|l| l.on(Kernel::Queue));
    label.is_some_and(|label| invoke_raw(thread, label, &[], &[core]).0 == 0)
}

/// A thread on the other core, or `None` after saying that there is none.
fn elsewhere(world: &mut World, tap: &mut Tap, index: usize) -> Option<Child> {
    let child = Child::new(world, index, CHILD_PRIORITY, CPtr::NULL);
    if move_to(child.tcb, 1) {
        return Some(child);
    }
    tap.skip("a kernel for one core");
    None
}

/// A queue with `COUNT` notifications attached.
fn attached(world: &mut World) -> (Queue, CPtr) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, COUNT);
    attach(&queue, first);
    FIRST.store(first.0, Ordering::Relaxed);
    SIGNALLED.iter().for_each(|n| n.store(0, Ordering::Relaxed));
    ARRIVED.store(0, Ordering::Relaxed);
    DONE.store(false, Ordering::Relaxed);
    STOP.store(false, Ordering::Relaxed);
    COLLECTED.store(false, Ordering::Relaxed);
    (queue, first)
}

fn attach(queue: &Queue, first: CPtr) {
    for i in 0..COUNT {
        let cookie = COOKIE + i as Word;
        queue.attach(nth(first, i), cookie).expect("attach");
    }
}

fn notification(round: usize) -> CPtr {
    CPtr(FIRST.load(Ordering::Relaxed) + round % COUNT)
}

/// Code of a child: signals each in turn, `ROUNDS` times in all, or until it is told
/// to stop.
extern "C" fn signal_in_turn(index: usize) -> ! {
    let mut round = 0;
    while round < ROUNDS && !STOP.load(Ordering::Acquire) {
        SIGNALLED[round % COUNT].fetch_add(1, Ordering::Release);
        signal(notification(round));
        round += 1;
        if round == ROUNDS && child::source(index) != CPtr::NULL {
            round = 0;
        } else if round == ROUNDS / 2 {
            // However the cores are served, there is more than one collection.
            wait_until(&COLLECTED);
        }
    }
    DONE.store(true, Ordering::Release);
    child::park(index)
}

/// How many cookies a message from a queue brings: one that is handed over, or what
/// is then collected.
fn cookies(queue: CPtr, message: &Message) -> usize {
    match message.badge {
        FROM_QUEUE => (poll(queue).badge & !FROM_QUEUE) as usize,
        badge if badge == FROM_QUEUE | 1 => 1,
        _ => 0,
    }
}

/// Code of a child: waits for the queue, and answers each message.
extern "C" fn answer(index: usize) -> ! {
    let queue = child::source(index);
    loop {
        let message = wait(queue);
        ARRIVED.fetch_add(cookies(queue, &message), Ordering::Release);
        signal(CPtr(ANSWER.load(Ordering::Relaxed)));
    }
}

/// Code of a child: signals each in turn, and waits for its source after each.
extern "C" fn ask(index: usize) -> ! {
    for round in 0..ROUNDS {
        signal(notification(round));
        wait(child::source(index));
    }
    DONE.store(true, Ordering::Release);
    child::park(index)
}

/// Code of a child: nothing, for ever.
extern "C" fn spin(_: usize) -> ! {
    loop {
        DONE.store(true, Ordering::Release);
        spin_loop();
    }
}

fn wait_until(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        spin_loop();
    }
}

pub(super) fn signals(world: &mut World, tap: &mut Tap) {
    let Some(child) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, _) = attached(world);
    child.run(signal_in_turn, CPtr::NULL);
    let mut seen = [0; COUNT];
    let (mut written, mut few, mut whole) = (true, true, true);
    let known = |cookie: Word| (COOKIE..COOKIE + COUNT as Word).contains(&cookie);
    let mut next = 0;
    loop {
        let last = DONE.load(Ordering::Acquire);
        // What the tail tells of is there, without a call to the kernel.
        let tail = queue.buffer.tail();
        written &= (next..tail).all(|n| known(queue.buffer.entry(n)));
        let collected = queue.collect();
        few &= collected.count <= COUNT as Word;
        whole &= collected.first == next && !collected.overrun;
        next = collected.first + collected.count;
        if collected.count != 0 {
            COLLECTED.store(true, Ordering::Release);
        }
        for n in collected.first..next {
            let index = (queue.buffer.entry(n) - COOKIE) as usize;
            seen[index] = SIGNALLED[index].load(Ordering::Acquire);
        }
        if last {
            break;
        }
    }
    tap.check(written, "an entry is written before the tail tells of it");
    tap.check(few, "each notification has at most one uncollected entry");
    tap.check(whole, "each run begins where the last one ended");
    let signalled = SIGNALLED.each_ref().map(|n| n.load(Ordering::Acquire));
    tap.equal(seen, signalled, "no signal is lost");
    tap.check(next > COUNT as Word, "there was more than one collection");
}

pub(super) fn waiter(world: &mut World, tap: &mut Tap) {
    let Some(child) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, _) = attached(world);
    let back = world.make(ObjectType::Notification);
    ANSWER.store(back.0, Ordering::Relaxed);
    child.run(answer, queue.cap);
    for round in 0..ROUNDS {
        signal(notification(round));
        wait(back);
    }
    tap.equal(
        ARRIVED.load(Ordering::Acquire),
        ROUNDS,
        "each signal wakes a waiter on another core",
    );
    child.suspend();
    signal(notification(0));
    tap.equal(
        queue.collect().count,
        1,
        "suspended from another core, it waits no more",
    );
}

pub(super) fn two_waiters(world: &mut World, tap: &mut Tap) {
    let Some(there) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, _) = attached(world);
    let back = world.make(ObjectType::Notification);
    ANSWER.store(back.0, Ordering::Relaxed);
    let here = Child::new(world, 1, CHILD_PRIORITY, CPtr::NULL);
    here.run(answer, queue.cap);
    there.run(answer, queue.cap);
    for round in 0..ROUNDS {
        signal(notification(round));
        signal(notification(round + 1));
        while ARRIVED.load(Ordering::Acquire) < 2 * (round + 1) {
            spin_loop();
        }
    }
    tap.equal(
        ARRIVED.load(Ordering::Acquire),
        2 * ROUNDS,
        "a waiter on each core: each cookie arrives once",
    );
}

pub(super) fn waits(world: &mut World, tap: &mut Tap) {
    let Some(child) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, _) = attached(world);
    let go = world.make(ObjectType::Notification);
    child.run(ask, go);
    let mut arrived = 0;
    for _ in 0..ROUNDS {
        let message = wait(queue.cap);
        arrived += cookies(queue.cap, &message);
        signal(go);
    }
    wait_until(&DONE);
    tap.equal(arrived, ROUNDS, "each signal of another core wakes us");
    tap.equal(queue.collect().count, 0, "and nothing is left");
}

pub(super) fn revoked(world: &mut World, tap: &mut Tap) {
    let Some(child) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, first) = attached(world);
    // Its source is not null: it goes on until it is told to stop.
    COLLECTED.store(true, Ordering::Relaxed);
    child.run(signal_in_turn, first);
    let mut quiet = true;
    let mut total = 0;
    for _ in 0..50 {
        while queue.buffer.tail() == total {
            spin_loop();
        }
        revoke(queue.cap);
        let collected = queue.collect();
        total = collected.first + collected.count;
        quiet &= queue.collect().count == 0 && queue.buffer.tail() == total;
        attach(&queue, first);
    }
    STOP.store(true, Ordering::Release);
    wait_until(&DONE);
    tap.check(
        quiet,
        "revoked while another core signals, it gets no entry more",
    );
    tap.check(
        queue.collect().count <= COUNT as Word,
        "and its counts are right",
    );
    revoke(queue.cap);
    let again = world.make_many(ObjectType::Notification, 252);
    let room = (0..252).filter(|&i| queue.attach(nth(again, i), 1).is_ok());
    tap.equal(room.count(), 252, "all of its room is free again");
}

pub(super) fn thread_ends(world: &mut World, tap: &mut Tap) {
    let Some(child) = elsewhere(world, tap, 0) else {
        return;
    };
    let (queue, _) = attached(world);
    queue.attach(child.tcb, 7).expect("attach");
    child.run(spin, CPtr::NULL);
    wait_until(&DONE);
    child.delete();
    let collected = queue.collect();
    tap.equal(collected.count, 1, "deleted while it runs on another core");
    tap.equal(queue.buffer.entry(0), 7, "its cookie");

    let Some(child) = elsewhere(world, tap, 1) else {
        return;
    };
    queue.attach(child.tcb, 8).expect("attach");
    // It waits for what is not there, and nobody handles that.
    child.wait_for(CPtr::NULL);
    let message = wait(queue.cap);
    let told = match message.badge {
        FROM_QUEUE => queue.buffer.entry(queue.collect().first),
        _ => message.mrs[0],
    };
    tap.equal(told, 8, "ended by a fault on another core");
}
