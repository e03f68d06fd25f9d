// SPDX-License-Identifier: BSD-2-Clause
//! POSIX signals: raise, kill, pthread_kill, SIGPIPE, SIGCHLD. Those of other processes come by the root server, which sets a word in
//! the information page and kicks the process.
//!
//! A signal is marked pending, for a thread or for the process, and a thread that is to take it is told, wherever it is. How it is delivered:
//! [`deliver`](crate::deliver).

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::errno::Errno;

pub use crate::abi::Sigaction as Action;
use crate::alarms;
use crate::calls::child;
use crate::deliver;
use crate::files::signalfd;
use crate::platform::threads::current;
use crate::platform::{self, children};
use crate::restart::Ran;
use crate::shared::{Shared, unlocked};
use crate::siginfo::{self, Info, SI_TIMER, SI_USER, Target};
use crate::state::{State, state, state_of};
use crate::threads;

/// Highest signal.
pub const LAST: usize = 64;
/// Ends the program unasked.
pub const SIGKILL: usize = 9;
/// A write to something that nobody reads.
pub const SIGPIPE: usize = 13;
const SIGCHLD: usize = 17;
const SIGCONT: usize = 18;
/// Stops the program.
pub const SIGSTOP: usize = 19;
const SIGTTOU: usize = 22;
const SIGURG: usize = 23;
const SIGWINCH: usize = 28;

/// The default action.
pub const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
const SA_RESETHAND: u64 = 0x8000_0000;

const DEFAULT: Action = Action {
    handler: SIG_DFL,
    flags: 0,
    restorer: 0,
    mask: 0,
};

static ACTIONS: Shared<[Action; LAST]> = Shared::new([DEFAULT; LAST]);
/// Signals sent to the process: for any of its threads.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// The bit of a signal in a set.
pub const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Signals that the processor raises: taken first.
const SYNCHRONOUS: u64 = bit(4) | bit(5) | bit(7) | bit(8) | bit(11) | bit(31);
/// Signals that cannot be blocked or handled.
pub const UNBLOCKABLE: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// Signals that the calling thread blocks.
pub fn mask() -> u64 {
    platform::mask()
}

/// Sets them.
pub fn set_mask(mask: u64) {
    platform::set_mask(mask & !UNBLOCKABLE);
}

/// Signals that wait, for the calling thread or for the process.
pub fn pending() -> u64 {
    state().directed.load(Relaxed) | PENDING.load(Relaxed)
}

/// Whether any signal waits for the calling thread, whose state this is, or for the process, blocked or not.
#[inline]
pub fn waits_for(state: &State) -> bool {
    platform::interrupted() || state.directed.load(Relaxed) | PENDING.load(Relaxed) != 0
}

/// A new thread blocks what its creator does.
#[cfg(not(any(test, feature = "host")))]
pub fn begin(thread: usize) {
    siginfo::forget(|to, _| to == Target::Thread(thread));
    let new = state_of(thread);
    new.seen.mask.store(mask(), Relaxed);
    new.directed.store(0, Relaxed);
    new.awaited.store(0, Relaxed);
}

/// The signal of a set that is taken first: one that the processor raises, then the lowest.
fn first_of(set: u64) -> usize {
    let urgent = set & SYNCHRONOUS;
    let among = if urgent != 0 { urgent } else { set };
    among.trailing_zeros() as usize + 1
}

/// Takes a pending signal of `set` without running its handler: the thread's own before the process's, as Linux.
pub fn take(set: u64) -> Option<Info> {
    let places = [
        (&state().directed, Target::Thread(current())),
        (&PENDING, Target::Process),
    ];
    for (waiting, target) in places {
        let found = waiting.load(Relaxed) & set;
        if found == 0 {
            continue;
        }
        let signal = first_of(found);
        let (info, more) = siginfo::take(target, signal).unwrap_or_else(|| {
            // Only its number was passed on.
            (Info::from(0, signal, SI_USER, 0), false)
        });
        if !more {
            waiting.fetch_and(!bit(signal), Relaxed);
        }
        return Some(match info.code {
            SI_TIMER => alarms::taken(info),
            _ => info,
        });
    }
    None
}

/// Runs `wait` as sigtimedwait(2) for `set`: whoever sends one of them wakes this thread, blocked or not.
pub fn awaiting<R>(set: u64, wait: impl FnOnce() -> R) -> R {
    state().awaited.store(set, Relaxed);
    let result = wait();
    state().awaited.store(0, Relaxed);
    result
}

