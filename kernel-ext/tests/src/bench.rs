// SPDX-License-Identifier: BSD-2-Clause
//! Root task that counts the instructions of kernel calls, as a table on the
//! serial line: name, tab, instructions. It ends with a line `# end`.
//!
//! For QEMU with `-icount shift=0,sleep=off`, where the time-stamp counter counts
//! instructions, user and kernel. Each figure is the least of many, so no timer
//! tick is in it, and is without the reading of the counter. It has all that one
//! call costs: the few instructions of the binding, and the kernel.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicUsize, Ordering};

use guest_rt::set_panic_hook;
use queue_tests::child::{self, Child};
use queue_tests::queue::{FROM_QUEUE, Queue, SMALL_CAPACITY, set_buffer, signal_all, take};
use queue_tests::tests::cores::move_to;
use queue_tests::world::{World, nth, revoke};
use queue_tests::{CHILD_PRIORITY, OWN_PRIORITY, line, machine};
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::{
    BootInfo, CPtr, CapRights, Kernel, MessageInfo, ObjectType, Word, call, poll, rdtsc, recv,
    reply_recv, set_kernel, signal, tcb_set_priority, wait, yield_,
};

guest_rt::root_task!(main);

const SAMPLES: usize = 200;
/// More than ever come in one collection here.
const BATCH: usize = 64;

fn main(info: BootInfo) -> ! {
    set_panic_hook(machine::bail_out);
    let memory = info.untyped().find(|u| !u.device).expect("no memory");
    let kernel = probe_kernel(CPtr(memory.slot)).expect("neither kernel");
    set_kernel(kernel);
    set_priority(OWN_PRIORITY);
    let mut world = World::new(info);
    let table = Table {
        counter: least(|| count(|| {})),
    };
    line!(
        "\n# kernel: {kernel:?}; reading the counter: {}",
        table.counter
    );
    table.row("yield", || count(yield_));
    notification(&mut world, &table);
    messages(&mut world, &table);
    if kernel == Kernel::Queue {
        entries(&mut world, &table);
        nested(&mut world, &table);
        waiters(&mut world, &table);
        invocations(&mut world, &table);
    }
    two_cores(&mut world, &table, kernel == Kernel::Queue);
    line!("# end");
    machine::exit(0)
}

fn set_priority(priority: u8) {
    tcb_set_priority(CPtr::INIT_TCB, priority).expect("own priority");
}

/// Instructions of `operation`, and of reading the counter.
fn count(operation: impl FnOnce()) -> u64 {
    let begin = rdtsc();
    operation();
    rdtsc() - begin
}

fn least(mut sample: impl FnMut() -> u64) -> u64 {
    (0..SAMPLES).map(|_| sample()).min().unwrap_or(0)
}

struct Table {
    counter: u64,
}

impl Table {
    fn row(&self, name: &str, sample: impl FnMut() -> u64) {
        self.shared_row(name, 1, sample);
    }

    /// A row for an operation that is `parts` alike.
    fn shared_row(&self, name: &str, parts: u64, sample: impl FnMut() -> u64) {
        line!("{name}\t{}", (least(sample) - self.counter) / parts);
    }
}

/// How often children of [`turn`] and [`serve`] have run.
static RUNS: AtomicUsize = AtomicUsize::new(0);

fn runs() -> usize {
    RUNS.load(Ordering::Relaxed)
}

/// Code of a child: waits for its source and nothing else.
extern "C" fn turn(index: usize) -> ! {
    let source = child::source(index);
    loop {
        wait(source);
        RUNS.store(runs() + 1, Ordering::Relaxed);
    }
}

/// Code of a child: answers every call with an empty message.
extern "C" fn serve(index: usize) -> ! {
    let source = child::source(index);
    recv(source);
    loop {
        RUNS.store(runs() + 1, Ordering::Relaxed);
        reply_recv(source, MessageInfo::new(0, 0, 0), [0; 4]);
    }
}

/// A row for a signal that wakes a child, which waits again before we go on.
fn wake_row(table: &Table, name: &str, notification: CPtr) {
    let before = runs();
    table.row(name, || count(|| signal(notification)));
    assert_eq!(runs() - before, SAMPLES, "{name}: the child did not run");
}

fn notification(world: &mut World, table: &Table) {
    let notification = world.make(ObjectType::Notification);
    let badged = world.mint(notification, CapRights::ALL, 1);
    table.row("signal.idle", || {
        take(notification);
        count(|| signal(badged))
    });
    table.row("signal.active", || count(|| signal(badged)));
    take(notification);
    table.row("poll.empty", || count(|| _ = poll(notification)));
    table.row("poll.ready", || {
        signal(badged);
        count(|| _ = poll(notification))
    });
    table.row("wait.ready", || {
        signal(badged);
        count(|| _ = wait(notification))
    });
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    child.run(turn, notification);
    wake_row(table, "signal.wake_waiter", badged);
}

fn messages(world: &mut World, table: &Table) {
    let endpoint = world.make(ObjectType::Endpoint);
    table.row("poll.endpoint", || count(|| _ = poll(endpoint)));
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    child.run(serve, endpoint);
    let call_words =
        |words| move || count(|| _ = call(endpoint, MessageInfo::new(1, 0, words), [1; 4]));
    table.row("call.higher_priority_server", call_words(0));
    // A server of our own priority: the fast path both ways.
    set_priority(CHILD_PRIORITY);
    table.row("call.same_priority.0_words", call_words(0));
    table.row("call.same_priority.4_words", call_words(4));
    set_priority(OWN_PRIORITY);
    assert_eq!(runs() % SAMPLES, 0, "the server did not answer each call");
}

