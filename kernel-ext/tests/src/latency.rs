// SPDX-License-Identifier: BSD-2-Clause
//! Root task that measures how long an interrupt waits while a queue with many
//! attachments, its memory or that of its notifications is revoked: the longest
//! stretch of the kernel without a preemption point.
//!
//! For QEMU with `-icount shift=0,sleep=off`, where time is instructions. A timer
//! interrupts at a fixed interval, which is not a multiple of anything that the
//! kernel does, so that it comes at hundreds of different places. Its handler has
//! the highest priority and reads the clock first of all. What that says, less the
//! least that it ever says, is what the interrupt had to wait.
//!
//! Prints rows for `cargo xtask figures`, and in TAP that the wait does not grow.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use guest_rt::set_panic_hook;
use queue_tests::child::{self, Child};
use queue_tests::herd::Herd;
use queue_tests::queue::{Buffer, Queue, set_buffer};
use queue_tests::tap::Tap;
use queue_tests::world::{World, retype, revoke};
use queue_tests::{CHILD_PRIORITY, OWN_PRIORITY, line, machine, pit};
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::{
    BootInfo, CPtr, Kernel, ObjectType, Word, irq_handler_ack, rdtsc, set_kernel, tcb_set_priority,
    wait,
};

guest_rt::root_task!(main);

/// How many notifications are attached.
const COUNTS: [usize; 3] = [1, 1_000, 100_000];
/// Revoked things in all, for each row: enough interrupts on the way.
const WORK: usize = 200_000;
/// Ticks of the timer between interrupts, and in instructions, which are
/// nanoseconds: longer than any wait.
const INTERVAL: u16 = 167;
const NANOSECONDS: u64 = 1_000_000_000;
/// The longest wait is met to within this part, and this many instructions.
const TOLERANCE: (u64, u64) = (20, 300);

/// When the handler ran.
const SAMPLES: usize = 1 << 14;
static TIMES: [AtomicU64; SAMPLES] = [const { AtomicU64::new(0) }; SAMPLES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static HANDLER: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_tick(index: usize) -> ! {
    let interrupt = child::source(index);
    let handler = CPtr(HANDLER.load(Ordering::Relaxed));
    loop {
        wait(interrupt);
        let now = rdtsc();
        if let Some(place) = TIMES.get(TAKEN.fetch_add(1, Ordering::Relaxed)) {
            place.store(now, Ordering::Relaxed);
        }
        irq_handler_ack(handler).expect("acknowledge");
    }
}

/// Instructions until tick number `k`, from any tick on.
fn until(k: u64) -> u64 {
    let ticks = u128::from(k) * u128::from(INTERVAL) * u128::from(NANOSECONDS);
    (ticks / u128::from(pit::FREQUENCY)) as u64
}

/// The interrupts from the start of a measurement on.
struct Waits {
    /// When the first would have been handled, had it not had to wait.
    base: u64,
}

impl Waits {
    /// Sets the clock by interrupts of this loop, which is in user mode.
    fn new(handler: CPtr) -> Waits {
        irq_handler_ack(handler).expect("acknowledge");
        pit::start(INTERVAL);
        forget();
        while TAKEN.load(Ordering::Relaxed) < 200 {
            core::hint::spin_loop();
        }
        // The first may have come before there was a handler for it.
        let times = || (1..200).map(time);
        let base = times().zip(0..).map(|(t, k)| t - until(k)).min();
        Waits {
            base: base.expect("no interrupt"),
        }
    }

    /// Interrupts so far, and the longest that one had to wait.
    fn longest(&self) -> (usize, u64) {
        let taken = TAKEN.load(Ordering::Relaxed);
        assert!(taken <= SAMPLES, "more interrupts than there is room for");
        // A clock that starts a little early leaves no wait below zero.
        const EARLY: u64 = 100;
        let late = |t: u64| {
            let since = t + EARLY - self.base;
            let k = u128::from(since) * u128::from(pit::FREQUENCY)
                / (u128::from(INTERVAL) * u128::from(NANOSECONDS));
            since - until(k as u64)
        };
        let longest = (0..taken).map(|i| late(time(i))).max().unwrap_or(0);
        (taken, longest.saturating_sub(EARLY))
    }
}

fn time(index: usize) -> u64 {
    TIMES[index].load(Ordering::Relaxed)
}

fn forget() {
    TAKEN.store(0, Ordering::Relaxed);
}

/// What is revoked.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Queue,
    QueueMemory,
    NotificationMemory,
    /// Of notifications that are not attached: for comparison.
    PlainMemory,
}

