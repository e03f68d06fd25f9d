// SPDX-License-Identifier: BSD-2-Clause
//! Whose a call is: ours by the shim's table, ours by something special here, or Linux's.

use super::super::raw::{self, nr};
use super::{actions, family, fds, signals, thread};
use crate::abi::{F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL, FIONBIO, FIONREAD, Msghdr, Pollfd};
use crate::dispatch::Args;
use crate::files::get;
use crate::shared::locked;
use crate::user;

/// Answers a call that the shim's table does not.
pub fn route(number: usize, args: &Args) -> Option<isize> {
    match number {
        // Of the table whatever fd it is.
        nr::PIPE | nr::PIPE2 | nr::EVENTFD | nr::EVENTFD2 | nr::TIMERFD_CREATE => None,
        nr::EPOLL_CREATE | nr::EPOLL_CREATE1 => None,
        nr::EPOLL_WAIT | nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 => {
            ours(|| fds::meet(args[0]));
            None
        }
        nr::EPOLL_CTL => {
            ours(|| {
                fds::meet(args[0]);
                fds::meet(args[2]);
            });
            None
        }
        nr::POLL | nr::PPOLL => {
            ours(|| meet_polled(args[0], args[1] as u32 as usize));
            None
        }
        nr::SELECT | nr::PSELECT6 => {
            ours(|| meet_selected(args[0] as i32, &args[1..4]));
            None
        }
        // Of the table if the fd is ours.
        nr::READ
        | nr::WRITE
        | nr::READV
        | nr::WRITEV
        | nr::TIMERFD_SETTIME
        | nr::TIMERFD_GETTIME
            if fds::is_ours(args[0]) =>
        {
            None
        }
        nr::IOCTL if fds::is_ours(args[0]) => match args[1] as u32 {
            FIONREAD => None,
            FIONBIO => {
                ours(|| {
                    if let (Ok(file), Ok(on)) = (get(args[0]), user::read::<i32>(args[2])) {
                        let flags = file.flags() & !crate::abi::O_NONBLOCK;
                        let on = u32::from(on != 0) * crate::abi::O_NONBLOCK;
                        file.set_flags(flags | on);
                    }
                });
                Some(pass(number, args))
            }
            _ => Some(pass(number, args)),
        },
        // Special.
        nr::CLOSE => Some(ours(|| {
            fds::leave(args[0]);
            pass(number, args)
        })),
        nr::DUP => Some(duplicate(args[0], number, args)),
        nr::DUP2 | nr::DUP3 if args[0] as u32 != args[1] as u32 => Some(ours(|| {
            fds::meet(args[0]);
            if get(args[0]).is_ok() && (args[1] as u32 as usize) < fds::limit().unwrap_or(0) {
                fds::leave(args[1]);
            }
            let result = pass(number, args);
            if result >= 0 {
                fds::duplicate(args[0], result as usize);
            }
            result
        })),
        nr::FCNTL => match args[1] as u32 {
            F_DUPFD | F_DUPFD_CLOEXEC => Some(duplicate(args[0], number, args)),
            F_SETFL if fds::is_ours(args[0]) => {
                ours(|| get(args[0]).map(|file| file.set_flags(args[2] as u32))).ok();
                Some(pass(number, args))
            }
            _ => Some(pass(number, args)),
        },
        nr::CLOSE_RANGE => Some(close_range(args)),
        nr::SENDMSG => {
            ours(|| give_rights(args[1]));
            Some(pass(number, args))
        }
        nr::SENDFILE
        | nr::SPLICE
        | nr::TEE
        | nr::COPY_FILE_RANGE
        | nr::VMSPLICE
        | nr::PREADV2
        | nr::PWRITEV2 => {
            ours(|| args[..3].iter().for_each(|&fd| fds::give_away(fd)));
            Some(pass(number, args))
        }
        nr::FORK | nr::CLONE => Some(family::fork(number, args)),
        nr::VFORK => Some(family::plain_fork()),
        nr::CLONE3 => Some(-(crate::errno::Errno::ENOSYS.raw() as isize)),
        nr::EXECVE | nr::EXECVEAT => Some(family::exec(number, args)),
        nr::RT_SIGACTION => Some(actions::set(args)),
        nr::EXIT => thread::exit_thread(args[0]),
        // Linux's.
        _ => Some(pass(number, args)),
    }
}

/// Linux's answer.
fn pass(number: usize, args: &Args) -> isize {
    // SAFETY: the program's own call, with its own pointers.
    unsafe { raw::syscall(number, args) }
}

/// Works on our state.
fn ours<R>(work: impl FnOnce() -> R) -> R {
    signals::uninterrupted(|| locked(work))
}

fn duplicate(fd: usize, number: usize, args: &Args) -> isize {
    ours(|| {
        fds::meet(fd);
        let result = pass(number, args);
        if result >= 0 {
            fds::duplicate(fd, result as usize);
        }
        result
    })
}

/// All but the shim's own, which the program cannot mean.
fn close_range(args: &Args) -> isize {
    const CLOEXEC: u32 = 4;
    let (first, last, flags) = (args[0] as u32, args[1] as u32, args[2] as u32);
    if flags & CLOEXEC == 0 && first <= last {
        ours(|| {
            let known: alloc::vec::Vec<usize> = crate::files::table()
                .iter()
                .map(|(fd, _)| fd)
                .filter(|&fd| (first as usize..=last as usize).contains(&fd))
                .collect();
            for fd in known {
                fds::leave(fd);
                pass(nr::CLOSE, &[fd, 0, 0, 0, 0, 0]);
            }
        });
    }
    let last = (last as usize).min(fds::hidden_from().saturating_sub(1));
    if last < first as usize {
        return 0;
    }
    pass(
        nr::CLOSE_RANGE,
        &[first as usize, last, flags as usize, 0, 0, 0],
    )
}

fn meet_polled(fds: usize, count: usize) {
    if count > fds::limit().unwrap_or(0) {
        return;
    }
    for i in 0..count {
        match user::read::<Pollfd>(fds + i * size_of::<Pollfd>()) {
            Ok(entry) if entry.fd >= 0 => fds::meet(entry.fd as usize),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn meet_selected(count: i32, sets: &[usize]) {
    let count = usize::try_from(count)
        .unwrap_or(0)
        .min(fds::limit().unwrap_or(0));
    for &set in sets.iter().filter(|&&set| set != 0) {
        for i in 0..count.div_ceil(64) {
            let Ok(mut word) = user::read::<u64>(set + i * 8) else {
                return;
            };
            while word != 0 {
                let fd = i * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                if fd < count {
                    fds::meet(fd);
                }
            }
        }
    }
}

/// fds that a message carries to another process become Linux's.
fn give_rights(message: usize) {
    const HEADER: usize = 16;
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    let Ok(message) = user::read::<Msghdr>(message) else {
        return;
    };
    let (mut at, end) = (
        message.msg_control as usize,
        (message.msg_control as usize).saturating_add(message.msg_controllen as usize),
    );
    while at != 0 && at + HEADER <= end {
        let Ok(len) = user::read::<u64>(at) else {
            return;
        };
        let Ok([level, kind]) = user::read::<[i32; 2]>(at + 8) else {
            return;
        };
        let len = len as usize;
        if len < HEADER || len > end - at {
            return;
        }
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) {
            for i in 0..(len - HEADER) / 4 {
                if let Ok(fd) = user::read::<i32>(at + HEADER + i * 4) {
                    fds::give_away(fd as usize);
                }
            }
        }
        at += len.next_multiple_of(8);
    }
}
