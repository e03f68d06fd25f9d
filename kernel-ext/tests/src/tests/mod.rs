// SPDX-License-Identifier: BSD-2-Clause
//! The tests. Each makes its own objects, so that none depends on another.
//!
//! A test is named NQppnn: pp is the promise that it is mainly about (0: seL4 as
//! it is, with and without the queue; 14: several at once), nn counts. Each of
//! its conditions is a line of TAP of its own, NQppnn.k. Numbers stay: a new test
//! goes behind the last of its promise, a new condition behind the last of its
//! test. `README.md` has the table of promises and tests; a test on the host
//! compares it with this list.

mod attach;
mod calls;
mod capacity;
mod caveats;
pub mod cores;
mod deletion;
mod fixture;
mod hostile;
mod interrupts;
mod kinds;
mod matrix;
mod messages;
mod minting;
mod nesting;
mod notification;
mod random;
mod refusals;
mod rig;
mod stock;
#[cfg(test)]
mod table;
mod threads;
mod waiters;

use sel4_bindings::Kernel;

use crate::line;
use crate::tap::Tap;
use crate::world::World;

/// On which kernels a test can run.
#[derive(Clone, Copy, PartialEq)]
enum On {
    Both,
    Queue,
    Stock,
}

struct Test {
    /// NQppnn without the letters.
    number: u16,
    name: &'static str,
    on: On,
    /// Numbers of the promises that it checks, the main one first; 0 is none.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the README's table, made on the host")
    )]
    promises: &'static [u8],
    run: fn(&mut World, &mut Tap),
}

const fn test(
    number: u16,
    name: &'static str,
    on: On,
    promises: &'static [u8],
    run: fn(&mut World, &mut Tap),
) -> Test {
    Test {
        number,
        name,
        on,
        promises,
        run,
    }
}

/// Every promise: unattached notifications, too, are in the model.
const ALL: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

