// SPDX-License-Identifier: BSD-2-Clause
//! The event core's contract in a process of this system: its cases over the kernel that runs, with channels as sources and threads that block.
//!
//! tests/contract runs each case in a process of its own, whose first thread conducts; others sit in the seats of the case's threads, and block where it
//! says. Which of them a signal has woken is no question of time: each is kicked, and comes back with what it was told, or with the kick alone
//! and then goes on waiting.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use libposix_poll::Deadline;
use libposix_poll::backend::{Block, Kernel, Woke};
use libposix_poll::contract::{Case, Machine, Setting, World, cases};
use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, Remote};

use crate::deliver;
use crate::files::channel::watched;
use crate::platform::transport::{System, wait, wait_for};
use crate::platform::{channels, process, threads};
use crate::shared::{Shared, locked, unlocked};
use crate::state::state;

/// More threads no case has.
const SEATS: usize = 5;
/// The thread that conducts.
const CONDUCTOR: usize = 0;
/// The side of a channel that is watched.
const SIDE: usize = 0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sitter {
    /// No thread sits there yet.
    None,
    Idle,
    /// It is to block there.
    Told(Block, Deadline),
    /// It does.
    Asleep(Block, Deadline),
    /// It came back from there, with this; whether the queue had it.
    Back(Deadline, Woke, bool),
}

/// The seats: number of the thread, and what it does.
static TABLE: Shared<[(usize, Sitter); SEATS]> = Shared::new([(0, Sitter::None); SEATS]);

fn sitter(seat: usize) -> Sitter {
    TABLE.lock()[seat].1
}

fn set(seat: usize, sitter: Sitter) {
    TABLE.lock()[seat].1 = sitter;
}

/// A thread waits to be told something; or the conductor to hear of it.
fn pause() {
    wait(Block::Own, Deadline::NEVER);
}

fn conduct(seat: usize, until: fn(Sitter) -> bool) {
    while !until(sitter(seat)) {
        pause();
    }
}

fn tell(seat: usize) {
    threads::kick(TABLE.lock()[seat].0);
}

fn is_back(sitter: Sitter) -> bool {
    matches!(sitter, Sitter::Back(..))
}

/// The process, as the cases want it.
#[derive(Clone, Copy)]
struct Process;

impl Machine for Process {
    type Kernel = System;
    /// Number of a channel. Its value is what holds.
    type Shared = usize;

    fn kernel(&self) -> System {
        System
    }

    fn share(&self) -> usize {
        channels::create(1 << SIDE).expect("a channel")
    }

    fn remote(&self, &channel: &usize) -> Box<dyn Remote> {
        watched(channel, SIDE, look)
    }

    fn change(&self, &channel: &usize, set: Events, clear: Events) -> Events {
        let level = &channels::header(channel).value;
        level.fetch_or(set.bits().into(), AcqRel);
        let clear = u64::from(clear.bits());
        let old = level.fetch_and(!clear, AcqRel);
        Events::from_bits_truncate((old & !clear) as u32)
    }

    fn publish(&self, &channel: &usize, news: Events, signal: &mut dyn FnMut(u32)) {
        channels::header(channel).publish(SIDE, news, |watch| signal(watch as u32));
    }

    fn signal(&self, &channel: &usize, watch: u32) {
        channels::signal(channel, watch as usize);
    }

    fn enter(&self, seat: usize, block: Block, deadline: Deadline) {
        set(seat, Sitter::Told(block, deadline));
        tell(seat);
        conduct(seat, |sitter| !matches!(sitter, Sitter::Told(..)));
        // It is a few instructions from its system call: whoever is told first is to be first in the kernel's queue of threads.
        unlocked(|| (0..4).for_each(|_| process::give_way()));
    }

    fn woke(&self, seat: usize, _: Block) -> Option<Woke> {
        let was = sitter(seat);
        if !is_back(was) {
            tell(seat);
            conduct(seat, is_back);
        }
        if let Sitter::Back(_, woke, told) = sitter(seat)
            && (told || woke != Woke::default())
        {
            return Some(woke);
        }
        if let Sitter::Asleep(block, deadline) = was {
            self.enter(seat, block, deadline);
        }
        None
    }

    fn expire(&self, seat: usize) {
        conduct(seat, is_back);
    }

    fn leave(&self, seat: usize) {
        if !is_back(sitter(seat)) {
            tell(seat);
            conduct(seat, is_back);
        }
        set(seat, Sitter::Idle);
    }
}

/// Edges first, then the level.
fn look(channel: usize, side: usize) -> Readiness {
    let header = channels::header(channel);
    let edges = Edges {
        input: header.sides[side].input.load(Acquire),
        output: header.sides[side].output.load(Acquire),
    };
    let events = Events::from_bits_truncate(header.value.load(Acquire) as u32);
    Readiness { events, edges }
}

/// The cases that are about the kernel that runs, each in a setting.
fn chosen() -> Vec<(Case<Process>, Setting)> {
    let has_queues = System.has_queues();
    let mut chosen = Vec::new();
    for case in cases::<Process>() {
        for &setting in case.settings {
            if setting.is_on(has_queues) {
                chosen.push((Case { ..case }, setting));
            }
        }
    }
    chosen
}

/// Runs in the shim.
fn inside<R>(work: impl FnOnce() -> R) -> R {
    deliver::enter();
    let result = locked(work);
    deliver::leave();
    result
}

/// How many cases there are.
#[unsafe(no_mangle)]
extern "C" fn __contract_count() -> usize {
    inside(|| chosen().len())
}

/// Writes a case's name, ended by a zero.
///
/// # Safety
/// There are `size` bytes at `name`.
#[unsafe(no_mangle)]
unsafe extern "C" fn __contract_name(index: usize, name: *mut u8, size: usize) {
    let (case, setting) = inside(|| chosen().swap_remove(index));
    let text = format!("{}/{}", setting.name(), case.name);
    let len = text.len().min(size - 1);
    // SAFETY: by contract there is room for what is written.
    unsafe {
        name.copy_from_nonoverlapping(text.as_ptr(), len);
        name.add(len).write(0);
    }
}

/// How many threads are to call [`__contract_sit`].
#[unsafe(no_mangle)]
extern "C" fn __contract_seats() -> usize {
    SEATS
}

/// What the thread of a seat does, until the process ends.
#[unsafe(no_mangle)]
extern "C" fn __contract_sit(seat: usize) -> ! {
    inside(|| {
        TABLE.lock()[seat] = (threads::current(), Sitter::Idle);
        threads::kick(CONDUCTOR);
        loop {
            let Sitter::Told(block, deadline) = sitter(seat) else {
                pause();
                continue;
            };
            // What was kept of earlier kicks, and the deadline of an earlier wait.
            threads::take_notices();
            state().armed.store(0, Relaxed);
            set(seat, Sitter::Asleep(block, deadline));
            threads::kick(CONDUCTOR);
            let (woke, told) = wait_for(block, deadline);
            set(seat, Sitter::Back(deadline, woke, told));
            threads::kick(CONDUCTOR);
        }
    })
}

/// Runs a case, once all seats are taken. It panics if the case does not hold.
#[unsafe(no_mangle)]
extern "C" fn __contract_run(index: usize) {
    inside(|| {
        assert_eq!(threads::current(), CONDUCTOR);
        (0..SEATS).for_each(|seat| conduct(seat, |sitter| sitter != Sitter::None));
        let (case, setting) = chosen().swap_remove(index);
        (case.run)(&mut World::new(setting, Process));
    });
}
