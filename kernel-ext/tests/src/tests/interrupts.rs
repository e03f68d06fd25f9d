// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts: one whose notification is attached, and revoking that is
//! pre-empted by one.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sel4_bindings::{
    CPtr, ObjectType, Word, irq_handler_ack, notification_queue_attach, notification_queue_detach,
    rdtsc, signal, wait,
};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child, clear_log, log, logged};
use crate::pit;
use crate::queue::{Collected, FROM_QUEUE, Queue, SMALL_CAPACITY, collect, set_buffer, take};
use crate::tap::Tap;
use crate::world::{World, delete, nth, revoke};

/// Ticks between interrupts: about 30,000 a second.
const INTERVAL: u16 = 40;
/// Ticks of the clock until an interrupt is called lost: ten seconds at least, as an
/// emulator on a busy machine can stand still for one.
const PATIENCE: u64 = 40_000_000_000;

pub(super) fn delivered(world: &mut World, tap: &mut Tap) {
    let (handler, notification) = pit::timer(world);
    let queue = Queue::new(world);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    queue.attach(notification, 0xabc).expect("attach");
    clear_log();
    child.receive(queue.cap, 1);
    irq_handler_ack(handler).expect("acknowledge");
    pit::start(INTERVAL);
    let begin = rdtsc();
    while logged() == 0 && rdtsc() - begin < PATIENCE {
        core::hint::spin_loop();
    }
    pit::stop();
    let received = log(0).map(|r| (r.badge, r.words[0]));
    let expected = Some((FROM_QUEUE | 1, Some(0xabc)));
    tap.equal(
        received,
        expected,
        "a waiter is handed the cookie of an interrupt",
    );
    // An acknowledgement may let an interrupt in that came before the timer stopped,
    // and another core may take it some instructions later.
    loop {
        irq_handler_ack(handler).expect("acknowledge");
        let begin = rdtsc();
        while rdtsc() - begin < 10_000_000 {
            core::hint::spin_loop();
        }
        if queue.collect().count == 0 {
            break;
        }
    }
    let before = queue.buffer.tail();
    pit::start(INTERVAL);
    let begin = rdtsc();
    while queue.buffer.tail() == before && rdtsc() - begin < PATIENCE {
        core::hint::spin_loop();
    }
    pit::stop();
    let collected = queue.collect();
    tap.equal(
        collected,
        Collected::of(1, before),
        "without one there is an entry",
    );
}

