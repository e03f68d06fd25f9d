// SPDX-License-Identifier: BSD-2-Clause
//! Who answers calls: Linux, or ours.
//!
//! Each has an fd table of its own that starts empty, so that both give the same numbers.

use crate::meanwhile::{Both, Helper, Job, Prepared};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Numbers of the calls that are made, as in Linux's `asm/unistd_64.h`.
#[allow(missing_docs)]
pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const OPEN: usize = 2;
    pub const CLOSE: usize = 3;
    pub const POLL: usize = 7;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const READV: usize = 19;
    pub const WRITEV: usize = 20;
    pub const SELECT: usize = 23;
    pub const DUP: usize = 32;
    pub const DUP2: usize = 33;
    pub const SENDTO: usize = 44;
    pub const RECVFROM: usize = 45;
    pub const SHUTDOWN: usize = 48;
    pub const SOCKETPAIR: usize = 53;
    pub const KILL: usize = 62;
    pub const FCNTL: usize = 72;
    pub const RT_SIGPENDING: usize = 127;
    pub const SETRLIMIT: usize = 160;
    pub const EPOLL_CREATE: usize = 213;
    pub const EPOLL_WAIT: usize = 232;
    pub const EPOLL_CTL: usize = 233;
    pub const TGKILL: usize = 234;
    pub const PSELECT6: usize = 270;
    pub const PPOLL: usize = 271;
    pub const EPOLL_PWAIT: usize = 281;
    pub const TIMERFD_CREATE: usize = 283;
    pub const EVENTFD: usize = 284;
    pub const TIMERFD_SETTIME: usize = 286;
    pub const TIMERFD_GETTIME: usize = 287;
    pub const SIGNALFD4: usize = 289;
    pub const EVENTFD2: usize = 290;
    pub const EPOLL_CREATE1: usize = 291;
    pub const DUP3: usize = 292;
    pub const PIPE2: usize = 293;
    pub const CLOSE_RANGE: usize = 436;
    pub const EPOLL_PWAIT2: usize = 441;
}

/// Open files that a program can have. Linux's fd tables begin with room for as many, so that select(2) looks at the same fds on both sides.
pub const FILES: usize = 64;

/// Signals that programs raise, handle and block.
pub const SIGNALS: [i32; 2] = [libc::SIGUSR1, libc::SIGUSR2];

/// Somebody who answers system calls.
pub trait Subject {
    /// The result, or a negated errno.
    ///
    /// # Safety
    /// As for the call of that number: pointers among the arguments must be what it says.
    unsafe fn call(&mut self, number: usize, args: &[usize; 6]) -> isize;

    /// A call that may block, and another that a second thread makes once it does.
    ///
    /// # Safety
    /// As for both calls.
    unsafe fn during(&mut self, wait: Job, other: Job) -> Both;

    /// Sends the thread a signal.
    fn raise(&mut self, signal: usize) -> isize;

    /// How many times handlers have run.
    fn handled(&self) -> u32;
}

/// This Linux, in a thread with an fd table of its own.
#[derive(Debug)]
pub struct Linux(Helper);

/// By thread: each of several Linux sides counts its own.
#[derive(Debug, Default)]
struct Handled(AtomicU32);

thread_local!(static HANDLED: Handled = Handled::default());

/// Ends a wait that nothing else has ended. Programs neither raise nor block it.
const INTERRUPTS: i32 = libc::SIGHUP;

extern "C" fn nothing(_: i32) {}

extern "C" fn linux_handler(_: i32) {
    // A plain thread-local without a destructor, initialised by `Linux::new` before a signal can come.
    HANDLED.with(|handled| handled.0.fetch_add(1, Relaxed));
}

impl Linux {
    /// Takes over the calling thread: its fds are closed, for it alone.
    pub fn new() -> Linux {
        HANDLED.with(|handled| handled.0.store(0, Relaxed));
        let prepared = Prepared::new();
        let plain = (INTERRUPTS, nothing as *const ());
        let counted = SIGNALS.map(|signal| (signal, linux_handler as *const ()));
        for (signal, handler) in counted.into_iter().chain([plain]) {
            // SAFETY: a zeroed sigaction is a valid one; the handler does what a handler may.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as usize;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
        // SAFETY: the thread uses none of the process's fds; UNSHARE leaves them open for the others.
        let result = unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::close_range(0, u32::MAX, libc::CLOSE_RANGE_UNSHARE as i32)
        };
        assert_eq!(result, 0, "close_range cannot unshare (Linux 5.9)");
        let own = one_processor();
        let begin = move || stay_on(own);
        let call = |&(number, args): &Job| plain_call(number, &args);
        let interrupt = |thread: i32| {
            let process = std::process::id() as usize;
            let args = [process, thread as usize, INTERRUPTS as usize, 0, 0, 0];
            assert_eq!(plain_call(nr::TGKILL, &args), 0);
        };
        Linux(prepared.start(begin, call, interrupt))
    }

