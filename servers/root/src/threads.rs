// SPDX-License-Identifier: BSD-2-Clause
//! Threads of a process: SET_TLS, SET_TIMER, THREAD_START, THREAD_END.
//!
//! A thread that ends is suspended and kept, with its notification and its pages, for the next one that the process starts: objects of an
//! arena end together. So a process has never more of them than it had threads at a time.

use alloc::collections::BTreeMap;

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::lock::MAX_THREADS;
use vfs_hooks::process::{self, LAST_STACK, PAGE, notice};
use vfs_hooks::sync::Ordering;
use vfs_hooks::thread::{THREAD_STATE, ThreadState, thread_state};

use crate::arena::Arena;
use crate::memory::Memory;
use crate::objects::{Objects, Result};
use crate::process::Process;

/// Word of an IPC buffer that holds the thread's number (`userData` of seL4_IPCBuffer).
const USER_DATA: usize = 121;

/// A notification that the root server signals for two reasons.
#[derive(Clone, Copy)]
pub struct Notification {
    /// Unbadged.
    pub whole: CPtr,
    /// To signal [`notice::TIMER`].
    timer: CPtr,
    /// To signal [`notice::KICK`].
    kick: CPtr,
}

impl Notification {
    /// A new one.
    pub fn new(objects: &mut Objects, arena: &mut Arena) -> Result<Notification> {
        let whole = objects.object_in(arena, ObjectType::Notification)?;
        let mut badged = |badge: u64| {
            let badge = CapData::notification(badge);
            objects.mint_in(arena, whole, CapRights::WRITE, badge)
        };
        Ok(Notification {
            whole,
            timer: badged(notice::TIMER)?,
            kick: badged(notice::KICK)?,
        })
    }

    /// Forgets what it was signalled.
    pub fn forget(&self) {
        let _ = nb_recv(self.whole);
    }

    /// Signals [`notice::KICK`].
    pub fn kick(&self) {
        signal(self.kick);
    }
}

/// A thread.
pub struct Thread {
    /// Its TCB.
    pub tcb: CPtr,
    /// Its own notification, bound to it.
    pub notification: Notification,
    /// Its state, as the root server sees it.
    state: usize,
    /// CLOCK_MONOTONIC nanoseconds at which to signal it.
    deadline: Option<u64>,
    /// It has not ended.
    runs: bool,
    /// It waits for its stopped process to go on.
    rests: bool,
}

impl Thread {
    /// A new one, without settings.
    pub fn new(tcb: CPtr, notification: Notification, state: usize) -> Thread {
        Thread {
            tcb,
            notification,
            state,
            deadline: None,
            runs: true,
            rests: false,
        }
    }
}

/// Writes the first contents of the page of a thread's IPC buffer, which holds zeroes otherwise.
pub fn write_message_page(memory: &mut Memory, frame: CPtr, number: usize) -> Result<()> {
    memory.with(frame, |bytes| {
        bytes[USER_DATA * 8..][..8].copy_from_slice(&number.to_le_bytes());
        // The state's first word.
        let own = thread_state(number).to_le_bytes();
        bytes[THREAD_STATE..][..own.len()].copy_from_slice(&own);
    })
}

/// A new frame for the page of a thread's IPC buffer, and where the root server sees its [`ThreadState`].
pub fn message_page(memory: &mut Memory, number: usize) -> Result<(CPtr, usize)> {
    let frame = memory.frame()?;
    let written = write_message_page(memory, frame, number);
    match written.and_then(|()| memory.lens(frame)) {
        Ok(at) => Ok((frame, at + THREAD_STATE)),
        Err(error) => {
            memory.free(frame);
            Err(error)
        }
    }
}

impl Thread {
    /// What it and its process say of it: hints, of which each can be a lie.
    pub fn state(&self) -> &ThreadState {
        // SAFETY: the view is mapped while the process lives, which has this thread; any bytes are a ThreadState, which consists of atomics.
        unsafe { &*(self.state as *const ThreadState) }
    }
}

/// The threads of a process.
pub struct Threads {
    /// Number 0.
    pub first: Thread,
    others: BTreeMap<usize, Thread>,
    /// CNode of what the others have, once there is one.
    pub cnode: Option<CPtr>,
}

impl Threads {
    /// Of a process with one.
    pub fn new(first: Thread) -> Threads {
        Threads {
            first,
            others: BTreeMap::new(),
            cnode: None,
        }
    }

    /// Whether there never was another one.
    pub fn is_single(&self) -> bool {
        self.others.is_empty() && self.cnode.is_none()
    }

    /// The thread with this number.
    pub fn get(&self, number: usize) -> Option<&Thread> {
        match number {
            0 => Some(&self.first),
            _ => self.others.get(&number),
        }
    }

    /// Those that have not ended, with their numbers.
    pub fn running(&self) -> impl Iterator<Item = (usize, &Thread)> {
        let others = self.others.iter().map(|(number, thread)| (*number, thread));
        let all = core::iter::once((0, &self.first)).chain(others);
        all.filter(|(_, thread)| thread.runs)
    }

    /// A thread rests.
    pub fn set_resting(&mut self, number: usize) {
        if let Some(thread) = self.get_mut(number) {
            thread.rests = true;
        }
    }

    /// Whether all rest.
    pub fn all_rest(&self) -> bool {
        self.running().all(|(_, thread)| thread.rests)
    }

    /// None rests any longer.
    pub fn clear_resting(&mut self) {
        self.first.rests = false;
        self.others.values_mut().for_each(|t| t.rests = false);
    }

    fn get_mut(&mut self, number: usize) -> Option<&mut Thread> {
        match number {
            0 => Some(&mut self.first),
            _ => self.others.get_mut(&number),
        }
    }