fn entries(world: &mut World, table: &Table) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, BATCH);
    let n = |i| nth(first, i);
    for i in 0..BATCH {
        queue.attach(n(i), i as Word).expect("attach");
    }
    let collect = || _ = poll(queue.cap);
    table.row("signal.attached.new_entry", || {
        poll(queue.cap);
        take(n(0));
        count(|| signal(n(0)))
    });
    table.row("signal.attached.another_entry", || {
        poll(queue.cap);
        signal(n(1));
        count(|| signal(n(0)))
    });
    table.row("signal.attached.outstanding", || count(|| signal(n(0))));
    collect();
    table.row("poll.attached.ready", || {
        signal(n(0));
        count(|| _ = poll(n(0)))
    });
    collect();
    table.row("collect.0", || count(collect));
    table.row("collect.1", || {
        signal(n(0));
        count(collect)
    });
    table.row("collect.64", || {
        signal_all((0..BATCH).map(n));
        count(collect)
    });
    signal(n(0));
    table.row("wait.entries", || count(|| _ = wait(queue.cap)));
}

/// Two levels: a signal that adds an entry to the inner queue, and one to the outer
/// unless that has it already.
fn nested(world: &mut World, table: &Table) {
    let (outer, inner) = (Queue::new(world), Queue::new(world));
    outer.attach(inner.cap, 7).expect("nest");
    let notification = world.make(ObjectType::Notification);
    inner.attach(notification, 7).expect("attach");
    table.row("signal.nested.both_entries", || {
        poll(outer.cap);
        poll(inner.cap);
        count(|| signal(notification))
    });
    table.row("signal.nested.inner_entry", || {
        poll(inner.cap);
        count(|| signal(notification))
    });
    table.row("collect.both_levels", || {
        signal(notification);
        count(|| {
            poll(outer.cap);
            poll(inner.cap);
        })
    });
}

fn waiters(world: &mut World, table: &Table) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, 7).expect("attach");
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    child.run(turn, queue.cap);
    wake_row(table, "signal.attached.wake_waiter", notification);
    let inner = Queue::new(world);
    queue.attach(inner.cap, 7).expect("nest");
    let below = world.make(ObjectType::Notification);
    inner.attach(below, 7).expect("attach");
    wake_row(table, "signal.nested.wake_waiter", below);
    let own = world.make(ObjectType::Notification);
    child.bind(own).expect("bind");
    wake_row(table, "signal.bound.wake_waiter", own);
    child.suspend();
    child.unbind();
}

/// Slot that a child of [`answer`] signals.
static ANSWER: AtomicUsize = AtomicUsize::new(0);

/// Code of a child: answers each signal of its source.
extern "C" fn answer(index: usize) -> ! {
    let source = child::source(index);
    loop {
        if wait(source).badge == FROM_QUEUE {
            // Signalled before it waited: the entry is there.
            poll(source);
        }
        RUNS.store(runs() + 1, Ordering::Relaxed);
        signal(CPtr(ANSWER.load(Ordering::Relaxed)));
    }
}

/// A signal and its answer, by a thread on our core and on another. The counter goes
/// on with the instructions of both cores, so a row has what both have done; of two
/// idle cores there is nothing in it.
fn two_cores(world: &mut World, table: &Table, queues: bool) {
    let back = world.make(ObjectType::Notification);
    ANSWER.store(back.0, Ordering::Relaxed);
    let notification = world.make(ObjectType::Notification);
    let plain = [
        "cores.same.signal_and_answer",
        "cores.other.signal_and_answer",
    ];
    round_trips(world, table, plain, notification, notification, back);
    if queues {
        let queue = Queue::new(world);
        let attached = world.make(ObjectType::Notification);
        queue.attach(attached, 7).expect("attach");
        let rows = [
            "cores.same.queue.signal_and_answer",
            "cores.other.queue.signal_and_answer",
        ];
        round_trips(world, table, rows, queue.cap, attached, back);
    }
}

fn round_trips(
    world: &mut World,
    table: &Table,
    rows: [&str; 2],
    source: CPtr,
    signalled: CPtr,
    back: CPtr,
) {
    for (core, row) in rows.into_iter().enumerate() {
        let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
        if !move_to(child.tcb, 1) {
            return;
        }
        move_to(child.tcb, core as Word);
        let before = runs();
        child.run(answer, source);
        let round = || {
            signal(signalled);
            wait(back);
        };
        // It may not wait yet: another core starts it in its own time.
        (0..4).for_each(|_| round());
        table.row(row, || count(round));
        assert_eq!(
            runs() - before,
            SAMPLES + 4,
            "{row}: not an answer to each signal"
        );
    }
}

fn invocations(world: &mut World, table: &Table) {
    let queue = Queue::new(world);
    let first = world.make_many(ObjectType::Notification, SMALL_CAPACITY);
    let attach = |i| queue.attach(nth(first, i), 7).expect("attach");
    let detach = |i| queue.detach(nth(first, i)).expect("detach");
    table.row("queue.attach", || {
        let instructions = count(|| attach(0));
        detach(0);
        instructions
    });
    table.row("queue.detach", || {
        attach(0);
        count(|| detach(0))
    });
    table.row("queue.set_buffer", || {
        count(|| _ = set_buffer(queue.cap, queue.buffer.frame))
    });
    table.shared_row("queue.revoke.per_attachment", SMALL_CAPACITY as u64, || {
        (0..SMALL_CAPACITY).for_each(attach);
        count(|| revoke(queue.cap))
    });
}
