// SPDX-License-Identifier: BSD-2-Clause
//! What the core costs, in instructions, for one watch as for a hundred thousand: counted by stepping through it, so the same in every run.
//!
//! ```sh
//! cargo test --profile guest -p libposix-poll --test cost # prints the table; fails above a limit
//! ```
//!
//! The test runs itself as a traced child. Each measured operation stands between two breakpoints; what an empty one counts is taken off. Only
//! the optimised code is held to the limits.

#![allow(unsafe_code)]

use libposix_poll::backend::NoWatches;
use libposix_poll::frontend::epoll::{EDGE, ONE_SHOT, Operation};
use libposix_poll::frontend::select::Words;
use libposix_poll::{Core, Events, InstanceId};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::process::Command;
use vfs_hooks::eventfd::EventFd;
use vfs_hooks::pipe::Pipe;
use vfs_hooks::source::SourceId;

/// No source of another process is watched here.
type Process = Core<NoWatches>;

/// An instance that watches `n` eventfds.
struct Bench {
    core: Process,
    epoll: InstanceId,
    fds: Vec<EventFd>,
}

const IN: u32 = Events::IN.bits();

impl Bench {
    fn new(n: usize, events: u32) -> Bench {
        let mut core = Core::new(NoWatches);
        let (epoll, _) = core.epoll_create();
        let fds: Vec<EventFd> = (0..n).map(|_| EventFd::new(&mut core, 0, false)).collect();
        for (i, fd) in fds.iter().enumerate() {
            let data = i as u64;
            let add = Operation::Add { events, data };
            core.epoll_ctl(epoll, add, i as i32, fd.source()).unwrap();
        }
        Bench { core, epoll, fds }
    }
}

#[inline(never)]
fn wait(core: &mut Process, epoll: InstanceId, out: &mut [(u32, u64)]) -> usize {
    let most = out.len();
    let mut slots = out.iter_mut();
    core.take(epoll, most, |events, data| {
        if let Some(slot) = slots.next() {
            *slot = (events.bits(), data);
        }
    })
}

#[inline(never)]
fn control(core: &mut Process, epoll: InstanceId, what: Operation, fd: i32, source: SourceId) {
    core.epoll_ctl(epoll, what, fd, source).unwrap();
}

#[inline(never)]
fn poll(core: &mut Process, fds: &[u32]) -> usize {
    let asked = IN as u16;
    fds.iter()
        .filter(|&&fd| !core.revents(fd, asked).is_empty())
        .count()
}

/// As the shim does it: fds are numbers into a table, their sets come word by word.
#[inline(never)]
fn select(core: &mut Process, table: &[u32], sets: &[Words]) -> usize {
    let mut ready = 0;
    for (i, &words) in sets.iter().enumerate() {
        let number = |bit| table.get(i * 64 + bit as usize).copied();
        let (words, count) = core.select(words, number).unwrap();
        black_box(words);
        ready += count;
    }
    ready
}

#[inline(always)]
fn breakpoint() {
    // SAFETY: the tracer goes on after it; nothing but the instruction pointer changes.
    unsafe { core::arch::asm!("int3") };
}

/// Lets the tracer count `work`, after it has run twice, so that everything has grown to its size.
fn counted(mut work: impl FnMut()) {
    work();
    work();
    breakpoint();
    work();
    breakpoint();
}

/// The limits, for each row of [`child`].
const ROWS: &[(&str, u64, u64)] = &[
    // name, operations, most instructions for each
    ("(nothing)", 1, u64::MAX),
    ("wait, nothing ready", 1, 60),
    ("wait, one level-triggered ready", 1, 120),
    ("64 level-triggered ready", 1, 120 + 63 * 40),
    ("add", 1, 250),
    ("modify", 1, 250),
    ("delete", 1, 250),
    ("poll, each fd", 256, 20),
    ("select for reading, each fd", 256, 20),
    (
        "select for reading and writing, none ready, each fd",
        256,
        20,
    ),
    ("select for writing, all ready, each fd", 256, 20),
    (
        "select for reading and writing, all ready to write, each fd",
        256,
        20,
    ),
    (
        "select for reading and writing, each second ready to read too, each fd",
        256,
        34,
    ),
    ("eventfd: write, wait, read; level", 1, 250),
    ("eventfd: write, wait, read; edge", 1, 300),
    ("eventfd: write, wait, read, re-arm; one-shot", 1, 480),
    ("eventfd: write, read; watched", 1, 250),
    // Pages are counted as Linux counts them: about 60 of these.
    ("pipe of 8 bytes: write, wait, read; level", 1, 370),
];

const SIZES: [usize; 2] = [1, 100_000];

