// SPDX-License-Identifier: BSD-2-Clause
//! The model's operations on the kernel.

use sel4_bindings::{
    CPtr, CapData, CapRights, Error, ObjectType, Word, cnode_copy, cnode_delete, cnode_mint,
    cnode_revoke, get_mr, nb_recv, notification_queue_attach, notification_queue_detach,
    notification_queue_set_buffer, poll, signal, tcb_resume, tcb_set_priority, tcb_suspend,
};

use super::calls::{Method, Outcome, invoke, label};
use crate::child;
use crate::model::{
    Answer, Call, CapSlot, Command, FILLERS, FRAMES, LARGE, LARGE_WINDOW, NOTIFICATIONS, Op,
    QUEUES, Source, THREADS, UNHANDLED, badge,
};
use crate::queue::Buffer;
use crate::world::{DEPTH, World, nth, retype};
use crate::{CHILD_PRIORITY, OWN_PRIORITY};

/// Capabilities that an object can have.
const SLOTS: usize = 4;
/// Below the test's own priority, one for each thread that is to be let.
const LOWER: u8 = 100;
const ROOT: CPtr = CPtr::INIT_CNODE;

/// Objects that are made and unmade again and again, each in memory of its own.
pub(super) struct Rig {
    notification_memory: CPtr,
    notifications: CPtr,
    queue_memory: CPtr,
    queues: CPtr,
    thread_memory: CPtr,
    threads: CPtr,
    buffers: [Buffer; FRAMES],
    read_only: CPtr,
    fillers: CPtr,
    endpoint: CPtr,
    fault_endpoint: CPtr,
    fault_caps: CPtr,
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Ok(()) => Answer::Done,
        Err((error, number)) => Answer::Refused(error, number),
    }
}

fn plain(result: Result<(), Error>) -> Answer {
    answer(result.map_err(|error| (error, 0)))
}

/// Rights and badge of one of an object's capabilities.
fn rights(slot: CapSlot) -> CapRights {
    match slot {
        CapSlot::Original | CapSlot::Copy => CapRights::ALL,
        CapSlot::First => CapRights::READ,
        CapSlot::Second => CapRights::WRITE,
    }
}

fn delete(slot: CPtr) -> Answer {
    plain(cnode_delete(ROOT, slot.index(), DEPTH))
}

fn revoke(slot: CPtr) -> Answer {
    plain(cnode_revoke(ROOT, slot.index(), DEPTH))
}

fn received(cap: CPtr) -> Answer {
    let message = poll(cap);
    let word = (message.info.length() > 0).then_some(message.mrs[0]);
    Answer::Message(message.badge, word)
}

impl Rig {
    pub(super) fn new(world: &mut World) -> Rig {
        let memory = |world: &mut World, object: ObjectType, count| {
            let first = world.slots(count);
            let bits = object.size_bits();
            let all = world.memory();
            retype(all, ObjectType::Untyped, bits, first, count).expect("no memory");
            first
        };
        let fault_endpoint = world.make(ObjectType::Endpoint);
        let buffers = core::array::from_fn(|frame| match frame {
            LARGE => Buffer::large(world),
            _ => Buffer::small(world),
        });
        let fault_caps = world.slots(THREADS);
        for t in 0..THREADS {
            let badge = 1 + t as Word;
            let slot = nth(fault_caps, t);
            let made = world.try_mint(slot, fault_endpoint, CapRights::ALL, badge);
            made.expect("no capability for faults");
        }
        let rig = Rig {
            notification_memory: memory(world, ObjectType::Notification, NOTIFICATIONS),
            notifications: world.slots(NOTIFICATIONS * SLOTS),
            queue_memory: memory(world, ObjectType::NotificationQueue, QUEUES),
            queues: world.slots(QUEUES * SLOTS),
            thread_memory: memory(world, ObjectType::Tcb, THREADS),
            threads: world.slots(THREADS),
            buffers,
            read_only: world.slots(FRAMES),
            fillers: world.make_many(ObjectType::Notification, FILLERS),
            endpoint: world.make(ObjectType::Endpoint),
            fault_endpoint,
            fault_caps,
        };
        (0..FRAMES as u8).for_each(|frame| rig.make_read_only(frame));
        rig
    }

    /// Back to nothing, whatever there is.
    pub(super) fn reset(&self) {
        for (memory, count) in [
            (self.thread_memory, THREADS),
            (self.queue_memory, QUEUES),
            (self.notification_memory, NOTIFICATIONS),
        ] {
            (0..count).for_each(|i| _ = revoke(nth(memory, i)));
        }
        (0..FILLERS).for_each(|i| _ = poll(nth(self.fillers, i)));
        for (frame, buffer) in self.buffers.iter().enumerate() {
            buffer.clear(words(frame));
        }
        let _ = self.faults();
        child::clear_log();
    }

