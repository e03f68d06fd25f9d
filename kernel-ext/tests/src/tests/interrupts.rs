// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts: one whose notification is attached, and revoking that is
//! pre-empted by one.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sel4_bindings::{
    CPtr, ObjectType, Word, irq_control_get_ioapic, irq_handler_ack, irq_handler_set_notification,
    notification_queue_attach, notification_queue_detach, rdtsc, signal, wait,
};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child, clear_log, log, logged};
use crate::machine::out;
use crate::queue::{Collected, FROM_QUEUE, Queue, SMALL_CAPACITY, collect, take};
use crate::tap::Tap;
use crate::world::{DEPTH, World, nth, revoke};

/// The interval timer's ports, and the pin of its interrupt on the IOAPIC.
const COUNTER_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
const PIN: Word = 2;
/// Counter 0, both bytes: periodic, and one shot.
const PERIODIC: u8 = 0x34;
const ONE_SHOT: u8 = 0x30;
/// Ticks of 1/1,193,182 s between interrupts: about 30,000 a second.
const INTERVAL: u8 = 40;

fn start_timer() {
    out(COMMAND, PERIODIC);
    out(COUNTER_0, INTERVAL);
    out(COUNTER_0, 0);
}

fn stop_timer() {
    // A one-shot counter that is given no value never ends.
    out(COMMAND, ONE_SHOT);
}

/// The timer's interrupt handler, and the notification that it signals: idle,
/// with the timer stopped. There is one handler to an interrupt, so both tests
/// take it from here.
fn timer(world: &mut World) -> (CPtr, CPtr) {
    static HANDLER: AtomicUsize = AtomicUsize::new(0);
    stop_timer();
    let notification = world.make(ObjectType::Notification);
    let mut handler = CPtr(HANDLER.load(Ordering::Relaxed));
    if handler == CPtr::NULL {
        handler = world.slots(1);
        let root = CPtr::INIT_CNODE;
        let (slot, depth) = (handler.index(), DEPTH.into());
        irq_control_get_ioapic(CPtr::IRQ_CONTROL, root, slot, depth, 0, PIN, 0, 0, 0)
            .expect("no handler for the timer's interrupt");
        HANDLER.store(handler.0, Ordering::Relaxed);
    }
    irq_handler_set_notification(handler, notification).expect("no interrupt");
    // The firmware's last tick may still be pending: it comes once it is let.
    irq_handler_ack(handler).expect("acknowledge");
    take(notification);
    (handler, notification)
}

pub(super) fn delivered(world: &mut World, tap: &mut Tap) {
    let (handler, notification) = timer(world);
    let queue = Queue::new(world);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    queue.attach(notification, 0xabc).expect("attach");
    clear_log();
    child.receive(queue.cap, 1);
    irq_handler_ack(handler).expect("acknowledge");
    start_timer();
    let begin = rdtsc();
    while logged() == 0 && rdtsc() - begin < 1_000_000_000 {
        core::hint::spin_loop();
    }
    stop_timer();
    let received = log(0).map(|r| (r.badge, r.word));
    let expected = Some((FROM_QUEUE | 1, Some(0xabc)));
    tap.equal(
        received,
        expected,
        "a waiter is handed the cookie of an interrupt",
    );
    // Twice: the first may let an interrupt in that came before the timer stopped.
    irq_handler_ack(handler).expect("acknowledge");
    queue.collect();
    irq_handler_ack(handler).expect("acknowledge");
    let before = queue.buffer.tail();
    start_timer();
    let begin = rdtsc();
    while queue.buffer.tail() == before && rdtsc() - begin < 1_000_000_000 {
        core::hint::spin_loop();
    }
    stop_timer();
    let collected = queue.collect();
    tap.equal(
        collected,
        Collected::of(1, before),
        "without one there is an entry",
    );
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
    let (handler, interrupt) = timer(world);
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
    start_timer();
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
    stop_timer();
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
