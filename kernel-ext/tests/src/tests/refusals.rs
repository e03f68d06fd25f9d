// SPDX-License-Identifier: BSD-2-Clause
//! What an invocation of a queue refuses, and with which error. A refused call
//! changes nothing.

use sel4_bindings::invocations::LABELS;
use sel4_bindings::{
    CPtr, CapData, CapRights, Error, Kernel, ObjectType, Word, cnode_mutate, invoke_raw,
    notification_queue_attach, notification_queue_detach, signal,
};

use crate::CHILD_PRIORITY;
use crate::child::Child;
use crate::queue::{Buffer, Collected, Queue, collect, set_buffer, take};
use crate::tap::Tap;
use crate::world::{DEPTH, World, delete, retype};

/// Label of a queue's method, by the kernel's own name.
fn label(name: &str) -> Word {
    let label = LABELS.iter().find(|l| l.name == name);
    label
        .and_then(|l| l.on(Kernel::Queue))
        .expect("not a method of the queue kernel")
}

pub(super) fn object(world: &mut World, tap: &mut Tap) {
    let memory = world.untyped(8);
    let slots = world.slots(3);
    let two = retype(memory, ObjectType::NotificationQueue, 0, slots, 2);
    tap.equal(two, Ok(()), "two fit in 256 bytes");
    let third = retype(
        memory,
        ObjectType::NotificationQueue,
        0,
        CPtr(slots.0 + 2),
        1,
    );
    tap.equal(third, Err(Error::NotEnoughMemory), "three do not");
    tap.equal(collect(slots), Collected::of(0, 0), "a new one is empty");
}

pub(super) fn badge(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let slot = world.slots(1);
    let minted = world.try_mint(slot, queue.cap, CapRights::ALL, 9);
    tap.equal(
        minted,
        Err(Error::IllegalOperation),
        "Mint with a badge is refused",
    );
    let minted = world.try_mint(slot, queue.cap, CapRights::ALL, 0);
    tap.equal(minted, Ok(()), "Mint without one is not");
    let mutate = |from: CPtr, to: CPtr, badge| {
        let root = CPtr::INIT_CNODE;
        cnode_mutate(
            root,
            to.index(),
            DEPTH,
            root,
            from.index(),
            DEPTH,
            CapData(badge),
        )
    };
    let other = world.slots(1);
    let mutated = mutate(slot, other, 9);
    tap.equal(
        mutated,
        Err(Error::IllegalOperation),
        "Mutate to a badge is refused",
    );
    tap.equal(mutate(slot, other, 0), Ok(()), "Mutate without one is not");
    tap.equal(
        collect(other),
        Collected::of(0, 0),
        "what results is a queue's",
    );
}

pub(super) fn rights(world: &mut World, tap: &mut Tap) {
    let mut queue = Queue::new(world);
    let buffer = Buffer::small(world);
    let notification = world.make(ObjectType::Notification);
    let wait_only = world.copy(queue.cap, CapRights::READ);
    let manage_only = world.copy(queue.cap, CapRights::WRITE);
    let refused = Err(Error::InvalidCapability);

    let attach = |cap, notification| notification_queue_attach(cap, notification, 7);
    let detach = notification_queue_detach;
    tap.equal(
        attach(wait_only, notification),
        refused,
        "Attach needs the write right",
    );
    tap.equal(detach(wait_only, notification), refused, "so does Detach");
    let set = set_buffer(wait_only, buffer.frame).map(|_| ());
    tap.equal(set, refused, "and SetBuffer");
    tap.equal(
        collect(wait_only),
        Collected::of(0, 0),
        "the read right is enough to collect",
    );

    let send_only = world.mint(notification, CapRights::WRITE, 1);
    tap.equal(
        attach(manage_only, send_only),
        refused,
        "a sender cannot attach a notification",
    );
    tap.equal(
        attach(manage_only, notification),
        Ok(()),
        "the write right is enough to attach",
    );
    tap.equal(
        detach(manage_only, send_only),
        refused,
        "a sender cannot detach it",
    );
    signal(send_only);
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "a sender's signal arrives",
    );
    tap.equal(
        detach(manage_only, notification),
        Ok(()),
        "the write right is enough to detach",
    );
    let cap = core::mem::replace(&mut queue.cap, manage_only);
    let set = queue.resize(buffer);
    tap.equal(set, Ok(Collected::of(0, 1)), "and to set the buffer");
    queue.cap = cap;
    let grant_only = world.copy(queue.cap, CapRights::new(true, false, false));
    tap.equal(
        attach(grant_only, notification),
        refused,
        "the grant right is no right here",
    );
}

pub(super) fn wrong_capability(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let other = Queue::new(world);
    let wrong = [
        ("an empty slot", world.slots(1)),
        ("untyped memory", world.untyped(6)),
        ("a thread", world.make(ObjectType::Tcb)),
        ("an endpoint", world.make(ObjectType::Endpoint)),
        ("a CNode", world.cnode(2)),
        ("a frame", world.make(ObjectType::Frame)),
        ("a page table", world.make(ObjectType::PageTable)),
        ("interrupt control", CPtr::IRQ_CONTROL),
        ("an address space", CPtr::INIT_VSPACE),
        ("the queue itself", queue.cap),
        ("another queue", other.cap),
    ];
    let refused = Err(Error::InvalidCapability);
    for (name, cap) in wrong {
        tap.equal(queue.attach(cap, 1), refused, &join(name, "Attach"));
        tap.equal(queue.detach(cap), refused, &join(name, "Detach"));
    }
    tap.equal(queue.collect(), Collected::of(0, 0), "nothing happened");
}

