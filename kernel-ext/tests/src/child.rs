// SPDX-License-Identifier: BSD-2-Clause
//! Helper threads in the test's own address space, and the log of what they
//! received.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use sel4_bindings::{
    CPtr, CapData, Message, ObjectType, PrioProps, UserContext, Word, poll, tcb_bind_notification,
    tcb_configure, tcb_resume, tcb_set_ipc_buffer, tcb_suspend, tcb_unbind_notification,
    tcb_write_registers, wait,
};

use crate::queue::Words;
use crate::world::{World, delete};

/// How many there can be at once.
pub const CHILDREN: usize = 4;
const STACK: usize = 16 << 10;
const LOG: usize = 64;

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK]>);

// SAFETY: only ever used as the stack of the one thread with its index.
unsafe impl Sync for Stack {}

static STACKS: [Stack; CHILDREN] = [const { Stack(UnsafeCell::new([0; STACK])) }; CHILDREN];

/// What each child waits for, how often, and which thread it is.
static SOURCES: [AtomicUsize; CHILDREN] = [const { AtomicUsize::new(0) }; CHILDREN];
static TURNS: [AtomicUsize; CHILDREN] = [const { AtomicUsize::new(0) }; CHILDREN];
static PARKED: [AtomicBool; CHILDREN] = [const { AtomicBool::new(false) }; CHILDREN];
static THREADS: [AtomicUsize; CHILDREN] = [const { AtomicUsize::new(0) }; CHILDREN];

/// One message that a child received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Index of the child.
    pub by: usize,
    /// The badge.
    pub badge: Word,
    /// Its words.
    pub words: Words,
}

struct Record {
    by: AtomicUsize,
    badge: AtomicU64,
    length: AtomicUsize,
    words: [AtomicU64; 2],
}

static RECORDS: [Record; LOG] = [const {
    Record {
        by: AtomicUsize::new(0),
        badge: AtomicU64::new(0),
        length: AtomicUsize::new(0),
        words: [const { AtomicU64::new(0) }; 2],
    }
}; LOG];
static LOGGED: AtomicUsize = AtomicUsize::new(0);

// One core: a thread sees what another wrote before it was switched away from.
const ORDER: Ordering = Ordering::Relaxed;

/// Forgets what was received.
pub fn clear_log() {
    LOGGED.store(0, ORDER);
}

/// How many messages were received since the log was cleared.
pub fn logged() -> usize {
    LOGGED.load(ORDER)
}

/// Message number `index` since the log was cleared.
pub fn log(index: usize) -> Option<Received> {
    let record = RECORDS[..logged().min(LOG)].get(index)?;
    Some(Received {
        by: record.by.load(ORDER),
        badge: record.badge.load(ORDER),
        words: core::array::from_fn(|i| {
            (record.length.load(ORDER) > i).then(|| record.words[i].load(ORDER))
        }),
    })
}

/// Adds a message to the log. Called with children of one priority only, none
/// of which is pre-empted in here by another.
pub fn note(by: usize, message: &Message) {
    if let Some(record) = RECORDS.get(LOGGED.fetch_add(1, ORDER)) {
        record.by.store(by, ORDER);
        record.badge.store(message.badge, ORDER);
        record.length.store(message.info.length(), ORDER);
        for (word, mr) in record.words.iter().zip(message.mrs) {
            word.store(mr, ORDER);
        }
    }
}

/// Code of a child: waits for its source, as often as it is told.
pub extern "C" fn receive(index: usize) -> ! {
    for _ in 0..TURNS[index].load(ORDER) {
        let message = wait(source(index));
        note(index, &message);
    }
    park(index)
}

/// Code of a child: polls its source, once.
pub extern "C" fn collect(index: usize) -> ! {
    let message = poll(source(index));
    note(index, &message);
    park(index)
}

/// Code of a child: waits for its source, once.
pub extern "C" fn receive_once(index: usize) -> ! {
    let message = wait(source(index));
    note(index, &message);
    park(index)
}

/// The end of a child's code.
pub fn park(index: usize) -> ! {
    loop {
        PARKED[index].store(true, ORDER);
        // It goes on here only if somebody resumes it.
        let _ = tcb_suspend(CPtr(THREADS[index].load(ORDER)));
    }
}

