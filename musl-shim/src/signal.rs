// SPDX-License-Identifier: BSD-2-Clause
//! POSIX signals: raise, kill, pthread_kill, SIGPIPE, SIGCHLD. Those of other processes come by the root server, which sets a word in
//! the information page and kicks the process.
//!
//! A signal is marked pending, for a thread or for the process, and delivered when a call of a thread that does not block it returns: ignored,
//! ends the program, or its handler runs there, on the program's stack, as a function call. Nothing is borrowed then, so a
//! handler may make calls or leave by longjmp. A thread that is to take one is kicked out of its wait.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::errno::Errno;

use vfs_hooks::lock::MAX_THREADS;

use crate::abi::Sigaction;
use crate::files::signalfd;
use crate::platform::threads::current;
use crate::platform::{self, children};
use crate::shared::{Shared, locked, unlocked};
use crate::siginfo::{self, Info, SI_USER, Target};
use crate::threads;

/// Highest signal.
pub const LAST: usize = 64;
/// Ends the program unasked.
pub const SIGKILL: usize = 9;
/// A write to something that nobody reads.
pub const SIGPIPE: usize = 13;
const SIGCHLD: usize = 17;
const SIGCONT: usize = 18;
/// Stops the program: not supported, ignored.
pub const SIGSTOP: usize = 19;
const SIGTTOU: usize = 22;
const SIGURG: usize = 23;
const SIGWINCH: usize = 28;

const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
const SA_SIGINFO: u64 = 4;
const SA_NODEFER: u64 = 0x4000_0000;
const SA_RESETHAND: u64 = 0x8000_0000;

const DEFAULT: Sigaction = Sigaction {
    handler: SIG_DFL,
    flags: 0,
    restorer: 0,
    mask: 0,
};

static ACTIONS: Shared<[Sigaction; LAST]> = Shared::new([DEFAULT; LAST]);
/// Signals that each thread waits for in sigtimedwait(2).
static AWAITED: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];
/// Signals sent to each thread.
static DIRECTED: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];
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
    DIRECTED[current()].load(Relaxed) | PENDING.load(Relaxed)
}

/// A new thread blocks what its creator does.
#[cfg(not(any(test, feature = "host")))]
pub fn begin(thread: usize) {
    siginfo::forget(|to, _| to == Target::Thread(thread));
    platform::set_mask_of(thread, mask());
    DIRECTED[thread].store(0, Relaxed);
    AWAITED[thread].store(0, Relaxed);
}

/// The signal of a set that is taken first: one that the processor raises, then the lowest.
fn first_of(set: u64) -> usize {
    let urgent = set & SYNCHRONOUS;
    let among = if urgent != 0 { urgent } else { set };
    among.trailing_zeros() as usize + 1
}

/// Takes a pending signal of `set` without running its handler: the thread's own before the process's, as Linux.
pub fn take(set: u64) -> Option<Info> {
    let me = current();
    let places = [
        (&DIRECTED[me], Target::Thread(me)),
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
        return Some(info);
    }
    None
}

/// Runs `wait` as sigtimedwait(2) for `set`: whoever sends one of them wakes this thread, blocked or not.
pub fn awaiting<R>(set: u64, wait: impl FnOnce() -> R) -> R {
    AWAITED[current()].store(set, Relaxed);
    let result = wait();
    AWAITED[current()].store(0, Relaxed);
    result
}

/// What is done at `signal`; `new` replaces it.
pub fn action(signal: usize, new: Option<Sigaction>) -> Result<Sigaction, Errno> {
    if !(1..=LAST).contains(&signal) || (new.is_some() && bit(signal) & UNBLOCKABLE != 0) {
        return Err(Errno::EINVAL);
    }
    let slot = &mut ACTIONS.lock()[signal - 1];
    let old = *slot;
    if let Some(new) = new {
        *slot = new;
        if signal == SIGCHLD && (new.handler == SIG_IGN) != (old.handler == SIG_IGN) {
            children::forget(new.handler == SIG_IGN);
        }
        if ignores(signal, new.handler) {
            siginfo::forget(|_, info| info.signal == signal);
            for pending in DIRECTED.iter().chain([&PENDING]) {
                pending.fetch_and(!bit(signal), Relaxed);
            }
        }
    }
    Ok(old)
}

/// Whether a signal with this handler is thrown away.
fn ignores(signal: usize, handler: u64) -> bool {
    let by_default = matches!(
        signal,
        SIGCHLD | SIGCONT | SIGSTOP..=SIGTTOU | SIGURG | SIGWINCH
    );
    handler == SIG_IGN || (handler == SIG_DFL && by_default)
}

/// Whether a signal that is sent now is thrown away: not if a thread waits for it or blocks it, for it may yet ask.
fn is_lost(signal: usize) -> bool {
    let kept = |thread: usize| {
        (platform::mask_of(thread) | AWAITED[thread].load(Relaxed)) & bit(signal) != 0
    };
    ignores(signal, ACTIONS.lock()[signal - 1].handler) && !threads::alive().any(kept)
}

