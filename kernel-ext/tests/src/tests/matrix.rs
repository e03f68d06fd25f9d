// SPDX-License-Identifier: BSD-2-Clause
//! Every method against every kind of capability and every set of rights. After
//! each refusal queue, buffer and notifications are compared: nothing changed.

use sel4_bindings::fault::Fault;
use sel4_bindings::{
    CPtr, CapRights, Error, MessageInfo, ObjectType, Word, nb_recv, nb_send, nb_signal, set_cap,
    signal,
};

use super::calls::{ILLEGAL, Method, NO_MEMORY, Outcome, invoke, label, last_label, wrong_cap};
use super::fixture::Fixture;
use super::kinds::{Kind, Zoo};
use crate::CHILD_PRIORITY;
use crate::child::{self, Child, clear_log, logged};
use crate::queue::{Collected, Queue, take};
use crate::tap::Tap;
use crate::world::World;

/// Every set of rights: write, read, grant.
fn all_rights() -> impl Iterator<Item = (bool, bool, CapRights)> {
    (0..8).map(|bits| {
        let [write, read, grant] = [1, 2, 4].map(|bit| bits & bit != 0);
        (write, read, CapRights::new(grant, read, write))
    })
}

/// Letters for a set of rights.
fn letters(write: bool, read: bool) -> &'static str {
    match (read, write) {
        (false, false) => "no right",
        (false, true) => "write",
        (true, false) => "read",
        (true, true) => "read, write",
    }
}

/// Calls a method with each kind of capability for its argument.
fn each_argument(
    world: &mut World,
    tap: &mut Tap,
    method: Method,
    expected: fn(Kind) -> Outcome,
    undo: impl Fn(&mut Fixture, CPtr) -> bool,
) {
    let zoo = Zoo::new(world);
    let mut fixture = Fixture::new(world);
    let label = method.label();
    for (kind, cap) in zoo.iter() {
        let outcome = invoke(fixture.queue.cap, label, &[cap], &[5]);
        tap.equal(outcome, expected(kind), format_args!("{method} of {kind}"));
        let same = match outcome {
            Ok(()) => undo(&mut fixture, cap),
            Err(_) => fixture.unchanged(),
        };
        tap.check(
            same,
            format_args!("{method} of {kind} leaves all as it was"),
        );
        let there = world.is_occupied(cap);
        let expected = kind != Kind::Empty;
        tap.equal(there, expected, format_args!("{kind} stays in its slot"));
    }
}

pub(super) fn attach(world: &mut World, tap: &mut Tap) {
    let expected = |kind| match kind {
        Kind::Notification | Kind::NotificationBadged => Ok(()),
        Kind::Queue | Kind::QueueWaitOnly | Kind::Tcb => Ok(()),
        _ => wrong_cap(1),
    };
    each_argument(world, tap, Method::Attach, expected, |fixture, cap| {
        fixture.queue.detach(cap).is_ok() && fixture.unchanged()
    });
}

pub(super) fn detach(world: &mut World, tap: &mut Tap) {
    let expected = |kind| match kind {
        Kind::Notification | Kind::NotificationBadged => ILLEGAL,
        Kind::Queue | Kind::QueueWaitOnly | Kind::Tcb => ILLEGAL,
        _ => wrong_cap(1),
    };
    each_argument(world, tap, Method::Detach, expected, |_, _| false);
}

pub(super) fn set_buffer_kinds(world: &mut World, tap: &mut Tap) {
    let expected = |kind| match kind {
        Kind::Frame | Kind::LargeFrame => Ok(()),
        _ => wrong_cap(1),
    };
    each_argument(world, tap, Method::SetBuffer, expected, |fixture, _| {
        let (cap, label) = (fixture.queue.cap, Method::SetBuffer.label());
        invoke(cap, label, &[fixture.queue.buffer.frame], &[]).is_ok() && fixture.collected()
    });
}