/// What is done at `signal`; `new` replaces it.
pub fn action(signal: usize, new: Option<Action>) -> Result<Action, Errno> {
    if !(1..=LAST).contains(&signal) || (new.is_some() && bit(signal) & UNBLOCKABLE != 0) {
        return Err(Errno::EINVAL);
    }
    let slot = &mut ACTIONS.lock()[signal - 1];
    let old = *slot;
    if let Some(new) = new {
        *slot = new;
        note_handler(signal, new.handler);
        if signal == SIGCHLD && (new.handler == SIG_IGN) != (old.handler == SIG_IGN) {
            children::forget(new.handler == SIG_IGN);
        }
        if ignores(signal, new.handler) {
            siginfo::forget(|_, info| info.signal == signal);
            let threads = threads::alive().map(|thread| &state_of(thread).directed);
            for pending in threads.chain([&PENDING]) {
                pending.fetch_and(!bit(signal), Relaxed);
            }
        }
    }
    Ok(old)
}

/// Whether a signal with this handler is thrown away.
pub fn ignores(signal: usize, handler: u64) -> bool {
    let by_default = matches!(signal, SIGCHLD | SIGCONT | SIGURG | SIGWINCH);
    handler == SIG_IGN || (handler == SIG_DFL && by_default)
}

/// Whether a signal that is sent now is thrown away: not if a thread waits for it or blocks it, for it may yet ask.
fn is_lost(signal: usize) -> bool {
    let kept = |thread: usize| {
        (platform::mask_of(thread) | state_of(thread).awaited.load(Relaxed)) & bit(signal) != 0
    };
    ignores(signal, ACTIONS.lock()[signal - 1].handler) && !threads::alive().any(kept)
}

/// Signals that stop, and the one that continues, take each other back when they are sent (signal(7)).
fn take_back_others(signal: usize) {
    match signal {
        SIGCONT => withdraw(|info| stops(info.signal)),
        _ if stops(signal) => withdraw(|info| info.signal == SIGCONT),
        _ => {}
    }
}

/// Whether a signal stops the process by default.
pub fn stops(signal: usize) -> bool {
    (SIGSTOP..=SIGTTOU).contains(&signal)
}

/// Whether it tells that a child stopped or went on, and nobody wants to know (SA_NOCLDSTOP).
fn is_unwanted(info: &Info) -> bool {
    const SA_NOCLDSTOP: u64 = 1;
    const CLD_STOPPED: i32 = 5;
    const CLD_CONTINUED: i32 = 6;
    info.signal == SIGCHLD
        && (CLD_STOPPED..=CLD_CONTINUED).contains(&info.code)
        && ACTIONS.lock()[SIGCHLD - 1].flags & SA_NOCLDSTOP != 0
}

/// Sends a signal of its own to this process.
pub fn raise(signal: usize) {
    if !platform::raise(signal) {
        post(Info::own(signal, SI_USER));
    }
}

/// Sends a signal to this process. A thread that waits for it, or does not block it, will take it; the calling one if it can.
/// Whether it waits now that did not.
pub fn post(info: Info) -> bool {
    let signal = info.signal;
    take_back_others(signal);
    if is_unwanted(&info) || is_lost(signal) || !siginfo::add(Target::Process, info) {
        return false;
    }
    PENDING.fetch_or(bit(signal), Relaxed);
    signalfd::raised();
    let me = current();
    let awaits = |&thread: &usize| state_of(thread).awaited.load(Relaxed) & bit(signal) != 0;
    let takes = |&thread: &usize| platform::mask_of(thread) & bit(signal) == 0;
    let taker = threads::alive().find(awaits).or_else(|| match takes(&me) {
        true => Some(me),
        false => threads::alive().find(takes),
    });
    if let Some(taker) = taker.filter(|&thread| thread != me) {
        platform::threads::notify(taker);
    }
    true
}

/// Sends a signal to a thread of this process. Whether it waits now that did not.
pub fn raise_in(thread: usize, info: Info) -> bool {
    let signal = info.signal;
    take_back_others(signal);
    if is_lost(signal) || !siginfo::add(Target::Thread(thread), info) {
        return false;
    }
    state_of(thread).directed.fetch_or(bit(signal), Relaxed);
    signalfd::raised();
    if thread != current() {
        platform::threads::notify(thread);
    }
    true
}

