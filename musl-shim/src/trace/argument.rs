// SPDX-License-Identifier: BSD-2-Clause
//! An argument as a line shows it. What a pointer leads to is shown where the call has looked at it, too: so a wrong one is seen here only if the call did not mind it.

use core::fmt::Write;

use super::flags::{self, Names, put_choice, put_flags, put_signal};
use super::line::Line;
use crate::abi::{EpollEvent, Iovec, Pollfd, Timespec, Timeval};
use crate::dispatch::Args;
use crate::errno::Errno;
use crate::user;

/// Most elements of an array that are shown.
const SHOWN: usize = 8;
/// Longest path.
const PATH: usize = 4096;
/// O_CREAT, and what of O_TMPFILE is its own.
const CREATES: u32 = 0o20000100;

/// What an argument is. Indices are those of other arguments of the call.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// int
    Int,
    /// long, size_t
    Long,
    /// An address, which is not followed.
    Hex,
    /// A word in hexadecimal.
    Word,
    /// int, where -100 is AT_FDCWD.
    Directory,
    /// A string that ends with a zero byte.
    Path,
    /// Strings, up to a null pointer.
    Strings,
    /// Bytes that the call takes; argument `.0` says how many.
    Given(usize),
    /// Bytes that it gives; its result says how many.
    Taken,
    /// A string that it gives; its result says how many bytes.
    TakenPath,
    /// Mode bits in octal.
    Mode,
    /// The same, if the argument before has O_CREAT or O_TMPFILE.
    NewMode,
    /// Flags.
    Flags(Names, &'static str),
    /// One of several.
    Choice(Names),
    /// Flags of open(2).
    Open,
    /// Type of a socket, with flags.
    SocketType,
    /// An option, of the level in the argument before.
    Option,
    /// Command and flags of futex(2).
    Futex,
    /// A signal.
    Signal,
    /// struct timespec, null or not.
    Time,
    /// struct timespec that the call writes.
    TimeTaken,
    /// struct timeval, null or not.
    Timeval,
    /// struct epoll_event that the call takes.
    Event,
    /// Those that it gives; its result says how many.
    Events,
    /// struct pollfd; argument `.0` says how many.
    Polled(usize),
    /// int that the call writes.
    IntTaken,
    /// Two ints that it writes.
    Pair,
    /// struct iovec; argument `.0` says how many.
    Vector(usize),
    /// struct sockaddr that it takes; the next argument has its length.
    Address,
    /// A set of signals that it takes.
    Set,
}

/// When the line is made, and what came of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is being made.
    Before,
    /// It has returned this.
    After(usize),
    /// It failed.
    Failed(Errno),
}

impl Moment {
    /// Whether what the call took from the program can be shown: unless it failed before it looked.
    fn shows_given(self) -> bool {
        let early = [
            Errno::EFAULT,
            Errno::EBADF,
            Errno::EINVAL,
            Errno::ENOSYS,
            Errno::ENOTSOCK,
        ];
        !matches!(self, Moment::Failed(errno) if early.contains(&errno))
    }

    fn result(self) -> Option<usize> {
        match self {
            Moment::After(result) => Some(result),
            _ => None,
        }
    }
}

/// Adds argument `i` of a call.
pub fn show(line: &mut Line, kind: Kind, i: usize, args: &Args, moment: Moment) {
    let value = args[i];
    let word = value as u32;
    match kind {
        Kind::Int => line.write(format_args!("{}", value as i32)),
        Kind::Long => line.write(format_args!("{}", value as i64)),
        Kind::Word => line.write(format_args!("{value:#x}")),
        Kind::Directory if value as i32 == -100 => line.put("AT_FDCWD"),
        Kind::Directory => line.write(format_args!("{}", value as i32)),
        Kind::NewMode if args[i - 1] as u32 & CREATES == 0 => line.put("0"),
        Kind::Mode | Kind::NewMode => line.write(format_args!("{word:#05o}")),
        Kind::Flags(names, none) => put_flags(line, word, names, none),
        Kind::Choice(names) => put_choice(line, word, names),
        Kind::Open => put_open(line, word),
        Kind::SocketType => put_socket_type(line, word),
        Kind::Option => put_option(line, args[i - 1] as u32, word),
        Kind::Futex => put_futex(line, word),
        Kind::Signal => put_signal(line, word as usize),
        _ if value == 0 => line.put("NULL"),
        _ => {
            if pointed(line, kind, value, args, moment).is_none() {
                line.write(format_args!("{value:#x}"));
            }
        }
    }
}