    /// Limits the process's open files to [`FILES`].
    pub fn limit_files() {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the struct is ours.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = FILES as u64;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

impl Default for Linux {
    fn default() -> Self {
        Linux::new()
    }
}

impl Subject for Linux {
    unsafe fn call(&mut self, number: usize, args: &[usize; 6]) -> isize {
        plain_call(number, args)
    }

    unsafe fn during(&mut self, (number, args): Job, other: Job) -> Both {
        self.0.during(|| plain_call(number, &args), other)
    }

    fn raise(&mut self, signal: usize) -> isize {
        // SAFETY: no pointers.
        unsafe {
            let args = [
                libc::getpid() as usize,
                libc::gettid() as usize,
                signal,
                0,
                0,
                0,
            ];
            self.call(nr::TGKILL, &args)
        }
    }

    fn handled(&self) -> u32 {
        HANDLED.with(|handled| handled.0.load(Relaxed))
    }
}

/// A system call. Whoever made the arguments has promised that its pointers are good.
fn plain_call(number: usize, args: &[usize; 6]) -> isize {
    let [a, b, c, d, e, f] = *args;
    // SAFETY: the promise of `Subject::call` and `Subject::during`, through which all numbers and arguments come.
    let result = unsafe { libc::syscall(number as i64, a, b, c, d, e, f) };
    if result == -1 {
        // No call that is made here can give -1 as a result.
        return -(std::io::Error::last_os_error().raw_os_error().unwrap_or(0) as isize);
    }
    result as isize
}

/// Sees to it that a call that wakes another thread twice is over before that one runs: both share a processor, and this one, being of a batch, takes it from
/// nobody. (Where Linux does not let us, or preempts all the same, a program may have another answer in one run of many: `worker` runs it again.)
fn one_processor() -> i32 {
    // SAFETY: no pointers but to a struct of ours.
    unsafe {
        let processor = libc::sched_getcpu();
        stay_on(processor);
        let batch = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &batch);
        processor
    }
}

fn stay_on(processor: i32) {
    // SAFETY: a zeroed set is an empty one.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor.max(0) as usize, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// The shim in this process: one for the whole process, in the main thread.
#[derive(Debug)]
pub struct Ours(Helper);

static OURS_HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn our_handler(_: i32) {
    OURS_HANDLED.fetch_add(1, Relaxed);
}

impl Ours {
    /// Starts the shim. Once in a process.
    pub fn start() -> Ours {
        musl_shim::start();
        // SAFETY: the promise of `Subject::during`, through which all jobs come.
        let call = |(number, args): &Job| unsafe { musl_shim::call(*number, args) };
        let begin = move || {
            // Signals are the first thread's.
            let all = u64::MAX;
            const SETMASK: usize = 2;
            let args = [SETMASK, &raw const all as usize, 0, 8, 0, 0];
            assert_eq!(call(&(nr::RT_SIGPROCMASK, args)), 0);
        };
        let interrupt = |_| {
            eprintln!("the wait is over on Linux, and not on ours");
            std::process::abort();
        };
        let mut ours = Ours(Prepared::new().start(begin, call, interrupt));
        let mut action = [0u64; 4];
        for signal in SIGNALS {
            action[0] = our_handler as *const () as u64;
            let args = [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0];
            // SAFETY: a struct sigaction as the kernel has it.
            assert_eq!(unsafe { ours.call(nr::RT_SIGACTION, &args) }, 0);
        }
        action[0] = libc::SIG_IGN as u64;
        let args = [libc::SIGPIPE as usize, action.as_ptr() as usize, 0, 8, 0, 0];
        // SAFETY: as above.
        assert_eq!(unsafe { ours.call(nr::RT_SIGACTION, &args) }, 0);
        let limit = [FILES as u64, FILES as u64];
        let args = [
            libc::RLIMIT_NOFILE as usize,
            limit.as_ptr() as usize,
            0,
            0,
            0,
            0,
        ];
        // SAFETY: a struct rlimit.
        assert_eq!(unsafe { ours.call(nr::SETRLIMIT, &args) }, 0);
        ours
    }
}

impl Subject for Ours {
    unsafe fn call(&mut self, number: usize, args: &[usize; 6]) -> isize {
        // SAFETY: the caller's promise.
        unsafe { musl_shim::call(number, args) }
    }

    unsafe fn during(&mut self, (number, args): Job, other: Job) -> Both {
        // SAFETY: the caller's promise.
        self.0
            .during(|| unsafe { musl_shim::call(number, &args) }, other)
    }

    fn raise(&mut self, signal: usize) -> isize {
        let process = std::process::id() as usize;
        // SAFETY: no pointers.
        unsafe { self.call(nr::KILL, &[process, signal, 0, 0, 0, 0]) }
    }

    fn handled(&self) -> u32 {
        OURS_HANDLED.load(Relaxed)
    }
}