pub(super) fn rights(world: &mut World, tap: &mut Tap) {
    let mut fixture = Fixture::new(world);
    let [queue, frame] = [fixture.queue.cap, fixture.queue.buffer.frame];
    let notification = world.make(ObjectType::Notification);
    for (manage, wait, queue_rights) in all_rights() {
        let cap = world.copy(queue, queue_rights);
        let mine = letters(manage, wait);
        for (write, read, rights) in all_rights() {
            let argument = world.copy(notification, rights);
            let frame = world.copy(frame, rights);
            let its = letters(write, read);
            let expected = |good: bool| match (manage, good) {
                (false, _) => wrong_cap(0),
                (true, false) => wrong_cap(1),
                (true, true) => Ok(()),
            };

            let outcome = invoke(cap, Method::Attach.label(), &[argument], &[5]);
            let name = format_args!("Attach: {its} by {mine}");
            tap.equal(outcome, expected(read), name);
            if outcome.is_ok() {
                fixture.queue.detach(notification).expect("detach");
            }
            tap.check(fixture.unchanged(), "and nothing else");

            fixture.queue.attach(notification, 6).expect("attach");
            let outcome = invoke(cap, Method::Detach.label(), &[argument], &[]);
            let name = format_args!("Detach: {its} by {mine}");
            tap.equal(outcome, expected(read), name);
            if outcome.is_err() {
                fixture.queue.detach(notification).expect("detach");
            }
            tap.check(fixture.unchanged(), "and nothing else");

            let outcome = invoke(cap, Method::SetBuffer.label(), &[frame], &[]);
            let name = format_args!("SetBuffer: {its} by {mine}");
            tap.equal(outcome, expected(read && write), name);
            let same = match outcome {
                Ok(()) => fixture.collected(),
                Err(_) => fixture.unchanged(),
            };
            tap.check(same, "and nothing else");
        }
    }
}

pub(super) fn receive_rights(world: &mut World, tap: &mut Tap) {
    let mut fixture = Fixture::new(world);
    let endpoint = world.make(ObjectType::Endpoint);
    let thread = Child::new(world, 0, CHILD_PRIORITY, endpoint).with_message_buffer(world);
    for (manage, read, rights) in all_rights() {
        let cap = world.copy(fixture.queue.cap, rights);
        let mine = letters(manage, read);
        for (name, code) in [
            ("Wait", child::receive_once as extern "C" fn(usize) -> !),
            ("Poll", child::collect),
        ] {
            clear_log();
            thread.run(code, cap);
            let message = nb_recv(endpoint);
            thread.suspend();
            let faulted = matches!(Fault::of(&message),
                Some(Fault::Capability { address, receiving: true, .. }) if address == cap.index());
            let found = (logged(), faulted);
            let expected = if read { (1, false) } else { (0, true) };
            tap.equal(found, expected, format_args!("{name} by {mine}"));
            let same = if read && name == "Poll" {
                fixture.collected()
            } else {
                fixture.unchanged()
            };
            tap.check(same, "and nothing else");
        }
        signal(cap);
        nb_signal(cap);
        let message = MessageInfo::new(0, 0, 2);
        nb_send(cap, message, [1; 4]);
        tap.check(fixture.unchanged(), format_args!("Send by {mine}: nothing"));
        let outcome = invoke(cap, 0, &[], &[1, 2]);
        tap.equal(outcome, ILLEGAL, format_args!("Call by {mine}"));
    }
}

pub(super) fn labels(world: &mut World, tap: &mut Tap) {
    let zoo = Zoo::new(world);
    let mut fixture = Fixture::new(world);
    let methods = Method::ALL.map(Method::label);
    let wait_only = world.copy(fixture.queue.cap, CapRights::READ);
    let edges = [0x7_ffff, 0xf_ffff];
    for (kind, cap) in zoo.iter() {
        let mut wrong = None;
        for queue in [fixture.queue.cap, wait_only] {
            for label in (0..last_label() + 4).chain(edges) {
                let outcome = invoke(queue, label, &[cap], &[5; 5]);
                if !methods.contains(&label) && outcome != ILLEGAL {
                    wrong = Some((label, outcome));
                }
                // The methods' own are for the other tests.
                if methods.contains(&label) && outcome.is_ok() {
                    undo(&mut fixture, label, cap);
                }
            }
        }
        let name = format_args!("no label but its own does anything with {kind}");
        tap.equal(wrong, None, name);
        tap.check(fixture.unchanged(), "and all is as it was");
    }
}

