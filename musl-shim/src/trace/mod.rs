// SPDX-License-Identifier: BSD-2-Clause
//! A trace of the process's calls in the system's log, in strace(1)'s form: `cargo xtask run --trace`.
//!
//! ```text
//! [   1.234567] 3/1 epoll_wait(4, 0x7ffe1000, 64, -1) <blocked>
//! [   1.250001] 3/1 <woken by fd 5>
//! [   1.250010] 3/1 epoll_wait(4, [{EPOLLIN, 5}], 64, -1) = 1
//! ```
//!
//! Time is CLOCK_MONOTONIC; `3/1` is thread 1 of process 3, the first one is 0. A call has its line when it returns, with what it wrote, and one more each time that it
//! blocks. Off, it costs the look at a byte.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use libposix_poll::backend::Woke;

use crate::dispatch::Args;
use crate::errno::Errno;
use crate::names;
use crate::platform;
use crate::poller::core;
use crate::shared::locked;
use crate::state::state;

mod argument;
mod flags;
mod line;
mod table;

use argument::{Moment, show};
use line::Line;

static ON: AtomicBool = AtomicBool::new(false);

/// Calls that do not return, or in another program.
const LAST_CALLS: [usize; 3] = [59, 60, 231];

/// Whether calls are traced.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Traces from now on, if that is wanted of this program.
pub fn start() {
    ON.store(platform::is_traced(), Relaxed);
}

/// A call that is being made.
struct Made<'a> {
    number: usize,
    args: &'a Args,
}

/// Makes a call, and tells of it.
#[cold]
#[inline(never)]
pub fn traced(number: usize, args: &Args, call: impl FnOnce() -> isize) -> isize {
    let made = Made { number, args };
    if LAST_CALLS.contains(&number) {
        locked(|| tell(&made, Moment::Before, format_args!(") = ?")));
    }
    // A handler's calls come in the middle of another.
    let outer = state().traced.swap(&raw const made as usize, Relaxed);
    let result = call();
    state().traced.store(outer, Relaxed);
    locked(|| match result {
        0.. => {
            let moment = Moment::After(result as usize);
            match table::has_address_result(number) {
                true => tell(&made, moment, format_args!(") = {result:#x}")),
                false => tell(&made, moment, format_args!(") = {result}")),
            }
        }
        _ => {
            let errno = Errno::from_raw(-result as i32);
            let name = flags::errno(errno.raw());
            tell(&made, Moment::Failed(errno), format_args!(") = -1 {name}"));
        }
    });
    result
}

/// The calling thread blocks in the call that it makes. The core lock is held.
#[cold]
#[inline(never)]
pub fn blocks() {
    let made = state().traced.load(Relaxed) as *const Made;
    // SAFETY: the thread's own word, which `traced` set to what lies in its frame, and that has not returned.
    match unsafe { made.as_ref() } {
        Some(made) => tell(made, Moment::Before, format_args!(") <blocked>")),
        None => say(format_args!("<blocked>")),
    }
}

/// It goes on.
#[cold]
#[inline(never)]
pub fn woken(woke: &Woke) {
    let fd = woke.cookie.map(|cookie| core().fd_of(cookie));
    match fd {
        Some(Some(fd)) => say(format_args!("<woken by fd {fd}>")),
        Some(None) => say(format_args!("<woken by a source>")),
        None if woke.bits != 0 => say(format_args!("<woken by badge bits {:#x}>", woke.bits)),
        None => say(format_args!("<woken>")),
    }
}

/// Says a line: the call as far as it is known, and how it ends.
fn tell(made: &Made, moment: Moment, end: core::fmt::Arguments) {
    let mut line = Line::new();
    match names::name(made.number) {
        Some(name) => line.put(name),
        None => drop(write!(line, "syscall_{}", made.number)),
    }
    line.put("(");
    for (i, kind) in table::arguments(made.number).iter().enumerate() {
        if i > 0 {
            line.put(", ");
        }
        show(&mut line, *kind, i, made.args, moment);
    }
    line.end(end);
    platform::console::trace(line.bytes());
}

fn say(what: core::fmt::Arguments) {
    let mut line = Line::new();
    line.end(what);
    platform::console::trace(line.bytes());
}