/// Takes back those that wait and that `pick` picks.
pub fn withdraw(pick: impl Fn(&Info) -> bool) {
    siginfo::forget(|_, info| pick(info));
    let threads = threads::alive().map(|t| (&state_of(t).directed, Target::Thread(t)));
    for (waiting, target) in threads.chain([(&PENDING, Target::Process)]) {
        let set = waiting.load(Relaxed);
        for signal in (1..=LAST).filter(|&signal| set & bit(signal) != 0) {
            if !siginfo::waits(target, signal) {
                waiting.fetch_and(!bit(signal), Relaxed);
            }
        }
    }
}

/// The ignored signals.
pub fn ignored() -> u64 {
    let actions = ACTIONS.lock();
    let ignored = (1..=LAST).filter(|&s| actions[s - 1].handler == SIG_IGN);
    ignored.map(bit).sum()
}

/// The signals that are ignored, and those that have a handler.
pub fn dispositions() -> [u64; 2] {
    let actions = ACTIONS.lock();
    let caught = (1..=LAST).filter(|&s| !matches!(actions[s - 1].handler, SIG_IGN | SIG_DFL));
    let caught = caught.map(bit).sum();
    drop(actions);
    [ignored(), caught]
}

/// As another program left it: blocked, ignored and waiting signals.
pub fn inherit(blocked: u64, ignored: u64, pending: u64) {
    set_mask(blocked);
    for signal in 1..=LAST {
        if ignored & bit(signal) & !UNBLOCKABLE != 0 {
            ACTIONS.lock()[signal - 1].handler = SIG_IGN;
        }
    }
    if ignored & bit(SIGCHLD) != 0 {
        children::forget(true);
    }
    for signal in (1..=LAST).filter(|&signal| pending & bit(signal) != 0) {
        raise(signal);
    }
}

/// In the child after fork(2): no signal waits (signal(7)).
pub fn after_fork() {
    siginfo::forget(|_, _| true);
    PENDING.store(0, Relaxed);
    if ACTIONS.lock()[SIGCHLD - 1].handler == SIG_IGN {
        children::forget(true);
    }
}

/// Takes what other processes have sent. Whether the process was stopped meanwhile.
#[inline]
pub fn fetch() -> bool {
    children::has_signals() && fetch_all()
}

#[cold]
fn fetch_all() -> bool {
    let stopped = children::is_stopped();
    while children::is_stopped() {
        unlocked(platform::threads::rest);
    }
    while let Some(info) = children::take_signal() {
        // This thread was kicked, or was first to look; another one may wait for the child.
        if info.signal == SIGCHLD {
            child::news();
        }
        if !platform::raise(info.signal) {
            post(info);
        }
    }
    alarms::run();
    stopped
}

/// Whether a signal would be delivered now.
#[inline]
pub fn is_due() -> bool {
    platform::interrupted() || pending() & !mask() != 0
}

/// What is to be done at a signal that is delivered now.
pub fn consumed(signal: usize) -> Action {
    let slot = &mut ACTIONS.lock()[signal - 1];
    let action = *slot;
    if action.flags & SA_RESETHAND != 0 && action.handler != SIG_IGN {
        slot.handler = SIG_DFL;
        note_handler(signal, SIG_DFL);
    }
    action
}

/// Tells the root server, which looks there at a fault, whether a signal has a handler.
fn note_handler(signal: usize, handler: u64) {
    let handled = &state_of(0).seen.handled;
    match handler {
        SIG_DFL | SIG_IGN => handled.fetch_and(!bit(signal), Relaxed),
        _ => handled.fetch_or(bit(signal), Relaxed),
    };
}

/// Runs a blocking call with another mask. If a signal that this mask lets through ends it (EINTR), the handlers run under it; what the call found first leaves
/// the signal pending, as on Linux.
pub fn with_mask<R>(
    temporary: Option<u64>,
    call: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let Some(temporary) = temporary else {
        return call();
    };
    let before = mask();
    set_mask(temporary);
    let mut result = call();
    if let Err(errno) = &mut result
        && (*errno == Errno::EINTR || errno.is_restart())
        && deliver::now() != Ran::Nothing
    {
        *errno = Errno::EINTR;
    }
    set_mask(before);
    result
}
