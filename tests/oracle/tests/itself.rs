// SPDX-License-Identifier: BSD-2-Clause
//! The tester itself: Linux beside Linux never differs, and a Linux that answers wrongly is caught, its program shrunk.

use oracle::choices::Seeded;
use oracle::compare::Verdict;
use oracle::generate::program;
use oracle::meanwhile::{Both, Job};
use oracle::pair::Pair;
use oracle::shrink::{shrink, up_to};
use oracle::subject::{Linux, Subject, nr};

/// Linux with one lie.
struct Lying {
    linux: Linux,
    lie: Lie,
}

#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    /// EINVAL where Linux says EBADF.
    Errno,
    /// The first two events of a wait are exchanged.
    Order,
    /// HUP is not reported.
    Hangup,
    /// A byte behind the events is written.
    Overrun,
    /// EPOLL_CTL_MOD says that it is done, and does nothing. (A lie that loses data would block.)
    LostModify,
    /// A wait that an event has ended says that there is none.
    Deaf,
}

const EBADF: isize = -9;
const EINVAL: isize = -22;

impl Subject for Lying {
    unsafe fn call(&mut self, number: usize, args: &[usize; 6]) -> isize {
        let waits = matches!(number, nr::EPOLL_WAIT);
        const MOD: usize = 3;
        if self.lie == Lie::LostModify && number == nr::EPOLL_CTL && args[1] == MOD {
            let mut lost = *args;
            lost[1] = 99;
            // SAFETY: the same memory; there is no operation 99, so nothing is done, after the checks of the fds.
            let result = unsafe { self.linux.call(number, &lost) };
            return if result == EINVAL { 0 } else { result };
        }
        // SAFETY: the caller's promise.
        let result = unsafe { self.linux.call(number, args) };
        let events = args[1] as *mut u8;
        match self.lie {
            Lie::Errno if number == nr::EPOLL_CTL && result == EBADF => return EINVAL,
            Lie::Order if waits && result >= 2 => {
                // SAFETY: the call has just written two events of 12 bytes there.
                unsafe { std::ptr::swap_nonoverlapping(events, events.add(12), 12) };
            }
            Lie::Hangup if waits && result >= 1 => {
                // SAFETY: as above, one event.
                unsafe { *events &= !0x10 };
            }
            Lie::Overrun if waits && result >= 1 => {
                // SAFETY: the tester leaves a fence behind each argument.
                unsafe { events.add(result as usize * 12).write(0) };
            }
            _ => {}
        }
        result
    }

    unsafe fn during(&mut self, wait: Job, other: Job) -> Both {
        // SAFETY: the caller's promise.
        let mut both = unsafe { self.linux.during(wait, other) };
        if self.lie == Lie::Deaf && both.waited > 0 {
            both.waited = 0;
        }
        both
    }

    fn raise(&mut self, signal: usize) -> isize {
        self.linux.raise(signal)
    }

    fn handled(&self) -> u32 {
        self.linux.handled()
    }
}

/// Programs until one differs: its index, and how many calls it has when it is shrunk.
fn caught(lie: Lie, programs: u64) -> Option<(u64, usize)> {
    let linux = move || {
        let mut pair = Pair::new(Lying {
            linux: Linux::new(),
            lie,
        });
        (0..programs).find_map(|index| {
            let program = program(&mut Seeded::new(3, index));
            let Verdict::Different(at) = pair.check(&program).0 else {
                return None;
            };
            let differs = |program: &Vec<_>| matches!(pair.check(program).0, Verdict::Different(_));
            let small = shrink(up_to(&program, at), differs);
            Some((index, small.len()))
        })
    };
    // A thread of its own: `Linux::new` takes its fds.
    std::thread::spawn(linux).join().unwrap()
}

#[test]
fn linux_beside_linux_never_differs() {
    Linux::limit_files();
    assert_eq!(caught(Lie::None, 3_000), None);
}

#[test]
fn lies_are_caught_and_their_programs_small() {
    Linux::limit_files();
    for (lie, most) in [
        (Lie::Errno, 1),
        (Lie::Order, 10),
        (Lie::Hangup, 12),
        (Lie::Overrun, 5),
        (Lie::LostModify, 5),
        (Lie::Deaf, 6),
    ] {
        let (_, calls) = caught(lie, 3_000).expect("caught");
        assert!(calls <= most, "lie {}: {calls} calls left", lie as i32);
    }
}