fn undo(fixture: &mut Fixture, label: Word, cap: CPtr) {
    if label == Method::Attach.label() {
        // The loop itself detaches it again.
    } else if label == Method::SetBuffer.label() {
        let frame = fixture.queue.buffer.frame;
        let _ = invoke(fixture.queue.cap, label, &[frame], &[]);
        fixture.collected();
    } else {
        let _ = fixture.queue.detach(cap);
    }
}

/// What comes of invoking a capability with the label of a queue's method.
fn invoked_outcome(kind: Kind, method: Method) -> Outcome {
    match kind {
        Kind::Empty | Kind::NotificationWithoutRights => wrong_cap(0),
        // To these any call is a signal.
        Kind::Notification | Kind::NotificationBadged | Kind::NotificationSendOnly => Ok(()),
        Kind::Queue | Kind::QueueManageOnly => match method {
            Method::Attach => NO_MEMORY,
            Method::Detach => ILLEGAL,
            Method::SetBuffer => Ok(()),
        },
        Kind::QueueWaitOnly | Kind::QueueWithoutRights => wrong_cap(0),
        // It looks for the CNode in its message before it looks at the label.
        Kind::IrqControl => Err((Error::FailedLookup, 0)),
        _ => ILLEGAL,
    }
}

pub(super) fn invoked(world: &mut World, tap: &mut Tap) {
    let mut fixture = Fixture::new(world);
    let notification = world.make(ObjectType::Notification);
    let frame = world.make(ObjectType::Frame);
    for method in Method::ALL {
        let zoo = Zoo::new(world);
        let argument = match method {
            Method::SetBuffer => frame,
            _ => notification,
        };
        for (kind, cap) in zoo.iter() {
            let name = format_args!("{method} of {kind}");
            if matches!(kind, Kind::Endpoint | Kind::Reply) {
                // A message, not an invocation; a call would block.
                set_cap(0, argument);
                nb_send(cap, MessageInfo::new(method.label(), 1, 1), [5; 4]);
                let expected = kind == Kind::Reply;
                tap.equal(zoo.caller_is_answered(), expected, name);
            } else {
                let outcome = invoke(cap, method.label(), &[argument], &[5; 8]);
                tap.equal(outcome, invoked_outcome(kind, method), name);
            }
            if kind == Kind::Notification || kind == Kind::NotificationBadged {
                let badge = if kind == Kind::Notification { 0 } else { 0x77 };
                tap.equal(take(cap), badge, "it is a signal");
            }
            let untouched = fixture.queue.detach(notification) == Err(Error::IllegalOperation);
            tap.check(untouched && fixture.unchanged(), "and nothing else");
        }
    }
}

pub(super) fn bind(world: &mut World, tap: &mut Tap) {
    let zoo = Zoo::new(world);
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    let mut fixture = Fixture::new(world);
    let bind = label("TCBBindNotification");
    let unbind = label("TCBUnbindNotification");
    let bound = world.make(ObjectType::Notification);
    for (kind, cap) in zoo.iter() {
        let good = matches!(
            kind,
            Kind::Notification | Kind::NotificationBadged | Kind::Queue | Kind::QueueWaitOnly
        );
        let expected = if good { Ok(()) } else { ILLEGAL };
        let outcome = invoke(child.tcb, bind, &[cap], &[]);
        tap.equal(outcome, expected, format_args!("bind of {kind}"));
        let outcome = invoke(child.tcb, unbind, &[], &[]);
        tap.equal(outcome, expected, "unbind undoes it, if there is something");
        child.bind(bound).expect("bind");
        let outcome = invoke(child.tcb, bind, &[cap], &[]);
        tap.equal(outcome, ILLEGAL, format_args!("a second bind, of {kind}"));
        child.unbind();
        tap.check(fixture.unchanged(), "and nothing else");
    }
}