/// Interrupts while one operation is done again and again on the queue to which
/// their notification is attached. Each interrupt is acknowledged when its cookie
/// has been collected: were one lost, there would be no further.
pub(super) fn during_operations(world: &mut World, tap: &mut Tap) {
    const COOKIE: Word = 0x1e0_c00c1e;
    const TICKS: usize = 200;
    /// Does it; whether entries were counted but not written meanwhile.
    type Operation = (&'static str, fn(&Queue, &[CPtr; 4]) -> bool);
    let operations: [Operation; 9] = [
        ("collect", |_, _| false),
        ("signal", |_, n| {
            signal(n[0]);
            false
        }),
        ("Poll of a notification", |_, n| {
            take(n[0]);
            false
        }),
        ("Attach and Detach", |queue, n| {
            // Of an active one, which is told of at once, and of an idle one.
            for n in &n[1..3] {
                queue.attach(*n, 1).expect("attach");
                queue.detach(*n).expect("detach");
            }
            signal(n[1]);
            false
        }),
        ("SetBuffer", |queue, _| {
            let collected = set_buffer(queue.cap, queue.buffer.frame);
            collected.expect("a buffer").overrun
        }),
        ("revoke the queue", |queue, _| {
            revoke(queue.cap);
            false
        }),
        ("revoke the buffer", |queue, _| {
            revoke(queue.buffer.frame);
            let collected = set_buffer(queue.cap, queue.buffer.frame);
            collected.expect("a buffer").overrun
        }),
        ("Attach by a copy, and delete it", |queue, n| {
            let copy = n[3];
            copy_to(queue.cap, copy);
            notification_queue_attach(copy, n[2], 1).expect("attach");
            delete(copy);
            queue.detach(n[2]).expect("detach");
            false
        }),
        ("Wait with entries there", |queue, n| {
            take(n[0]);
            // Just collected and so armed: this adds an entry.
            signal(n[0]);
            assert_eq!(queue.wait(), FROM_QUEUE);
            false
        }),
    ];
    for (name, operate) in operations {
        let (handler, interrupt) = pit::timer(world);
        let queue = Queue::new(world);
        let first = world.make_many(ObjectType::Notification, 3);
        let spare = [first, nth(first, 1), nth(first, 2), world.slots(1)];
        let attach = |notification, cookie| {
            // Revoking has detached it; otherwise it is attached.
            let _ = queue.attach(notification, cookie);
        };
        attach(interrupt, COOKIE);
        attach(spare[0], 1);
        irq_handler_ack(handler).expect("acknowledge");
        pit::start(INTERVAL);
        let (mut last, mut ticks, mut next) = (rdtsc(), 0, 0);
        let mut whole = true;
        while ticks < TICKS && rdtsc() - last < PATIENCE {
            let overrun = operate(&queue, &spare);
            attach(interrupt, COOKIE);
            attach(spare[0], 1);
            // An operation may have collected, too: entries lie where they were written.
            let collected = queue.collect();
            let end = collected.first + collected.count;
            whole &= end >= next && end - next < crate::queue::SMALL_SLOTS;
            if overrun {
                // One has to look everywhere: what is not written cannot be read.
                irq_handler_ack(handler).expect("acknowledge");
                next = collected.first;
            }
            // Revoked and attached again while active, it is told of twice.
            if (next..end).any(|entry| queue.buffer.entry(entry) == COOKIE) {
                take(interrupt);
                ticks += 1;
                last = rdtsc();
                irq_handler_ack(handler).expect("acknowledge");
            }
            next = end;
        }
        pit::stop();
        irq_handler_ack(handler).expect("acknowledge");
        tap.equal(
            ticks,
            TICKS,
            format_args!("{name}: every interrupt arrives"),
        );
        tap.check(whole, format_args!("{name}: no entry is passed over"));
    }
}

fn copy_to(from: CPtr, to: CPtr) {
    use sel4_bindings::{CapRights, cnode_copy};
    let (root, depth) = (CPtr::INIT_CNODE, crate::world::DEPTH);
    let (from, to) = (from.index(), to.index());
    cnode_copy(root, to, depth, root, from, depth, CapRights::ALL).expect("copy");
}

// What the test and the handler share. One core, and the handler has the higher
// priority: it sees the test between two instructions, never the other way round.
static HANDLER: AtomicUsize = AtomicUsize::new(0);
static FIRST: AtomicUsize = AtomicUsize::new(0);
static QUEUE: AtomicUsize = AtomicUsize::new(0);
static OTHER: AtomicUsize = AtomicUsize::new(0);
static REVOKING: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicUsize = AtomicUsize::new(0);
static HALFWAY: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn shared(cap: &AtomicUsize) -> CPtr {
    CPtr(cap.load(Ordering::Relaxed))
}

fn count(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// Signals and collects at every tick and, while the test revokes the queue,
/// takes over a notification that is detached already.
extern "C" fn on_tick(index: usize) -> ! {
    let interrupt = child::source(index);
    loop {
        wait(interrupt);
        let tick = count(&TICKS);
        let (queue, other) = (shared(&QUEUE), shared(&OTHER));
        let n = |i: usize| nth(shared(&FIRST), i % SMALL_CAPACITY);
        signal(n(tick * 37));
        signal(n(tick * 37 + 1));
        collect(queue);
        if REVOKING.load(Ordering::Relaxed) {
            let ends = [n(0), n(SMALL_CAPACITY - 1)];
            let taken = ends.map(|n| notification_queue_attach(other, n, 1).is_ok());
            if taken[0] != taken[1] {
                count(&HALFWAY);
            }
            for (notification, taken) in ends.into_iter().zip(taken) {
                if taken {
                    signal(notification);
                    let detached = notification_queue_detach(other, notification);
                    if detached.is_err() || collect(other).count == 0 {
                        count(&WRONG);
                    }
                }
            }
        }
        if irq_handler_ack(shared(&HANDLER)).is_err() {
            count(&WRONG);
        }
    }
}

pub(super) fn revoke_interrupted(world: &mut World, tap: &mut Tap) {
    const ROUNDS: usize = 300;
    let (handler, interrupt) = pit::timer(world);
    let queue = Queue::new(world);
    let other = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    for (place, cap) in [
        (&HANDLER, handler),
        (&FIRST, first),
        (&QUEUE, queue.cap),
        (&OTHER, other.cap),
    ] {
        place.store(cap.0, Ordering::Relaxed);
    }
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL).with_message_buffer(world);
    child.run(on_tick, interrupt);
    irq_handler_ack(handler).expect("acknowledge");
    pit::start(INTERVAL);
    let mut attached = true;
    for _ in 0..ROUNDS {
        for i in 0..SMALL_CAPACITY {
            let n = nth(first, i);
            attached &= queue.attach(n, i as Word).is_ok() || {
                // Full of what was detached: collect and try again.
                queue.collect();
                queue.attach(n, i as Word).is_ok()
            };
        }
        REVOKING.store(true, Ordering::Relaxed);
        revoke(queue.cap);
        REVOKING.store(false, Ordering::Relaxed);
    }
    pit::stop();
    child.suspend();
    let counts = [&TICKS, &HALFWAY, &WRONG].map(|c| c.load(Ordering::Relaxed));
    crate::line!(
        "# {ROUNDS} revokes, {} ticks, {} of them halfway through one",
        counts[0],
        counts[1]
    );
    tap.check(attached, "300 times 252 attachments, attached and revoked");
    tap.check(counts[1] > 0, "revoking is pre-empted halfway");
    tap.equal(
        counts[2],
        0,
        "what is revoked already can be attached elsewhere meanwhile",
    );

    // Whatever happened: the counts are exact.
    queue.collect();
    (0..SMALL_CAPACITY).for_each(|i| _ = take(nth(first, i)));
    let all = (0..SMALL_CAPACITY).all(|i| queue.attach(nth(first, i), i as Word).is_ok());
    tap.check(all, "afterwards 252 fit");
    let extra = world.make(ObjectType::Notification);
    tap.check(queue.attach(extra, 0).is_err(), "and not one more");
    let start = queue.buffer.tail();
    (0..SMALL_CAPACITY).for_each(|i| signal(nth(first, i)));
    let expected = Collected::of(SMALL_CAPACITY as Word, start);
    tap.equal(queue.collect(), expected, "each has one entry");
    let cookies = (0..SMALL_CAPACITY).map(|i| i as Word);
    tap.check(queue.buffer.has(start, cookies), "and its own cookie");
}