/// Sends a signal of its own to this process.
pub fn raise(signal: usize) {
    if !platform::raise(signal) {
        post(Info::own(signal, SI_USER));
    }
}

/// Sends a signal to this process. A thread that waits for it, or does not block it, will take it; the calling one if it can.
pub fn post(info: Info) {
    let signal = info.signal;
    if is_lost(signal) || !siginfo::add(Target::Process, info) {
        return;
    }
    PENDING.fetch_or(bit(signal), Relaxed);
    signalfd::raised();
    let me = current();
    let awaits = |&thread: &usize| AWAITED[thread].load(Relaxed) & bit(signal) != 0;
    let takes = |&thread: &usize| platform::mask_of(thread) & bit(signal) == 0;
    let taker = threads::alive().find(awaits).or_else(|| match takes(&me) {
        true => Some(me),
        false => threads::alive().find(takes),
    });
    if let Some(taker) = taker.filter(|&thread| thread != me) {
        platform::threads::kick(taker);
    }
}

/// Sends a signal to a thread of this process.
pub fn raise_in(thread: usize, info: Info) {
    let signal = info.signal;
    if is_lost(signal) || !siginfo::add(Target::Thread(thread), info) {
        return;
    }
    DIRECTED[thread].fetch_or(bit(signal), Relaxed);
    signalfd::raised();
    if thread != current() {
        platform::threads::kick(thread);
    }
}

/// The ignored signals.
pub fn ignored() -> u64 {
    let actions = ACTIONS.lock();
    let ignored = (1..=LAST).filter(|&s| actions[s - 1].handler == SIG_IGN);
    ignored.map(bit).sum()
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

/// In the child after fork(2), a copy of `thread`: no signal waits (signal(7)).
pub fn after_fork(thread: usize) {
    set_mask(platform::mask_of(thread));
    siginfo::forget(|_, _| true);
    for waiting in DIRECTED.iter().chain(&AWAITED).chain([&PENDING]) {
        waiting.store(0, Relaxed);
    }
    if ACTIONS.lock()[SIGCHLD - 1].handler == SIG_IGN {
        children::forget(true);
    }
}

/// Takes what other processes have sent.
#[inline]
pub fn fetch() {
    if children::has_signals() {
        fetch_all();
    }
}

#[cold]
fn fetch_all() {
    while let Some(info) = children::take_signal() {
        if !platform::raise(info.signal) {
            post(info);
        }
    }
}

/// Whether a signal would be delivered now.
#[inline]
pub fn is_due() -> bool {
    platform::interrupted() || pending() & !mask() != 0
}

/// Delivers what is pending and not blocked: at the end of a call, when the core lock is free.
#[inline]
pub fn deliver() {
    if is_due() || children::has_signals() {
        locked(|| {
            fetch();
            deliver_all();
        });
    }
}

/// Runs the handlers, each with the core lock released. Nothing may be borrowed.
#[cold]
fn deliver_all() {
    while let Some(info) = take(!mask()) {
        let signal = info.signal;
        let action = {
            let slot = &mut ACTIONS.lock()[signal - 1];
            let action = *slot;
            if action.flags & SA_RESETHAND != 0 && action.handler != SIG_IGN {
                slot.handler = SIG_DFL;
            }
            action
        };
        if ignores(signal, action.handler) {
            continue;
        }
        if action.handler == SIG_DFL {
            children::exit_by(signal);
        }
        let before = mask();
        let own = if action.flags & SA_NODEFER == 0 {
            bit(signal)
        } else {
            0
        };
        set_mask(before | action.mask | own);
        let after = unlocked(|| run(&info, &action, before));
        set_mask(after);
    }
}

/// siginfo_t.
#[repr(C, align(16))]
struct Siginfo([i32; 32]);

/// ucontext_t: zero but for the mask that holds again afterwards, which a handler may change (musl's does, for cancellation).
#[repr(C, align(16))]
struct Ucontext {
    before: [u8; 296],
    mask: u64,
    after: [u8; 664],
}

/// Runs the handler; the signals that are blocked afterwards.
fn run(signal: &Info, action: &Sigaction, mask: u64) -> u64 {
    let mut info = Siginfo(signal.siginfo());
    let signal = signal.signal;
    let mut context = Ucontext {
        before: [0; 296],
        mask,
        after: [0; 664],
    };
    let (info, at) = (&raw mut info, &raw mut context);
    if action.flags & SA_SIGINFO != 0 {
        // SAFETY: the program gave this address as its handler, of this C type.
        let handler: extern "C" fn(i32, *mut Siginfo, *mut Ucontext) =
            unsafe { core::mem::transmute(action.handler as usize) };
        handler(signal as i32, info, at);
    } else {
        // SAFETY: as above.
        let handler: extern "C" fn(i32) = unsafe { core::mem::transmute(action.handler as usize) };
        handler(signal as i32);
    }
    // SAFETY: our own variable; volatile since the handler, which the compiler cannot see, may have written to it.
    unsafe { (&raw const (*at).mask).read_volatile() }
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
    let result = call();
    if matches!(result, Err(Errno::EINTR)) {
        deliver_all();
    }
    set_mask(before);
    result
}
