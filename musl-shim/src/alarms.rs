// SPDX-License-Identifier: BSD-2-Clause
//! Timers that send signals: setitimer(2) and timer_create(2). The root server has the process look when the nearest is due, whatever it does
//! then (SET_ALARM); the look sends the signals.
//!
//! As on Linux a periodic timer of timer_create(2) rests from its expiration until its signal is taken; the periods that went by meanwhile are its overrun.
//! All time counts as processor time (CAVEATS), so the timers of that are like the others.

use alloc::collections::BTreeMap;

use vfs_hooks::timerfd::Setting;
use vfs_hooks::timers::Timers;

use crate::clock::monotonic;
use crate::errno::Errno;
use crate::platform::alarm;
use crate::shared::Shared;
use crate::siginfo::{Info, SI_TIMER};
use crate::signal;

/// Sent by the kernel.
const SI_KERNEL: i32 = 0x80;
/// Signals of ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF, whose numbers are their ids here.
const INTERVAL_TIMERS: [usize; 3] = [14, 26, 27];
/// Most timers of timer_create(2).
const MOST: usize = 4096;

/// What a timer does when it expires.
#[derive(Clone, Copy, Debug)]
pub enum Notifies {
    /// Nothing.
    Nobody,
    /// The process, by a signal with a value.
    Process(usize, u64),
    /// A thread.
    Thread(usize, usize, u64),
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    notifies: Notifies,
    /// Of CLOCK_REALTIME.
    real: bool,
    /// CLOCK_MONOTONIC nanoseconds of the next expiration, or of the last one while it rests; 0: disarmed.
    next: u64,
    interval: u64,
    resting: bool,
    overrun: u32,
}

struct State {
    order: Timers,
    timers: BTreeMap<u64, Timer>,
    /// When the root server will have the process look; 0: never.
    armed: u64,
}

static STATE: Shared<State> = Shared::new(State {
    order: Timers::new(),
    timers: BTreeMap::new(),
    armed: 0,
});

impl Timer {
    fn new(notifies: Notifies, real: bool) -> Timer {
        Timer {
            notifies,
            real,
            next: 0,
            interval: 0,
            resting: false,
            overrun: 0,
        }
    }

    /// Moves the deadline past `now`; how many periods were left out.
    fn forward(&mut self, now: u64) -> u64 {
        let missed = now.saturating_sub(self.next) / self.interval;
        let step = self.interval.saturating_mul(missed.saturating_add(1));
        self.next = self.next.saturating_add(step);
        missed
    }

    /// As gettime has it.
    fn setting(&self, now: u64) -> Setting {
        let mut ahead = *self;
        if ahead.next != 0 && ahead.next <= now && ahead.interval != 0 {
            ahead.forward(now);
        }
        // Armed and not yet noticed: about to expire, but not disarmed.
        let remaining = match ahead.next {
            0 => 0,
            next => next.saturating_sub(now).max(1),
        };
        Setting {
            remaining,
            interval: self.interval,
        }
    }
}

impl State {
    /// Notes a timer's deadline, and sees to it that the process looks then.
    fn keep(&mut self, id: u64, timer: Timer) {
        let deadline = (timer.next != 0 && !timer.resting).then_some(timer.next);
        self.order.set(id, deadline);
        self.timers.insert(id, timer);
        self.arm();
    }

    fn arm(&mut self) {
        if let Some(next) = self.order.next()
            && (self.armed == 0 || next < self.armed)
        {
            self.armed = next;
            alarm(next);
        }
    }
}

/// Expires what is due.
pub fn run() {
    let now = monotonic();
    if STATE.lock().armed == 0 || STATE.lock().armed > now {
        return;
    }
    STATE.lock().armed = 0;
    loop {
        let due = {
            let mut state = STATE.lock();
            let due = state.order.due(now);
            due.and_then(|id| state.timers.get(&id).map(|&timer| (id, timer)))
        };
        match due {
            Some((id, timer)) => expire(id, timer, now),
            None => break,
        }
    }
    STATE.lock().arm();
}

fn expire(id: u64, mut timer: Timer, now: u64) {
    let rests = match timer.notifies {
        Notifies::Nobody => false,
        Notifies::Process(signal, _) if id < INTERVAL_TIMERS.len() as u64 => {
            let info = Info {
                signal,
                code: SI_KERNEL,
                first: 0,
                second: 0,
            };
            signal::post(info);
            false
        }
        Notifies::Process(signal, value) => signal::post(info(id, signal, value)),
        Notifies::Thread(thread, signal, value) => {
            signal::raise_in(thread, info(id, signal, value))
        }
    };
    if timer.interval == 0 {
        timer.next = 0;
    } else if rests {
        timer.resting = true;
    } else {
        timer.forward(now);
    }
    STATE.lock().keep(id, timer);
}

