// SPDX-License-Identifier: BSD-2-Clause
//! Messages that are too short, too long, not calls, or of a thread that cannot
//! send capabilities.

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_bindings::fault::Fault;
use sel4_bindings::{
    CPtr, Error, MessageInfo, ObjectType, Word, call, invoke_raw, nb_recv, nb_send, set_cap, signal,
};

use super::calls::{Method, Outcome, TRUNCATED, invoke, wrong_cap};
use super::fixture::Fixture;
use crate::CHILD_PRIORITY;
use crate::child::{self, Child};
use crate::queue::{Collected, take};
use crate::tap::Tap;
use crate::world::World;

/// No slot of the root task's CNode.
const NOWHERE: CPtr = CPtr(1 << 40);

/// What a method makes of a message with so many capabilities and words.
fn expected(method: Method, caps: usize, words: usize) -> Outcome {
    if caps == 0 || (method == Method::Attach && words == 0) {
        TRUNCATED
    } else if method == Method::Detach {
        super::calls::ILLEGAL
    } else {
        Ok(())
    }
}

pub(super) fn truncated(world: &mut World, tap: &mut Tap) {
    let mut fixture = Fixture::new(world);
    let queue = fixture.queue;
    let notification = world.make(ObjectType::Notification);
    let argument = |method| match method {
        Method::SetBuffer => queue.buffer.frame,
        _ => notification,
    };
    for method in Method::ALL {
        for caps in 0..=3 {
            for words in [0, 1, 2, 4, 5, 119] {
                let label = method.label();
                let outcome = invoke(
                    queue.cap,
                    label,
                    &[argument(method); 3][..caps],
                    &[5; 119][..words],
                );
                let name = format_args!("{method} with {caps} capabilities and {words} words");
                tap.equal(outcome, expected(method, caps, words), name);
                let same = match (outcome, method) {
                    (Ok(()), Method::Attach) => {
                        queue.detach(notification).is_ok() && fixture.unchanged()
                    }
                    (Ok(()), Method::SetBuffer) => fixture.collected(),
                    _ => fixture.unchanged(),
                };
                tap.check(same, "and nothing else");
            }
        }
        let outcome = invoke(queue.cap, method.label(), &[CPtr::NULL], &[5]);
        let name = format_args!("{method} of capability 0");
        tap.equal(outcome, wrong_cap(1), name);
    }
    not_calls(world, tap, &mut fixture, notification);
    poor_callers(world, tap, &mut fixture);
}

/// Sends in the place of calls: done without a reply.
fn not_calls(world: &mut World, tap: &mut Tap, fixture: &mut Fixture, notification: CPtr) {
    let queue = fixture.queue;
    let sent = |method: Method, cap: CPtr, words| {
        set_cap(0, cap);
        nb_send(
            queue.cap,
            MessageInfo::new(method.label(), 1, words),
            [9; 4],
        );
    };
    sent(Method::Attach, notification, 0);
    tap.check(
        fixture.unchanged(),
        "a truncated Attach that is sent is nothing",
    );
    sent(Method::Attach, notification, 1);
    let attached = queue.attach(notification, 1);
    let refused = Err(Error::IllegalOperation);
    tap.equal(attached, refused, "Attach can be sent");
    sent(Method::Detach, notification, 0);
    tap.check(fixture.unchanged(), "Detach can be sent");
    sent(Method::SetBuffer, queue.buffer.frame, 0);
    tap.check(fixture.collected(), "SetBuffer can be sent: it collects");

    let other = world.make(ObjectType::Notification);
    queue.collect();
    let first = queue.buffer.tail();
    sent(Method::Attach, other, 1);
    signal(other);
    let found = (queue.collect(), queue.buffer.entry(first), take(other));
    let expected = (Collected::of(1, first), 9, 0);
    tap.equal(found, expected, "with the cookie that was sent");
    queue.detach(other).expect("detach");
    fixture.restart();
}

static ANSWER: AtomicU64 = AtomicU64::new(0);
static METHOD: AtomicU64 = AtomicU64::new(0);

/// Code of a child: names a capability that it cannot send, having no buffer for
/// its name.
extern "C" fn call_without_buffer(index: usize) -> ! {
    let info = MessageInfo::new(METHOD.load(Ordering::Relaxed), 1, 1);
    let reply = call(child::source(index), info, [5; 4]);
    ANSWER.store(reply.info.label(), Ordering::Relaxed);
    child::park(index)
}

/// Code of a child: names a capability that does not exist.
extern "C" fn call_with_nothing(index: usize) -> ! {
    let label = METHOD.load(Ordering::Relaxed);
    let (label, _) = invoke_raw(child::source(index), label, &[NOWHERE], &[5]);
    ANSWER.store(label, Ordering::Relaxed);
    child::park(index)
}

fn poor_callers(world: &mut World, tap: &mut Tap, fixture: &mut Fixture) {
    const UNANSWERED: Word = 99;
    let endpoint = world.make(ObjectType::Endpoint);
    let poor = Child::new(world, 0, CHILD_PRIORITY, endpoint);
    let rich = Child::new(world, 1, CHILD_PRIORITY, endpoint).with_message_buffer(world);
    for method in Method::ALL {
        METHOD.store(method.label(), Ordering::Relaxed);
        ANSWER.store(UNANSWERED, Ordering::Relaxed);
        poor.run(call_without_buffer, fixture.queue.cap);
        let answer = ANSWER.load(Ordering::Relaxed);
        let name = format_args!("{method} by a thread without a message buffer");
        tap.equal(answer, Error::TruncatedMessage as Word, name);
        tap.check(fixture.unchanged(), "and nothing else");

        ANSWER.store(UNANSWERED, Ordering::Relaxed);
        rich.run(call_with_nothing, fixture.queue.cap);
        let message = nb_recv(endpoint);
        let faulted = matches!(Fault::of(&message),
            Some(Fault::Capability { address, receiving: false, .. })
                if address == NOWHERE.index());
        rich.suspend();
        let found = (faulted, ANSWER.load(Ordering::Relaxed));
        let name = format_args!("{method} of a slot that is nowhere: the caller faults");
        tap.equal(found, (true, UNANSWERED), name);
        tap.check(fixture.unchanged(), "and nothing else");
    }
}
