// SPDX-License-Identifier: BSD-2-Clause
//! Delivery: where the signals that are due run their handlers, end the program, or are ignored.
//!
//! At the end of a call a handler runs as a function, on the stack in use or the alternative one: nothing is borrowed then, so it may make calls or
//! leave by longjmp. A thread that computes is interrupted by the root server ([`interrupted`]).
//!
//! ```text
//! sender                                  thread
//! mark the signal pending                 outside := 1       (leaves the shim)
//! thread.outside? have it interrupted     anything pending? outside := 0, deliver, again
//! else kick its notification              go on in the program
//! ```
//!
//! Whoever comes second sees what the first has done: the root server, which interrupts, and the thread share one processor, so the order in which they run is
//! one order, and the compiler is kept from changing it. A thread found outside is interrupted at whatever instruction, also one of the shim's after
//! its `outside := 1`: it holds no lock there.

use core::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst, compiler_fence};

use crate::context::Context;
use crate::platform::{self, children};
use crate::restart::Ran;
use crate::shared::{locked, unlocked};
use crate::siginfo::{self, Info, Target};
use crate::signal::{
    self, Action, LAST, bit, consumed, fetch, ignores, is_due, mask, set_mask, take,
};
use crate::stack;
use crate::state::state;

/// musl's: pthread_cancel(3).
const SIGCANCEL: usize = 33;
const SA_SIGINFO: u64 = 4;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_NODEFER: u64 = 0x4000_0000;

/// The calling thread is in the shim from here on: it is not interrupted.
#[inline]
pub fn enter() {
    state().seen.outside.store(0, Relaxed);
    compiler_fence(SeqCst);
}

/// The calling thread goes back to the program, the core lock is free: delivers what is due.
#[inline]
pub fn leave() {
    let state = state();
    compiler_fence(SeqCst);
    state.seen.outside.store(1, Relaxed);
    compiler_fence(SeqCst);
    // In most calls no signal waits at all, blocked or not.
    if signal::waits_for(state) || children::has_signals() {
        leave_call_late();
    }
}

#[cold]
#[inline(never)]
fn leave_call_late() {
    if !is_due() && !children::has_signals() {
        return;
    }
    let mut nothing = Context::NONE;
    leave_late(&mut nothing);
}

fn leave_late(context: &mut Context) {
    loop {
        enter();
        locked(|| {
            fetch();
            deliver_all(context);
        });
        state().seen.outside.store(1, Relaxed);
        compiler_fence(SeqCst);
        if !is_due() && !children::has_signals() {
            return;
        }
    }
}

/// The calling thread was interrupted, maybe by a fault: delivers what is due. `context` is what it goes on with.
#[cfg_attr(any(test, feature = "host"), allow(dead_code))]
pub fn interrupted(fault: Option<Info>, context: &mut Context) {
    if let Some(info) = fault {
        locked(|| {
            let me = Target::Thread(platform::threads::current());
            siginfo::add(me, info);
            state().directed.fetch_or(bit(info.signal), Relaxed);
        });
    }
    leave_late(context);
}

/// Delivers what is due between a call's end and its next beginning, with the core lock held and nothing borrowed.
pub fn now() -> Ran {
    let mut nothing = Context::NONE;
    // The deadline of the interrupted call is not for those of handlers.
    let deadline = state().resume.swap(0, Relaxed);
    let ran = deliver_all(&mut nothing).max(platform::handlers_ran());
    if ran == Ran::Nothing {
        state().resume.store(deadline, Relaxed);
    }
    ran
}

/// Runs the handlers, each with the core lock released. Nothing may be borrowed.
#[cold]
fn deliver_all(context: &mut Context) -> Ran {
    const SA_RESTART: u64 = 0x1000_0000;
    let mut ran = Ran::Nothing;
    while let Some(info) = take(!mask()) {
        let signal = info.signal;
        let action = consumed(signal);
        if ignores(signal, action.handler) {
            continue;
        }
        if action.handler == signal::SIG_DFL && signal::stops(signal) {
            children::stop(signal);
            fetch();
            continue;
        }
        if action.handler == signal::SIG_DFL {
            children::exit_by(signal);
        }
        let before = mask();
        let own = match action.flags & SA_NODEFER {
            0 => bit(signal),
            _ => 0,
        };
        set_mask(before | action.mask | own);
        context.mask = before;
        unlocked(|| run(&info, &action, context));
        // SAFETY: volatile since the handler, which the compiler cannot see, may have written to it.
        let after = unsafe { (&raw const context.mask).read_volatile() };
        set_mask(after);
        // Signals of musl's own end a call whatever they say; that of cancellation only if its handler acts, which it blocks it for.
        let ends = match signal {
            SIGCANCEL => after & bit(SIGCANCEL) != 0,
            _ => matches!(signal, 32 | 34),
        };
        ran = ran.max(match action.flags & SA_RESTART {
            0 => Ran::Interrupting,
            _ if ends => Ran::Interrupting,
            _ => Ran::Restarting,
        });
    }
    ran
}

/// siginfo_t.
#[repr(C, align(16))]
struct Siginfo([i32; 32]);

/// Runs a handler: outside the shim, on the stack that its action asks for.
fn run(info: &Info, action: &Action, context: &mut Context) {
    debug_assert!(info.signal <= LAST);
    let mut siginfo = Siginfo(info.siginfo());
    let wants = action.flags & SA_ONSTACK != 0;
    let on = stack::for_handler(wants, context.stack_pointer());
    let arguments = match action.flags & SA_SIGINFO {
        0 => [info.signal, 0, 0],
        _ => [
            info.signal,
            (&raw mut siginfo) as usize,
            core::ptr::from_mut(context) as usize,
        ],
    };
    let alternative = stack::own();
    let at = context.instruction();
    state().seen.outside.store(1, Relaxed);
    compiler_fence(SeqCst);
    // SAFETY: the program gave this address as its handler; the stack is its own, in use up to there at most.
    unsafe { stack::call(action.handler as usize, arguments, on) };
    enter();
    // As the frame that Linux returns by has it.
    stack::restore(alternative);
    if info.signal == SIGCANCEL && context.instruction() != at {
        // musl sends the thread to its end as if it jumped there. Linux does not mind how the stack lies then, but the shim's code does.
        context.begin_function();
    }
}