/// What a pointer leads to; `None`: it is not to be followed.
fn pointed(line: &mut Line, kind: Kind, at: usize, args: &Args, moment: Moment) -> Option<()> {
    if !moment.shows_given() {
        return None;
    }
    match kind {
        Kind::Path => line.string(user::string(at, PATH).ok()?, true),
        Kind::Strings => put_array(line, usize::MAX, |line, i| {
            let string: u64 = user::read(at + i * 8).ok()?;
            (string != 0).then(|| {
                let string = user::string(string as usize, PATH).unwrap_or(b"?");
                line.string(string, false);
            })
        }),
        Kind::Given(len) => line.string(user::bytes(at, args[len]).ok()?, false),
        Kind::Time => put_time(line, user::read::<Timespec>(at).ok()?),
        Kind::Timeval => {
            let time: Timeval = user::read(at).ok()?;
            write!(line, "{{{}, {}}}", time.tv_sec, time.tv_usec).ok()
        }
        Kind::Event => put_event(line, user::read::<EpollEvent>(at).ok()?),
        Kind::Polled(count) => {
            let answered = matches!(moment, Moment::After(1..));
            put_array(line, args[count] as u32 as usize, |line, i| {
                put_polled(line, at + i * size_of::<Pollfd>(), answered)
            })
        }
        Kind::Vector(count) => put_array(line, args[count] as u32 as usize, |line, i| {
            let part: Iovec = user::read(at + i * size_of::<Iovec>()).ok()?;
            write!(line, "{{{:#x}, {}}}", part.iov_base, part.iov_len).ok()
        }),
        Kind::Address => put_address(line, at, args[args.iter().position(|a| *a == at)? + 1]),
        Kind::Set => put_set(line, user::read::<u64>(at).ok()?),
        // What the call gives.
        _ => given_back(line, kind, at, moment.result()?),
    }
}

fn given_back(line: &mut Line, kind: Kind, at: usize, result: usize) -> Option<()> {
    match kind {
        Kind::Taken => line.string(user::bytes(at, result).ok()?, false),
        Kind::TakenPath => {
            let bytes = user::bytes(at, result).ok()?;
            line.string(bytes.strip_suffix(b"\0").unwrap_or(bytes), true)
        }
        Kind::TimeTaken => put_time(line, user::read::<Timespec>(at).ok()?),
        Kind::Events => put_array(line, result, |line, i| {
            let event = user::read::<EpollEvent>(at + i * size_of::<EpollEvent>());
            put_event(line, event.ok()?)
        }),
        Kind::IntTaken => write!(line, "[{}]", user::read::<i32>(at).ok()?).ok(),
        Kind::Pair => {
            let pair: [i32; 2] = user::read(at).ok()?;
            write!(line, "[{}, {}]", pair[0], pair[1]).ok()
        }
        _ => None,
    }
}

/// Elements in brackets, until one is not there; dots for those beyond the first few.
fn put_array(
    line: &mut Line,
    count: usize,
    mut put: impl FnMut(&mut Line, usize) -> Option<()>,
) -> Option<()> {
    line.put("[");
    for i in 0..count.min(SHOWN) {
        let len = line.len();
        line.put(if i > 0 { ", " } else { "" });
        if put(line, i).is_none() {
            line.cut(len);
            break;
        }
    }
    line.put(if count > SHOWN && count != usize::MAX {
        ", ...]"
    } else {
        "]"
    });
    Some(())
}

fn put_time(line: &mut Line, time: Timespec) -> Option<()> {
    write!(line, "{{{}, {}}}", time.tv_sec, time.tv_nsec).ok()
}

fn put_event(line: &mut Line, event: EpollEvent) -> Option<()> {
    let (events, data) = (event.events, event.data);
    line.put("{");
    put_flags(line, events, flags::EPOLL, "0");
    match i32::try_from(data) {
        Ok(small) => write!(line, ", {small}}}").ok(),
        Err(_) => write!(line, ", {data:#x}}}").ok(),
    }
}

fn put_polled(line: &mut Line, at: usize, answered: bool) -> Option<()> {
    let [fd, words]: [i32; 2] = user::read(at).ok()?;
    let _ = write!(line, "{{{fd}, ");
    put_flags(line, words as u32 & 0xffff, flags::POLL, "0");
    if answered {
        line.put(" -> ");
        put_flags(line, words as u32 >> 16, flags::POLL, "0");
    }
    line.put("}");
    Some(())
}

fn put_open(line: &mut Line, value: u32) {
    put_choice(line, value & 3, flags::ACCESS);
    if value & !3 != 0 {
        line.put("|");
        put_flags(line, value & !3, flags::OPEN, "");
    }
}

fn put_socket_type(line: &mut Line, value: u32) {
    put_choice(line, value & 15, flags::SOCKET_TYPES);
    if value & !15 != 0 {
        line.put("|");
        put_flags(line, value & !15, flags::SOCKET, "");
    }
}

fn put_option(line: &mut Line, level: u32, value: u32) {
    match level {
        1 => put_choice(line, value, flags::OPTIONS),
        6 => put_choice(line, value, flags::TCP_OPTIONS),
        _ => drop(write!(line, "{value}")),
    }
}