/// The timer's signal. Its id fits, as `create` saw to.
fn info(id: u64, signal: usize, value: u64) -> Info {
    Info {
        signal,
        code: SI_TIMER,
        first: id & 0xffff_ffff,
        second: value,
    }
}

/// A timer's signal is taken: the timer goes on. The signal with its overrun.
pub fn taken(mut info: Info) -> Info {
    let id = info.first & 0xffff_ffff;
    let timer = STATE.lock().timers.get(&id).copied();
    if let Some(mut timer) = timer {
        timer.overrun = 0;
        if timer.resting {
            timer.resting = false;
            timer.overrun = timer.forward(monotonic()).min(i32::MAX as u64) as u32;
        }
        info.first |= u64::from(timer.overrun) << 32;
        STATE.lock().keep(id, timer);
    }
    info
}

/// timer_create(2). EAGAIN: there are too many.
pub fn create(notifies: impl FnOnce(u64) -> Notifies, real: bool) -> Result<u64, Errno> {
    let mut state = STATE.lock();
    let first = INTERVAL_TIMERS.len() as u64;
    let mut free = first..first + MOST as u64;
    let id = free.find(|id| !state.timers.contains_key(id));
    let id = id.ok_or(Errno::EAGAIN)?;
    state.keep(id, Timer::new(notifies(id), real));
    Ok(id)
}

/// A timer of timer_create(2).
fn created(id: u64) -> Result<Timer, Errno> {
    let own = id >= INTERVAL_TIMERS.len() as u64;
    let timer = STATE.lock().timers.get(&id).copied();
    timer.filter(|_| own).ok_or(Errno::EINVAL)
}

/// Whether a timer goes by CLOCK_REALTIME.
pub fn is_real(id: u64) -> Result<bool, Errno> {
    created(id).map(|timer| timer.real)
}

/// timer_delete(2): with its signal, if that waits.
pub fn delete(id: u64) -> Result<(), Errno> {
    created(id)?;
    forget_signal(id);
    let mut state = STATE.lock();
    state.order.set(id, None);
    state.timers.remove(&id);
    Ok(())
}

fn forget_signal(id: u64) {
    signal::withdraw(|info| info.code == SI_TIMER && info.first & 0xffff_ffff == id);
}

/// timer_settime(2): `first` is CLOCK_MONOTONIC, 0 disarms. The old setting.
pub fn set(id: u64, first: u64, interval: u64) -> Result<Setting, Errno> {
    let old = created(id)?;
    // What waits belongs to the old setting.
    forget_signal(id);
    let timer = Timer {
        next: first,
        interval,
        ..Timer::new(old.notifies, old.real)
    };
    STATE.lock().keep(id, timer);
    if first != 0 && first <= monotonic() {
        run();
    }
    Ok(old.setting(monotonic()))
}

/// timer_gettime(2).
pub fn get(id: u64) -> Result<Setting, Errno> {
    created(id).map(|timer| timer.setting(monotonic()))
}

/// timer_getoverrun(2).
pub fn overrun(id: u64) -> Result<u32, Errno> {
    created(id).map(|timer| timer.overrun)
}

/// getitimer(2). EINVAL: there is no such timer.
pub fn interval_timer(number: usize) -> Result<Setting, Errno> {
    if number >= INTERVAL_TIMERS.len() {
        return Err(Errno::EINVAL);
    }
    let timer = STATE.lock().timers.get(&(number as u64)).copied();
    Ok(timer.map_or(Setting::default(), |timer| timer.setting(monotonic())))
}

/// setitimer(2): expires `first` nanoseconds from now, 0 disarms. The old setting.
pub fn set_interval_timer(number: usize, first: u64, interval: u64) -> Result<Setting, Errno> {
    let old = interval_timer(number)?;
    let next = match first {
        0 => 0,
        first => monotonic().saturating_add(first),
    };
    inherit(number, [next, interval]);
    Ok(old)
}

/// A timer as another program left it: its deadline (0: none) and period.
pub fn inherit(number: usize, [next, interval]: [u64; 2]) {
    let timer = Timer {
        next,
        interval,
        ..Timer::new(Notifies::Process(INTERVAL_TIMERS[number], 0), false)
    };
    STATE.lock().keep(number as u64, timer);
}

/// Deadline and period of ITIMER_REAL, which the next program of the process has too.
pub fn legacy() -> [u64; 2] {
    let timer = STATE.lock().timers.get(&0).copied();
    timer.map_or([0; 2], |timer| [timer.next, timer.interval])
}

/// In the child after fork(2): it has none.
pub fn after_fork() {
    let mut state = STATE.lock();
    if !state.timers.is_empty() {
        state.order = Timers::new();
        state.timers.clear();
        state.armed = 0;
    }
}