const ALL: [(What, &str); 4] = [
    (What::Queue, "revoke the queue"),
    (What::QueueMemory, "revoke the queue's memory"),
    (What::NotificationMemory, "revoke the notifications' memory"),
    (What::PlainMemory, "revoke unattached notifications' memory"),
];

struct Bench {
    waits: Waits,
    herd: Herd,
    queue_memory: CPtr,
    memory: CPtr,
    slot: CPtr,
    buffer: Buffer,
}

impl Bench {
    /// The longest wait while `count` things are revoked, again and again.
    fn measure(&self, what: What, count: usize) -> u64 {
        let mut longest = (0, 0);
        for _ in 0..(WORK / count).clamp(1, 4_000) {
            let queue = self.prepare(what, count);
            forget();
            match what {
                What::Queue => revoke(queue.cap),
                What::QueueMemory => revoke(self.queue_memory),
                What::NotificationMemory | What::PlainMemory => revoke(self.memory),
            }
            let (taken, wait) = self.waits.longest();
            longest = (longest.0 + taken, longest.1.max(wait));
            revoke(self.queue_memory);
            revoke(self.memory);
        }
        let (interrupts, wait) = longest;
        line!("# {interrupts} interrupts");
        wait
    }

    fn prepare(&self, what: What, count: usize) -> Queue {
        self.herd.make(self.memory, 0, count);
        let queue = Queue {
            cap: self.slot,
            buffer: self.buffer,
        };
        if what != What::PlainMemory {
            let object = ObjectType::NotificationQueue;
            retype(self.queue_memory, object, 0, self.slot, 1).expect("a queue");
            set_buffer(queue.cap, self.buffer.frame).expect("a buffer");
            for i in 0..count {
                let notification = self.herd.slot(i);
                queue.attach(notification, i as Word).expect("attach");
            }
        }
        queue
    }
}

fn main(info: BootInfo) -> ! {
    set_panic_hook(machine::bail_out);
    let memory = info.untyped().find(|u| !u.device).expect("no memory");
    let kernel = probe_kernel(CPtr(memory.slot)).expect("neither kernel");
    set_kernel(kernel);
    line!("\nTAP version 13");
    tcb_set_priority(CPtr::INIT_TCB, OWN_PRIORITY).expect("own priority");
    let mut world = World::new(info);
    let most = COUNTS[COUNTS.len() - 1];
    let (handler, interrupt) = pit::timer(&mut world);
    let child = Child::new(&mut world, 0, CHILD_PRIORITY, CPtr::NULL);
    let child = child.with_message_buffer(&mut world);
    let memory = Herd::memory(&mut world, most);
    let queue_memory = world.untyped(ObjectType::NotificationQueue.size_bits());
    let (slot, buffer) = (world.slots(1), Buffer::large(&mut world));
    let herd = Herd::new(&mut world);
    HANDLER.store(handler.0, Ordering::Relaxed);
    child.run(on_tick, interrupt);
    let bench = Bench {
        waits: Waits::new(handler),
        herd,
        queue_memory,
        memory,
        slot,
        buffer,
    };
    let mut tap = Tap::default();
    for (number, (what, name)) in (1..).zip(ALL) {
        tap.group(1250 + number, name);
        if kernel == Kernel::Stock && what != What::PlainMemory {
            tap.skip("the stock kernel has no queue");
            continue;
        }
        let waits = COUNTS.map(|count| {
            let wait = bench.measure(what, count);
            line!("{name}: {count}\t{wait}");
            wait
        });
        let [one, thousand, all] = waits;
        let bound = |wait: u64| wait + wait / TOLERANCE.0 + TOLERANCE.1;
        tap.check(one <= bound(thousand), "1 waits no longer than 1,000");
        tap.check(all <= bound(thousand), "100,000 wait no longer than 1,000");
    }
    pit::stop();
    line!("# end");
    machine::exit(tap.finish())
}