    /// The number for another thread: of one that has ended, or a new one.
    fn free(&self) -> Option<usize> {
        let ended = self.others.iter().find(|(_, thread)| !thread.runs);
        match ended {
            Some((&number, _)) => Some(number),
            // They are kept, so their numbers have no gaps.
            None => Some(self.others.len() + 1).filter(|&next| next < MAX_THREADS),
        }
    }
}

impl Process {
    /// SET_TLS, while the thread waits for the reply. Answers with an errno.
    pub fn set_tls(&self, thread: u64, base: u64) -> u64 {
        let Some(thread) = self.threads.get(thread as usize) else {
            return errno::ESRCH;
        };
        let set = || {
            let mut registers = tcb_read_registers(thread.tcb, false, 0, UserContext::COUNT)?;
            // Writing registers makes the kernel resume at rip, which is the `syscall` instruction of the call.
            registers.rip += 2;
            registers.tls_base = base;
            tcb_write_registers(thread.tcb, false, 0, UserContext::COUNT, &registers)
        };
        match set() {
            Ok(()) => errno::OK,
            Err(_) => errno::EINVAL,
        }
    }

    /// SET_TIMER. Answers with an errno.
    pub fn set_timer(&mut self, thread: u64, deadline: Option<u64>) -> u64 {
        match self.threads.get_mut(thread as usize) {
            Some(thread) => {
                thread.deadline = deadline;
                errno::OK
            }
            None => errno::ESRCH,
        }
    }

    /// Signals the deadlines that have come; the next one of those that have not.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        let shared = self.notification;
        let Threads { first, others, .. } = &mut self.threads;
        let mut next = None;
        for thread in core::iter::once(first).chain(others.values_mut()) {
            let Some(deadline) = thread.deadline else {
                continue;
            };
            if deadline > now {
                next = Some(next.map_or(deadline, |next: u64| next.min(deadline)));
                continue;
            }
            thread.deadline = None;
            signal(thread.notification.timer);
            // On an unmodified kernel the thread may be the one that waits for the process's watches.
            if kernel() != Some(Kernel::Queue) && shared.whole != thread.notification.whole {
                signal(shared.timer);
            }
        }
        match self.alarm {
            Some(alarm) if alarm <= now => {
                self.alarm = None;
                // Any bit: it makes the thread look.
                self.info().signals.fetch_or(1 << 63, Ordering::Release);
                self.attend(0);
            }
            Some(alarm) => next = Some(next.map_or(alarm, |next| next.min(alarm))),
            None => {}
        }
        next
    }

    /// THREAD_START. The thread's number.
    pub fn start_thread(
        &mut self,
        memory: &mut Memory,
        endpoint: CPtr,
        [entry, stack, tls]: [u64; 3],
    ) -> core::result::Result<u64, u64> {
        let number = self.threads.free().ok_or(errno::EAGAIN)?;
        if self.threads.get(number).is_none() {
            if !memory.has_room(8) {
                return Err(errno::ENOMEM);
            }
            let made = self.make_thread(memory, endpoint, number);
            let thread = made.map_err(|_| {
                // What it has of its own is not to be in the way of the next try.
                let own = process::thread_memory(number)..process::thread_memory(number + 1);
                self.space.drop_pages(memory, &own);
                errno::ENOMEM
            })?;
            self.threads.others.insert(number, thread);
        }
        let thread = self.threads.get_mut(number).ok_or(errno::ESRCH)?;
        thread.runs = true;
        let registers = UserContext {
            rip: entry,
            rsp: stack,
            rflags: 0x202,
            tls_base: tls,
            ..UserContext::default()
        };
        let started = tcb_write_registers(thread.tcb, true, 0, UserContext::COUNT, &registers);
        match started {
            Ok(()) => Ok(number as u64),
            // Addresses that no program can have.
            Err(_) => {
                thread.runs = false;
                Err(errno::EINVAL)
            }
        }
    }

    fn make_thread(
        &mut self,
        memory: &mut Memory,
        endpoint: CPtr,
        number: usize,
    ) -> Result<Thread> {
        let (objects, arena) = (&mut memory.objects, &mut self.space.arena);
        if self.threads.cnode.is_none() {
            let bits = process::THREAD_BITS;
            let cnode = objects.cnode_in(arena, bits)?;
            self.mount(memory, process::THREAD_CAPS, cnode, bits)?;
            self.threads.cnode = Some(cnode);
        }
        let (objects, arena) = (&mut memory.objects, &mut self.space.arena);
        let notification = Notification::new(objects, arena)?;
        let (buffer, state) = message_page(memory, number)?;
        let address = process::ipc_buffer(number);
        self.space.adopt(memory, buffer, address, 3)?;
        let (objects, arena) = (&mut memory.objects, &mut self.space.arena);
        let tcb = objects.object_in(arena, ObjectType::Tcb)?;
        let thread = Thread::new(tcb, notification, state);
        let last_stack = process::thread_memory(number);
        for page in (last_stack..last_stack + LAST_STACK).step_by(PAGE) {
            let frame = memory.frame()?;
            self.space.adopt(memory, frame, page, 3)?;
        }
        self.furnish_thread(memory, endpoint, number, &thread, buffer)?;
        Ok(thread)
    }

    /// THREAD_END: the calling thread gets no answer.
    pub fn end_thread(&mut self, number: u64) {
        if let Some(thread) = self.threads.get_mut(number as usize) {
            // A TCB of ours cannot be refused.
            let _ = tcb_suspend(thread.tcb);
            thread.runs = false;
            thread.deadline = None;
        }
    }
}