/// `what`, given to `method`.
fn join(what: &str, method: &str) -> Text {
    let mut text = Text::default();
    for part in [method, " of ", what, " is refused"] {
        text.push(part);
    }
    text
}

/// A short text, made without an allocator.
#[derive(Default)]
struct Text {
    length: usize,
    bytes: [[u8; 32]; 2],
}

impl Text {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.as_flattened_mut().get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }
}

impl core::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        core::str::from_utf8(&self.bytes.as_flattened()[..self.length]).unwrap_or("?")
    }
}

pub(super) fn wrong_message(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let method = ["Attach", "Detach", "SetBuffer"];
    let labels = method.map(|name| {
        let mut text = Text::default();
        text.push("NotificationQueue");
        text.push(name);
        label(&text)
    });
    let truncated = Error::TruncatedMessage as Word;
    let illegal = Error::IllegalOperation as Word;
    let call = |label, caps: &[CPtr], words: &[Word]| invoke_raw(queue.cap, label, caps, words).0;

    tap.equal(
        call(labels[0], &[], &[1]),
        truncated,
        "Attach without a capability",
    );
    tap.equal(
        call(labels[0], &[notification], &[]),
        truncated,
        "Attach without a cookie",
    );
    tap.equal(
        call(labels[1], &[], &[]),
        truncated,
        "Detach without a capability",
    );
    tap.equal(
        call(labels[2], &[], &[]),
        truncated,
        "SetBuffer without a capability",
    );
    tap.equal(
        call(labels[0] - 1, &[notification], &[1]),
        illegal,
        "the label below",
    );
    tap.equal(
        call(labels[2] + 1, &[notification], &[1]),
        illegal,
        "the label above",
    );
    tap.equal(call(0, &[], &[]), illegal, "label 0");
    tap.equal(
        call(0xf_ffff, &[notification], &[1]),
        illegal,
        "the highest label",
    );
    let more = [5, 6, 7, 8, 9];
    tap.equal(
        call(labels[0], &[notification, notification], &more),
        0,
        "more than is needed is ignored",
    );
    signal(notification);
    tap.check(queue.buffer.has(0, [5]), "the first word is the cookie");
}

pub(super) fn wrong_buffer(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, 1).expect("attach");
    signal(notification);
    let frame = world.make(ObjectType::Frame);
    let wrong = [
        ("an empty slot", world.slots(1)),
        ("a notification", notification),
        ("a queue", queue.cap),
        ("a page table", world.make(ObjectType::PageTable)),
        ("a read-only frame", world.copy(frame, CapRights::READ)),
        ("a write-only frame", world.copy(frame, CapRights::WRITE)),
        ("a device", world.device_frame()),
    ];
    for (name, cap) in wrong {
        let set = set_buffer(queue.cap, cap).map(|_| ());
        tap.equal(set, Err(Error::InvalidCapability), &join(name, "a buffer"));
    }
    tap.equal(
        queue.collect(),
        Collected::of(1, 0),
        "a refusal does not collect",
    );
    let writable = world.copy(frame, CapRights::READ_WRITE);
    let set = set_buffer(queue.cap, writable);
    tap.equal(
        set,
        Ok(Collected::of(0, 1)),
        "a frame that nobody has mapped will do",
    );
}

pub(super) fn wrong_state(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    let notification = world.make(ObjectType::Notification);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    let refused = Err(Error::IllegalOperation);
    tap.equal(
        queue.detach(notification),
        refused,
        "Detach of what is not attached",
    );
    child.wait_for(notification);
    tap.equal(
        queue.attach(notification, 1),
        refused,
        "Attach of what is waited for",
    );
    child.suspend();
    tap.equal(child.bind(notification), Ok(()), "bind it instead");
    tap.equal(
        queue.attach(notification, 1),
        refused,
        "Attach of what is bound",
    );
    child.unbind();
    tap.equal(queue.attach(notification, 1), Ok(()), "Attach of neither");
    tap.equal(
        child.bind(notification),
        refused,
        "bind of what is attached",
    );

    let bare = world.make(ObjectType::NotificationQueue);
    let fresh = world.make(ObjectType::Notification);
    let attached = notification_queue_attach(bare, fresh, 1);
    tap.equal(
        attached,
        Err(Error::NotEnoughMemory),
        "Attach without a buffer",
    );
    signal(fresh);
    tap.equal(take(fresh), 0, "a notification without a badge has badge 0");
    delete(bare);
}

pub(super) fn send(world: &mut World, tap: &mut Tap) {
    let queue = Queue::new(world);
    signal(queue.cap);
    sel4_bindings::nb_signal(queue.cap);
    tap.equal(
        queue.collect(),
        Collected::of(0, 0),
        "nobody can add an entry by Send",
    );
    let notification = world.make(ObjectType::Notification);
    queue.attach(notification, 3).expect("attach");
    signal(notification);
    signal(queue.cap);
    tap.equal(queue.collect(), Collected::of(1, 0), "nor take one");
    // A label that needs no capability of the message: the reply is an error.
    let (error, _) = invoke_raw(queue.cap, 0, &[], &[]);
    tap.equal(error, Error::IllegalOperation as Word, "a Call says why");
}