    fn notification(&self, n: u8, slot: CapSlot) -> CPtr {
        nth(self.notifications, usize::from(n) * SLOTS + slot as usize)
    }

    fn queue(&self, q: u8, slot: CapSlot) -> CPtr {
        nth(self.queues, usize::from(q) * SLOTS + slot as usize)
    }

    fn thread(&self, t: u8) -> CPtr {
        nth(self.threads, t.into())
    }

    fn source(&self, source: Source) -> CPtr {
        match source {
            Source::Notification(n, slot) => self.notification(n, slot),
            Source::Queue(q, slot) => self.queue(q, slot),
            Source::Endpoint => self.endpoint,
        }
    }

    fn make_read_only(&self, frame: u8) {
        let to = nth(self.read_only, frame.into()).index();
        let from = self.buffers[usize::from(frame)].frame.index();
        cnode_copy(ROOT, to, DEPTH, ROOT, from, DEPTH, CapRights::READ)
            .expect("cannot copy a frame's capability");
    }

    /// Word of a frame, as it is now.
    pub(super) fn word(&self, frame: usize, index: usize) -> Word {
        self.buffers[frame].word(index)
    }

    /// Which threads have faulted since the last time; they are stopped.
    pub(super) fn faults(&self) -> [bool; THREADS] {
        let mut faulted = [false; THREADS];
        loop {
            let badge = nb_recv(self.fault_endpoint).badge as usize;
            let Some(t) = badge.checked_sub(1) else {
                return faulted;
            };
            faulted[t] = true;
            let _ = tcb_suspend(self.thread(t as u8));
        }
    }

    /// Carries out an operation; `fill` is what the model says is filled.
    pub(super) fn apply(&self, op: Op, fill: Option<(u8, usize)>) -> Answer {
        match op {
            Op::Signal(n, slot) => {
                signal(self.notification(n, slot));
                Answer::Done
            }
            Op::Rounds(_) => unreachable!("rounds consist of other operations"),
            Op::Take(n, slot) => received(self.notification(n, slot)),
            Op::Collect(q, slot) => received(self.queue(q, slot)),
            Op::Attach(q, by, n, slot, cookie) => {
                let (queue, notification) = (self.queue(q, by), self.notification(n, slot));
                let label = Method::Attach.label();
                answer(invoke(queue, label, &[notification], &[cookie.into()]))
            }
            Op::Detach(q, by, n, slot) => {
                let (queue, notification) = (self.queue(q, by), self.notification(n, slot));
                answer(invoke(queue, Method::Detach.label(), &[notification], &[]))
            }
            Op::Nest(q, by, inner, slot, cookie) => {
                let (queue, inner) = (self.queue(q, by), self.queue(inner, slot));
                answer(invoke(
                    queue,
                    Method::Attach.label(),
                    &[inner],
                    &[cookie.into()],
                ))
            }
            Op::Unnest(q, by, inner, slot) => {
                let (queue, inner) = (self.queue(q, by), self.queue(inner, slot));
                answer(invoke(queue, Method::Detach.label(), &[inner], &[]))
            }
            Op::AttachThread(q, by, t, cookie) => {
                let (queue, thread) = (self.queue(q, by), self.thread(t));
                answer(invoke(
                    queue,
                    Method::Attach.label(),
                    &[thread],
                    &[cookie.into()],
                ))
            }
            Op::DetachThread(q, by, t) => {
                let (queue, thread) = (self.queue(q, by), self.thread(t));
                answer(invoke(queue, Method::Detach.label(), &[thread], &[]))
            }
            Op::SetBuffer(q, by, frame, writable) => self.set_buffer(q, by, frame, writable),
            Op::Fill(q, spare) => self.fill(q, FILLERS - usize::from(spare)),
            Op::Empty => self.empty(fill),
            Op::Start(t, command) => self.start(t, command),
            Op::Suspend(t) => answer(invoke(self.thread(t), label("TCBSuspend"), &[], &[])),
            Op::Resume(t) => plain(tcb_resume(self.thread(t))),
            Op::Run => {
                for priority in [LOWER - 1, OWN_PRIORITY] {
                    tcb_set_priority(CPtr::INIT_TCB, priority).expect("own priority");
                }
                Answer::Done
            }
            Op::Bind(t, source) => {
                let cap = self.source(source);
                let label = label("TCBBindNotification");
                answer(invoke(self.thread(t), label, &[cap], &[]))
            }
            Op::Unbind(t) => {
                let label = label("TCBUnbindNotification");
                answer(invoke(self.thread(t), label, &[], &[]))
            }
            Op::MakeThread(t) => self.make_thread(t),
            Op::DeleteThread(t) => delete(self.thread(t)),
            _ => self.apply_to_caps(op),
        }
    }