/// What is counted, row by row, for each size.
fn child() {
    for n in SIZES {
        let mut out = [(0, 0); 64];
        let mut b = Bench::new(n, IN);
        counted(|| {});
        counted(|| assert_eq!(wait(&mut b.core, b.epoll, &mut out), 0));
        b.fds[n / 2].write(&mut b.core, 1).unwrap();
        counted(|| assert_eq!(wait(&mut b.core, b.epoll, &mut out), 1));
        let mut many = Bench::new(n.max(65), IN);
        for fd in &mut many.fds[..65] {
            fd.write(&mut many.core, 1).unwrap();
        }
        counted(|| assert_eq!(wait(&mut many.core, many.epoll, &mut out), 64));

        let extra = EventFd::new(&mut b.core, 0, false);
        let (source, fd) = (extra.source(), n as i32);
        let add = Operation::Add {
            events: IN,
            data: 1,
        };
        let modify = Operation::Modify {
            events: IN | EDGE,
            data: 1,
        };
        for row in 0..3 {
            for time in 0..3 {
                for (step, what) in [add, modify, Operation::Delete].into_iter().enumerate() {
                    if time == 2 && step == row {
                        breakpoint();
                        control(&mut b.core, b.epoll, what, fd, source);
                        breakpoint();
                    } else {
                        control(&mut b.core, b.epoll, what, fd, source);
                    }
                }
            }
        }
        let polled: Vec<u32> = (0..256)
            .map(|_| EventFd::new(&mut b.core, 0, false).source().number())
            .collect();
        counted(|| assert_eq!(poll(&mut b.core, &polled), 0));
        let all = u64::MAX;
        counted(|| assert_eq!(select(&mut b.core, &polled, &[[all, 0, 0]; 4]), 0));
        let idle: Vec<u32> = (0..256)
            .map(|_| Pipe::new(&mut b.core).reader().number())
            .collect();
        counted(|| assert_eq!(select(&mut b.core, &idle, &[[all, all, 0]; 4]), 0));
        counted(|| assert_eq!(select(&mut b.core, &polled, &[[0, all, 0]; 4]), 256));
        counted(|| assert_eq!(select(&mut b.core, &polled, &[[all, all, 0]; 4]), 256));
        let mixed: Vec<u32> = (0..256)
            .map(|i| EventFd::new(&mut b.core, i % 2, false).source().number())
            .collect();
        counted(|| assert_eq!(select(&mut b.core, &mixed, &[[all, all, 0]; 4]), 384));

        for (events, rearm) in [(IN, false), (IN | EDGE, false), (IN | ONE_SHOT, true)] {
            let mut b = Bench::new(n, events);
            let (at, epoll) = (n / 2, b.epoll);
            let fd = &mut b.fds[at];
            counted(|| {
                let written = fd.write(&mut b.core, 1).is_ok();
                let n = wait(&mut b.core, epoll, &mut out);
                let _ = black_box((written, n, fd.read(&mut b.core)));
                if rearm {
                    let again = Operation::Modify { events, data: 1 };
                    control(&mut b.core, epoll, again, at as i32, fd.source());
                }
            });
        }
        let mut b = Bench::new(n, IN);
        let fd = &mut b.fds[n / 2];
        counted(|| {
            let written = fd.write(&mut b.core, 1).is_ok();
            let _ = black_box((written, fd.read(&mut b.core)));
        });
        let mut pipe = Pipe::new(&mut b.core);
        let add = Operation::Add {
            events: IN,
            data: 1,
        };
        control(&mut b.core, b.epoll, add, n as i32, pipe.reader());
        wait(&mut b.core, b.epoll, &mut out);
        counted(|| {
            let mut bytes = [0; 8];
            let written = pipe.write(&mut b.core, &bytes).is_ok();
            let n = wait(&mut b.core, b.epoll, &mut out);
            let _ = black_box((written, n, pipe.read(&mut b.core, &mut bytes)));
        });
    }
}

/// Instructions between the child's next two breakpoints; `None` when it has ended.
fn count(child: Pid) -> Option<u64> {
    let stopped = |status| match status {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => true,
        WaitStatus::Exited(_, 0) => false,
        other => panic!("the traced child: {other:?}"),
    };
    ptrace::cont(child, None).unwrap();
    if !stopped(waitpid(child, None).unwrap()) {
        return None;
    }
    let mut steps = 0;
    loop {
        let at = ptrace::getregs(child).unwrap().rip;
        let word = ptrace::read(child, at as ptrace::AddressType).unwrap();
        if word as u8 == 0xcc {
            // The second breakpoint: let it happen.
            ptrace::cont(child, None).unwrap();
            assert!(stopped(waitpid(child, None).unwrap()));
            return Some(steps);
        }
        ptrace::step(child, None).unwrap();
        assert!(stopped(waitpid(child, None).unwrap()));
        steps += 1;
    }
}

/// Not libtest's: the child must be one thread.
fn main() {
    if std::env::var_os("COST_CHILD").is_some() {
        return child();
    }
    if std::env::args().any(|argument| argument == "--list") {
        return println!("{NAME}: test");
    }
    let failed = run();
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("test {NAME} ... {result}");
    if !failed.is_empty() {
        println!("{}", failed.join("\n"));
        std::process::exit(101);
    }
}

const NAME: &str = "every_operation_stays_within_its_limit";

/// Counts; what exceeded its limit.
#[allow(
    clippy::zombie_processes,
    reason = "waited for by number: the last wait finds it exited"
)]
fn run() -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("COST_CHILD", "1");
    // SAFETY: between fork and exec only this system call is made.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    // Stopped by its exec.
    waitpid(pid, None).unwrap();
    let (mut failed, mut nothing) = (Vec::new(), 0);
    for n in SIZES {
        for &(name, operations, limit) in ROWS {
            let mut total = count(pid).expect("a row for each measurement");
            if limit == u64::MAX {
                nothing = total;
            }
            total -= nothing;
            let each = total.div_ceil(operations);
            println!("N = {n:>6}  {name:<52} {each:>5} of {limit}");
            if each > limit && !cfg!(debug_assertions) {
                failed.push(format!(
                    "{name}, N = {n}: {each} instructions, more than {limit}"
                ));
            }
        }
    }
    assert_eq!(count(pid), None);
    failed
}
