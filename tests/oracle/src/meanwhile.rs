// SPDX-License-Identifier: BSD-2-Clause
//! A second thread, which makes a call while the first is blocked in one: that it is, Linux itself says.
//!
//! Both sides block in calls of Linux's. Of a thread, `/proc/self/task/N/stat` says whether it sleeps or is about to, unless somebody has woken it; then
//! `/proc/self/task/N/syscall` names a call if the thread is off the processor in it. Both at once, in this order: it is blocked there. Whoever wakes a
//! thread marks it so before its own call ends, so a waiter that is found blocked after the other call has not been woken, or has looked and found nothing.
//! Nothing here depends on how long anything takes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::subject::nr;

/// Calls in which a thread waits for events, on either side.
const WAITS: &[usize] = &[
    nr::POLL,
    nr::PPOLL,
    nr::SELECT,
    nr::PSELECT6,
    nr::EPOLL_WAIT,
    nr::EPOLL_PWAIT,
    nr::EPOLL_PWAIT2,
];

/// A call: its number and arguments.
pub type Job = (usize, [usize; 6]);

/// What came of two calls of which one was made while the other was blocked.
#[derive(Clone, Copy, Debug)]
pub struct Both {
    /// Of the one that waited.
    pub waited: isize,
    /// Of the other.
    pub other: isize,
    /// The other did not end the wait: a signal has.
    pub in_vain: bool,
}

/// Looks at threads. It has an fd table of its own, since those that are compared may have no fds more.
#[derive(Clone, Debug)]
struct Observer {
    ask: SyncSender<(i32, SyncSender<bool>)>,
}

impl Observer {
    /// To be started before the calling thread takes over an fd table.
    fn start() -> Observer {
        let (ask, asked) = sync_channel::<(i32, SyncSender<bool>)>(0);
        let (ready, started) = sync_channel(0);
        thread::spawn(move || {
            // SAFETY: this thread has opened nothing.
            let unshared =
                unsafe { libc::close_range(0, u32::MAX, libc::CLOSE_RANGE_UNSHARE as i32) };
            assert_eq!(unshared, 0, "close_range cannot unshare (Linux 5.9)");
            ready.send(()).expect("whoever started this waits");
            let mut open: Option<(i32, [File; 2])> = None;
            for (thread, answer) in asked {
                if open.as_ref().is_none_or(|(of, _)| *of != thread) {
                    let files = ["stat", "syscall"].map(|name| {
                        let file = File::open(format!("/proc/self/task/{thread}/{name}"));
                        file.expect("Linux says what a thread does")
                    });
                    open = Some((thread, files));
                }
                let (_, [stat, syscall]) = open.as_ref().expect("opened above");
                let blocked = sleeps(stat) && is_waiting(syscall);
                answer.send(blocked).expect("whoever asked waits");
            }
        });
        started.recv().expect("the thread starts");
        Observer { ask }
    }

    /// Whether a thread is blocked in one of [`WAITS`] now.
    fn is_blocked(&self, thread: i32) -> bool {
        let (answer, answered) = sync_channel(1);
        self.ask.send((thread, answer)).expect("the observer runs");
        answered.recv().expect("the observer answers")
    }
}

/// The first words of a file.
fn read(file: &File) -> String {
    let mut line = [0; 256];
    let len = file.read_at(&mut line, 0).unwrap_or(0);
    String::from_utf8_lossy(&line[..len]).into_owned()
}

/// Whether its state is S. It stands behind the thread's name, which ends with the last bracket.
fn sleeps(stat: &File) -> bool {
    let line = read(stat);
    let state = line.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|rest| rest.starts_with('S'))
}

/// Whether it is off the processor in one of [`WAITS`].
fn is_waiting(syscall: &File) -> bool {
    let line = read(syscall);
    let number = line.split(' ').next().and_then(|word| word.parse().ok());
    number.is_some_and(|number| WAITS.contains(&number))
}

/// The second thread.
#[derive(Debug)]
pub struct Helper {
    /// A wait has begun: who waits, and what to do meanwhile.
    begin: SyncSender<(i32, Job)>,
    /// The other call's result, and whether a signal had to end the wait.
    ended: Receiver<(isize, bool)>,
    /// The wait is over.
    back: Arc<AtomicBool>,
}

/// The observer of a helper that is yet to be started.
#[derive(Debug)]
pub struct Prepared(Observer);

impl Prepared {
    /// Before the calling thread takes over an fd table.
    pub fn new() -> Prepared {
        Prepared(Observer::start())
    }

    /// Starts the second thread, which has the caller's fds. `begin` runs in it first, `call` makes its calls, `interrupt` sends a thread a signal that
    /// ends its wait.
    pub fn start(
        self,
        begin: impl FnOnce() + Send + 'static,
        call: impl Fn(&Job) -> isize + Send + 'static,
        interrupt: impl Fn(i32) + Send + 'static,
    ) -> Helper {
        let (begun, beginnings) = sync_channel::<(i32, Job)>(0);
        let (end, ended) = sync_channel(0);
        let back = Arc::<AtomicBool>::default();
        let is_back = back.clone();
        thread::spawn(move || {
            begin();
            // Until the wait is over, or the thread blocked in it: which of the two.
            let is_over = |thread| loop {
                if is_back.load(SeqCst) {
                    return true;
                }
                if self.0.is_blocked(thread) {
                    return false;
                }
                thread::yield_now();
            };
            for (thread, job) in beginnings {
                is_over(thread);
                let result = call(&job);
                let in_vain = !is_over(thread);
                if in_vain {
                    interrupt(thread);
                }
                if end.send((result, in_vain)).is_err() {
                    break;
                }
            }
        });
        Helper {
            begin: begun,
            ended,
            back,
        }
    }
}

impl Default for Prepared {
    fn default() -> Self {
        Prepared::new()
    }
}

impl Helper {
    /// Makes a call that may block, and another once it does, or has ended.
    pub fn during(&self, wait: impl FnOnce() -> isize, job: Job) -> Both {
        self.back.store(false, SeqCst);
        // SAFETY: no pointers.
        let me = unsafe { libc::gettid() };
        self.begin.send((me, job)).expect("the helper runs");
        let waited = wait();
        self.back.store(true, SeqCst);
        let (other, in_vain) = self.ended.recv().expect("the helper answers");
        Both {
            waited,
            other,
            in_vain,
        }
    }
}