#[rustfmt::skip]
const TESTS: &[Test] = &[
    test(1, "signal", On::Both, &[13], notification::signals),
    test(2, "wait for a notification", On::Both, &[13], notification::waiters),
    test(3, "bound notification", On::Both, &[13], notification::bound),
    test(4, "stop a waiter", On::Both, &[13], notification::stop),
    test(5, "size of a notification", On::Both, &[2], notification::size),
    test(6, "frame capability (5.0.0's trap)", On::Both, &[0], caveats::late_unmap),
    test(7, "woken, then suspended", On::Both, &[0], caveats::lost_wake),
    test(8, "stock kernel", On::Stock, &[0], stock::no_queue),
    test(9, "two that wait in turn", On::Both, &[13], notification::both_wait),

    test(101, "object", On::Queue, &[1, 6], refusals::object),
    test(102, "Mint, Mutate, Copy, Move", On::Queue, &[1], minting::badges),
    test(103, "rights", On::Queue, &[1, 2], matrix::rights),
    test(104, "rights to receive and send", On::Queue, &[1, 4], matrix::receive_rights),
    test(105, "Send to a queue", On::Queue, &[1], refusals::send),
    test(106, "Retype", On::Queue, &[1], minting::retype_sizes),
    test(107, "a queue for another capability", On::Queue, &[1], matrix::as_argument),
    test(108, "every label", On::Queue, &[1], matrix::labels),
    test(109, "a queue's methods of other objects", On::Queue, &[1], matrix::invoked),

    test(201, "entry", On::Queue, &[2, 4, 7], attach::entry),
    test(202, "attach an active notification", On::Queue, &[2, 4], attach::active),
    test(203, "interrupt", On::Queue, &[2, 4], interrupts::delivered),
    test(204, "Attach of every kind of capability", On::Queue, &[2], matrix::attach),
    test(205, "truncated messages", On::Queue, &[2, 7, 9], messages::truncated),
    test(206, "interrupts during every operation", On::Queue, &[2, 3, 8, 12], interrupts::during_operations),

    test(301, "coalescing", On::Queue, &[3, 6], attach::coalescing),
    test(302, "badges beside entries", On::Queue, &[3], attach::badges),

    test(401, "hand-off", On::Queue, &[4], waiters::hand_off),
    test(402, "bound queue", On::Queue, &[4], waiters::bound_queue),
    test(403, "stop a queue's waiter", On::Queue, &[4], waiters::stop),
    test(404, "faults", On::Queue, &[4, 9], waiters::faults),
    test(405, "woken by a queue, then suspended", On::Queue, &[4], caveats::lost_hand_off),
    test(406, "bind every kind of capability", On::Queue, &[4], matrix::bind),
    test(407, "restart a queue's waiter", On::Queue, &[4], waiters::restart),

    test(501, "bound notification of a waiter", On::Queue, &[5], waiters::bound),

    test(701, "capacity", On::Queue, &[7], capacity::limit),
    test(702, "ring", On::Queue, &[7, 6], capacity::ring),
    test(703, "shared buffer", On::Queue, &[7], capacity::shared_buffer),
    test(704, "SetBuffer of every kind of capability", On::Queue, &[7], matrix::set_buffer_kinds),
    test(705, "take the buffer away", On::Queue, &[7, 8], deletion::buffer),
    test(706, "unmapped buffer", On::Queue, &[7], hostile::unmapped),
    test(707, "scribbled buffer, mapped twice", On::Queue, &[7], hostile::scribbled),
    test(708, "a buffer for two queues", On::Queue, &[7, 12], hostile::two_queues),
    test(709, "freed buffer", On::Queue, &[7, 12], hostile::freed),
    test(710, "message buffer for a buffer", On::Queue, &[7], hostile::message_buffer),
    test(711, "capacity of 2 MiB", On::Queue, &[7, 12], capacity::large_limit),

    test(801, "resize", On::Queue, &[8, 7], capacity::resize),

    test(901, "one queue per notification", On::Queue, &[9], attach::one_queue),
    test(902, "wrong state", On::Queue, &[9, 7], refusals::wrong_state),
    test(903, "detach", On::Queue, &[9, 7], attach::detach),
    test(904, "Detach of every kind of capability", On::Queue, &[9], matrix::detach),

    test(1001, "thread deleted", On::Queue, &[10], threads::deleted),
    test(1002, "thread faulted", On::Queue, &[10], threads::faulted),
    test(1003, "thread's end awaited", On::Queue, &[10, 4], threads::waiter),
    test(1004, "detach a thread", On::Queue, &[10, 9], threads::detach),
    test(1005, "threads deleted together", On::Queue, &[10, 12], threads::together),

    test(1101, "nested queues", On::Queue, &[11], nesting::entries),
    test(1102, "nested queues, waiters", On::Queue, &[11, 4], nesting::waiters),
    test(1103, "nested queues, bound", On::Queue, &[11, 4], nesting::bound),
    test(1104, "nest a queue with entries", On::Queue, &[11], nesting::with_entries),
    test(1105, "nested queues, refused", On::Queue, &[11, 9], nesting::refusals),
    test(1106, "delete nested queues", On::Queue, &[11, 12], nesting::deletion),
    test(1107, "delete nested queues in any order", On::Queue, &[11, 12], nesting::chain),

    test(1201, "delete a notification", On::Queue, &[12, 7], deletion::notification),
    test(1202, "delete the queue's capabilities", On::Queue, &[12], deletion::queue),
    test(1203, "revoke a queue", On::Queue, &[12], deletion::revoke_queue),
    test(1204, "revoke a copy", On::Queue, &[12], deletion::revoke_copy),
    test(1205, "retype again", On::Queue, &[12], deletion::reuse),
    test(1206, "delete a CNode", On::Queue, &[12], deletion::cnode),
    test(1207, "revoke, interrupted", On::Queue, &[12, 7], interrupts::revoke_interrupted),
    test(1208, "neighbours", On::Queue, &[12], deletion::neighbours),

    test(1401, "random sequences against a model", On::Queue, ALL, random::sequences),
    test(1402, "signals from another core", On::Queue, &[3, 6, 7], cores::signals),
    test(1403, "a waiter on another core", On::Queue, &[4], cores::waiter),
    test(1404, "a waiter on each core", On::Queue, &[4], cores::two_waiters),
    test(1405, "wait for another core's signals", On::Queue, &[4], cores::waits),
    test(1406, "revoke while another core signals", On::Queue, &[12], cores::revoked),
    test(1407, "threads end on another core", On::Queue, &[10], cores::thread_ends),
];

/// Runs all tests.
pub fn run(kernel: Kernel, world: &mut World, tap: &mut Tap) {
    for test in TESTS {
        tap.group(test.number, test.name);
        match (kernel, test.on) {
            (_, On::Both) | (Kernel::Queue, On::Queue) | (Kernel::Stock, On::Stock) => {
                line!("# NQ{:04} {}", test.number, test.name);
                (test.run)(world, tap);
            }
            (Kernel::Stock, On::Queue) => tap.skip("the stock kernel has no queue"),
            (Kernel::Queue, On::Stock) => tap.skip("this is the queue kernel"),
        }
    }
}