pub(super) fn as_argument(world: &mut World, tap: &mut Tap) {
    use sel4_bindings as s;
    let zoo = Zoo::new(world);
    let mut fixture = Fixture::new(world);
    let queue = fixture.queue.cap;
    let child = Child::new(world, 0, CHILD_PRIORITY, CPtr::NULL);
    let [frame, table, directory, pdpt, pml4, handler, untyped] = [
        Kind::Frame,
        Kind::PageTable,
        Kind::PageDirectory,
        Kind::Pdpt,
        Kind::Pml4,
        Kind::IrqHandler,
        Kind::Untyped,
    ]
    .map(|kind| zoo.cap(kind));
    let slot = world.slots(1);
    let (index, depth) = (slot.index(), crate::world::DEPTH);
    let (root, vspace) = (CPtr::INIT_CNODE, CPtr::INIT_VSPACE);
    let none = s::CapData::NONE;
    let cached = s::VmAttributes::WRITE_BACK;
    let address = 0x30_0000_0000;
    let notification = ObjectType::Notification.number();
    use Error::{FailedLookup, IllegalOperation, InvalidCapability};
    let cases = [
        (
            "CSpace of a thread",
            s::tcb_set_space(child.tcb, 0, queue, none, vspace, none),
            IllegalOperation,
        ),
        (
            "address space of a thread",
            s::tcb_set_space(child.tcb, 0, root, none, queue, none),
            IllegalOperation,
        ),
        (
            "message buffer",
            s::tcb_set_ipc_buffer(child.tcb, address, queue),
            IllegalOperation,
        ),
        (
            "thread whose registers are copied",
            s::tcb_copy_registers(child.tcb, queue, false, false, false, false, 0),
            InvalidCapability,
        ),
        (
            "thread of a domain",
            s::domain_set_set(CPtr::DOMAIN, 0, queue),
            s::Error::InvalidArgument,
        ),
        (
            "notification of an interrupt",
            s::irq_handler_set_notification(handler, queue),
            InvalidCapability,
        ),
        (
            "CNode of a retype",
            s::untyped_retype(untyped, notification, 0, queue, 0, 0, index, 1),
            FailedLookup,
        ),
        (
            "source CNode of a copy",
            s::cnode_copy(root, index, depth, queue, index, depth, CapRights::ALL),
            FailedLookup,
        ),
        (
            "CNode of an interrupt's handler",
            s::irq_control_get_ioapic(
                CPtr::IRQ_CONTROL,
                queue,
                index,
                depth.into(),
                0,
                6,
                0,
                0,
                21,
            ),
            FailedLookup,
        ),
        (
            "badged sends that are cancelled",
            s::cnode_cancel_badged_sends(root, queue.index(), depth),
            IllegalOperation,
        ),
        (
            "address space of a page",
            s::x86_page_map(frame, queue, address, CapRights::ALL, cached),
            InvalidCapability,
        ),
        (
            "address space of a page table",
            s::x86_page_table_map(table, queue, address, cached),
            InvalidCapability,
        ),
        (
            "address space of a page directory",
            s::x86_page_directory_map(directory, queue, address, cached),
            InvalidCapability,
        ),
        (
            "address space of a PDPT",
            s::x86_pdpt_map(pdpt, queue, address, cached),
            InvalidCapability,
        ),
        (
            "memory of an ASID pool",
            s::x86_asid_control_make_pool(CPtr::ASID_CONTROL, queue, root, index, depth),
            InvalidCapability,
        ),
        (
            "address space of an ASID",
            s::x86_asid_pool_assign(CPtr::INIT_ASID_POOL, queue),
            InvalidCapability,
        ),
    ];
    for (name, outcome, expected) in cases {
        tap.equal(outcome, Err(expected), format_args!("not for the {name}"));
    }
    tap.check(!world.is_occupied(slot), "nothing was made");
    tap.check(world.is_occupied(pml4), "nothing was lost");
    tap.check(fixture.unchanged(), "the queue is as it was");
    let plain = Queue::new(world);
    let state = (plain.collect(), plain.buffer.tail());
    tap.equal(state, (Collected::of(0, 0), 0), "others, too");
}