/// What a child waits for, as it runs.
pub fn source(index: usize) -> CPtr {
    CPtr(SOURCES[index].load(ORDER))
}

/// Gives a thread this address space and all capabilities. Faults go to
/// `fault_endpoint`; with `CPtr::NULL` the thread stops.
pub fn configure(tcb: CPtr, priority: u8, fault_endpoint: CPtr) {
    let priority = PrioProps {
        priority,
        max_controlled: 0,
    };
    let configured = tcb_configure(
        tcb,
        fault_endpoint.index(),
        priority,
        CPtr::INIT_CNODE,
        CapData::NONE,
        CPtr::INIT_VSPACE,
        CapData::NONE,
        0,
        // There must be a capability, though address 0 says that none is used.
        CPtr::INIT_VSPACE,
    );
    configured.expect("cannot configure a thread");
}

/// Starts a thread with any code, which gets the index.
pub fn start(tcb: CPtr, index: usize, code: extern "C" fn(usize) -> !, source: CPtr) {
    SOURCES[index].store(source.0, ORDER);
    PARKED[index].store(false, ORDER);
    THREADS[index].store(tcb.0, ORDER);
    let stack = STACKS[index].0.get() as usize + STACK;
    let context = UserContext {
        rip: code as *const () as Word,
        // As after a call: 8 bytes below a multiple of 16.
        rsp: stack as Word - 8,
        rdi: index as Word,
        rflags: 0x202,
        ..UserContext::default()
    };
    tcb_write_registers(tcb, true, 0, UserContext::COUNT, &context).expect("cannot start a thread");
}

/// A helper thread. It is deleted when this is dropped.
pub struct Child {
    /// The thread.
    pub tcb: CPtr,
    index: usize,
    deleted: bool,
}

impl Child {
    /// A thread that does not run yet. Faults go to `fault_endpoint`; with
    /// `CPtr::NULL` the thread stops.
    pub fn new(world: &mut World, index: usize, priority: u8, fault_endpoint: CPtr) -> Child {
        assert!(index < CHILDREN);
        let tcb = world.make(ObjectType::Tcb);
        configure(tcb, priority, fault_endpoint);
        Child {
            tcb,
            index,
            deleted: false,
        }
    }

    /// Gives it a message buffer: for invocations, and for fault messages.
    pub fn with_message_buffer(self, world: &mut World) -> Child {
        let frame = world.make(ObjectType::Frame);
        let address = world.map(frame);
        tcb_set_ipc_buffer(self.tcb, address as Word, frame).expect("no message buffer");
        self
    }

    /// Starts it, or starts it again: it waits for `source` and logs what it
    /// receives, for ever.
    pub fn wait_for(&self, source: CPtr) {
        self.receive(source, usize::MAX);
    }

    /// Starts it: it waits for `source` so many times and logs what it receives.
    pub fn receive(&self, source: CPtr, turns: usize) {
        TURNS[self.index].store(turns, ORDER);
        self.run(receive, source);
    }

    /// Starts it with any code, which gets the child's index.
    pub fn run(&self, code: extern "C" fn(usize) -> !, source: CPtr) {
        start(self.tcb, self.index, code, source);
    }

    /// Whether it has come to the end of its code.
    pub fn is_parked(&self) -> bool {
        PARKED[self.index].load(ORDER)
    }

    /// Stops it.
    pub fn suspend(&self) {
        tcb_suspend(self.tcb).expect("cannot suspend a thread");
    }

    /// Lets it go on where it was stopped.
    pub fn resume(&self) {
        tcb_resume(self.tcb).expect("cannot resume a thread");
    }

    /// Binds a notification or queue to it.
    pub fn bind(&self, notification: CPtr) -> Result<(), sel4_bindings::Error> {
        tcb_bind_notification(self.tcb, notification)
    }

    /// Undoes that.
    pub fn unbind(&self) {
        tcb_unbind_notification(self.tcb).expect("nothing is bound");
    }

    /// Deletes it now.
    pub fn delete(mut self) {
        delete(self.tcb);
        self.deleted = true;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.deleted {
            delete(self.tcb);
        }
    }
}