    fn apply_to_caps(&self, op: Op) -> Answer {
        match op {
            Op::MakeNotification(n) => {
                let slot = self.notification(n, CapSlot::Original);
                let memory = nth(self.notification_memory, n.into());
                plain(retype(memory, ObjectType::Notification, 0, slot, 1))
            }
            Op::MakeQueue(q) => {
                let slot = self.queue(q, CapSlot::Original);
                let memory = nth(self.queue_memory, q.into());
                plain(retype(memory, ObjectType::NotificationQueue, 0, slot, 1))
            }
            Op::CopyNotification(n, slot) => {
                let from = self.notification(n, CapSlot::Original).index();
                let to = self.notification(n, slot).index();
                let badge = CapData(badge(n.into(), slot));
                plain(cnode_mint(
                    ROOT,
                    to,
                    DEPTH,
                    ROOT,
                    from,
                    DEPTH,
                    rights(slot),
                    badge,
                ))
            }
            Op::CopyQueue(q, slot) => {
                let from = self.queue(q, CapSlot::Original).index();
                let to = self.queue(q, slot).index();
                plain(cnode_copy(ROOT, to, DEPTH, ROOT, from, DEPTH, rights(slot)))
            }
            Op::DeleteNotification(n, slot) => delete(self.notification(n, slot)),
            Op::RevokeNotification(n) => revoke(self.notification(n, CapSlot::Original)),
            Op::WipeNotification(n) => revoke(nth(self.notification_memory, n.into())),
            Op::DeleteQueue(q, slot) => delete(self.queue(q, slot)),
            Op::RevokeQueue(q) => revoke(self.queue(q, CapSlot::Original)),
            Op::WipeQueue(q) => revoke(nth(self.queue_memory, q.into())),
            Op::RevokeFrame(frame) => {
                let done = revoke(self.buffers[usize::from(frame)].frame);
                self.make_read_only(frame);
                done
            }
            _ => unreachable!("not about capabilities: {op:?}"),
        }
    }

    fn set_buffer(&self, q: u8, by: CapSlot, frame: u8, writable: bool) -> Answer {
        let cap = if writable {
            self.buffers[usize::from(frame)].frame
        } else {
            nth(self.read_only, frame.into())
        };
        match notification_queue_set_buffer(self.queue(q, by), cap) {
            Ok(reply) => {
                let word = (reply.info.length() > 0).then_some(reply.mrs[0]);
                Answer::Message(reply.badge, word)
            }
            Err(Error::InvalidCapability) => Answer::Refused(Error::InvalidCapability, get_mr(0)),
            Err(error) => Answer::Refused(error, 0),
        }
    }

    fn fill(&self, q: u8, wanted: usize) -> Answer {
        let queue = self.queue(q, CapSlot::Original);
        for count in 0..wanted {
            let filler = nth(self.fillers, count);
            match notification_queue_attach(queue, filler, 0xf111) {
                Ok(()) => {}
                Err(Error::NotEnoughMemory) => return Answer::Steps(count as Word),
                Err(error) => return Answer::Refused(error, 0),
            }
        }
        Answer::Steps(wanted as Word)
    }

    /// Detaches the first `count` of what [`Op::Fill`] attached.
    fn empty(&self, fill: Option<(u8, usize)>) -> Answer {
        let Some((q, count)) = fill else {
            return Answer::Skipped;
        };
        let queue = self.queue(q, CapSlot::Original);
        let detach = |i| notification_queue_detach(queue, nth(self.fillers, i));
        let done = (0..count).filter(|i| detach(*i).is_ok()).count();
        Answer::Steps(done as Word)
    }

    fn start(&self, t: u8, command: Command) -> Answer {
        let code = match command.call {
            Call::Wait => child::receive_once,
            Call::Poll => child::collect,
        };
        let (tcb, source) = (self.thread(t), self.source(command.source));
        tcb_suspend(tcb).expect("cannot suspend a thread");
        child::start(tcb, t.into(), code, source);
        Answer::Done
    }

    fn make_thread(&self, t: u8) -> Answer {
        let (memory, slot) = (nth(self.thread_memory, t.into()), self.thread(t));
        if let Err(error) = retype(memory, ObjectType::Tcb, 0, slot, 1) {
            return Answer::Refused(error, 0);
        }
        let t = usize::from(t);
        let priority = if t < THREADS / 2 {
            CHILD_PRIORITY
        } else {
            LOWER + (THREADS - t) as u8
        };
        let handler = match t {
            UNHANDLED => CPtr::NULL,
            _ => nth(self.fault_caps, t),
        };
        child::configure(slot, priority, handler);
        Answer::Done
    }
}

/// Words of a frame that are compared.
pub(super) fn words(frame: usize) -> usize {
    match frame {
        LARGE => LARGE_WINDOW,
        _ => 512,
    }
}
