// SPDX-License-Identifier: BSD-2-Clause
//! The tests. Each makes its own objects, so that none depends on another.

mod attach;
mod capacity;
mod caveats;
mod deletion;
mod interrupts;
mod notification;
mod refusals;
mod stock;
mod waiters;

use sel4_bindings::Kernel;

use crate::line;
use crate::tap::Tap;
use crate::world::World;

type Test = fn(&mut World, &mut Tap);

/// On which kernels a test can run.
#[derive(Clone, Copy, PartialEq)]
enum On {
    Both,
    Queue,
    Stock,
}

const TESTS: &[(&str, On, Test)] = &[
    ("signal", On::Both, notification::signals),
    ("wait for a notification", On::Both, notification::waiters),
    ("bound notification", On::Both, notification::bound),
    ("stop a waiter", On::Both, notification::stop),
    ("size of a notification", On::Both, notification::size),
    (
        "frame capability (5.0.0's trap)",
        On::Both,
        caveats::late_unmap,
    ),
    ("woken, then suspended", On::Both, caveats::lost_wake),
    ("stock kernel", On::Stock, stock::no_queue),
    ("object", On::Queue, refusals::object),
    ("badge", On::Queue, refusals::badge),
    ("rights", On::Queue, refusals::rights),
    ("wrong capability", On::Queue, refusals::wrong_capability),
    ("wrong message", On::Queue, refusals::wrong_message),
    ("SetBuffer", On::Queue, refusals::wrong_buffer),
    ("wrong state", On::Queue, refusals::wrong_state),
    ("Send to a queue", On::Queue, refusals::send),
    ("entry", On::Queue, attach::entry),
    ("coalescing", On::Queue, attach::coalescing),
    ("badges beside entries", On::Queue, attach::badges),
    ("attach an active notification", On::Queue, attach::active),
    ("detach", On::Queue, attach::detach),
    ("one queue per notification", On::Queue, attach::one_queue),
    ("capacity", On::Queue, capacity::limit),
    ("ring", On::Queue, capacity::ring),
    ("resize", On::Queue, capacity::resize),
    ("shared buffer", On::Queue, capacity::shared_buffer),
    ("hand-off", On::Queue, waiters::hand_off),
    ("bound notification of a waiter", On::Queue, waiters::bound),
    ("bound queue", On::Queue, waiters::bound_queue),
    ("stop a queue's waiter", On::Queue, waiters::stop),
    ("faults", On::Queue, waiters::faults),
    (
        "woken by a queue, then suspended",
        On::Queue,
        caveats::lost_hand_off,
    ),
    ("delete a notification", On::Queue, deletion::notification),
    (
        "delete the queue's capabilities",
        On::Queue,
        deletion::queue,
    ),
    ("revoke a queue", On::Queue, deletion::revoke_queue),
    ("revoke a copy", On::Queue, deletion::revoke_copy),
    ("take the buffer away", On::Queue, deletion::buffer),
    ("retype again", On::Queue, deletion::reuse),
    ("delete a CNode", On::Queue, deletion::cnode),
    ("interrupt", On::Queue, interrupts::delivered),
    (
        "revoke, interrupted",
        On::Queue,
        interrupts::revoke_interrupted,
    ),
];

/// Runs all tests.
pub fn run(kernel: Kernel, world: &mut World, tap: &mut Tap) {
    for (name, on, test) in TESTS {
        tap.group(name);
        match (kernel, on) {
            (_, On::Both) | (Kernel::Queue, On::Queue) | (Kernel::Stock, On::Stock) => {
                line!("# {name}");
                test(world, tap);
            }
            (Kernel::Stock, On::Queue) => tap.skip("the stock kernel has no queue"),
            (Kernel::Queue, On::Stock) => tap.skip("this is the queue kernel"),
        }
    }
}
