// SPDX-License-Identifier: BSD-2-Clause
//! What belongs to the queue is refused by the kernel that has none.

use sel4_bindings::invocations::{LABELS, OBJECTS};
use sel4_bindings::{
    CPtr, Error, Kernel, ObjectType, Word, invoke_raw, notification_queue_attach,
    notification_queue_set_buffer, x86_io_port_in8,
};

use crate::tap::Tap;
use crate::world::{World, retype, retype_number};

pub(super) fn no_queue(world: &mut World, tap: &mut Tap) {
    let slot = world.slots(1);
    let refused = retype(world.memory(), ObjectType::NotificationQueue, 0, slot, 1);
    tap.equal(
        refused,
        Err(Error::InvalidArgument),
        "there is no such object type",
    );
    let numbers = OBJECTS.iter().filter_map(|o| o.on(Kernel::Queue));
    let highest = numbers.max().unwrap_or(0);
    let refused = retype_number(world.memory(), highest, 0, slot, 1);
    tap.equal(
        refused,
        Err(Error::InvalidArgument),
        "the number of types is one less",
    );

    let endpoint = world.make(ObjectType::Endpoint);
    let attached = notification_queue_attach(endpoint, endpoint, 1);
    tap.equal(
        attached,
        Err(Error::IllegalOperation),
        "the bindings have no Attach",
    );
    let set = notification_queue_set_buffer(endpoint, endpoint).map(|_| ());
    tap.equal(
        set,
        Err(Error::IllegalOperation),
        "the bindings have no SetBuffer",
    );

    // Labels count on without a gap, so those of the queue move the last ones.
    let last = |kernel| {
        LABELS
            .iter()
            .filter_map(|l| l.on(kernel))
            .max()
            .unwrap_or(0)
    };
    let more = last(Kernel::Queue) - last(Kernel::Stock);
    tap.equal(more, 3, "the queue kernel has three labels more");
    let mut refused = true;
    for label in last(Kernel::Stock) + 1..=last(Kernel::Queue) {
        let (error, _) = invoke_raw(CPtr::IO_PORT, label, &[], &[0x3fd]);
        refused &= error == Error::IllegalOperation as Word;
    }
    tap.check(refused, "labels beyond its own are refused");
    tap.check(
        x86_io_port_in8(CPtr::IO_PORT, 0x3fd).is_ok(),
        "its own are not",
    );
}