fn put_futex(line: &mut Line, value: u32) {
    const PRIVATE: u32 = 128;
    const CLOCK_REALTIME: u32 = 256;
    put_choice(line, value & !(PRIVATE | CLOCK_REALTIME), flags::FUTEX);
    line.put(if value & PRIVATE != 0 { "_PRIVATE" } else { "" });
    line.put(if value & CLOCK_REALTIME != 0 {
        "|FUTEX_CLOCK_REALTIME"
    } else {
        ""
    });
}

fn put_set(line: &mut Line, set: u64) -> Option<()> {
    // Rather those that are missing, if they are few.
    let (set, not) = match set.count_ones() > 32 {
        true => (!set, "~"),
        false => (set, ""),
    };
    line.put(not);
    line.put("[");
    for (i, signal) in (1..=64).filter(|s| set >> (s - 1) & 1 != 0).enumerate() {
        line.put(if i > 0 { " " } else { "" });
        put_signal(line, signal);
    }
    line.put("]");
    Some(())
}

fn put_address(line: &mut Line, at: usize, len: usize) -> Option<()> {
    let bytes = user::bytes(at, len.min(110)).ok()?;
    match *bytes {
        [2, 0, a, b, c, d, e, f, ..] => {
            let port = u16::from_be_bytes([a, b]);
            write!(line, "{{AF_INET, {c}.{d}.{e}.{f}:{port}}}").ok()
        }
        [1, 0, ref name @ ..] => {
            line.put("{AF_UNIX, ");
            let end = name
                .iter()
                .skip(1)
                .position(|b| *b == 0)
                .map_or(name.len(), |n| n + 1);
            line.string(&name[..end], true);
            line.put("}");
            Some(())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, value: usize, moment: Moment) -> std::string::String {
        let mut line = Line::new();
        show(&mut line, kind, 0, &[value, 2, 0, 0, 0, 0], moment);
        std::string::String::from_utf8(line.bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers_have_names() {
        let before = |kind, value| shown(kind, value, Moment::Before);
        assert_eq!(before(Kind::Open, 0o2000102), "O_RDWR|O_CREAT|O_CLOEXEC");
        assert_eq!(before(Kind::Open, 0), "O_RDONLY");
        assert_eq!(
            before(Kind::SocketType, 0o4001),
            "SOCK_STREAM|SOCK_NONBLOCK"
        );
        assert_eq!(before(Kind::Futex, 128 + 1), "FUTEX_WAKE_PRIVATE");
        assert_eq!(
            before(Kind::Flags(flags::MAP, "0"), 0x22),
            "MAP_PRIVATE|MAP_ANONYMOUS"
        );
        assert_eq!(
            before(Kind::Flags(flags::MAP, "0"), 0x4000_0002),
            "MAP_PRIVATE|0x40000000"
        );
        assert_eq!(before(Kind::Choice(flags::FCNTL), 99), "99");
        assert_eq!(before(Kind::Directory, -100i64 as usize), "AT_FDCWD");
        assert_eq!(before(Kind::Signal, 11), "SIGSEGV");
        assert_eq!(before(Kind::Path, 0), "NULL");
        assert_eq!(flags::errno(111), "ECONNREFUSED");
    }

    #[test]
    fn memory_is_shown_when_the_call_has_filled_or_read_it() {
        let events = [
            EpollEvent {
                events: 1 | 1 << 31,
                data: 5,
            },
            EpollEvent {
                events: 0x10,
                data: u64::MAX,
            },
        ];
        let at = events.as_ptr() as usize;
        assert_eq!(
            shown(Kind::Events, at, Moment::After(2)),
            "[{EPOLLIN|EPOLLET, 5}, {EPOLLHUP, 0xffffffffffffffff}]"
        );
        assert_eq!(
            shown(Kind::Events, at, Moment::Before),
            std::format!("{at:#x}")
        );
        let fds = [[4i32, 1], [-1, 0x4_0004]];
        let at = fds.as_ptr() as usize;
        assert_eq!(
            shown(Kind::Polled(1), at, Moment::Before),
            "[{4, POLLIN}, {-1, POLLOUT}]"
        );
        assert_eq!(
            shown(Kind::Polled(1), at, Moment::After(1)),
            "[{4, POLLIN -> 0}, {-1, POLLOUT -> POLLOUT}]"
        );
        let failed = Moment::Failed(Errno::EFAULT);
        assert_eq!(shown(Kind::Polled(1), 0xdead_0000, failed), "0xdead0000");
        let set = !(1u64 << 8 | 1 << 18);
        assert_eq!(
            shown(Kind::Set, &raw const set as usize, Moment::Before),
            "~[SIGKILL SIGSTOP]"
        );
    }
}
